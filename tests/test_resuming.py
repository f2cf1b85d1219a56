"""A run interrupted at ANY step ends with the same bits, whatever it is made of."""

import random
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from toy_training import MODEL, assert_same_run, setting, tones

from sep_helpers import checkpoints
from sep_helpers.checkpoints import CheckpointError
from sep_helpers.models import build
from sep_helpers.run_lock import LockError
from sep_helpers.runs import board
from sep_helpers.training import Settings, TrainingError, fit

PLAIN = Settings(epochs=2, batch=2, learning_rate=1e-2, warmup=2, save_every=1, save_share=1.0)
RICH = replace(PLAIN, epochs=3, accumulate=3, schedule="plateau", plateau_patience=0, average="ema",
               ema_decay=0.8, optimizer="adamw", weight_decay=0.01, patience=2, save_every=2)


class RuntimeDied(Exception):
    pass


class Restless(torch.nn.Module):
    """A separator that draws from every random generator there is while it trains."""

    def __init__(self):
        super().__init__()
        self.inner = build(MODEL)
        self.config, self.dropout = self.inner.config, torch.nn.Dropout(0.3)

    def forward(self, mixture):
        if self.training:
            mixture = mixture * (1 + 0.1 * random.random() + 0.1 * np.random.rand())
        return self.inner(self.dropout(mixture))


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return tones(tmp_path_factory.mktemp("tones"))


def run(corpus_folder, folder, settings, die_at=None, model=None, **options):
    """Train; `die_at`: steps in all after which the runtime dies. -> history, weights."""
    plain, *data = setting(corpus_folder)
    model = model or Restless()

    def on_step(trainer):
        if trainer.number == die_at:
            raise RuntimeDied
    try:
        history = fit(model, *data, settings, folder, on_step=on_step, **options)
    except RuntimeDied:
        return None
    return history, {k: v.clone() for k, v in model.state_dict().items()}


def test_interrupted_at_any_step_with_all_that_has_a_state(corpus_folder, tmp_path):
    unbroken = run(corpus_folder, tmp_path / "unbroken", RICH)
    steps = int(unbroken[0]["steps"].sum())
    assert steps == 12
    for step in range(1, steps + 1):
        folder = tmp_path / f"died_at_{step}"
        assert run(corpus_folder, folder, RICH, step) is None
        assert_same_run(*run(corpus_folder, folder, RICH), unbroken)
        averages = [checkpoints.load(place / "last.pt")["averaged"]
                    for place in (folder, tmp_path / "unbroken")]
        assert all(torch.equal(averages[0][key], averages[1][key]) for key in averages[1])
        shutil.rmtree(folder)


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_two_workers_change_nothing(corpus_folder, tmp_path, step):
    unbroken = run(corpus_folder, tmp_path / "none", PLAIN)
    two = replace(PLAIN, workers=2)
    assert run(corpus_folder, tmp_path / "two", two, step) is None
    assert_same_run(*run(corpus_folder, tmp_path / "two", two), unbroken)


def test_early_stopping_goes_on_counting(corpus_folder, tmp_path):
    still = replace(PLAIN, epochs=9, learning_rate=0.0, patience=2)
    model = build(MODEL)
    assert run(corpus_folder, tmp_path / "a", still, 9, model) is None     # in the third epoch
    history, _ = run(corpus_folder, tmp_path / "a", still, model=build(MODEL))
    assert len(history) == 3 and history.attrs["finished"]


def test_accumulation_averages_over_the_group(corpus_folder, tmp_path):
    """Two steps of 2 mixtures, accumulated, move the weights as one step of 4 does."""
    model, *data = setting(corpus_folder)
    whole = replace(PLAIN, batch=4, epochs=1, optimizer="sgd", clip=0.0, warmup=0)
    fit(model, *data, whole, tmp_path / "whole")
    other, *data = setting(corpus_folder)
    fit(other, *data, replace(whole, batch=2, accumulate=2), tmp_path / "split")
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_another_learning_rate_on_request_is_said_and_recorded(corpus_folder, tmp_path, capsys):
    run(corpus_folder, tmp_path / "a", PLAIN, 5, build(MODEL))
    slower = replace(PLAIN, learning_rate=1e-3, epochs=3)
    with pytest.raises(CheckpointError, match="rate: 0.01 saved, 0.001 wanted.*resume='settings'"):
        run(corpus_folder, tmp_path / "a", slower, model=build(MODEL))
    seen = []
    model, *data = setting(corpus_folder)
    fit(model, *data, slower, tmp_path / "a", resume="settings",
        on_step=lambda t: seen.append((t.number, t.latest["learning_rate"])))
    assert "new settings: training.epochs: 2 saved, 3 wanted" in capsys.readouterr().out
    assert seen[0][0] == 6 and max(rate for _, rate in seen) <= 1e-3
    kept = yaml.safe_load((tmp_path / "a/config.yaml").read_text())
    assert kept["training"]["learning_rate"] == 1e-3
    assert "training.learning_rate: 0.01 saved, 0.001 wanted" in kept["changes"][0]["settings"]
    assert len(run(corpus_folder, tmp_path / "a", slower, model=build(MODEL))[0]) == 3   # exactly


def test_a_deeper_network_adopts_weights_only_when_told(corpus_folder, tmp_path, capsys):
    run(corpus_folder, tmp_path / "a", PLAIN, model=build(MODEL))
    best = checkpoints.load(tmp_path / "a/best.pt")["model"]
    deeper = build({**MODEL, "R": 2})
    for resume in (True, "settings"):
        with pytest.raises(CheckpointError, match="model.R: 1 saved, 2 wanted.*resume='weights'"):
            run(corpus_folder, tmp_path / "a", PLAIN, model=deeper, resume=resume)
    first = {}
    model, *data = setting(corpus_folder)

    def on_step(trainer):
        first.setdefault("rate", trainer.latest["learning_rate"])
    still = replace(PLAIN, learning_rate=0.0)
    fit(deeper, *data, still, tmp_path / "a", resume="weights", on_step=on_step)
    assert torch.equal(deeper.encoder.weight, best["encoder.weight"])
    said = capsys.readouterr().out
    assert "earlier_1" in said and "took over" in said and "fresh are tcn.blocks.2" in said
    assert (tmp_path / "a/earlier_1/last.pt").exists()
    assert list(board(tmp_path)["run"]) == ["a", "a/earlier_1"]
    # the same call again is a resumed run, not another beginning
    fit(deeper, *data, still, tmp_path / "a", resume="weights")
    assert not (tmp_path / "a/earlier_2").exists()


def test_starting_anew_keeps_what_was_there(corpus_folder, tmp_path):
    first = run(corpus_folder, tmp_path / "a", PLAIN, model=build(MODEL))
    torch.manual_seed(0)
    run(corpus_folder, tmp_path / "a", PLAIN, model=build(MODEL), resume=False)
    kept = pd.read_csv(tmp_path / "a/earlier_1/history.csv")
    assert kept["val_si_snr"].tolist() == pytest.approx(first[0]["val_si_snr"].tolist())


def test_a_second_training_in_the_same_folder_is_refused(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)

    def again(trainer):
        fit(build(MODEL), *data, PLAIN, tmp_path / "a")
    with pytest.raises(LockError, match="training there already"):
        fit(model, *data, PLAIN, tmp_path / "a", on_step=again)
    run(corpus_folder, tmp_path / "a", PLAIN, model=build(MODEL))          # the lock is gone again
    assert not (tmp_path / "a/.lock").exists()


def test_a_gradient_that_is_not_finite_stops_before_it_harms(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)
    model.encoder.weight.register_hook(lambda grad: grad * torch.nan)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(TrainingError, match="gradient's norm is nan in epoch 0, step 0, mixtures"):
        fit(model, *data, PLAIN, tmp_path / "a")
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert checkpoints.load(tmp_path / "a/last.pt")["step"] == 0


def test_out_of_memory_names_a_batch_that_fits(corpus_folder, tmp_path, monkeypatch):
    from sep_helpers import memory

    model, *data = setting(corpus_folder)
    monkeypatch.setattr(memory, "find_batch", lambda *a, **k: 1)

    def full(trainer):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
    with pytest.raises(TrainingError, match="batch of 2: batch=1 would fit; with accumulate=2"):
        fit(model, *data, PLAIN, tmp_path / "a", on_step=full)


def test_interrupting_says_what_is_saved(corpus_folder, tmp_path, capsys):
    model, *data = setting(corpus_folder)

    def stop(trainer):
        if trainer.number == 3:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        fit(model, *data, PLAIN, tmp_path / "a", on_step=stop)
    assert "interrupted: step 3 is saved, call again to go on" in capsys.readouterr().out


def test_mixtures_that_no_batch_takes_are_counted(corpus_folder, tmp_path, capsys):
    model, *data = setting(corpus_folder, n_mixtures=7)
    fit(model, *data, replace(PLAIN, batch=3, epochs=1), tmp_path / "a")
    assert "1 of 7 mixtures an epoch are left over by batches of 3" in capsys.readouterr().out


def test_swa_validates_and_keeps_the_mean_of_late_epochs(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)
    ends = []
    fit(model, *data, replace(PLAIN, epochs=4, average="swa", swa_start=0.5, schedule="constant"),
        tmp_path / "a", on_epoch=lambda t: ends.append(t.model.encoder.weight.detach().clone()))
    state = checkpoints.load(tmp_path / "a/last.pt")
    mean = torch.stack(ends[2:]).mean(0)
    assert torch.allclose(state["averaged"]["module.encoder.weight"], mean, atol=1e-6)


def test_a_training_leaves_the_model_as_it_came(corpus_folder, tmp_path):
    model, *data = setting(corpus_folder)
    own = set(model.__dict__)
    fit(model, *data, PLAIN, tmp_path / "a")
    assert set(model.__dict__) == own and all(p.grad is None for p in model.parameters())
    assert not any(m._forward_pre_hooks for m in model.modules())
