"""Pictures of a corpus: durations, levels, pitches of its recordings.

They draw what `corpus_statistics.statistics` returns, one line a recording.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from sep_helpers.plots_style import COLOURS, GREY, figure

MAX_NAMES = 40      # categories beside each other that can still be read


@figure
def durations(table: pd.DataFrame, title: str = "How long the recordings are") -> Figure:
    """Histogram of the seconds, the splits stacked."""
    fig, ax = plt.subplots(figsize=(9, 2.8))
    by_split = {split: rows.seconds for split, rows in table.groupby("split", sort=False)}
    ax.hist(list(by_split.values()), bins=30, stacked=True, color=COLOURS[:len(by_split)],
            label=list(by_split))
    ax.set(title=title, xlabel="seconds", ylabel="recordings")
    ax.legend()
    return fig


@figure
def peaks(table: pd.DataFrame, title: str = "Peak and RMS of the recordings") -> Figure:
    """Each recording's RMS against its peak, in dB re full scale."""
    fig, ax = plt.subplots(figsize=(9, 3.4))
    ax.scatter(table.rms_db, table.peak_db, s=14, color=COLOURS[0], alpha=0.6, linewidths=0)
    ax.axhline(0, color="black", linewidth=1, linestyle="--")
    ax.annotate("full scale: beyond it, a file clips", (table.rms_db.min(), 0), (0, -12),
                textcoords="offset points", fontsize=9)
    ax.set(title=title, xlabel="RMS (dB)", ylabel="peak (dB)")
    return fig


@figure
def pitches(table: pd.DataFrame, title: str = "Pitch of each voice") -> Figure:
    """Each recording's pitch (Hz, on a scale of octaves) over its speaker, the lowest first."""
    voiced = table.dropna(subset="pitch_hz")
    order = voiced.groupby("category").pitch_hz.median().sort_values().index
    order = order[np.linspace(0, len(order) - 1, min(len(order), MAX_NAMES)).round().astype(int)]
    fig, ax = plt.subplots(figsize=(9, 3.6))
    for x, name in enumerate(order):
        pitch = voiced.pitch_hz[voiced.category == name]
        ax.plot([x, x], [pitch.min(), pitch.max()], "-", color=GREY, linewidth=3, zorder=1)
        ax.scatter([x] * len(pitch), pitch, s=10, color=COLOURS[0], zorder=2)
        ax.plot([x - 0.35, x + 0.35], [pitch.median()] * 2, "-", color=COLOURS[1], zorder=3)
    ax.set(title=title, ylabel="pitch (Hz)", yscale="log", yticks=[80, 100, 150, 200, 300, 400],
           ylim=(voiced.pitch_hz.min() * 0.9, voiced.pitch_hz.max() * 1.1))
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(plt.NullLocator())
    ax.set_xticks(range(len(order)), order, rotation=90, fontsize=8)
    ax.grid(axis="x", visible=False)
    return fig
