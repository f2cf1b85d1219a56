"""What a sweep is to do: the networks, their settings and their mixtures, from one YAML file.

    base: {name: lstm_masks}          # keys of a network's config and of training.Settings ...
    variants:                         # ... what each variant changes, or
      wide: {hidden: 256}
    grid:                             # every combination of one choice an axis
      network: {LSTM: {name: lstm_masks}, transformer: {name: vtf}}
      loss: {correlation: {objective: correlation}, SI-SNR: {}}
    presets:                          # how large each preset makes it
      laptop: {seeds: 2, epochs: 4, steps: 700, batch: 1, seconds: 1.5, ...}
"""

from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path

import yaml

from sep_helpers import models, training

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "studies"
SETTINGS = {f.name for f in fields(training.Settings)} - {"seed"}


class SweepError(ValueError):
    """A sweep that cannot be read, or has nothing stored, in one line with the remedy."""


@dataclass(frozen=True)
class Sweep:
    """Which networks are trained, how often, and how."""

    name: str
    preset: str
    configs: dict[str, dict]   # the variant's name -> the whole config of its network
    seeds: int                 # runs of each, with fresh weights and fresh mixtures
    epochs: int                # validations
    steps: int                 # between two validations
    batch: int                 # mixtures a step
    seconds: float             # length of a training mixture
    learning_rate: float
    warmup: int                # steps
    n_val: int                 # mixtures of the view that chooses the best epoch
    n_test: int                # mixtures of each test view
    own: dict[str, dict] = field(default_factory=dict)      # variant -> settings that are its own
    places: dict[str, dict] = field(default_factory=dict)   # variant -> its place in the grid
    corpus: str = "voices"     # the embedded corpus it is made for, or a public one to be fetched
    recipes: dict[str, dict] = field(default_factory=dict)  # train, val and tests; {}: of voices
    speed: float = 0.16        # training voices are played up to this part faster or slower
    keep: str = "best"         # the epoch that is measured: best on validation, or the last
    references: tuple[str, ...] = ()    # measured beside the networks: mixture, random, ibm ...

    def __post_init__(self):
        if self.keep not in ("best", "last"):
            raise SweepError(f"{self.name}: keep={self.keep!r} must be best or last")

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(variant, seed): two variants are comparable once a seed of both is there."""
        return [(variant, seed) for seed in range(self.seeds) for variant in self.configs]

    def settings(self, variant: str) -> training.Settings:
        """The loop's settings for a variant."""
        shared = {key: getattr(self, key) for key in ("epochs", "batch", "warmup", "learning_rate")}
        return training.Settings.of(shared | self.own.get(variant, {}))

    def n_sources(self, variant: str) -> int:
        """How many sources the variant's mixtures have."""
        return self.configs[variant]["n_sources"]


def load(name: str, preset: str, folder: Path = FOLDER) -> Sweep:
    """The sweep of `<folder>/<name>.yaml`, as large as the preset has it.

    A preset may change the base, pick some of the variants or some parts of the grid, and give a
    variant keys of its `own`.
    """
    file = Path(folder) / f"{name}.yaml"
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        size = dict(told["presets"][preset])
        base = told.get("base", {}) | size.pop("base", {})
        places = {} if "variants" in told else _places(told["grid"], size.pop("grid", [{}]))
        variants = told["variants"] if "variants" in told else {
            variant: _merged(told["grid"], place) for variant, place in places.items()}
        chosen = size.pop("variants", list(variants))
        own = size.pop("own", {})
        parts = {v: _parts(base | variants[v] | own.get(v, {})) for v in chosen}
        return Sweep(name, preset, {v: models.complete(config) for v, (config, _) in parts.items()},
                     own={v: own for v, (_, own) in parts.items() if own},
                     places={v: places[v] for v in chosen if v in places},
                     **{key: told[key] for key in ("corpus", "recipes") if key in told},
                     references=tuple(told.get("references", ())), **size)
    except (OSError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise SweepError(f"{file}: no sweep for preset {preset!r} in it ({error!r}): it needs "
                         "base, variants (or a grid) and presets, as assets/studies/tasnet_xr.yaml"
                         ) from error


def _places(grid: dict, parts: list[dict]) -> dict[str, dict]:
    """{"2 LSTM correlation": {"sources": 2, "network": "LSTM", "loss": "correlation"}, ...}.

    `parts` are what a preset takes of the grid: the choices of an axis, all where it names none.
    """
    places: dict[str, dict] = {}
    for part in parts:
        axes = {axis: part.get(axis, list(choices)) for axis, choices in grid.items()}
        for values in product(*axes.values()):
            place = dict(zip(axes, values, strict=True))
            places[" ".join(map(str, place.values()))] = place
    return places


def _merged(grid: dict, place: dict) -> dict:
    """The keys of all choices of a place, the later axes' over the earlier ones'."""
    keys: dict = {}
    for axis, choice in place.items():
        keys |= grid[axis][choice]
    return keys


def _parts(keys: dict) -> tuple[dict, dict]:
    """(the network's config, the training's own settings): no key belongs to both."""
    return ({key: value for key, value in keys.items() if key not in SETTINGS},
            {key: value for key, value in keys.items() if key in SETTINGS})
