"""plots_evaluation: what a table says stands in the picture, at its place, nothing more."""

import math

import matplotlib
import numpy as np
import pandas as pd
import pytest

from sep_helpers import plots_evaluation as plots

matplotlib.use("agg")

SLICES = pd.DataFrame([
    dict(system=system, slice=name, value=value, n=n, mean=mean + better, low=mean + better - 1,
         high=mean + better + 1)
    for better, system in ((0, "net"), (3, "ideal"))
    for name, value, n, mean in (("sex_pair", "same sex", 12, 5),
                                 ("sex_pair", "different sex", 8, 7),
                                 ("level_difference", "0 to 2.5", 20, 6))])
SCORES = pd.DataFrame([dict(system="reference", n=4, mean=99.0, low=98.0, high=100.0),
                       dict(system="net", n=4, mean=60.0, low=52.0, high=69.0),
                       dict(system="anchor", n=4, mean=20.0, low=15.0, high=26.0)])


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def dots(ax):
    """(x, y) of every mean drawn."""
    return {(round(float(x), 6), round(float(y), 6)) for line in ax.lines
            if line.get_marker() not in ("None", "") for x, y in zip(*line.get_data(), strict=True)}


def intervals(ax):
    lines = [line.get_data() for line in ax.lines if line.get_marker() in ("None", "")]
    return sorted((float(x[0]), float(x[1])) for x, y in lines
                  if len(x) == 2 and y[0] == y[1])


def test_every_slice_of_every_system_has_its_dot_and_its_interval():
    ax = plots.slices(SLICES).axes[0]
    assert sorted(x for x, _ in dots(ax)) == [5, 6, 7, 8, 9, 10]
    assert intervals(ax) == sorted(zip(SLICES.low, SLICES.high, strict=True))
    assert labels(ax.yaxis) == ["sex pair: same sex  (n = 12)", "sex pair: different sex  (n = 8)",
                                "level difference: 0 to 2.5  (n = 20)"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["net", "ideal"]
    heights = [tick for tick in ax.get_yticks()]
    assert heights[1] - heights[2] > heights[0] - heights[1], "a gap between one slice and the next"
    assert ax.get_xlabel() == "SI-SDR improvement (dB)"


def test_a_slice_of_one_mixture_has_a_dot_only():
    one = SLICES.assign(low=math.nan, high=math.nan)
    ax = plots.slices(one).axes[0]
    assert len(dots(ax)) == 6 and not np.isfinite(intervals(ax)).any()
    plots.slices(one).canvas.draw()


def test_differences_in_colour_where_zero_is_left_out():
    table = pd.DataFrame([
        dict(system="a", baseline="net", view="t", n=9, mean=1.0, low=0.5, high=1.5, wins=0.9),
        dict(system="b", baseline="net", view="t", n=9, mean=0.1, low=-0.4, high=0.6, wins=0.5)])
    ax = plots.differences(table).axes[0]
    assert labels(ax.yaxis) == ["a", "b"] and "minus that of net" in ax.get_xlabel()
    colours = [line.get_color() for line in ax.lines if line.get_marker() == "o"]
    assert colours == [plots.COLOURS[0], "#777777"]
    assert [text.get_text() for text in ax.texts] == ["ahead on 90%", "ahead on 50%"]
    both = pd.concat([table, table.assign(view="u")])
    assert labels(plots.differences(both).axes[0].yaxis) == ["a, t", "b, t", "a, u", "b, u"]


def test_ratings_stand_on_the_whole_scale():
    ax = plots.ratings(SCORES).axes[0]
    assert ax.get_xlim() == (0, 101) and labels(ax.yaxis) == ["reference", "net", "anchor"]
    assert dots(ax) == {(99, 0), (60, -1), (20, -2)}
    assert {"bad", "excellent"} <= {text.get_text() for text in ax.texts}


def test_ratings_against_a_metric_are_one_dot_an_estimate():
    both = pd.DataFrame([dict(system=s, mixture_id=f"m_{n}", source=0, si_sdr=n + d, rating=10 * n)
                         for d, s in enumerate(("net", "mask")) for n in range(4)])
    ax = plots.ratings_against(both).axes[0]
    assert dots(ax) == {(n + d, 10 * n) for d in range(2) for n in range(4)}
    assert ax.get_xlabel() == "SI-SDR (dB)" and ax.get_ylabel() == "rating"


def test_abx_shows_the_share_and_what_a_coin_would_do():
    scores = pd.DataFrame([dict(pair="mask / net", listener="ann", n=12, right=9, share=0.75,
                                low=0.43, high=0.95, p=0.073)])
    ax = plots.abx(scores).axes[0]
    assert dots(ax) == {(0.75, 0)} and (0.43, 0.95) in intervals(ax)
    assert labels(ax.yaxis) == ["ann: mask / net"]
    assert ax.texts[0].get_text() == "9 of 12, a coin: 7.3%"


@pytest.mark.parametrize("plot, table", [(plots.slices, SLICES), (plots.ratings, SCORES)])
def test_the_figures_are_closed_and_can_be_saved(plot, table, tmp_path):
    import matplotlib.pyplot as plt

    fig = plot(table)
    assert not plt.get_fignums()
    fig.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
