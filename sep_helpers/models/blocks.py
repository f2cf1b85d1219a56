"""Building blocks of temporal convolutional networks, laid out as (batch, time, channel).

With the channels last, a 1x1 convolution is one matrix product and a depthwise convolution
reads memory in order: the same mathematics as (batch, channel, time), faster on a CPU.
Luo & Mesgarani, "Conv-TasNet", 2019, section II-C.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sep_helpers.models import fused
from sep_helpers.models.fused import NORM_EPS
from sep_helpers.models.products import Product, as_image, from_image, on_cpu


class Pointwise(nn.Linear):
    """1x1 convolution, (batch, time, in) -> (batch, time, out): a linear map of every frame.

    On a CPU it is computed as a convolution, see `products`.
    """

    def forward(self, x: Tensor) -> Tensor:
        return Product.apply(x, self.weight, self.bias) if on_cpu(x) else super().forward(x)


class GlobalNorm(nn.Module):
    """gLN (eq. 7-8): one mean and variance over all channels AND all frames. Not causal.

    (batch, time, channel) -> the same.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not (x.is_cpu and torch.is_grad_enabled()):
            return from_image(F.group_norm(as_image(x), 1, self.weight, self.bias, NORM_EPS))
        # Gain and shift outside: asked for their gradients alone, as behind a frozen layer, torch
        # (2.11 and 2.13) ends the process with a segmentation fault where channels come last.
        y = from_image(F.group_norm(as_image(x), 1, eps=NORM_EPS))
        return torch.addcmul(self.bias, y, self.weight)


class CumulativeNorm(nn.Module):
    """cLN (eq. 9-10): frame k is normalised by the mean and variance of frames 0 ... k.

    (batch, time, channel) -> the same. Causal: no statistic looks ahead.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()    # 16 bits end at 65,504 numbers
        count = x.shape[2] * torch.arange(1, x.shape[1] + 1, device=x.device, dtype=wide.dtype)
        mean = wide.sum(2).cumsum(1) / count                                 # (batch, time)
        power = wide.square().sum(2).cumsum(1) / count
        variance = (power - mean.square()).clamp(min=0)
        y = (wide - mean.unsqueeze(2)) * (variance + NORM_EPS).rsqrt().unsqueeze(2)
        return (y * self.weight + self.bias).to(x.dtype)


class ChannelBatchNorm(nn.BatchNorm1d):
    """BN over (batch, time) for each channel, (batch, time, channel) -> the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


NORMS = {"gLN": GlobalNorm, "cLN": CumulativeNorm, "BN": ChannelBatchNorm}


class _PReLU(torch.autograd.Function):
    """PReLU whose slope's gradient is one sum: torch's own is ten times slower here."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope.item()
        return F.leaky_relu(x, ctx.slope)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        (x,) = ctx.saved_tensors
        grad_x = torch.ops.aten.leaky_relu_backward(grad, x, ctx.slope, False)
        return grad_x, (x.clamp(max=0) * grad).sum().reshape(1)


class PReLU(nn.Module):
    """max(x, 0) + a min(x, 0) with one learned slope a (0.25 at first), any shape."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return _PReLU.apply(x, self.weight) if on_cpu(x) else F.prelu(x, self.weight)


class DepthwiseConv(nn.Module):
    """One filter of P taps per channel, dilated, (batch, time, channel) -> the same length.

    A dilated convolution is an ordinary one over every d-th frame. So time is viewed as rows
    of d frames, (time / d, d), and an undilated (P, 1) filter runs down the rows: the same
    sums, several times faster than a dilated kernel. Causal: the padding is all on the left.
    """

    def __init__(self, channels: int, taps: int, dilation: int, causal: bool):
        super().__init__()
        self.taps, self.dilation, self.causal = taps, dilation, causal
        ordinary = nn.Conv1d(channels, channels, taps, groups=channels)      # for its init
        self.weight, self.bias = ordinary.weight, ordinary.bias              # (C, 1, P), (C,)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, channels = x.shape
        rows = -(-time // self.dilation)
        x = F.pad(x, (0, 0, 0, rows * self.dilation - time))
        image = x.view(batch, rows, self.dilation, channels).permute(0, 3, 1, 2)
        padding = self.taps - 1 if self.causal else (self.taps - 1) // 2
        y = F.conv2d(image, self.weight.unsqueeze(-1), self.bias, padding=(padding, 0),
                     groups=channels)[:, :, :rows]
        return y.permute(0, 2, 3, 1).reshape(batch, -1, channels)[:, :time]


class TCNBlock(nn.Module):
    """1x1 conv, PReLU, norm, dilated depthwise conv, PReLU, norm, then two 1x1 convs (fig. 1C).

    (batch, time, B) -> residual (batch, time, B) and skip (batch, time, Sc). Both come from
    one product; with Sc = 0 there is no skip path and `skip` is empty. With gLN on a CPU the same
    is computed in one piece, see `fused`.
    """

    LAYERS = (Pointwise, PReLU, GlobalNorm, DepthwiseConv, PReLU, GlobalNorm, Pointwise)

    def __init__(self, B: int, H: int, Sc: int, P: int, dilation: int, norm: str, causal: bool):
        super().__init__()
        self.expand = Pointwise(B, H)
        self.act1, self.norm1 = PReLU(), NORMS[norm](H)
        self.depthwise = DepthwiseConv(H, P, dilation, causal)
        self.act2, self.norm2 = PReLU(), NORMS[norm](H)
        self.contract = Pointwise(H, B + Sc)
        self.sizes = (B, Sc)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        whole = fused.of_block(self) if on_cpu(x) else None
        y = fused.Block.apply(x, whole[0], *whole[1]) if whole else self.plain(x)
        return y.split(self.sizes, dim=-1)

    def plain(self, x: Tensor) -> Tensor:
        """Layer by layer: (batch, time, B) -> (batch, time, B + Sc)."""
        y = self.norm1(self.act1(self.expand(x)))
        y = self.norm2(self.act2(self.depthwise(y)))
        return self.contract(y)
