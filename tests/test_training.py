"""The loop learns, and a run that was interrupted ends with the same bits as one that was not."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from toy_training import MODEL, assert_same_run, setting, tones

from sep_helpers import checkpoints
from sep_helpers.models import build, complete
from sep_helpers.training import Settings, Trainer, TrainingError, fit, validate, warmup_then_cosine
from sep_helpers.views import ViewError

SETTINGS = Settings(epochs=3, batch=2, learning_rate=1e-2, warmup=2, save_every=2, save_share=1.0)
GAB = {"name": "gab", "channels": 2, "hidden": 4, "dense": 4, "n_fft": 64, "hop": 32}
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def unbroken(corpus_folder, tmp_path_factory):
    """History and weights of a run that nobody interrupted."""
    model, *data = setting(corpus_folder)
    history = fit(model, *data, SETTINGS, tmp_path_factory.mktemp("runs") / "unbroken")
    return history, model.state_dict()


def test_the_loop_learns(corpus_folder, tmp_path):
    model, train, val = setting(corpus_folder, n_mixtures=60)
    before = validate(model, val)
    history = fit(model, train, val, Settings(epochs=4, batch=2, learning_rate=1e-2, warmup=5),
                  tmp_path / "run")
    assert history["val_si_snr"].max() > before + 5
    best = checkpoints.load(tmp_path / "run" / "best.pt")
    assert best["row"]["val_si_snr"] == history["val_si_snr"].max()
    model.load_state_dict(best["model"])
    assert validate(model, val, SETTINGS.batch) == pytest.approx(best["row"]["val_si_snr"])


def test_the_same_run_twice_gives_the_same_bits(corpus_folder, tmp_path, unbroken):
    model, *data = setting(corpus_folder)
    assert_same_run(fit(model, *data, SETTINGS, tmp_path / "again"), model.state_dict(), unbroken)


class RuntimeDied(Exception):
    pass


@pytest.mark.parametrize("dies_at", range(1, 12, 2))
def test_resuming_after_any_step_gives_the_same_bits(corpus_folder, tmp_path, unbroken, dies_at):
    def die(trainer: Trainer) -> None:
        if trainer.epoch * 4 + trainer.step == dies_at:
            raise RuntimeDied

    model, *data = setting(corpus_folder)
    with pytest.raises(RuntimeDied):
        fit(model, *data, SETTINGS, tmp_path / "run", on_step=die)
    model, *data = setting(corpus_folder)
    assert_same_run(fit(model, *data, SETTINGS, tmp_path / "run"), model.state_dict(), unbroken)


SCRIPT = """
import sys, torch
sys.path[:0] = [{root!r}, {tests!r}]
torch.set_num_threads({threads})
from test_training import SETTINGS, fit, setting
from pathlib import Path
fit(*setting(Path({corpus!r})), SETTINGS, {run!r}, on_step=lambda t: print("step", flush=True))
print("done", flush=True)
"""


def start(corpus: Path, run: Path) -> subprocess.Popen:
    script = SCRIPT.format(root=str(ROOT), tests=str(ROOT / "tests"), corpus=str(corpus),
                           run=str(run), threads=torch.get_num_threads())
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def test_killed_at_random_moments_it_resumes_to_the_same_bits(corpus_folder, tmp_path, unbroken):
    run, rng = tmp_path / "run", random.Random(7)
    for _ in range(3):                        # SIGKILL: no handler, no clean-up, no last words
        process = start(corpus_folder, run)
        for _ in range(rng.randint(1, 3)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.02))      # somewhere inside the step, or inside a save
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    process = start(corpus_folder, run)
    output = process.communicate(timeout=120)[0]
    assert "found your run" in output and output.rstrip().endswith("done")
    saved = checkpoints.load(run / "last.pt")
    assert_same_run(pd.DataFrame(saved["history"]), saved["model"], unbroken)
    assert not list(run.glob(".*")), "temporary files were left behind"


def test_a_sitting_can_end_early_and_go_on(corpus_folder, tmp_path, unbroken, capsys):
    model, *data = setting(corpus_folder)
    short = Settings(**{**vars(SETTINGS), "max_minutes": 0.0})
    assert len(fit(model, *data, short, tmp_path / "run")) < SETTINGS.epochs
    assert "call again to go on" in capsys.readouterr().out
    model, *data = setting(corpus_folder)
    assert_same_run(fit(model, *data, SETTINGS, tmp_path / "run"), model.state_dict(), unbroken)


def test_a_finished_run_is_not_trained_again(corpus_folder, tmp_path, unbroken, capsys):
    for _ in range(2):
        model, *data = setting(corpus_folder)
        history = fit(model, *data, SETTINGS, tmp_path / "run")
    assert "all 3 epochs are done" in capsys.readouterr().out
    assert_same_run(history, model.state_dict(), unbroken)


def test_another_config_is_refused_with_the_difference(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)
    fit(model, *data, SETTINGS, tmp_path / "run")
    deeper = build({**MODEL, "R": 2})
    with pytest.raises(checkpoints.CheckpointError, match="model.R: 1 saved, 2 wanted"):
        fit(deeper, *data, SETTINGS, tmp_path / "run")


def test_a_loss_that_is_not_finite_names_the_mixtures_and_keeps_the_last_state(
    corpus_folder, tmp_path
):
    def poison(trainer: Trainer) -> None:
        if trainer.step == 3:
            next(trainer.model.parameters()).data.fill_(math.nan)

    model, *data = setting(corpus_folder)
    with pytest.raises(TrainingError, match="loss is nan in epoch 0, step 3, mixtures train_00006"):
        fit(model, *data, SETTINGS, tmp_path / "run", on_step=poison)
    saved = checkpoints.load(tmp_path / "run" / "last.pt")
    assert saved["step"] == 2 and all(v.isfinite().all() for v in saved["model"].values())


def test_nan_in_a_batch_is_named_and_spoils_neither_the_network_nor_the_run(
    corpus_folder, tmp_path, monkeypatch
):
    """A network with batch norm, whose running statistics one forward pass would spoil."""
    def spoil(epoch, index):
        item = whole(epoch, index)
        if index == 6:
            item["sources"][0, 10] = math.nan
        return item

    _, train_view, val_view = setting(corpus_folder)
    model = build(complete(GAB))
    whole = type(train_view.epoch(0)).__getitem__
    monkeypatch.setattr(type(train_view.epoch(0)), "__getitem__", spoil)
    with pytest.raises(ViewError, match="mixtures train_00006: NaN or infinite samples"):
        fit(model, train_view, val_view, SETTINGS, tmp_path / "run")
    saved = checkpoints.load(tmp_path / "run" / "last.pt")
    assert saved["step"] == 2
    for state in (model.state_dict(), saved["model"]):
        assert all(v.isfinite().all() for v in state.values())
    monkeypatch.undo()                                   # mended, the run goes on where it stood
    model = build(complete(GAB))
    assert len(fit(model, train_view, val_view, SETTINGS, tmp_path / "run")) == SETTINGS.epochs


def test_a_network_for_another_number_of_sources_is_one_line(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)
    three = build({**MODEL, "n_sources": 3})
    with pytest.raises(ValueError, match=r"n_sources") as error:
        fit(three, *data, SETTINGS, tmp_path / "run")
    assert "\n" not in str(error.value)


def test_nothing_to_train_is_said(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder, n_mixtures=1)
    with pytest.raises(TrainingError, match="1 mixtures has no batch of 2: draw more"):
        fit(model, *data, SETTINGS, tmp_path / "run")


def test_nothing_to_validate_on_is_said_before_a_folder_is_made(corpus_folder, tmp_path):
    model, train_view, val_view = setting(corpus_folder)
    with pytest.raises(TrainingError, match="nothing to validate on"):
        fit(model, train_view, torch.utils.data.Subset(val_view, []), SETTINGS, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_a_folder_is_one_line(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(checkpoints.CheckpointError, match="cannot be a run folder"):
            fit(model, *data, SETTINGS, folder)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_patience_stops_when_validation_gets_no_better(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)
    settings = Settings(epochs=20, batch=2, learning_rate=0.0, warmup=1, patience=2)
    assert len(fit(model, *data, settings, tmp_path / "run")) == 3


def test_validation_puts_the_mode_back(corpus_folder):
    model, _, val = setting(corpus_folder)
    for mode in (True, False):
        model.train(mode)
        validate(model, val)
        assert model.training is mode


def test_warmup_then_cosine():
    factor = warmup_then_cosine(10, 110)
    assert [factor(s) for s in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [factor(s) for s in (10, 60, 110)] == pytest.approx([1.0, 0.5, 0.0])
