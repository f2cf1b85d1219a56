"""Pictures of an evaluation: slices, paired differences, and what listeners said."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sep_helpers.plots_results import MARKERS, METRICS
from sep_helpers.plots_style import COLOURS, figure


@figure
def slices(table: pd.DataFrame, metric: str = "si_sdri", title: str = "Slices of the test"
           ) -> Figure:
    """Means with intervals in every slice, one colour and marker a system, first slice on top.

    `table` has a row a (system, slice, value): system, slice, value, n, mean, low, high. Where a
    slice has one mixture there is a dot and no interval.
    """
    places = list(dict.fromkeys(zip(table["slice"], table["value"], strict=True)))
    groups = list(dict.fromkeys(name for name, _ in places))
    height = {key: -(n + 0.6 * groups.index(key[0])) for n, key in enumerate(places)}
    fig, ax = plt.subplots(figsize=(9, 1.4 + 0.42 * len(places)))
    systems = list(dict.fromkeys(table["system"]))
    shifts = np.linspace(0.22, -0.22, len(systems)) if len(systems) > 1 else [0.0]
    for system, shift, colour, marker in zip(systems, shifts, COLOURS, MARKERS, strict=False):
        rows = table[table["system"] == system]
        at = [height[key] + shift for key in zip(rows["slice"], rows["value"], strict=True)]
        _dots(ax, rows, at, colour, marker, system)
    counts = table.groupby(["slice", "value"])["n"].max()
    ax.set_yticks([height[key] for key in places],
                  [f"{name.replace('_', ' ')}: {value}  (n = {counts[name, value]})"
                   for name, value in places])
    _finish(ax, METRICS.get(metric, metric), title, legend=True)
    return fig


@figure
def differences(table: pd.DataFrame, metric: str = "si_sdri",
                title: str = "Paired differences") -> Figure:
    """By how much each system beats the baseline on the same mixtures, with intervals.

    `table` has a row a system: system, baseline, view, mean, low, high, wins (share of the
    mixtures on which it is ahead). An interval that leaves out zero is drawn in colour.
    """
    fig, ax = plt.subplots(figsize=(9, 1.3 + 0.45 * len(table)))
    several = table["view"].nunique() > 1
    for place, row in enumerate(table.itertuples()):
        clear = row.low > 0 or row.high < 0
        one = pd.DataFrame([row._asdict()])
        _dots(ax, one, [-place], COLOURS[0] if clear else "#777777", "o", None)
        ax.annotate(f"ahead on {row.wins:.0%}", (row.high if row.high == row.high else row.mean,
                                                 -place), (8, 0), textcoords="offset points",
                    va="center", fontsize=9)
    ax.set_yticks([-place for place in range(len(table))],
                  table["system"] + (", " + table["view"] if several else ""))
    ax.margins(x=0.2)
    unit = METRICS.get(metric, metric)
    _finish(ax, f"{unit}, minus that of {table['baseline'].iloc[0]}", title)
    return fig


@figure
def ratings(scores: pd.DataFrame, title: str = "What listeners said") -> Figure:
    """Means of `listening_scores.mushra_scores` with their intervals on the scale of 0 to 100."""
    fig, ax = plt.subplots(figsize=(9, 1.6 + 0.42 * len(scores)))
    for n, word in enumerate(("bad", "poor", "fair", "good", "excellent")):
        ax.axvspan(20 * n, 20 * n + 20, color="#F2F2F2" if n % 2 else "white", zorder=-2)
        ax.text(20 * n + 10, 0.62, word, ha="center", color="#777777", fontsize=9)
    _dots(ax, scores, [-place for place in range(len(scores))], COLOURS[0], "o", None)
    ax.set_yticks([-place for place in range(len(scores))], scores["system"])
    _finish(ax, "rating: mean, 95 % interval", title, zero=False)
    ax.set(xlim=(0, 101), ylim=(-len(scores) + 0.4, 0.9))
    return fig


@figure
def ratings_against(both: pd.DataFrame, metric: str = "si_sdr",
                    title: str = "Ears against the figure") -> Figure:
    """Each rated estimate as a dot: its metric, and its mean rating (`with_metric`'s table)."""
    fig, ax = plt.subplots(figsize=(6.4, 4.2))
    for (system, rows), colour, marker in zip(both.groupby("system", sort=False), COLOURS, MARKERS,
                                              strict=False):
        ax.plot(rows[metric], rows["rating"], marker, color=colour, markersize=6, alpha=0.7,
                linestyle="none", markeredgewidth=0, label=system)
    ax.set(xlabel=METRICS.get(metric, metric), ylabel="rating", ylim=(-2, 102), title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


@figure
def abx(scores: pd.DataFrame, title: str = "A, B or X") -> Figure:
    """Shares of right answers of `listening_scores.abx_scores` with their exact intervals."""
    fig, ax = plt.subplots(figsize=(9, 1.4 + 0.45 * len(scores)))
    shares = scores.rename(columns={"share": "mean"})
    _dots(ax, shares, [-place for place in range(len(scores))], COLOURS[0], "o", None)
    for place, row in enumerate(scores.itertuples()):
        ax.annotate(f"{row.right} of {row.n}, a coin: {row.p:.1%}", (row.high, -place), (8, 0),
                    textcoords="offset points", va="center", fontsize=9)
    ax.axvline(0.5, color="#333333", linewidth=1, linestyle="--")
    ax.set_yticks([-place for place in range(len(scores))], scores["listener"] + ": "
                  + scores["pair"])
    _finish(ax, "share of right answers, 95 % interval", title, zero=False)
    ax.set_xlim(0, 1.35)
    ax.set_xticks(np.arange(0, 1.01, 0.25))
    return fig


def _dots(ax, rows: pd.DataFrame, at: list, colour: str, marker: str, label: str | None) -> None:
    """Means as dots, and where there are any, their intervals as lines through them."""
    for y, row in zip(at, rows.itertuples(), strict=True):
        ax.plot([row.low, row.high], [y, y], "-", color=colour, linewidth=2,
                solid_capstyle="butt", alpha=0.55)
    ax.plot(rows["mean"], at, marker, color=colour, markersize=6, linestyle="none", label=label)


def _finish(ax, unit: str, title: str, zero: bool = True, legend: bool = False) -> None:
    ax.set(xlabel=unit, title=title)
    ax.grid(axis="y", visible=False)
    bottom, top = ax.dataLim.y0, ax.dataLim.y1
    ax.set_ylim(bottom - 0.5, top + 0.5)
    if zero:
        ax.axvline(0, color="#333333", linewidth=1, linestyle="-", zorder=-1)
    if legend:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
