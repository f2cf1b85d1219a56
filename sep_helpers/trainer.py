"""One step of training, to be read: forward, PIT loss, backward; clip and update when it is time.

A Trainer is all that a checkpoint holds. Its position counts steps (batches); an update closes a
group of `accumulate` steps. Checkpoints are taken between two updates only, where no gradient is
half collected, so that what follows is decided by the state and by the data alone.
"""

import math
import time
from contextlib import nullcontext

import torch
from torch import nn

from sep_helpers import hardware, objectives, optimisers, randomness
from sep_helpers.settings import Settings
from sep_helpers.spectral_losses import Dissimilarity


class TrainingError(ValueError):
    """A training that cannot go on, in one line with the remedy."""


ZERO = {"si_snr": 0.0, "loss": 0.0, "grad_norm": 0.0, "seconds": 0.0}


class Trainer:
    """A network, its optimiser and schedule, and its position."""

    def __init__(self, model: nn.Module, settings: Settings, steps_per_epoch: int, accelerator,
                 example: torch.Tensor | None = None):
        self.accelerator, self.settings = accelerator, settings
        self.apart = Dissimilarity(settings.alpha, settings.beta, settings.beta_vocals)
        self.steps_per_epoch, self.device = steps_per_epoch, accelerator.device
        self.model = model.to(self.device)
        self.averaged = optimisers.averaged(self.model, settings)
        self.hooks = ([] if accelerator.mixed_precision == "no"
                      else hardware.keep_norms_in_float32(self.model))
        if accelerator.num_processes > 1:
            dead = hardware.without_gradient(self.model, example[None])
            hardware.leave_out(self.model, dead)
        inner = optimisers.optimiser(self.model, settings, scaled=accelerator.scaler is not None)
        self.network, self.optimizer = accelerator.prepare(self.model, inner)
        updates = math.ceil(steps_per_epoch / settings.accumulate)
        self.schedule = optimisers.Schedule(inner, settings, updates)
        self.epoch, self.step = 0, 0          # the next epoch and the next step in it
        self.sums = dict(ZERO)                # of this epoch so far
        self.history: list[dict] = []
        self.assignments: torch.Tensor | None = None      # of the last validation (mixture, source)
        self.latest: dict = {}                # of the last step, for whoever looks on
        self.scaler_state: dict | None = None  # of another machine's scaler, kept for it
        self.clock = time.perf_counter()

    @property
    def number(self) -> int:
        """Steps done in all: the order of checkpoints, whatever the clock says."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def between_updates(self) -> bool:
        """Is no gradient half collected?"""
        return self.step % self.settings.accumulate == 0 or self.step == self.steps_per_epoch

    @property
    def validated(self) -> nn.Module:
        """The network that validation and `best.pt` see: the averaged one, once there is one."""
        ready = self.averaged is not None and self.averaged.n_averaged > 0
        return self.averaged.module if ready else self.model

    def group_size(self) -> int:
        """Steps in the present group: `accumulate`, or what is left at the epoch's end."""
        wanted = self.settings.accumulate
        first = self.step // wanted * wanted
        return min(wanted, self.steps_per_epoch - first)

    def train_step(self, batch: dict) -> None:
        """One batch. The group's gradients add up to the gradient of the group's MEAN loss."""
        closes = (self.step + 1) % self.settings.accumulate == 0 \
            or self.step + 1 == self.steps_per_epoch
        with nullcontext() if closes else self.accelerator.no_sync(self.network):
            estimates = self.network(batch["mixture"].to(self.device, non_blocking=True))
            sources = batch["sources"].to(self.device, non_blocking=True)
            value, permutation = objectives.score(
                estimates, sources, batch["lengths"], self.settings.objective,
                self.settings.assignment, self.apart, self.settings.gamma)
            si_snr = self._si_snr(value, estimates, sources, batch["lengths"])
            mean_si_snr, mean_value = self._agree_on(si_snr, value, batch["id"])
            self.accelerator.backward(-value.mean() / self.group_size())
        norm = self._update(batch["id"]) if closes else None
        self.step += 1
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now
        for key, amount in (("si_snr", mean_si_snr), ("loss", -mean_value), ("seconds", seconds)):
            self.sums[key] += amount
        self.latest = {
            "loss": -mean_value, "si_snr": mean_si_snr, "grad_norm": norm, "seconds": seconds,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "permutation": permutation, "id": batch["id"],
            "scores": objectives.Scores(estimates, sources, batch["lengths"],
                                        self.settings.objective),
        }

    def _si_snr(self, value, estimates, sources, lengths) -> torch.Tensor:
        """The batch's SI-SNR, also where something else is the objective."""
        if self.settings.objective == "si_snr" and not self.settings.gamma:
            return value.detach()
        return objectives.score(estimates.detach(), sources, lengths,
                                assignment=self.settings.assignment)[0]

    def _agree_on(self, si_snr, value, ids: list[str]) -> tuple[float, float]:
        """Means over all processes' mixtures. Raises TrainingError if one is not finite."""
        means = torch.stack([si_snr.mean(), value.detach().mean()]).float()
        if self.accelerator.num_processes > 1:
            means = self.accelerator.reduce(means, "mean")
        mean_si_snr, mean_value = means.tolist()
        if not math.isfinite(mean_value):
            wrong = [i for i, v in zip(ids, value.tolist(), strict=True) if not math.isfinite(v)]
            wrong = hardware.gathered(self.accelerator, wrong)
            raise TrainingError(self._not_finite(f"the loss is {-mean_value}", wrong or ids))
        return mean_si_snr, mean_value

    def _not_finite(self, what: str, ids: list[str]) -> str:
        advice = ("precision float32, or a lower learning rate"
                  if self.accelerator.mixed_precision != "no" else "a lower learning rate")
        return (f"{what} in epoch {self.epoch}, step {self.step}, mixtures {', '.join(ids)}: "
                f"the last checkpoint is untouched; listen to them, or resume with {advice}")

    def _update(self, ids: list[str]) -> float:
        """Clip the group's gradient, move the weights, set the next learning rate."""
        limit = self.settings.clip or math.inf
        norm = self.accelerator.clip_grad_norm_(self.network.parameters(), limit).item()
        if not math.isfinite(norm) and self.accelerator.scaler is None:
            raise TrainingError(self._not_finite(f"the gradient's norm is {norm}", ids))
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        if self.averaged is not None and optimisers.averages_now(self.settings, self.epoch, False):
            self.averaged.update_parameters(self.model)
        # fp16: a step whose gradient overflowed is skipped, and has no norm worth counting
        self.sums["grad_norm"] += norm * self.group_size() if math.isfinite(norm) else 0.0
        return norm

    def end_training_of_epoch(self) -> None:
        """Before validation: weights of late epochs go into the average (SWA)."""
        if self.averaged is not None and optimisers.averages_now(self.settings, self.epoch, True):
            self.averaged.update_parameters(self.model)

    def finish_epoch(self, val_si_snr: float, assignments: torch.Tensor, val_seconds: float
                     ) -> dict:
        """Close the epoch's books: one line of the history."""
        before, self.assignments = self.assignments, assignments
        self.schedule.end_epoch(val_si_snr)
        row = {
            "epoch": self.epoch,
            "train_si_snr": self.sums["si_snr"] / self.step,
            "val_si_snr": val_si_snr,
            "train_loss": self.sums["loss"] / self.step,
            "learning_rate": self.schedule.rate,
            "grad_norm": self.sums["grad_norm"] / self.step,
            "seconds": self.sums["seconds"],
            "val_seconds": val_seconds,
            "steps": self.step,
            "swapped": math.nan if before is None or before.shape != assignments.shape
            else (before != assignments).any(-1).float().mean().item(),
        }
        self.history.append(row)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, dict(ZERO)
        return row

    def state(self) -> dict:
        """All that the next step depends on, as tensors and plain containers."""
        scaler = self.accelerator.scaler
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else self.scaler_state,
            "epoch": self.epoch, "step": self.step, "sums": dict(self.sums),
            "history": self.history, "assignments": self.assignments,
            "rng": hardware.gathered(self.accelerator, [randomness.state()]),
        }

    def restore(self, state: dict) -> None:
        """Go back to where `state` was taken, also on another number of processes."""
        self.model.load_state_dict(state["model"])
        if self.averaged is not None and state["averaged"] is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler_state = state["scaler"]
        if self.accelerator.scaler is not None and self.scaler_state:
            self.accelerator.scaler.load_state_dict(self.scaler_state)
        self.epoch, self.step, self.sums = state["epoch"], state["step"], dict(state["sums"])
        self.history, self.assignments = state["history"], state["assignments"]
        randomness.restore(state["rng"][self.accelerator.process_index % len(state["rng"])])

    def release(self) -> None:
        """Leave the model as it came: no hooks, no autocast, no half collected gradient."""
        for handle in self.hooks:
            handle.remove()
        for name in ("forward", "_original_forward", "_is_accelerate_prepared",
                     "_ddp_params_and_buffers_to_ignore"):
            self.model.__dict__.pop(name, None)
        self.optimizer.zero_grad()
