"""`train`, `resume`, `runs`: from a YAML file to a run folder and back, as a learner types it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sep_helpers import models
from sep_helpers.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
TINY = models.complete({"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 8, "Sc": 4, "X": 1,
                        "R": 1})


@pytest.fixture
def config(tmp_path):
    told = {"model": TINY, "data": {"seconds": 0.25, "n_mixtures": 8, "n_val": 4}, "training": {
        "epochs": 3, "batch": 2, "warmup": 2}}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(told))
    return str(path)


def history(folder):
    return pd.read_csv(folder / "history.csv")


def test_a_training_leaves_all_that_belongs_to_a_run(config, tmp_path, capsys):
    folder = tmp_path / "runs" / "mine"
    assert main(["train", config, str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.count("epoch ") == 3 and "done: best validation" in said
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "history.csv", "last.pt", "best.pt", "run.log", "events",
            "finished"} <= names
    log = (folder / "run.log").read_text().splitlines()
    assert sum("INFO epoch" in line for line in log) == 3


def test_the_same_line_again_finds_it_done(config, tmp_path, capsys):
    folder = tmp_path / "mine"
    main(["train", config, str(folder)])
    before = history(folder)
    assert main(["train", config, str(folder)]) == 0
    assert "all 3 epochs are done" in capsys.readouterr().out
    pd.testing.assert_frame_equal(history(folder), before)


def test_resume_needs_the_folder_alone_and_takes_new_settings(config, tmp_path, capsys):
    folder = tmp_path / "mine"
    main(["train", config, str(folder)])
    os.remove(config)
    assert main(["resume", str(folder), "--set", "training.epochs=4",
                 "--set", "training.learning_rate=1e-4"]) == 0
    assert len(history(folder)) == 4 and "new settings" in capsys.readouterr().out
    assert "learning_rate" in str(yaml.safe_load((folder / "config.yaml").read_text())["changes"])


def test_another_config_is_refused_with_the_difference(config, tmp_path, capsys):
    folder = tmp_path / "mine"
    main(["train", config, str(folder)])
    capsys.readouterr()
    assert main(["train", config, str(folder), "--set", "model.X=2"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("train: ") and "model.X: 1 saved, 2 wanted" in said
    assert main(["train", config, str(folder), "--set", "model.X=2", "--resume", "weights"]) == 0
    assert (folder / "earlier_1").is_dir()


def test_smoke_and_find_batch_keep_nothing(config, tmp_path, capsys):
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["train", config, "--smoke"]) == 0
    assert main(["train", config, "--find-batch"]) == 0
    said = capsys.readouterr().out
    assert "it runs" in said and "fit; the file asks for 2" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("more, words", [
    ([], "no run folder"), (["f", "--set", "epochs=3"], "section.key=value"),
    (["f", "--set", "training.epochs"], "section.key=value"),
    (["f", "--set", "training.epochs=[3"], "no YAML"),
    (["f", "--set", "training.epoch=3"], "did you mean 'epochs'"),
    (["f", "--set", "training.optimizer=adm"], "did you mean 'adam'"),
    (["f", "--set", "training.epochs=0"], "at least 1"),
    (["f", "--preset", "laptp"], "did you mean 'laptop'")])
def test_what_is_wrong_is_one_line_and_leaves_no_folder(config, tmp_path, capsys, more, words,
                                                       monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", config, *more]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not (tmp_path / "f").exists()


def test_no_config_and_no_run_are_one_line(tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("model: [")
    (tmp_path / "text.yaml").write_text("hello")
    for arguments in (["train", str(tmp_path / "none.yaml"), "f"],
                      ["train", str(tmp_path / "bad.yaml"), "f"],
                      ["train", str(tmp_path / "text.yaml"), "f"], ["resume", str(tmp_path)],
                      ["runs", str(tmp_path / "none")]):
        assert main(arguments) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_ends_in_good_order_and_the_same_line_goes_on(config, tmp_path):
    folder = tmp_path / "mine"
    line = [sys.executable, "-m", "sep_helpers", "train", config, str(folder), "--set",
            "training.epochs=400"]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    deadline = time.monotonic() + 60
    while not (folder / "history.csv").exists() or len(history_lines(folder)) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130), err
    assert "Traceback" not in err and "saved" in out
    before = len(history_lines(folder))
    assert main(["resume", str(folder), "--set", "training.max_minutes=0.01"]) == 0
    assert len(history_lines(folder)) >= before


def history_lines(folder):
    return (folder / "history.csv").read_text().splitlines()


def test_the_board_sorts_and_draws(config, tmp_path, capsys):
    for name, rate in (("slow", "1e-5"), ("fast", "1e-2")):
        main(["train", config, str(tmp_path / "runs" / name), "--set",
              f"training.learning_rate={rate}"])
    capsys.readouterr()
    picture = tmp_path / "curves.png"
    assert main(["runs", str(tmp_path / "runs"), "--sort", "training.learning_rate", "--plot",
                 str(picture)]) == 0
    said = capsys.readouterr().out
    assert said.index("fast") < said.index("slow") and "2 runs in" in said
    assert picture.stat().st_size > 10000
    assert main(["runs", str(tmp_path / "runs"), "--sort", "beauty"]) == 1
    assert "no column 'beauty'" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_said_in_one_line_and_in_the_log(config, tmp_path, capsys):
    folder = tmp_path / "mine"
    main(["train", config, str(folder)])
    (folder / "last.pt").write_bytes((folder / "last.pt").read_bytes()[:1000])
    capsys.readouterr()
    assert main(["train", config, str(folder)]) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "truncated or damaged; going on from last.pt.previous" in said
    assert "WARNING" in (folder / "run.log").read_text()


def test_a_file_in_the_place_of_the_folder_is_one_line(config, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["train", config, str(tmp_path / "file")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cannot be a run folder" in said
    assert main(["train", config, str(tmp_path / "new"), "--set", "data.n_val=0"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
