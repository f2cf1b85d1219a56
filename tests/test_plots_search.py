"""Pictures of a search show the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from sep_helpers import plots_search
from sep_helpers.plots_search import VALUE
from sep_helpers.plots_style import COLOURS


@pytest.fixture
def board():
    return pd.DataFrame({
        "trial": [2, 0, 1], "state": ["complete", "complete", "pruned"], "epochs": [4, 4, 1],
        VALUE: [8.0, 6.0, 2.0], "training.learning_rate": [1e-3, 1e-4, 1e-2], "model.X": [4, 4, 8],
        "training.optimizer": ["adam", "sgd", "sgd"]})


def test_every_trial_is_a_line_through_its_values_and_the_best_stands_out(board):
    fig = plots_search.parallel(board)
    lines = [line for line in fig.axes[0].lines if len(line.get_xdata()) == 4]
    assert len(lines) == 3
    best = next(line for line in lines if line.get_color() == COLOURS[1])
    assert np.allclose(best.get_ydata(), [0.5, 0, 0, 1])    # rate in the middle of its decades
    stopped = next(line for line in lines if line.get_linestyle() == ":")
    assert np.allclose(stopped.get_ydata(), [1, 1, 1, 0])
    text = " ".join(note.get_text() for note in fig.axes[0].texts)
    for word in ("training\nlearning_rate", "adam", "sgd", "8.0", "2.0"):
        assert word in text


def test_one_trial_and_none_make_a_picture(board):
    for rows in (board[:1], board[:0], board.assign(**{VALUE: np.nan})):
        assert plots_search.parallel(rows).axes


def test_importance_has_a_bar_a_key_the_largest_on_top():
    shares = pd.Series({"model.X": 0.2, "training.learning_rate": 0.8})
    shares.attrs = {"epoch": 2, "trials": 9}
    ax = plots_search.importance(shares).axes[0]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([20, 80])
    assert ax.get_title(loc="left") == "What mattered: 9 trials after epoch 2"


def test_stopped_trials_end_in_a_cross_and_the_epochs_are_counted(board):
    curves = {0: pd.Series({1: 1.0, 2: 6.0}), 1: pd.Series({1: 2.0}),
              2: pd.Series({1: 3.0, 2: 8.0}), 3: pd.Series(dtype=float)}
    extra = pd.DataFrame({"trial": [3], "state": ["running"]})
    ax = plots_search.halving(curves, pd.concat([board, extra])).axes[0]
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(1, 2.0)]
    assert "4 trials, 5 epochs in all" in ax.get_title(loc="left")
