"""Pictures of a search: which points were tried, what came of them, which key matters."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sep_helpers.plots_style import COLOURS, GREY, SHARES, figure

VALUE = "best val SI-SNR (dB)"
LOOKS = {"complete": "-", "running": "-.", "pruned": ":"}


@figure
def parallel(board: pd.DataFrame, value: str = VALUE, title: str = "Every trial") -> Figure:
    """Parallel coordinates: an axis a key, a line a trial, bright where validation is good.

    `board` is `search_work.board`, or any table with the value and a column a key. Keys whose
    values lie above 0 and span more than a factor of 20 get a logarithmic axis.
    """
    keys = [c for c in board.columns if c not in ("trial", "state", "epochs", value)]
    shown = board.dropna(subset=[value, *keys]).sort_values(value)
    fig, ax = plt.subplots(figsize=(9, 4.2))
    scales = [_scale(shown[name], name in keys) for name in [*keys, value]]
    for place, (name, (_, ticks)) in enumerate(zip([*keys, value], scales, strict=True)):
        ax.plot([place, place], [0, 1], color="#999999", linewidth=1, linestyle="-", zorder=1)
        for height, label in ticks:
            ax.annotate(label, (place, height), (-4, 0), textcoords="offset points", ha="right",
                        va="center", fontsize=8.5, zorder=4,
                        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white",
                              "edgecolor": "none", "alpha": 0.8})
        ax.annotate(name.replace(".", "\n", 1), (place, 1.06), ha="center", va="bottom",
                    fontsize=9.5, fontweight="bold")
    values = shown[value]
    norm = Normalize(values.min(), values.max()) if len(shown) else Normalize(0, 1)
    heights = np.array([scale for scale, _ in scales])                   # (axis, trial)
    states = shown["state"] if "state" in shown else ["complete"] * len(shown)
    for trial, (state, dB) in enumerate(zip(states, values, strict=True)):
        best = trial == len(shown) - 1
        colour = COLOURS[1] if best else plt.get_cmap(SHARES)(norm(dB))
        ax.plot(range(len(scales)), heights[:, trial], LOOKS.get(state, ":"), color=colour,
                linewidth=3 if best else 1.5, zorder=3 if best else 2, alpha=1 if best else 0.75)
    fig.colorbar(plt.cm.ScalarMappable(norm, SHARES), ax=ax, label=value, pad=0.02)
    ax.set(xlim=(-0.45, len(scales) - 0.9), ylim=(-0.04, 1.24))
    ax.axis("off")
    fig.suptitle(f"{title}: {len(shown)} trials, the best in orange, dotted: stopped early", x=0.01,
                 ha="left")
    return fig


def _scale(column: pd.Series, is_key: bool) -> tuple[np.ndarray, list]:
    """A column's values as heights from 0 to 1, and its ticks as (height, label)."""
    if column.empty:
        return np.empty(0), []
    if not pd.api.types.is_numeric_dtype(column) or (is_key and column.nunique() <= 4):
        names = sorted(column.unique(), key=lambda v: (isinstance(v, str), v))
        steps = np.linspace(0, 1, len(names)) if len(names) > 1 else np.array([0.5])
        places = dict(zip(names, steps, strict=True))
        return column.map(places).to_numpy(float), [(h, str(n)) for n, h in places.items()]
    values = column.to_numpy(float)
    low, high = values.min(), values.max()
    log = is_key and low > 0 and high > 20 * low
    ends = np.log([low, high]) if log else np.array([low, high])
    heights = ((np.log(values) if log else values) - ends[0]) / max(ends[1] - ends[0], 1e-12)
    marks = np.linspace(ends[0], ends[1], 4)
    return heights, [(h, f"{np.exp(m) if log else m:.2g}" if is_key else f"{m:.1f}")
                     for h, m in zip(np.linspace(0, 1, 4), marks, strict=True)]


@figure
def importance(shares: pd.Series, title: str = "What mattered") -> Figure:
    """Shares of the variance that each key explains, from `search_work.importance`, as bars."""
    facts, shares = shares.attrs, shares.sort_values()
    if facts:
        title = f"{title}: {facts['trials']} trials after epoch {facts['epoch']}"
    fig, ax = plt.subplots(figsize=(9, 1.2 + 0.45 * len(shares)))
    ax.barh(shares.index, 100 * shares, color=COLOURS[0], height=0.6)
    for place, share in enumerate(shares):
        ax.annotate(f"{share:.0%}", (100 * share, place), (6, 0), textcoords="offset points",
                    va="center", fontsize=9)
    ax.set(title=title, xlim=(0, 110), xlabel="share of the variance between the trials (%)")
    ax.grid(axis="y", visible=False)
    return fig


@figure
def halving(curves: dict[int, pd.Series], board: pd.DataFrame,
            title: str = "Successive halving") -> Figure:
    """Validation by epoch of every trial (`search_work.curves`); stopped ones end in a cross."""
    states = board.set_index("trial")["state"]
    values = board.set_index("trial")[VALUE]
    fig, ax = plt.subplots(figsize=(9, 3.8))
    best = values.idxmax() if values.notna().any() else None
    for trial, curve in curves.items():
        if curve.empty:
            continue
        stopped = states[trial] == "pruned"
        colour = COLOURS[1] if trial == best else GREY if stopped else COLOURS[0]
        ax.plot(curve.index, curve, ":" if stopped else "-", color=colour, marker=".",
                linewidth=2.6 if trial == best else 1.4, zorder=3 if trial == best else 2)
        ax.plot(curve.index[-1], curve.iloc[-1], "x" if stopped else "o", color=colour,
                markersize=6, zorder=3)
    kinds = [(COLOURS[1], "-", "o", "the best"), (COLOURS[0], "-", "o", "to the end"),
             (GREY, ":", "x", "stopped")]
    ax.legend([plt.Line2D([], [], color=c, linestyle=s, marker=m) for c, s, m, _ in kinds],
              [name for *_, name in kinds], loc="lower right")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    done = sum(len(curve) for curve in curves.values())
    ax.set(title=f"{title}: {len(curves)} trials, {done} epochs in all", xlabel="epoch",
           ylabel="validation SI-SNR (dB)")
    return fig
