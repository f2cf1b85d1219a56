"""Conv-TasNet with a deep encoder and decoder.

Kadioglu, Horgan, Liu, Pons, Darcy & Kumar, "An empirical study of Conv-TasNet", ICASSP 2020
(arXiv 2002.08688): the one linear layer at each end becomes a stack with PReLU between.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models.blocks import PReLU
from sep_helpers.models.conv_tasnet import DEFAULTS, ConvTasNet


class FrameConv(nn.Module):
    """Convolution over a few frames, all channels with all, (batch, frame, N) -> the same.

    Causal: the padding is all on the left, so a frame sees itself and the ones before. Without a
    bias, so that silence stays silence from end to end.
    """

    def __init__(self, channels: int, taps: int, causal: bool):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, taps, bias=False)
        self.padding = (taps - 1, 0) if causal else ((taps - 1) // 2, (taps - 1) // 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x.mT, self.padding)).mT


def stack(depth: int, channels: int, taps: int, causal: bool) -> nn.Sequential:
    """`depth` layers of FrameConv and PReLU, (batch, frame, channel) -> the same."""
    layers = [module for _ in range(depth)
              for module in (FrameConv(channels, taps, causal), PReLU())]
    return nn.Sequential(*layers)


class DeepConvTasNet(ConvTasNet):
    """Conv-TasNet between two stacks of `depth` layers of `taps` frames each.

    The deep encoder follows the filters, the deep decoder goes before them, once per source.
    """

    DEFAULTS = {**DEFAULTS, "depth": 3, "taps": 3}

    @staticmethod
    def objection(c: dict) -> str | None:
        """Why these values do not go together, or None."""
        if c["taps"] % 2 == 0 and not c["causal"]:
            return f"taps={c['taps']} must be odd unless causal: an even filter has no middle tap"
        return ConvTasNet.objection(c)

    def __init__(self, config: dict):
        super().__init__(config)
        shape = (config["depth"], config["N"], config["taps"], config["causal"])
        self.deep_encoder, self.deep_decoder = stack(*shape), stack(*shape)

    def encode(self, mixture: Tensor) -> Tensor:
        """(batch, time) -> (batch, frame, N), non-linear."""
        return self.deep_encoder(super().encode(mixture))

    def decode(self, d: Tensor, time: int) -> Tensor:
        """(batch, source, frame, N) -> (batch, source, time), non-linear."""
        deep = self.deep_decoder(d.flatten(0, 1)).unflatten(0, d.shape[:2])
        return super().decode(deep, time)
