"""PIT over SI-SNR on a CPU, fast: the numbers of `pit(metric=si_snr)` in as few passes as it takes.

What costs is memory, not arithmetic. So the inner products of all pairs are ONE batched product, no
centred copy is made of anything (a mean that is small is subtracted from the products), only the
noise of the chosen pairs is ever formed, and the gradient is written out: a combination of that
noise and the sources, in the noise's place. Luo & Mesgarani, "Conv-TasNet", 2019, eq. 4-6; Yu et
al., "PIT", 2017. The readable form is what `permutation.pit` does with any other metric; the tests
hold the two together.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sep_helpers.losses import EPS, valid_samples, zero_mean

DB = 10 / math.log(10)     # d (10 log10 x) = DB dx / x
SMALL = 0.1                # a mean with less than this part of the energy cancels no digits
Choose = Callable[[Tensor], Tensor]    # scores (batch, estimate, source) -> permutation


def pit_si_snr(estimates: Tensor, sources: Tensor, choose: Choose,
               lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean SI-SNR in dB of the pairs that `choose` picks, and the permutation it picked.

    estimates, sources (batch, source, time) -> (batch,), (batch, source). The gradient is written
    out and goes to the estimates alone, through the chosen pairs; it has no gradient of its own,
    and says so where one is asked for (`create_graph=True`).
    """
    return _PitSiSnr.apply(estimates, sources, choose, lengths)


class _PitSiSnr(torch.autograd.Function):

    @staticmethod
    def forward(ctx, estimates: Tensor, sources: Tensor, choose: Choose, lengths: Tensor | None):
        time = estimates.shape[-1]
        ctx.whole = lengths is None or int(lengths.min()) >= time
        valid = None if ctx.whole else valid_samples(lengths, estimates)
        e, e_mean, e_energy = _centred(estimates, valid)
        s, s_mean, s_energy = _centred(sources, valid)
        cross = torch.bmm(e, s.mT).baddbmm_(e_mean.unsqueeze(2), s_mean.unsqueeze(1), alpha=-time)
        picked = choose(_scores(cross, e_energy, s_energy)).unsqueeze(1)      # (batch, 1, source)
        s_energy = s_energy.unsqueeze(1)
        scale = cross.gather(1, picked) / (s_energy + EPS)                    # <e_picked, s> / |s|²
        # From about 50 dB on, |e|² - <e,s>²/|s|² cancels in float32: take the noise itself.
        noise = _noise(e, s, _placed(picked, scale), ctx.whole)
        projection = scale.square().mul_(s_energy).add_(EPS)
        residue = _energy(noise).add_(EPS)                       # in the order of the estimates
        ctx.save_for_backward(e, s, s_mean, s_energy, picked, scale, projection, residue)
        ctx.noise = noise     # the gradient takes its place: fresh memory costs more than sums do
        permutation = picked.squeeze(1)
        ctx.mark_non_differentiable(permutation)
        return 10 * (projection.log10().squeeze(1) - residue.log10()).mean(1), permutation

    @staticmethod
    def backward(ctx, grad: Tensor, _):
        """d projection = 2 scale |s|²/(|s|²+eps) <s, de>;  d residue = 2 <noise - left s, de>,
        with left = scale eps/(|s|²+eps), what eps leaves of the source: nothing but near silence.
        """
        if torch.is_grad_enabled():
            raise RuntimeError("PIT's written-out gradient has no gradient of its own: without "
                               "create_graph=True, or pit(..., metric=lambda *a: si_snr(*a))")
        e, s, s_mean, s_energy, picked, scale, projection, residue = ctx.saved_tensors
        noise, ctx.noise = ctx.noise, None
        if noise is None:     # a second time, after `retain_graph=True`
            noise = _noise(e, s, _placed(picked, scale), ctx.whole)
        step = (2 * DB / scale.shape[2] * grad).reshape(-1, 1, 1)
        own_residue = residue.unsqueeze(1).gather(2, picked)     # in the order of the sources
        along_s = (s_energy / projection).add_(EPS / own_residue).mul_(scale).div_(s_energy + EPS)
        of_source = _placed(picked, along_s.mul_(step))
        back = noise.mul_(-step / residue.unsqueeze(2)).baddbmm_(of_source, s)
        if ctx.whole:
            back.sub_(torch.bmm(of_source, s_mean.unsqueeze(2)))
        return back, None, None, None


def _centred(x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """x (batch, source, time), the mean still to be subtracted, the energy without it.

    Where something is padded, or the mean outweighs the rest, a centred copy is worth its price.
    """
    if valid is None:
        mean, energy = x.mean(-1), _energy(x)
        rest = torch.addcmul(energy, mean, mean, value=-x.shape[-1])
        if not torch.sub(rest, energy, alpha=1 - SMALL).min() < 0:
            return x, mean, rest
    x = zero_mean(x, valid)
    energy = _energy(x)
    return x, torch.zeros_like(energy), energy


def _energy(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1).square_()     # squares first would be a copy


def _noise(e: Tensor, s: Tensor, scales: Tensor, whole: bool) -> Tensor:
    """What is not the source in each estimate, (batch, estimate, time), without its mean.

    Padded signals (not `whole`) have lost theirs already, and their padding has to stay 0.
    """
    noise = torch.baddbmm(e, scales, s, alpha=-1)
    return noise.sub_(noise.mean(-1, keepdim=True)) if whole else noise


def _scores(cross: Tensor, e_energy: Tensor, s_energy: Tensor) -> Tensor:
    """SI-SNR of every pair (in bel) from the inner products: precise enough to choose by."""
    projection = cross.square() / (s_energy + EPS).unsqueeze(1)
    noise = (e_energy.unsqueeze(2) - projection).clamp_(min=0).add_(EPS)
    return projection.add_(EPS).div_(noise).log10_()


def _placed(picked: Tensor, weights: Tensor) -> Tensor:
    """(batch, estimate, source): each source's weight (batch, 1, source) with its estimate."""
    n = weights.shape[2]
    return weights.new_zeros(weights.shape[0], n, n).scatter_(1, picked, weights)
