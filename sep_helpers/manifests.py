"""manifest.csv: which recordings a corpus has, what sounds in each, and which split it is for.

Three kinds of corpora, told apart by their columns: `speaker`; `category` (sound classes); `track`
and `stem` (music). Whatever the kind, the table has a column `category`: what a source is told by.
"""
import csv
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

SPLITS = ("train", "val", "test")
KINDS = {"speaker": ["speaker"], "category": ["category"], "stem": ["track", "stem"]}
TEXT = dict.fromkeys(["file", "speaker", "category", "track", "stem", "split"], str)


class CorpusError(ValueError):
    """A folder, manifest or recording that cannot be used, named, with the remedy."""


def read_manifest(folder: Path) -> tuple[pd.DataFrame, str]:
    """(rows of folder/manifest.csv, kind of corpus), checked without opening a recording.

    The column `split` may be missing; `category` is added where the manifest has other names for
    it. Raises CorpusError for the first fault, with its line.
    """
    path = folder / "manifest.csv"
    try:
        refuse_ragged(path)
        table = pd.read_csv(path, dtype=TEXT, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, UnicodeDecodeError, csv.Error, OSError) as error:
        said = " ".join(str(error).split())
        raise CorpusError(f"{path} is not a CSV table ({said}): write it again") from None
    kind = kind_of(table.columns)
    if kind is None or "file" not in table:
        names = "file" if kind else "speaker (or category, or track and stem)"
        raise CorpusError(f"{path} lacks the column {names}: it has {', '.join(table.columns)}")
    if table.empty:
        raise CorpusError(f"{path} lists no recordings: add a row for each")
    table = with_category(table, kind)
    _refuse(path, table.file[table.file.duplicated()], "listed twice: keep one row")
    for column in {"category", *(KINDS[kind] if kind != "stem" else ["track"])}:
        named = kind if column == "category" else column
        _refuse(path, table.file[table[column].str.strip() == ""], f"without a {named}: name one")
    if "split" in table:
        faulty = table.split[~table.split.isin(SPLITS)]
        _refuse(path, faulty, f"not a split: use {', '.join(SPLITS)}")
    _refuse_lost(path, table.file)
    if "samples" in table:
        samples = pd.to_numeric(table.samples, errors="coerce")
        wrong = ~((samples > 0) & (samples < 2**53)) | (samples % 1 != 0)
        _refuse(path, table.samples[wrong], "no number of samples: correct it")
        table["samples"] = samples.astype(int)
    return table, kind


def kind_of(columns: Iterable[str]) -> str | None:
    """The kind of corpus that has such columns; None if it has none of the names."""
    columns = set(columns)
    if "track" in columns and columns & {"stem", "category"}:
        return "stem"
    return next((kind for kind in ("speaker", "category") if kind in columns), None)


def with_category(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The table with the column `category`, which is the speaker or the stem where it has none."""
    return table if "category" in table else table.assign(category=table[kind])


def refuse_ragged(path: Path) -> None:
    """Raise CorpusError for the first row with more or fewer fields than the head."""
    with open(path, encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        head = next(rows, None)
        if not head:
            raise csv.Error("it is empty")
        twice = {name for name in head if head.count(name) > 1}
        if twice:
            raise CorpusError(f"{path} has the column {sorted(twice)[0]!r} twice: rename one")
        for row in rows:
            if len(row) != len(head) and row:
                raise CorpusError(f"{path}, line {rows.line_num}: {len(row)} fields, the head has "
                                  f"{len(head)}: is there a comma without quotes?")


def _refuse(path: Path, faulty: pd.Series, fault: str) -> None:
    if len(faulty):
        more = f" (and {len(faulty) - 1} more)" if len(faulty) > 1 else ""
        value = str(faulty.iloc[0])
        raise CorpusError(f"{path}, row {faulty.index[0] + 2}: {value!r}{more} is {fault}")


def _refuse_lost(path: Path, files: pd.Series) -> None:
    """Raise CorpusError for files that are not below the manifest's folder."""
    folder = path.parent
    outside = files.str.contains(r"^[/\\~]|^\w:|(?:^|[/\\])\.\.(?:[/\\]|$)")
    _refuse(path, files[outside], f"outside {folder}: paths are relative to the manifest")
    unseen = files[~files.isin(files_below(folder))]   # behind a link, or not there
    lost = unseen[[not (folder / file).is_file() for file in unseen]]
    _refuse(path, lost, "not there: fetch it again or delete its row")


def files_below(folder: Path) -> set[str]:
    """Every file in the folder, as a path relative to it with forward slashes; links to folders
    are not followed."""
    found, start = set(), len(str(folder)) + 1
    for root, _, names in os.walk(folder):
        below = root[start:].replace(os.sep, "/")
        found.update(f"{below}/{name}" for name in names) if below else found.update(names)
    return found
