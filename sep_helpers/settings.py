"""What a training is made of, beside its network and its data: one value a line, checked."""

import math
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches


class SettingsError(ValueError):
    """A setting that does not exist or makes no sense, in one line with the remedy."""


CHOICES = {
    "optimizer": ("adam", "adamw", "sgd", "rmsprop", "radam"),
    "schedule": ("warmup_cosine", "plateau", "constant", "halving"),
    "objective": ("si_snr", "snr", "mse", "euclidean", "correlation", "magnitude",
                  "phase_sensitive", "conv_sep"),
    "assignment": ("pit", "greedy", "fixed"),
    "average": ("none", "ema", "swa"),
    "precision": ("float32", "auto", "fp16", "bf16"),
}
SMALLEST = {"epochs": 1, "batch": 1, "accumulate": 1, "warmup": 0, "halve_every": 1,
            "plateau_patience": 0, "patience": 0, "workers": 0, "save_every": 1, "seed": 0}
APART = ("alpha", "beta", "beta_vocals")    # of the objective conv_sep
NEWER = ("gamma",)       # in a run's config only where used: older runs do not know of them
SITTING = ("workers", "save_every", "save_share", "max_minutes")    # change nothing in the outcome


@dataclass(frozen=True)
class Settings:
    """A training's settings. Raises SettingsError for a value that makes no sense."""

    epochs: int = 8
    batch: int = 4                   # mixtures a step, of all processes together
    accumulate: int = 1              # steps whose gradients are averaged before an update
    learning_rate: float = 3e-3      # reached after the warm-up
    optimizer: str = "adam"          # adam, adamw, sgd (with momentum 0.9), rmsprop or radam
    weight_decay: float = 0.0        # pulls the weights towards zero; adamw's own way for adamw
    schedule: str = "warmup_cosine"  # then: cosine to zero; plateau, constant, halving
    warmup: int = 100                # updates in which the rate climbs in a straight line
    halve_every: int = 2             # epochs between two halvings of the schedule `halving`
    plateau_patience: int = 3        # `plateau` halves after more epochs without gain than this
    clip: float = 5.0                # largest norm of the gradient
    objective: str = "si_snr"        # what is made good: si_snr, snr, mse; a distance of
                                     # spectrograms: euclidean, correlation, magnitude ...
    alpha: float = 0.001             # conv_sep: unlikeness to the other sources, ...
    beta: float = 0.01               # ... to `other`, the last one, ...
    beta_vocals: float = 0.03        # ... and of vocals, the first one, to `other`
    assignment: str = "pit"          # of outputs to sources: pit, greedy, or fixed: k to k
    gamma: float = 0.0               # discriminative: weight of being unlike the other sources
    average: str = "none"            # validate and keep averaged weights: ema or swa
    ema_decay: float = 0.999         # ema: share of the old average that stays at each update
    swa_start: float = 0.75          # swa: averages the ends of epochs after this part of them
    precision: str = "float32"       # fp16 or bf16 on a GPU; auto: the fastest that is safe there
    patience: int = 0                # epochs without a new best before stopping; 0: never stop
    seed: int = 0                    # of what is random in training itself, e.g. dropout
    workers: int = 0                 # processes that draw mixtures; 0: the training's own
    save_every: int = 50             # steps between two checkpoints inside an epoch, at least ...
    save_share: float = 0.02         # ... and so many that saving takes no more than this share
                                     # of the time; 1: however long it takes
    max_minutes: float = math.inf    # leave in good order after this long; call again to go on

    def __post_init__(self):
        for f in fields(self):
            _check_type(f, getattr(self, f.name))
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise SettingsError(f"unknown {key} {getattr(self, key)!r}: "
                                    f"{nearest(str(getattr(self, key)), choices)}")
        for key, smallest in SMALLEST.items():
            if getattr(self, key) < smallest:
                raise SettingsError(f"{key}={getattr(self, key)} must be at least {smallest}")
        for key, low, high in (("ema_decay", 0, 1), ("swa_start", 0, 1), ("save_share", 0, 1),
                               ("learning_rate", 0, 1e3), ("weight_decay", 0, 1e3),
                               *((key, 0, 1) for key in (*APART, "gamma"))):
            if not low <= getattr(self, key) <= high:
                raise SettingsError(f"{key}={getattr(self, key)} must lie from {low} to {high:g}")
        if self.objective == "conv_sep" and self.assignment != "fixed":
            raise SettingsError(f"assignment={self.assignment!r} with objective='conv_sep': its "
                                "terms name the stems, so take assignment='fixed'")
        if self.objective == "conv_sep" and self.gamma:
            raise SettingsError(f"gamma={self.gamma} with objective='conv_sep': it weighs the "
                                "other sources by alpha, beta and beta_vocals")
        for key in ("clip", "max_minutes"):
            if not getattr(self, key) >= 0:
                raise SettingsError(f"{key}={getattr(self, key)} must be 0 or more")

    @classmethod
    def of(cls, values: dict) -> "Settings":
        """Settings from plain values, as a YAML file gives them.

        Raises SettingsError for an unknown name, with the nearest one.
        """
        known = {f.name: f.type for f in fields(cls)}
        for key in values:
            if key not in known:
                raise SettingsError(f"unknown setting {key!r}: {nearest(str(key), known)}")
        return cls(**{key: _number(value) if known[key] is float else value
                      for key, value in values.items()})

    def outcome(self) -> dict:
        """All that decides what comes out; how one sitting goes about it is left out, and so are
        weights of terms that the objective has not."""
        unused = [f.name for f in fields(self)
                  if f.name in NEWER and getattr(self, f.name) == f.default]
        out = (*SITTING, *(() if self.objective == "conv_sep" else APART), *unused)
        return {key: value for key, value in asdict(self).items() if key not in out}


def nearest(word: str, valid) -> str:
    """'did you mean "adam"?', or the choices when nothing is near."""
    close = get_close_matches(word.lower(), [str(v) for v in valid], n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(map(str, valid))}"


def _number(value):
    """YAML reads 1e-3 as text: take it for the number it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _check_type(f, value) -> None:
    kind = f.type
    fits = type(value) is kind or (kind is float and type(value) is int)
    if not fits or (kind is float and math.isnan(value)):
        raise SettingsError(f"{f.name}={value!r} must be {kind.__name__}, as in {f.default!r}")
