"""Figures of one utterance in dB, higher is better: SI-SDR, SNR and the SDR family of BSS-eval.

Measures, not losses: in float64, with bad input refused. All take estimates that already stand
in the order of the sources (`permutation.reorder`), and the estimate comes first.

Silence: a silent SOURCE has no figure (nothing could be more or less like it), so it is refused.
A silent ESTIMATE is a wrong answer to a proper question: it scores FLOOR_DB, as everything worse
does, so that giving up on a source never pays and means stay finite. Perfection is infinitely many
dB: it scores CEILING_DB, more than a 16-bit file can hold (96 dB), and again means stay finite.
A source that is silent in PART is measured over the whole: what leaks into its silence is error.
"""

import numpy as np
import torch
from torch import Tensor

from sep_helpers import bss_eval as bss
from sep_helpers import losses
from sep_helpers.permutation import best_permutation

FLOOR_DB = -60.0    # the error is a million times as strong as what was recovered
CEILING_DB = 100.0  # what was recovered is ten thousand million times as strong as the error


class MetricError(ValueError):
    """Signals that have no figure: silent sources, NaN, shapes that differ."""


def si_sdr(estimates: Tensor, sources: Tensor) -> Tensor:
    """SI-SDR in dB: `losses.si_snr`, zero-mean, in float64 on signals of unit level.

    estimates, sources (..., time) -> (...). Scale never matters, not even very small scale.
    Raises MetricError as `check` does. Le Roux et al., 2019, eq. 3.
    """
    check(estimates, sources)
    figure = losses.si_snr(_unit_level(estimates), _unit_level(sources))
    figure = figure.clamp(FLOOR_DB, CEILING_DB)
    return figure.masked_fill(silent(estimates), FLOOR_DB)


def si_sdr_improvement(estimates: Tensor, sources: Tensor, mixture: Tensor) -> Tensor:
    """SI-SDRi: what separating gained over handing out the mixture.

    estimates, sources (..., source, time), mixture (..., time) -> (..., source) in dB.
    """
    return si_sdr(estimates, sources) - si_sdr(_for_each(mixture, sources), sources)


def snr(estimates: Tensor, sources: Tensor) -> Tensor:
    """SNR in dB: `losses.snr`, in float64. The level counts: give the estimates theirs first
    (`amplitude`). By the formula silence would score 0 dB, more than many an honest estimate; it
    scores FLOOR_DB, as everywhere. Shapes and errors as in `si_sdr`.
    """
    check(estimates, sources)
    level = sources.double().square().mean(-1, keepdim=True).sqrt()
    return losses.snr(estimates.double() / level, sources.double() / level).clamp(
        FLOOR_DB, CEILING_DB).masked_fill(silent(estimates), FLOOR_DB)


def sdr(estimates: Tensor, sources: Tensor) -> Tensor:
    """The SDR of BSS-eval in dB: like SI-SDR, but any short filter of the source is forgiven.

    estimates, sources (..., time) -> (...), in float64: the estimate is projected onto the source
    and its copies delayed by 0 ... TAPS - 1 samples; what remains is distortion (see `bss_eval`).
    Raises MetricError as `check` does.
    """
    check(estimates, sources)
    pairs = zip(_numpy(estimates).reshape(-1, 1, estimates.shape[-1]),
                _numpy(sources).reshape(-1, 1, sources.shape[-1]), strict=True)
    ratios = [bss.ratios(*bss.energies(e, s, interference=False))["sdr"].item() for e, s in pairs]
    figures = torch.as_tensor(_decibels(np.array(ratios))).reshape(sources.shape[:-1])
    return figures.masked_fill(silent(estimates).cpu(), FLOOR_DB)


def sdr_improvement(estimates: Tensor, sources: Tensor, mixture: Tensor) -> Tensor:
    """SDRi in dB, shapes as in `si_sdr_improvement`."""
    return sdr(estimates, sources) - sdr(_for_each(mixture, sources), sources)


def bss_eval(estimates: Tensor, sources: Tensor, permute: bool = False) -> dict[str, np.ndarray]:
    """SDR, SIR (only the other sources count) and SAR (only artefacts count) of BSS-eval.

    estimates, sources (source, time), or in stereo (source, channel, time), where each channel has
    filters of its own and energies are added up -> {"sdr", "sir", "sar"}, each (source,) in dB, and
    "order" (source,): the estimate that was held against each source. With permute=True that is
    the order of the highest mean SIR, as mir_eval chooses it, otherwise 0, 1, ... Raises
    MetricError as `check` does.
    """
    stereo = estimates.dim() == 3
    check(*(join_channels(x) if stereo else x for x in (estimates, sources)))
    figures = pairwise_bss_eval(estimates, sources)
    n = np.arange(len(sources))
    order = n
    if permute:
        order = best_permutation(torch.from_numpy(figures["sir"])[None])[0].numpy()
    return {name: values[order, n] for name, values in figures.items()} | {"order": order}


def pairwise_bss_eval(estimates: Tensor, sources: Tensor) -> dict[str, np.ndarray]:
    """SDR, SIR and SAR of every estimate as an estimate of every source, unchecked.

    estimates (estimate, [channel,] time), as many as you like (the mixture, say), sources
    (source, [channel,] time) -> {"sdr", "sir", "sar"}, each (estimate, source) in dB.
    """
    e, s = (_numpy(x).reshape(len(x), -1, x.shape[-1]) for x in (estimates, sources))
    channels = [bss.energies(e[:, c], s[:, c]) for c in range(s.shape[1])]
    ratios = bss.ratios(*(np.sum(parts, axis=0) for parts in zip(*channels, strict=True)))
    mute = (e == e[..., :1]).all((1, 2))[:, None]
    return {name: np.where(mute, FLOOR_DB, _decibels(ratio)) for name, ratio in ratios.items()}


def join_channels(x: Tensor) -> Tensor:
    """(..., channel, time) -> (..., channel * time), each channel with zero mean: as one signal,
    so that all channels share one scale and the loud ones count for more.
    """
    return losses.zero_mean(x.double()).flatten(-2)


def check(estimates: Tensor, sources: Tensor, silent_sources: bool = False) -> None:
    """Refuse what has no figure; silent sources only if they are not allowed. Raises MetricError.
    """
    if estimates.shape != sources.shape:
        raise MetricError(f"estimates {tuple(estimates.shape)} and sources {tuple(sources.shape)} "
                          "differ in shape: give as many, of the same length; pad a lost tail")
    for name, x in {"estimates": estimates, "sources": sources}.items():
        if x.shape[-1] == 0 or not torch.isfinite(x).all():
            raise MetricError(f"the {name} {tuple(x.shape)} are empty or hold NaN or infinity: "
                              "find out where that comes from before measuring")
    mute = silent(sources)
    if mute.any() and not silent_sources:
        raise MetricError(f"source {mute.nonzero().squeeze(-1).tolist()} is silent, so nothing "
                          "can be like it: cut the mixture where every source sounds")


def silent(x: Tensor) -> Tensor:
    """Is there nothing to hear? (..., time) -> (...): True for zeros, or any other constant."""
    return x.amax(-1) == x.amin(-1)


def _unit_level(x: Tensor) -> Tensor:
    """Zero mean and unit RMS in float64, so that no energy floor is ever felt; silence stays."""
    x = x.double() - x.double().mean(-1, keepdim=True)
    return x / x.square().mean(-1, keepdim=True).sqrt().clamp(min=torch.finfo(x.dtype).tiny)


def _for_each(mixture: Tensor, sources: Tensor) -> Tensor:
    """The mixture as the estimate of every source: (..., time) -> (..., source, time)."""
    if mixture.shape != sources.shape[:-2] + sources.shape[-1:]:
        raise MetricError(f"mixture {tuple(mixture.shape)} does not belong to sources "
                          f"{tuple(sources.shape)}: it has their shape without the source")
    return mixture.unsqueeze(-2).expand_as(sources)


def _numpy(x: Tensor) -> np.ndarray:
    return x.double().numpy(force=True)


def _decibels(ratio: np.ndarray) -> np.ndarray:
    """Ratios of energies in dB, kept between the floor and the ceiling."""
    with np.errstate(divide="ignore"):
        return np.clip(10 * np.log10(ratio), FLOOR_DB, CEILING_DB)
