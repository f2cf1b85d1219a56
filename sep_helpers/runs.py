"""A run is one training, and a run is a folder: config, history, checkpoints.

    config.yaml      what was asked for            last.pt   where it stands (and .previous)
    history.csv      one line an epoch             best.pt   its best epoch so far

The history inside `last.pt` is the truth that a resumed run goes on from; the CSV is its copy.
"""

import os
from pathlib import Path

import pandas as pd
import yaml

from sep_helpers import checkpoints


class Run:
    """The folder of one training; made if it is not there, refused if it holds another config."""

    def __init__(self, folder: str | Path, config: dict):
        self.folder, self.config = Path(folder), config
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoints.clean(self.folder)
        file = self.folder / "config.yaml"
        if file.exists():
            checkpoints.refuse_difference(_read_config(file), config, self.folder)
        else:
            _replace(file, yaml.safe_dump(config, sort_keys=False))

    @property
    def last(self) -> Path:
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        return self.folder / "best.pt"

    def load(self) -> dict | None:
        """The state to go on from, or None for a run that has not begun."""
        if not checkpoints.exists(self.last):
            return None
        state = checkpoints.load(self.last)
        checkpoints.refuse_difference(state["config"], self.config, self.last)
        return state

    def save(self, state: dict) -> None:
        """Write the state and the copy of its history."""
        checkpoints.save(self.last, {**state, "config": self.config})
        _replace(self.folder / "history.csv", pd.DataFrame(state["history"]).to_csv(index=False))

    def save_best(self, weights: dict, row: dict) -> None:
        """Keep the weights of the best epoch, with that epoch's line of the history."""
        checkpoints.save(self.best, {"model": weights, "row": row, "config": self.config})


def history(folder: str | Path) -> pd.DataFrame:
    """A run's history so far, at any time; empty before its first epoch."""
    file = Path(folder) / "history.csv"
    return pd.read_csv(file) if file.exists() and file.stat().st_size > 1 else pd.DataFrame()


def board(folder: str | Path) -> pd.DataFrame:
    """All runs below a folder, one line each: name, epochs, best validation SI-SNR, minutes."""
    rows = []
    for file in sorted(Path(folder).glob("*/config.yaml")):
        past = history(file.parent)
        if past.empty:
            rows.append({"run": file.parent.name, "epochs": 0})
            continue
        rows.append({"run": file.parent.name, "epochs": len(past),
                     "best val SI-SNR (dB)": past["val_si_snr"].max(),
                     "minutes": past["seconds"].sum() / 60})
    return pd.DataFrame(rows)


def _read_config(file: Path) -> dict:
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        config = None
    if not isinstance(config, dict):
        raise checkpoints.CheckpointError(f"{file}: is damaged: delete it, and the run goes on "
                                          "from its checkpoint")
    return config


def _replace(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, file)
