"""GAB: the audio branch of "Looking to listen at the cocktail party" (Ephrat et al., 2018).

Dilated 2-D convolutions over the compressed complex spectrogram see wide in time and frequency,
a BLSTM and a fully connected layer join what they saw, and a mask for real and imaginary part
comes out.
"""

import torch
from torch import Tensor, nn

from sep_helpers.models.mask_network import MaskNetwork

# (frequencies, frames) of each kernel, and its dilation; the last one gathers 8 channels
KERNELS = ((7, 1), (1, 7), (5, 5), (5, 5), (5, 5), (5, 5), (1, 1))
DILATIONS = (1, 1, 1, 2, 4, 8, 1)
GATHERED = 8


class LookingToListen(MaskNetwork):
    """Complex features -> 2-D convolutions, batch norm, ReLU -> BLSTM -> linear, ReLU -> masks.

    With `mask: split_relu` the last layer is a ReLU, too, as in a much-copied version: then no
    value of the mask is negative, no real or imaginary part can change its sign, and a source
    whose phase lies in another quadrant than the mixture's cannot be reached.

    `centred`: what a channel and frequency always has, over the utterance, is taken out before the
    BLSTM, as `normalised` does for the other networks' features. The paper has no such step; ours
    learned hardly anything about voices in minutes without it. A config that does not say so is of
    an older network.
    """

    DEFAULTS = {"channels": 96, "hidden": 200, "dense": 600, "centred": True,
                **MaskNetwork.SHARED, "features": "complex", "mask": "complex"}
    ABSENT = {"centred": False}

    @classmethod
    def objection(cls, c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["features"] != "complex":
            return f"features={c['features']!r}: this network reads real and imaginary parts"
        return super().objection(c)

    def __init__(self, config: dict):
        super().__init__(config)
        c = config
        sizes = [2] + 6 * [c["channels"]] + [GATHERED]
        self.convolutions = nn.Sequential(*(
            convolution(*spec) for spec in zip(sizes, sizes[1:], KERNELS, DILATIONS, strict=False)))
        self.blstm = nn.LSTM(GATHERED * self.n_freqs, c["hidden"], batch_first=True,
                             bidirectional=True)
        self.dense = nn.Linear(2 * c["hidden"], c["dense"])
        self.to_masks = nn.Linear(c["dense"], self.n_outputs)
        share = torch.tensor(1 / self.n_sources)     # begin with an equal share of the mixture
        with torch.no_grad():
            bias = self.to_masks.bias.zero_().view(self.n_sources, self.mask.k, self.n_freqs)
            bias[:, :1 if c["mask"] == "complex" else None] = \
                share.logit(0.01) if c["mask"] == "sigmoid" else share

    def estimate(self, features: Tensor) -> Tensor:
        image = features.unflatten(2, (self.n_freqs, 2)).permute(0, 3, 2, 1)    # (b, 2, F, frame)
        y = self.convolutions(image).flatten(1, 2).mT                           # (b, frame, 8F)
        if self.config["centred"]:
            y = y - y.mean(1, keepdim=True)
        y, _ = self.blstm(y)
        return self.to_masks(torch.relu(self.dense(torch.relu(y))))


def convolution(inputs: int, outputs: int, kernel: tuple, dilation: int) -> nn.Sequential:
    """One layer, the picture's size unchanged."""
    padding = tuple(dilation * (k - 1) // 2 for k in kernel)
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, dilation=dilation, padding=padding,
                                   bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
