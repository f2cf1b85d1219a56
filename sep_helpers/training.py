"""A whole training: epochs, validation, checkpoints, and going on where the last sitting ended.

`fit` can be stopped anywhere, by a full disk, an impatient learner or a runtime that dies, and
called again: it goes on from the last checkpoint and, on the same machine with the same number
of threads, ends with the same bits as a run that was never interrupted. It runs on one CPU or GPU
and, started by `accelerate launch`, on several together.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.utils.data import Dataset

from sep_helpers import checkpoints, hardware, logs, memory, randomness, run_lock
from sep_helpers.feeding import batches, validate
from sep_helpers.logs import LOG
from sep_helpers.loop import Loop
from sep_helpers.memory import find_batch
from sep_helpers.optimisers import warmup_then_cosine
from sep_helpers.runs import Run
from sep_helpers.settings import Settings, SettingsError
from sep_helpers.sitting import Sitting
from sep_helpers.spectral_losses import STEMS
from sep_helpers.trainer import Trainer, TrainingError
from sep_helpers.views import LiveView

__all__ = ["Settings", "SettingsError", "Trainer", "TrainingError", "batches", "find_batch", "fit",
           "run_config", "validate", "warmup_then_cosine"]


def fit(
    model: nn.Module,
    train_view: LiveView,
    val_view: Dataset,
    settings: Settings,
    folder: str | Path,
    device: str | torch.device | None = "cpu",
    on_step: Callable[[Trainer], None] | None = None,
    on_epoch: Callable[[Trainer], None] | None = None,
    *,
    resume: bool | str = True,
    facts: dict | None = None,
    say: Callable[[str], None] = LOG.info,
) -> pd.DataFrame:
    """Train, or go on training, in a run folder; returns the history, one line an epoch.

    `on_step` and `on_epoch` see the trainer after each step and epoch (to plot, to report, to
    interrupt). `resume` is for a folder with another config, see `runs.Run`; `facts` are written
    down and never compared; `say` gets what there is to say. The history's `attrs["finished"]` is
    False for a sitting that ended early. Raises TrainingError for a loss that is not finite or too
    little memory, CheckpointError for a folder that cannot be used, LockError for one in use.
    """
    if not len(val_view):
        raise TrainingError("nothing to validate on: the validation view is empty (data.n_val)")
    _refuse_order(settings, train_view)
    accelerator = hardware.open_accelerator(device, settings.precision, say)
    leads = accelerator.is_main_process
    if accelerator.num_processes > 1:
        logs.quiet_but_for_the_first(accelerator.process_index)
    with ExitStack() as stack:
        loop = _begin(stack, accelerator, model, train_view, settings, folder, resume, facts,
                      say if leads else lambda line: None)
        try:
            loop.go(train_view, val_view, on_step if leads else None, on_epoch if leads else None)
        except memory.OUT_OF_MEMORY as error:
            if not memory.is_out_of_memory(error):
                raise
            raise memory.advice(error, model, train_view, settings, accelerator.device) from error
        except KeyboardInterrupt:
            loop.say(f"interrupted: step {loop.sitting.saved_number} is saved, call again to go on")
            raise
    history = pd.DataFrame(loop.trainer.history)
    history.attrs["finished"] = loop.finished
    return history


def _refuse_order(settings: Settings, view: LiveView) -> None:
    """The terms of conv_sep read the sources in one order: voice first, the rest last."""
    if settings.objective != "conv_sep":
        return
    names = view.pool.names if view.recipe.together or view.recipe.in_order else ["any order"]
    if names != [name for name in STEMS if name in names] or not {STEMS[0], STEMS[-1]} <= {*names}:
        raise TrainingError(f"objective='conv_sep' with sources in the order {', '.join(names)}: "
                            f"give the recipe categories: [{', '.join(STEMS)}], and together: "
                            "track or in_order: true")


def _begin(stack: ExitStack, accelerator, model, train_view, settings, folder, resume, facts,
           say) -> Loop:
    """The loop, where its folder says that it stands; `stack` gets what is to be undone."""
    steps = _steps(train_view, settings, accelerator.num_processes, say)
    noted = {"parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
             **(facts or {})}
    sitting, run = Sitting(settings), None

    def open_run() -> tuple[dict | None, dict | None]:
        nonlocal run
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            stack.enter_context(run_lock.held(folder))
            stack.enter_context(logs.into(folder))
            run = Run(folder, run_config(model, train_view, settings), resume, noted, say)
        except OSError as error:
            raise checkpoints.CheckpointError(f"{folder}: cannot be a run folder ({error}): "
                                              "choose another one") from error
        return run.load(), run.weights

    stack.enter_context(sitting.listening())
    state, weights = hardware.together(accelerator, open_run)
    if weights is not None:
        say(checkpoints.adopt(model, weights))
    example = train_view.epoch(0)[0]["mixture"] if accelerator.num_processes > 1 else None
    trainer = Trainer(model, settings, steps, accelerator, example)
    stack.callback(trainer.release)
    loop = Loop(trainer, run, sitting, say)
    if state is not None:
        trainer.restore(state)
        say(found(trainer, folder))
    else:
        randomness.seed(settings.seed + accelerator.process_index)
        loop.save()                   # says at once whether the folder can be written
    return loop


def found(trainer: Trainer, folder: str | Path) -> str:
    """What a resumed run says of itself."""
    done, epochs = trainer.epoch, trainer.settings.epochs
    if done >= epochs:
        return f"found your run in {folder}: all {epochs} epochs are done"
    where = f", step {trainer.step} of {trainer.steps_per_epoch}" if trainer.step else ""
    return f"found your run in {folder}: epoch {done + 1} of {epochs}{where}, going on"


def run_config(model: nn.Module, train_view: LiveView, settings: Settings) -> dict:
    """All that decides a run's outcome; how one sitting goes about it is left out."""
    return {"model": model.config, "data": train_view.recipe.to_dict(),
            "training": settings.outcome()}


def _steps(train_view: LiveView, settings: Settings, processes: int, say: Callable) -> int:
    """Whole batches in an epoch, if there are any and the processes can share them."""
    mixtures = len(train_view.epoch(0))
    steps, rest = divmod(mixtures, settings.batch)
    if steps < 1:
        raise TrainingError(f"nothing to train: an epoch of {mixtures} mixtures has no batch of "
                            f"{settings.batch}: draw more of them, or lower the batch")
    if settings.batch % processes:
        raise TrainingError(f"{processes} processes cannot share a batch of {settings.batch}: "
                            f"choose a multiple of {processes}")
    if rest:
        say(f"{rest} of {mixtures} mixtures an epoch are left over by batches of {settings.batch}")
    return steps
