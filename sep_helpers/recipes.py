"""Recipes: how the mixtures of a view are drawn, as a YAML file of a few lines.

    name: unseen            # A recipe says only what differs from the defaults below; the same
    split: test             # recipe, corpus and seed always draw the same mixtures.
    n_sources: 3
    overlap: [0.2, 0.6]
"""

from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path

import yaml

from sep_helpers.augmentation import Augmentation, AugmentationError
from sep_helpers.manifests import SPLITS


class ViewError(ValueError):
    """A recipe or view that cannot be used, in one line with the remedy."""


WHOLE = {"n_sources": (1, 100), "n_mixtures": (1, 10**7), "seed": (0, 2**63 - 1),
         "sample_rate": (1, 768_000)}
NUMBERS = {"seconds": (0.01, 3600), "rms_db": (-100, 0), "level_db": (0, 60), "speed": (0, 0.9),
           "floor_db": (0, 100)}
RANGES = {"overlap": (0, 1), "snr_db": (-60, 60), "noise_snr_db": (-60, 100), "rt60": (0.15, 0.6)}
OPTIONAL = ("seconds", "rms_db", "floor_db", *RANGES)       # may be None
WORDS = {"level_of": ("recording", "cut"), "target": ("reverberant", "direct")}


@dataclass(frozen=True)
class Recipe:
    """How the mixtures of one view are drawn. Raises ViewError for what cannot be drawn.

    Each option draws from a random stream of its own: switching noise or rooms on leaves the
    voices, their cuts and their levels as they were.
    """

    name: str
    split: str                          # of the corpus: train, val or test
    heard: bool | None = None           # True: voices that also train, False: voices that don't
    where: dict = field(default_factory=dict)   # further columns, e.g. {"language": "en"}
    n_sources: int = 2
    n_mixtures: int = 100               # of a frozen view, or of a live view's epoch
    seconds: float | None = None        # None: whole recordings, cut to the shortest
    rms_db: float | None = -25.0        # level of the recording a source is cut from (dB, RMS) ...
    level_db: float = 2.5               # ... give or take this much, drawn evenly for each source
    speed: float = 0.0                  # live views: play a cut up to this share faster or slower
    seed: int = 0
    sample_rate: int = 8000
    # -- who is mixed
    categories: int | list | None = None    # the pool: names, or how many (the first by name)
    files: dict | None = None       # {"train": [0, 6], "val": [6, 8]}: files a category, by split
    same_category: bool = False     # True: any recordings, even two of one voice
    in_order: bool = False          # True: sources in the pool's order, not in the order drawn
    together: str | None = None     # a column, e.g. track: cut all sources from one, at one place
    # -- where and how loud
    overlap: list | None = None     # [low, high]: share of a source under the next; None: all of it
    floor_db: float | None = None   # draw a cut this far below its recording again; None: never
    level_of: str = "recording"     # levels hold for the recording, or for the cut itself
    snr_db: list | None = None      # [low, high]: source 0 over each other one, instead of level_db
    # -- what is around it
    noise_snr_db: list | None = None            # [low, high]: all sources over the noise
    noise_where: dict = field(default_factory=dict)     # which recordings of the noise corpus
    rt60: list | None = None        # [low, high] seconds: a room, its reverberation time
    target: str = "reverberant"     # in a room: what a source is; "direct": without reflections
    # -- what live views change in it, see `augmentation`
    augment: dict | None = None     # {"remix": 0.5, "gain_db": [-10, 3], "swap": 0.5, "mute": 0.1}

    def __post_init__(self):
        for test in (_wrong_word, _wrong_number, _wrong_range, _wrong_pool, _wrong_together,
                     _wrong_augment):
            fault = test(self)
            if fault:
                raise ViewError(f"recipe {self.name!r}: {fault}")

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a recipe from YAML. Raises ViewError for an unknown or missing key."""
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise ViewError(f"{path}: is no recipe: write a YAML file of lines like 'split: train'")
        known = [f.name for f in fields(cls)]
        faults = ([f"unknown key {key!r}" for key in values if key not in known]
                  + [f"no key {key!r}" for key in ("name", "split") if key not in values])
        if faults:
            raise ViewError(f"{path}: {', '.join(faults)}: a recipe has {', '.join(known)}")
        return cls(**values)

    def save(self, path: str | Path) -> None:
        """Write the recipe as YAML, to be loaded again."""
        Path(path).write_text(yaml.safe_dump(self.to_dict(), sort_keys=False), encoding="utf-8")

    def to_dict(self) -> dict:
        """The recipe as plain values. The options from `categories` on appear only where used, so
        that a run's config does not change when recipes learn something new."""
        plain = asdict(self)
        return {f.name: plain[f.name] for number, f in enumerate(fields(self))
                if number < N_ALWAYS or plain[f.name] != _default(f)}


N_ALWAYS = [f.name for f in fields(Recipe)].index("categories")


def _default(f):
    return f.default if f.default is not MISSING else f.default_factory()


def _is_number(value) -> bool:
    return type(value) in (int, float) and value == value and abs(value) != float("inf")


def _wrong_word(recipe: Recipe) -> str | None:
    if (not isinstance(recipe.name, str) or not recipe.name.isprintable()
            or not 0 < len(recipe.name.strip()) <= 60):
        return "name must be a word: it begins the name of every mixture"
    if recipe.split not in SPLITS:
        return f"split={recipe.split!r} must be one of {', '.join(SPLITS)}"
    if recipe.heard not in (True, False, None):
        return f"heard={recipe.heard!r} must be true, false or null"
    for key in ("where", "noise_where"):
        if not isinstance(getattr(recipe, key), dict):
            return f"{key}={getattr(recipe, key)!r} must be columns with their values"
        if wrong := [name for name in getattr(recipe, key)
                     if not isinstance(name, str) or name in ("split", "heard")]:
            return f"{key}: {wrong[0]!r} must be another column of the manifest: split and heard " \
                   "are keys of their own"
    for key in ("same_category", "in_order"):
        if not isinstance(getattr(recipe, key), bool):
            return f"{key}={getattr(recipe, key)!r} must be true or false"
    for key, words in WORDS.items():
        if getattr(recipe, key) not in words:
            return f"{key}={getattr(recipe, key)!r} must be {' or '.join(words)}"
    return None


def _wrong_number(recipe: Recipe) -> str | None:
    for key, (low, high) in WHOLE.items():
        value = getattr(recipe, key)
        if type(value) is not int or not low <= value <= high:
            return f"{key}={value!r} must be a whole number, {low} or more, {high} at most"
    for key, (low, high) in NUMBERS.items():
        value = getattr(recipe, key)
        if value is None and key in OPTIONAL:
            continue
        if not _is_number(value) or not low <= value <= high:
            return f"{key}={value!r} must be a number from {low} to {high}"
        object.__setattr__(recipe, key, value + 0)      # a generator refuses 0.0 to -0.0
    return None


def _wrong_range(recipe: Recipe) -> str | None:
    for key, (low, high) in RANGES.items():
        value = getattr(recipe, key)
        if value is None:
            continue
        if (not isinstance(value, (list, tuple)) or len(value) != 2
                or not all(map(_is_number, value)) or not low <= value[0] <= value[1] <= high):
            return f"{key}={value!r} must be a range [low, high] within {low} to {high}"
        object.__setattr__(recipe, key, [end + 0 for end in value])     # a list, and -0.0 is 0.0
    return None


def _wrong_pool(recipe: Recipe) -> str | None:
    pool = recipe.categories
    if isinstance(pool, (list, tuple)):
        if not all(isinstance(name, str) for name in pool) or len(set(pool)) < len(pool):
            return f"categories={pool!r} must be names, each once"
        object.__setattr__(recipe, "categories", list(pool))
    elif pool is not None and (type(pool) is not int or pool < 1):
        return f"categories={pool!r} must be names, or how many"
    size = len(pool) if isinstance(pool, (list, tuple)) else pool
    if size is not None and size < recipe.n_sources and not recipe.same_category:
        return f"{recipe.n_sources} sources need as many categories, not {size}"
    return _wrong_files(recipe.files, recipe.split) if recipe.files is not None else None


def _wrong_files(files: dict, split: str) -> str | None:
    if not isinstance(files, dict) or split not in files:
        return f"files={files!r} must have a range for split {split!r}, such as {split}: [0, 6]"
    for key, value in files.items():
        if (not isinstance(value, (list, tuple)) or len(value) != 2 or key not in SPLITS
                or any(type(n) is not int for n in value) or not 0 <= value[0] < value[1]):
            return f"files: {key}: {value!r} must be a range [first, stop] of {', '.join(SPLITS)}"
    spans = sorted((tuple(span), key) for key, span in files.items())
    for (one, name), (two, other) in zip(spans, spans[1:], strict=False):
        if two[0] < one[1]:
            return f"files: {name} {list(one)} and {other} {list(two)} overlap: it would leak"
    return None


def _wrong_together(recipe: Recipe) -> str | None:
    if recipe.rms_db is None and recipe.snr_db is not None:
        return "snr_db needs a level: give rms_db, too"
    if recipe.together is None:
        return None
    if not isinstance(recipe.together, str) or not recipe.together:
        return f"together={recipe.together!r} must be a column, such as track"
    if recipe.overlap is not None or recipe.same_category:
        return f"together={recipe.together} cuts sources at one place: drop overlap, same_category"
    return None


def _wrong_augment(recipe: Recipe) -> str | None:
    if recipe.augment is None:
        return None
    try:
        asked = Augmentation.of(recipe.augment)
    except AugmentationError as error:
        return f"augment: {error}"
    object.__setattr__(recipe, "augment", asked.to_dict())
    return None
