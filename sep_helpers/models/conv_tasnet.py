"""Conv-TasNet: learned encoder, mask-estimating TCN, learned decoder.

Luo & Mesgarani, "Conv-TasNet: surpassing ideal time-frequency magnitude masking for speech
separation", IEEE/ACM TASLP 2019. Names N L B H Sc P X R are the paper's (Table I).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.blocks import NORMS, Pointwise, PReLU, TCNBlock

MASKS = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softmax": lambda x: torch.softmax(x, dim=1),    # over the sources: masks sum to one
    "linear": lambda x: x,
}
DEFAULTS = {
    "N": 512,            # encoder filters
    "L": 16,             # filter length in samples; the hop is L / 2
    "B": 128,            # channels of the bottleneck and the residual paths
    "H": 512,            # channels inside a block
    "Sc": 128,           # channels of the skip paths (0: none)
    "P": 3,              # taps of the depthwise convolutions
    "X": 8,              # blocks in a repeat, dilations 1, 2 ... 2^(X-1)
    "R": 3,              # repeats
    "norm": "gLN",       # gLN, cLN or BN
    "causal": False,
    "mask": "sigmoid",
    "n_sources": 2,
    "sample_rate": 8000,
}


class TCN(nn.Module):
    """R repeats of X blocks with dilations 1, 2 ... 2^(X-1); the skip outputs are summed.

    (batch, frame, B) -> (batch, frame, Sc), or the last residual (batch, frame, B) for Sc = 0.
    """

    def __init__(self, B: int, H: int, Sc: int, P: int, X: int, R: int, norm: str, causal: bool):
        super().__init__()
        # One ModuleList over repeats AND blocks: a name without the repeat's index would
        # overwrite the first repeat's blocks, and R would change nothing.
        self.blocks = nn.ModuleList(
            TCNBlock(B, H, Sc, P, 2**x, norm, causal) for _ in range(R) for x in range(X)
        )
        self.has_skip = Sc > 0

    def forward(self, x: Tensor) -> Tensor:
        total = 0
        for block in self.blocks:
            residual, skip = block(x)
            x, total = x + residual, total + skip
        return total if self.has_skip else x


class ConvTasNet(nn.Module):
    """Separator: mixture (batch, time) -> estimates (batch, source, time), any length.

    Use `sep_helpers.models.build(config)`, which checks the configuration.
    """

    def __init__(self, config: dict):
        super().__init__()
        self.config = {"name": "conv_tasnet", **config}
        c = {**DEFAULTS, **config}
        self.n_sources, self.sample_rate = c["n_sources"], c["sample_rate"]
        self.causal = c["causal"]
        self.n_filters, self.length, self.hop = c["N"], c["L"], c["L"] // 2
        self.encoder = nn.Conv1d(1, c["N"], c["L"], stride=self.hop, bias=False)
        self.decoder = nn.ConvTranspose1d(c["N"], 1, c["L"], stride=self.hop, bias=False)
        self.norm = NORMS[c["norm"]](c["N"])
        self.bottleneck = Pointwise(c["N"], c["B"])
        self.tcn = TCN(*(c[k] for k in ("B", "H", "Sc", "P", "X", "R", "norm", "causal")))
        self.activation = PReLU()
        self.to_masks = Pointwise(c["Sc"] or c["B"], c["n_sources"] * c["N"])
        self.mask = MASKS[c["mask"]]

    def encode(self, mixture: Tensor) -> Tensor:
        """(batch, time) -> (batch, frame, N): every frame of L samples times the filters (eq. 2).

        Zeros before and after, half a frame at least, let every sample lie in two frames.
        """
        time = mixture.shape[-1]
        to_whole_hops = -time % self.hop
        padded = F.pad(mixture, (self.hop, to_whole_hops + self.hop))
        return F.linear(padded.unfold(-1, self.length, self.hop), self.encoder.weight.squeeze(1))

    def masks(self, w: Tensor) -> Tensor:
        """(batch, frame, N) -> (batch, source, frame, N)."""
        y = self.activation(self.tcn(self.bottleneck(self.norm(w))))
        y = self.to_masks(y).unflatten(-1, (self.n_sources, self.n_filters))
        return self.mask(y.transpose(1, 2))

    def decode(self, d: Tensor, time: int) -> Tensor:
        """(batch, source, frame, N) -> (batch, source, time): overlap-add of the filters (eq. 3).

        With a hop of L / 2, a frame's first half meets the second half of the frame before.
        """
        frames = d @ self.decoder.weight.squeeze(1)                          # (..., frame, L)
        first, second = frames[..., : self.hop], frames[..., self.hop :]
        return (first[..., 1:, :] + second[..., :-1, :]).flatten(-2)[..., :time]

    def forward(self, mixture: Tensor) -> Tensor:
        w = self.encode(mixture)
        return self.decode(self.masks(w) * w.unsqueeze(1), mixture.shape[-1])
