"""What a network will cost and see, before it is trained: size, view, latency, work, memory.

    calculate(read_config("conv_tasnet")).table()
    table_ii()                 the paper's Table II beside what this package counts
"""

import math
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from sep_helpers.models import sizes
from sep_helpers.models.config import NETWORKS, ConfigError, check, complete

FLOAT = 4               # bytes of a float32
COPIES = 4              # of every weight in a training: itself, its gradient, Adam's two moments


@dataclass(frozen=True)
class Figures:
    """A network's figures; samples and seconds are at its own sample rate."""

    config: dict
    parameters: dict[str, int]         # trainable values, part by part
    receptive_field: float             # samples that a frame's masks can see; inf: everything
    latency: float                     # samples to wait for before one is final; inf: all of them
    multiply_adds: dict[str, float]    # a second of sound, part by part
    training_bytes: int                # of one training step, see `training_memory`
    batch: int                         # mixtures in that step
    seconds: float                     # length of each

    def table(self) -> pd.DataFrame:
        """The figures in words, one row each."""
        rate = self.config["sample_rate"]
        reach = "everything" if math.isinf(self.receptive_field) else \
            f"{self.receptive_field / rate:.3g} s ({self.receptive_field:,} samples)"
        wait = "the whole utterance" if math.isinf(self.latency) else \
            f"{1e3 * self.latency / rate:.3g} ms ({self.latency:,} samples)"
        rows = {
            "parameters": f"{sum(self.parameters.values()):,}",
            "receptive field": reach,
            "latency of the algorithm": wait,
            "multiply-adds a second of sound": f"{sum(self.multiply_adds.values()) / 1e9:.3g} G",
            f"memory of a training step, {self.batch} x {self.seconds:g} s, at least":
                f"{self.training_bytes / 1e6:,.0f} MB",
        }
        return pd.DataFrame({"figure": rows.values()}, index=pd.Index(rows, name="what"))

    def parts(self) -> pd.DataFrame:
        """One row a part: its parameters, and its multiply-adds a second in millions."""
        work = {part: value / 1e6 for part, value in self.multiply_adds.items()}
        return pd.DataFrame({"parameters": self.parameters, "multiply-adds a second, M": work},
                            index=list(self.parameters)).fillna(0.0)


def calculate(config: dict, batch: int = 1, seconds: float = 4.0, device="cpu") -> Figures:
    """The figures of a whole config (see `models.check`; `models.complete` fills one up).

    batch, seconds and device are the training step's. Raises ConfigError for a config that
    cannot be built or is no TasNet's, ValueError for a batch or a length that is no step.
    """
    full = check(config)
    if "L" not in full:
        raise ConfigError(f"{full['name']} is no TasNet: the calculator knows networks of N "
                          "filters of L samples; models.count_parameters counts any network")
    return Figures(full, sizes.parameters(full), sizes.receptive_field(full), sizes.latency(full),
                   sizes.multiply_adds(full), training_memory(full, batch, seconds, device), batch,
                   seconds)


def training_memory(config: dict, batch: int = 1, seconds: float = 4.0, device="cpu") -> int:
    """Bytes that a float32 training step with Adam holds at least: weights and activations.

    The activations are what the network itself keeps for its backward pass, weighed on two short
    inputs and continued in a straight line; the loss, the buffers of single operations and the
    libraries come on top (4 s through the paper's best: 380 MB by this, a peak of 519 MB).
    A GPU takes other ways through a block and keeps more: name it as `device` where there is one.
    """
    full = check(config)
    if batch < 1 or not 0 < seconds < math.inf:
        raise ValueError(f"a training step of {batch} mixtures of {seconds} s: take at least one "
                         "mixture, and a length above 0")
    with torch.random.fork_rng(devices=[]):
        separator = NETWORKS[full["name"]](full).to(device)
    hop = sizes.frame_hop(full)
    frames = max(2 ** full.get("X", 0), 2 * full.get("chunk", 0), 64)
    short, long = (kept_for_backward(separator, (1, n * frames * hop)) for n in (1, 2))
    slope = (long - short) / frames                                   # bytes a frame
    activations = batch * (short + slope * (seconds * full["sample_rate"] / hop - frames))
    return round(COPIES * FLOAT * sum(sizes.parameters(full).values()) + max(activations, 0))


def kept_for_backward(separator: nn.Module, shape: tuple[int, int]) -> int:
    """Bytes of all tensors that a forward pass of a mixture of that shape keeps, weights apart."""
    weights = {p.untyped_storage().data_ptr() for p in separator.parameters()}
    kept = {}

    def weigh(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        mixture = torch.randn(shape).to(next(separator.parameters()).device)
        with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
            estimates = separator(mixture)
    total = sum(kept.values())
    del estimates                        # until here, or the addresses would be used again
    return total


# Luo & Mesgarani 2019, Table II: N, L, B, H, Sc, X, R, norm, causal; receptive field in s, size in
# M and SI-SNRi in dB as printed. The size of the fourth row does not follow from that row.
COLUMNS = ("N", "L", "B", "H", "Sc", "X", "R", "norm", "causal")
TABLE_II = (
    (128, 40, 128, 256, 128, 7, 2, "gLN", False, 1.28, 1.5, 13.0),
    (256, 40, 128, 256, 128, 7, 2, "gLN", False, 1.28, 1.5, 13.1),
    (512, 40, 128, 256, 128, 7, 2, "gLN", False, 1.28, 1.7, 13.3),
    (512, 40, 128, 256, 256, 7, 2, "gLN", False, 1.28, 2.4, 13.0),
    (512, 40, 128, 512, 128, 7, 2, "gLN", False, 1.28, 3.1, 13.3),
    (512, 40, 128, 512, 512, 7, 2, "gLN", False, 1.28, 6.2, 13.5),
    (512, 40, 256, 256, 256, 7, 2, "gLN", False, 1.28, 3.2, 13.0),
    (512, 40, 256, 512, 256, 7, 2, "gLN", False, 1.28, 6.0, 13.4),
    (512, 40, 256, 512, 512, 7, 2, "gLN", False, 1.28, 8.1, 13.2),
    (512, 40, 128, 512, 128, 6, 4, "gLN", False, 1.27, 5.1, 14.1),
    (512, 40, 128, 512, 128, 4, 6, "gLN", False, 0.46, 5.1, 13.9),
    (512, 40, 128, 512, 128, 8, 3, "gLN", False, 3.83, 5.1, 14.5),
    (512, 32, 128, 512, 128, 8, 3, "gLN", False, 3.06, 5.1, 14.7),
    (512, 16, 128, 512, 128, 8, 3, "gLN", False, 1.53, 5.1, 15.3),
    (512, 16, 128, 512, 128, 8, 3, "cLN", True, 1.53, 5.1, 10.6),
)


def table_ii() -> pd.DataFrame:
    """The paper's Table II: its letters, what it prints, and what is counted here, row by row."""
    rows = []
    for row in TABLE_II:
        letters = dict(zip(COLUMNS, row, strict=False))
        full = complete({"name": "conv_tasnet", "P": 3, "sample_rate": 8000, **letters})
        rows.append({**letters, "receptive field s, paper": row[-3],
                     "receptive field s": sizes.receptive_field(full) / 8000,
                     "size M, paper": row[-2],
                     "size M": sum(sizes.parameters(full).values()) / 1e6,
                     "G multiply-adds a second": sum(sizes.multiply_adds(full).values()) / 1e9,
                     "SI-SNRi dB, paper": row[-1]})
    return pd.DataFrame(rows)
