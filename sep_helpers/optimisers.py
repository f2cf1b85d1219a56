"""How weights move: the optimiser by name, the learning rate over time, the averaged weights."""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from sep_helpers.settings import Settings

OPTIMISERS = {
    "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop, "radam": torch.optim.RAdam,
}
FUSED = ("adam", "adamw", "sgd")      # one kernel for all weights instead of one for each


def optimiser(model: nn.Module, settings: Settings, scaled: bool = False) -> torch.optim.Optimizer:
    """The optimiser that the settings name; `scaled`: a GradScaler works on it (fp16)."""
    options = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        options["momentum"] = 0.9
    if settings.optimizer in FUSED and not scaled:   # a fused step cannot say that it was skipped
        options["fused"] = True
    return OPTIMISERS[settings.optimizer](model.parameters(), **options)


def warmup_then_cosine(warmup: int, total: int) -> Callable[[int], float]:
    """Step -> factor on the learning rate: a straight climb, then half a cosine down to zero."""
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    return factor


class Schedule:
    """The learning rate of each update: a straight warm-up, then what the settings name.

    All but `plateau` is a function of the update's number alone. `plateau` halves the rate when
    more than `plateau_patience` epochs in a row were no better than the best before them.
    """

    def __init__(self, optimizer, settings: Settings, updates_per_epoch: int):
        self.optimizer, self.settings = optimizer, settings
        self.per_epoch = updates_per_epoch
        self.update, self.scale = 0, 1.0                # updates done; what plateaus have left
        self.best, self.waited = -math.inf, 0
        self.apply()

    def factor(self, update: int) -> float:
        """Share of the full rate in an update, counted from 0."""
        s = self.settings
        if s.schedule == "warmup_cosine":
            return warmup_then_cosine(s.warmup, s.epochs * self.per_epoch)(update)
        if update < s.warmup:
            return (update + 1) / s.warmup
        if s.schedule == "halving":
            return 0.5 ** (update // self.per_epoch // s.halve_every)
        return self.scale                               # constant: 1; plateau: halved now and then

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return self.settings.learning_rate * self.factor(self.update)

    def apply(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate

    def step(self) -> None:
        """An update is done: set the rate of the next."""
        self.update += 1
        self.apply()

    def end_epoch(self, value: float) -> None:
        """Tell the plateau what validation says."""
        if value > self.best:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        if self.settings.schedule == "plateau" and self.waited > self.settings.plateau_patience:
            self.scale, self.waited = self.scale / 2, 0
        self.apply()

    def state_dict(self) -> dict:
        return {key: getattr(self, key) for key in ("update", "scale", "best", "waited")}

    def load_state_dict(self, state: dict) -> None:
        for key, value in state.items():
            setattr(self, key, value)
        self.apply()


def averaged(model: nn.Module, settings: Settings) -> AveragedModel | None:
    """A copy of the model whose weights (and buffers) will be averages; None when none is asked."""
    if settings.average == "none":
        return None
    rule = (get_ema_multi_avg_fn(settings.ema_decay) if settings.average == "ema"
            else get_swa_multi_avg_fn())
    return AveragedModel(model, multi_avg_fn=rule, use_buffers=True)


def averages_now(settings: Settings, epoch: int, end_of_epoch: bool) -> bool:
    """Does the average take in the weights now? EMA after each update, SWA after late epochs."""
    if settings.average == "ema":
        return not end_of_epoch
    return end_of_epoch and epoch >= int(settings.swa_start * settings.epochs)
