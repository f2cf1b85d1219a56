"""SI-SNR and SNR against closed forms, torchmetrics, and the properties that define them."""

import math

import pytest
import torch

from sep_helpers.losses import si_snr, snr


@pytest.fixture
def pair():
    g = torch.Generator().manual_seed(0)
    target = torch.randn(2, 3, 4000, generator=g)
    return target + 0.3 * torch.randn(2, 3, 4000, generator=g), target


def orthogonal_noise(target: torch.Tensor, db: float, seed: int = 1) -> torch.Tensor:
    """Zero-mean noise, orthogonal to a zero-mean target and exactly `db` below it."""
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed)).double()
    noise = noise - noise.mean()
    noise = noise - (noise @ target) / (target @ target) * target
    return noise * target.norm() / noise.norm() * 10 ** (-db / 20)


@pytest.mark.parametrize("db", [-10.0, 0.0, 20.0, 60.0])
def test_si_snr_of_orthogonal_noise_is_its_level(db):
    target = torch.sin(torch.arange(8000, dtype=torch.float64) * 0.1)
    target = target - target.mean()
    estimate = target + orthogonal_noise(target, db)
    assert si_snr(estimate, target).item() == pytest.approx(db, abs=1e-4)
    assert snr(estimate, target).item() == pytest.approx(db, abs=1e-4)
    assert si_snr(estimate.float(), target.float()).item() == pytest.approx(db, abs=2e-3)


def test_equals_torchmetrics(pair):
    audio = pytest.importorskip("torchmetrics.functional.audio")
    assert torch.allclose(si_snr(*pair), audio.scale_invariant_signal_noise_ratio(*pair), atol=1e-4)
    assert torch.allclose(snr(*pair), audio.signal_noise_ratio(*pair), atol=1e-4)


@pytest.mark.parametrize("factor", [0.01, 1000.0, -1.0])
def test_si_snr_is_blind_to_scale_and_sign_but_snr_is_not(pair, factor):
    estimate, target = pair
    assert torch.allclose(si_snr(factor * estimate, target), si_snr(estimate, target), atol=1e-3)
    assert (snr(factor * estimate, target) < snr(estimate, target) - 3).all()


def test_si_snr_is_blind_to_an_offset(pair):
    estimate, target = pair
    assert torch.allclose(si_snr(estimate + 5, target - 2), si_snr(estimate, target), atol=1e-3)


def test_padding_does_not_count(pair):
    estimate, target = pair
    lengths = torch.tensor([4000, 2500])
    garbage = estimate.clone()
    garbage[1, :, 2500:] = 100.0
    for metric in (si_snr, snr):
        expected = metric(estimate[1, :, :2500], target[1, :, :2500])
        padded = metric(garbage, target, lengths)
        assert torch.allclose(padded[1], expected, atol=1e-4)
        assert torch.allclose(padded[0], metric(estimate[0], target[0]), atol=1e-4)


@pytest.mark.parametrize("metric", [si_snr, snr])
def test_silence_is_finite_in_value_and_gradient(pair, metric):
    estimate, target = pair
    for e, t in [(estimate, 0 * target), (0 * estimate, target), (0 * estimate, 0 * target)]:
        e = e.clone().requires_grad_()
        value = metric(e, t).sum()
        value.backward()
        assert math.isfinite(value.item()) and torch.isfinite(e.grad).all()


def test_a_silent_target_pushes_the_estimate_towards_silence(pair):
    estimate, target = pair
    loud, soft = si_snr(estimate, 0 * target), si_snr(0.1 * estimate, 0 * target)
    assert torch.allclose(soft - loud, torch.tensor(20.0), atol=1e-2)


def test_gradient_is_right():
    g = torch.Generator().manual_seed(3)
    e = torch.randn(2, 50, generator=g, dtype=torch.float64, requires_grad=True)
    t = torch.randn(2, 50, generator=g, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: si_snr(x, t), e)
    assert torch.autograd.gradcheck(lambda x: snr(x, t), e)
