"""Matrix products over frames, (time, channel), as the convolutions that compute them fastest.

On a CPU, torch hands convolutions to oneDNN and matrix products to MKL. On processors that are
not Intel's, oneDNN is about twice as fast (AVX-512 instead of AVX2); on the others as fast.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Of a filter with one tap it changes nothing, but that torch takes oneDNN with one thread, too: for
# undilated 1x1 filters it then falls back on a way that takes twice as long.
DILATION = 2


def as_image(x: Tensor) -> Tensor:
    """(batch, time, channel) -> the same memory as a channels-last image (batch, channel, time, 1).
    """
    return x.unsqueeze(2).permute(0, 3, 1, 2)


def from_image(image: Tensor) -> Tensor:
    """The inverse of `as_image`."""
    return image.permute(0, 2, 3, 1).squeeze(2)


def on_cpu(x: Tensor) -> bool:
    """Whether the forms made for a CPU serve: there, in single or double precision.

    A compiler (torch.compile, torch.export) gets the readable forms: it makes its own of them.
    """
    return (x.is_cpu and x.dtype in (torch.float32, torch.float64)
            and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling())


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias: (batch, time, in), (out, in), (out,) -> (batch, time, out)."""
    return from_image(F.conv2d(as_image(x), weight[..., None, None], bias, dilation=DILATION))


def outer_sum(g: Tensor, x: Tensor) -> Tensor:
    """g^T x, the sum of g_t (outer) x_t: (time, out), (time, in) -> (out, in).

    The gradient of a product's weight. Read as a transposed convolution, time is its channel:
    x is an image of one row, g its 1x1 filters, and nothing has to be transposed in memory.
    """
    return F.conv_transpose2d(x[None, :, None], g[..., None, None], dilation=DILATION)[0, :, 0]


class Product(torch.autograd.Function):
    """`product` with the gradient of its weight through `outer_sum`."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        frames = grad.flatten(0, 1)
        grad_x = product(grad.contiguous(), weight.t()) if ctx.needs_input_grad[0] else None
        return grad_x, outer_sum(frames, x.flatten(0, 1)), frames.sum(0)
