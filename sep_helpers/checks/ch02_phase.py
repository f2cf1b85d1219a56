"""Judges of chapter 02's last exercises: the phase-sensitive mask, and what a phase is worth."""

import math

import torch
from torch import Tensor

from sep_helpers import losses, masks
from sep_helpers.stft import istft, stft

CLOSE = 0.02    # dB


def judge_phase_sensitive(phase_sensitive) -> str | None:
    """02.6: phase_sensitive(S complex (source, freq, frame), Y (freq, frame)) -> 0 ... 1."""
    S = torch.randn(3, 6, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(6))
    S[:, 2, 3] = 0
    S[1, 4, 5] = -S[0, 4, 5]        # two that cancel, and nothing else:
    S[2, 4, 5] = 0                  # the mixture is silent, the voices are not
    Y = S.sum(0)
    Y[4, 5] = 0
    answer = phase_sensitive(S.clone(), Y.clone())
    if not isinstance(answer, Tensor) or answer.shape != S.shape:
        return f"return a mask for every source, shape {tuple(S.shape)}"
    if answer.is_complex():
        return "the mask is complex: the cosine is real, take .real of S / Y"
    if not answer.isfinite().all():
        return "where the mixture is silent it is not finite: 0 / 0, or something / 0"
    sounds = Y != 0
    if answer[:, ~sounds].any():
        return "where the mixture is silent the mask should be 0: nothing there can be scaled"
    return _wrong_mask(answer[:, sounds], S[:, sounds], Y[sounds])


def _wrong_mask(answer: Tensor, S: Tensor, Y: Tensor) -> str | None:
    """Masks and spectra (source, bin) of the audible bins."""
    ratio = S / Y
    if torch.allclose(answer, ratio.real.clamp(0, 1), atol=1e-4):
        return None
    for diagnosis, wrong in {
        "it is not cut off: below 0 becomes 0, above 1 becomes 1": ratio.real,
        "it may still be above 1: cut both ends, .clamp(0, 1)": ratio.real.clamp(min=0),
        "it may still be below 0: cut both ends, .clamp(0, 1)": ratio.real.clamp(max=1),
        "the angles are missing: |S| / |Y| alone asks for too much": ratio.abs().clamp(0, 1),
        "the sizes are missing: that is the cosine alone":
            torch.cos(S.angle() - Y.angle()).clamp(0, 1),
        "you added the angles: it is their difference that counts":
            (ratio.abs() * torch.cos(S.angle() + Y.angle())).clamp(0, 1),
        "that is the sine: you took the imaginary part": ratio.imag.clamp(0, 1),
        "upside down: the source stands above the line, the mixture below":
            (Y / S).real.clamp(0, 1),
    }.items():
        if torch.allclose(answer, wrong, atol=1e-4, equal_nan=True):
            return diagnosis
    return f"the first value is {answer[0, 0]:.3f}, it should be {ratio[0, 0].real.clamp(0, 1):.3f}"


def judge_phase_cost(phase_cost) -> str | None:
    """02.7: phase_cost(mixture (time,), sources (source, time)) -> dB lost by each source."""
    for length in (3000, 2345):
        sources = _voices(length)
        mixture = sources.sum(0)
        answer = torch.as_tensor(phase_cost(mixture.clone(), sources.clone()))
        if answer.shape != (3,):
            return f"return one number for every source, shape (3,), not {tuple(answer.shape)}"
        if not answer.isfinite().all():
            return "it is not finite: the source's own sizes AND phase are the source itself"
        if diagnosis := _wrong_cost(answer, mixture, sources):
            return diagnosis
    return None


def _voices(length: int) -> Tensor:
    """Three tone complexes with syllables."""
    t = torch.arange(length) / 8000
    return torch.stack([
        sum(torch.sin(2 * math.pi * (110 + 45 * i) * k * t + i * k) / k for k in range(1, 12))
        * (1.1 + torch.sin(2 * math.pi * (3 + i) * t + 2 * i)) * 0.1 / (1 + i) for i in range(3)])


def _wrong_cost(answer: Tensor, mixture: Tensor, sources: Tensor) -> str | None:
    S, Y = stft(sources), stft(mixture)

    def cost(sizes: Tensor, measure=losses.si_snr, base: Tensor | None = None) -> Tensor:
        own, borrowed = (istft(torch.polar(sizes, Z.angle().expand_as(sizes)), len(mixture))
                         for Z in (S, Y))
        return measure(own, sources) - measure(borrowed if base is None else base, sources)

    wiener, by_size, whole = (mask(S) * Y.abs() for mask in (masks.wfm, masks.irm, masks.ibm))
    right = cost(wiener)
    if torch.allclose(answer, right, atol=CLOSE):
        return None
    for diagnosis, wrong in {
        "upside down: a cost counts what is lost, so own phase minus borrowed phase": -right,
        "those are the sources' true sizes: take the Wiener mask's, masks.wfm(S) * Y.abs()":
            cost(S.abs()),
        "those are the IRM's sizes: the Wiener mask divides by energy": cost(by_size),
        "those are the IBM's sizes: the Wiener mask divides by energy": cost(whole),
        "you forgot to multiply by the mixture's sizes: a mask is only a share": cost(masks.wfm(S)),
        "that is SNR: measure with losses.si_snr": cost(wiener, losses.snr),
        "that is what was gained over the mixture: hold the two phases against each other":
            cost(wiener, base=mixture.expand_as(sources)),
    }.items():
        if torch.allclose(answer, wrong, atol=CLOSE):
            return diagnosis
    if torch.allclose(answer, right.mean().expand(3), atol=CLOSE):
        return "every source has a cost of its own: do not average over them"
    return f"the first source loses {answer[0]:.2f} dB, it should be {right[0]:.2f}"


JUDGES = {"02.6": judge_phase_sensitive, "02.7": judge_phase_cost}
