"""Figures of one utterance in dB, higher is better: SI-SDR and the SDR family of BSS-eval.

Measures, not losses: in float64, with bad input refused. All take estimates that already stand
in the order of the sources (`permutation.reorder`), and the estimate comes first.

Silence: a silent SOURCE has no figure (nothing could be more or less like it), so it is refused.
A silent ESTIMATE is a wrong answer to a proper question: it scores FLOOR_DB, as everything worse
does, so that giving up on a source never pays and means stay finite.
"""

import warnings

import numpy as np
import torch
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import toeplitz
from torch import Tensor

from sep_helpers.losses import si_snr

FLOOR_DB = -60.0    # the error is a million times as strong as what was recovered
TAPS = 512          # BSS-eval forgives an estimate any filter of this many samples


class MetricError(ValueError):
    """Signals that have no figure: silent sources, NaN, shapes that differ."""


def si_sdr(estimates: Tensor, sources: Tensor) -> Tensor:
    """SI-SDR in dB: `losses.si_snr`, zero-mean, in float64 on signals of unit level.

    estimates, sources (..., time) -> (...). Scale never matters, not even very small scale.
    Raises MetricError as `check` does. Le Roux et al., 2019, eq. 3.
    """
    check(estimates, sources)
    figure = si_snr(_unit_level(estimates), _unit_level(sources)).clamp(min=FLOOR_DB)
    return figure.masked_fill(_silent(estimates), FLOOR_DB)


def si_sdr_improvement(estimates: Tensor, sources: Tensor, mixture: Tensor) -> Tensor:
    """SI-SDRi: what separating gained over handing out the mixture.

    estimates, sources (..., source, time), mixture (..., time) -> (..., source) in dB.
    """
    return si_sdr(estimates, sources) - si_sdr(_for_each(mixture, sources), sources)


def sdr(estimates: Tensor, sources: Tensor) -> Tensor:
    """The SDR of BSS-eval in dB: like SI-SDR, but any short filter of the source is forgiven.

    estimates, sources (..., time) -> (...). The estimate is projected onto the source and its
    copies delayed by 0 ... TAPS - 1 samples; what remains is distortion (Vincent, Gribonval &
    Fevotte, 2006, as `bss_eval` counts it). Raises MetricError as `check` does.
    """
    check(estimates, sources)
    pairs = zip(estimates.reshape(-1, estimates.shape[-1]).double().cpu().numpy(),
                sources.reshape(-1, sources.shape[-1]).double().cpu().numpy(), strict=True)
    figures = torch.tensor([_sdr(e, s) for e, s in pairs], dtype=torch.float64)
    figures = figures.reshape(sources.shape[:-1]).clamp(min=FLOOR_DB)
    return figures.masked_fill(_silent(estimates).cpu(), FLOOR_DB)


def sdr_improvement(estimates: Tensor, sources: Tensor, mixture: Tensor) -> Tensor:
    """SDRi in dB, shapes as in `si_sdr_improvement`."""
    return sdr(estimates, sources) - sdr(_for_each(mixture, sources), sources)


def bss_eval(estimates: Tensor, sources: Tensor) -> dict[str, np.ndarray]:
    """SDR, SIR (only the other sources count) and SAR (only artefacts count) by mir_eval.

    estimates, sources (source, time) -> {"sdr", "sir", "sar"}, each (source,) in dB. No
    permutation is searched. Silent estimates score FLOOR_DB. Raises MetricError as `check` does,
    ImportError without mir_eval.
    """
    check(estimates, sources)
    bss_eval_sources = _mir_eval()
    silent = _silent(estimates).cpu().numpy()
    reference, estimated = (x.double().cpu().numpy() for x in (sources, estimates))
    estimated = np.where(silent[:, None], 1.0, estimated)   # mir_eval refuses zeros
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "mir_eval.separation", FutureWarning)
        *figures, _ = bss_eval_sources(reference, estimated, compute_permutation=False)
    return {name: np.where(silent, FLOOR_DB, values)
            for name, values in zip(("sdr", "sir", "sar"), figures, strict=True)}


def check(estimates: Tensor, sources: Tensor) -> None:
    """Refuse what has no figure. Raises MetricError."""
    if estimates.shape != sources.shape:
        raise MetricError(f"estimates {tuple(estimates.shape)} and sources {tuple(sources.shape)} "
                          "differ in shape: give as many, of the same length; pad a lost tail")
    for name, x in {"estimates": estimates, "sources": sources}.items():
        if x.shape[-1] == 0 or not torch.isfinite(x).all():
            raise MetricError(f"the {name} {tuple(x.shape)} are empty or hold NaN or infinity: "
                              "find out where that comes from before measuring")
    silent = _silent(sources)
    if silent.any():
        raise MetricError(f"source {silent.nonzero().squeeze(-1).tolist()} is silent, so nothing "
                          "can be like it: cut the mixture where every source sounds")


def _silent(x: Tensor) -> Tensor:
    """(..., time) -> (...): True for zeros, or any other constant."""
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


def _sdr(estimate: np.ndarray, source: np.ndarray) -> float:
    """SDR of one estimate (time,) in float64: least squares on TAPS delayed copies."""
    length = len(source) + TAPS - 1
    n = next_fast_len(length, real=True)
    E, S = rfft(estimate, n), rfft(source, n)
    autocorrelation = irfft(S * S.conj(), n)[:TAPS]
    crosscorrelation = irfft(E * S.conj(), n)[:TAPS]
    G = toeplitz(autocorrelation)
    try:
        taps = np.linalg.solve(G, crosscorrelation)
    except np.linalg.LinAlgError:   # a pure tone: its delayed copies repeat each other
        taps = np.linalg.lstsq(G, crosscorrelation)[0]
    recovered = irfft(S * rfft(taps, n), n)[:length]
    distortion = np.pad(estimate, (0, TAPS - 1)) - recovered
    tiny = np.finfo(float).tiny     # a perfect or a silent estimate must not divide by zero
    return 10 * np.log10((np.sum(recovered**2) + tiny) / (np.sum(distortion**2) + tiny))


def _mir_eval():
    """mir_eval's bss_eval_sources, imported when wanted: 0.9 is to drop it."""
    try:
        from mir_eval.separation import bss_eval_sources
    except ImportError:
        raise ImportError("SIR and SAR are measured by mir_eval before 0.9, which is missing: "
                          "pip install 'mir_eval<0.9'") from None
    return bss_eval_sources
