"""BSS-eval version 4 on stereo images, as music separation is measured: SDR, ISR, SIR, SAR.

An estimate is held against the true image itself, so a wrong level or a wrong place in the stereo
picture costs. Its error is taken apart: what filters of the own source explain (a spatial error),
what filters of all sources explain on top (interference), and the rest (artefacts). The filters,
TAPS samples long, are one set for a whole song; the figures are ratios of energies in windows of
it. Stoeter, Liutkus & Ito, "The 2018 signal separation evaluation campaign", 2018, section 3;
Vincent et al., "First stereo audio source separation evaluation campaign", 2007, eq. 3-6.

    SDR = |s|² / |s - e|²                        higher is better; 0 dB: the error is as loud
    ISR = |s|² / |spatial|²
    SIR = |s + spatial|² / |interference|²
    SAR = |s + spatial + interference|² / |artefacts|²
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.linalg import LinAlgError, cho_factor, cho_solve

TAPS = 512
BLOCK = 2**15           # samples whose correlations are added at a time: memory stays small
FIGURES = ("sdr", "isr", "sir", "sar")
RIDGE = 1e-10           # part of the mean energy: stems whose channels are equal have no one answer


def windows(length: int, window: int, hop: int | None = None) -> list[slice]:
    """The whole windows of a song; what is left at its end is in none. A short song is one."""
    hop = hop or window
    if window >= length:
        return [slice(0, length)]
    return [slice(start, start + window) for start in range(0, length - window + 1, hop)]


def images(estimates, sources, window: int | None = None, hop: int | None = None,
           taps: int = TAPS) -> dict[str, np.ndarray]:
    """{"sdr", "isr", "sir", "sar"}, each (source, window) in dB; estimates in the sources' order.

    estimates, sources (source, channel, time); `window` and `hop` in samples, None: the whole song.
    A window in which any source or estimate is silent (its channels add up to nothing) has no
    figure for any of them, NaN, as in museval. No error at all is infinite.
    """
    e, s = (np.asarray(x, np.float64) for x in (estimates, sources))
    if e.shape != s.shape or e.ndim != 3 or not s.size:
        raise ValueError(f"estimates {e.shape} and sources {s.shape}: give both as (source, "
                         "channel, time), of one length")
    places = windows(s.shape[-1], window or s.shape[-1], hop)
    result = {name: np.full((len(s), len(places)), np.nan) for name in FIGURES}
    heard = [t for t, place in enumerate(places) if not _silent(e[..., place], s[..., place])]
    if not heard:
        return result
    filters = _filters(e, s, taps)
    length = places[0].stop - places[0].start + taps - 1            # with the filters' tails
    size = next_fast_len(length, real=True)
    everyone, own = (rfft(f, size) for f in filters)
    for t in heard:
        S = rfft(s[..., places[t]], size)
        parts = [irfft(x, size)[..., :length] for x in (
            np.einsum("ecjdf,jdf->ecf", everyone, S, optimize=True),
            np.einsum("ecdf,edf->ecf", own, S, optimize=True))]
        for j, figures in enumerate(_ratios(e[..., places[t]], s[..., places[t]], *parts)):
            for name, value in zip(FIGURES, figures, strict=True):
                result[name][j, t] = value
    return result


def distortion(estimates, sources, window: int | None = None, hop: int | None = None
               ) -> np.ndarray:
    """Only the SDR of `images`, each source by its own silence alone: (source, window) in dB.

    It needs no filters, so it is done in no time; a window is NaN for a silent source only.
    """
    e, s = (np.asarray(x, np.float64) for x in (estimates, sources))
    places = windows(s.shape[-1], window or s.shape[-1], hop)
    signal = np.stack([np.square(s[..., p]).sum((1, 2)) for p in places], 1)
    error = np.stack([np.square((s - e)[..., p]).sum((1, 2)) for p in places], 1)
    return np.where(signal > 0, _db(signal, error), np.nan)


def _silent(*groups: np.ndarray) -> bool:
    return any(not group.sum(1).any(-1).all() for group in groups)


def _filters(e: np.ndarray, s: np.ndarray, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Filters from all channels to every estimate's, and from a source's own channels to them:
    (estimate, channel, source, channel, tap) and (estimate, channel, channel, tap)."""
    n, channels, _ = s.shape
    flat = s.reshape(n * channels, -1)
    across, towards = _correlations(flat, e.reshape(n * channels, -1), taps)
    lag = np.arange(taps)
    toeplitz = lag[:, None] - lag[None] + taps - 1      # place of each lag: row minus column
    rows = n * channels
    G = across[:, :, toeplitz].transpose(0, 2, 1, 3).reshape(rows * taps, rows * taps)
    D = towards.transpose(0, 2, 1).reshape(rows * taps, n * channels)
    everyone = _solve(G, D).reshape(n, channels, taps, n, channels)
    own = np.empty((n, channels, taps, channels))
    for j in range(n):
        part = slice(j * channels * taps, (j + 1) * channels * taps)
        mine = slice(j * channels, (j + 1) * channels)
        own[j] = _solve(G[part, part], D[part, mine]).reshape(channels, taps, channels)
    return everyone.transpose(3, 4, 0, 1, 2), own.transpose(0, 3, 1, 2)


def _correlations(x: np.ndarray, y: np.ndarray, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """sum_t x_i[t] x_j[t + lag] for |lag| < taps, and sum_t x_i[t - lag] y_j[t] for 0 <= lag.

    Both are summed over blocks of the song: (i, j, 2 taps - 1) and (i, j, taps).
    """
    size = next_fast_len(BLOCK + 2 * taps - 2, real=True)
    sums = np.zeros((len(x), len(x) + len(y), size // 2 + 1), complex)
    around = np.pad(np.concatenate([x, y]), ((0, 0), (taps - 1, taps - 1)))
    for start in range(0, x.shape[1], BLOCK):
        X = rfft(x[:, start:start + BLOCK], size)
        Y = rfft(around[:, start:start + BLOCK + 2 * taps - 2], size)
        for i in range(len(x)):
            sums[i] += X[i].conj() * Y
    lags = irfft(sums, size)[..., :2 * taps - 1]         # place 0 is the lag 1 - taps
    return lags[:, :len(x)], lags[:, len(x):, taps - 1:]


def _solve(G: np.ndarray, D: np.ndarray) -> np.ndarray:
    """G c = D for a matrix of correlations, which is symmetric and, but for rounding, positive."""
    ridge = RIDGE * np.trace(G) / len(G) + np.finfo(float).tiny
    while True:
        try:
            return cho_solve(cho_factor(G + ridge * np.eye(len(G)), lower=True), D)
        except LinAlgError:                 # equal channels, or bands that nobody plays in
            ridge *= 100


def _ratios(e: np.ndarray, s: np.ndarray, from_all: np.ndarray, from_own: np.ndarray):
    """The four figures of each source in one window."""
    pad = ((0, 0), (0, 0), (0, from_all.shape[-1] - s.shape[-1]))
    s, e = np.pad(s, pad), np.pad(e, pad)
    for j in range(len(s)):
        yield tuple(_db(np.square(top).sum(), np.square(bottom).sum()) for top, bottom in (
            (s[j], e[j] - s[j]), (s[j], from_own[j] - s[j]),
            (from_own[j], from_all[j] - from_own[j]), (from_all[j], e[j] - from_all[j])))


def _db(signal, error):
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(np.divide(signal, error))
