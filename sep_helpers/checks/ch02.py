"""Judges of chapter 02's exercises: decibels, overlapping windows, masks, SI-SNR, phase."""

import math

import torch
from torch import Tensor

from sep_helpers import losses
from sep_helpers.stft import stft

CLOSE = 0.02    # dB


def judge_decibels(decibels) -> str | None:
    """02.1: decibels(X complex (freq, frame), n_fft) -> level re a full-scale sine, 80 dB deep."""
    for n_fft in (256, 512):
        tone = 0.1 * torch.sin(2 * math.pi / 8 * torch.arange(4000))    # exactly on a bin, -20 dB
        X = stft(torch.cat([tone, torch.zeros(4000)]), n_fft, 64)
        answer = decibels(X.clone(), n_fft)
        if not isinstance(answer, Tensor) or answer.shape != X.shape:
            return f"return a level for every bin, shape {tuple(X.shape)}"
        if answer.is_complex() or answer.isnan().any():
            return "a level is a real number: take the size of each bin first, X.abs()"
        if answer.isneginf().any():
            return "silent bins are at −∞: raise what lies too low with .clamp(min=...)"
        if diagnosis := _wrong_levels(answer, n_fft):
            return diagnosis
    return None


def _wrong_levels(level: Tensor, n_fft: int) -> str | None:
    """Of the -20 dB tone: the Hann window leaves the bins beside it 6.02 dB lower."""
    column = level[:, 30]
    slope = ((column[n_fft // 8] - column[n_fft // 8 + 1]) / 6.0206).item()
    for factor, diagnosis in {
        0.5: "half of what it should be: 10 log10 is for energies, sizes take 20 log10",
        2.0: "twice as much: 20 log10 is for sizes, an energy (a square) takes 10 log10",
        math.log(10): "that is the natural logarithm, torch.log: decibels take torch.log10",
    }.items():
        if abs(slope - factor) < 0.01:
            return f"the differences between bins are wrong, {diagnosis}"
    top = level.max().item()
    if abs(top + 20) > CLOSE:
        return _wrong_zero(top, n_fft)
    lowest = level.min().item()
    if abs(lowest + 80) < CLOSE:
        return "the limit is at −80 dB: it should be 80 dB below the loudest bin, wherever that is"
    if abs(lowest + 100) > CLOSE:
        return f"the lowest bin is {top - lowest:.0f} dB below the loudest, not 80"
    return None


def _wrong_zero(top: float, n_fft: int) -> str:
    excess = top + 20
    for scale, diagnosis in {
        n_fft / 4: "0 dB is a bin of size 1: divide the sizes by n_fft / 4",
        0.5: "you divided by n_fft / 2: a real sine shares its size with a negative frequency, so "
             "n_fft / 4 is full scale",
        n_fft / 4 / 64: "you divided by 64 whatever the window: it is n_fft / 4",
    }.items():
        if abs(excess - 20 * math.log10(scale)) < CLOSE and scale != 1:
            return diagnosis
    if abs(top) < CLOSE:
        return "your loudest bin is 0 dB: 0 dB is a full-scale sine, which this is not"
    return f"a sine of amplitude 0.1 should reach −20 dB, yours reaches {top:.1f} dB"


def judge_flatness(flatness) -> str | None:
    """02.2: flatness(window (n_fft,), hop) -> min / max of the overlap-added squared window."""
    hann, box = torch.hann_window(256), torch.ones(100)
    answers = [torch.as_tensor(flatness(w.clone(), hop)) for w, hop in
               ((hann, 64), (hann, 128), (hann, 256), (box, 30), (hann.sqrt(), 128), (hann, 100))]
    if any(a.numel() != 1 for a in answers):
        return "return one number: the smallest value of the sum, divided by the largest"
    quarter, half, whole, odd, root, other = (float(a) for a in answers)
    if abs(half - 1) < 1e-3:
        return ("a Hann window at half overlap is not flat when it is squared, and squared it must "
                "be: it is applied twice, on the way there and back")
    if max(quarter, half, whole, odd, root, other) > 1.001:
        return "more than 1: divide the smallest by the largest, not the other way round"
    if abs(quarter) < 1e-3 and abs(whole - 1) < 1e-3:
        return "flat gives 0: divide the smallest by the largest, do not subtract"
    if abs(quarter) < 1e-3:
        return ("you counted the ends, where the first window has not yet met the others: look at "
                "one period in the middle")
    if abs(odd - 1) < 1e-3 or abs(odd) < 1e-3:
        return ("a hop of 30 under a window of 100: some samples are under four windows, some "
                "under three; yours leaves the last piece of the window out")
    right = (1, 0.5, 0, 0.75, 1, 0.871197)
    for value, truth, name in zip((quarter, half, whole, odd, root, other), right, (
            "Hann 256, hop 64", "Hann 256, hop 128", "Hann 256, hop 256", "ones 100, hop 30",
            "root of Hann 256, hop 128", "Hann 256, hop 100"), strict=True):
        if not abs(value - truth) < 1e-3:
            return f"{name}: {value:.3f}, it should be {truth:.3f}"
    return None


def judge_power_mask(power_mask) -> str | None:
    """02.3: power_mask(S complex (source, freq, frame), p) -> |S_i|^p / sum_j |S_j|^p."""
    S = torch.randn(3, 5, 7, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    S = 1e-2 * S
    S[:, 2, 3] = 0
    sounds = S.abs().sum(0) > 0
    for p in (1, 2, 3):
        answer = power_mask(S.clone(), p)
        if not isinstance(answer, Tensor) or answer.shape != S.shape:
            return f"return a mask for every source, shape {tuple(S.shape)}"
        if answer.is_complex():
            return "the mask is complex: take the sizes first, S.abs()"
        if not answer.isfinite().all() and answer[:, sounds].isfinite().all():
            return "a bin in which nobody sounds became NaN: 0 / 0"
        if diagnosis := _wrong_shares(answer[:, sounds], S[:, sounds].abs().double(), p):
            return diagnosis
    answer = power_mask(S.clone(), 50)
    winner = (S.abs() == S.abs().amax(0)).float()
    if not answer.isfinite().all() or (answer - winner)[:, sounds].abs().mean() > 0.05:
        return ("with p = 50 it breaks: such powers are too small for a float32; divide by the "
                "loudest source of the bin first")
    return None


def _wrong_shares(mask: Tensor, size: Tensor, p: int) -> str | None:
    """Masks and sizes (source, bin), of the audible bins alone."""
    def share(power):
        return size**power / (size**power).sum(0)

    def is_near(wrong):
        return torch.allclose(mask.double(), wrong, atol=1e-3)

    if is_near(share(p)):
        return None
    if is_near(share(1) ** p):
        return ("you raised the mask to the power p, so the masks no longer add up to 1: raise the "
                "sizes, then divide")
    if is_near(share(2 * p)):
        return "the exponent is twice as large as asked: p = 2 already is the energy"
    if p > 1 and is_near(share(1)):
        return "p makes no difference"
    if not torch.allclose(mask.double().sum(0), torch.ones(mask.shape[1]).double(), atol=1e-3):
        return ("the masks of a bin do not add up to 1: sum over the sources, which are dimension "
                "0 of (source, freq, frame)")
    return f"the shares are wrong for p = {p}"


def judge_si_snr(si_snr) -> str | None:
    """02.4: si_snr(estimates, targets), both (..., time) -> dB (...)."""
    g = torch.Generator().manual_seed(4)
    targets = torch.randn(2, 3, 800, generator=g)
    targets -= targets.mean(-1, keepdim=True)
    noise = torch.randn(2, 3, 800, generator=g) * torch.linspace(0.2, 2, 6).reshape(2, 3, 1)
    estimates = targets + noise - noise.mean(-1, keepdim=True)
    answer = si_snr(estimates.clone(), targets.clone())
    if not isinstance(answer, Tensor) or answer.shape != (2, 3):
        shape = tuple(torch.as_tensor(answer).shape)
        return (f"for (2, 3, time) it returns {shape}, not (2, 3): sum over the last dimension, "
                "once more without keepdim at the end")
    right = losses.si_snr(estimates, targets)
    alone = si_snr(estimates[1, 2].clone(), targets[1, 2].clone())
    if (answer[1, 2] - alone).abs() > CLOSE:
        return ("a waveform's value depends on the others in the stack: give every sum dim=-1, "
                "with keepdim=True where it multiplies waveforms")
    for factor, diagnosis in {
        2.0: "twice as many dB: energies take 10 log10, only sizes take 20",
        0.5: "half as many dB: 10 log10 is for energies, so square before you sum",
        -1.0: "upside down: the target's part goes above the line, the noise below",
    }.items():
        if torch.allclose(answer, factor * right, atol=CLOSE):
            return diagnosis
    if torch.allclose(answer, -10 * torch.log10(1 + 10 ** (-right / 10)), atol=CLOSE):
        return "you divided by the whole estimate: the noise is the estimate minus its projection"
    return _not_blind(si_snr, estimates, targets, answer, right)


def _not_blind(si_snr, estimates, targets, answer, right) -> str | None:
    """To what the measure must not see: the scale, and a constant."""
    def changes(e, t):
        return not torch.allclose(si_snr(e, t), answer, atol=CLOSE)

    if changes(3 * estimates, targets) or changes(estimates, 3 * targets):
        return "scale changes your result: did you project onto the target?"
    if not torch.allclose(answer, right, atol=CLOSE):
        return f"the first value is {answer[0, 0]:.2f} dB, it should be {right[0, 0]:.2f}"
    shifts = torch.tensor([[1.0, -2.0, 0.5], [3.0, -1.0, -1.5]])[..., None]     # mean 0
    if changes(estimates + 0.7, targets) or changes(estimates, targets + 0.7):
        return "a constant changes your result: subtract the mean of both, estimate and target"
    if changes(estimates + shifts, targets) or changes(estimates, targets + shifts):
        return "you subtracted one mean for the whole stack: each waveform has its own, dim=-1"
    return None


def judge_borrow_phase(borrow_phase) -> str | None:
    """02.5: borrow_phase(sizes (source, freq, frame), Y complex (freq, frame)) -> complex."""
    g = torch.Generator().manual_seed(5)
    sizes = 0.1 + torch.rand(2, 5, 7, generator=g)
    Y = torch.randn(5, 7, dtype=torch.complex64, generator=g)
    Y[1, 2] = 0
    answer = borrow_phase(sizes.clone(), Y.clone())
    if not isinstance(answer, Tensor) or answer.shape != sizes.shape:
        return f"return a spectrogram for every source, shape {tuple(sizes.shape)}"
    if not answer.is_complex():
        return "the result is real, so it has no phase: multiply by e^(i·angle), with 1j for i"
    silent = Y == 0
    if answer.isnan().any():
        return "where Y is 0, Y / |Y| is NaN: take the angle 0 there"
    if torch.allclose(answer.abs(), sizes * Y.abs(), atol=1e-4):
        return "you multiplied by Y itself, so its sizes came along: divide them out, Y / |Y|"
    if torch.allclose(answer, sizes * torch.exp(-1j * Y.angle()), atol=1e-4):
        return "the angles have the wrong sign"
    if torch.allclose(answer, sizes * torch.exp(1j * Y.angle()), atol=1e-4):
        return None
    if not torch.allclose(answer.abs()[:, ~silent], sizes[:, ~silent], atol=1e-4):
        return "the sizes are no longer those that you were given"
    if answer[:, silent].abs().max() < 1e-4:
        return "where Y is 0, the size was lost: take the angle 0 there, so that size · 1 remains"
    return "the angles are not those of Y"


JUDGES = {"02.1": judge_decibels, "02.2": judge_flatness, "02.3": judge_power_mask,
          "02.4": judge_si_snr, "02.5": judge_borrow_phase}
