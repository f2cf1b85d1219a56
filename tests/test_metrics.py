"""metrics: closed forms, agreement with torchmetrics, silence, perfection and bad input."""

import numpy as np
import pytest
import torch

from sep_helpers import losses, metrics
from sep_helpers.bss_eval import TAPS
from sep_helpers.metrics import (
    CEILING_DB,
    FLOOR_DB,
    MetricError,
    bss_eval,
    sdr,
    sdr_improvement,
    si_sdr,
    si_sdr_improvement,
    snr,
)


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
    source[-TAPS:] = 0      # so that no delayed copy is cut off at the end
    estimate = source + orthogonal_to(source, db, delays=TAPS)
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


def test_bss_eval_tells_interference_from_artefacts():
    sources = coloured(2)
    leak = bss_eval(sources + 0.1 * sources.flip(0), sources)
    hiss = bss_eval(sources + 0.1 * noise(2, 6000, seed=5) * sources.std(-1, keepdim=True), sources)
    assert (leak["sir"] < 25).all() and (leak["sar"] > 60).all()
    assert (hiss["sir"] > leak["sir"] + 5).all() and (hiss["sar"] < 25).all()


def test_bss_eval_searches_an_order_only_when_asked():
    sources = coloured(3)
    turned = sources[[2, 0, 1]] + 0.01 * noise(3, 6000)         # estimate 1 is of source 0, ...
    assert (bss_eval(turned, sources)["sdr"] < 0).all()
    found = bss_eval(turned, sources, permute=True)
    assert found["order"].tolist() == [1, 2, 0] and (found["sdr"] > 20).all()
    kept = bss_eval(turned[[1, 2, 0]], sources)
    assert kept["order"].tolist() == [0, 1, 2]
    for name in ("sdr", "sir", "sar"):
        np.testing.assert_allclose(found[name], kept[name], atol=1e-9)


def test_sdr_is_the_same_whoever_computes_it():
    sources = coloured(3)
    estimates = sources + 0.3 * sources.roll(1, 0) + 0.05 * noise(3, 6000, seed=7)
    np.testing.assert_allclose(bss_eval(estimates, sources)["sdr"], sdr(estimates, sources),
                               atol=1e-9)


def test_snr_is_the_loss_in_float64_and_feels_the_level():
    sources = coloured(2)
    estimates = sources + 0.1 * noise(2, 6000, seed=3)
    assert torch.allclose(snr(estimates, sources), losses.snr(estimates, sources).double(),
                          atol=1e-4)
    assert torch.allclose(snr(1e-6 * estimates, 1e-6 * sources), snr(estimates, sources), atol=1e-4)
    assert torch.allclose(snr(0.5 * sources, sources), torch.tensor(6.0206).double(), atol=1e-3)


def test_stereo_adds_energies_and_joins_channels():
    """A channel twice is the same as once; a soft channel hardly counts; one scale for both."""
    sources = coloured(2)
    estimates = sources + 0.3 * sources.flip(0) + 0.05 * noise(2, 6000, seed=4)
    mono = bss_eval(estimates, sources)
    twice = bss_eval(estimates[:, None].expand(-1, 2, -1), sources[:, None].expand(-1, 2, -1))
    spoiled = torch.stack([estimates, 1e-4 * noise(2, 6000, seed=5)], 1)
    soft = bss_eval(spoiled, torch.stack([sources, 1e-4 * sources], 1))
    for name in ("sdr", "sir", "sar"):
        np.testing.assert_allclose(twice[name], mono[name], atol=1e-9)
        np.testing.assert_allclose(soft[name], mono[name], atol=1e-3)
    joined = [metrics.join_channels(torch.stack([gain * sources, sources], 1))
              for gain in (1.0, 2.0)]
    assert (si_sdr(joined[1], joined[0]) < 11).all()            # the balance is an error


def test_a_channel_in_which_a_stem_is_silent_counts_what_leaks_into_it():
    left = coloured(2)
    sources = torch.stack([left, torch.stack([torch.zeros(6000), left[0]])], 1)
    clean = bss_eval(sources + 0.01 * noise(2, 2, 6000, seed=6), sources)["sdr"]
    leaking = sources.clone()
    leaking[0, 1] = 0.5 * sources[1, 1]
    found = bss_eval(leaking + 0.01 * noise(2, 2, 6000, seed=6), sources)
    assert found["sdr"][0] < clean[0] - 10 and found["sdr"][1] == pytest.approx(clean[1], abs=0.1)
    assert found["sdr"][0] == pytest.approx(10 * np.log10(
        (left[0].square().sum() / (0.25 * left[0].square().sum())).item()), abs=0.5)


def test_what_leaks_into_a_source_s_silence_is_error():
    """A reference that is silent in part: the figure is of the whole, and finite."""
    sources = coloured(2)
    sources[0, 3000:] = 0
    good = sources + 0.01 * noise(2, 6000, seed=2)
    leaky = good.clone()
    leaky[0, 3000:] += 0.3 * sources[1, 3000:]
    for metric in (si_sdr, snr, sdr):
        assert metric(leaky, sources)[0] < metric(good, sources)[0] - 10
    assert all(np.isfinite(values).all() for values in bss_eval(leaky, sources).values())


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
    assert si_sdr(estimates, sources)[1] == CEILING_DB
    assert snr(estimates, sources)[0] == FLOOR_DB
    found = bss_eval(estimates, sources)
    assert all(found[name][0] == FLOOR_DB for name in ("sdr", "sir", "sar"))
    source = sources[0].double() - sources[0].double().mean()
    assert si_sdr(orthogonal_to(source, 0), source) == FLOOR_DB
    assert torch.equal(estimates[0], torch.zeros(6000))         # nobody wrote into the input


def test_a_constant_estimate_is_silent_too():
    assert si_sdr(torch.full((1, 6000), 0.3), coloured(1))[0] == FLOOR_DB


def test_perfect_estimates_score_the_ceiling_so_that_a_mean_stays_finite():
    sources = coloured(2)
    for metric in (si_sdr, snr, sdr):
        assert (metric(sources, sources) == CEILING_DB).all()
    found = bss_eval(sources, sources)
    assert all((found[name] == CEILING_DB).all() for name in ("sdr", "sir", "sar"))
    both = torch.stack([sources[0], sources[1] + 0.1 * noise(6000)])
    assert 50 < sdr(both, sources).mean() < 80


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


@pytest.mark.parametrize("metric", [si_sdr, snr, sdr, bss_eval])
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
