"""What a separator stands between: floors, which have learnt nothing, and ceilings, which know.

A system is a function (mixture ([channel,] time), sources (source, [channel,] time)) -> estimates
like the sources. It may peek at them, as the oracles do. What others separated, with whatever
program, is a system, too: `Recorded`.
"""

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sep_helpers import audio, masks

System = Callable[[Tensor, Tensor], Tensor]
FLOORS = ("mixture", "random mask")
CEILINGS = ("ideal IBM", "ideal IRM", "ideal WFM", "ideal PSM", "ideal complex")
MASKS = dict(zip(CEILINGS, ("ibm", "irm", "wfm", "psm", "cirm"), strict=True))


def mixture_system() -> System:
    """The floor: hands out the mixture for every source, improvement 0 dB."""
    return lambda mixture, sources: mixture.expand_as(sources)


def oracle_system(mask: str, n_fft: int = 256, hop: int = 64, seed: int = 0) -> System:
    """A ceiling: separates with the ideal mask of that name (a key of `masks.MASKS`), each channel
    with masks of its own.
    """
    def separate(mixture: Tensor, sources: Tensor) -> Tensor:
        if sources.dim() == 2:
            return masks.oracle(mask, mixture, sources, n_fft, hop, seed=seed)
        by_channel = masks.oracle(mask, mixture, sources.transpose(0, 1), n_fft, hop, seed=seed)
        return by_channel.transpose(0, 1)
    return separate


def random_mask_system(seed: int = 0, n_fft: int = 256, hop: int = 64) -> System:
    """Another floor: masks of random numbers. What a network has to beat to have learnt at all."""
    return oracle_system("random", n_fft, hop, seed)


def floors_and_ceilings(n_fft: int = 256, hop: int = 64, seed: int = 0) -> dict[str, System]:
    """{name: system}: FLOORS, then CEILINGS, with one analysis for all masks.

    Binary, ratio, Wiener-like, phase-sensitive and complex; the complex one undoes the mixing
    itself, so its ceiling is that of the STFT: none.
    """
    floors = dict(zip(FLOORS, (mixture_system(), random_mask_system(seed, n_fft, hop)),
                      strict=True))
    return floors | {name: oracle_system(mask, n_fft, hop) for name, mask in MASKS.items()}


class RecordedError(ValueError):
    """Estimates in files that are no estimates of a mixture, in one line with the remedy."""


class Recorded:
    """The estimates that lie in a folder, whoever made them: <mixture_id>_source1.wav, ...

    `python -m sep_helpers separate` calls its outputs so. They are measured as they are: nothing is
    resampled, cut or padded, and a mixture whose estimates do not fit is a failed one.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        first = next(iter(sorted(self.folder.glob("*_source1.wav"))), None)
        if first is None:
            raise RecordedError(f"{self.folder} has no estimates: they are called like "
                                "unseen_00000_source1.wav, after the mixture's id")
        self.sample_rate = audio.probe(first)[1]

    def of(self, item: dict) -> Tensor:
        """The estimates of one mixture of a view, (source, [channel,] time). RecordedError."""
        name, sources = item["id"], item["sources"]
        files = [f for f in self.folder.glob("*_source*.wav")
                 if re.fullmatch(re.escape(name) + r"_source\d+", f.stem)]
        if len(files) != len(sources):
            raise RecordedError(f"{self.folder} has {len(files)} estimates of {name}, which has "
                                f"{len(sources)} sources: separate it again, into as many")
        channels = sources.shape[1] if sources.dim() == 3 else 1
        files.sort(key=lambda f: int(f.stem.rsplit("_source", 1)[1]))
        return torch.stack([self._read(f, sources.shape[-1], channels) for f in files])

    def _read(self, file: Path, length: int, channels: int) -> Tensor:
        samples, rate, has = audio.probe(file)
        if rate != self.sample_rate:
            raise RecordedError(f"{file.name} is at {rate} Hz, others at {self.sample_rate}: write "
                                "all of them at the rate of the view")
        if has != channels:
            raise RecordedError(f"{file.name} has {has} channels, the sources have {channels}: "
                                "write the estimates with as many")
        if samples != length:
            raise RecordedError(f"{file.name} has {samples} samples, its source {length}: pad what "
                                "is missing with zeros, it counts as error; nothing is cut to fit")
        return audio.read(file, channels=channels)
