"""A run is one training, and a run is a folder: config, history, checkpoints.

    config.yaml      what was asked for            last.pt   where it stands (and .previous)
    history.csv      one line an epoch             best.pt   its best epoch so far

The state inside `last.pt` is the truth that a resumed run goes on from; the CSV is a copy of its
history. Beside the config, config.yaml holds a record: the run's `id`, which its checkpoints carry,
the `facts` that came with it, and the `changes` its settings went through.
"""

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import yaml

from sep_helpers import checkpoints, drive_mirror
from sep_helpers.checkpoints import CheckpointError
from sep_helpers.logs import LOG
from sep_helpers.run_files import RECORD, board, history, read_config, write_text

__all__ = ["CheckpointError", "Run", "board", "history"]

RESUME = (True, False, "settings", "weights")
RENEWABLE = {f"training.{key}" for key in (
    "epochs", "learning_rate", "schedule", "warmup", "halve_every", "plateau_patience", "clip",
    "objective", "assignment", "gamma", "precision",
    "patience")}                                         # what a run may change and go on


class Run:
    """The folder of one training; made if it is not there, refused if it holds another config.

    `resume` says what becomes of a run of another config: True refuses it; "settings" goes on with
    the new training settings and writes down what changed; "weights" starts anew from its weights;
    False starts anew whatever is there. The last two move what was there to `earlier_1`, 2 ...
    """

    def __init__(self, folder: str | Path, config: dict, resume: bool | str = True,
                 facts: dict | None = None, say: Callable[[str], None] = LOG.info):
        if resume not in RESUME:
            raise CheckpointError(f"unknown resume={resume!r}: choose from "
                                  f"{', '.join(map(repr, RESUME))}")
        self.folder, self.say = Path(folder), say
        self.config = yaml.safe_load(yaml.safe_dump(config))     # as it will be read back
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoints.clean(self.folder)
        self.mirror = drive_mirror.of(self.folder, say)
        if self.mirror is not None:
            self._fetch_newer()
        self.weights: dict | None = None        # to start from, when they are another run's
        saved = self._read()
        self.record = {"format": checkpoints.FORMAT, "id": uuid.uuid4().hex[:12], "base": 0,
                       "facts": dict(facts or {}), "changes": []}
        if saved is not None:
            self._meet(saved, resume)
        self._write_config()

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
        checkpoints.refuse_newer(state.get("format", 1), self.last)
        if state.get("record", {}).get("id") != self.record["id"]:
            lines = checkpoints.difference(state.get("config", {}), self.config)
            which = "; ".join(lines) or "same config"
            raise CheckpointError(f"{self.last}: is the checkpoint of another run ({which}): put "
                                  "the right file back, or take last.pt.previous")
        return state

    def save(self, state: dict, number: int = 0) -> None:
        """Write the state and the copy of its history; `number`: its place among the others."""
        number += self.record["base"]
        checkpoints.save(self.last, {**state, **self._label(number)})
        write_text(self.folder / "history.csv", pd.DataFrame(state["history"]).to_csv(index=False))

    def save_best(self, weights: dict, row: dict, number: int = 0) -> None:
        """Keep the weights of the best epoch, with that epoch's line of the history."""
        number += self.record["base"]
        checkpoints.save(self.best, {"model": weights, "row": row, **self._label(number)})

    def finish(self, over: bool = True) -> None:
        """Leave the file `finished` when the training is over, for scripts that wait for it."""
        mark = self.folder / "finished"
        if over:
            write_text(mark, "nothing is left to train\n")
        else:
            mark.unlink(missing_ok=True)

    def copy_away(self, number: int, wait: bool = False) -> None:
        """Begin to copy the newest checkpoints to the run's second home, if it has one."""
        if self.mirror is None:
            return
        if wait:
            self.mirror.finish()
        self.mirror.push(self.record["base"] + number)
        if wait:
            self.mirror.finish()

    def _label(self, number: int) -> dict:
        return {"config": self.config, "record": self.record, "number": number,
                "format": checkpoints.FORMAT}

    def _read(self) -> dict | None:
        """The saved config with its record, also where only a checkpoint is left of it."""
        file = self.folder / "config.yaml"
        if file.exists():
            return read_config(file)
        if checkpoints.exists(self.last):
            state = checkpoints.load(self.last)
            return {**state.get("record", {}), **state.get("config", {})}
        return None

    def _write_config(self) -> None:
        write_text(self.folder / "config.yaml",
                 yaml.safe_dump({**self.record, **self.config}, sort_keys=False))

    def _meet(self, saved: dict, resume: bool | str) -> None:
        """Decide about the run that is there already."""
        checkpoints.refuse_newer(saved.get("format", 1), self.folder / "config.yaml")
        old = {key: value for key, value in saved.items() if key not in RECORD}
        lines = checkpoints.difference(old, self.config)
        changed = {line.split(":")[0] for line in lines}
        if resume is False or (lines and resume == "weights"):
            self._start_anew(old, lines, weights=resume == "weights")
            return
        if lines and (resume != "settings" or not changed <= RENEWABLE):
            hint = ("; resume='settings' takes the new ones and goes on" if changed <= RENEWABLE
                    else "; resume='weights' starts anew from its weights")
            checkpoints.refuse_difference(old, self.config, self.folder, hint)
        given = self.record["facts"]
        self.record = {**self.record, **{k: saved[k] for k in RECORD if k in saved}}
        self.record["facts"] = {**given, **(saved.get("facts") or {})}
        if lines:
            self.load()                 # cannot be gone on with? then nothing has been changed yet
            self.say(f"going on with new settings: {'; '.join(lines)}")
            self.record["changes"] = [*self.record["changes"], {"settings": lines}]

    def _start_anew(self, old: dict, lines: list[str], weights: bool) -> None:
        state: dict = {}
        with suppress(CheckpointError):              # damaged ones do not stand in the way
            state = checkpoints.load(self.last)
        if weights:
            kept = next(filter(checkpoints.exists, (self.best, self.last)), None)
            self.weights = checkpoints.load(kept).get("model") if kept else None
            self.record["facts"]["adopted"] = lines
        self.record["base"] = state.get("number", 0) + 1
        number = 1 + len(list(self.folder.glob("earlier_*")))
        attic = self.folder / f"earlier_{number}"
        attic.mkdir()
        for path in sorted(self.folder.iterdir()):
            if not path.name.startswith(("earlier_", ".")):
                os.replace(path, attic / path.name)
        self.say(f"starting anew; the run that was here is kept in {attic}")

    def _fetch_newer(self) -> None:
        """Take over the second home's checkpoint where it is newer than this folder's."""
        here = {}
        with suppress(CheckpointError):
            here = checkpoints.load(self.last)
        found = self.mirror.look()
        if "last" not in found or found["last"][0] <= here.get("number", -1):
            return
        drafts = {kind: self.folder / f".{kind}.pt.{os.getpid()}.tmp" for kind in found}
        for kind, (_, content) in found.items():
            drive_mirror.write(drafts[kind], content)
        state = checkpoints.read(drafts["last"])
        checkpoints.refuse_newer(state.get("format", 1), self.mirror.remote)
        if here and here.get("record", {}).get("id") != state["record"]["id"]:
            raise CheckpointError(f"{self.mirror.remote}: holds another run than {self.folder}: "
                                  "move one of the two away, or choose another folder")
        write_text(self.folder / "config.yaml", yaml.safe_dump(
            {**state["record"], **state["config"]}, sort_keys=False))
        write_text(self.folder / "history.csv", pd.DataFrame(state["history"]).to_csv(index=False))
        for kind in sorted(drafts):                      # best before last
            os.replace(drafts[kind], self.folder / f"{kind}.pt")
        self.say(f"fetched step {state['number']} of your run from {self.mirror.remote}")
