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


@pytest.mark.parametrize("offset", [0.01, 0.3, 3, 100])
def test_a_constant_costs_no_digits(offset):
    """A small one is taken from the products, a large one from the signals."""
    estimates, sources = shuffled(3, noise=1e-3)
    with torch.no_grad():
        estimates += offset
        estimates[1, 0] -= 2 * offset
        sources[1:] -= offset
    value, _ = pit_si_snr(estimates, sources, best_permutation)
    exact, _ = plain(estimates.double(), sources.double())
    rounding = max(1e-3, 1e-5 * offset)           # of the signals themselves, in 32 bits
    assert torch.allclose(value.double(), exact, atol=rounding)
    (ours,) = torch.autograd.grad(value.sum(), estimates)
    (theirs,) = torch.autograd.grad(exact.sum(), estimates)
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=3e-3 * theirs.abs().max().item())
    assert ours.mean(-1).abs().max() < 1e-5 * ours.abs().max()        # a constant changes nothing


def test_lengths_that_pad_nothing_are_no_lengths():
    estimates, sources = shuffled(2)
    value, _ = pit_si_snr(estimates, sources, best_permutation, torch.full((4,), 4000))
    assert torch.equal(value, pit_si_snr(estimates, sources, best_permutation)[0])


def test_padding_gets_no_gradient():
    estimates, sources = shuffled(3)
    lengths = torch.tensor([4000, 3000, 2000, 1000])
    pit(estimates, sources, lengths=lengths)[0].sum().backward()
    for row, length in zip(estimates.grad, lengths, strict=True):
        assert not row[:, length:].any() and row[:, :length].all(-1).any()


def test_the_gradient_can_be_asked_for_twice():
    estimates, sources = shuffled(3)
    loss = -pit(estimates, sources)[0].mean()
    first, second = (torch.autograd.grad(loss, estimates, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_a_gradient_of_the_gradient_is_refused_and_the_readable_form_has_one():
    estimates, sources = shuffled(2)
    with pytest.raises(RuntimeError, match=r"no gradient of its own: .* pit\(\.\.\., metric="):
        torch.autograd.grad(pit(estimates, sources)[0].sum(), estimates, create_graph=True)
    value, _ = pit(estimates, sources, metric=lambda *a: si_snr(*a))
    (gradient,) = torch.autograd.grad(value.sum(), estimates, create_graph=True)
    gradient.square().sum().backward()
    assert estimates.grad.abs().sum() > 0


def test_signals_may_lie_anyhow_in_memory():
    estimates, sources = shuffled(3)
    loose = estimates.detach().mT.contiguous().mT.requires_grad_()
    view = torch.cat([sources, sources], -1)[..., ::2][..., :2000]
    for ours, theirs in ((loose, estimates), (loose[..., :2000], estimates[..., :2000])):
        target = sources if ours.shape == sources.shape else view
        assert torch.allclose(pit(ours, target)[0], plain(theirs, target)[0], atol=1e-4)
    pit(loose, sources)[0].sum().backward()
    (expected,) = torch.autograd.grad(plain(estimates, sources)[0].sum(), estimates)
    assert torch.allclose(loose.grad, expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("where", ["bfloat16", "autocast", "medium precision", "two types", "gpu"])
def test_the_readable_form_serves_where_a_product_might_round(where, monkeypatch):
    def refuse(*_):
        raise AssertionError("the fast form was taken")

    estimates, sources = shuffled(2)
    expected = pit(estimates, sources)[0]
    monkeypatch.setattr("sep_helpers.permutation.pit_si_snr", refuse)
    if where == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            value = pit(estimates, sources)[0]
    elif where == "medium precision":
        torch.set_float32_matmul_precision("medium")
        try:
            value = pit(estimates, sources)[0]
        finally:
            torch.set_float32_matmul_precision("highest")
    elif where == "gpu":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA GPU")
        value = pit(estimates.cuda(), sources.cuda())[0].cpu()
    else:
        other = torch.bfloat16 if where == "bfloat16" else torch.float64
        value = pit(estimates.to(other), sources.to(other) if where == "bfloat16" else sources)[0]
    assert torch.allclose(value.float(), expected, atol=0.1 if where == "bfloat16" else 1e-3)


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
