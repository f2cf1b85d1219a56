"""Long recordings: the same as in one go away from the seams, and nobody swaps."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from sep_helpers import long_audio
from sep_helpers.evaluation import separate
from sep_helpers.long_audio import LongAudioError, chunk_starts, same_speakers, separate_long

RATE = 1000


class TwoBands(nn.Module):
    """Separates exactly: what is smooth, and the rest; looks 4 samples to either side.

    `swap` turns the outputs of every second call round, as a real network may.
    """

    sample_rate, n_sources, causal, config = RATE, 2, False, {}

    def __init__(self, swap=False):
        super().__init__()
        self.swap, self.calls, self.lengths = swap, 0, []

    def forward(self, mixture):
        self.calls += 1
        self.lengths.append(mixture.shape[-1])
        smooth = nn.functional.avg_pool1d(mixture, 9, 1, 4)
        outputs = torch.stack([smooth, mixture - smooth], 1)
        return outputs.flip(1) if self.swap and self.calls % 2 == 0 else outputs


def noise(samples, seed=0):
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("samples", [1, 999, 1000, 1001, 1799, 1800, 1801, 2600, 10007])
@pytest.mark.parametrize("swap", [False, True])
def test_chunks_give_what_the_whole_gives_and_a_swapped_chunk_is_turned_back(samples, swap):
    x = noise(samples)
    whole = separate(TwoBands(), x)
    separator = TwoBands(swap)
    found = separate_long(separator, x, 1.0, 0.2)
    assert found.shape == whole.shape
    assert max(separator.lengths) <= 1000
    # near a chunk's edge the average sees zeros for what lies beyond, which the fade makes soft
    assert (found - whole).abs().max() < 0.05
    starts = chunk_starts(samples, 1000, 200)
    seams = torch.zeros(samples, dtype=torch.bool)
    for before, start in pairwise(starts):
        seams[start:before + 1000] = True
    assert torch.allclose(found[:, ~seams], whole[:, ~seams], atol=1e-4)


def test_without_the_turning_back_the_same_separator_would_fail(monkeypatch):
    monkeypatch.setattr(long_audio, "same_speakers", lambda new, old: torch.tensor([0, 1]))
    x = noise(3000)
    found, whole = separate_long(TwoBands(swap=True), x, 1.0, 0.2), separate(TwoBands(), x)
    assert (found - whole).abs().max() > 1


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1]])
def test_the_order_is_the_one_that_continues_the_old_estimates(order):
    old = torch.stack([noise(500, s) for s in range(3)])
    new = torch.empty_like(old)
    new[order] = old + 0.3 * torch.stack([noise(500, 7 + s) for s in range(3)])
    assert same_speakers(new, old).tolist() == order


def test_silence_in_the_overlap_keeps_the_order():
    assert same_speakers(torch.zeros(2, 100), torch.zeros(2, 100)).tolist() == [0, 1]


@pytest.mark.parametrize("length, expected", [(5, [0]), (10, [0]), (11, [0, 1]), (18, [0, 8]),
                                              (19, [0, 8, 9]), (26, [0, 8, 16])])
def test_chunks_cover_everything_and_none_is_short(length, expected):
    assert chunk_starts(length, 10, 2) == expected


def test_progress_is_told_after_every_chunk():
    told = []
    separate_long(TwoBands(), noise(2600), 1.0, 0.2, lambda *now: told.append(now))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("overlap", [0, 0.6])
def test_an_overlap_that_cannot_be_is_refused(overlap):
    with pytest.raises(LongAudioError, match="half a chunk"):
        separate_long(TwoBands(), noise(2600), 1.0, overlap)
