"""Checkpoints that survive: written whole or not at all, and never unpickled.

A checkpoint is tensors and plain containers. It goes to a temporary file, is flushed to the
disk, read back, and only then renamed over its name; the one before stays as `<name>.previous`.
"""

import os
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError

import torch

FORMAT = 2      # of what a run's checkpoints and config.yaml hold; a newer one is not guessed at


class CheckpointError(ValueError):
    """A checkpoint that cannot be written, read or used, in one line with the remedy."""


def save(path: str | Path, state: dict) -> None:
    """Write `state` to `path`, keeping the file it replaces as `<path>.previous`.

    If anything fails (a full disk, a power cut), the files from before are still there.
    Raises CheckpointError.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(draft, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        read(draft)                                      # what cannot be read is not saved
        if path.exists():
            os.replace(path, previous(path))
        os.replace(draft, path)
        _flush_names(path.parent)
    except (OSError, RuntimeError, CheckpointError) as error:
        with suppress(OSError):
            draft.unlink()
        raise CheckpointError(
            f"{path}: could not be saved ({error}); the last checkpoint is untouched: free some "
            "disk space or choose another folder, then resume"
        ) from error


def load(path: str | Path) -> dict:
    """Read a checkpoint, on the CPU; a broken newest falls back to the one before, with a warning.

    Raises CheckpointError when there is none, or none that can be read.
    """
    path = Path(path)
    faults = []
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            state = read(candidate)
        except CheckpointError as error:
            faults.append(str(error))
            continue
        if faults:
            warnings.warn(f"{faults[0]}; going on from {candidate.name}, one save earlier",
                          stacklevel=2)
        return state
    if not faults:
        raise CheckpointError(f"{path}: there is no checkpoint: train first")
    remedy = "" if "not loaded" in faults[0] else (
        ": bring back a whole copy; a training can start anew (resume=False), which keeps what is "
        "there")
    raise CheckpointError(f"{faults[0]}{remedy}")


def exists(path: str | Path) -> bool:
    """Is there a checkpoint, or the one before it?"""
    return Path(path).exists() or previous(Path(path)).exists()


def previous(path: Path) -> Path:
    """Where the checkpoint that `path` replaced is kept."""
    return path.with_name(path.name + ".previous")


def clean(folder: str | Path) -> None:
    """Remove the temporary files that a killed process left behind."""
    for draft in Path(folder).glob(".*.tmp"):
        draft.unlink(missing_ok=True)


def difference(saved: dict, wanted: dict, prefix: str = "") -> list[str]:
    """One line for each key in which two configs differ, e.g. 'model.R: 1 saved, 4 wanted'."""
    lines = []
    for key in sorted(saved.keys() | wanted.keys(), key=str):
        a, b = saved.get(key, "nothing"), wanted.get(key, "nothing")
        if isinstance(a, dict) and isinstance(b, dict):
            lines += difference(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a} saved, {b} wanted")
    return lines


def refuse_newer(number, path: str | Path) -> None:
    """Raise CheckpointError for what a later version of this package has written."""
    if not isinstance(number, int) or number > FORMAT:
        raise CheckpointError(f"{path}: was made by a newer version (format {number}, this one "
                              f"reads up to {FORMAT}): update the course, or choose another folder")


def refuse_difference(saved: dict, wanted: dict, path: str | Path, hint: str = "") -> None:
    """Raise CheckpointError, key by key, unless the two configs are the same."""
    lines = difference(saved, wanted)
    if lines:
        raise CheckpointError(f"{path}: holds a run of another config ({'; '.join(lines)}): "
                              f"choose another folder, or go back to the saved config{hint}")


def adopt(model, weights: dict) -> str:
    """Take over the tensors that fit by name and shape; returns what became of them, in words.

    Raises CheckpointError when none fits.
    """
    own = model.state_dict()
    fit_in = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    if not fit_in:
        raise CheckpointError(f"none of the {len(weights)} saved tensors fits this network: start "
                            "anew with resume=False")
    model.load_state_dict(fit_in, strict=False)
    fresh = [key for key in own if key not in fit_in]
    return (f"took over {len(fit_in)} of {len(own)} tensors"
            + (f"; fresh are {', '.join(fresh[:5])}{' ...' if len(fresh) > 5 else ''}"
               if fresh else ""))


def _flush_names(folder: Path) -> None:
    """Let the new names reach the disk, too, where the system can be told so."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> dict:
    """One checkpoint file and no other, on the CPU. Raises CheckpointError."""
    try:
        if zipfile.is_zipfile(path) and zipfile.ZipFile(path).testzip():
            raise CheckpointError(f"{path}: is damaged, its checksums do not fit")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")      # torch's remarks on pickles; the verdict is below
            state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f"{path}: is no checkpoint of tensors and plain values, it could run code when "
            "opened: not loaded; use one saved by this package"
        ) from error
    except CheckpointError:
        raise
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: is truncated or damaged") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, not a checkpoint")
    return state
