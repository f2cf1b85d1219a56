"""The coverage ledger: every sample of a corpus is used or dropped, and every sample of the
mixtures is used, overlapped or padded. Both sums come out, or something was lost on the way."""

import numpy as np
import pandas as pd

from sep_helpers.corpora import Corpus
from sep_helpers.recipes import ViewError

LEDGER = ["file", "samples", "cuts", "used", "overlapped", "dropped", "padded"]


def coverage(table: pd.DataFrame, corpus: Corpus, pad_to: int = 0) -> pd.DataFrame:
    """What a view uses of the recordings in its splits, a line a recording, counted in samples.

    -> file, samples, cuts, used, overlapped, dropped, padded, where
        used + dropped             = samples   (`used` counts a sample once, however often it comes)
        used + overlapped + padded = what the mixtures' sources hold together
    `padded` is the silence around a source's cut, up to its mixture's length or, if that is more,
    to `pad_to` (the length of a batch whose shorter items are padded). Tables of several epochs,
    concatenated, give what the epochs use together.
    """
    if "source" in table:
        table = table[table["source"] >= 0]      # noise comes from elsewhere
    recordings = corpus.table[corpus.table["split"].isin(table["split"])].reset_index(drop=True)
    number = pd.Series(recordings.index, recordings["file"])
    unknown = table["file"][~table["file"].isin(number.index)]
    if len(unknown):
        raise ViewError(f"{unknown.iloc[0]} is not in the corpus: check the view first")
    row = number[table["file"]].to_numpy()
    start, stop = table["start"].to_numpy(np.int64), table["stop"].to_numpy(np.int64)
    size = len(recordings)
    cuts, served = np.bincount(row, minlength=size), _sum(row, stop - start, size)
    length = table["length"].to_numpy(np.int64) if "length" in table else stop - start
    padded = _sum(row, np.maximum(length, pad_to) - (stop - start), size)
    used = _union(row, start, stop, size)
    columns = (recordings["file"], recordings["samples"], cuts, used, served - used,
               recordings["samples"] - used, padded)
    return pd.DataFrame(dict(zip(LEDGER, columns, strict=True)))


def account(ledger: pd.DataFrame) -> pd.Series:
    """The ledger's columns summed over all recordings. Raises ViewError if it does not add up."""
    total = ledger[["samples", "used", "overlapped", "dropped", "padded"]].sum()
    if total["used"] + total["dropped"] != total["samples"] or (ledger.drop(columns="file") < 0
                                                                ).any(axis=None):
        raise ViewError("the ledger does not add up: a cut lies outside its recording")
    return total


def _sum(row: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(row, values, size).astype(np.int64)      # exact below 2^53 samples


def _union(row: np.ndarray, start: np.ndarray, stop: np.ndarray, size: int) -> np.ndarray:
    """How many samples of each of `size` recordings some span start:stop contains."""
    order = np.lexsort((start, row))
    row, start, stop = row[order], start[order], stop[order]
    reached = np.empty_like(stop)           # how far the spans before this one reach, same file
    shift = row * (stop.max(initial=0) + 1)     # keeps the running maximum within a recording
    running = np.maximum.accumulate(stop + shift) if len(stop) else stop
    reached[:1], reached[1:] = 0, running[:-1]
    reached = np.maximum(reached - shift, 0)
    return _sum(row, np.maximum(stop - np.maximum(start, reached), 0), size)
