"""Result cards: one JSON file a result, which the results table and the site are made from."""

import json
import math
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self


class CardError(ValueError):
    """A result card that cannot be written or read, in one line with the remedy."""


@dataclass(frozen=True)
class ResultCard:
    """One figure with all it takes to judge it. NaN for `low` and `high`: only one utterance."""

    name: str             # of the card and its file: 04_conv_tasnet
    system: str           # what was measured: "Conv-TasNet, 0.7 M"
    view: str             # on which mixtures: "test, unheard speakers"
    metric: str           # si_sdri
    mean: float           # dB
    low: float            # 95 % interval over utterances, dB
    high: float
    n: int                # utterances
    preset: str           # smoke, laptop, t4 or full
    origin: str           # "yours" or "shipped"
    seconds: float        # that the training took, or the evaluation where nothing was trained
    machine: str          # workspace.machine()
    seed: int
    data: str             # the corpus
    created: str = ""     # date, where it matters

    def __post_init__(self):
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise CardError(f"card name {self.name!r} becomes a file name: use letters, digits, _ "
                            "and -")
        if self.origin not in ("yours", "shipped"):
            raise CardError(f"card {self.name}: origin {self.origin!r} has to be 'yours' or "
                            "'shipped': nobody's result is shown as another's")

    @classmethod
    def of(cls, row, **facts) -> Self:
        """A card from one row of `evaluation.summary` and the facts that it does not hold."""
        figures = {key: float(row[key]) for key in ("mean", "low", "high")}
        return cls(system=row["system"], view=row["view"], metric=row["metric"], n=int(row["n"]),
                   **figures, **facts)

    def write(self, folder: str | Path) -> Path:
        """Write <folder>/<name>.json, whole or not at all, and return its path."""
        path = Path(folder) / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        flat = {key: None if value != value else value for key, value in asdict(self).items()}
        draft.write_text(json.dumps(flat, indent=1, allow_nan=False, default=lambda v: v.item()),
                         encoding="utf-8")   # .item(): pandas hands out numpy's numbers
        return draft.replace(path)


def read(path: str | Path) -> ResultCard:
    """One card. Raises CardError if the file is no card."""
    try:
        flat = json.loads(Path(path).read_text(encoding="utf-8"))
        known = {field.name: field.type for field in fields(ResultCard)}
        return ResultCard(**{key: math.nan if value is None and known[key] is float else value
                             for key, value in flat.items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CardError(f"{path} is no result card ({error}): delete it, or run its notebook "
                        "again") from error


def read_all(folder: str | Path) -> list[ResultCard]:
    """The cards of a folder by name; none where there is no folder."""
    return [read(path) for path in sorted(Path(folder).glob("*.json"))]
