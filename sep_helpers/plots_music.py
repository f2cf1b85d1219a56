"""Pictures of music: stems and their masks on a scale of octaves, a network's code, songs' figures.

Waveforms are (channel, time) or (time,); stereo is drawn as the mean power of its channels.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sep_helpers.plots_style import COLOURS, GREY, LEVELS, LINESTYLES, SHARES, SIGNED, figure
from sep_helpers.stems import STEMS
from sep_helpers.stft import stft

LOWEST = 40.0        # Hz, where the scale of octaves begins
ROWS = 240           # of a picture, evenly spaced in octaves
RANGE_DB = 70        # below the loudest bin a spectrogram is black
TICKS = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000]


def octaves(values: np.ndarray, sample_rate: int) -> np.ndarray:
    """(freq, frame) -> (ROWS, frame): the nearest bin for each of evenly spaced octave steps."""
    wanted = np.geomspace(LOWEST, sample_rate / 2, ROWS)
    bins = np.round(wanted / (sample_rate / 2) * (len(values) - 1)).astype(int)
    return values[bins]


def power(wave: Tensor, n_fft: int, hop: int) -> np.ndarray:
    """Mean power of the channels of a waveform, (freq, frame), 1 being a full-scale sine."""
    X = stft(torch.atleast_2d(wave.detach()), n_fft, hop).abs().square().mean(0)
    return (X / (n_fft / 4) ** 2).numpy(force=True)


@figure
def stem_pictures(stems: dict[str, Tensor], masks: Tensor, sample_rate: int, n_fft: int = 1024,
                  hop: int = 256, title: str = "Stems and their masks") -> Figure:
    """Left each stem's spectrogram, all on one scale; right its mask, 0 to 1.

    masks (stem, freq, frame) or (stem, channel, freq, frame); of channels the mean is drawn.
    """
    fig, axes = plt.subplots(len(stems), 2, sharex=True, sharey=True, squeeze=False,
                             figsize=(9.5, 0.9 + 1.6 * len(stems)))
    levels = {name: 10 * np.log10(power(wave, n_fft, hop) + 1e-12) for name, wave in stems.items()}
    top = max(level.max() for level in levels.values())
    shares = (masks.mean(1) if masks.dim() == 4 else masks).numpy(force=True)
    for (left, right), (name, level), share in zip(axes, levels.items(), shares, strict=True):
        heard = _octave_image(left, level, sample_rate, hop, cmap=LEVELS, vmin=top - RANGE_DB,
                              vmax=top)
        part = _octave_image(right, share, sample_rate, hop, cmap=SHARES, vmin=0, vmax=1)
        left.set_title(name, fontsize=10, fontweight="normal", pad=3)
        right.set_title(f"mask of {name}", fontsize=10, fontweight="normal", pad=3)
    fig.colorbar(heard, ax=list(axes[:, 0]), label="level (dB)", pad=0.01)
    fig.colorbar(part, ax=list(axes[:, 1]), label="share of the mixture", pad=0.01)
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    fig.supylabel("frequency (Hz), in octaves", fontsize=10)
    fig.suptitle(title, x=0.01, ha="left")
    return fig


def _octave_image(ax, values: np.ndarray, sample_rate: int, hop: int, **scale):
    low, high = np.log2(LOWEST), np.log2(sample_rate / 2)
    seconds = (values.shape[1] - 0.5) * hop / sample_rate
    drawn = ax.imshow(octaves(values, sample_rate), origin="lower", aspect="auto",
                      extent=(-0.5 * hop / sample_rate, seconds, low, high), **scale)
    ticks = [hertz for hertz in TICKS if LOWEST <= hertz <= sample_rate / 2]
    ax.set_yticks(np.log2(ticks), [f"{h // 1000} k" if h >= 1000 else str(h) for h in ticks],
                  fontsize=8)
    ax.grid(False)
    return drawn


@figure
def code(values: Tensor, seconds: float, title: str = "The code, block by block") -> Figure:
    """A bottleneck's units over time: values (block, unit), each block `seconds` long.

    Units are sorted by when they are loudest, each on its own scale, so that the order of the song
    shows; units that are 0 throughout are left out, and counted.
    """
    found = values.numpy(force=True).T
    alive = found[found.max(1) > 0]
    alive = alive[np.argsort(alive.argmax(1), kind="stable")]
    alive = alive / alive.max(1, keepdims=True)
    fig, ax = plt.subplots(figsize=(9, 3.6))
    drawn = ax.imshow(alive, aspect="auto", cmap=LEVELS, vmin=0, vmax=1, interpolation="nearest",
                      extent=(0, found.shape[1] * seconds, len(alive), 0))
    fig.colorbar(drawn, ax=ax, label="share of the unit's largest value", pad=0.01)
    ax.grid(False)
    ax.set(xlabel="time (s)", ylabel="unit, by when it is loudest",
           title=f"{title}: {len(alive)} of {len(found)} units answer")
    return fig


@figure
def answers(table: pd.DataFrame, title: str = "What the units answer to") -> Figure:
    """A unit a column, a stem a row: correlations, the units sorted by the stem they go with.

    table: index stem, columns units, values from -1 to 1; units with NaN are left out.
    """
    kept = table.dropna(axis=1)
    best, strength = kept.to_numpy().argmax(0), kept.to_numpy().max(0)
    kept = kept.iloc[:, np.lexsort((-strength, best))]
    fig, ax = plt.subplots(figsize=(9, 0.9 + 0.45 * len(kept)))
    drawn = ax.imshow(kept.to_numpy(), aspect="auto", cmap=SIGNED, vmin=-1, vmax=1,
                      interpolation="nearest")
    fig.colorbar(drawn, ax=ax, label="correlation", pad=0.01)
    ax.set_yticks(range(len(kept)), kept.index)
    ax.grid(False)
    ax.set(xlabel="unit, grouped by the stem it goes with", title=title)
    return fig


@figure
def curves(table: pd.DataFrame, by: str, x: str = "epoch", y: str = "sdr", title: str = "",
           label: str = "SDR (dB)") -> Figure:
    """One line for each value of column `by`, one small picture for each stem of the table."""
    there = list(dict.fromkeys(table["stem"]))
    stems = [s for s in STEMS if s in there] + [s for s in there if s not in STEMS]
    fig, axes = plt.subplots(1, len(stems), sharey=True, squeeze=False,
                             figsize=(1.2 + 2.1 * len(stems), 3))
    for ax, stem in zip(axes[0], stems, strict=True):
        rows = table[table["stem"] == stem]
        for (name, line), colour, style in zip(rows.groupby(by, sort=False), COLOURS, LINESTYLES,
                                               strict=False):
            mean = line.groupby(x)[y].mean()
            ax.plot(mean.index, mean, color=colour, linestyle=style, label=name)
        ax.set(xlabel=x)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.set_title(stem, fontsize=10, fontweight="normal")
    axes[0, 0].set_ylabel(label)
    handles, names = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)), fontsize=9)
    fig.suptitle(title, x=0.01, ha="left")
    return fig


@figure
def standings(table: pd.DataFrame, floors: tuple = (), ceilings: tuple = (), title: str = "",
              label: str = "SDR (dB)") -> Figure:
    """Systems (rows) on stems (columns) as points on one scale a stem, floors and ceilings grey."""
    fig, axes = plt.subplots(1, len(table.columns), sharey=True, squeeze=False,
                             figsize=(1.8 + 1.9 * len(table.columns), 0.9 + 0.32 * len(table)))
    places = np.arange(len(table))[::-1]
    for ax, stem in zip(axes[0], table.columns, strict=True):
        values = table[stem].to_numpy(float)
        for place, name, value in zip(places, table.index, values, strict=True):
            bound = name in floors or name in ceilings
            ax.plot(value, place, "D" if bound else "o", markersize=5 if bound else 7,
                    color="#777777" if bound else COLOURS[0])
        for floor in floors[:1]:
            ax.axvline(table.loc[floor, stem], color=GREY, linewidth=1.2, linestyle="--")
        ax.axvline(0, color="#333333", linewidth=0.6)
        ax.set_yticks(places, table.index)
        ax.set(xlabel=label)
        ax.set_title(stem, fontsize=10, fontweight="normal")
    fig.suptitle(title, x=0.01, ha="left")
    return fig
