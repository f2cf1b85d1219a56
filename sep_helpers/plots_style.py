"""How every picture of the course looks: colours, line styles, fonts, and who closes figures."""

from collections.abc import Callable
from functools import wraps

import matplotlib.pyplot as plt
from cycler import cycler

# Okabe & Ito's palette, which all kinds of colour vision tell apart, best contrast first.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
LINESTYLES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1))]
GREY = "#BBBBBB"        # what is only there to compare with
LEVELS = "magma"        # sequential: energy in dB
SHARES = "cividis"      # sequential: masks
SIGNED = "RdBu_r"       # diverging: values around zero

STYLE = {
    "figure.dpi": 110, "figure.facecolor": "white",
    "figure.constrained_layout.use": True, "figure.constrained_layout.h_pad": 0.07,
    "font.size": 10, "figure.titlesize": 12, "figure.titleweight": "bold",
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.labelcolor": "#333333", "axes.edgecolor": "#999999", "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#E6E6E6", "grid.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINESTYLES),
    "xtick.color": "#555555", "ytick.color": "#555555", "legend.frameon": False,
    "lines.linewidth": 1.8, "image.aspect": "auto", "image.interpolation": "nearest",
}


def figure(plot: Callable) -> Callable:
    """Decorator of a function that returns a new Figure: the course's style, and closed.

    A closed figure is shown once, where it is the value of a cell; pyplot would show it again.
    With `ax=` given the function draws into another's figure, which stays open, and returns None.
    """
    @wraps(plot)
    def styled(*args, **kwargs):
        with plt.rc_context(STYLE):
            drawn = plot(*args, **kwargs)
            interactive = plt.isinteractive()
        plt.interactive(interactive)    # a notebook's backend sets it with its first figure
        if kwargs.get("ax") is not None:
            return None
        plt.close(drawn)
        return drawn
    return styled


def image(ax, values, extent: tuple, label: str = "", **options):
    """A picture of (rows, columns), first row at the bottom; a label brings a colour bar."""
    drawn = ax.imshow(values, origin="lower", extent=extent, **options)
    ax.grid(False)
    if label:
        ax.figure.colorbar(drawn, ax=ax, label=label, pad=0.01)
    return drawn


def rows(names, title: str, height: float) -> tuple:
    """A new figure with one named row of axes a track, all on one time axis; (figure, axes)."""
    names = list(names)
    fig, axes = plt.subplots(len(names), 1, sharex=True, sharey=True, squeeze=False,
                             figsize=(9, 0.9 + height * len(names)))
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_title(name, fontweight="normal", fontsize=10, pad=4)
    axes[-1, 0].set_xlabel("time (s)")
    fig.suptitle(title, x=0.01, ha="left")
    return fig, axes[:, 0]
