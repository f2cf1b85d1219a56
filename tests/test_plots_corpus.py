"""plots_corpus: every recording is drawn, on axes with units."""

import matplotlib
import numpy as np
import pandas as pd

from sep_helpers import plots

matplotlib.use("agg")


def statistics(n=60, voices=5):
    rng = np.random.default_rng(0)
    who = np.arange(n) % voices
    return pd.DataFrame({"category": [f"v{w}" for w in who], "seconds": rng.uniform(1, 3, n),
                         "split": np.where(who < 3, "train", "test"),
                         "rms_db": rng.normal(-26, 1, n), "peak_db": rng.normal(-10, 2, n),
                         "pitch_hz": 100 + 40 * who[::-1]})


def test_every_recording_is_counted_once():
    ax = plots.durations(statistics()).axes[0]
    assert sum(bar.get_height() for bar in ax.containers[0]) == 36      # train
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[-1]]
    assert sum(tops) == 60 and ax.get_xlabel() == "seconds"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]


def test_rms_and_peak_are_those_of_the_table():
    table = statistics()
    ax = plots.peaks(table).axes[0]
    assert np.allclose(ax.collections[0].get_offsets(), table[["rms_db", "peak_db"]])
    assert "dB" in ax.get_xlabel() and "dB" in ax.get_ylabel()


def test_voices_stand_in_the_order_of_their_pitch():
    ax = plots.pitches(statistics()).axes[0]
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["v4", "v3", "v2", "v1", "v0"]
    assert ax.get_yscale() == "log" and "Hz" in ax.get_ylabel()


def test_many_voices_are_thinned_out_and_those_without_pitch_left_out():
    table = statistics(200, voices=100)
    table.loc[table.category == "v7", "pitch_hz"] = np.nan
    names = [t.get_text() for t in plots.pitches(table).axes[0].get_xticklabels()]
    assert len(names) == len(set(names)) == 40 and "v7" not in names
    assert {"v0", "v99"} <= set(names), "the lowest and the highest"
