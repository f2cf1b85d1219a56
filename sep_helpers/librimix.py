"""LibriMix's metadata as views, and views as LibriMix's metadata.

LibriMix (Cosentino et al., 2020, arXiv 2005.11262) lists a mixture a line: mixture_ID, then for
every source its path and a LINEAR gain, then the same for the noise. Whole recordings, all from
their beginning; `min` mixtures end with the shortest speaker, `max` mixtures with the longest.
The lists that its scripts write beside finished mixtures (mixture_path, source_1_path, ..., length)
are understood, too: their sources have been scaled already.
"""
import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd

from sep_helpers.corpora import Corpus
from sep_helpers.recipes import ViewError
from sep_helpers.view_table import COLUMNS, NOISE, check

MODES = {"min": min, "max": max}
CUT = ("start", "stop", "offset")


def to_view(metadata: str | Path | pd.DataFrame, corpus: Corpus, mode: str = "min",
            noise: Corpus | None = None) -> pd.DataFrame:
    """A LibriMix metadata CSV (or table) as a view of `corpus`, at the corpus' rate.

    Recordings are found by the end of their path. The view's split is the corpus' own for these
    recordings: a subset that is one split as a whole is `corpus.with_split("test")`. With `noise`
    the noise is mixed in as well, repeated where it is too short. Raises ViewError, with the line.
    """
    if mode not in MODES:
        raise ViewError(f"mode={mode!r}: LibriMix has min and max")
    table, name = _read(metadata)
    count = _sources(table, name)
    find, find_noise = _Finder(corpus), noise and _Finder(noise)
    lines = []
    for number, row in enumerate(table.to_dict("records"), 2):
        at = f"{name}, line {number}"
        sources = [_source(row, f"source_{i}", find, at) for i in range(1, count + 1)]
        ends = [stop - start + offset for _, start, stop, offset, _ in sources]
        # `length` is told by our own columns alone: a list of LibriMix's may be for another rate
        length = _whole(row, "length", 0, at) if "source_1_start" in row else MODES[mode](ends)
        for i, (file, start, stop, offset, gain_db) in enumerate(sources):
            stop = max(start, min(stop, start + length - offset))
            lines.append((row["mixture_ID"], find.split[file], length, i, find.category[file],
                          file, start, stop, offset, gain_db))
        if noise and row.get("noise_path"):
            file, _, samples, _, gain_db = _source(row, "noise", find_noise, at)
            lines += [(row["mixture_ID"], find_noise.split[file], length, NOISE,
                       find_noise.category[file], file, 0, min(samples, length - offset), offset,
                       gain_db) for offset in range(0, length, samples)]
    view = pd.DataFrame(lines, columns=COLUMNS)
    check(view, corpus, name, noise)
    return view


def from_view(table: pd.DataFrame, cuts: bool = False) -> pd.DataFrame:
    """A view as LibriMix metadata: mixture_ID, source_1_path, source_1_gain, ..., noise_gain.

    LibriMix knows no cuts: lines that do not begin at the beginning are refused, or, with
    `cuts=True`, told in columns of our own (length, source_1_start ...), which `to_view` reads back
    and LibriMix's scripts overlook. Paths are relative to the corpus; the split is not told.
    """
    rooms = table["room"] if "room" in table else pd.Series("", table.index)
    if (rooms != "").any():
        raise ViewError(f"{table.mixture_id[rooms != ''].iloc[0]} is in a simulated room: LibriMix "
                        "has no rooms")
    moved = (table["start"] != 0) | (table["offset"] != 0)
    moved &= table["source"] != NOISE
    if moved.any() and not cuts:
        first = table[moved].iloc[0]
        raise ViewError(f"{first.mixture_id}: {first.file} is cut from {first.start} and begins at "
                        f"{first.offset}, LibriMix mixes from the beginning: say cuts=True")
    rows = {}
    last = table["source"].where(table["source"] != NOISE, table["source"].max() + 1)
    for line in table.loc[last.sort_values(kind="stable").index].itertuples():
        row = rows.setdefault(line.mixture_id, {"mixture_ID": line.mixture_id})
        if line.source != NOISE:
            row |= _columns(f"source_{line.source + 1}", line, cuts)
        elif "noise_path" not in row:          # further lines repeat it
            row |= _columns("noise", line, False)
        row |= {"length": line.length} if cuts else {}
    return pd.DataFrame([rows[mixture_id] for mixture_id in table["mixture_id"].unique()])


def _columns(who: str, line, cuts: bool) -> dict:
    told = {f"{who}_path": line.file, f"{who}_gain": 10 ** (line.gain_db / 20)}
    return told | ({f"{who}_{what}": getattr(line, what) for what in CUT} if cuts else {})


def _read(metadata: str | Path | pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """(the table with text as text, its name for messages)."""
    if isinstance(metadata, pd.DataFrame):
        table, name = metadata.fillna("").astype(str), "metadata"
    else:
        name = str(metadata)
        try:
            with open(metadata, encoding="utf-8-sig", newline="") as file:
                head, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
        except OSError as error:
            raise ViewError(f"{name} cannot be read ({error.strerror}): check the name") from None
        except (csv.Error, UnicodeDecodeError) as error:
            raise ViewError(f"{name} is not a CSV table ({error}): fetch it again") from None
        for number, row in enumerate(rows, 2):
            if len(row) != len(head):
                raise ViewError(f"{name}, line {number}: {len(row)} fields, the head has "
                                f"{len(head)}: fetch it again")
        table = pd.DataFrame(rows, columns=head, dtype=str)
    if "mixture_ID" not in table or "source_1_path" not in table or not table.columns.is_unique:
        raise ViewError(f"{name} is no LibriMix metadata: it lacks mixture_ID or source_1_path, or "
                        f"has one twice: {', '.join(table.columns)}")
    if table.empty:
        raise ViewError(f"{name} lists no mixtures")
    twice = table.mixture_ID[table.mixture_ID.duplicated()]
    if len(twice):
        raise ViewError(f"{name}, line {twice.index[0] + 2}: {twice.iloc[0]} is there twice: keep "
                        "one of them")
    return table, name


def _sources(table: pd.DataFrame, name: str) -> int:
    numbers = sorted(int(found[1]) for column in table
                     if (found := re.fullmatch(r"source_(\d+)_path", column)))
    if numbers != list(range(1, len(numbers) + 1)):
        raise ViewError(f"{name} has sources {numbers}: they must be numbered 1, 2 ...")
    return len(numbers)


def _source(row: dict, who: str, find: "_Finder", at: str) -> tuple[str, int, int, int, float]:
    """(file, start, stop, offset, gain in dB) of one source of a line."""
    file = find(row[f"{who}_path"], at)
    text = row.get(f"{who}_gain", "1")            # finished sources have no gain left to apply
    gain = _number(text)
    if not (np.isfinite(gain) and gain > 0):
        raise ViewError(f"{at}: {who}_gain is {text!r}: it must be a number above 0")
    samples = find.samples[file]
    start, stop, offset = (_whole(row, f"{who}_{what}", default, at)
                           for what, default in zip(CUT, (0, samples, 0), strict=True))
    return file, start, min(stop, samples), offset, round(20 * float(np.log10(gain)), 9)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _whole(row: dict, column: str, default: int, at: str) -> int:
    text = row.get(column, "")
    if text == "":
        return default
    value = _number(text)
    if not (value >= 0 and value % 1 == 0):
        raise ViewError(f"{at}: {column} is {text!r}: it must be a whole number")
    return int(value)


class _Finder:
    """Finds a recording of the corpus by the end of a path from elsewhere."""

    def __init__(self, corpus: Corpus):
        table = corpus.table
        self.folder = corpus.folder
        self.samples, self.split, self.category = (
            dict(zip(table.file, table[column], strict=True))
            for column in ("samples", "split", "category"))
        self._by_name = {}
        for file in table.file:
            self._by_name.setdefault(file.rsplit("/", 1)[-1], []).append(file)

    def __call__(self, path: str, at: str) -> str:
        if path in self.samples:
            return path
        parts = path.replace("\\", "/").split("/")
        found = []
        for suffix in ("", ".flac"):              # .flac: converted by open_corpus
            wanted = [*parts[:-1], parts[-1] + suffix]
            found += [(_shared(file.split("/"), wanted), file)
                      for file in self._by_name.get(wanted[-1], [])]
        best = [file for shared, file in found if shared == max(found)[0]]
        if len(best) != 1:
            fault = f"fits {best[0]} and {best[1]}" if best else "is not in"
            raise ViewError(f"{at}: {path} {fault} the corpus {self.folder}: is it the right one?")
        return best[0]


def _shared(one: list[str], other: list[str]) -> int:
    """How many parts two paths have in common, from the end."""
    pairs = list(zip(reversed(one), reversed(other), strict=False))
    return next((n for n, (a, b) in enumerate(pairs) if a != b), len(pairs))
