"""metrics: closed forms, agreement with mir_eval and torchmetrics, silence and bad input."""

import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from sep_helpers import metrics
from sep_helpers.metrics import (
    FLOOR_DB,
    MetricError,
    bss_eval,
    sdr,
    sdr_improvement,
    si_sdr,
    si_sdr_improvement,
)

REAL_DATA = os.environ.get("SEP_REAL_DATA")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def coloured(n: int, length: int = 6000) -> torch.Tensor:
    """Noises with different, uneven spectra, (source, time)."""
    kernels = [torch.tensor([1.0, 0.9, 0.5]), torch.tensor([1.0, -0.9, 0.2]),
               torch.tensor([1.0, 0.0, -0.8])]
    white = noise(n, length + 2)
    return torch.stack([(white[i].unfold(0, 3, 1) * kernels[i % 3]).sum(-1) for i in range(n)])


def orthogonal_to(source: torch.Tensor, db: float, delays: int = 1) -> torch.Tensor:
    """Zero-mean noise, `db` below the source, orthogonal to its first `delays` delayed copies."""
    s = source.double().numpy()
    basis = np.stack([np.concatenate([np.zeros(d), s[: len(s) - d]]) for d in range(delays)]
                     + [np.ones(len(s))], 1)
    e = noise(len(s), seed=9).double().numpy()
    e -= basis @ np.linalg.lstsq(basis, e)[0]
    return torch.from_numpy(e * np.linalg.norm(s) / np.linalg.norm(e) * 10 ** (-db / 20))


@pytest.mark.parametrize("db", [-20.0, 0.0, 10.0, 60.0])
def test_orthogonal_noise_scores_its_level(db):
    source = noise(8000)
    source = (source - source.mean()).double()
    estimate = source + orthogonal_to(source, db)
    assert si_sdr(estimate, source).item() == pytest.approx(db, abs=1e-4)


@pytest.mark.parametrize("db", [0.0, 10.0, 40.0])
def test_sdr_of_noise_orthogonal_to_every_delayed_copy_is_its_level(db):
    source = noise(4000).double()
    source[-metrics.TAPS:] = 0      # so that no delayed copy is cut off at the end
    estimate = source + orthogonal_to(source, db, delays=metrics.TAPS)
    assert sdr(estimate, source).item() == pytest.approx(db, abs=1e-4)


def test_improvement_of_a_known_mixture():
    """Two orthogonal sources of 0 and -6 dB; an estimate with 10 dB of noise of its own."""
    a = noise(8000).double()
    a = a - a.mean()
    b = orthogonal_to(a, 6.0)
    sources, mixture = torch.stack([a, b]), a + b
    estimates = sources + torch.stack([orthogonal_to(a, 10.0), torch.zeros(8000)])
    estimates[1] = b + 0.1 * a      # the other source, 20 - 6 dB below
    gain = si_sdr_improvement(estimates, sources, mixture)
    assert gain.tolist() == pytest.approx([10 - 6, 14 + 6], abs=1e-4)


@pytest.mark.parametrize("n", [2, 3])
def test_equals_torchmetrics(n):
    audio = pytest.importorskip("torchmetrics.functional.audio")
    sources = coloured(n)
    estimates = sources + 0.2 * sources.flip(0) + 0.1 * noise(n, 6000, seed=4)
    ours, theirs = si_sdr(estimates, sources), audio.scale_invariant_signal_distortion_ratio(
        estimates.double(), sources.double(), zero_mean=True)
    assert torch.allclose(ours, theirs, atol=1e-4)
    theirs = audio.signal_distortion_ratio(estimates.double(), sources.double())
    assert torch.allclose(sdr(estimates, sources), theirs, atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_sdr_equals_mir_eval(n):
    pytest.importorskip("mir_eval")
    sources = coloured(n)
    filtered = 0.7 * sources + 0.5 * sources.roll(3, -1)    # BSS-eval forgives this, SI-SDR not
    estimates = filtered + 0.2 * sources.sum(0) + 0.05 * noise(n, 6000, seed=4)
    theirs = bss_eval(estimates, sources)
    np.testing.assert_allclose(sdr(estimates, sources), theirs["sdr"], atol=1e-4)
    assert (theirs["sdr"] > si_sdr(estimates, sources).numpy() + 2).all()


@pytest.mark.skipif(not REAL_DATA, reason="SEP_REAL_DATA is not set: no real voices")
def test_sdr_equals_mir_eval_on_real_voices():
    """Speech leaves the top of the band almost empty: an ill-conditioned least squares."""
    import soundfile
    pytest.importorskip("mir_eval")
    files = sorted((Path(REAL_DATA) / "speech_real").glob("ls1*/*.flac"))[:2]
    sources = torch.stack([torch.from_numpy(soundfile.read(f, dtype="float32")[0])[:24000]
                           for f in files])
    for estimates in (sources.sum(0).expand(2, -1), sources + 0.1 * sources.flip(0),
                      sources + 1e-3 * noise(2, 24000)):
        theirs = bss_eval(estimates, sources)["sdr"]
        np.testing.assert_allclose(sdr(estimates, sources), theirs, atol=1e-4)


def test_bss_eval_tells_interference_from_artefacts():
    pytest.importorskip("mir_eval")
    sources = coloured(2)
    leak = bss_eval(sources + 0.1 * sources.flip(0), sources)
    hiss = bss_eval(sources + 0.1 * noise(2, 6000, seed=5) * sources.std(-1, keepdim=True), sources)
    assert (leak["sir"] < 25).all() and (leak["sar"] > 60).all()
    assert (hiss["sir"] > leak["sir"] + 5).all() and (hiss["sar"] < 25).all()


def test_bss_eval_is_quiet_and_searches_no_permutation():
    pytest.importorskip("mir_eval")
    sources = coloured(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swapped = bss_eval(sources.flip(0) + 0.01 * noise(2, 6000), sources)
    assert (swapped["sdr"] < 0).all()


def test_bss_eval_without_mir_eval_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "mir_eval.separation", None)
    with pytest.raises(ImportError, match=r"SIR and SAR .* pip install 'mir_eval<0.9'"):
        bss_eval(coloured(2), coloured(2) + 1)
    assert sdr(coloured(2) * 0.9, coloured(2)).shape == (2,)       # SDR needs no one


@pytest.mark.parametrize("gain", [-1.0, 1e-7, 1e6])
def test_scale_and_sign_do_not_matter(gain):
    sources = coloured(2)
    estimates = sources + noise(2, 6000, seed=3)
    for metric in (si_sdr, sdr):
        assert torch.allclose(metric(gain * estimates, sources), metric(estimates, sources),
                              atol=1e-3)
        assert torch.allclose(metric(estimates, gain * sources), metric(estimates, sources),
                              atol=1e-3)


def test_a_silent_estimate_scores_the_floor_and_so_does_all_that_is_worse():
    sources = coloured(2)
    estimates = torch.stack([torch.zeros(6000), sources[1]])
    assert si_sdr(estimates, sources)[0] == FLOOR_DB == sdr(estimates, sources)[0]
    assert si_sdr(estimates, sources)[1] > 80
    pytest.importorskip("mir_eval")
    assert bss_eval(estimates, sources)["sdr"][0] == FLOOR_DB
    source = sources[0].double() - sources[0].double().mean()
    assert si_sdr(orthogonal_to(source, 0), source) == FLOOR_DB
    assert torch.equal(estimates[0], torch.zeros(6000))         # nobody wrote into the input


def test_a_constant_estimate_is_silent_too():
    assert si_sdr(torch.full((1, 6000), 0.3), coloured(1))[0] == FLOOR_DB


def test_a_perfect_estimate_is_finite_and_high():
    sources = coloured(2)
    assert (si_sdr(sources, sources) > 100).all() and (sdr(sources, sources) > 100).all()
    assert torch.isfinite(si_sdr(sources, sources)).all()
    assert torch.isfinite(sdr(sources, sources)).all()


def test_a_pure_tone_does_not_upset_the_least_squares():
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(8000) / 8000)
    estimate = tone + 0.1 * noise(8000)
    assert sdr(estimate, tone).item() == pytest.approx(10 * np.log10(0.5 / 0.01), abs=0.5)


def test_leading_dimensions_and_improvement_shapes():
    sources = torch.stack([coloured(3), coloured(3).roll(7, -1)])
    estimates = sources + noise(2, 3, 6000, seed=3)
    for metric in (si_sdr_improvement, sdr_improvement):
        gain = metric(estimates, sources, sources.sum(1))
        assert gain.shape == (2, 3) and gain.dtype == torch.float64
        alone = metric(estimates[1], sources[1], sources[1].sum(0))
        assert torch.allclose(gain[1], alone)
        nothing = metric(sources.sum(1, keepdim=True).expand(2, 3, -1), sources, sources.sum(1))
        assert (nothing == 0).all()


SOURCES = coloured(2)
NAN = torch.where(torch.arange(6000) == 17, torch.nan, SOURCES)


@pytest.mark.parametrize("metric", [si_sdr, sdr, bss_eval])
@pytest.mark.parametrize("estimates, sources, message", [
    (SOURCES[:, :-1], SOURCES, r"estimates \(2, 5999\) and sources \(2, 6000\) .* same length"),
    (SOURCES[:1], SOURCES, "differ in shape"),
    (NAN, SOURCES, "the estimates .* hold NaN"),
    (SOURCES, NAN, "the sources .* hold NaN"),
    (SOURCES / 0, SOURCES, "infinity"),
    (SOURCES[:, :0], SOURCES[:, :0], "empty"),
    (SOURCES, SOURCES * torch.tensor([[1.0], [0.0]]), r"source \[1\] is silent"),
])
def test_what_has_no_figure_is_refused_in_one_line(metric, estimates, sources, message):
    with pytest.raises(MetricError, match=message) as error:
        metric(estimates, sources)
    assert "\n" not in str(error.value)


def test_a_mixture_of_another_length_is_refused():
    with pytest.raises(MetricError, match="mixture .5999,. does not belong"):
        si_sdr_improvement(SOURCES, SOURCES, SOURCES[0, :-1])
