"""VTF: a vanilla transformer that estimates masks, encoder only.

Vaswani et al., "Attention is all you need", 2017. An encoder-decoder would be fed the true
sources while it trains (teacher forcing) and has none when it is used; masks need no decoder,
since every frame of them belongs to a frame of the mixture.
"""

import math

import torch
from torch import Tensor, nn

from sep_helpers.models.mask_network import MaskNetwork


class TransformerMasks(MaskNetwork):
    """Features -> linear + position -> encoder layers -> linear -> masks."""

    DEFAULTS = {"width": 128, "heads": 4, "layers": 3, "feedforward": 256, **MaskNetwork.SHARED}

    @classmethod
    def objection(cls, c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["width"] % (2 * c["heads"]):
            return (f"width={c['width']} must be a multiple of 2 x heads={2 * c['heads']}: each "
                    "head takes an equal share, and positions are sines and cosines in pairs")
        return super().objection(c)

    def __init__(self, config: dict):
        super().__init__(config)
        c = config
        self.embed = nn.Linear(self.n_features, c["width"])
        layer = nn.TransformerEncoderLayer(c["width"], c["heads"], c["feedforward"], dropout=0.0,
                                           batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, c["layers"], nn.LayerNorm(c["width"]),
                                             enable_nested_tensor=False)
        self.to_masks = nn.Linear(c["width"], self.n_outputs)

    def estimate(self, features: Tensor) -> Tensor:
        x = self.embed(features)
        return self.to_masks(self.encoder(x + positions(x.shape[1], x.shape[2]).to(x)))


def positions(frames: int, width: int) -> Tensor:
    """(frame, width): sin and cos of the frame's number at wavelengths 2 pi ... 10000 2 pi
    (Vaswani et al., section 3.5)."""
    rates = torch.exp(-math.log(10_000) * torch.arange(0, width, 2) / width)
    angles = torch.arange(frames).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
