"""The ways to keep examples that the storage experiment compares: readers of cuts, and datasets.

An example is (1 + source, time), the mixture first, or its STFT (1 + source, freq, frame).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sep_helpers import audio
from sep_helpers.corpora import Corpus
from sep_helpers.stft import stft
from sep_helpers.views import Cut


class Ram:
    """Cuts of recordings that the corpus holds in RAM."""

    def __init__(self, corpus: Corpus, folder: Path, files: list[str]):
        self.corpus = corpus
        for file in files:
            corpus.waveform(file)

    def cut(self, file: str, start: int, stop: int) -> np.ndarray:
        return self.corpus.waveform(file)[start:stop].numpy()


class Files:
    """Cuts read with soundfile from copies in one format; a file is opened for every cut."""

    def __init__(self, corpus: Corpus, folder: Path, files: list[str], suffix: str):
        self.folder, self.suffix = folder, suffix
        for file in files:
            copy = self._path(file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            x = corpus.waveform(file)
            audio.write(copy, x / x.abs().max().clamp_min(1), corpus.sample_rate)

    def _path(self, file: str) -> Path:
        return (self.folder / file).with_suffix(self.suffix)

    def cut(self, file: str, start: int, stop: int) -> np.ndarray:
        return soundfile.read(self._path(file), stop - start, start, dtype="float32")[0]


class Mapped:
    """Cuts of one big file of 16-bit samples that is mapped into memory."""

    def __init__(self, corpus: Corpus, folder: Path, files: list[str]):
        lengths = [len(corpus.waveform(file)) for file in files]
        self.begins = dict(zip(files, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True))
        self.path = folder / "corpus.int16"
        folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("wb") as out:
            for file in files:
                samples = (32768 * corpus.waveform(file)).round().clamp(-32768, 32767)
                out.write(samples.to(torch.int16).numpy().tobytes())
        self.samples = np.memmap(self.path, np.int16, "r")

    def cut(self, file: str, start: int, stop: int) -> np.ndarray:
        begin = self.begins[file]
        return self.samples[begin + start : begin + stop] * np.float32(1 / 32768)


READERS: dict[str, Callable] = {
    "WAV": lambda *given: Files(*given, ".wav"), "FLAC": lambda *given: Files(*given, ".flac"),
    "memory map": Mapped, "RAM": Ram,
}


class Described(Dataset):
    """Mixtures of a view, mixed from what a reader cuts: (1 + source, time), the mixture first."""

    def __init__(self, reader, mixtures: list[list[Cut]], spectra: bool = False):
        self.reader, self.mixtures, self.spectra = reader, mixtures, spectra

    def __len__(self) -> int:
        return len(self.mixtures)

    def __getitem__(self, index: int) -> Tensor:
        cuts = self.mixtures[index]
        signals = np.zeros((1 + len(cuts), cuts[0].length), np.float32)
        for row, cut in zip(signals[1:], cuts, strict=True):
            x = self.reader.cut(cut.file, cut.start, cut.stop)
            row[cut.offset : cut.offset + len(x)] = x * np.float32(audio.gain(cut.gain_db))
        np.add.reduce(signals[1:], 0, out=signals[0])
        signals = torch.from_numpy(signals)
        return stft(signals) if self.spectra else signals


class Stored(Dataset):
    """The same examples as files, one a signal: (1 + source, freq, frame), complex."""

    def __init__(self, folder: Path, n: int, n_sources: int):
        self.folder, self.n, self.n_sources = Path(folder), n, n_sources

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.stack([np.load(self.path(index, signal))
                                          for signal in range(1 + self.n_sources)]))

    def path(self, index: int, signal: int) -> Path:
        return self.folder / f"{index:05d}_{signal}.npy"

    def write(self, examples: Dataset) -> None:
        """Store what the examples give."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for index in range(self.n):
            for signal, values in enumerate(examples[index]):
                np.save(self.path(index, signal), values.numpy())
