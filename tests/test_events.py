"""Event logs: TensorBoard reads what was written, also across an interruption; nothing breaks."""

import builtins
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sep_helpers.events import EventLog


def trainer(steps, step, epochs=0):
    """A trainer after `epochs` epochs of `steps` steps, and `step` more."""
    rows = [{"train_si_snr": float(e), "val_si_snr": e + 0.5, "learning_rate": 1e-3,
             "grad_norm": 1.0, "seconds": 2.0, "steps": steps} for e in range(epochs)]
    return SimpleNamespace(history=rows, step=step, sums={"si_snr": 3.0 * step},
                           optimizer=SimpleNamespace(param_groups=[{"lr": 1e-3}]))


def sitting(folder, steps, first, last):
    """From step number `first` to `last`, both included; epochs have `steps` steps."""
    with EventLog(folder, every=2) as events:
        for number in range(first, last + 1):
            epochs, step = divmod(number - 1, steps)
            events.on_step(trainer(steps, step + 1, epochs))
            if number % steps == 0:
                events.on_epoch(trainer(steps, 0, number // steps))


def curve(folder, tag):
    accumulator = EventAccumulator(str(folder / "events")).Reload()
    return [(event.step, round(event.value, 4)) for event in accumulator.Scalars(tag)]


def test_tensorboard_reads_epochs_and_steps(tmp_path):
    sitting(tmp_path, steps=4, first=1, last=8)
    assert curve(tmp_path, "epoch/val_si_snr") == [(4, 0.5), (8, 1.5)]
    assert curve(tmp_path, "step/train_si_snr") == [(2, 3.0), (4, 3.0), (6, 3.0), (8, 3.0)]


def test_a_resumed_run_goes_on_in_the_same_curve(tmp_path):
    sitting(tmp_path, steps=4, first=1, last=7)
    sitting(tmp_path, steps=4, first=6, last=8)        # its last checkpoint was at step 5
    assert curve(tmp_path, "step/train_si_snr") == [(2, 3.0), (4, 3.0), (6, 3.0), (8, 3.0)]
    assert curve(tmp_path, "epoch/val_si_snr") == [(4, 0.5), (8, 1.5)]


def test_without_tensorboard_it_says_so_once_and_goes_on(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith(("torch.utils.tensorboard", "tensorboard")):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    sitting(tmp_path, steps=4, first=1, last=8)
    assert capsys.readouterr().out.count("tensorboard is not installed") == 1
    assert not (tmp_path / "events").exists()


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path, capsys):
    (tmp_path / "events").write_text("in the way")
    sitting(tmp_path, steps=4, first=1, last=8)
    assert capsys.readouterr().err.count("no more event logs") == 1


@pytest.mark.parametrize("epochs", [0, 1])
def test_an_empty_sitting_writes_nothing(tmp_path, epochs):
    with EventLog(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
