"""DeepConvSep: convolutions down the frequencies and along time around a narrow code.

Chandna, Miron, Janer & Gomez, "Monoaural audio source separation using deep convolutional neural
networks", 2017, figure 1. It looks at blocks of 30 frames; a song of any length is cut into
blocks, the last one filled up with silence, and put together again. In stereo the first
convolution reads both channels and the last one of each decoder writes both.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.mask_network import MaskNetwork, begin_for_relu


class DeepConvSep(MaskNetwork):
    """Magnitudes -> two convolutions -> code -> a decoder for each source -> soft masks."""

    DEFAULTS = {"block": 30, "vertical": 50, "horizontal": 30, "taps": 15, "code": 128,
                **MaskNetwork.SHARED, "mask": "joint", "n_fft": 1024, "hop": 256}
    EXTRAS = {"channels": 1}

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
        self.vertical = begin_for_relu(
            nn.Conv2d(self.channels, c["vertical"], (1, self.n_freqs)))
        self.horizontal = begin_for_relu(nn.Conv2d(c["vertical"], c["horizontal"], (c["taps"], 1)))
        self.shape = (c["horizontal"], c["block"] - c["taps"] + 1)
        self.code = begin_for_relu(nn.Linear(self.shape[0] * self.shape[1], c["code"]))
        self.decoders = nn.ModuleList(self._decoder(c) for _ in range(self.n_sources))

    def _decoder(self, c: dict) -> nn.Sequential:
        """The way back, for one source: code -> (channel, block, n_freqs)."""
        along_time = nn.ConvTranspose2d(c["horizontal"], c["vertical"], (c["taps"], 1))
        frequencies = nn.ConvTranspose2d(c["vertical"], self.channels, (1, self.n_freqs))
        meeting = min(c["taps"], self.shape[1])           # frames of the code in one of the block
        return nn.Sequential(
            begin_for_relu(nn.Linear(c["code"], self.shape[0] * self.shape[1])), nn.ReLU(),
            nn.Unflatten(1, (*self.shape, 1)),
            begin_for_relu(along_time, c["horizontal"] * meeting), nn.ReLU(),
            begin_for_relu(frequencies, c["vertical"]),
        )

    def encode(self, features: Tensor) -> Tensor:
        """Features (batch, frame, channel F) -> the code of every block, (batch, block, code)."""
        blocks = F.pad(features, (0, 0, 0, -features.shape[1] % self.block))
        blocks = blocks.unflatten(1, (-1, self.block)).unflatten(3, (self.channels, self.n_freqs))
        images = blocks.flatten(0, 1).transpose(1, 2)           # (blocks, channel, block, F)
        y = torch.relu(self.horizontal(torch.relu(self.vertical(images))))
        return torch.relu(self.code(y.flatten(1))).unflatten(0, blocks.shape[:2])

    def estimate(self, features: Tensor) -> Tensor:
        batch, frames, _ = features.shape
        code = self.encode(features).flatten(0, 1)
        sources = torch.cat([decode(code) for decode in self.decoders], 1)
        sources = sources.transpose(1, 2)                       # (blocks, block, source channel, F)
        return sources.reshape(batch, -1, self.n_outputs)[:, :frames]
