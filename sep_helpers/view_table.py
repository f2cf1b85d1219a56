"""A view's table, one line a source: its columns, its CSV, and what it must not say.

The CSV is the truth. Background noise is a line like any other with source -1, its `file` in the
corpus of the noise; a mixture may have several, one after the other. Mixtures in simulated rooms
have one more column, `room` (see `rooms`), that says where everything stands.
"""

import csv
import os
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from sep_helpers import rooms
from sep_helpers.corpora import Corpus
from sep_helpers.manifests import CorpusError, refuse_ragged
from sep_helpers.recipes import ViewError

NOISE = -1              # the source number of background noise
MAX_GAIN_DB = 100.0     # beyond it a line is a slip: a recording at -80 dB is brought to -25 by 55
MAX_SECONDS = 3600.0    # of a mixture


@dataclass(frozen=True)
class Cut:
    """One line of a view: a stretch of one recording, and where it lands in its mixture."""

    mixture_id: str
    split: str
    length: int        # of the mixture, in samples
    source: int        # 0, 1 ...; -1: background noise
    category: str      # the speaker, the sound class or the stem
    file: str          # relative to the corpus (noise: to the corpus of the noise)
    start: int         # the cut, in samples of the file; start = stop: silent in this mixture
    stop: int
    offset: int        # where the cut begins in the mixture
    gain_db: float     # applied to the samples as read
    room: str = ""     # where source and microphone stand, if anywhere: see rooms


OPTIONAL = ["room"]
COLUMNS = [f.name for f in fields(Cut) if f.name not in OPTIONAL]
TEXT = ["mixture_id", "split", "category", "file", *OPTIONAL]
WHOLE = ["length", "source", "start", "stop", "offset"]     # whole numbers


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a view, whole or not at all; the same table gives the same bytes."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        table.to_csv(draft, index=False, lineterminator="\n")
        os.replace(draft, path)
    except OSError as error:
        raise ViewError(f"{path}: could not be written ({error.strerror or error}): "
                        "is the disk full?") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def read_csv(path: str | Path, corpus: Corpus, noise: Corpus | None = None) -> pd.DataFrame:
    """Read a view and check every line against the corpus. Raises ViewError, see `check`."""
    table = parse_csv(path)
    refuse_rate(path, corpus)
    check(table, corpus, path, noise)
    return table.astype(dict.fromkeys(WHOLE, int))


def parse_csv(path: str | Path) -> pd.DataFrame:
    """The columns of a view, numbers as numbers (NaN where they are none), nothing else checked."""
    try:
        refuse_ragged(Path(path))
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False,
                            encoding="utf-8-sig")
    except OSError as error:
        raise ViewError(f"{path} cannot be read ({error.strerror}): check the name") from None
    except (CorpusError, pd.errors.ParserError, csv.Error, UnicodeDecodeError) as error:
        said = " ".join(str(error).removeprefix(f"{path}, ").split())   # pandas ends in new lines
        raise ViewError(f"{path} is not a CSV table ({said}): draw the view again") from None
    missing = [c for c in COLUMNS if c not in table]
    if missing:
        raise ViewError(f"{path}: columns {', '.join(missing)} are missing: a view has "
                        f"{', '.join(COLUMNS)}")
    if table.empty:
        raise ViewError(f"{path} has no mixtures: draw the view again")
    numbers = {c: pd.to_numeric(table[c], errors="coerce") for c in COLUMNS if c not in TEXT}
    return table.assign(**numbers)[COLUMNS + [c for c in OPTIONAL if c in table]]


def refuse_rate(path: str | Path, corpus: Corpus) -> None:
    """Refuse a view whose recipe, lying beside it, is for another rate than the corpus'."""
    beside = Path(path).with_suffix(".yaml")
    with suppress(OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
        rate = yaml.safe_load(beside.read_text(encoding="utf-8")).get("sample_rate")
        if rate and rate != corpus.sample_rate:
            raise ViewError(f"{path} is for {rate} Hz, says {beside.name}, but {corpus.folder} is "
                            f"open at {corpus.sample_rate}: open it with sample_rate={rate}")


def refuse_noise(corpus: Corpus, noise: Corpus | None) -> None:
    """Refuse a corpus of noise that cannot be added to this corpus' sources. Raises ViewError."""
    if noise is not None and noise.sample_rate != corpus.sample_rate:
        raise ViewError(f"the noise in {noise.folder} is open at {noise.sample_rate} Hz, the "
                        f"sources at {corpus.sample_rate}: give both the same sample_rate")
    if noise is not None and noise.channels > corpus.channels:
        raise ViewError(f"the noise in {noise.folder} is open in stereo, the sources in mono: open "
                        "it with channels=1")


def check(table: pd.DataFrame, corpus: Corpus, path: str | Path = "view",
          noise: Corpus | None = None) -> None:
    """Refuse the first line that the corpus cannot serve. Raises ViewError."""
    wrong = faults(table, corpus, noise)
    if wrong:
        line, fault = min(wrong.items())
        others = len(wrong) - 1
        more = f" (and {others} more line{'s' * (others > 1)})" if others else ""
        raise ViewError(f"{path}, line {line}: {fault}{more}")


def faults(table: pd.DataFrame, corpus: Corpus, noise: Corpus | None = None) -> dict[int, str]:
    """Line of the CSV (the header is line 1) -> what is wrong with it, for every wrong line."""
    table = table.reset_index(drop=True)
    is_noise = table["source"] == NOISE
    refuse_noise(corpus, noise)
    found = {}
    for lines, served, remedy in ((table[~is_noise], corpus, "draw the view again"),
                                  (table[is_noise], noise or corpus, "give noise= its corpus")):
        for wrong, message in [*_of_a_line(lines, served, remedy), *_of_a_mixture(lines)]:
            for row in lines.index[np.asarray(wrong, bool)]:
                found.setdefault(int(row) + 2, message.format(**table.loc[row]))
    alone = is_noise & ~table["mixture_id"].isin(table["mixture_id"][~is_noise])
    for row in table.index[alone]:
        found.setdefault(int(row) + 2, f"{table.mixture_id[row]} has noise and no source: add one")
    return found


def _of_a_line(table: pd.DataFrame, corpus: Corpus, remedy: str) -> list[tuple]:
    """(lines that are wrong, what to say of one), the most basic faults first."""
    known = corpus.table.drop_duplicates("file").set_index("file")
    file, start, stop, length = (table[c] for c in ("file", "start", "stop", "length"))
    paths = {f: Path(f).is_absolute() or ".." in Path(f).parts for f in file.unique()}
    rooms_there = table["room"] if "room" in table else pd.Series("", table.index)
    bad_rooms = {text for text in rooms_there.unique() if text and not rooms.is_room(text)}
    return [
        (file.map(paths), "{file} leads outside the corpus folder: name files relative to it"),
        (~file.isin(known.index), "{file} is not in the corpus: " + remedy),
        ((table[WHOLE] % 1 != 0).any(axis=1),      # a missing number is NaN, and so is NaN % 1
         "length {length}, source {source}, start {start}, stop {stop}, offset {offset} must be "
         "whole numbers"),
        (table["source"] < NOISE, "source {source}: number sources 0, 1 ... (-1 is noise)"),
        (length.lt(1) | length.gt(MAX_SECONDS * corpus.sample_rate),
         "{mixture_id} is {length} samples long: a mixture has 1 to "
         f"{MAX_SECONDS * corpus.sample_rate:.0f}"),
        (start.lt(0) | start.gt(stop) | stop.gt(file.map(known["samples"])),
         "the cut {start}:{stop} does not fit into {file}: draw the view again"),
        (table["offset"].lt(0) | (table["offset"] + stop - start).gt(length),
         "the cut of {file} lands outside its mixture of {length} samples: move the offset"),
        (~np.isfinite(table["gain_db"]), "gain_db is {gain_db} for {file}: give a number"),
        (table["gain_db"].abs().gt(MAX_GAIN_DB),
         f"gain_db is {{gain_db}} for {{file}}: give at most {MAX_GAIN_DB:.0f} dB"),
        (table["split"] != file.map(known["split"]),
         "{file} is not for {split} in the corpus: it would leak, take another"),
        (table["category"] != file.map(known["category"]),
         "{file} is not of {category!r} in the corpus: correct the category"),
        (rooms_there.isin(bad_rooms), "room {room!r} is no room: see sep_helpers.rooms"),
        (rooms_there.ne("") & (corpus.channels > 1),
         "{file} is in a room, and rooms are mono: open the corpus with channels=1"),
    ]


def _of_a_mixture(table: pd.DataFrame) -> list[tuple]:
    """The same for what the lines of one mixture must not say together."""
    ids = table["mixture_id"]
    of_id = table.groupby("mixture_id")
    tests = [
        (ids.eq(""), "the line has no mixture_id: name its mixture"),
        (of_id["length"].transform("nunique").gt(1),
         "{mixture_id} has sources of several lengths: give them one"),
        (of_id["split"].transform("nunique").gt(1),
         "{mixture_id} is in several splits: two mixtures have one name, rename one"),
    ]
    if (table["source"] == NOISE).any():
        return tests
    return tests + [
        (table.duplicated(["mixture_id", "source"], keep=False),
         "{mixture_id} has source {source} twice: number them 0, 1 ..., or rename one mixture"),
        (of_id["source"].transform("max").ge(of_id["source"].transform("size")),
         "{mixture_id} lacks a source below {source}: number them 0, 1 ..."),
        (table.duplicated(["mixture_id", "file"]),
         "{file} occurs twice in {mixture_id}: nobody can part a recording from itself"),
    ]
