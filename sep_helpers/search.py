"""Search over the settings of a training: random points, and halving that stops poor ones early.

What is searched is the section `search` of a config; `search_work` does the work. Random search:
Bergstra & Bengio, "Random search for hyper-parameter optimization", 2012; halving without waiting
for the slowest: Li et al., "A system for massively parallel hyperparameter tuning", 2020.
"""

import math
import os
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import yaml

from sep_helpers import checkpoints

FILE = "search.yaml"
METHODS = ("random", "halving")
RANGE = ("low", "high", "log")


class SearchError(ValueError):
    """A search that cannot be made, in one line with the remedy."""


@dataclass(frozen=True)
class Search:
    """What is searched: the section `search` of a config."""

    keys: dict                  # training.learning_rate: {low: 1e-4, high: 1e-2, log: true} or [..]
    trials: int = 20            # points tried in all; raise it to go on with a finished search
    method: str = "halving"     # random: every trial to its end; halving: poor ones stop early
    first: int = 1              # halving: epochs before the first decision, which keeps one in ...
    factor: int = 3             # ... `factor`; the next come after factor times as many epochs
    seed: int = 0               # of the points; with the number of a trial it decides all of it
    settings: dict = field(default_factory=dict, repr=False)    # the config without this section

    @classmethod
    def of(cls, config: dict) -> "Search":
        """From a config with a section `search`. Raises SearchError, with the nearest name."""
        config = dict(config)
        asked = config.pop("search", None)
        if not isinstance(asked, dict) or not asked.get("keys"):
            raise SearchError("the config has no section 'search' with 'keys': say what to search, "
                              "e.g. search: {keys: {training.learning_rate: {low: 1e-4, "
                              "high: 1e-2, log: true}}}")
        known = [f.name for f in fields(cls) if f.name != "settings"]
        for key in asked:
            if key not in known:
                near = get_close_matches(str(key), known, 1, 0.5)
                raise SearchError(f"search.{key} is unknown: "
                                  + (f"did you mean {near[0]!r}?" if near else ", ".join(known)))
        keys = {key: [_number(value) for value in values] if isinstance(values, list) else
                {part: _number(value) for part, value in values.items()}
                if isinstance(values, dict) else values for key, values in asked["keys"].items()}
        return cls(**asked | {"keys": keys}, settings=config)

    def __post_init__(self):
        if self.method not in METHODS:
            raise SearchError(f"search.method={self.method!r}: choose from {', '.join(METHODS)}")
        for name, smallest in (("trials", 1), ("first", 1), ("factor", 2), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < smallest:
                raise SearchError(f"search.{name}={value!r} must be a whole number, {smallest} or "
                                  "more")
        for key, values in self.keys.items():
            _check_values(key, values)

    def point(self, number: int) -> dict:
        """The values of trial `number`: a pure function of (seed, number)."""
        rng = np.random.default_rng((self.seed, number))
        return {key: _draw(values, rng) for key, values in sorted(self.keys.items())}


def _check_values(key: str, values) -> None:
    if isinstance(values, list):
        fits = values and all(isinstance(value, str | int | float) for value in values)
    else:
        fits = (isinstance(values, dict) and {"low", "high"} <= set(values) <= set(RANGE)
                and all(type(values[end]) in (int, float) for end in ("low", "high"))
                and -math.inf < values["low"] < values["high"] < math.inf
                and (values["low"] > 0 or not values.get("log")))
    if not fits:
        raise SearchError(f"search.keys.{key}={values!r}: give a list of values, or {{low: .., "
                          "high: ..}} with numbers that rise, with log: true only above 0")


def _number(value):
    """1e-3 is a text to YAML, which wants 1.0e-3; here it is the number that was meant."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _draw(values, rng):
    """One value, as YAML has it: a choice, a whole number where both ends are, else a float."""
    if isinstance(values, list):
        return values[rng.integers(len(values))]
    low, high = values["low"], values["high"]
    whole = type(low) is int and type(high) is int
    ends = (low, high + 1) if whole else (low, high)
    value = (math.exp(rng.uniform(*map(math.log, ends))) if values.get("log")
             else rng.uniform(*ends))
    return min(int(value), high) if whole else min(max(float(f"{value:.4g}"), low), high)


def begin(folder: str | Path, search: Search) -> Search:
    """Write <folder>/search.yaml, or go on with the one there; only `trials` may have grown.

    Raises CheckpointError, key by key, for a folder that searches something else.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / FILE).exists():
        there = read(folder)
        search = replace(search, trials=max(search.trials, there.trials))
        checkpoints.refuse_difference(asdict(replace(there, trials=search.trials)), asdict(search),
                                      folder / FILE)
    draft = folder / f".{FILE}.{os.getpid()}.tmp"
    draft.write_text(yaml.safe_dump(asdict(search), sort_keys=False), encoding="utf-8")
    draft.replace(folder / FILE)
    return search


def read(folder: str | Path) -> Search:
    """The search of a folder. Raises SearchError if there is none."""
    file = Path(folder) / FILE
    try:
        return Search(**yaml.safe_load(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SearchError(f"{folder}: there is no search: start one with `search config.yaml`"
                          ) from None
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise SearchError(f"{file}: is damaged ({error}): search in another folder") from error
