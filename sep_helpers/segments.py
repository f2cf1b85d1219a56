"""Segments: where long recordings are cut for training, validation and test, by named policies.

A segmented view is a view again: `segment(table, ...)` turns each mixture into several, with
the cuts and offsets moved, so that it can be stored, checked, mixed and accounted for as any other.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from sep_helpers.corpora import Corpus
from sep_helpers.recipes import ViewError
from sep_helpers.view_table import COLUMNS

SECONDS = 4.0       # the usual length of a training segment
Span = tuple[int, int, int]     # start, stop, and the length of the item, stop - start or more


def _segments(samples: int, length: int, rng) -> list[Span]:
    """Side by side; the last one counted back from the end. What is shorter stays whole: it is
    padded in the batch, where `lengths` keeps the padding out of the loss. The usual one."""
    starts = range(0, samples - length + 1, length)
    tail = [] if samples % length == 0 or samples < length else [samples - length]
    return [(s, s + length, length) for s in [*starts, *tail]] or [(0, samples, samples)]


def _whole(samples: int, length: int, rng) -> list[Span]:
    """One item as long as it is, in a batch of one: for tests."""
    return [(0, samples, samples)]


def _drop_last(samples: int, length: int, rng) -> list[Span]:
    """Side by side; the tail, and what is shorter than a segment, is dropped."""
    return [(s, s + length, length) for s in range(0, samples - length + 1, length)]


def _pad_last(samples: int, length: int, rng) -> list[Span]:
    """Side by side; the tail is padded to a full item, and its silence counts in the loss."""
    return [(s, min(s + length, samples), length) for s in range(0, samples, length)]


def _half_overlap(samples: int, length: int, rng) -> list[Span]:
    """Each begins in the middle of the one before; the last one is counted back from the end."""
    hop = max(1, length // 2)
    starts = [*range(0, samples - length + 1, hop)]
    if starts and starts[-1] + length < samples:
        starts.append(samples - length)
    return [(s, s + length, length) for s in starts] or [(0, samples, samples)]


def _random(samples: int, length: int, rng) -> list[Span]:
    """One segment, at a random place."""
    start = int(rng.integers(max(0, samples - length) + 1))
    return [(start, min(start + length, samples), min(length, samples))]


POLICIES: dict[str, Callable] = {
    "segments": _segments, "whole": _whole, "drop_last": _drop_last, "pad_last": _pad_last,
    "half_overlap": _half_overlap, "random": _random,
}


def spans(samples: int, length: int, policy: str = "segments", rng=None) -> list[Span]:
    """Where a recording of so many samples is cut into items of `length`: (start, stop, length).

    `policy` is a name in POLICIES, each of which says in its docstring what it does with the tail.
    """
    if policy not in POLICIES:
        raise ViewError(f"no policy {policy!r}: choose one of {', '.join(POLICIES)}")
    if length < 1 or samples < 1 or length % 1 or samples % 1:
        raise ViewError(f"cannot cut {samples} samples into segments of {length}: both are whole "
                        "numbers, 1 or more: use round()")
    samples, length = int(samples), int(length)
    return POLICIES[policy](samples, length, rng or np.random.default_rng(0))


def whole(corpus: Corpus, split: str | None = None, **where) -> pd.DataFrame:
    """A view of every recording by itself, whole and as it is: what `segment` starts from."""
    rows = corpus.select(split=split, **where)
    return pd.DataFrame({
        "mixture_id": rows["file"], "split": rows["split"], "length": rows["samples"], "source": 0,
        "category": rows["category"], "file": rows["file"], "start": 0,
        "stop": rows["samples"], "offset": 0, "gain_db": 0.0}, columns=COLUMNS)


def segment(table: pd.DataFrame, length: int, policy: str = "segments",
            seed=0) -> pd.DataFrame:
    """The view whose mixtures are the segments of this view's mixtures, `length` samples long.

    A source that is silent in a segment keeps its line, with an empty cut. `seed`, a number or
    several such as (seed, epoch), is for the policy "random". Raises ViewError for a policy that
    leaves nothing.
    """
    columns = [c for c in table if c in COLUMNS]
    if "room" in table and (table["room"] != "").any():
        raise ViewError("a room rings on from one segment into the next: segment the items instead")
    rng, found = np.random.default_rng(seed), []
    ids, first = np.unique(table["mixture_id"].to_numpy(str), return_index=True)
    lines = {name: [] for name in ids[np.argsort(first)]}
    for line in table[COLUMNS].itertuples(index=False):
        lines[line.mixture_id].append(line)
    for name, mixture in lines.items():
        for number, (start, stop, size) in enumerate(spans(mixture[0].length, length, policy, rng)):
            new = name if policy == "whole" else f"{name}_{number:03d}"
            found += [_window(line, new, start, stop, size) for line in mixture]
    if not found:
        raise ViewError(f"policy {policy!r} leaves nothing: no mixture has {length} samples")
    return pd.DataFrame(found, columns=COLUMNS)[columns]


def _window(line, name: str, start: int, stop: int, size: int) -> tuple:
    """What the samples start:stop of its mixture hold of one line."""
    first = min(max(start, line.offset), line.offset + line.stop - line.start)
    last = max(first, min(stop, line.offset + line.stop - line.start))
    cut = line.start + first - line.offset
    offset = max(0, first - start) if last > first else 0
    return (name, line.split, size, line.source, line.category, line.file, cut,
            cut + last - first, offset, line.gain_db)
