"""Recordings too long for one forward pass: cut into overlapping chunks, separated, stitched.

A separator's outputs have no names, so two chunks may come out the other way round. The overlap
decides: both chunks have separated it, and of all assignments of the new estimates to the old
ones the one with the smallest jump between them is kept. Then one fades into the other.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sep_helpers.evaluation import separate
from sep_helpers.permutation import best_permutation, reorder

CHUNK, OVERLAP = 30.0, 4.0      # seconds; 30 s of the paper's network need about 1 GB


class LongAudioError(ValueError):
    """Chunks that cannot be stitched, in one line with the remedy."""


def separate_long(
    separator: nn.Module, mixture: Tensor, chunk_seconds: float = CHUNK,
    overlap_seconds: float = OVERLAP, on_chunk: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Estimates of a recording of any length: (time,) -> (source, time), as `separate` gives them.

    What fits into one chunk is separated whole. `on_chunk(done, total)` is called after each.
    Each chunk comes at the level that `evaluation.match_level` gives it. Where all speakers are
    silent for a whole overlap, nothing tells which is which: the order then stays as it was.
    Raises LongAudioError for an overlap that is not shorter than half a chunk.
    """
    chunk, overlap = (round(s * separator.sample_rate) for s in (chunk_seconds, overlap_seconds))
    if not 0 < overlap <= chunk // 2:
        raise LongAudioError(f"an overlap of {overlap_seconds:g} s in chunks of {chunk_seconds:g} "
                             "s: take one longer than nothing and at most half a chunk")
    starts = chunk_starts(len(mixture), chunk, overlap)
    result, end = None, 0                       # the estimates so far, and where they end
    for number, start in enumerate(starts):
        estimates = separate(separator, mixture[start:start + chunk])
        if result is None:
            result = estimates.new_zeros(len(estimates), len(mixture))
        end = _add(result, estimates, start, end)
        if on_chunk:
            on_chunk(number + 1, len(starts))
    return result


def chunk_starts(length: int, chunk: int, overlap: int) -> list[int]:
    """Where the chunks begin; the last is counted back from the end, so that none is short."""
    if length <= chunk:
        return [0]
    return [*range(0, length - chunk, chunk - overlap), length - chunk]


def same_speakers(new: Tensor, old: Tensor) -> Tensor:
    """The order of `new` in which it continues `old`, both (source, time) of the same stretch.

    sum_s |old_s - new_p(s)|^2 is smallest where sum_s <old_s, new_p(s)> is largest, so loud
    speakers decide more than soft ones. -> (source,), as `permutation.best_permutation`.
    """
    return best_permutation((new.double() @ old.double().mT)[None])[0]


def _add(result: Tensor, estimates: Tensor, start: int, end: int) -> int:
    """Put a chunk that begins at `start` into the result, filled up to `end`; the new end."""
    overlap = end - start
    if overlap:
        old = result[:, start:end]
        estimates = reorder(estimates[None], same_speakers(estimates[:, :overlap], old)[None])[0]
        rise = (torch.arange(overlap, device=old.device) + 0.5) / overlap
        old += rise * (estimates[:, :overlap] - old)       # a straight cross-fade: they are alike
    stop = start + estimates.shape[1]
    result[:, end:stop] = estimates[:, overlap:]
    return stop
