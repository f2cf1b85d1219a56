"""What a learner reads while training: where it stands, the best so far, what is left."""

import re
from types import SimpleNamespace

import pytest

from sep_helpers import progress
from sep_helpers.progress import LiveReport


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
    return SimpleNamespace(epoch=epoch, step=step, history=list(history),
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
    assert len(figures) == 2 and figures[0]._suptitle.get_text() == "A run"
    texts = [x["text/plain"] for x in shown.log if isinstance(x, dict)]
    assert re.fullmatch(r"epoch 3 of 4 · best validation 2.0 dB · about \d+:\d\d left", texts[-1])
