"""A U-Net over spectrograms: down to a small picture, up again, with a bridge at every size.

Jansson et al., "Singing voice separation with deep U-Net convolutional networks", 2017, section 3,
with fewer layers, all stems from one network, and soft masks that add up to the mixture.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.mask_network import FEATURES, MaskNetwork

SLOPE = 0.2      # of the leaky ReLUs on the way down, the paper's


class UNetMasks(MaskNetwork):
    """Magnitudes -> convolutions with stride 2 -> the same number of transposed ones -> masks."""

    DEFAULTS = {"depth": 4, "width": 16, "kernel": 5,
                **MaskNetwork.SHARED, "mask": "softmax", "n_fft": 1024, "hop": 256}
    EXTRAS = {"channels": 1}

    @classmethod
    def objection(cls, c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["kernel"] % 2 == 0:
            return f"kernel={c['kernel']} must be odd: an even one has no middle"
        if 2 ** c["depth"] > c["n_fft"] // 2:
            return (f"depth={c['depth']} halves {c['n_fft'] // 2 + 1} frequencies to nothing: take "
                    "less depth, or a larger n_fft")
        return super().objection(c)

    def __init__(self, config: dict):
        super().__init__(config)
        c = config
        self.planes = self.channels * FEATURES[c["features"]][1]        # pictures that come in
        out = self.n_outputs // self.n_freqs                            # and go out
        sizes = [self.planes, *(c["width"] * 2**level for level in range(c["depth"]))]
        self.down = nn.ModuleList(
            _layer(nn.Conv2d(a, b, c["kernel"], stride=2, padding=c["kernel"] // 2, bias=False),
                   nn.LeakyReLU(SLOPE)) for a, b in zip(sizes, sizes[1:], strict=False))
        # all but the lowest get what comes up and what the bridge brings: twice the pictures
        ups = [(b if level == c["depth"] - 1 else 2 * b, a) for level, (a, b)
               in enumerate(zip(sizes[1:], sizes[2:], strict=False), start=1)]
        self.up = nn.ModuleList(_layer(_wider(a, b, c["kernel"]), nn.ReLU())
                                for a, b in reversed(ups))
        self.last = _wider(2 * sizes[1] if ups else sizes[1], out, c["kernel"], bias=True)

    def estimate(self, features: Tensor) -> Tensor:
        _, frames, _ = features.shape
        x = features.unflatten(2, (self.channels, self.n_freqs, -1))
        x = x.permute(0, 2, 4, 1, 3).flatten(1, 2)                       # (batch, plane, frame, F)
        step = 2 ** len(self.down)
        x = F.pad(x, (0, -self.n_freqs % step, 0, -frames % step))
        bridges = []
        for layer in self.down:
            x = layer(x)
            bridges.append(x)
        bridges.pop()                                                    # the lowest is x itself
        for layer in self.up:
            x = torch.cat([layer(x), bridges.pop()], 1)
        x = self.last(x)[:, :, :frames, :self.n_freqs]
        return x.transpose(1, 2).flatten(2)                              # (batch, frame, plane F)


def _layer(convolution: nn.Module, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), activation)


def _wider(inputs: int, outputs: int, kernel: int, bias: bool = False) -> nn.ConvTranspose2d:
    """Twice as many frames and frequencies."""
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=kernel // 2,
                              output_padding=1, bias=bias)
