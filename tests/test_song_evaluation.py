"""song_evaluation: museval's protocol on whole songs, floors below ceilings, silence counted."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from sep_helpers import song_evaluation as songs
from sep_helpers.bss_images import distortion, images
from sep_helpers.corpora import open_corpus
from sep_helpers.evaluation import EvaluationError
from tests.test_song_separation import Parts

RATE, STEMS = 8000, ["vocals", "drums", "bass", "other"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two test songs of 3.5 s; the first one's bass is silent throughout, its vocals for 1.2 s."""
    folder, rows = tmp_path_factory.mktemp("songs"), ["file,track,stem,split"]
    for track in ("one", "two", "three"):
        for k, stem in enumerate(STEMS):
            t = np.arange(28000) / RATE
            rng = np.random.default_rng((len(track), k))
            wave = np.stack([np.sin(2 * np.pi * (90 + 300 * k) * t), rng.standard_normal(28000)], 1)
            wave *= 0.02 * (1 + k)
            if track == "one":
                wave *= stem != "bass"
                wave[:9600] *= stem != "vocals"
            (folder / track).mkdir(exist_ok=True)
            soundfile.write(folder / track / f"{stem}.wav", wave, RATE)
            rows.append(f"{track}/{stem}.wav,{track},{stem},{'val' if len(track) > 3 else 'test'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return open_corpus(folder, RATE, channels=2)


def test_a_view_has_every_song_once_whole_and_in_order(corpus):
    view = songs.song_view(corpus, "test", STEMS)
    assert [cuts[0].mixture_id for cuts in view.mixtures] == ["one", "two"]
    assert [cut.category for cut in view.mixtures[1]] == STEMS
    assert view[0]["sources"].shape == (4, 2, 28000)
    assert songs.song_view(corpus, "val", STEMS).mixtures[0][0].mixture_id == "three"
    assert torch.equal(view[1]["sources"][2], corpus.waveform("two/bass.wav"))
    level = songs.song_view(corpus, "test", STEMS, rms_db=-30.0)
    rms = level[0]["sources"].square().mean((1, 2)).sqrt()
    assert torch.allclose(20 * rms[[0, 1, 3]].log10(), torch.tensor(-30.0), atol=0.05)
    assert rms[2] == 0
    with pytest.raises(EvaluationError, match="no whole song for test with piano"):
        songs.song_view(corpus, "test", ["piano"])


def test_the_protocol_step_by_step(corpus):
    """One second windows, medians over windows then songs, by the plain functions."""
    view = songs.song_view(corpus, "test", STEMS)
    table = songs.evaluate_songs(Parts(), view, "parts", taps=32)
    item = view[1]
    estimates = Parts()(item["mixture"][None])[0]
    expected = images(estimates.double(), item["sources"].double(), RATE, taps=32)
    row = table[(table.song == "two") & (table.stem == "drums")].iloc[0]
    for name in ("sdr", "isr", "sir"):
        assert row[name] == pytest.approx(np.median(expected[name][1]), abs=1e-3)
    assert row.sar > 100                        # parts of a mixture hold nothing of their own
    assert row.windows == 3 and row.silent == 0
    assert row.song_sdr == pytest.approx(
        distortion(estimates.double(), item["sources"].double())[1, 0], abs=1e-3)
    both = songs.summary(table).set_index("stem")
    ones = table[table.stem == "drums"].sdr
    assert both.loc["drums", "sdr"] == pytest.approx(ones.median())
    assert both.loc["drums", "song_sdr"] == pytest.approx(
        table[table.stem == "drums"].song_sdr.mean())


def test_silence_is_left_out_and_counted(corpus):
    view = songs.song_view(corpus, "test", STEMS)
    table = songs.evaluate_songs(Parts(), view, "parts", taps=32).set_index(["song", "stem"])
    bass = table.loc[("one", "bass")]
    assert bass[["sdr", "isr", "sir", "sar", "sdr_own", "song_sdr"]].isna().all()
    assert table.loc[("one", "vocals"), "silent"] == 1          # 1.2 s: one whole window
    assert table.loc[("one", "drums"), "silent"] == 1           # museval's rule: for all stems
    assert table.loc[("one", "drums"), "windows"] == 3
    quick = songs.evaluate_songs(Parts(), view, "quick", filters=False)
    quick = quick.set_index(["song", "stem"])
    assert np.allclose(quick.sdr, table.sdr, equal_nan=True) and quick.sir.isna().all()
    assert quick.silent.equals(table.silent)
    counted = songs.summary(table.reset_index()).set_index("stem")
    assert counted.loc["bass", "songs"] == 1 and counted.loc["drums", "songs"] == 2


def test_floors_lie_below_ceilings_and_equal_parts_add_up(corpus):
    view = songs.song_view(corpus, "test", STEMS)
    systems = songs.floors_and_ceilings(512, 128)
    tables = pd.concat(songs.evaluate_songs(system, view, name, filters=False)
                       for name, system in systems.items())
    means = tables.groupby("system").song_sdr.mean()
    assert means["mixture"] < means["equal parts"] < min(means[name] for name in songs.CEILINGS)
    consistency = tables.groupby("system").consistency.max()
    assert consistency["equal parts"] < -100 and consistency["ideal IRM"] < -100
    assert consistency["mixture"] == pytest.approx(20 * np.log10(3), abs=0.1)   # 4 x itself
    item = view[1]
    left = songs.oracle("irm", item["mixture"][:1], item["sources"][:, :1], 512, 128)
    both = songs.oracle("irm", item["mixture"], item["sources"], 512, 128)
    assert torch.allclose(both[:, :1], left, atol=1e-6)         # a channel by its own masks


def test_mono_songs_are_measured_too(corpus):
    mono = open_corpus(corpus.folder, RATE, channels=1, cache=corpus.folder / "cache")
    view = songs.song_view(mono, "val", STEMS)
    table = songs.evaluate_songs(lambda mixture, sources: sources + 0.1 * mixture, view,
                                 "leaky", taps=32)
    assert table.sdr.notna().all() and (table.sdr > 0).all()
    by_network = songs.evaluate_songs(Parts(channels=1), view, "parts", taps=32)
    in_stereo = songs.evaluate_songs(Parts(channels=1), songs.song_view(corpus, "val", STEMS),
                                     "parts", taps=32)
    assert by_network.song_sdr.notna().all() and in_stereo.song_sdr.notna().all()


def test_what_does_not_fit_is_one_line(corpus):
    view, network = songs.song_view(corpus, "val", STEMS), Parts()
    network.sample_rate = 16000
    with pytest.raises(EvaluationError, match="a network for 16000 Hz on songs at 8000"):
        songs.evaluate_songs(network, view, "parts")
    with pytest.raises(EvaluationError, match=r"gave \(2, 28000\) for stems \(4, 2, 28000\)"):
        songs.evaluate_songs(lambda mixture, sources: mixture, view, "one")
