"""What a learner sees while a network trains: one line with an estimate, growing pictures."""

import math
import sys
import time

import pandas as pd
from IPython.display import display
from tqdm import tqdm

from sep_helpers import plots_results, plots_training
from sep_helpers.logs import LOG
from sep_helpers.training import Trainer

REFRESH = 1.0           # seconds between two refreshes of the line
MATRIX_REFRESH = 5.0    # and of the heat map, which costs a tenth of a second


class Estimate:
    """Says where a training stands and what is left, from the pace of this sitting."""

    def __init__(self, steps_per_epoch: int):
        self.steps_per_epoch = steps_per_epoch
        self.started = time.monotonic()
        self.first: int | None = None            # steps that earlier sittings had done

    def done(self, trainer: Trainer) -> int:
        """Steps done in all; to be called after each, for the first one starts the estimate."""
        done = trainer.epoch * self.steps_per_epoch + trainer.step
        self.first = done - 1 if self.first is None else self.first
        return done

    def left(self, trainer: Trainer) -> str:
        """'2:10 left', or '1:02:10 left'."""
        done = trainer.epoch * self.steps_per_epoch + trainer.step
        total = trainer.settings.epochs * self.steps_per_epoch
        here = max(1, done - (self.first or 0))
        return f"{clock((time.monotonic() - self.started) / here * (total - done))} left"


def clock(seconds: float) -> str:
    """75 -> 1:15, 3675 -> 1:01:15."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class LiveReport:
    """Pass its methods to `fit(..., on_step=report.on_step, on_epoch=report.on_epoch)`.

    The line and the plot are redrawn in place, by the notebook itself: no widgets are needed.
    `matrix=True` adds the heat map of the newest batch's first mixture: SI-SNR of each estimate
    with each source, the chosen permutation framed.
    """

    def __init__(self, steps_per_epoch: int, title: str = "Training", matrix: bool = False):
        self.steps_per_epoch, self.title, self.matrix = steps_per_epoch, title, matrix
        self.estimate = Estimate(steps_per_epoch)
        self.slots: dict = {}                    # name -> handle of what is redrawn in place
        self.shown, self.drawn = time.monotonic(), -math.inf     # the heat map at once

    def on_step(self, trainer: Trainer) -> None:
        self.estimate.done(trainer)
        now = time.monotonic()
        if now - self.shown >= REFRESH:
            self.shown = now
            self._say(self.text(trainer))
        if self.matrix and now - self.drawn >= MATRIX_REFRESH:
            self.drawn = now
            if "line" not in self.slots:         # the heat map belongs below it
                self._say(self.text(trainer))
            self._draw_matrix(trainer)

    def on_epoch(self, trainer: Trainer) -> None:
        self._say(self.text(trainer))
        title = f"{self.title}: epoch {trainer.epoch} of {trainer.settings.epochs}, about " \
            f"{self.estimate.left(trainer)}"
        self._show("plot", plots_training.history(pd.DataFrame(trainer.history), title=title))

    def text(self, trainer: Trainer) -> str:
        """'epoch 3 of 9 · step 120 of 300 · train 3.2 dB · best validation 2.9 dB · 2:10 left'."""
        best = max((row["val_si_snr"] for row in trainer.history), default=None)
        parts = [f"epoch {min(trainer.epoch + 1, trainer.settings.epochs)} of "
                 f"{trainer.settings.epochs}"]
        if trainer.step:
            parts.append(f"step {trainer.step} of {self.steps_per_epoch}")
            parts.append(f"train {trainer.sums['si_snr'] / trainer.step:.1f} dB")
        if best is not None:
            parts.append(f"best validation {best:.1f} dB")
        return " · ".join([*parts, f"about {self.estimate.left(trainer)}"])

    def _draw_matrix(self, trainer: Trainer) -> None:
        latest = getattr(trainer, "latest", None) or {}
        if latest.get("scores") is not None:
            self._show("matrix", plots_results.matrix(
                latest["scores"][0], chosen=latest["permutation"][0], title=latest["id"][0]))

    def _say(self, text: str) -> None:
        self._show("line", {"text/plain": text}, raw=True)

    def _show(self, name: str, what, **how) -> None:
        handle = self.slots.get(name)
        if handle:
            handle.update(what, **how)
        elif name not in self.slots:
            self.slots[name] = display(what, display_id=True, **how)


class TerminalReport:
    """The same for a terminal: a bar for the steps, a logged line an epoch. In a log: the lines."""

    def __init__(self):
        self.estimate = self.bar = None

    def on_step(self, trainer: Trainer) -> None:
        self.estimate = self.estimate or Estimate(trainer.steps_per_epoch)
        done = self.estimate.done(trainer)
        if self.bar is None:
            total = trainer.settings.epochs * trainer.steps_per_epoch
            self.bar = tqdm(total=total, initial=done - 1, unit=" steps", leave=False,
                            file=sys.stderr, disable=not sys.stderr.isatty(), mininterval=REFRESH)
        self.bar.update(done - self.bar.n)
        self.bar.set_description(f"epoch {trainer.epoch + 1}, train "
                                 f"{trainer.sums['si_snr'] / max(1, trainer.step):.1f} dB", False)

    def on_epoch(self, trainer: Trainer) -> None:
        row = trainer.history[-1]
        best = max(r["val_si_snr"] for r in trainer.history)
        if self.bar is not None:
            self.bar.clear()
        LOG.info("epoch %d of %d: train %.2f dB, validation %.2f dB%s, learning rate %.2g, "
                 "gradient %.2g, %.0f s, about %s", trainer.epoch, trainer.settings.epochs,
                 row["train_si_snr"], row["val_si_snr"],
                 " (best)" if row["val_si_snr"] >= best else "", row["learning_rate"],
                 row["grad_norm"], row["seconds"], self.estimate.left(trainer))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


class Together:
    """Several reports as one: each sees every step and every epoch."""

    def __init__(self, *reports):
        self.reports = reports

    def on_step(self, trainer: Trainer) -> None:
        for report in self.reports:
            report.on_step(trainer)

    def on_epoch(self, trainer: Trainer) -> None:
        for report in self.reports:
            report.on_epoch(trainer)
