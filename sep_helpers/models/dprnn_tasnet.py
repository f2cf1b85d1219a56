"""DPRNN-TasNet: Conv-TasNet with its TCN replaced by a dual-path recurrent network.

Luo, Chen & Yoshioka, "Dual-path RNN: efficient long sequence modeling for time-domain
single-channel speech separation", ICASSP 2020. The frames are cut into half-overlapping chunks;
one BLSTM runs inside each chunk, the next one across the chunks, and so on; overlap-add.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.blocks import GlobalNorm
from sep_helpers.models.conv_tasnet import EXTRAS, ConvTasNet


class Path(nn.Module):
    """BLSTM, linear layer, gLN and a residual (eq. 2-6): (batch, row, step, B) -> the same.

    Every row is a sequence of its own; mean and variance of gLN run over all rows and steps.
    """

    def __init__(self, B: int, H: int):
        super().__init__()
        self.rnn = nn.LSTM(B, H, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * H, B)
        self.norm = GlobalNorm(B)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x.flatten(0, 1).contiguous())
        y = self.norm(self.linear(y).unflatten(0, x.shape[:2]).flatten(1, 2))
        return x + y.unflatten(1, x.shape[1:3])


class DualPath(nn.Module):
    """R times within and across chunks of `chunk` frames: (batch, frame, B) -> the same."""

    def __init__(self, B: int, H: int, chunk: int, R: int):
        super().__init__()
        self.hop = chunk // 2
        self.paths = nn.ModuleList(
            nn.ModuleDict({"within": Path(B, H), "across": Path(B, H)}) for _ in range(R))

    def segment(self, x: Tensor) -> Tensor:
        """(batch, frame, B) -> (batch, C, chunk, B): chunks that overlap by half.

        Zeros before and after let every frame lie in exactly two chunks.
        """
        x = F.pad(x, (0, 0, self.hop, self.hop + -x.shape[1] % self.hop))
        return x.unfold(1, 2 * self.hop, self.hop).mT

    def overlap_add(self, chunks: Tensor, frames: int) -> Tensor:
        """(batch, C, chunk, B) -> (batch, frame, B): the sum of the two chunks a frame lies in."""
        first, second = chunks[:, :, : self.hop], chunks[:, :, self.hop :]
        return (first[:, 1:] + second[:, :-1]).flatten(1, 2)[:, :frames]

    def forward(self, x: Tensor) -> Tensor:
        chunks = self.segment(x)
        for path in self.paths:
            chunks = path["within"](chunks)
            chunks = path["across"](chunks.transpose(1, 2)).transpose(1, 2)
        return self.overlap_add(chunks, x.shape[1])


class DPRNNTasNet(ConvTasNet):
    """Conv-TasNet's encoder, masks and decoder around a dual-path network.

    The masks come from the overlapped-and-added frames through PReLU and one linear layer, as in
    Conv-TasNet. The paper's best has filters of two samples: long sequences, slow and good.
    """

    DEFAULTS = {
        "N": 64,             # encoder filters
        "L": 2,              # filter length in samples; the hop is L / 2
        "B": 64,             # channels between the recurrent layers
        "H": 128,            # units of a recurrent layer in each direction
        "chunk": 250,        # frames of a chunk (250, 200, 150, 100 for L = 2, 4, 8, 16)
        "R": 6,              # times within and across
        "norm": "gLN",       # before the bottleneck
        "causal": False,
        "mask": "sigmoid",
        "n_sources": 2,
        "sample_rate": 8000,
    }
    EXTRAS, ABSENT = EXTRAS, {}

    @staticmethod
    def objection(c: dict) -> str | None:
        """Why these values do not go together, or None."""
        for key in ("L", "chunk"):
            if c[key] % 2:
                return f"{key}={c[key]} must be even: the hop is half of it"
        if c["causal"]:
            return ("causal=True would look into the future: the layers within a chunk read it "
                    "backwards, too, and gLN hears the whole utterance; use causal=False")
        return None

    @staticmethod
    def make_separator(c: dict) -> nn.Module:
        """What stands between bottleneck and masks: (batch, frame, B) -> the same."""
        return DualPath(c["B"], c["H"], c["chunk"], c["R"])
