"""masks: the equations, their optimality, silence, and the order the literature found."""

import itertools
import os
from pathlib import Path

import pytest
import torch

from sep_helpers import masks
from sep_helpers.losses import si_snr
from sep_helpers.stft import stft

REAL_DATA = os.environ.get("SEP_REAL_DATA")


def voices(n: int, length: int = 4000) -> torch.Tensor:
    """Tone complexes with syllables, (source, time): sparse in time and frequency, like speech."""
    t = torch.arange(length) / 8000
    return torch.stack([
        sum(torch.sin(2 * torch.pi * (110 + 37 * i) * k * t + i * k) / k for k in range(1, 12))
        * (0.5 + 0.5 * torch.sin(2 * torch.pi * (3 + i) * t + 2 * i)) * 0.1
        + 0.001 * torch.randn(length, generator=torch.Generator().manual_seed(i))
        for i in range(n)
    ])


def spectra(n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    S = stft(voices(n))
    return S, S.sum(0)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("mask", [masks.ibm, masks.irm, masks.wfm, masks.random])
def test_shares_lie_between_0_and_1_and_add_up_to_1(mask, n):
    m = mask(spectra(n)[0])
    assert m.shape == (n, 129, 64) and not m.is_complex()
    assert m.min() >= 0 and m.max() <= 1
    assert torch.allclose(m.sum(0), torch.ones(129, 64), atol=1e-6)


def test_values_by_hand():
    """|S| = 3, 4, 0 in one bin: 3/7, 4/7, 0 and 9/25, 16/25, 0; phases do not matter."""
    S = torch.tensor([3j, -4, 0]).reshape(3, 1, 1)
    assert masks.ibm(S).flatten().tolist() == [0, 1, 0]
    assert masks.irm(S).flatten().tolist() == pytest.approx([3 / 7, 4 / 7, 0])
    assert masks.wfm(S).flatten().tolist() == pytest.approx([9 / 25, 16 / 25, 0])
    # Y = -4 + 3j, S / Y = (9 - 12j) / 25, (16 + 12j) / 25, 0
    Y = S.sum(0)
    assert masks.psm(S, Y).flatten().tolist() == pytest.approx([9 / 25, 16 / 25, 0])
    ratios = masks.cirm(S, Y).flatten().tolist()
    assert ratios == pytest.approx([(9 - 12j) / 25, (16 + 12j) / 25, 0])


def test_the_family_of_masks_has_its_known_members():
    S, _ = spectra(3)
    S[:, 5, 6] = 0
    assert torch.allclose(masks.power(S, 1), masks.irm(S), atol=1e-6)
    assert torch.allclose(masks.power(S, 2), masks.wfm(S), atol=1e-6)
    assert torch.equal(masks.power(S, float("inf")), masks.ibm(S))
    clear = masks.wfm(S).max(0).values > 0.55
    for tiny in (1, 1e-15):
        assert torch.allclose(masks.power(tiny * S, 200)[:, clear], masks.ibm(S)[:, clear])
    with pytest.raises(masks.MaskError, match="exponent 0: give more than 0"):
        masks.power(S, 0)


def test_a_cut_mask_keeps_what_is_above_the_threshold():
    m = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
    assert masks.cut(m, 0.2).tolist() == pytest.approx([0, 0, 0.5, 0.9, 1])
    assert masks.cut(m, 0.5, binary=True).tolist() == [0, 0, 0, 1, 1]
    assert torch.equal(masks.cut(m, 0), m)
    S, _ = spectra(2)
    louder = (S[0].abs() > S[1].abs()) * 1.0
    assert torch.equal(masks.cut(masks.wfm(S), 0.5, binary=True)[0], louder)


def test_wiener_gain_is_the_best_for_unrelated_phases():
    """Searched, not derived: the gain with the least expected error over random phases."""
    sizes = torch.tensor([1.0, 0.5, 2.0])
    phases = 2 * torch.pi * torch.rand(3, 20000, generator=torch.Generator().manual_seed(0))
    S = torch.polar(sizes[:, None].expand_as(phases), phases)
    Y = S.sum(0)
    gains = torch.linspace(0, 1, 1001)
    for i, expected in enumerate(masks.wfm(S[:, None, :1]).flatten()):
        moments = (S[i].abs() ** 2).mean(), (S[i] * Y.conj()).real.mean(), (Y.abs() ** 2).mean()
        errors = moments[0] - 2 * gains * moments[1] + gains**2 * moments[2]
        assert gains[errors.argmin()].item() == pytest.approx(expected.item(), abs=0.015)


@pytest.mark.parametrize("n", [2, 5])
def test_phase_sensitive_mask_is_the_closest_real_one(n):
    S, Y = spectra(n)
    def distance(m):
        return (masks.apply(m, Y) - S).abs()
    best = distance(masks.psm(S, Y))
    for other in (masks.ibm(S), masks.irm(S), masks.wfm(S), masks.random(S)):
        assert (best <= distance(other) + 1e-5).all()
    assert (distance(masks.psm(S, Y, truncate=False)) <= best + 1e-5).all()
    outside = masks.psm(S, Y, truncate=False)
    assert outside.min() < 0 and outside.max() > 1
    assert torch.equal(masks.psm(S, Y), outside.clamp(0, 1))


def test_complex_mask_gives_the_source_back():
    sources = voices(3)
    again = masks.oracle("cirm", sources.sum(0), sources)
    assert torch.allclose(again, sources, atol=1e-5)


def test_binary_mask_agrees_with_pairwise_comparison():
    S, _ = spectra(3)
    louder = torch.stack([
        torch.stack([S[i].abs() > S[j].abs() for j in range(3) if j != i]).all(0) for i in range(3)
    ])
    assert torch.equal(masks.ibm(S).bool(), louder)


@pytest.mark.parametrize("name", masks.MASKS)
@pytest.mark.parametrize("n, silent", [(2, [1]), (3, [0]), (3, [0, 1]), (3, [0, 1, 2]),
                                       (5, [1, 4])])
def test_silent_sources_stay_silent_and_nothing_is_nan(name, n, silent):
    sources = voices(n)
    sources[silent] = 0
    estimates = masks.oracle(name, sources.sum(0), sources)
    assert torch.isfinite(estimates).all()
    if name != "random":
        assert estimates[silent].abs().max() == 0
    audible = [i for i in range(n) if i not in silent]
    if name not in ("random",) and len(audible) == 1:       # alone, a source is the mixture
        assert torch.allclose(estimates[audible], sources[audible], atol=1e-6)


def test_bins_without_any_energy():
    nothing = torch.zeros(4, 129, 5, dtype=torch.complex64)
    assert (masks.irm(nothing) == 0.25).all() and (masks.wfm(nothing) == 0.25).all()
    assert masks.ibm(nothing)[:, 0, 0].tolist() == [1, 0, 0, 0]
    for m in (masks.psm(nothing, nothing[0]), masks.cirm(nothing, nothing[0])):
        assert (m == 0).all()


@pytest.mark.parametrize("gain", [1e-6, 1e4])
def test_level_and_order_of_the_sources_do_not_matter(gain):
    S, Y = spectra(3)
    for order in itertools.permutations(range(3)):
        order = list(order)
        for mask in (masks.ibm, masks.irm, masks.wfm):
            assert torch.allclose(mask(gain * S[order]), mask(S)[order], atol=1e-4)
        assert torch.allclose(masks.psm(gain * S[order], gain * Y), masks.psm(S, Y)[order],
                              atol=1e-3)


def test_batches_are_separated_one_by_one():
    batch = torch.stack([voices(2), voices(2).flip(0) * torch.tensor([[0.3], [1.0]])])
    for name in masks.MASKS:
        together = masks.oracle(name, batch.sum(1), batch)
        assert together.shape == batch.shape
        if name != "random":
            alone = masks.oracle(name, batch[1].sum(0), batch[1])
            assert torch.allclose(together[1], alone, atol=1e-6)


@pytest.mark.parametrize("name", masks.MASKS)
@pytest.mark.parametrize("length", [1, 2, 100, 1001])
def test_signals_shorter_than_the_window_and_of_odd_length(name, length):
    for dtype in (torch.float32, torch.float64):
        sources = voices(3, 1001)[:, :length].to(dtype) + 0.01
        estimates = masks.oracle(name, sources.sum(0), sources)
        assert estimates.shape == sources.shape and estimates.dtype == dtype
        assert estimates.isfinite().all()
        if name == "cirm":
            assert torch.allclose(estimates, sources, atol=1e-5)


def test_random_masks_come_from_the_seed_alone():
    S, _ = spectra()
    assert torch.equal(masks.random(S, seed=3), masks.random(S, seed=3))
    assert not torch.equal(masks.random(S, seed=3), masks.random(S, seed=4))


def test_estimates_add_up_to_the_mixture():
    sources = voices(3, length=3333)
    for name in ("ibm", "irm", "wfm", "random"):
        estimates = masks.oracle(name, sources.sum(0), sources)
        assert estimates.shape == (3, 3333)
        assert torch.allclose(estimates.sum(0), sources.sum(0), atol=1e-6)


@pytest.mark.parametrize("call, message", [
    (lambda: masks.oracle("irn", torch.ones(9), torch.ones(2, 9)), "'irn' is unknown: .*ibm, irm"),
    (lambda: masks.oracle("irm", torch.ones(8), torch.ones(2, 9)), "do not fit the mixture"),
    (lambda: masks.apply(torch.ones(2, 5, 7), torch.ones(5, 6)), r"\(2, 5, 7\).*\(5, 6\)"),
    (lambda: masks.apply(torch.ones(5, 7), torch.ones(5, 7)), "do not fit"),
    (lambda: masks.oracle("irm", *torch.ones(3, 9).long().split((1, 2))), "do not fit"),
    (lambda: masks.psm(torch.ones(3, 2, 5, 7), torch.ones(2, 5, 7)), "do not fit"),
])
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(masks.MaskError, match=message):
        call()


def real_pairs(n: int) -> list[torch.Tensor]:
    """Pairs (source, time) of different readers, 4 s, levels drawn within +-2.5 dB."""
    import soundfile
    generator = torch.Generator().manual_seed(0)
    readers = sorted((Path(REAL_DATA) / "speech_real").glob("ls*"))
    clips = [torch.from_numpy(soundfile.read(next(iter(sorted(r.glob("*.flac")))),
                                             dtype="float32")[0])[:32000] for r in readers]
    clips = [x / x.square().mean().sqrt() * 0.05 for x in clips if len(x) == 32000][: 2 * n]
    gains = 10 ** ((torch.rand(2 * n, generator=generator) * 5 - 2.5) / 20)
    return list((torch.stack(clips) * gains[:, None]).reshape(n, 2, 32000))


@pytest.mark.skipif(not REAL_DATA, reason="SEP_REAL_DATA is not set: no real voices")
def test_ceilings_on_real_speech_stand_where_the_literature_has_them():
    """Conv-TasNet paper, WSJ0-2mix SI-SNRi: IRM 12.2, IBM 13.0, WFM 13.4; other voices, +-1.5."""
    gain = {}
    for name in ("irm", "ibm", "wfm", "psm", "random"):
        gain[name] = torch.stack([
            si_snr(masks.oracle(name, s.sum(0), s), s) - si_snr(s.sum(0), s) for s in real_pairs(40)
        ]).mean().item()
    assert gain["irm"] == pytest.approx(12.2, abs=1.5)
    assert gain["ibm"] == pytest.approx(13.0, abs=1.5)
    assert gain["wfm"] == pytest.approx(13.4, abs=1.5)
    assert gain["random"] < 0 < gain["irm"] < gain["ibm"] < gain["wfm"] < gain["psm"]
