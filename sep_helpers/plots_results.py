"""Pictures of results: the tables of `evaluation`, the scores of `permutation.pairwise`."""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from sep_helpers.plots_style import COLOURS, GREY, LINESTYLES, SIGNED, figure

METRICS = {"si_sdr": "SI-SDR (dB)", "si_sdri": "SI-SDR improvement (dB)",
           "sdr": "SDR (dB)", "sdri": "SDR improvement (dB)", "snr": "SNR (dB)",
           "sir": "SIR (dB)", "sar": "SAR (dB)", "stoi": "STOI", "estoi": "extended STOI",
           "pesq_nb": "PESQ, narrow band (MOS)", "pesq_wb": "PESQ, wide band (MOS)"}
MARKERS = "osD^vPX"
LOOKS = {"system": {"color": COLOURS[0]}, "floor": {"color": GREY},
         "oracle": {"facecolor": "white", "edgecolor": COLOURS[4], "hatch": "///"}}


@figure
def comparison(summary: pd.DataFrame, oracles: tuple[str, ...] = (),
               floors: tuple[str, ...] = ("mixture",), title: str = "Comparison") -> Figure:
    """Means of `evaluation.summary` as bars with their intervals, the first row on top.

    Systems named in `oracles` (hatched) know the sources, those in `floors` (grey) do nothing.
    """
    fig, ax = plt.subplots(figsize=(9, 1.3 + 0.5 * len(summary)))
    seen = {}
    for place, row in enumerate(summary.itertuples()):
        kind = "oracle" if row.system in oracles else "floor" if row.system in floors else "system"
        seen[kind] = ax.barh(place, row.mean, height=0.62, **LOOKS[kind])
        ax.errorbar(row.mean, place, xerr=[[row.mean - row.low], [row.high - row.mean]],
                    color="black", capsize=4, linewidth=1.4)
        ax.annotate(row.text, (np.nanmax([row.mean, row.high, 0]), place), (8, 0),
                    textcoords="offset points", va="center", fontsize=9)
    several = summary["view"].nunique() > 1
    names = summary["system"] + (", " + summary["view"] if several else "")
    ax.set_yticks(range(len(summary)), names)
    ax.invert_yaxis()
    ax.axvline(0, color="#333333", linewidth=1, linestyle="-")
    ax.margins(x=0.2)
    ax.set(xlabel=METRICS.get(summary["metric"].iloc[0], summary["metric"].iloc[0]), title=title)
    ax.grid(axis="y", visible=False)
    if len(seen) > 1:
        ax.legend(seen.values(), seen, loc="upper left", bbox_to_anchor=(1, 1))
    return fig


@figure
def improvement_histogram(table: pd.DataFrame, metric: str = "si_sdri",
                          title: str = "Improvement of every source") -> Figure:
    """How often each improvement occurs, rows of `evaluation.evaluate`, 1 dB a bin."""
    fig, ax = plt.subplots(figsize=(9, 3.6))
    values = table[metric].dropna()
    bins = np.arange(np.floor(values.min()), np.floor(values.max()) + 2)
    for (name, rows), colour, style in _styled(table):
        mean = rows[metric].mean()
        ax.hist(rows[metric].dropna(), bins, histtype="stepfilled", color=colour, alpha=0.18)
        ax.hist(rows[metric].dropna(), bins, histtype="step", color=colour, linestyle=style,
                linewidth=1.8, label=f"{name}, mean {mean:.1f} dB")
        ax.axvline(mean, color=colour, linestyle=style, linewidth=1.2)
    ax.axvline(0, color="#333333", linewidth=1, linestyle="-")
    ax.set(title=title, xlabel=METRICS.get(metric, metric), ylabel="sources")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return fig


@figure
def input_vs_improvement(table: pd.DataFrame, metric: str = "si_sdr",
                         title: str = "Improvement against input level") -> Figure:
    """Improvement of each source over its input level: what it had in the mixture, in dB.

    `metric` is si_sdr or sdr; the lines are least-squares fits, one a system.
    """
    fig, ax = plt.subplots(figsize=(9, 4.2))
    for ((name, rows), colour, style), marker in zip(_styled(table.dropna(subset=metric)),
                                                     cycle(MARKERS), strict=False):
        gain = rows[metric + "i"]
        level = rows[metric] - gain
        ax.plot(level, gain, marker, color=colour, markersize=4.5, alpha=0.55,
                linestyle="none", markeredgewidth=0, label=name)
        if level.nunique() > 1:
            ends = np.array([level.min(), level.max()])
            ax.plot(ends, np.polyval(np.polyfit(level, gain, 1), ends), color=colour,
                    linestyle=style)
    ax.axhline(0, color="#333333", linewidth=1, linestyle="-")
    ax.set(title=title, xlabel=f"input {METRICS[metric]}", ylabel=METRICS[metric + "i"])
    ax.legend()
    return fig


@figure
def spread(board: pd.DataFrame, views: tuple[str, ...] = ("seen", "unseen"),
           title: str = "What the seeds agree on") -> Figure:
    """The board of `sweeps.run`: each run a dot, each variant's mean a bar, its first on top."""
    variants = list(board["variant"].unique())
    fig, ax = plt.subplots(figsize=(9, 1.5 + 0.42 * len(variants)))
    for shift, view, colour, marker in zip(np.linspace(-0.16, 0.16, len(views)), views, COLOURS,
                                           MARKERS, strict=False):
        for place, variant in enumerate(variants):
            values = board.loc[board["variant"] == variant, view]
            ax.plot(values, np.full(len(values), place + shift), marker, color=colour,
                    markersize=6, alpha=0.65, linestyle="none", markeredgewidth=0,
                    label=None if place else f"{view}, one run")
            ax.plot(values.mean(), place + shift, "|", color=colour, markersize=15,
                    markeredgewidth=2.5, label=None if place else f"{view}, mean")
    ax.set_yticks(range(len(variants)), variants)
    ax.invert_yaxis()
    ax.set(xlabel=METRICS["si_sdri"], title=title)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


@figure
def matrix(values: Tensor, rows: list[str] | None = None, columns: list[str] | None = None,
           chosen=None, title: str = "Every estimate against every source",
           unit: str = "SI-SNR (dB)") -> Figure:
    """Scores (estimate, source) as numbers on colours; `chosen` is the permutation (source,),
    the estimate that serves each source, and gets a frame.
    """
    v = values.detach().numpy(force=True)
    rows = rows or [f"estimate {i + 1}" for i in range(v.shape[0])]
    columns = columns or [f"source {i + 1}" for i in range(v.shape[1])]
    fig, ax = plt.subplots(figsize=(2.6 + 1.05 * v.shape[1], 1.4 + 0.7 * v.shape[0]))
    reach = np.abs(v).max() or 1.0
    drawn = ax.imshow(v, cmap=SIGNED, vmin=-reach, vmax=reach)
    fig.colorbar(drawn, ax=ax, label=unit)
    for (i, j), value in np.ndenumerate(v):
        ax.text(j, i, f"{value:.1f}", ha="center", va="center",
                color="white" if abs(value) > 0.6 * reach else "black")
    for source, estimate in enumerate([] if chosen is None else chosen):
        ax.add_patch(plt.Rectangle((source - 0.47, int(estimate) - 0.46), 0.94, 0.92, fill=False,
                                   linewidth=2.5, path_effects=[withStroke(linewidth=5,
                                                                           foreground="white")]))
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_title(title, pad=10)
    return fig


def _styled(table: pd.DataFrame):
    """((name, rows), colour, line style) of each system, in order of appearance."""
    systems = table.groupby("system", sort=False)
    return zip(systems, cycle(COLOURS), cycle(LINESTYLES), strict=False)
