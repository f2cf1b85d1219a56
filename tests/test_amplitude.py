"""Levels: what each way of choosing them keeps and breaks."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from sep_helpers import audio, evaluation
from sep_helpers.amplitude import consistent, least_squares, match_peak
from sep_helpers.losses import si_snr, snr
from sep_helpers.metrics import MetricError


def scene(seed=0, n=2, time=8000, quality=0.1, softest=0.2):
    """Sources of different level, decent estimates of them, and the sources' sum."""
    g = torch.Generator().manual_seed(seed)
    level = torch.linspace(1, softest, n).unsqueeze(1)
    sources = 0.1 * level * torch.randn(n, time, generator=g)
    noise = quality * sources.square().mean(-1, keepdim=True).sqrt()
    estimates = sources + noise * torch.randn(n, time, generator=g)
    return estimates, sources, sources.sum(0)


def test_si_snr_is_blind_to_what_snr_hears():
    estimates, sources, _ = scene()
    plain = si_snr(estimates, sources)
    for gain in (0.01, 1000, -1):
        assert torch.allclose(si_snr(gain * estimates, sources), plain, atol=0.05)
    assert (snr(estimates, sources) > 19).all()
    assert (snr(-estimates, sources) < -5).all() and (snr(1000 * estimates, sources) < -59).all()


def test_least_squares_beats_peaks_where_one_voice_is_soft_and_upside_down():
    """The effect of the widely copied scripts, on signals of our own: 20 dB against a wreck."""
    estimates, sources, mixture = scene(softest=0.2)
    put_out = estimates * torch.tensor([[1e-2], [-3e3]])
    fitted = snr(least_squares(put_out, mixture), sources)
    peaks = snr(match_peak(put_out, mixture), sources)
    assert (fitted > 19).all()
    assert peaks[1] < -10 and peaks[0] < fitted[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5),
       st.lists(st.floats(-5, 5), min_size=5, max_size=5), st.lists(st.booleans(), min_size=5))
def test_least_squares_undoes_any_gain_and_sign(seed, n, decades, flips):
    estimates, sources, mixture = scene(seed, n, 2000)
    gains = torch.tensor([10.0**d * (-1) ** f for d, f in zip(decades[:n], flips[:n], strict=True)])
    fitted = least_squares(gains.unsqueeze(1) * estimates, mixture)
    assert torch.allclose(fitted, least_squares(estimates, mixture), atol=1e-5)
    left = (mixture - fitted.sum(0)).square().sum()
    for i in range(n):                                   # no other gain comes closer
        for factor in (0.99, 1.01):
            other = fitted.clone()
            other[i] *= factor
            assert (mixture - other.sum(0)).square().sum() >= left


def test_least_squares_of_the_sources_gives_the_sources():
    _, sources, mixture = scene()
    assert torch.allclose(least_squares(7 * sources, mixture), sources, atol=1e-6)


def test_silence_stays_silence_and_twins_share():
    _, sources, mixture = scene()
    for way in (least_squares, match_peak):
        assert torch.equal(way(torch.zeros(2, 8000), mixture), torch.zeros(2, 8000))
        assert torch.equal(way(sources, torch.zeros(8000)), torch.zeros(2, 8000))
    half = least_squares(torch.stack([mixture, 1e4 * mixture]), mixture)
    assert torch.allclose(half, mixture.expand(2, -1) / 2, atol=1e-5)


def test_peaks_are_matched_one_by_one():
    estimates, _, mixture = scene()
    peaks = match_peak(1e4 * estimates, mixture).abs().amax(-1)
    assert torch.allclose(peaks, mixture.abs().max().expand(2))


@pytest.mark.parametrize("n", [1, 2, 6])
def test_consistent_estimates_add_up_and_lose_nothing(n):
    estimates, sources, mixture = scene(n=n)
    made = consistent(estimates, mixture)
    assert torch.allclose(made.sum(0), mixture, atol=1e-6)
    assert torch.allclose(consistent(made, mixture), made, atol=1e-6), "a projection"
    error, before = (made - sources).square().sum(), (estimates - sources).square().sum()
    assert error <= before, "the truth adds up, too: a projection comes no farther from it"


def test_weights_say_who_takes_what_is_missing():
    estimates, _, mixture = scene()
    weights = torch.tensor([1.0, 0.0])
    made = consistent(estimates, mixture, weights)
    assert torch.equal(made[1], estimates[1])
    assert torch.allclose(made[0], mixture - estimates[1], atol=1e-6)
    batch = consistent(torch.stack([estimates] * 3), mixture.expand(3, -1), weights)
    assert torch.equal(batch[2], made)


def test_gradients_flow_through_consistency():
    estimates = torch.randn(2, 50, requires_grad=True)
    consistent(estimates, torch.randn(50)).square().sum().backward()
    assert estimates.grad.abs().sum() > 0


def test_training_with_snr_learns_the_level_and_with_si_snr_does_not():
    _, sources, _ = scene(n=1)
    loudness = {}
    for name, measure in {"snr": snr, "si_snr": si_snr}.items():
        gain = torch.tensor(0.1, requires_grad=True)
        optimizer = torch.optim.Adam([gain], lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            (-measure(gain * sources + 1e-3, sources)).mean().backward()
            optimizer.step()
        loudness[name] = gain.item()
    assert loudness["snr"] == pytest.approx(1, abs=0.05)
    assert abs(loudness["si_snr"] - 1) > 0.3


class Loud(torch.nn.Module):
    """A separator as SI-SNR makes them: right, but for level and sign."""

    def __init__(self, estimates):
        super().__init__()
        self.estimates = estimates

    def forward(self, mixture):
        return torch.tensor([[-2e4], [3e-3]]) * self.estimates.unsqueeze(0)


def test_separate_gives_the_right_level_and_the_file_is_pcm_16_of_the_same_length(tmp_path):
    import soundfile

    estimates, sources, mixture = scene(time=20_003)
    made = evaluation.separate(Loud(estimates), mixture)
    assert (snr(made, sources) > 19).all()
    for i, wave in enumerate(made):
        audio.write(tmp_path / f"{i}.wav", wave, 8000)
        facts = soundfile.info(tmp_path / f"{i}.wav")
        assert (facts.subtype, facts.frames, facts.samplerate) == ("PCM_16", 20_003, 8000)
        assert (tmp_path / f"{i}.wav").stat().st_size == 44 + 2 * 20_003
        assert torch.allclose(audio.read(tmp_path / f"{i}.wav"), wave, atol=1 / 32768)


@pytest.mark.parametrize("way", [match_peak, least_squares, consistent])
@pytest.mark.parametrize("estimates, mixture", [
    (torch.zeros(2, 10), torch.zeros(9)), (torch.zeros(10), torch.zeros(10)),
    (torch.zeros(2, 10), torch.zeros(2, 10)), (torch.zeros(1, 2, 10), torch.zeros(10)),
])
def test_what_does_not_belong_together_is_refused(way, estimates, mixture):
    with pytest.raises(ValueError, match="both of one length") as error:
        way(estimates, mixture)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("way", [match_peak, least_squares])
def test_nan_is_refused(way):
    with pytest.raises(MetricError, match="NaN or infinity"):
        way(torch.tensor([[1.0, float("nan")]]), torch.ones(2))


@pytest.mark.parametrize("weights", [torch.ones(2), torch.ones(3) / 3, torch.tensor(1.0)])
def test_weights_that_do_not_add_up_are_refused(weights):
    with pytest.raises(ValueError, match="add up to 1"):
        consistent(torch.zeros(2, 5), torch.zeros(5), weights)
