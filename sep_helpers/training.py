"""The training loop, to be read: SI-SNR with PIT, Adam, clipping, warm-up and cosine.

`fit` can be stopped anywhere, by a full disk, an impatient learner or a runtime that dies, and
called again: it goes on from the last checkpoint and, on the same machine with the same number
of threads, ends with the same bits as a run that was never interrupted.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from sep_helpers.permutation import pit
from sep_helpers.runs import Run
from sep_helpers.views import LiveView, collate


class TrainingError(ValueError):
    """A training that cannot go on, in one line with the remedy."""


@dataclass(frozen=True)
class Settings:
    """What a training is made of, beside its network and its data."""

    epochs: int = 8
    batch: int = 4
    learning_rate: float = 3e-3    # of Adam, reached after the warm-up
    warmup: int = 100              # steps in which it climbs there in a straight line
    clip: float = 5.0              # largest norm of the gradient
    patience: int = 0              # epochs without a new best before stopping; 0: never stop
    save_every: int = 50           # steps between two checkpoints inside an epoch
    max_minutes: float = math.inf  # leave in good order after this long; call again to go on


def warmup_then_cosine(warmup: int, total: int) -> Callable[[int], float]:
    """Step -> factor on the learning rate: a straight climb, then half a cosine down to zero."""
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    return factor


class Trainer:
    """A network, its optimiser and schedule, and its position: all that a checkpoint holds."""

    def __init__(self, model: nn.Module, settings: Settings, steps_per_epoch: int, device="cpu"):
        self.model, self.settings, self.device = model.to(device), settings, device
        self.optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate, fused=True)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, warmup_then_cosine(settings.warmup, settings.epochs * steps_per_epoch)
        )
        self.epoch, self.step = 0, 0          # the next epoch and the next step in it
        self.sums = {"si_snr": 0.0, "grad_norm": 0.0, "seconds": 0.0}     # of this epoch so far
        self.history: list[dict] = []

    def state(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "epoch": self.epoch, "step": self.step, "sums": dict(self.sums),
            "history": self.history,
            "rng": torch.get_rng_state(),
        }

    def restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.epoch, self.step, self.sums = state["epoch"], state["step"], dict(state["sums"])
        self.history = state["history"]
        torch.set_rng_state(state["rng"])

    def train_step(self, batch: dict) -> None:
        """One batch: forward, PIT loss, backward, clip, update."""
        started = time.perf_counter()
        estimates = self.model(batch["mixture"].to(self.device))
        si_snr, _ = pit(estimates, batch["sources"].to(self.device), lengths=batch["lengths"])
        loss = -si_snr.mean()
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {self.epoch}, step {self.step}, mixtures "
                f"{', '.join(batch['id'])}: listen to them, or lower the learning rate and resume"
            )
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1
        self.sums["si_snr"] += si_snr.mean().item()
        self.sums["grad_norm"] += norm.item()
        self.sums["seconds"] += time.perf_counter() - started

    def finish_epoch(self, val_si_snr: float) -> dict:
        """Close the epoch's books: one line of the history."""
        row = {
            "epoch": self.epoch,
            "train_si_snr": self.sums["si_snr"] / self.step,
            "val_si_snr": val_si_snr,
            "learning_rate": self.scheduler.get_last_lr()[0],
            "grad_norm": self.sums["grad_norm"] / self.step,
            "seconds": self.sums["seconds"],
            "steps": self.step,
        }
        self.history.append(row)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, dict.fromkeys(self.sums, 0.0)
        return row


@torch.inference_mode()
def validate(model: nn.Module, view: Dataset, batch: int = 8, device="cpu") -> float:
    """Mean SI-SNR in dB over a view, best permutation per utterance; the mode is put back."""
    was_training = model.training
    model.eval()
    values: list[Tensor] = []
    for items in DataLoader(view, batch_size=batch, collate_fn=collate):
        estimates = model(items["mixture"].to(device))
        values.append(pit(estimates, items["sources"].to(device), lengths=items["lengths"])[0])
    model.train(was_training)
    return torch.cat(values).mean().item()


def fit(
    model: nn.Module,
    train_view: LiveView,
    val_view: Dataset,
    settings: Settings,
    folder: str | Path,
    device="cpu",
    on_step: Callable[[Trainer], None] | None = None,
    on_epoch: Callable[[Trainer], None] | None = None,
) -> pd.DataFrame:
    """Train, or go on training, in a run folder; returns the history, one line an epoch.

    `on_step` and `on_epoch` see the trainer after each step and epoch (to plot, to report, to
    interrupt). Raises TrainingError for a loss that is not finite, CheckpointError for a folder
    that holds another config.
    """
    run = Run(folder, run_config(model, train_view, settings))
    steps = len(train_view.epoch(0)) // settings.batch
    if settings.epochs < 1 or steps < 1:
        raise TrainingError(f"nothing to train: {settings.epochs} epochs of {steps} batches; an "
                            f"epoch needs at least {settings.batch} mixtures, a run one epoch")
    trainer = Trainer(model, settings, steps, device)
    saved = run.load()
    if saved:
        trainer.restore(saved)
        print(f"found your run in {run.folder}: epoch {trainer.epoch + 1} of {settings.epochs}, "
              f"step {trainer.step} of {steps}, going on" if trainer.epoch < settings.epochs else
              f"found your run in {run.folder}: all {settings.epochs} epochs are done")
    deadline = time.monotonic() + 60 * settings.max_minutes
    while trainer.epoch < settings.epochs and not out_of_patience(trainer):
        model.train()
        for batch in batches(train_view.epoch(trainer.epoch), settings.batch, trainer.step):
            trainer.train_step(batch)
            if trainer.step % settings.save_every == 0 and trainer.step < steps:
                run.save(trainer.state())
            if on_step:
                on_step(trainer)
            if time.monotonic() > deadline and trainer.step < steps:
                run.save(trainer.state())
                print(f"{settings.max_minutes} minutes are over: saved, call again to go on")
                return pd.DataFrame(trainer.history)
        row = trainer.finish_epoch(validate(model, val_view, settings.batch, device))
        if row["val_si_snr"] >= max(r["val_si_snr"] for r in trainer.history):
            run.save_best(model.state_dict(), row)
        run.save(trainer.state())
        if on_epoch:
            on_epoch(trainer)
    return pd.DataFrame(trainer.history)


def batches(epoch: Dataset, batch: int, first: int) -> DataLoader:
    """The epoch's whole batches from batch number `first` on: where a resumed run goes on."""
    rest = Subset(epoch, range(first * batch, len(epoch) // batch * batch))
    return DataLoader(rest, batch_size=batch, collate_fn=collate)


def out_of_patience(trainer: Trainer) -> bool:
    """Have `patience` epochs passed since the best validation?"""
    patience, values = trainer.settings.patience, [r["val_si_snr"] for r in trainer.history]
    return patience > 0 and len(values) - 1 - values.index(max(values)) >= patience if values \
        else False


def run_config(model: nn.Module, train_view: LiveView, settings: Settings) -> dict:
    """All that decides a run's outcome; how long one sitting lasts is left out."""
    chosen = asdict(settings)
    chosen.pop("max_minutes"), chosen.pop("save_every")
    return {"model": model.config, "data": train_view.recipe.to_dict(), "training": chosen}
