"""Pictures of data: where every sample went, and what the ways to store examples cost."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sep_helpers.ledger import account
from sep_helpers.plots_style import COLOURS, GREY, figure

# what a sample can be, and how it is drawn: hatches too, for readers who see no colours
SHARES = {"used": (COLOURS[0], ""), "overlapped": (COLOURS[4], "///"),
          "padded": (GREY, "..."), "dropped": (COLOURS[1], "xxx")}


@figure
def ledger(ledgers: dict[str, pd.DataFrame], sample_rate: int,
           title: str = "Where the samples went") -> Figure:
    """The ledgers of several policies (see `views.coverage`), a bar each, in minutes.

    The black line is what the recordings hold: used and dropped add up to it. What is overlapped
    or padded comes on top: a network gets it, but it is nothing new.
    """
    fig, ax = plt.subplots(figsize=(9, 0.9 + 0.5 * len(ledgers)))
    totals = [account(table) for table in ledgers.values()]
    left = np.zeros(len(totals))
    for name in ("used", "dropped", "overlapped", "padded"):
        minutes = np.array([total[name] for total in totals]) / sample_rate / 60
        colour, hatch = SHARES[name]
        ax.barh(range(len(totals)), minutes, left=left, height=0.6, color=colour, hatch=hatch,
                edgecolor="white", label=name)
        left += minutes
    for row, total in enumerate(totals):
        ax.plot([total["samples"] / sample_rate / 60] * 2, [row - 0.4, row + 0.4], "-",
                color="black", linewidth=2, label="all recordings" if row == 0 else None)
    ax.set_yticks(range(len(totals)), list(ledgers))
    ax.invert_yaxis()
    ax.set(title=title, xlabel="minutes")
    ax.grid(False, axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


@figure
def timeline(table: pd.DataFrame, file: str, samples: int, sample_rate: int,
             title: str | None = None) -> Figure:
    """One recording and the cuts a view takes of it, below each other, padding hatched."""
    cuts = table[(table["file"] == file) & (table["source"] >= 0)]
    fig, ax = plt.subplots(figsize=(9, 1.1 + 0.28 * min(len(cuts), 20)))
    ax.barh(0, samples / sample_rate, color=GREY, label="the recording")
    for row, cut in enumerate(cuts.head(20).itertuples(), start=1):
        begin = (cut.start - cut.offset) / sample_rate
        ax.barh(row, cut.length / sample_rate, left=begin, color="white", hatch="...",
                edgecolor=GREY, label="padding" if row == 1 else None)
        ax.barh(row, (cut.stop - cut.start) / sample_rate, left=cut.start / sample_rate,
                color=COLOURS[0], label="a cut" if row == 1 else None)
    ax.invert_yaxis()
    more = f" (20 of {len(cuts)} cuts)" if len(cuts) > 20 else ""
    ax.set(title=(title or file) + more, xlabel="time (s)", yticks=[])
    ax.grid(False, axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


@figure
def storage(rates: pd.DataFrame, column: str = "items/s",
            title: str = "How fast examples come") -> Figure:
    """The table of `storage.Experiment.rates`: items a second (log scale), a bar a way and STFT."""
    places = list(dict.fromkeys(rates["stft"]))
    ways = list(dict.fromkeys(rates["way"]))
    fig, ax = plt.subplots(figsize=(9, 3.6))
    height = 0.8 / max(1, len(places) - 1)
    for number, place in enumerate(places):
        rows = rates[rates["stft"] == place]
        alone = rows["way"].map(lambda way: (rates["way"] == way).sum() == 1)
        shift = np.where(alone, 0, (number - len(places) / 2) * height)
        at = rows["way"].map(ways.index) + shift
        label = {"stored": "stored as STFT", "none": "waveforms alone"}.get(place, f"STFT {place}")
        bars = ax.barh(at, rows[column], height=height, color=COLOURS[number % len(COLOURS)],
                       hatch=["xx", "", "//", ".."][number % 4], edgecolor="white", label=label)
        ax.bar_label(bars, [f"{rate:,.0f}" for rate in rows[column]], padding=3, fontsize=8)
    ax.set(xscale="log", xlabel=column, title=title)
    ax.set_xlim(rates[column].min() / 3, rates[column].max() * 3)
    ax.set_yticks(range(len(ways)), ways)
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig
