"""Epochs and steps of one sitting: what happens around a step, and when.

Saving and leaving are decided by the main process and done by all; both happen between two updates.
"""

import time
from collections.abc import Callable

from sep_helpers import hardware
from sep_helpers.feeding import batches, measure
from sep_helpers.runs import Run
from sep_helpers.sitting import Sitting
from sep_helpers.trainer import Trainer

COPY_EVERY = 600.0      # seconds between two copies to a run's second home inside an epoch


class Loop:
    """Epochs and steps of one sitting, and what has to be kept in between."""

    def __init__(self, trainer: Trainer, run: Run | None, sitting: Sitting, say: Callable):
        self.trainer, self.run, self.sitting, self.say = trainer, run, sitting, say
        self.settings, self.accelerator = trainer.settings, trainer.accelerator
        self.copied_at = time.monotonic()

    @property
    def finished(self) -> bool:
        return self.trainer.epoch >= self.settings.epochs or out_of_patience(self.trainer)

    def go(self, train_view, val_view, on_step, on_epoch) -> None:
        """Train until the last epoch, until patience ends, or until it is time to leave."""
        trainer = self.trainer
        if self.run:
            self.run.finish(over=False)
        while not self.finished:
            trainer.model.train()
            trainer.clock = time.perf_counter()
            for batch in batches(train_view.epoch(trainer.epoch), self.settings, trainer.step,
                                 self.accelerator):
                trainer.train_step(batch)
                why = self.after_step()
                if on_step:
                    on_step(trainer)
                if why:
                    self.leave(why)
                    return
                trainer.clock = time.perf_counter()
            self.end_epoch(val_view)
            if on_epoch:
                on_epoch(trainer)
            why = hardware.together(self.accelerator, self.sitting.why_stop)
            if why and not self.finished:
                self.leave(why)
                return
            self.copy()
        if self.run:
            self.run.finish()
        self.copy(wait=True)

    def after_step(self) -> str | None:
        """Save if it is time to; why to leave, if it is time for that."""
        trainer = self.trainer
        if not trainer.between_updates or trainer.step == trainer.steps_per_epoch:
            return None
        due, why = hardware.together(self.accelerator, lambda: (
            self.sitting.save_due(trainer.number), self.sitting.why_stop()))
        if due or why:
            self.save()
        if due and time.monotonic() - self.copied_at > COPY_EVERY:
            self.copy()
        return why

    def leave(self, why: str) -> None:
        """End a sitting before the training is over; what is there is saved."""
        self.say(f"{why}: saved, call again to go on")
        self.copy(wait=True)

    def end_epoch(self, val_view) -> None:
        """Validate, close the books, keep the best and the last state."""
        trainer, started = self.trainer, time.perf_counter()
        trainer.end_training_of_epoch()
        fixed = self.settings.assignment == "fixed"       # a swap of named outputs is an error
        values, assignments = measure(trainer.validated, val_view, self.settings.batch,
                                      trainer.device, self.accelerator, "fixed" if fixed else "pit")
        row = trainer.finish_epoch(values.mean().item(), assignments,
                                   time.perf_counter() - started)
        if self.run and row["val_si_snr"] >= max(r["val_si_snr"] for r in trainer.history):
            self.run.save_best(trainer.validated.state_dict(), row, trainer.number)
        self.save()

    def save(self) -> None:
        started = time.monotonic()
        state = self.trainer.state()          # every process gives its random numbers' state
        hardware.together(self.accelerator,
                          lambda: self.run.save(state, self.trainer.number))
        self.sitting.saved(self.trainer.number, time.monotonic() - started)

    def copy(self, wait: bool = False) -> None:
        if self.run:
            self.run.copy_away(self.trainer.number, wait)
        self.copied_at = time.monotonic()


def out_of_patience(trainer: Trainer) -> bool:
    """Have `patience` epochs passed since the best validation?"""
    patience, values = trainer.settings.patience, [r["val_si_snr"] for r in trainer.history]
    if patience == 0 or not values:
        return False
    return len(values) - 1 - values.index(max(values)) >= patience
