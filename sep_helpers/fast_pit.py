"""PIT over SI-SNR, fast: the numbers of `pit(metric=si_snr)` in three passes over the samples.

All that SI-SNR needs is a linear combination of the N estimates and N sources of an utterance: the
inner products (the pairwise matrix and every energy), the noise of the chosen pairs, the gradient.
So the 2N signals lie in one block X (batch, 2N, time), and each pass is one batched product with
it. Luo & Mesgarani, "Conv-TasNet", 2019, eq. 4-6; Yu et al., "PIT", 2017.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sep_helpers.losses import EPS, valid_samples, zero_mean

DB = 10 / math.log(10)     # d (10 log10 x) = DB dx / x
Choose = Callable[[Tensor], Tensor]    # scores (batch, estimate, source) -> permutation


def pit_si_snr(estimates: Tensor, sources: Tensor, choose: Choose,
               lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean SI-SNR in dB of the pairs that `choose` picks, and the permutation it picked.

    estimates, sources (batch, source, time) -> (batch,), (batch, source). The gradient is written
    out and goes to the estimates alone, through the chosen pairs.
    """
    return _PitSiSnr.apply(estimates, sources, choose, lengths)


class _PitSiSnr(torch.autograd.Function):

    @staticmethod
    def forward(ctx, estimates: Tensor, sources: Tensor, choose: Choose, lengths: Tensor | None):
        n = sources.shape[1]
        x = torch.cat([estimates, sources], 1)
        valid = valid_samples(lengths, estimates)
        x = x.sub_(x.mean(-1, keepdim=True)) if valid is None else zero_mean(x, valid)
        products = x @ x.mT                                           # (batch, 2N, 2N)
        permutation = choose(_pairwise(products, n))
        picked = permutation.unsqueeze(2)                             # (batch, source, 1)
        cross = products[:, :n, n:].mT.gather(2, picked).squeeze(2)   # <e_picked, s>
        energy = products.diagonal(dim1=1, dim2=2)[:, n:]             # |s|²
        scale = cross / (energy + EPS)
        # From about 50 dB on, |e|² - <e,s>²/|s|² cancels in float32: take the noise itself.
        noise = _combination(picked, torch.ones_like(scale), -scale) @ x
        projection = scale.square() * energy + EPS
        residue = noise.square_().sum(-1) + EPS
        ctx.save_for_backward(x, picked, scale, energy, projection, residue)
        ctx.mark_non_differentiable(permutation)
        return 10 * torch.log10(projection / residue).mean(1), permutation

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, _):
        """d projection = 2 scale |s|²/(|s|²+eps) <s, de>;  d residue = 2 <noise - left s, de>,
        where `left` is what eps leaves of the source in the noise: nothing, but for near silence.

        All of X has zero mean and no padding, so the mean needs no gradient of its own.
        """
        x, picked, scale, energy, projection, residue = ctx.saved_tensors
        left = scale * EPS / (energy + EPS)
        along_e = -1 / residue
        along_s = scale * energy / ((energy + EPS) * projection) + (scale + left) / residue
        step = 2 * DB * grad.unsqueeze(1) / scale.shape[1]
        rows = _combination(picked, step * along_e, step * along_s)   # in the sources' order
        back = picked.argsort(1).expand_as(rows)
        return rows.gather(1, back) @ x, None, None, None


def _pairwise(products: Tensor, n: int) -> Tensor:
    """SI-SNR in dB of every pair from the inner products: precise enough to choose by."""
    cross, s_energy = products[:, :n, n:], products.diagonal(dim1=1, dim2=2)[:, None, n:]
    e_energy = products.diagonal(dim1=1, dim2=2)[:, :n, None]
    projection = cross.square() * s_energy / (s_energy + EPS).square()
    noise = e_energy - 2 * cross.square() / (s_energy + EPS) + projection
    return 10 * torch.log10((projection + EPS) / (noise.clamp(min=0) + EPS))


def _combination(picked: Tensor, of_estimate: Tensor, of_source: Tensor) -> Tensor:
    """(batch, source, 2N): row j holds the weight of its picked estimate and of source j."""
    rows = torch.zeros(*of_source.shape, of_source.shape[1], dtype=of_source.dtype,
                       device=of_source.device).scatter(2, picked, of_estimate.unsqueeze(2))
    return torch.cat([rows, torch.diag_embed(of_source)], 2)
