"""The heat map shows every mean of a sweep's board, and nothing where nothing was run."""

import pandas as pd
import pytest

from sep_helpers import plots


@pytest.fixture
def board():
    rows = [(2, "LSTM", "euclidean", 1.0), (2, "LSTM", "euclidean", 3.0),
            (2, "VTF", "MinLoss", 5.5), (5, "VTF", "euclidean", -0.4), (None, None, None, 9.9)]
    return pd.DataFrame(rows, columns=["sources", "network", "loss", "test"])


def test_a_heat_map_says_every_mean_once(board):
    figure = plots.heat_map(board, "test")
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == ["2 sources", "5 sources"]
    shown = [{text.get_text() for text in ax.texts} for ax in panels]
    assert shown == [{"2.0", "5.5"}, {"-0.4"}]               # 9.9, a floor, has no place in it
    assert [t.get_text() for t in panels[0].get_yticklabels()] == ["LSTM", "VTF"]
    assert [t.get_text() for t in panels[1].get_yticklabels()] == ["VTF"]


def test_a_board_of_one_run_has_its_map(board):
    assert plots.heat_map(board[3:4], "test").axes
