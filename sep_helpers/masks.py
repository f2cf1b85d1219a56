"""Masks: what share of each time-frequency bin of the mixture belongs to which source.

The ideal masks are made from the true sources, so they are ceilings to compare with, not
systems. Spectrograms are complex: sources S (..., source, freq, frame), mixture Y
(..., freq, frame); masks have the shape of S. A silent source gets an all-zero mask wherever
anything else sounds; where nothing sounds at all `irm` and `wfm` share equally, `ibm` gives the
bin to the first source, `psm` and `cirm` are 0: never NaN, and the mixture is silent there.
"""

import math

import torch
from torch import Tensor

from sep_helpers.stft import istft, stft


class MaskError(ValueError):
    """Masks, sources and mixture that do not fit each other, or an unknown mask."""


def ibm(S: Tensor) -> Tensor:
    """Ideal binary mask: 1 for the loudest source of a bin, 0 for the others.

    m_i = [|S_i| > |S_j| for all j != i] (Wang, 2005); ties go to the first source, so the
    masks of a bin always add up to 1. S (..., source, freq, frame) -> the same shape, real.
    """
    winner = S.abs().argmax(-3, keepdim=True)
    return torch.zeros_like(S.real).scatter(-3, winner, 1.0)


def irm(S: Tensor) -> Tensor:
    """Ideal ratio mask: m_i = |S_i| / sum_j |S_j|, the definition of the Conv-TasNet paper
    (Luo & Mesgarani, 2019, Section III-D). Shapes as in `ibm`.
    """
    return _share(S.abs())


def wfm(S: Tensor) -> Tensor:
    """Wiener-filter-like mask: m_i = |S_i|^2 / sum_j |S_j|^2 (Luo & Mesgarani, 2019, III-D).

    The Wiener filter for sources whose power in the bin is |S_i|^2 and whose phases are
    unrelated. Shapes as in `ibm`.
    """
    return _share(S.abs().square())


def power(S: Tensor, exponent: float) -> Tensor:
    """m_i = |S_i|^p / sum_j |S_j|^p: the family of `irm` (p = 1) and `wfm` (2), towards `ibm`
    (infinity). Shapes as in `ibm`. Raises MaskError for an exponent of 0 or less.
    """
    if not exponent > 0:
        raise MaskError(f"exponent {exponent}: give more than 0 (1: IRM, 2: WFM, math.inf: IBM)")
    if exponent == math.inf:
        return ibm(S)
    size = S.abs()
    loudest = size.amax(-3, keepdim=True)       # sizes to some high power are no float32 any more
    return _share((size / torch.where(loudest == 0, 1, loudest)) ** exponent)


def cut(mask: Tensor, threshold: float, binary: bool = False) -> Tensor:
    """What lies at the threshold or below becomes 0; if `binary`, all above it becomes 1."""
    above = mask > threshold
    return above.to(mask) if binary else mask * above


def psm(S: Tensor, Y: Tensor, truncate: bool = True) -> Tensor:
    """Phase-sensitive mask: m_i = |S_i| / |Y| cos(phase S_i - phase Y) = Re(S_i / Y).

    The real mask closest to the source, argmin |S_i - m Y|; truncated to 0 ... 1, what a
    sigmoid can say (Erdogan et al., 2015, "Phase-sensitive and recognition-boosted speech
    separation", Table 1). S (..., source, freq, frame), Y (..., freq, frame) -> like S, real.
    """
    m = cirm(S, Y).real
    return m.clamp(0, 1) if truncate else m


def cirm(S: Tensor, Y: Tensor) -> Tensor:
    """Complex ideal ratio mask: m_i = S_i / Y, so m_i Y is the source itself.

    Williamson, Wang & Wang, 2016, eq. 5-7, before their compression. Unbounded where the
    sources cancel. S (..., source, freq, frame), Y (..., freq, frame) -> like S, complex.
    """
    _check(S, Y)
    Y = Y.unsqueeze(-3)
    return torch.where(Y == 0, 0, S / torch.where(Y == 0, 1, Y))


def random(S: Tensor, seed: int = 0) -> Tensor:
    """Masks that know nothing: uniform numbers, scaled to add up to 1. Shapes as in `ibm`."""
    generator = torch.Generator().manual_seed(seed)
    return _share(torch.rand(S.shape, generator=generator).to(S.real))


def apply(mask: Tensor, Y: Tensor) -> Tensor:
    """Masked mixtures: mask (..., source, freq, frame), Y (..., freq, frame) -> like the mask."""
    _check(mask, Y)
    return mask * Y.unsqueeze(-3)


MASKS = {
    "ibm": lambda S, Y, seed: ibm(S),
    "irm": lambda S, Y, seed: irm(S),
    "wfm": lambda S, Y, seed: wfm(S),
    "psm": lambda S, Y, seed: psm(S, Y),
    "cirm": lambda S, Y, seed: cirm(S, Y),
    "random": lambda S, Y, seed: random(S, seed),
}


def oracle(
    name: str, mixture: Tensor, sources: Tensor, n_fft: int = 256, hop: int = 64,
    window: str = "hann", seed: int = 0,
) -> Tensor:
    """Separate with an ideal mask: the ceiling of a kind of mask (or "random", its floor).

    name is a key of MASKS; mixture (..., time), sources (..., source, time) -> estimates like
    the sources. The seed serves "random" alone.
    """
    if name not in MASKS:
        raise MaskError(f"mask {name!r} is unknown: choose one of {', '.join(MASKS)}")
    _check(sources.unsqueeze(-2), mixture.unsqueeze(-2))
    S, Y = (stft(x, n_fft, hop, window) for x in (sources, mixture))
    return istft(apply(MASKS[name](S, Y, seed), Y), mixture.shape[-1], n_fft, hop, window)


def _share(amounts: Tensor) -> Tensor:
    """Each source's part of the sum over sources (dim -3); equal parts where the sum is 0."""
    total = amounts.sum(-3, keepdim=True)
    audible = total >= torch.finfo(total.dtype).tiny
    return torch.where(audible, amounts / torch.where(audible, total, 1),
                       1 / amounts.shape[-3])


def _check(stack: Tensor, mixture: Tensor) -> None:
    """A stack of sources or masks (..., source, a, b) has to fit its mixture (..., a, b)."""
    if stack.dim() < 3 or stack.shape[:-3] + stack.shape[-2:] != mixture.shape:
        raise MaskError(f"sources or masks {tuple(stack.shape)} do not fit the mixture "
                        f"{tuple(mixture.shape)}: they have the mixture's shape and a source "
                        "dimension before the last two (waveforms: before the last)")
