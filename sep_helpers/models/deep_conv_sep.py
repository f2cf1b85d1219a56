"""DeepConvSep, mono: convolutions down the frequencies and along time around a narrow code.

Chandna, Miron, Janer & Gomez, "Monoaural audio source separation using deep convolutional neural
networks", 2017, figure 1. It looks at blocks of 30 frames; a song of any length is cut into
blocks, the last one filled up with silence, and put together again.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.mask_network import MaskNetwork


class DeepConvSep(MaskNetwork):
    """Magnitudes -> two convolutions -> code -> a decoder for each source -> soft masks."""

    DEFAULTS = {"block": 30, "vertical": 50, "horizontal": 30, "taps": 15, "code": 128,
                **MaskNetwork.SHARED, "mask": "joint", "n_fft": 1024, "hop": 256}

    @classmethod
    def objection(cls, c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["taps"] > c["block"]:
            return f"taps={c['taps']} do not fit into block={c['block']} frames: take fewer"
        if c["mask"] not in ("joint", "softmax", "sigmoid", "relu") or c["features"] == "complex":
            return "this network reads magnitudes and gives one real mask a source"
        return super().objection(c)

    def __init__(self, config: dict):
        super().__init__(config)
        c = config
        self.block = c["block"]
        self.vertical = nn.Conv2d(1, c["vertical"], (1, self.n_freqs))
        self.horizontal = nn.Conv2d(c["vertical"], c["horizontal"], (c["taps"], 1))
        self.shape = (c["horizontal"], c["block"] - c["taps"] + 1)
        self.code = nn.Linear(self.shape[0] * self.shape[1], c["code"])
        self.decoders = nn.ModuleList(self._decoder(c) for _ in range(self.n_sources))

    def _decoder(self, c: dict) -> nn.Sequential:
        """The way back, for one source: code -> (block, n_freqs)."""
        return nn.Sequential(
            nn.Linear(c["code"], self.shape[0] * self.shape[1]), nn.ReLU(),
            nn.Unflatten(1, (*self.shape, 1)),
            nn.ConvTranspose2d(c["horizontal"], c["vertical"], (c["taps"], 1)), nn.ReLU(),
            nn.ConvTranspose2d(c["vertical"], 1, (1, self.n_freqs)),
        )

    def estimate(self, features: Tensor) -> Tensor:
        batch, frames, freqs = features.shape
        blocks = F.pad(features, (0, 0, 0, -frames % self.block))
        blocks = blocks.reshape(-1, 1, self.block, freqs)                # (blocks, 1, block, F)
        y = torch.relu(self.horizontal(torch.relu(self.vertical(blocks))))
        code = torch.relu(self.code(y.flatten(1)))
        sources = torch.cat([decode(code) for decode in self.decoders], 1)   # (blocks, S, block, F)
        return sources.transpose(1, 2).reshape(batch, -1, self.n_outputs)[:, :frames]
