"""Views: mixtures that are described, not stored.

A recipe says how mixtures are drawn; a view is the CSV it draws, one line a source; a mixture
exists only while somebody listens to it. Validation and test views are frozen in their CSV;
training mixtures are drawn afresh each epoch from (seed, epoch, index) alone, so they do not
depend on workers, on the machine or on where a run was interrupted.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import soxr
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sep_helpers import audio, rooms
from sep_helpers.audio import AudioError
from sep_helpers.augmentation import Augmentation, AugmentationError, augment, generator
from sep_helpers.corpora import Corpus, CorpusError
from sep_helpers.drawing import draw, freeze  # noqa: F401
from sep_helpers.ledger import account, coverage  # noqa: F401
from sep_helpers.pools import candidates, split_by_files  # noqa: F401
from sep_helpers.recipes import Recipe, ViewError
from sep_helpers.view_table import (  # noqa: F401
    COLUMNS,
    NOISE,
    OPTIONAL,
    Cut,
    check,
    faults,
    parse_csv,
    read_csv,
    write_csv,
)


def write_view(path: str | Path, corpus: Corpus, recipe: Recipe,
               noise: Corpus | None = None) -> pd.DataFrame:
    """Draw a frozen view: its CSV at `path`, its recipe beside it as .yaml; returns the table.

    A recipe of the same content that lies there already is left as somebody wrote it; another one
    is replaced together with its view. Raises ViewError for a file that this would destroy.
    """
    path, beside = Path(path), Path(path).with_suffix(".yaml")
    if path.suffix in (".yaml", ".yml"):
        raise ViewError(f"{path} is the name of a recipe: give the view a name in .csv")
    there = beside.exists() and _is_recipe(beside, recipe)
    if beside.exists() and not there and not path.exists():
        raise ViewError(f"{beside} has no view beside it and would be overwritten: give the view "
                        "another name")
    table = freeze(corpus, recipe, noise)
    write_csv(table, path)
    if not there:
        recipe.save(beside)
    return table


def _is_recipe(path: Path, recipe: Recipe) -> bool:
    try:
        return Recipe.load(path) == recipe
    except ViewError:
        return False


def open_view(path: str | Path, corpus: Corpus, noise: Corpus | None = None,
              skip: bool = False) -> "FrozenView":
    """The frozen view of a CSV; if its recipe lies beside it, the corpus is split as that says."""
    beside = Path(path).with_suffix(".yaml")
    if beside.exists():
        corpus = split_by_files(corpus, Recipe.load(beside).files)
    return FrozenView(corpus, read_csv(path, corpus, noise), noise, skip)


def resample_cut(corpus: Corpus, cut: Cut, speed: float) -> Tensor:
    """The cut's samples, played `speed` times as fast: more of the file, or less, is read."""
    x = corpus.waveform(cut.file)
    if speed == 1.0:
        return x[..., cut.start : cut.stop]
    wanted = cut.stop - cut.start
    start = max(0, min(cut.start, x.shape[-1] - round(wanted * speed)))
    slow = x[..., start : start + round(wanted * speed)].movedim(-1, 0).numpy()
    y = torch.from_numpy(soxr.resample(slow, speed, 1.0, quality="MQ"))
    return y.movedim(0, -1)[..., :wanted]


def mix(corpus: Corpus, cuts: list[Cut], speeds=None, noise: Corpus | None = None) -> dict:
    """One item: {"id", "mixture" (time,), "sources" (source, time), "cuts"}; mixture = sum.

    Where the mixture holds more than its sources, background noise, or the reflections of a room
    whose target is the direct sound, the item has "noise" (time,) too, and mixture = sum + noise.
    Of a stereo corpus everything is (..., channel, time).
    """
    voices = [cut for cut in cuts if cut.source != NOISE]
    rest, sources = None, None          # in numpy, whose small operations take half of torch's time
    for number, (cut, speed) in enumerate(zip(voices, speeds or [1.0] * len(voices), strict=True)):
        x = resample_cut(corpus, cut, speed).numpy()
        if sources is None:
            sources = np.zeros((len(voices), *x.shape[:-1], cut.length), np.float32)
        if not cut.room:
            _land(sources[number], x, cut)
            continue
        wet, direct = rooms.play(x, cut.room, corpus.sample_rate)
        if rooms.wants_direct(cut.room):
            rest = _land(np.zeros_like(sources[0]) if rest is None else rest, wet, cut)
            rest -= _land(sources[number], direct, cut)
        else:
            _land(sources[number], wet, cut)
    for cut in (cut for cut in cuts if cut.source == NOISE):
        x = resample_cut(noise or corpus, cut, 1.0).numpy()
        rest = _land(np.zeros_like(sources[0]) if rest is None else rest, x, cut)
    sources = torch.from_numpy(sources)
    item = {"id": cuts[0].mixture_id, "mixture": sources.sum(0), "sources": sources, "cuts": cuts}
    if rest is not None:
        item["noise"] = torch.from_numpy(rest)
        item["mixture"] = item["mixture"] + item["noise"]
    return item


def _land(into: np.ndarray, x: np.ndarray, cut: Cut) -> np.ndarray:
    """Add x, with the cut's gain, where the cut lands in `into` (..., time), up to its end."""
    part = into[..., cut.offset : cut.offset + x.shape[-1]]
    part += x[..., : part.shape[-1]] * np.float32(audio.gain(cut.gain_db))
    return into


def _item(view, name: str, cuts: Callable[[], list[Cut]], speeds=None) -> dict:
    """A mixture, or ViewError naming it; of a view that skips, {"id", "fault"} instead."""
    try:
        return mix(view.corpus, cuts(), speeds, view.noise)
    except (AudioError, CorpusError, ViewError, OSError) as error:
        fault = f"{name}: {error}"
        if view.skip:
            return {"id": name, "fault": fault}
        raise ViewError(f"{fault} (`skip=True` leaves such mixtures out, and counts them)"
                        ) from None


class FrozenView(Dataset):
    """The mixtures of a view table, in its order. Raises ViewError for a line it cannot serve.

    A recording that cannot be read stops the epoch with its name, or, with `skip`, is left out:
    `collate` then names what it lacks in `batch["skipped"]`, and warns.
    """

    def __init__(self, corpus: Corpus, table: pd.DataFrame, noise: Corpus | None = None,
                 skip: bool = False):
        check(table, corpus, noise=noise)
        self.corpus, self.noise, self.skip = corpus, noise, skip
        columns = COLUMNS + [c for c in OPTIONAL if c in table]
        mixtures = {}
        for cut in map(Cut, *(table[c].tolist() for c in columns)):
            mixtures.setdefault(cut.mixture_id, []).append(cut)
        self.mixtures = [sorted(cuts, key=lambda cut: cut.source % len(cuts))     # noise last
                         for cuts in mixtures.values()]

    def __len__(self) -> int:
        return len(self.mixtures)

    def __getitem__(self, index: int) -> dict:
        cuts = self.mixtures[index]
        return _item(self, cuts[0].mixture_id, lambda: cuts)


class LiveView:
    """Mixtures without end: `epoch(e)` is the Dataset of epoch e, a pure function of the seed."""

    def __init__(self, corpus: Corpus, recipe: Recipe, noise: Corpus | None = None,
                 skip: bool = False):
        self.corpus, self.recipe, self.noise, self.skip = corpus, recipe, noise, skip
        self.pool = candidates(corpus, recipe, noise)
        self.augmentation = Augmentation.of(recipe.augment)
        try:
            self.augmentation.refuse_mono(corpus.channels)
        except AugmentationError as error:
            raise ViewError(f"recipe {recipe.name!r}: augment: {error}") from None
        # remixed: the same stems in the same places, but each from a song of its own
        self.remixed = replace(self.pool, tracks=[], recipe=replace(
            recipe, together=None, in_order=recipe.in_order or bool(recipe.together)))

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
        changes = generator(recipe.seed, self.number, index)
        pool = view.remixed if changes.uniform() < view.augmentation.remix else view.pool
        rng = np.random.default_rng((recipe.seed, self.number, index, 1))
        speeds = (1 + recipe.speed * rng.uniform(-1, 1, recipe.n_sources)).tolist()
        if pool.recipe.together:
            speeds = speeds[:1] * recipe.n_sources
        item = _item(view, f"{recipe.name}_{index:05d}",
                     lambda: draw(view.corpus, recipe, index, self.number, pool), speeds)
        return augment(item, view.augmentation, changes) if recipe.augment and "sources" in item \
            else item


def collate(items: list[dict]) -> dict:
    """Batch of items padded to the longest.

    -> {"id" list, "mixture" (batch, time), "sources" (batch, source, time), "lengths" (batch,),
    "skipped" list}; stereo items give (batch, channel, time) and (batch, source, channel, time).
    What lies beyond an item's length is padding and has no part in a loss. `skipped` names the
    mixtures that a view with `skip` could not read; they are not in the batch.
    """
    skipped = [item["fault"] for item in items if "fault" in item]
    items = [item for item in items if "fault" not in item]
    if not items:
        raise ViewError(f"no mixture of the batch can be read: {(*skipped, 'it is empty')[0]}; "
                        "take larger batches, or leave these out of the view")
    if skipped:
        print(f"left out {len(skipped)} mixtures:", *skipped, sep="\n  ")
    shapes = {tuple(item["sources"].shape[:-1]) for item in items}
    if len(shapes) > 1:
        raise ViewError(f"mixtures of {' and '.join(map(str, sorted(shapes)))} sources in a batch: "
                        "take them one by one, or draw a view with one number")
    return {
        "id": [item["id"] for item in items],
        "mixture": _padded([item["mixture"] for item in items]),
        "sources": _padded([item["sources"] for item in items]),
        "lengths": torch.tensor([item["mixture"].shape[-1] for item in items]),
        "skipped": skipped,
    }


def _padded(tensors: list[Tensor]) -> Tensor:
    """Tensors (..., time) as one (batch, ..., longest time), zeros behind the shorter ones."""
    batch = tensors[0].new_zeros(len(tensors), *tensors[0].shape[:-1],
                                 max(x.shape[-1] for x in tensors))
    for row, x in zip(batch, tensors, strict=True):
        row[..., : x.shape[-1]] = x
    return batch
