"""corpus_statistics: lengths and levels of the recordings, and the pitch of a known tone."""

import numpy as np
import pytest
import torch
from toy_corpus import make_corpus

from sep_helpers import corpora
from sep_helpers.corpus_statistics import pitch, statistics

RATE = 8000


def pulses(hertz, seconds=1.0, rate=RATE):
    """A voice-like tone: eight harmonics of equal strength."""
    t = torch.arange(round(seconds * rate)) / rate
    return 0.05 * sum(torch.sin(2 * torch.pi * k * hertz * t) for k in range(1, 9))


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("hertz", [75, 120, 233, 410])
def test_the_pitch_of_a_tone_is_its_frequency(hertz, rate):
    assert pitch(pulses(hertz, rate=rate), rate) == pytest.approx(hertz, rel=0.01)


def test_pauses_and_level_do_not_change_the_pitch():
    voice = pulses(150)
    hiss = 1e-4 * torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    assert pitch(torch.cat([hiss, voice, hiss]), RATE) == pytest.approx(150, rel=0.01)
    assert pitch(0.01 * voice, RATE) == pytest.approx(150, rel=0.01)


def test_silence_and_what_is_too_short_have_no_pitch():
    assert np.isnan(pitch(torch.zeros(RATE), RATE))
    assert np.isnan(pitch(pulses(150, seconds=0.03), RATE))


def test_one_line_a_recording(tmp_path):
    corpus = make_corpus(tmp_path)
    table = statistics(corpus)
    assert list(table.file) == list(corpus.table.file)
    assert table.seconds.tolist() == (corpus.table.samples / RATE).tolist()
    row = table.iloc[3]
    x = corpus.waveform(row.file)
    assert row.rms_db == pytest.approx(10 * np.log10(x.square().mean().item()))
    assert row.peak_db == pytest.approx(20 * np.log10(x.abs().max().item()))


def test_a_few_of_each_drawn_from_the_seed(tmp_path):
    corpus = make_corpus(tmp_path)
    few = statistics(corpus, split="train", each=1)
    assert few.category.tolist() == ["ann", "bob", "cat"] and set(few.split) == {"train"}
    assert few.equals(statistics(corpus, split="train", each=1))
    other = [statistics(corpus, split="train", each=1, seed=s).file.tolist() for s in range(5)]
    assert any(files != few.file.tolist() for files in other)


def test_high_and_low_voices_are_told_apart():
    voices = corpora.embedded()
    table = statistics(voices, split="val", each=4)
    sex = voices.table.drop_duplicates("speaker").set_index("speaker").sex
    median = table.groupby("category").pitch_hz.median()
    assert median.between(70, 350).all()
    assert median[sex[median.index] == "F"].median() > 1.3 * median[sex[median.index] == "M"].min()
