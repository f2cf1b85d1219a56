"""A view's table, one line a source: its columns, its CSV, what it must not say, what it uses."""

import os
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from sep_helpers.corpora import Corpus


class ViewError(ValueError):
    """A recipe or view that cannot be used, in one line with the remedy."""


@dataclass(frozen=True)
class Cut:
    """One line of a view: a stretch of one recording, and where it lands in its mixture."""

    mixture_id: str
    split: str
    length: int        # of the mixture, in samples
    source: int        # 0, 1 ...
    category: str      # the speaker, the sound class or the stem
    file: str          # relative to the corpus
    start: int         # the cut, in samples of the file
    stop: int
    offset: int        # where the cut begins in the mixture
    gain_db: float     # applied to the samples as read


COLUMNS = [f.name for f in fields(Cut)]
TEXT = ["mixture_id", "split", "category", "file"]
WHOLE = ["length", "source", "start", "stop", "offset"]     # whole numbers


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a view, whole or not at all; the same table gives the same bytes."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        table.to_csv(draft, index=False, lineterminator="\n")
        os.replace(draft, path)
    except OSError as error:
        raise ViewError(f"{path}: could not be written ({error}): is the disk full?") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def read_csv(path: str | Path, corpus: Corpus) -> pd.DataFrame:
    """Read a view and check every line against the corpus. Raises ViewError, see `check`."""
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ViewError(f"{path} is not a CSV table ({error}): draw the view again") from None
    missing = [c for c in COLUMNS if c not in table]
    if missing:
        raise ViewError(f"{path}: columns {', '.join(missing)} are missing: a view has "
                        f"{', '.join(COLUMNS)}")
    numbers = {c: pd.to_numeric(table[c], errors="coerce") for c in COLUMNS if c not in TEXT}
    table = table.assign(**numbers)[COLUMNS]
    check(table, corpus, path)
    return table.astype(dict.fromkeys(WHOLE, int))


def check(table: pd.DataFrame, corpus: Corpus, path: str | Path = "view") -> None:
    """Refuse the first line that the corpus cannot serve. Raises ViewError."""
    known = corpus.table.set_index("file")
    file, start, stop, length = (table[c] for c in ("file", "start", "stop", "length"))
    outside = file.map(lambda f: Path(f).is_absolute() or ".." in Path(f).parts)
    lengths = table.groupby("mixture_id")["length"].transform("nunique")
    tests = [   # (lines that are wrong, what to say of the first one)
        (outside, "{file} leads outside the corpus folder: name files relative to it"),
        (~file.isin(known.index), "{file} is not in the corpus: draw the view again"),
        ((table[WHOLE] % 1 != 0).any(axis=1),      # a missing number is NaN, and so is NaN % 1
         "length {length}, source {source}, start {start}, stop {stop}, offset {offset} must be "
         "whole numbers"),
        (start.lt(0) | start.ge(stop) | stop.gt(file.map(known["samples"])),
         "the cut {start}:{stop} does not fit into {file}: draw the view again"),
        (table["offset"].lt(0) | (table["offset"] + stop - start).gt(length),
         "the cut of {file} lands outside its mixture of {length} samples: move the offset"),
        (lengths.gt(1), "{mixture_id} has sources of several lengths: give them one"),
        (~np.isfinite(table["gain_db"]), "gain_db is {gain_db} for {file}: give a number"),
        (table["split"] != file.map(known["split"]),
         "{file} is not for {split} in the corpus: it would leak, take another"),
    ]
    for wrong, message in tests:
        if wrong.any():
            line = int(np.flatnonzero(wrong)[0])
            raise ViewError(f"{path}, line {line + 2}: " + message.format(**table.iloc[line]))


def coverage(table: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """What a view uses of the recordings in its splits: file, samples, cuts, used, dropped.

    `used` counts the samples that some cut contains, once however often they occur; `dropped` are
    the rest. Tables of several epochs, concatenated, give what the epochs use together.
    """
    spans = {file: cuts[["start", "stop"]].to_numpy() for file, cuts in table.groupby("file")}
    recordings = corpus.table[corpus.table["split"].isin(table["split"])]
    rows = []
    for file, samples in zip(recordings["file"], recordings["samples"], strict=True):
        used = np.zeros(samples, bool)
        for start, stop in spans.get(file, ()):
            used[start:stop] = True
        rows.append((file, samples, len(spans.get(file, ())), used.sum(), (~used).sum()))
    return pd.DataFrame(rows, columns=["file", "samples", "cuts", "used", "dropped"])
