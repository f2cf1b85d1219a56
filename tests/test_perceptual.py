"""perceptual: equal to pystoi and pesq themselves, absent said, what cannot be judged named."""

import importlib.util

import numpy as np
import pytest
import torch

from sep_helpers import perceptual
from sep_helpers.metrics import MetricError


def voice(seconds: float = 2.0, rate: int = 8000, seed: int = 0) -> torch.Tensor:
    """Something with the bursts and the spectrum of speech."""
    t = np.arange(int(seconds * rate)) / rate
    bursts = np.maximum(np.sin(2 * np.pi * 3 * t + seed), 0) ** 0.5
    buzz = sum(np.sin(2 * np.pi * 120 * k * t + k * seed) / k for k in range(1, 15))
    return torch.from_numpy(0.1 * bursts * buzz)


def noisy(x: torch.Tensor, level: float, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return x + level * torch.randn(x.shape, generator=g).double()


needs_stoi = pytest.mark.skipif(importlib.util.find_spec("pystoi") is None,
                                reason="pystoi is not installed: pip install pystoi")
needs_pesq = pytest.mark.skipif(importlib.util.find_spec("pesq") is None,
                                reason="pesq is not installed (it needs a C compiler): "
                                "pip install pesq")


@needs_stoi
@pytest.mark.parametrize("extended", [False, True])
def test_stoi_is_pystoi_s(extended):
    import pystoi
    sources = torch.stack([voice(seed=0), voice(seed=1)])
    estimates = noisy(sources, 0.03)
    ours = perceptual.stoi(estimates, sources, 8000, extended)
    theirs = [pystoi.stoi(s.numpy(), e.numpy(), 8000, extended)
              for e, s in zip(estimates, sources, strict=True)]
    assert ours.tolist() == pytest.approx(theirs, abs=1e-9)
    assert ours.shape == (2,) and (ours < perceptual.stoi(sources, sources, 8000, extended)).all()


@needs_stoi
@pytest.mark.parametrize("extended", [False, True])
def test_stoi_equals_torchmetrics(extended):
    audio = pytest.importorskip("torchmetrics.functional.audio")
    source = voice()
    estimate = noisy(source, 0.03)
    theirs = audio.short_time_objective_intelligibility(estimate, source, 8000, extended)
    assert perceptual.stoi(estimate, source, 8000, extended).item() == pytest.approx(
        theirs.item(), abs=1e-5)


@needs_pesq
@pytest.mark.parametrize("rate, band", [(8000, "nb"), (16000, "nb"), (16000, "wb")])
def test_pesq_is_pesq_s(rate, band):
    import pesq
    source = voice(rate=rate)
    estimate = noisy(source, 0.01)
    ours = perceptual.pesq(estimate[None], source[None], rate, band)
    assert ours.item() == pytest.approx(pesq.pesq(rate, source.numpy(), estimate.numpy(), band),
                                        abs=1e-6)
    assert ours.item() < perceptual.pesq(source, source, rate, band).item()


@needs_pesq
def test_pesq_equals_torchmetrics():
    audio = pytest.importorskip("torchmetrics.functional.audio")
    source = voice(rate=16000)
    estimate = noisy(source, 0.01)
    theirs = audio.perceptual_evaluation_speech_quality(estimate, source, 16000, "wb")
    assert perceptual.pesq(estimate, source, 16000, "wb").item() == pytest.approx(theirs.item(),
                                                                                 abs=1e-5)


@needs_stoi
@needs_pesq
def test_a_silent_estimate_scores_the_worst_there_is():
    sources = torch.stack([voice(), voice(seed=1)])
    estimates = torch.stack([torch.zeros_like(sources[0]), noisy(sources[1], 0.01)])
    for name in ("stoi", "estoi", "pesq_nb"):
        figures = perceptual.measure(name, estimates, sources, 8000)
        assert figures[0] == perceptual.LOWEST[name] < figures[1]


def test_a_missing_package_is_said_with_the_remedy(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name == "pesq" else find(name))
    assert perceptual.missing(["pesq_nb"], 8000) == {
        "pesq_nb": "the package pesq is missing: pip install pesq"}
    with pytest.raises(MetricError, match="pesq_nb is not measured: the package pesq is missing"):
        perceptual.pesq(voice(), voice(), 8000)


@needs_pesq
@pytest.mark.parametrize("name, rate, said", [
    ("pesq_wb", 8000, "it takes 16000 Hz, this is 8000 Hz"),
    ("pesq_nb", 22050, "it takes 8000 Hz or 16000 Hz, this is 22050 Hz")])
def test_rates_that_pesq_does_not_take(name, rate, said):
    assert said in perceptual.missing([name], rate)[name]


@needs_stoi
@needs_pesq
def test_any_rate_is_right_for_stoi_and_two_for_pesq():
    assert not perceptual.missing(["stoi", "estoi"], 22050)
    assert not perceptual.missing(["pesq_nb"], 8000)
    assert not perceptual.missing(perceptual.NAMES, 16000)


def test_an_unknown_figure_is_named():
    with pytest.raises(MetricError, match="no figure 'mos': choose from stoi, estoi, pesq_nb"):
        perceptual.missing(["mos"], 8000)


@needs_stoi
def test_too_short_for_stoi():
    with pytest.raises(MetricError, match="less than 0.4 s of the source is no silence"):
        perceptual.stoi(noisy(voice(0.3), 0.01), voice(0.3), 8000)


@needs_pesq
def test_what_pesq_cannot_judge():
    source = voice(0.2)
    with pytest.raises(MetricError, match="PESQ cannot judge it .*: it wants a quarter of a") as e:
        perceptual.pesq(noisy(source, 0.01), source, 8000)
    assert "\n" not in str(e.value) and "b'" not in str(e.value)


@needs_stoi
def test_bad_input_is_refused_as_in_metrics():
    with pytest.raises(MetricError, match="differ in shape"):
        perceptual.stoi(voice()[:-1], voice(), 8000)
    with pytest.raises(MetricError, match="is silent"):
        perceptual.stoi(voice(), torch.zeros(16000), 8000)
