"""Analysis and synthesis: waveforms to complex spectrograms and back, sample for sample.

Frames are centred on multiples of the hop, so frame k sits at k * hop / sample_rate seconds.
Outside the signal there is silence (not a mirror image), hence every length from 1 on works.
"""

from functools import lru_cache
from numbers import Integral

import torch
from scipy.signal import get_window
from torch import Tensor

WINDOWS = ("hann", "sqrt_hann", "hamming", "blackman", "boxcar")
LEAST_OVERLAP = 0.05   # part of the peak: where frames barely overlap, dividing amplifies rounding

MANY = 16              # frames over one sample: to add up more of them, 32 bits are too few


class STFTError(ValueError):
    """A signal, a window or a hop that cannot be analysed or put together again."""


def stft(x: Tensor, n_fft: int = 256, hop: int = 64, window: str = "hann") -> Tensor:
    """Short-time Fourier transform.

    x (..., time) -> complex (..., freq, frame), freq = n_fft // 2 + 1 and
    frame = ceil(time / hop) + 1: one frame more than librosa where the hop does not divide the
    length, so that the last samples are heard by as many frames as all others.
    Raises STFTError on an empty signal, on anything but real floats, and where `check_overlap`
    does. NaN in, NaN out: of each frame that hears it.
    """
    check_overlap(window, n_fft, hop)
    _refuse_other_types(x)
    tail = -x.shape[-1] % hop
    padded = torch.nn.functional.pad(x, (0, tail)).reshape(-1, x.shape[-1] + tail)
    X = torch.stft(
        padded, n_fft, hop, window=_window(window, n_fft, x.dtype, x.device),
        center=True, pad_mode="constant", return_complex=True,
    )
    return X.reshape(*x.shape[:-1], *X.shape[-2:])


def istft(
    X: Tensor, length: int, n_fft: int = 256, hop: int = 64, window: str = "hann"
) -> Tensor:
    """The waveform whose STFT is closest to X: (..., freq, frame) -> (..., time = length).

    Windowed again, overlap-added and divided by the overlap-added squared window, which is the
    least-squares inverse of a modified spectrogram (Griffin & Lim, 1984, eq. 6).
    Raises STFTError where X does not belong to this n_fft, hop and length.
    """
    check_overlap(window, n_fft, hop)
    if not isinstance(X, Tensor) or not X.is_complex() or X.dim() < 2:
        raise STFTError(f"{_described(X)} is no complex spectrogram (..., freq, frame): sizes need "
                        "a phase, as in torch.polar(sizes, Y.angle())")
    freqs, frames = X.shape[-2:]
    if freqs != n_fft // 2 + 1:
        raise STFTError(f"{freqs} frequencies do not belong to n_fft {n_fft}: "
                        f"the analysis had n_fft {2 * (freqs - 1)}")
    longest = (frames - 1) * hop
    if not longest - hop < length <= longest:
        raise STFTError(f"{frames} frames with hop {hop} hold {max(1, longest - hop + 1)} to "
                        f"{longest} samples, not {length}: give the length and hop of the analysis")
    dtype = X.real.dtype
    if n_fft > MANY * hop:
        X = X.to(torch.complex128)
    x = torch.istft(
        X.reshape(-1, freqs, frames), n_fft, hop, center=True, length=longest,
        window=_window(window, n_fft, X.real.dtype, X.device),
    )
    return x[:, :length].reshape(*X.shape[:-2], length).to(dtype)


def frequencies(n_fft: int, sample_rate: int) -> Tensor:
    """Centre frequency of every bin in Hz, (freq,)."""
    return torch.arange(n_fft // 2 + 1) * (sample_rate / n_fft)


def times(frames: int, hop: int, sample_rate: int) -> Tensor:
    """Centre of every frame in seconds, (frame,)."""
    return torch.arange(frames) * (hop / sample_rate)


@lru_cache(typed=True)     # 64.0 is no 64 here
def check_overlap(window: str, n_fft: int, hop: int) -> None:
    """Refuse what has no inverse: the overlap-added squared window must nowhere vanish (NOLA).

    That is all `istft` needs, because it divides by this sum; where the sum is constant as
    well (COLA of the squared window) the division changes nothing but the scale.
    """
    if window not in WINDOWS:
        raise STFTError(f"window {window!r} is unknown: choose one of {', '.join(WINDOWS)}")
    if not all(isinstance(n, Integral) for n in (n_fft, hop)) or n_fft < 2 or n_fft % 2 or hop < 1:
        raise STFTError(f"n_fft {n_fft} with hop {hop}: n_fft has to be even, hop at least 1, and "
                        "both are whole numbers of samples")
    overlap = overlap_sum(window, n_fft, hop)
    least = float(overlap.min() / overlap.max())
    if least < LEAST_OVERLAP:
        raise STFTError(f"{window} of {n_fft} with hop {hop} cannot be inverted: some samples keep "
                        f"{least:.1%} of the energy of others; use a hop of {n_fft // 2} or less")


def overlap_sum(window: str, n_fft: int, hop: int) -> Tensor:
    """The squared window added up over all frames, one period of it: (hop,)."""
    squared = _window(window, n_fft, torch.float64, torch.device("cpu")).square()
    return torch.nn.functional.pad(squared, (0, -n_fft % hop)).reshape(-1, hop).sum(0)


def _refuse_other_types(x: Tensor) -> None:
    if not isinstance(x, Tensor) or x.dim() == 0:
        raise STFTError(f"{_described(x)} is no waveform: give a tensor (..., time); "
                        "torch.from_numpy makes one of an array")
    if x.shape[-1] == 0:
        raise STFTError(f"the signal {tuple(x.shape)} is empty: give at least one sample")
    if not x.is_floating_point() or (x.element_size() < 4 and x.device.type == "cpu"):
        raise STFTError(f"{_described(x)} cannot be analysed: give real samples as x.float(), "
                        "integers divided by their full scale (int16: by 32768)")


def _described(x) -> str:
    return f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"


@lru_cache
def _window(name: str, n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Periodic window (n_fft,), kept: a copy to the GPU in every step would be felt."""
    values = get_window(name.removeprefix("sqrt_"), n_fft)
    with torch.inference_mode(False):   # one made during evaluation must still serve training
        w = torch.tensor(values, dtype=dtype, device=device)
        return w.sqrt() if name.startswith("sqrt_") else w
