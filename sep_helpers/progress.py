"""What a learner sees while a network trains: one line with an estimate, one growing plot."""

import time

import pandas as pd
from IPython.display import display

from sep_helpers import plots_training
from sep_helpers.training import Trainer

REFRESH = 1.0   # seconds between two refreshes of the line


class LiveReport:
    """Pass its methods to `fit(..., on_step=report.on_step, on_epoch=report.on_epoch)`.

    In a notebook the line and the plot are redrawn in place; in a terminal epochs are printed.
    """

    def __init__(self, steps_per_epoch: int, title: str = "Training"):
        self.steps_per_epoch, self.title = steps_per_epoch, title
        self.line = self.plot = None
        self.shown = self.started = time.monotonic()
        self.first: int | None = None            # steps that earlier sittings had done

    def on_step(self, trainer: Trainer) -> None:
        done = trainer.epoch * self.steps_per_epoch + trainer.step
        self.first = done - 1 if self.first is None else self.first
        if time.monotonic() - self.shown >= REFRESH:
            self.shown = time.monotonic()
            self._say(self.text(trainer, done))

    def on_epoch(self, trainer: Trainer) -> None:
        self._say(self.text(trainer, trainer.epoch * self.steps_per_epoch))
        figure = plots_training.history(pd.DataFrame(trainer.history), title=self.title)
        if self.plot is None:
            self.plot = display(figure, display_id=True)
        elif self.plot:
            self.plot.update(figure)

    def text(self, trainer: Trainer, done: int) -> str:
        """'epoch 3 of 9 · step 120 of 300 · train 3.2 dB · best val 2.9 dB · 2:10 left'."""
        total = trainer.settings.epochs * self.steps_per_epoch
        here = done - (self.first or 0)
        left = (time.monotonic() - self.started) / max(1, here) * (total - done)
        best = max((row["val_si_snr"] for row in trainer.history), default=None)
        parts = [f"epoch {min(trainer.epoch + 1, trainer.settings.epochs)} of "
                 f"{trainer.settings.epochs}"]
        if trainer.step:
            parts.append(f"step {trainer.step} of {self.steps_per_epoch}")
            parts.append(f"train {trainer.sums['si_snr'] / trainer.step:.1f} dB")
        if best is not None:
            parts.append(f"best validation {best:.1f} dB")
        return " · ".join([*parts, f"about {int(left) // 60}:{int(left) % 60:02d} left"])

    def _say(self, text: str) -> None:
        shown = {"text/plain": text}
        if self.line is None:
            self.line = display(shown, raw=True, display_id=True)
        elif self.line:
            self.line.update(shown, raw=True)
