"""What a learner reads while training: where it stands, the best so far, what is left."""

import re
from types import SimpleNamespace

import pytest
import torch

from sep_helpers import progress
from sep_helpers.progress import LiveReport, TerminalReport, Together, clock


class Shown:
    """Stands in for IPython's display: keeps all that was shown, in order."""

    def __init__(self):
        self.log = []

    def __call__(self, what, **options):
        self.log.append(what)
        return SimpleNamespace(update=lambda new, **kw: self.log.append(new))


@pytest.fixture
def shown(monkeypatch):
    shown = Shown()
    monkeypatch.setattr(progress, "display", shown)
    return shown


def trainer(epoch, step, history=()):
    return SimpleNamespace(epoch=epoch, step=step, history=list(history), steps_per_epoch=10,
                           sums={"si_snr": 3.0 * step}, settings=SimpleNamespace(epochs=4))


def test_the_line_says_where_it_stands_and_what_is_left(monkeypatch, shown):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    report = LiveReport(steps_per_epoch=10)
    for step in range(1, 6):
        now[0] += 6.0
        report.on_step(trainer(1, step, [{"val_si_snr": 2.0}, {"val_si_snr": 1.0}]))
    # steps 11 to 15 of 40 took 30 s: 25 steps are left, 6 s each
    assert shown.log[-1]["text/plain"] == (
        "epoch 2 of 4 · step 5 of 10 · train 3.0 dB · best validation 2.0 dB · about 2:30 left")


def test_the_line_is_not_redrawn_at_every_step(monkeypatch, shown):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 100.0)
    report = LiveReport(steps_per_epoch=10)
    for step in range(1, 9):
        report.on_step(trainer(0, step))
    assert shown.log == []


def test_an_epoch_redraws_one_plot(shown):
    row = {"epoch": 0, "train_si_snr": 1.0, "val_si_snr": 2.0, "learning_rate": 1e-3,
           "grad_norm": 1.0, "seconds": 2.0, "steps": 10}
    report = LiveReport(steps_per_epoch=10, title="A run")
    for n in (1, 2):
        report.on_epoch(trainer(n, 0, [row] * n))
    figures = [x for x in shown.log if not isinstance(x, dict)]
    titles = [figure._suptitle.get_text() for figure in figures]
    assert len(titles) == 2
    assert re.fullmatch(r"A run: epoch 2 of 4, about \d+:\d\d left", titles[1])
    texts = [x["text/plain"] for x in shown.log if isinstance(x, dict)]
    assert re.fullmatch(r"epoch 3 of 4 · best validation 2.0 dB · about \d+:\d\d left", texts[-1])


def test_the_heat_map_is_drawn_at_once_then_now_and_then_of_the_newest_batch(monkeypatch, shown):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    report = LiveReport(steps_per_epoch=100, matrix=True)
    for step in range(1, 31):
        now[0] += 0.5
        seen = trainer(0, step)
        seen.latest = {"scores": torch.tensor([[[step, -1.0], [-2.0, 3.0]]]), "id": [f"mix {step}"],
                       "permutation": torch.tensor([[0, 1]])}
        report.on_step(seen)
    figures = [x for x in shown.log if not isinstance(x, dict)]
    assert [figure.axes[0].get_title(loc="left") for figure in figures] == ["mix 1", "mix 11",
                                                                           "mix 21"]
    assert isinstance(shown.log[0], dict)                    # the line stands above it
    assert "21.0" in [text.get_text() for text in figures[-1].axes[0].texts]


def test_a_trainer_without_scores_needs_no_heat_map(monkeypatch, shown):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    report = LiveReport(steps_per_epoch=10, matrix=True)
    now[0] = 60.0
    report.on_step(trainer(0, 1))
    assert all(isinstance(x, dict) for x in shown.log)


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (75.9, "1:15"), (3599, "59:59"),
                                           (3675, "1:01:15"), (90000, "25:00:00")])
def test_a_clock(seconds, text):
    assert clock(seconds) == text


def test_a_terminal_gets_a_line_an_epoch_and_a_log_no_bar(capsys):
    row = {"epoch": 0, "train_si_snr": 1.0, "val_si_snr": 2.0, "learning_rate": 1e-3,
           "grad_norm": 1.0, "seconds": 2.0, "steps": 2}
    report = TerminalReport()
    for step in (1, 2):
        report.on_step(trainer(0, step))
    report.on_epoch(trainer(1, 0, [row]))
    report.on_epoch(trainer(2, 0, [row, row | {"val_si_snr": 1.5}]))
    report.close()
    seen = capsys.readouterr()
    first, second = seen.out.splitlines()
    assert first.startswith("epoch 1 of 4: train 1.00 dB, validation 2.00 dB (best), ")
    assert "(best)" not in second and seen.err == ""


def test_together_all_see_everything():
    log = []

    class Report:
        def __init__(self, name):
            self.on_step = lambda trainer: log.append(f"{name} step")
            self.on_epoch = lambda trainer: log.append(f"{name} epoch")

    both = Together(Report("a"), Report("b"))
    both.on_step(None)
    both.on_epoch(None)
    assert log == ["a step", "b step", "a epoch", "b epoch"]
