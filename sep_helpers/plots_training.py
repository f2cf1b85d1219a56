"""Pictures of networks and of their training."""

from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sep_helpers import runs
from sep_helpers.plots_style import COLOURS, LEVELS, SIGNED, figure, image

PANELS = (("learning_rate", "learning rate", "learning rate"),
          ("grad_norm", "gradient norm", "norm before clipping"),
          ("seconds", "time an epoch", "seconds"),
          ("swapped", "order changed", "% of validation"))


@figure
def history(tables: pd.DataFrame | dict[str, pd.DataFrame], title: str = "Training") -> Figure:
    """Train and validation SI-SNR over each other; below, learning rate, gradient and time.

    Histories have the columns of history.csv; `swapped`, the share of validation mixtures whose
    best permutation is not that of the epoch before, has a panel where it is known. Train is
    dashed, validation solid with a star on its best; of one run the two have two colours, of
    several in a dict each run has its own.
    """
    alone = isinstance(tables, pd.DataFrame)
    named = {"validation": tables} if alone else tables
    begun = pd.concat(named.values())
    panels = [panel for panel in PANELS if panel[0] != "swapped" or
              ("swapped" in begun and begun["swapped"].notna().any())]
    fig, axes = plt.subplot_mosaic([["snr"] * len(panels), [key for key, *_ in panels]],
                                   figsize=(9, 5.6), height_ratios=(1.7, 1))
    for (name, table), colour in zip(named.items(), cycle(COLOURS), strict=False):
        _curves(axes, table, name, colour, COLOURS[1] if alone else colour)
    for key, name, unit in panels:
        axes[key].set(title=name, ylabel=unit)
        highest = begun[key].max() * (100 if key == "swapped" else 1) if len(begun) else 0
        axes[key].set_ylim(0, 1.1 * highest if highest > 0 else 1)
    last = begun["epoch"].max() + 1 if len(begun) else 1
    axes["snr"].set_ylabel("SI-SNR (dB), higher is better")
    axes["snr"].legend(title=None if alone else "train dashed, validation solid", alignment="left")
    for ax in axes.values():
        ax.set(xlabel="epoch", xlim=(0.7, last + 0.3))
        ax.xaxis.set_major_locator(MaxNLocator(10 if ax is axes["snr"] else 5, integer=True,
                                                  min_n_ticks=1))
    fig.suptitle(title, x=0.01, ha="left")
    return fig


def _curves(axes: dict, table: pd.DataFrame, name: str, colour: str, val_colour: str) -> None:
    """One run: its two SI-SNR curves and the small panels; epochs are counted from 1."""
    if table.empty:
        axes["snr"].plot([], [], color=val_colour, label=f"{name}, no epoch yet")
        return
    epoch, val = table["epoch"] + 1, table["val_si_snr"]
    best = val.idxmax()
    axes["snr"].plot(epoch, table["train_si_snr"], "o--", markersize=3, color=colour, alpha=0.7,
                     label="train" if colour != val_colour else None)
    axes["snr"].plot(epoch, val, "o-", markersize=3, color=val_colour,
                     label=f"{name}, best {val[best]:.1f} dB in epoch {epoch[best]}")
    axes["snr"].plot(epoch[best], val[best], "*", markersize=13, color=val_colour)
    for key in axes.keys() & table.columns:
        values = 100 * table[key] if key == "swapped" else table[key]
        axes[key].plot(epoch, values, "o-", color=colour, markersize=2.5, linewidth=1.4)


def from_folders(*folders: str | Path, title: str | None = None) -> Figure:
    """`history` of runs from their folders alone, at any time, also while they are trained.

    Of one run the title says where it stands and, at its pace so far, what is left.
    """
    paths = [Path(folder) for folder in folders]
    same = len({path.name for path in paths}) < len(paths)
    tables = {str(path) if same else path.name: runs.history(path) for path in paths}
    if len(tables) != 1:
        return history(tables, title=title or f"{len(tables)} runs")
    (name, table), folder = next(iter(tables.items())), Path(folders[0])
    return history(table, title=title or f"{name}: {_standing(folder, table)}")


def _standing(folder: Path, table: pd.DataFrame) -> str:
    """'epoch 3 of 10, about 2:30 left', as far as the folder tells."""
    try:
        epochs = yaml.safe_load((folder / "config.yaml").read_text())["training"]["epochs"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        return f"{len(table)} epochs"
    left = epochs - len(table)
    if left <= 0 or table.empty:
        return f"{len(table)} of {epochs} epochs"
    minutes = left * table["seconds"].mean() / 60
    return f"{len(table)} of {epochs} epochs, about {minutes:.0f} min left at this pace"


@figure
def filters(weights: Tensor, sample_rate: int, title: str = "Learned filters") -> Figure:
    """Filters (N, L) as rows, the lowest peak frequency at the bottom: in time and in frequency."""
    w = weights.detach().double().numpy(force=True)
    spectra = np.abs(np.fft.rfft(w, 512, axis=1))
    order = np.argsort(spectra.argmax(1), kind="stable")
    w, spectra = w[order], spectra[order]
    w = w / np.abs(w).max(1, keepdims=True).clip(1e-12)
    levels = 20 * np.log10(spectra / spectra.max(1, keepdims=True).clip(1e-12) + 1e-3)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.6), sharey=True)
    n, length = w.shape
    image(left, w, (0, 1e3 * length / sample_rate, 0, n), "amplitude (of the filter's peak)",
          cmap=SIGNED, vmin=-1, vmax=1)
    image(right, levels, (0, sample_rate / 2e3, 0, n), "level (dB, of the filter's peak)",
          cmap=LEVELS, vmin=-40, vmax=0)
    left.set(title="impulse responses", xlabel="time (ms)", ylabel="filter, by peak frequency")
    right.set(title="frequency responses", xlabel="frequency (kHz)")
    fig.suptitle(f"{title}: {n} filters of {length} samples", x=0.01, ha="left")
    return fig


@figure
def receptive_field(X: int, R: int, P: int = 3, L: int = 16, sample_rate: int = 8000,
                    causal: bool = False) -> Figure:
    """Which encoder frames one output frame of a TCN can see: R repeats of X dilated blocks.

    Drawn from the output (top) to the input (bottom); `L` is the encoder's window in samples,
    its hop L / 2. The title gives R (P - 1) (2^X - 1) + 1 frames, and the seconds of that.
    """
    dilations = [2 ** (block % X) for block in range(R * X)]
    layers, links = _reach(dilations, P, causal)
    ms = 1e3 * L / 2 / sample_rate
    fig, ax = plt.subplots(figsize=(9, min(1.6 + 0.42 * len(layers), 8)))
    for height, frames in enumerate(layers):
        ax.plot(frames * ms, np.full(len(frames), height), "o", color=COLOURS[0],
                markersize=np.clip(400 / len(layers[0]), 1, 6))
    for frames, lines in zip(layers, links, strict=False):
        ax.add_collection(LineCollection(lines * [ms, 1], colors=COLOURS[5], alpha=0.6, zorder=1,
                                         linewidths=np.clip(100 / len(frames), 0.05, 0.8)))
    ax.plot(0, len(dilations), "o", color=COLOURS[1], markersize=9)
    ax.set_yticks(range(len(layers)), ["input", *(f"dilation {d}" for d in dilations)],
                  fontsize=10 if len(layers) < 12 else 7)
    frames = R * (P - 1) * (2**X - 1) + 1
    seconds = ((frames - 1) * L / 2 + L) / sample_rate
    ax.set(xlabel="time from the output frame (ms)", ylim=(-0.6, len(dilations) + 0.6),
           title=f"Receptive field of X = {X}, R = {R}, P = {P}, {'' if causal else 'non-'}causal: "
                 f"{frames} frames = {seconds:.3g} s")
    ax.grid(axis="y", visible=False)
    return fig


def _reach(dilations: list[int], P: int, causal: bool) -> tuple[list, list]:
    """Frames that each layer needs for the output frame 0, input first, and the links upwards.

    -> layers [(frames,)], one more than links [(lines, 2 ends, x and y)].
    """
    taps = np.arange(1 - P, 1) if causal else np.arange(P) - (P - 1) // 2
    layers, links = [np.array([0])], []
    for height, dilation in reversed(list(enumerate(dilations))):
        seen = layers[0][:, None] + taps * dilation                     # (frames above, P)
        lower = np.stack([seen, np.full(seen.shape, height)], -1)
        upper = np.stack([seen - taps * dilation, np.full(seen.shape, height + 1)], -1)
        links.insert(0, np.stack([lower, upper], -2).reshape(-1, 2, 2).astype(float))
        layers.insert(0, np.unique(seen))
    return layers, links
