"""The fast PIT gives the numbers, the permutations and the gradients of the plain one."""

import pytest
import torch

from sep_helpers.fast_pit import pit_si_snr
from sep_helpers.losses import si_snr
from sep_helpers.permutation import best_permutation, pairwise, pit, reorder


def shuffled(n: int, noise: float = 0.5, dtype=torch.float32, time: int = 4000):
    g = torch.Generator().manual_seed(n)
    sources = torch.randn(4, n, time, generator=g, dtype=dtype) + 0.3       # with an offset
    order = torch.stack([torch.randperm(n, generator=g) for _ in range(4)])
    estimates = reorder(sources + noise * torch.randn(sources.shape, generator=g, dtype=dtype),
                        order)
    return estimates.requires_grad_(), sources


def plain(estimates, sources, lengths=None):
    """PIT as it is written in the paper, with autograd's gradient."""
    permutation = best_permutation(pairwise(estimates.detach(), sources, si_snr, lengths))
    return si_snr(reorder(estimates, permutation), sources, lengths).mean(-1), permutation


@pytest.mark.parametrize("lengths", [None, torch.tensor([4000, 3999, 1000, 1])])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_equals_the_plain_one(n, lengths):
    estimates, sources = shuffled(n)
    value, permutation = pit_si_snr(estimates, sources, best_permutation, lengths)
    expected, its_permutation = plain(estimates, sources, lengths)
    whole = 3 if lengths is not None else 4      # of one sample nothing is left without its mean
    assert torch.equal(permutation[:whole], its_permutation[:whole])
    assert torch.allclose(value, expected, atol=1e-4)
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0])
    (ours,) = torch.autograd.grad((value * weights).sum(), estimates)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), estimates)
    assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("n", [2, 3])
def test_the_gradient_is_that_of_finite_differences(n):
    estimates, sources = shuffled(n, dtype=torch.float64, time=40)
    lengths = torch.tensor([40, 39, 20, 10])
    assert torch.autograd.gradcheck(
        lambda e: pit_si_snr(e, sources, best_permutation, lengths)[0], estimates)


def by_covariance(estimates, sources):
    """SI-SNR without ever forming the noise: |noise|² = |e|² - <e, s>²/|s|²."""
    e, s = (x - x.mean(-1, keepdim=True) for x in (estimates.detach(), sources))
    projection = (e * s).sum(-1).square() / s.square().sum(-1)
    return 10 * torch.log10(projection / (e.square().sum(-1) - projection).clamp(min=1e-8))


@pytest.mark.parametrize("db", [40, 60, 80])
def test_is_accurate_at_very_high_si_snr(db):
    estimates, sources = shuffled(2, noise=10 ** (-db / 20), time=32000)
    value, permutation = pit_si_snr(estimates, sources, best_permutation)
    exact, _ = plain(estimates.double(), sources.double())
    assert torch.allclose(value.double(), exact, atol=1e-3)
    if db == 80:        # where the covariance form has lost its way in float32
        careless = by_covariance(reorder(estimates, permutation), sources).mean(-1)
        assert (careless - exact).abs().max() > 1


def test_silence_is_finite_and_has_a_finite_gradient():
    sources = torch.zeros(2, 2, 500)
    sources[0, 0] = torch.randn(500, generator=torch.Generator().manual_seed(0))
    for estimates in (torch.zeros(2, 2, 500), sources.clone(), torch.ones(2, 2, 500)):
        estimates = estimates.requires_grad_()
        value, _ = pit(estimates, sources)
        value.sum().backward()
        assert value.isfinite().all() and estimates.grad.isfinite().all()


def test_sources_that_want_a_gradient_get_one():
    estimates, sources = shuffled(2)
    sources.requires_grad_()
    pit(estimates, sources)[0].sum().backward()
    assert sources.grad.abs().sum() > 0


def test_the_permutation_is_the_one_that_was_chosen():
    estimates, sources = shuffled(3)
    worst = lambda scores: best_permutation(-scores)                        # noqa: E731
    value, permutation = pit_si_snr(estimates, sources, worst)
    expected = si_snr(reorder(estimates, permutation), sources).mean(-1)
    assert torch.allclose(value, expected, atol=1e-3)
    assert (value < plain(estimates, sources)[0] - 1).all()
