"""Searches with a stand-in for the training: what is told, stopped, resumed, shared."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from sep_helpers import search_work
from sep_helpers.search import Search, SearchError
from sep_helpers.search_work import VALUE, board, work

KEYS = {"training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "model.X": [1, 2]}
EPOCHS = 9


def quality(changes):
    """Best at a rate of 1e-3; X matters less."""
    return 10 - 3 * abs(math.log10(changes["training.learning_rate"]) + 3) + changes["model.X"] / 9


def train(settings, folder, changes, on_epoch, say, die_in=None):
    """Like experiment.train: its position lies in the folder, so it goes on where it was."""
    folder.mkdir(exist_ok=True)
    file = folder / "epochs"
    done = int(file.read_text()) if file.exists() else 0
    history = [{"val_si_snr": quality(changes) * (e + 1) / EPOCHS} for e in range(done)]
    for epoch in range(done, EPOCHS):
        if die_in == (folder.name, epoch):
            raise KeyboardInterrupt
        history.append({"val_si_snr": quality(changes) * (epoch + 1) / EPOCHS})
        file.write_text(str(epoch + 1))
        on_epoch(SimpleNamespace(epoch=epoch + 1, history=history,
                                 settings=SimpleNamespace(epochs=EPOCHS)))
    return pd.DataFrame(history)


def test_random_search_tries_every_point_to_its_end(tmp_path):
    asked = Search(KEYS, trials=8, method="random")
    assert work(tmp_path, asked, train)
    table = board(tmp_path)
    assert set(table.state) == {"complete"} and set(table.epochs) == {EPOCHS}
    for row in table.to_dict("records"):
        point = asked.point(row["trial"])
        assert {key: row[key] for key in KEYS} == point
        assert row[VALUE] == pytest.approx(quality(point))
    assert table[VALUE].is_monotonic_decreasing


def test_halving_stops_the_poor_and_keeps_the_best(tmp_path):
    asked = Search(KEYS, trials=27, method="halving", first=1, factor=3)
    work(tmp_path, asked, train)
    table = board(tmp_path)
    best = max(range(27), key=lambda n: quality(asked.point(n)))
    assert table.trial[0] == best and table.state[0] == "complete"
    assert (table.state == "pruned").sum() >= 15
    assert table.epochs.sum() < 0.6 * 27 * EPOCHS
    assert set(table.epochs[table.state == "pruned"]) <= {1, 3}


def test_an_interrupted_search_goes_on_in_the_middle_of_its_trial(tmp_path):
    asked = Search(KEYS, trials=6)
    work(tmp_path / "whole", asked, train)

    def dies(*args, **rest):
        return train(*args, **rest, die_in=("trial_0003", 0))

    with pytest.raises(KeyboardInterrupt):
        work(tmp_path / "broken", asked, dies)
    assert list(board(tmp_path / "broken").state).count("running") == 1
    assert work(tmp_path / "broken", asked, train)
    pd.testing.assert_frame_equal(board(tmp_path / "whole"), board(tmp_path / "broken"))


def test_a_finished_search_does_nothing_and_a_longer_one_goes_on(tmp_path):
    work(tmp_path, Search(KEYS, trials=3), train)
    work(tmp_path, Search(KEYS, trials=3), lambda *a, **b: pytest.fail("nothing is left"))
    work(tmp_path, Search(KEYS, trials=5), train)
    assert sorted(board(tmp_path).trial) == [0, 1, 2, 3, 4]


def test_a_point_that_cannot_be_trained_fails_and_the_others_go_on(tmp_path, capsys):
    def fussy(settings, folder, changes, **rest):
        if changes["model.X"] == 1:
            raise ValueError("model.X=1 is too few")
        return train(settings, folder, changes, **rest)

    work(tmp_path, Search(KEYS, trials=6, method="random"), fussy)
    table = board(tmp_path)
    assert set(table.state[table["model.X"] == 1]) == {"fail"}
    assert set(table.state[table["model.X"] == 2]) == {"complete"}
    assert "model.X=1 is too few" in capsys.readouterr().err


def test_a_sitting_that_is_over_leaves_its_trial_for_the_next(tmp_path):
    def short(*args, **rest):
        history = pd.DataFrame({"val_si_snr": []})
        history.attrs["finished"] = False
        return history

    assert not work(tmp_path, Search(KEYS, trials=2), short)
    assert list(board(tmp_path).state) == ["running"]
    assert work(tmp_path, Search(KEYS, trials=2), train)
    assert set(board(tmp_path).state) <= {"complete", "pruned"}


def test_a_trial_that_kills_its_workers_is_given_up(tmp_path, capsys):
    def deadly(settings, folder, **rest):
        if folder.name == "trial_0000":
            raise KeyboardInterrupt
        return train(settings, folder, **rest)

    for _ in range(20):
        try:
            work(tmp_path, Search(KEYS, trials=2), deadly)
            break
        except KeyboardInterrupt:
            continue
    table = board(tmp_path).set_index("trial")
    assert table.state[0] == "fail" and table.state[1] == "complete"
    assert "workers died over it" in capsys.readouterr().err


WORKER = """
import sys, time
sys.path[:0] = sys.argv[2:]
import test_search_work as t
def slow(*args, **rest):
    time.sleep(0.05)
    return t.train(*args, **rest)
t.work(sys.argv[1], t.Search(t.KEYS, trials=12, method="random"), slow)
"""


def worker(folder):
    here = Path(__file__).parent
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), str(here),
                             str(here.parent)], stdout=subprocess.DEVNULL)


def test_workers_share_a_search_and_a_killed_one_loses_nothing(tmp_path):
    workers = [worker(tmp_path) for _ in range(2)]
    while len(list(tmp_path.glob("trial_*"))) < 2:
        assert any(w.poll() is None for w in workers)
    os.kill(workers[0].pid, signal.SIGKILL)
    assert [w.wait(60) for w in workers[1:]] == [0]
    workers[0].wait()
    work(tmp_path, Search(KEYS, trials=12, method="random"), train)    # what the killed one left
    table = board(tmp_path)
    assert sorted(table.trial) == list(range(12)) and set(table.state) == {"complete"}
    points = Search(KEYS, trials=12, method="random").point
    for row in table.to_dict("records"):
        assert {key: row[key] for key in KEYS} == points(row["trial"])


def test_half_a_line_at_the_journals_end_is_dropped(tmp_path):
    work(tmp_path, Search(KEYS, trials=3), train)
    before = board(tmp_path)
    with open(tmp_path / "journal.log", "a") as file:
        file.write('{"op_code": 5, "worker')
    pd.testing.assert_frame_equal(board(tmp_path), before)
    work(tmp_path, Search(KEYS, trials=4), train)
    assert len(board(tmp_path)) == 4


@pytest.mark.parametrize("method, epoch", [("random", EPOCHS), ("halving", 1)])
def test_importance_finds_the_key_that_matters_and_refuses_too_few(tmp_path, method, epoch):
    work(tmp_path, Search(KEYS, trials=3, method=method), train)
    with pytest.raises(SearchError, match="needs six or more"):
        search_work.importance(tmp_path)
    work(tmp_path, Search(KEYS, trials=12, method=method), train)
    shares = search_work.importance(tmp_path)
    assert shares.sum() == pytest.approx(1) and shares.idxmax() == "training.learning_rate"
    assert shares.attrs == {"epoch": epoch, "trials": 12}


def test_curves_are_by_epoch_from_one(tmp_path):
    work(tmp_path, Search(KEYS, trials=2, method="random"), train)
    curve = search_work.curves(tmp_path)[1]
    assert list(curve.index) == list(range(1, EPOCHS + 1)) and curve.is_monotonic_increasing


def test_no_search_is_one_line(tmp_path):
    with pytest.raises(SearchError, match="there is no search"):
        board(tmp_path)
