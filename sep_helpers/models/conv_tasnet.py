"""Conv-TasNet: learned encoder, mask-estimating TCN, learned decoder.

Luo & Mesgarani, "Conv-TasNet: surpassing ideal time-frequency magnitude masking for speech
separation", IEEE/ACM TASLP 2019. Names N L B H Sc P X R are the paper's (Table I).

In stereo (`channels: 2`) a filter is a pair of signals, one a channel: the encoder hears both,
one mask a source serves both, and the decoder plays both, as Defossez et al. did for music
("Music source separation in the waveform domain", 2019, section 4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.blocks import NORMS, Pointwise, PReLU, TCNBlock
from sep_helpers.models.waveform import check_mixture

MASKS = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softmax": lambda x: torch.softmax(x, dim=1),    # over the sources: masks sum to one
    "linear": lambda x: x,
}
ENCODERS = {"linear": lambda w: w, "relu": torch.relu}
ENDS = ("padded", "bare")
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
    "mask": "sigmoid",   # sigmoid, relu, softmax or linear
    "n_sources": 2,
    "sample_rate": 8000,
}
EXTRAS = {                 # options that a config names only where it departs from them
    "encoder": "linear",   # what follows the encoder's filters: linear or relu (Table III)
    "channels": 1,         # of the mixture and of every estimate
    "ends": "padded",      # zeros around the mixture; bare: whole frames only, as asteroid does
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
            x = x + residual
            total += skip
        return total if self.has_skip else x


class ConvTasNet(nn.Module):
    """Separator: mixture (batch, time) -> estimates (batch, source, time), any length; in stereo
    (batch, channel, time) -> (batch, source, channel, time).

    Use `sep_helpers.models.build(config)`, which checks the configuration.
    """

    DEFAULTS, EXTRAS = DEFAULTS, EXTRAS
    ABSENT = {"Sc": 0}                   # what a key stands for that a config leaves out
    CHOICES = {"norm": NORMS, "mask": MASKS, "encoder": ENCODERS, "ends": ENDS}

    @staticmethod
    def objection(c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["L"] % 2:
            return f"L={c['L']} must be even: the hop is L / 2"
        if c["P"] % 2 == 0 and not c["causal"]:
            return f"P={c['P']} must be odd unless causal: an even filter has no middle tap"
        if c["causal"] and c["norm"] == "gLN":
            return ("causal=True with norm='gLN' would look into the future: gLN's mean and "
                    "variance run over the whole utterance; use norm='cLN'")
        return None

    def __init__(self, config: dict):
        super().__init__()
        self.config, c = dict(config), {**EXTRAS, **config}
        self.n_sources, self.sample_rate = c["n_sources"], c["sample_rate"]
        self.causal = c["causal"]
        self.n_filters, self.length, self.hop = c["N"], c["L"], c["L"] // 2
        self.channels = c["channels"]
        self.encoder = nn.Conv1d(self.channels, c["N"], c["L"], stride=self.hop, bias=False)
        self.decoder = nn.ConvTranspose1d(c["N"], self.channels, c["L"], stride=self.hop,
                                          bias=False)
        self.encoder_activation, self.mask = ENCODERS[c["encoder"]], MASKS[c["mask"]]
        self.padded = c["ends"] == "padded"
        self.norm = NORMS[c["norm"]](c["N"])
        self.bottleneck = Pointwise(c["N"], c["B"])
        self.tcn = self.make_separator(c)
        self.activation = PReLU()
        self.to_masks = Pointwise(c.get("Sc") or c["B"], c["n_sources"] * c["N"])

    @staticmethod
    def make_separator(c: dict) -> nn.Module:
        """What stands between bottleneck and masks: (batch, frame, B) -> (batch, frame, Sc or B)"""
        return TCN(*(c[k] for k in ("B", "H", "Sc", "P", "X", "R", "norm", "causal")))

    def encode(self, mixture: Tensor) -> Tensor:
        """(batch, time) -> (batch, frame, N): every frame of L samples times the filters (eq. 2).

        Zeros before and after, half a frame at least, let every sample lie in two frames; with
        bare ends the frames begin at the first sample, and a tail that fills none is lost.
        """
        time = mixture.shape[-1]
        if self.padded:
            x = F.pad(mixture, (self.hop, -time % self.hop + self.hop))
        else:
            x = F.pad(mixture, (0, max(0, self.length - time)))
        frames = x.unfold(-1, self.length, self.hop)
        if self.channels > 1:                                    # (batch, frame, channel L)
            frames = frames.transpose(1, 2).flatten(2)
        return self.encoder_activation(F.linear(frames, self.encoder.weight.flatten(1)))

    def masks(self, w: Tensor) -> Tensor:
        """(batch, frame, N) -> (batch, source, frame, N)."""
        y = self.activation(self.tcn(self.bottleneck(self.norm(w))))
        y = self.to_masks(y).unflatten(-1, (self.n_sources, self.n_filters))
        return self.mask(y.transpose(1, 2))

    def decode(self, d: Tensor, time: int) -> Tensor:
        """(batch, source, frame, N) -> (batch, source, time): overlap-add of the filters (eq. 3).

        With a hop of L / 2, a frame's first half meets the second half of the frame before. The
        product goes frame by frame, source by source, as `masks` has left them in memory.
        """
        frames = (d.transpose(1, 2) @ self.decoder.weight.flatten(1)).transpose(1, 2)
        if self.channels > 1:                                    # (batch, source, channel, frame L)
            frames = frames.unflatten(-1, (self.channels, self.length)).transpose(2, 3)
        first, second = frames[..., : self.hop], frames[..., self.hop :]
        if not self.padded:      # the first and the last half frame are sound, too
            first, second = F.pad(first, (0, 0, 0, 1)), F.pad(second, (0, 0, 1, 0))
            y = (first + second).flatten(-2)
            return F.pad(y, (0, time - y.shape[-1]))
        return (first[..., 1:, :] + second[..., :-1, :]).flatten(-2)[..., :time]

    def forward(self, mixture: Tensor) -> Tensor:
        w = self.encode(check_mixture(mixture, self))
        return self.decode(self.masks(w) * w.unsqueeze(1), mixture.shape[-1])
