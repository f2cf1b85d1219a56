"""Reading what trainings leave in their folders: one run's history, the board of all runs."""

import os
from contextlib import suppress
from pathlib import Path

import pandas as pd
import yaml

from sep_helpers import checkpoints
from sep_helpers.checkpoints import CheckpointError

RESULT = "result.csv"      # figures of a measured run: view, mixture_id, si_sdri (dB)
RECORD = ("format", "id", "base", "facts", "changes")     # in config.yaml beside the config


def history(folder: str | Path) -> pd.DataFrame:
    """A run's history so far, at any time; empty before its first epoch.

    A history.csv that cannot be read is made up for by the last checkpoint.
    """
    needed = ["epoch", "val_si_snr", "seconds"]
    try:
        table = pd.read_csv(Path(folder) / "history.csv").apply(pd.to_numeric, errors="coerce")
        if set(needed) <= set(table.columns) and table[needed].notna().all(axis=None):
            return table
    except (OSError, ValueError):        # pandas' parser errors and bad UTF-8 are ValueErrors
        pass
    with suppress(CheckpointError):
        return pd.DataFrame(checkpoints.load(Path(folder) / "last.pt").get("history", []))
    return pd.DataFrame()


def board(folder: str | Path, sort: str | None = None) -> pd.DataFrame:
    """All runs below a folder, one line each, in the order of their names or of the column `sort`.

    Columns: run, the keys in which the configs differ (e.g. model.R), seed, epochs (done) and of
    (wanted), best val SI-SNR (dB), <view> SI-SNRi (dB) of runs that were measured, seconds,
    parameters, origin. What cannot be read stays empty.
    """
    rows, configs = [], []
    for file in sorted(Path(folder).rglob("config.yaml")):
        try:
            saved = read_config(file)
        except CheckpointError:
            saved = {}
        past, facts = history(file.parent), saved.get("facts") or {}
        training = saved.get("training") or {}
        configs.append(_flat({k: v for k, v in saved.items() if k not in RECORD}))
        rows.append({
            "run": file.parent.relative_to(folder).as_posix(),
            "seed": training.get("seed"), "epochs": len(past), "of": training.get("epochs"),
            "best val SI-SNR (dB)": past["val_si_snr"].max() if len(past) else None,
            **_gains(file.parent),
            "seconds": past["seconds"].sum() if len(past) else None,
            "parameters": facts.get("parameters"), "origin": facts.get("origin", "yours"),
        })
    keys = sorted({key for config in configs for key in config})
    differ = [key for key in keys if len({str(config.get(key)) for config in configs if config}) > 1
              and key not in ("training.seed", "training.epochs")]
    rows = [{"run": row["run"], **{key: config.get(key) for key in differ}, **row}
            for row, config in zip(rows, configs, strict=True)]
    table = pd.DataFrame(rows)
    return table if sort is None or table.empty else table.sort_values(
        sort, ascending=False, na_position="last", ignore_index=True)


def _gains(folder: Path) -> dict[str, float]:
    """{"test SI-SNRi (dB)": the mean of its mixtures}, nothing for a run not yet measured."""
    try:
        means = pd.read_csv(folder / RESULT).groupby("view", sort=False)["si_sdri"].mean()
        return {f"{view} SI-SNRi (dB)": round(float(dB), 3) for view, dB in means.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _flat(config: dict, prefix: str = "") -> dict:
    """{"model": {"R": 3}} -> {"model.R": 3}."""
    flat: dict = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) \
            else {f"{prefix}{key}": value}
    return flat


def read_config(file: Path) -> dict:
    """What a config.yaml holds. Raises CheckpointError."""
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        config = None
    if not isinstance(config, dict):
        raise CheckpointError(f"{file}: is damaged: delete it, and the run goes on from its "
                              "checkpoint")
    return config


def write_text(file: Path, text: str) -> None:
    """Write a text file, whole or not at all. Raises CheckpointError."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, file)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise CheckpointError(f"{file}: could not be written ({error}): free some disk space or "
                              "choose another folder, then resume") from error
