"""Views: mixtures that are described, not stored.

A recipe says how mixtures are drawn; a view is the CSV it draws, one line a source; a mixture
exists only while somebody listens to it. Validation and test views are frozen in their CSV;
training mixtures are drawn afresh each epoch from (seed, epoch, index) alone, so they do not
depend on workers, on the machine or on where a run was interrupted.
"""

from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd
import soxr
import torch
import yaml
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from sep_helpers import audio
from sep_helpers.corpora import Corpus
from sep_helpers.view_table import (  # noqa: F401
    COLUMNS,
    Cut,
    ViewError,
    check,
    coverage,
    read_csv,
    write_csv,
)

WHOLE = {"n_sources": 1, "n_mixtures": 1, "seed": 0, "sample_rate": 1}      # the smallest
RANGES = {"seconds": (0.01, 3600), "rms_db": (-100, 0), "level_db": (0, 60), "speed": (0, 0.9)}


@dataclass(frozen=True)
class Recipe:
    """How the mixtures of one view are drawn."""

    name: str
    split: str                          # of the corpus: train, val or test
    heard: bool | None = None           # True: voices that also train, False: voices that don't
    where: dict = field(default_factory=dict)   # further columns, e.g. {"language": "en"}
    n_sources: int = 2
    n_mixtures: int = 100               # of a frozen view, or of a live view's epoch
    seconds: float | None = None        # None: whole recordings, cut to the shortest
    rms_db: float = -25.0               # level of the recording a source is cut from (dB, RMS) ...
    level_db: float = 2.5               # ... give or take this much, drawn evenly for each source
    speed: float = 0.0                  # live views: play a cut up to this share faster or slower
    seed: int = 0
    sample_rate: int = 8000

    def __post_init__(self):
        for key, smallest in WHOLE.items():
            value = getattr(self, key)
            if type(value) is not int or value < smallest:
                raise ViewError(f"recipe {self.name!r}: {key}={value!r} must be a whole number, "
                                f"{smallest} or more")
        for key, (low, high) in RANGES.items():
            value = getattr(self, key)
            if key == "seconds" and value is None:
                continue
            if type(value) not in (int, float) or not low <= value <= high:
                raise ViewError(f"recipe {self.name!r}: {key}={value!r} must be a number from "
                                f"{low} to {high}")

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a recipe from YAML. Raises ViewError for an unknown or missing key."""
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            values = None
        if not isinstance(values, dict):
            raise ViewError(f"{path}: is no recipe: write a YAML file of lines like 'split: train'")
        known = [f.name for f in fields(cls)]
        faults = ([f"unknown key {key!r}" for key in values if key not in known]
                  + [f"no key {key!r}" for key in ("name", "split") if key not in values])
        if faults:
            raise ViewError(f"{path}: {', '.join(faults)}: a recipe has {', '.join(known)}")
        return cls(**values)

    def save(self, path: str | Path) -> None:
        Path(path).write_text(yaml.safe_dump(asdict(self), sort_keys=False), encoding="utf-8")


def candidates(corpus: Corpus, recipe: Recipe) -> dict[str, pd.DataFrame]:
    """speaker -> its recordings that the recipe may use.

    Raises ViewError if they are too few, or at another rate than the recipe's.
    """
    if recipe.sample_rate != corpus.sample_rate:
        raise ViewError(f"recipe {recipe.name!r} is for {recipe.sample_rate} Hz, {corpus.folder} "
                        f"is open at {corpus.sample_rate}: give both the same sample_rate")
    table = corpus.select(split=recipe.split, heard=recipe.heard, **recipe.where)
    by_speaker = {str(name): rows for name, rows in table.groupby("speaker")}
    if len(by_speaker) < recipe.n_sources:
        raise ViewError(
            f"recipe {recipe.name!r}: {recipe.n_sources} sources need as many speakers, but "
            f"{corpus.folder} has {len(by_speaker)} for split={recipe.split!r}, "
            f"heard={recipe.heard}, {recipe.where}: record more voices or relax the recipe"
        )
    return by_speaker


def draw(corpus: Corpus, recipe: Recipe, index: int, epoch: int = 0, voices=None) -> list[Cut]:
    """The cuts of one mixture, decided by (recipe.seed, epoch, index) and nothing else.

    `voices` is `candidates(corpus, recipe)`, to be passed when many mixtures are drawn.
    """
    voices = candidates(corpus, recipe) if voices is None else voices
    rng = np.random.default_rng((recipe.seed, epoch, index))
    speakers = rng.choice(sorted(voices), recipe.n_sources, replace=False)
    rows = [voices[s].iloc[rng.integers(len(voices[s]))] for s in speakers]
    length = min(int(r.samples) for r in rows)
    if recipe.seconds is not None:
        length = round(recipe.seconds * recipe.sample_rate)
    cuts = []
    for source, row in enumerate(rows):
        start = int(rng.integers(max(0, int(row.samples) - length) + 1))
        stop = min(start + length, int(row.samples))
        level = recipe.rms_db + rng.uniform(-recipe.level_db, recipe.level_db)
        gain_db = round(level - corpus.rms_db(row.file), 2)
        cuts.append(Cut(f"{recipe.name}_{index:05d}", recipe.split, length, source,
                        row.speaker, row.file, start, stop, 0, gain_db))
    return cuts


def freeze(corpus: Corpus, recipe: Recipe) -> pd.DataFrame:
    """The whole view as a table with the columns of `Cut`."""
    if recipe.speed:
        raise ViewError(f"recipe {recipe.name!r}: speed={recipe.speed} changes samples, so it is "
                        "for live views only: set speed to 0 before freezing")
    voices = candidates(corpus, recipe)
    drawn = [draw(corpus, recipe, i, voices=voices) for i in range(recipe.n_mixtures)]
    return pd.DataFrame([astuple(cut) for cuts in drawn for cut in cuts], columns=COLUMNS)


def resample_cut(corpus: Corpus, cut: Cut, speed: float) -> Tensor:
    """The cut's samples, played `speed` times as fast: more of the file, or less, is read."""
    x = corpus.waveform(cut.file)
    if speed == 1.0:
        return x[cut.start : cut.stop]
    wanted = cut.stop - cut.start
    start = max(0, min(cut.start, len(x) - round(wanted * speed)))
    y = soxr.resample(x[start : start + round(wanted * speed)].numpy(), speed, 1.0, quality="MQ")
    return torch.from_numpy(y)[:wanted]


def mix(corpus: Corpus, cuts: list[Cut], speeds=None) -> dict:
    """One item: {"id", "mixture" (time,), "sources" (source, time), "cuts"}; mixture = sum."""
    sources = torch.zeros(len(cuts), cuts[0].length)
    for row, cut, speed in zip(sources, cuts, speeds or [1.0] * len(cuts), strict=True):
        x = resample_cut(corpus, cut, speed)
        row[cut.offset : cut.offset + len(x)] = x * audio.gain(cut.gain_db)
    return {"id": cuts[0].mixture_id, "mixture": sources.sum(0), "sources": sources, "cuts": cuts}


class FrozenView(Dataset):
    """The mixtures of a view table, in its order. Raises ViewError for a line it cannot serve."""

    def __init__(self, corpus: Corpus, table: pd.DataFrame):
        check(table, corpus)
        self.corpus = corpus
        self.mixtures = [[Cut(*row) for row in rows[COLUMNS].itertuples(index=False)]
                         for _, rows in table.groupby("mixture_id", sort=False)]

    def __len__(self) -> int:
        return len(self.mixtures)

    def __getitem__(self, index: int) -> dict:
        return mix(self.corpus, self.mixtures[index])


class LiveView:
    """Mixtures without end: `epoch(e)` is the Dataset of epoch e, a pure function of the seed."""

    def __init__(self, corpus: Corpus, recipe: Recipe):
        self.corpus, self.recipe = corpus, recipe
        self.voices = candidates(corpus, recipe)

    def epoch(self, epoch: int) -> "LiveEpoch":
        return LiveEpoch(self, epoch)


class LiveEpoch(Dataset):
    """One epoch of a live view."""

    def __init__(self, view: LiveView, epoch: int):
        self.view, self.number = view, epoch

    def __len__(self) -> int:
        return self.view.recipe.n_mixtures

    def __getitem__(self, index: int) -> dict:
        view, recipe = self.view, self.view.recipe
        if not 0 <= index < len(self):
            raise IndexError(index)
        cuts = draw(view.corpus, recipe, index, self.number, view.voices)
        rng = np.random.default_rng((recipe.seed, self.number, index, 1))
        speeds = 1 + recipe.speed * rng.uniform(-1, 1, len(cuts))
        return mix(view.corpus, cuts, speeds.tolist())


def collate(items: list[dict]) -> dict:
    """Batch of items padded to the longest.

    -> {"id" list, "mixture" (batch, time), "sources" (batch, source, time), "lengths" (batch,)}
    """
    sources = pad_sequence([item["sources"].T for item in items], batch_first=True).mT.contiguous()
    return {
        "id": [item["id"] for item in items],
        "mixture": sources.sum(1),
        "sources": sources,
        "lengths": torch.tensor([len(item["mixture"]) for item in items]),
    }
