"""plots_mixtures: cuts are drawn where they come from and where they land."""

import matplotlib
import numpy as np
import pytest
from toy_corpus import make_corpus

from sep_helpers import audio, plots, plots_mixtures
from sep_helpers.views import Cut, mix

matplotlib.use("agg")
RATE = 8000


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(tmp_path)


def two(corpus, **second):
    first = Cut("m", "train", 12000, 0, "ann", "ann/0.flac", 1000, 7000, 0, 6.0)
    other = {"start": 0, "stop": 8000, "offset": 4000, "gain_db": -3.0} | second
    return mix(corpus, [first, Cut("m", "train", 12000, 1, "bob", "bob/1.flac", **other)])


def test_shares_are_measured_where_the_source_is(corpus):
    facts = plots_mixtures.shares(two(corpus))
    assert facts.file.tolist() == ["ann/0.flac", "bob/1.flac"]
    assert facts.overlap.tolist() == pytest.approx([2000 / 6000, 2000 / 8000])
    cut = corpus.waveform("ann/0.flac")[1000:7000]
    assert facts.rms_db[0] == pytest.approx(audio.rms_db(cut).item() + 6)
    rest = corpus.waveform("bob/1.flac")[:2000]         # two of the six thousand samples
    rest_db = audio.rms_db(rest).item() - 3 + 10 * np.log10(2000 / 6000)
    assert facts.over_rest_db[0] == pytest.approx(facts.rms_db[0] - rest_db, abs=1e-3)


def test_sources_apart_do_not_overlap(corpus):
    facts = plots_mixtures.shares(two(corpus, stop=6000, offset=6000))
    assert facts.overlap.tolist() == [0, 0]


def spans(ax):
    """The shaded stretches of an axis, in seconds."""
    return [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]


def test_a_cut_is_shaded_in_its_file_and_in_the_mixture(corpus):
    axes = np.reshape(plots.mixture_map(corpus, two(corpus)).axes, (3, 2))
    assert spans(axes[0, 0]) == [pytest.approx((1000 / RATE, 7000 / RATE))]
    assert spans(axes[0, 1]) == [pytest.approx((0, 6000 / RATE))]
    assert spans(axes[1, 0]) == [pytest.approx((0, 1))]
    assert spans(axes[1, 1]) == [pytest.approx((4000 / RATE, 12000 / RATE))]
    assert "bob/1.flac [0:8000]" in axes[1, 0].get_title(loc="left")
    assert "25% under another" in axes[1, 1].get_title(loc="left")
    mixture = axes[2, 1].lines[0].get_ydata()
    assert np.allclose(mixture, sum(ax.lines[0].get_ydata() for ax in axes[:2, 1]), atol=1e-6)
