"""Augmentation: new mixtures out of old stems, on waveforms, targets included.

Everything is done to the sources, and the mixture is added up afterwards, so a mixture is the sum
of its targets always. Nothing is changed in place: what comes in stays what it was, the corpus'
recordings in RAM above all. An item's changes are decided by (seed, epoch, index) alone.

    recipe = Recipe(..., augment={"remix": 0.5, "gain_db": [-10, 3], "swap": 0.5})
"""

from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from torch import Tensor

STREAM = 7          # the last number of its random stream, beside those of `drawing`
SHARES = ("remix", "swap", "mute_channel", "mute")
STEREO = ("swap", "mute_channel")
WIDEST_DB = 60


class AugmentationError(ValueError):
    """Changes that cannot be made, in one line with the remedy."""


@dataclass(frozen=True)
class Augmentation:
    """How much of each change: shares from 0 to 1, gains in dB. Without any, nothing changes.

    Random cuts and levels are the recipe's own (`together`, `level_db`); these come on top.
    """

    remix: float = 0.0          # of mixtures: each stem from a song, and a place, of its own
    gain_db: tuple | None = None        # [low, high] on top of each stem's level, drawn evenly
    swap: float = 0.0           # of stems: left and right change places
    mute_channel: float = 0.0   # of stems: left or right is silent
    mute: float = 0.0           # of stems: silent; one stem of a mixture always sounds

    def __post_init__(self):
        for name in SHARES:
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value <= 1:
                raise AugmentationError(f"{name}={value!r} must be a share from 0 to 1")
        low_high = self.gain_db
        if low_high is not None and not _is_range(low_high):
            raise AugmentationError(f"gain_db={low_high!r} must be a range [low, high] within "
                                    f"{-WIDEST_DB} to {WIDEST_DB} dB")

    @classmethod
    def of(cls, values: "dict | Augmentation | None") -> "Augmentation":
        """From a recipe's `augment`. Raises AugmentationError for an unknown name."""
        if values is None or isinstance(values, cls):
            return values or cls()
        known = [f.name for f in fields(cls)]
        if not isinstance(values, dict) or (odd := [k for k in values if k not in known]):
            what = f"unknown {odd[0]!r}" if isinstance(values, dict) else repr(values)
            raise AugmentationError(f"{what}: give some of {', '.join(known)} with their shares")
        return cls(**values)

    def to_dict(self) -> dict:
        """As plain values, what is not asked for left out."""
        asked = {key: value for key, value in asdict(self).items() if value}
        return {key: list(value) if key == "gain_db" else value for key, value in asked.items()}

    def refuse_mono(self, channels: int) -> None:
        """Raise AugmentationError where something wants two channels and there is one."""
        wanted = [name for name in STEREO if getattr(self, name)]
        if channels == 1 and wanted:
            raise AugmentationError(f"{wanted[0]} needs two channels: open the corpus with "
                                    f"channels=2, or leave {' and '.join(wanted)} out")


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Where an item's changes are drawn from; its first number decides whether it is remixed."""
    return np.random.default_rng((seed, epoch, index, STREAM))


def changes(asked: Augmentation, n_sources: int, channels: int, rng: np.random.Generator
            ) -> tuple[np.ndarray, np.ndarray]:
    """Where each channel comes from, and the factor for it: both (source, channel).

    The same numbers are drawn whatever is asked for, so one change more or less leaves the others
    as they were.
    """
    swap, one_side, mute, gains = rng.uniform(size=(4, n_sources))
    side, spared = rng.integers(channels, size=n_sources), rng.integers(n_sources)
    order = np.tile(np.arange(channels), (n_sources, 1))
    order[swap < asked.swap] = np.arange(channels)[::-1]
    factors = np.ones((n_sources, channels), np.float32)
    if asked.gain_db is not None:
        low, high = asked.gain_db
        factors *= (10 ** ((low + (high - low) * gains) / 20))[:, None].astype(np.float32)
    loses = one_side < asked.mute_channel
    factors[loses, side[loses]] = 0
    silent = mute < asked.mute
    silent[spared] &= not silent.all()
    factors[silent] = 0
    return order, factors


def augment(item: dict, asked: Augmentation, rng: np.random.Generator) -> dict:
    """A view's item with changed sources, and their sum as its mixture; the given one stays.

    sources (source, time) or (source, channel, time); "noise" is kept, and is in the sum.
    """
    sources = item["sources"]
    stereo = sources.dim() == 3
    order, factors = changes(asked, len(sources), sources.shape[1] if stereo else 1, rng)
    x = sources.numpy() if stereo else sources.numpy()[:, None]
    # both index and product make new arrays: nobody else's memory is written to
    x = x[np.arange(len(x))[:, None], order] * factors[:, :, None]
    changed = torch.from_numpy(x if stereo else x[:, 0])
    mixture = changed.sum(0)
    if "noise" in item:
        mixture = mixture + item["noise"]
    return {**item, "sources": changed, "mixture": mixture}


def aliasing_fault(targets: Tensor) -> tuple[Tensor, Tensor]:
    """The classic mistake, for show: (mixture, targets) that are no longer a mixture's targets.

    The mixture begins as the FIRST TARGET ITSELF, not as a copy of it, and the others are added
    with `+=`: so the first target (source, ..., time) ends as the whole mixture, and a network is
    taught that the vocals are everything. (Done to a copy here: yours stay whole.)
    """
    targets = targets.clone()
    mixture = targets[0]             # a second name for the same memory
    for target in targets[1:]:
        mixture += target            # writes into targets[0]
    return mixture, targets


def _is_range(pair) -> bool:
    return (isinstance(pair, (list, tuple)) and len(pair) == 2
            and all(type(end) in (int, float) for end in pair)
            and -WIDEST_DB <= pair[0] <= pair[1] <= WIDEST_DB)
