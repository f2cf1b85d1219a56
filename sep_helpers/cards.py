"""Result cards: one JSON file a result, which the results table and the site are made from.

A card also shows itself in a notebook, and `write_page` puts a folder of them on one HTML page.
"""

import html
import json
import math
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

METRICS = {"si_sdri": ("SI-SDR improvement", "dB"), "sdri": ("SDR improvement", "dB"),
           "si_sdr": ("SI-SDR", "dB"), "sdr": ("SDR", "dB"), "sir": ("SIR", "dB"),
           "sar": ("SAR", "dB"), "snr": ("SNR", "dB"), "stoi": ("STOI", ""),
           "estoi": ("extended STOI", ""), "pesq_nb": ("PESQ, narrow band", ""),
           "pesq_wb": ("PESQ, wide band", "")}                  # names and units, where known
LOOK = ("display:inline-block;vertical-align:top;max-width:34em;margin:4px 10px 8px 0;"
        "padding:10px 14px;border:1px solid #999;border-left:5px solid #0072B2;border-radius:4px;"
        "line-height:1.35")


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
    checkpoint: str = ""  # where the weights came from, "" where nothing was trained
    kind: str = "network"           # or "bound": a floor or a ceiling, which nobody trains
    parameters: int = 0             # that were trained
    real_time: float = math.nan     # seconds of computing for a second of sound, on one thread

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

    def html(self) -> str:
        """The card as HTML that needs nothing from elsewhere: the figure, then what it rests on."""
        name, unit = METRICS.get(self.metric, (self.metric, ""))
        interval = ("no interval from one utterance" if math.isnan(self.low) else
                    f"95 % interval {_number(self.low)} to {_number(self.high)} {unit}")
        facts = {"preset": self.preset, "origin": self.origin, "checkpoint": self.checkpoint,
                 "seconds": _number(self.seconds, 1) or "not recorded", "machine": self.machine,
                 "seed": self.seed, "data": self.data,
                 "parameters": f"{self.parameters:,}" if self.parameters else "",
                 "real-time factor": _number(self.real_time, 3), "created": self.created,
                 "card": f"{self.name}.json"}
        rows = "".join(f'<tr><td style="color:#666;padding:1px 10px 1px 0">{key}</td>'
                       f'<td style="text-align:left">{html.escape(str(value))}</td></tr>'
                       for key, value in facts.items() if value != "")
        return (f'<div class="result-card" style="{LOOK}">'
                f"<div><b>{html.escape(self.system)}</b> on <b>{html.escape(self.view)}</b></div>"
                f'<div style="font-size:1.7em">{_number(self.mean)} {unit} '
                f'<span style="font-size:0.55em">{html.escape(name)}</span></div>'
                f"<div>{interval}, {self.n} utterance{'s' * (self.n != 1)}</div>"
                f'<table style="margin:6px 0 0;font-size:0.85em;border-collapse:collapse">{rows}'
                "</table></div>")

    def _repr_html_(self) -> str:
        return self.html()


def write_page(folder: str | Path, title: str = "Results") -> Path:
    """Write <folder>/cards.html: all cards of the folder, readable offline; return its path."""
    path = Path(folder) / "cards.html"
    shown = "\n".join(card.html() for card in read_all(folder)) or "<p>No cards yet.</p>"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8">'
                     f"<title>{html.escape(title)}</title>"
                     f'<body style="font-family:sans-serif;margin:2em"><h1>{html.escape(title)}'
                     f"</h1>\n{shown}\n</body></html>\n", encoding="utf-8")
    return draft.replace(path)


def _number(value: float, decimals: int = 2) -> str:
    """With a minus that is one; "" for NaN, which is not known."""
    return "" if math.isnan(value) else f"{value:.{decimals}f}".replace("-", "−")


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
