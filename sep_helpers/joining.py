"""Several corpora as one: a folder of its own with all their recordings, ready to train on.

The manifest says of every recording where it comes from (`corpus`, `source`), under which licence,
and by whom, as far as the corpora say it; so a network trained on the folder can say it, too.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sep_helpers.corpora import Corpus, open_corpus
from sep_helpers.manifests import CorpusError

KEPT = ("sex", "licence", "author", "title", "url")     # columns that go along where they are
HEARD = ("corpus", "source", "who", "split", "licence", "author", "title", "url")


@dataclass(frozen=True)
class Part:
    """One of the corpora that are joined, and which of its recordings."""

    folder: str | Path
    where: dict = field(default_factory=dict)       # e.g. {"split": "train", "language": "en"}
    licence: str = ""                               # where the manifest does not say it
    called: dict = field(default_factory=dict)      # categories' other names: {"dog_bark": "dog"}


def join(folder: str | Path, parts: dict[str, Part], sample_rate: int = 8000) -> Corpus:
    """Copy the recordings of all parts into `folder`, and open it: the parts' order is kept.

    Speakers get their part's name in front of theirs, for two corpora may know an "anna" each;
    categories keep their names, rain being rain in both. Splits are those of the parts. What lies
    in `folder` already is not copied again. Raises CorpusError for parts of two kinds, or none.
    """
    if not parts:
        raise CorpusError(f"{folder}: nothing to join: name at least one corpus")
    folder, tables, kinds = Path(folder), [], {}
    for name, part in parts.items():
        corpus = open_corpus(part.folder, sample_rate, alone=True)
        kinds[corpus.kind] = name
        if len(kinds) > 1:
            raise CorpusError(f"{' and '.join(kinds.values())} are corpora of {' and '.join(kinds)}"
                              ": join those of one kind")
        rows = corpus.select(**part.where)
        if rows.empty:
            raise CorpusError(f"{name}: {part.folder} has no recordings with {part.where}")
        _copy(corpus, rows.file, folder / name)
        tables.append(_described(rows, name, part, corpus.kind))
    draft = folder / f".manifest.{os.getpid()}"
    pd.concat(tables).to_csv(draft, index=False)
    os.replace(draft, folder / "manifest.csv")
    return open_corpus(folder, sample_rate, alone=True)


def _copy(corpus: Corpus, files: pd.Series, target: Path) -> None:
    for file in files:
        source, copy = corpus.folder / file, target / file
        if copy.exists() and copy.stat().st_size == source.stat().st_size:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        draft = copy.with_name(f".{copy.name}.{os.getpid()}")
        shutil.copyfile(source, draft)
        os.replace(draft, copy)


def _described(rows: pd.DataFrame, name: str, part: Part, kind: str) -> pd.DataFrame:
    """The lines of one part in the manifest of the whole."""
    who = {"speaker": f"{name}/" + rows.category.astype(str),
           "category": rows.category.replace(part.called)}
    if kind not in who:
        raise CorpusError(f"{name}: songs in stems are not joined: open them one by one")
    source = rows["source_file"] if "source_file" in rows else rows["file"]
    table = pd.DataFrame({"file": f"{name}/" + rows.file, kind: who[kind], "split": rows.split,
                          "samples": rows.samples, "corpus": name, "source": source})
    for column in KEPT:
        if column in rows:
            table[column] = rows[column]
    if "licence" not in table:
        table["licence"] = part.licence
    return table


def heard(corpus: Corpus, rows: pd.DataFrame) -> pd.DataFrame:
    """What a training heard: one line a recording, to be published with the network.

    Columns, where known: corpus, source (the file's name there), who, split, licence, author,
    title, url.
    """
    table = rows.assign(who=rows[corpus.kind])
    table = table[[column for column in HEARD if column in table]].fillna("")
    return table.loc[:, (table != "").any()].sort_values(["corpus", "source"], ignore_index=True)
