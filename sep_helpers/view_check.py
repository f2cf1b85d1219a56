"""Check a whole view without training: every line, every recording, every cut, and what leaks."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from sep_helpers import rooms
from sep_helpers.audio import AudioError
from sep_helpers.conversion import SILENCE_DB
from sep_helpers.corpora import Corpus
from sep_helpers.drawing import cut_db
from sep_helpers.manifests import CorpusError
from sep_helpers.view_table import NOISE, ViewError, faults

PROBLEMS = ["line", "mixture_id", "file", "fault"]


def walk(table: pd.DataFrame, corpus: Corpus, noise: Corpus | None = None,
         progress: Callable[[Iterable], Iterable] = iter) -> pd.DataFrame:
    """Every line of a view that cannot be used: line (of its CSV), mixture_id, file, fault.

    First what `view_table.faults` finds; then every recording is read, once, and every cut looked
    at: one that is silent from end to end is a fault, unless stems are silent, which is theirs to
    be. `progress` is wrapped around the recordings, as tqdm is.
    """
    table = table.reset_index(drop=True)
    found = faults(table, corpus, noise)
    sound = table.drop(index=[line - 2 for line in found])
    for (is_noise, file), cuts in progress(sound.groupby([sound["source"] == NOISE, "file"])):
        found |= _of_a_file(file, cuts, (noise or corpus) if is_noise else corpus)
    found |= _of_rooms(sound, corpus)
    rows = [(line, table["mixture_id"][line - 2], table["file"][line - 2], found[line])
            for line in sorted(found)]
    return pd.DataFrame(rows, columns=PROBLEMS)


def _of_a_file(file: str, cuts: pd.DataFrame, corpus: Corpus) -> dict[int, str]:
    """Line -> fault, of the sound lines that are cut from one recording."""
    try:
        corpus.waveform(file)
    except (AudioError, CorpusError, OSError) as error:
        return {row + 2: str(error) for row in cuts.index}
    if corpus.kind == "stem":
        return {}
    return {row + 2: f"{file} is silent from {start} to {stop}: draw another cut"
            for row, start, stop in zip(cuts.index, cuts["start"].astype(int),
                                        cuts["stop"].astype(int), strict=True)
            if start < stop and cut_db(corpus, file, start, stop) <= SILENCE_DB}


def _of_rooms(sound: pd.DataFrame, corpus: Corpus) -> dict[int, str]:
    """Line -> fault, of the rooms, which are computed here, and kept for the mixing."""
    found = {}
    for room, lines in sound.groupby("room") if "room" in sound else ():
        try:
            if room:
                rooms.responses(room, corpus.sample_rate)
        except ViewError as error:
            found |= {row + 2: str(error) for row in lines.index}
    return found


def leaks(tables: dict[str, pd.DataFrame], column: str = "file") -> list[str]:
    """A line for every two views of different splits that share what they must not.

    `column` is "file", which no two splits may share, or "category" where voices must not be
    shared either.
    """
    found, names = [], list(tables)
    for number, one in enumerate(names):
        for other in names[number + 1:]:
            if set(tables[one]["split"]) == set(tables[other]["split"]):
                continue
            shared = sorted(set(tables[one][column]) & set(tables[other][column]))
            if shared:
                more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
                found.append(f"{one} and {other} share the {column} {shared[0]}{more}: what is "
                             "tested must not train")
    return found


def summary(table: pd.DataFrame, sample_rate: int) -> dict:
    """What a view holds, in numbers: mixtures, sources, seconds, gains, overlap, bytes a line."""
    sources = table[table["source"] != NOISE]
    of_id = sources.groupby("mixture_id")
    lengths = of_id["length"].first()
    count = of_id.size()
    sounding = (sources["stop"] - sources["start"]).groupby(sources["mixture_id"]).sum()
    share = sounding / (lengths * count)
    return {
        "mixtures": len(lengths), "lines": len(table), "noise lines": len(table) - len(sources),
        "splits": ", ".join(sorted(set(table["split"]))),
        "sources a mixture": _range(count), "categories": sources["category"].nunique(),
        "recordings": sources["file"].nunique(), "minutes": lengths.sum() / sample_rate / 60,
        "seconds a mixture": _range(lengths / sample_rate), "gain (dB)": _range(sources["gain_db"]),
        "share of a mixture that a source sounds": _range(share),
        "bytes a line": len(table.to_csv(index=False).encode()) / len(table),
    }


def _range(values: pd.Series) -> str:
    low, high = np.round([values.min(), values.max()], 2)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
