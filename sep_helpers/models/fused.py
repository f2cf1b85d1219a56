"""The TCN block of `blocks` in one piece, its gradient by hand: gLN, on a CPU.

The readable form is `blocks.TCNBlock`; this one computes the same. What makes it fast is what it
does NOT keep: of a whole block, autograd remembers 6 tensors of H channels or more, this one
x (B channels) and h (H). Fresh memory is slow, the system has to find and clear it page by page;
nearly all the rest is computed again on the way back in less time. It works on one utterance at a
time, in place where it can, and three facts about norms save more:

- gLN is y = s p + t with one s and one t a channel, so it folds into the layer beside it.
- Its gradient is again s g - k p + c, with two numbers k and c an utterance.
- Those need sum_t g p and sum_t g for each channel; both follow from the gradient of the next
  layer's weight, which is wanted anyhow.

Names: h, p are a block's frames before and after its first PReLU, c, q its second; (time, H).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from sep_helpers.models.products import outer_sum, product

NORM_EPS = 1e-8


class Weights(NamedTuple):
    """What a block holds, in the order of its layers; the slopes are numbers, shapes as there."""

    expand: Tensor
    expand_bias: Tensor
    slope1: float
    gamma1: Tensor
    beta1: Tensor
    taps: Tensor
    taps_bias: Tensor
    slope2: float
    gamma2: Tensor
    beta2: Tensor
    contract: Tensor
    contract_bias: Tensor


class Shape(NamedTuple):
    """How the depthwise filter lies in time: tap i looks at frame t + (i - before) dilation."""

    dilation: int
    before: int


def moments(p: Tensor) -> tuple[float, float]:
    """Mean and 1 / deviation of all of p, (time, channel).

    Squares are summed frame by frame first: one long float32 sum would lose the last digits.
    """
    per_frame = torch.linalg.vector_norm(p, dim=1)
    mean = p.sum().item() / p.numel()
    power = torch.dot(per_frame, per_frame).item() / p.numel()
    return mean, (max(power - mean * mean, 0.0) + NORM_EPS) ** -0.5


def affine(gamma: Tensor, beta: Tensor, mean: float, rstd: float) -> tuple[Tensor, Tensor]:
    """gLN as s p + t: (channel,) each."""
    s = gamma * rstd
    return s, torch.sub(beta, s, alpha=mean)


def whole_rows(time: int, dilation: int, like: Tensor) -> Tensor:
    """Room for (time, channel), its end filled up with zeros to whole rows of d frames."""
    room = like.new_empty(-(-time // dilation) * dilation, like.shape[1])
    room[time:] = 0
    return room


def depthwise(rows: Tensor, taps: Tensor, bias: Tensor, shape: Shape, time: int) -> Tensor:
    """One filter a channel over whole rows, see blocks.DepthwiseConv -> (time, channel)."""
    d, before = shape
    P = taps.shape[-1]
    padding = max(before, P - 1 - before)
    image = rows.view(1, -1, d, rows.shape[1]).permute(0, 3, 1, 2)
    y = F.conv2d(image, taps.unsqueeze(-1), bias, padding=(padding, 0), groups=len(taps))
    start = (padding - before) * d
    return y.permute(0, 2, 3, 1).reshape(-1, len(taps))[start: start + time]


def forward(x: Tensor, w: Weights, shape: Shape) -> tuple[Tensor, tuple, Tensor]:
    """(time, B) -> (time, B + Sc); the moments of both norms and h, for `backward`."""
    time = len(x)
    h = product(x[None], w.expand, w.expand_bias)[0]
    rows = whole_rows(time, shape.dilation, h)
    p = torch.ops.aten.leaky_relu.out(h, w.slope1, out=rows[:time])
    first = moments(p)
    s, t = affine(w.gamma1, w.beta1, *first)
    torch.addcmul(t, p, s, out=p)
    q = F.leaky_relu_(depthwise(rows, w.taps, w.taps_bias, shape, time), w.slope2)
    second = moments(q)
    s, t = affine(w.gamma2, w.beta2, *second)
    out = product(torch.addcmul(t, q, s, out=q)[None], w.contract, w.contract_bias)[0]
    return out, (first, second), h


def norm_gradient(gamma: Tensor, dots: Tensor, sums: Tensor, moment: tuple, size: int):
    """Gradients of gLN from dots = sum_t g p and sums = sum_t g, (channel,) each.

    Returns that of gamma (beta's is `sums`), and k, c: p's is s g - k p + c.
    """
    mean, rstd = moment
    grad_gamma = rstd * (dots - mean * sums)
    k = rstd**2 * torch.dot(gamma, grad_gamma).item() / size
    return grad_gamma, k, k * mean - rstd * torch.dot(gamma, sums).item() / size


def prelu_gradient(grad: Tensor, x: Tensor, slope: float, scratch: Tensor) -> Tensor:
    """Turns `grad` in place into that before the PReLU; returns the slope's, (1,)."""
    torch.clamp(x, max=0, out=scratch)
    slope_grad = torch.mul(grad, scratch, out=scratch).sum().reshape(1)
    torch.ops.aten.leaky_relu_backward.grad_input(grad, x, slope, False, grad_input=grad)
    return slope_grad


def tap_gradients(grad: Tensor, p: Tensor, shape: Shape, P: int, scratch: Tensor):
    """For every tap, sum_t g_t p_u and sum_t g_t over the t whose frame u lies inside: (H, P)."""
    time, dots, sums, total = len(grad), [], [], grad.sum(0)
    for i in range(P):
        offset = (i - shape.before) * shape.dilation
        first, last = min(max(0, -offset), time), max(min(time, time - offset), 0)
        inside = grad[first:last]                      # empty where the tap sees zeros only
        if len(inside):
            seen = p[first + offset: last + offset]
            dots.append(torch.mul(inside, seen, out=scratch[first:last]).sum(0))
        else:
            dots.append(p.new_zeros(p.shape[1]))
        sums.append(total - grad[:first].sum(0) - grad[max(first, last):].sum(0))
    return torch.stack(dots, 1), torch.stack(sums, 1)


def backward(x: Tensor, h: Tensor, g: Tensor, w: Weights, shape: Shape, first, second):
    """g (time, B + Sc), the gradient of `forward`'s output -> that of x, and of all weights."""
    time, (H, _, P) = len(x), w.taps.shape
    # once more to the second PReLU
    s1, t1 = affine(w.gamma1, w.beta1, *first)
    rows = whole_rows(time, shape.dilation, h)
    p = torch.ops.aten.leaky_relu.out(h, w.slope1, out=rows[:time])
    torch.addcmul(t1, p, s1, out=p)
    c = depthwise(rows, w.taps, w.taps_bias, shape, time)
    q = F.leaky_relu(c, w.slope2)

    # contract and the second norm
    s2, t2 = affine(w.gamma2, w.beta2, *second)
    gq, contract_bias = outer_sum(g, q), g.sum(0)
    beta2 = contract_bias @ w.contract
    gamma2, k, const = norm_gradient(w.gamma2, (w.contract * gq).sum(0), beta2, second, q.numel())
    contract = torch.addr(gq * s2, contract_bias, t2)
    grad = product(g[None], (w.contract * s2).t(), g.new_full((H,), const))[0].sub_(q, alpha=k)
    slope2 = prelu_gradient(grad, c, w.slope2, scratch=q)

    # the depthwise convolution and the first norm
    p = torch.ops.aten.leaky_relu.out(h, w.slope1, out=q)
    dots, sums = tap_gradients(grad, p, shape, P, scratch=c)
    taps, taps_bias = torch.addcmul(sums * t1[:, None], dots, s1[:, None]), grad.sum(0)
    flat = w.taps[:, 0]
    beta1 = (flat * sums).sum(1)
    gamma1, k, const = norm_gradient(w.gamma1, (flat * dots).sum(1), beta1, first, p.numel())
    rows[:time] = grad
    turned = (flat * s1[:, None]).flip(-1).unsqueeze(1)
    back = Shape(shape.dilation, P - 1 - shape.before)
    grad = depthwise(rows, turned, g.new_full((H,), const), back, time).sub_(p, alpha=k)
    slope1 = prelu_gradient(grad, h, w.slope1, scratch=q)

    # expand
    return product(grad[None], w.expand.t())[0], Weights(
        outer_sum(grad, x), grad.sum(0), slope1, gamma1, beta1, taps.unsqueeze(1), taps_bias,
        slope2, gamma2, beta2, contract, contract_bias)


class Block(torch.autograd.Function):
    """The block over a batch: x (batch, time, B), shape, weights -> (batch, time, B + Sc)."""

    @staticmethod
    def forward(ctx, x: Tensor, shape: Shape, *weights: Tensor) -> Tensor:
        results = [forward(one, Block.numbers(weights), shape) for one in x]
        out, ctx.moments, hidden = zip(*results, strict=True)
        ctx.save_for_backward(x, *weights, *hidden)
        ctx.shape = shape
        return torch.stack(out) if len(out) > 1 else out[0][None]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple:
        x, *saved = ctx.saved_tensors
        count = len(Weights._fields)
        w, grads, total = Block.numbers(saved[:count]), [], None
        utterances = zip(x, saved[count:], grad.contiguous(), ctx.moments, strict=True)
        for one, h, g, moment in utterances:
            grad_x, found = backward(one, h, g, w, ctx.shape, *moment)
            grads.append(grad_x)
            total = found if total is None else [a.add_(b) for a, b in
                                                 zip(total, found, strict=True)]
        return torch.stack(grads) if len(grads) > 1 else grads[0][None], None, *total

    @staticmethod
    def numbers(weights) -> Weights:
        """The slopes as numbers."""
        w = Weights(*weights)
        return w._replace(slope1=w.slope1.item(), slope2=w.slope2.item())


def of_block(block) -> tuple[Shape, list[Tensor]] | None:
    """Shape and weights of a blocks.TCNBlock, or None where only its readable form will do.

    That is when a hook waits at one of its layers, or one was replaced by something else.
    """
    layers = (block.expand, block.act1, block.norm1, block.depthwise, block.act2, block.norm2,
              block.contract)
    if tuple(map(type, layers)) != block.LAYERS or torch.nn.modules.module._has_any_global_hook():
        return None
    if any(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
           or layer._backward_pre_hooks for layer in layers):
        return None
    conv = block.depthwise
    before = conv.taps - 1 if conv.causal else (conv.taps - 1) // 2
    return Shape(conv.dilation, before), [p for layer in layers for p in layer.parameters()]
