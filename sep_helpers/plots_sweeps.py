"""Pictures of the tables that `sweeps.run` leaves."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sep_helpers.plots_style import SHARES, figure


@figure
def heat_map(board: pd.DataFrame, value: str, rows: str = "network", columns: str = "loss",
             panels: str = "sources", unit: str = "SI-SNRi (dB)",
             title: str = "The experiment table") -> Figure:
    """Means over the runs of a sweep, a panel for each value of `panels`, numbers in the cells.

    Rows, columns and panels come in the board's order; what was not run stays empty.
    """
    board = board.dropna(subset=[rows, columns, panels])
    names = {axis: list(board[axis].unique()) for axis in (rows, columns, panels)}
    means = board.groupby([panels, rows, columns])[value].mean()
    norm = Normalize(min(0, means.min()), max(means.max(), 0.1))
    tables = {panel: means[panel].unstack().reindex(index=names[rows], columns=names[columns])
              .dropna(how="all") for panel in names[panels]}
    heights = [len(table) for table in tables.values()]
    fig, axes = plt.subplots(len(tables), 1, figsize=(9, 1.3 + 0.35 * sum(heights)), squeeze=False,
                             sharex=True, height_ratios=heights)
    for ax, (panel, table) in zip(axes[:, 0], tables.items(), strict=True):
        drawn = ax.imshow(table, cmap=SHARES, norm=norm, aspect="auto")
        for (i, j), dB in np.ndenumerate(table.to_numpy(float)):
            if np.isfinite(dB):
                ax.text(j, i, f"{dB:.1f}", ha="center", va="center", fontsize=9,
                        color="black" if norm(dB) > 0.55 else "white")
        ax.set_yticks(range(len(table)), table.index)
        ax.set_xticks(range(table.shape[1]), table.columns, rotation=20, ha="right")
        number = f"{panel:g}" if isinstance(panel, float) else panel
        ax.set_title(f"{number} {panels}", fontweight="normal", fontsize=10)
        ax.grid(False)
        ax.spines[:].set_visible(False)
    fig.colorbar(drawn, ax=axes[:, 0], label=unit, pad=0.01)
    fig.suptitle(title, x=0.01, ha="left")
    return fig
