"""BSS-eval: how much of an estimate is its source, how much the others, how much neither.

Vincent, Gribonval & Fevotte, "Performance measurement in blind audio source separation", 2006,
with the filter of TAPS samples that everybody reports. The estimate is projected onto its source
and the copies of it delayed by 0 ... TAPS - 1 samples (P_own), and onto those of all the sources
(P_all); with e the estimate's energy

    SDR = P_own / (e - P_own)    SIR = P_own / (P_all - P_own)    SAR = P_all / (e - P_all)

since each projection is orthogonal to what it leaves. Only energies are asked for, and the energy
of a projection is |L^-1 d|^2: d holds the correlations of the estimate with the delayed copies, and
L L' = G those of the copies among themselves. G is the same for every estimate, so ONE Cholesky
serves them all, and the first source's own matrix is its corner; the correlations come from FFTs.

Singular G (a tone, whose copies repeat each other; two sources that are the same) is loaded by a
millionth of a millionth of its diagonal, more where that is too little: the projections are then
short by as much, which no figure below 70 dB feels. A silent source has copies of zeros, which
span nothing: its rows are left out.

Two limits that every implementation shares: of signals shorter than the filters of all sources
together, anything can be made, and SAR says nothing; and where the sources leave a part of the band
empty to the last bit (filters in float, no noise of a 16-bit file), SIR rests on rounding.
"""

import threading

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg.lapack import dpotrf, dtrtrs

TAPS = 512          # BSS-eval forgives an estimate any filter of this many samples
LOADS = (0.0, 1e-12, 1e-10, 1e-8)
_kept = threading.local()   # the last matrix: fresh memory costs as much as half a Cholesky


def energies(
    estimates: np.ndarray, sources: np.ndarray, interference: bool = True, taps: int = TAPS
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The estimates' energies, and those of their projections; everything in float64.

    estimates (estimate, time), sources (source, time): as many as you like of each -> total
    (estimate,), own (estimate, source): onto each source alone, every (estimate,): onto all of
    them at once, or None with interference=False, which spares the largest of the Choleskys.
    """
    e, gain = _unit_energy(np.asarray(estimates, float))
    s, level = _unit_energy(np.asarray(sources, float))
    total, sounding = gain**2, np.flatnonzero(level)
    own, every = np.zeros((len(e), len(s))), np.zeros(len(e))
    if len(sounding):
        lags, d = _correlations(e, s[sounding], taps)
        alone = [_projected(lags[i:i + 1, i:i + 1], d[i:i + 1])[-1]
                 for i in range(1 if interference else 0, len(sounding))]
        if interference:
            corner, every = _projected(lags, d)
            alone.insert(0, corner)
        own[:, sounding] = np.stack(alone, 1)
    own = np.clip(own, 0, 1)                             # no part is larger than the whole
    every = np.clip(every, own.max(1, initial=0), 1)
    return total, own * total[:, None], every * total if interference else None


def ratios(total: np.ndarray, own: np.ndarray, every: np.ndarray | None) -> dict[str, np.ndarray]:
    """{"sdr"[, "sir", "sar"]} (estimate, source) as ratios of energies, of what `energies` gives
    (or of its sums over channels). Perfection is infinite, silence is 0.
    """
    total, every = total[:, None], None if every is None else every[:, None]
    parts = {"sdr": (own, total - own)}
    if every is not None:
        parts |= {"sir": (own, every - own),
                  "sar": np.broadcast_arrays(every, total - every + 0 * own)}
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: np.where(good == 0, 0.0, good / bad) for name, (good, bad) in parts.items()}


def _unit_energy(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signals (n, time) of energy 1, and their norms (n,); silence stays, with norm 0."""
    peak = np.abs(x).max(-1, keepdims=True, initial=0)   # so that no square over- or underflows
    x = x / np.where(peak > 0, peak, 1)
    norm = np.sqrt(np.square(x).sum(-1, keepdims=True))
    return x / np.where(norm > 0, norm, 1), (norm * peak)[:, 0]


def _correlations(e, s, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the sources with each other, lags (source, source, 2 taps - 1): [i, j, taps - 1 - k] is
    sum_t s_i[t + k] s_j[t]; and with the estimates, d (source, taps, estimate): [i, a, j] is
    sum_t s_i[t - a] e_j[t].
    """
    n = next_fast_len(s.shape[-1] + taps - 1, real=True)
    S, E = rfft(s, n), rfft(e, n)
    lags = np.empty((len(s), len(s), 2 * taps - 1))
    d = np.empty((len(s), taps, len(e)))
    for i, spectrum in enumerate(S):
        d[i] = irfft(spectrum.conj() * E, n)[:, :taps].T
        for j in range(i + 1):
            r = irfft(spectrum * S[j].conj(), n)
            lags[i, j] = np.concatenate([r[taps - 1::-1], r[:-taps:-1]])
            lags[j, i] = lags[i, j][::-1]
    return lags, d


def _projected(lags: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies of the estimates' projections (estimate,), onto the first source and onto all."""
    n, taps = d.shape[:2]
    for load in LOADS:
        G = _matrix(lags, taps)
        if load:
            G[np.diag_indices(n * taps)] *= 1 + load
        L, failed = dpotrf(G, lower=1, clean=0, overwrite_a=1)
        if not failed:
            break
    y, _ = dtrtrs(L, d.reshape(n * taps, -1), lower=1)
    np.square(y, out=y)
    return y[:taps].sum(0), y.sum(0)


def _matrix(lags: np.ndarray, taps: int) -> np.ndarray:
    """G (source taps, source taps), its lower blocks alone: G[i a, j b] = lags[i, j] at a - b."""
    n, step = len(lags), lags.strides[-1]
    G = getattr(_kept, "matrix", None)
    if G is None or G.size < (n * taps) ** 2:
        G = _kept.matrix = np.empty((n * taps) ** 2)
    G = G[:(n * taps) ** 2].reshape(n * taps, n * taps, order="F")
    for i in range(n):
        for j in range(i + 1):
            block = as_strided(lags[i, j, taps - 1:], (taps, taps), (step, -step))
            G[i * taps:(i + 1) * taps, j * taps:(j + 1) * taps] = block
    return G
