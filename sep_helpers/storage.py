"""The storage experiment: what does it cost to store mixtures, and what to mix them when asked?

An example is a mixture and its sources. Stored, it is one .npy file a signal, each a complex
spectrogram; described, it is a few lines of a view, and its cuts are read from WAV, FLAC, a memory
map or RAM. `rates` times how fast each way gives items, `making` what they cost to make and keep.
Everything runs interleaved, so that a busy machine slows all ways down alike.
"""

import shutil
import statistics
import time
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from sep_helpers.corpora import Corpus
from sep_helpers.permutation import pit
from sep_helpers.stft import stft
from sep_helpers.storage_ways import READERS, Described, Stored
from sep_helpers.views import FrozenView, Recipe, freeze

WAYS = (".npy spectrograms", "WAV", "FLAC", "memory map", "RAM")
SPECTRA = ("none", "in the item", "in the model")      # where the STFT is computed
BATCH = 8


class Experiment:
    """`n` examples of `seconds` out of a mono corpus, kept in every way below `folder`.

    About 0.4 MB of disk an example and second (8 kHz, two sources) are needed; `clean` frees them.
    """

    def __init__(self, corpus: Corpus, folder: str | Path, n: int = 200, seconds: float = 2.0,
                 seed: int = 0):
        self.corpus, self.folder, self.n = corpus, Path(folder), n
        self.recipe = Recipe("storage", "train", n_mixtures=n, seconds=seconds, seed=seed,
                             sample_rate=corpus.sample_rate)
        self.mixtures = FrozenView(corpus, freeze(corpus, self.recipe)).mixtures
        files = sorted({cut.file for cuts in self.mixtures for cut in cuts})
        self.readers = {name: make(corpus, self.folder / _folder(name), files)
                        for name, make in READERS.items()}
        self.stored = Stored(self.folder / "npy", n, self.recipe.n_sources)
        started = time.perf_counter()
        self.stored.write(Described(self.readers["RAM"], self.mixtures, spectra=True))
        self.store_seconds = time.perf_counter() - started

    def dataset(self, way: str, spectra: str = "none") -> Dataset:
        """The examples in one of WAYS, their spectra computed as one of SPECTRA says."""
        if way == WAYS[0]:
            return self.stored
        return Described(self.readers[way], self.mixtures, spectra == "in the item")

    def rates(self, rounds: int = 3, workers: tuple[int, ...] = (0, 2),
              step: float | None = None) -> pd.DataFrame:
        """Items a second of every way and place of the STFT, the median of interleaved rounds.

        -> way, stft, "items/s" (asked for one by one) and "items/s, N workers" (by a DataLoader, in
        batches of 8). With "in the model" the STFT of a batch is computed at once, and counts.
        With `step`, the seconds of a training step (see `step_seconds`), also "% of a step", the
        time for one item against it.
        """
        cases = [(WAYS[0], "stored")] + [(way, place) for way in WAYS[1:] for place in SPECTRA]
        found = {case: [] for case in cases}
        for _ in range(rounds):
            for way, place in cases:
                items, batched = self.dataset(way, place), place == "in the model"
                found[way, place].append([one_by_one(items, batched),
                                          *(loaded(items, batched, n) for n in workers)])
        names = ["items/s", *(f"items/s, {n} workers" for n in workers)]
        table = pd.DataFrame([{"way": way, "stft": place} | dict(zip(names, map(
            statistics.median, zip(*values, strict=True)), strict=True))
            for (way, place), values in found.items()])
        return table if step is None else table.assign(
            **{"% of a step": 100 / table["items/s"] / step})

    def making(self, counts: tuple[int, ...] = (1_000, 10_000)) -> pd.DataFrame:
        """What examples cost to make and to keep: a line for a stored and a described example.

        -> "seconds for N", "MB for N" for each of `counts`, and "measured on": stored examples are
        measured on the `n` there are and scaled up, described ones are drawn, all of them. (The
        corpus itself, `self.corpus_bytes` as FLAC, has to be there either way.)
        """
        size = sum(file.stat().st_size for file in self.stored.folder.iterdir())
        stored, described = {}, {}
        for count in counts:
            stored |= {f"seconds for {count:,}": self.store_seconds * count / self.n,
                       f"MB for {count:,}": size * count / self.n / 1e6}
            started = time.perf_counter()
            table = freeze(self.corpus, replace(self.recipe, n_mixtures=count))
            text = table.to_csv(index=False).encode()
            described |= {f"seconds for {count:,}": time.perf_counter() - started,
                          f"MB for {count:,}": len(text) / 1e6}
        return pd.DataFrame([stored | {"measured on": self.n}, described | {"measured on": count}],
                            index=["stored (.npy)", "described (view)"])

    @property
    def corpus_bytes(self) -> int:
        """Bytes of the recordings that the examples are cut from, as FLAC."""
        return sum(file.stat().st_size for file in (self.folder / "FLAC").rglob("*.flac"))

    def clean(self) -> None:
        """Delete what was stored, and nothing else that lies in the folder."""
        self.readers.clear()
        for folder in (self.stored.folder, *(self.folder / _folder(name) for name in READERS)):
            shutil.rmtree(folder, ignore_errors=True)


def _folder(way: str) -> str:
    return way.replace(" ", "_")


def one_by_one(items: Dataset, batched_stft: bool = False) -> float:
    """Items a second when asked for one after the other; an STFT in the model takes BATCH at once.
    """
    started, waiting = time.perf_counter(), []
    for index in range(len(items)):
        item = items[index]
        if batched_stft:
            waiting.append(item)
            if len(waiting) == BATCH or index == len(items) - 1:
                stft(torch.stack(waiting))
                waiting = []
    return len(items) / (time.perf_counter() - started)


def loaded(items: Dataset, batched_stft: bool = False, workers: int = 0) -> float:
    """Items a second from a DataLoader, in its second epoch: the workers have been started then."""
    loader = DataLoader(items, BATCH, num_workers=workers, persistent_workers=workers > 0)
    for _ in range(2):
        started = time.perf_counter()
        for batch in loader:
            if batched_stft:
                stft(batch)
    return len(items) / (time.perf_counter() - started)


def step_seconds(model: nn.Module, samples: int, batch: int = 1, steps: int = 5) -> float:
    """Seconds of one training step (forward, PIT, backward, Adam), the median of some."""
    optimizer = torch.optim.Adam(model.parameters(), 0.0)
    sources = torch.randn(batch, model.n_sources, samples,
                          generator=torch.Generator().manual_seed(0))
    times = [time.perf_counter()]
    for _ in range(steps + 1):
        optimizer.zero_grad()
        (-pit(model(sources.sum(1)), sources)[0].mean()).backward()
        optimizer.step()
        times.append(time.perf_counter())
    return statistics.median(b - a for a, b in pairwise(times[1:]))


def stacking(items: int = 32, shape: tuple[int, ...] = (2, 16000), rounds: int = 5) -> pd.Series:
    """Milliseconds to make one tensor of a list of arrays, each way the median of some rounds."""
    arrays = [np.zeros(shape, np.float32) for _ in range(items)]
    ways = {"torch.Tensor(list)": lambda: torch.Tensor(arrays),
            "torch.tensor(np.array(list))": lambda: torch.tensor(np.array(arrays)),
            "torch.from_numpy(np.stack(list))": lambda: torch.from_numpy(np.stack(arrays))}
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, make in ways.items():
            started = time.perf_counter()
            with warnings.catch_warnings(action="ignore"):      # torch knows that the first is slow
                make()
            found[name].append(1e3 * (time.perf_counter() - started))
    return pd.Series({name: statistics.median(times) for name, times in found.items()}, name="ms")
