"""Pictures of signals, and the names of all other pictures: `plots.history`, `plots.comparison`.

Every function returns a Figure that is already closed: let it be the last value of a cell, or
save it with `figure.savefig`. Waveforms are (time,), spectrograms come from `stft`.
"""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from sep_helpers.plots_corpus import durations, peaks, pitches  # noqa: F401
from sep_helpers.plots_evaluation import (  # noqa: F401
    abx,
    differences,
    ratings,
    ratings_against,
    slices,
)
from sep_helpers.plots_mixtures import mixture_map  # noqa: F401
from sep_helpers.plots_music import answers, code, curves, standings, stem_pictures  # noqa: F401
from sep_helpers.plots_results import (  # noqa: F401
    comparison,
    improvement_histogram,
    input_vs_improvement,
    matrix,
    spread,
)
from sep_helpers.plots_style import (  # noqa: F401
    COLOURS,
    LEVELS,
    LINESTYLES,
    SHARES,
    figure,
    image,
    rows,
)
from sep_helpers.plots_sweeps import heat_map  # noqa: F401
from sep_helpers.plots_training import filters, history, receptive_field  # noqa: F401
from sep_helpers.plots_views import ledger, storage, timeline  # noqa: F401
from sep_helpers.stft import stft

RANGE_DB = 80   # below the loudest bin, a spectrogram is black


@figure
def waveforms(tracks: dict[str, Tensor], sample_rate: int, title: str = "Waveforms") -> Figure:
    """Named tracks (time,) below each other, on one time axis and one scale."""
    fig, axes = rows(tracks, title, height=1.15)
    for ax, colour, x in zip(axes, cycle(COLOURS), tracks.values(), strict=False):
        ax.plot(np.arange(len(x)) / sample_rate, x.numpy(force=True), "-", color=colour,
                linewidth=0.5)
    peak = max(x.abs().max().item() for x in tracks.values()) or 1.0
    longest = max(len(x) for x in tracks.values()) / sample_rate
    axes[0].set(xlim=(0, longest), ylim=(-1.05 * peak, 1.05 * peak))
    fig.supylabel("amplitude", fontsize=10)
    return fig


@figure
def spectrogram(x: Tensor, sample_rate: int, title: str = "Spectrogram", n_fft: int = 256,
                hop: int = 64, *, ax=None) -> Figure | None:
    """Level in dB of a waveform (time,), 0 dB being a full-scale sine; or drawn into `ax`."""
    ax = ax or plt.subplots(figsize=(9, 3.2))[1]
    levels = decibels(x, n_fft, hop)
    image(ax, levels, _extent(levels, sample_rate, n_fft, hop), "level (dB)", cmap=LEVELS,
          vmin=levels.max() - RANGE_DB, vmax=levels.max())
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
    return ax.figure


@figure
def spectrograms(tracks: dict[str, Tensor], sample_rate: int, title: str = "Spectrograms",
                 n_fft: int = 256, hop: int = 64) -> Figure:
    """Named tracks (time,) below each other, in one colour scale: 0 dB is a full-scale sine."""
    levels = {name: decibels(x, n_fft, hop) for name, x in tracks.items()}
    loudest = max(values.max() for values in levels.values())
    return _pictures(levels, sample_rate, n_fft, hop, title, "level (dB)", cmap=LEVELS,
                     vmin=loudest - RANGE_DB, vmax=loudest)


@figure
def masks(stack: Tensor, sample_rate: int, names: list[str] | None = None, title: str = "Masks",
          hop: int = 64) -> Figure:
    """Masks (source, freq, frame) below each other, 0 to 1; of complex ones, the size."""
    names = names or [f"source {i + 1}" for i in range(len(stack))]
    values = (stack.abs() if stack.is_complex() else stack).numpy(force=True)
    n_fft = 2 * (stack.shape[-2] - 1)
    return _pictures(dict(zip(names, values, strict=True)), sample_rate, n_fft, hop, title,
                     "share of the mixture", cmap=SHARES, vmin=0, vmax=1)


def decibels(x: Tensor, n_fft: int = 256, hop: int = 64) -> np.ndarray:
    """Level of each bin (freq, frame) of a waveform (time,) in dB re a full-scale sine."""
    full_scale = n_fft / 4      # what the Hann window makes of a sine of amplitude 1
    size = stft(x.detach(), n_fft, hop).abs() / full_scale
    return (20 * torch.log10(size.clamp(min=1e-8))).numpy(force=True)


def _pictures(tracks: dict[str, np.ndarray], sample_rate: int, n_fft: int, hop: int, title: str,
              label: str, **scale) -> Figure:
    """Named pictures (freq, frame) below each other, with one colour bar for all."""
    fig, axes = rows(tracks, title, height=1.8)
    for ax, values in zip(axes, tracks.values(), strict=True):
        drawn = image(ax, values, _extent(values, sample_rate, n_fft, hop), **scale)
    fig.colorbar(drawn, ax=list(axes), label=label, pad=0.01)
    fig.supylabel("frequency (kHz)", fontsize=10)
    return fig


def _extent(values: np.ndarray, sample_rate: int, n_fft: int, hop: int) -> tuple:
    """Edges of a spectrogram's picture in s and kHz, each bin's centre where it belongs."""
    freqs, frames = values.shape
    half_frame, half_bin = hop / sample_rate / 2, sample_rate / n_fft / 2e3
    return (-half_frame, (2 * frames - 1) * half_frame, -half_bin, (2 * freqs - 1) * half_bin)
