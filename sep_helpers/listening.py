"""Blind listening tests, but for the screen: what is played in which order, and what is written.

Two tests. **ABX**: X is A or B, which one? Nobody who can't hear a difference beats a coin for
long. **MUSHRA** (ITU-R BS.1534-3, made small): every condition rated from 0 to 100 against an open
reference, among them, unmarked, the reference itself and an anchor that must sound bad.

A stimulus is (mixture_id, source). What is played when follows from a seed; every answer is
appended to a CSV at once, so a test can be left and gone on with.
"""

import csv
import hashlib
import json
import os
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.signal import firwin
from torch import Tensor

from sep_helpers.player import matching_gains_db

REFERENCE, ANCHOR = "reference", "anchor"   # the two conditions that every MUSHRA trial has
ANCHOR_HZ = 1000.0
COLUMNS = {"abx": ["listener", "session", "trial", "mixture_id", "source", "a", "b", "x", "answer",
                   "right", "seconds", "when"],
           "mushra": ["listener", "session", "trial", "mixture_id", "source", "system", "rating",
                      "seconds", "when"]}
Stimulus = tuple[str, int]


class ListeningError(ValueError):
    """A test that cannot be made or gone on with, in one line with the remedy."""


@dataclass(frozen=True)
class AbxTrial:
    """A and B are systems, X is one of them."""

    stimulus: Stimulus
    a: str
    b: str
    x: str


@dataclass(frozen=True)
class MushraTrial:
    """The conditions of one stimulus in the order in which they stand on the screen."""

    stimulus: Stimulus
    order: tuple[str, ...]


# --- what is played

def plan_abx(stimuli: list[Stimulus], systems: tuple[str, str], n: int, seed: int
             ) -> list[AbxTrial]:
    """`n` trials: every stimulus about as often as any other; places and X by the toss of a coin.

    Each X is a toss of its own: with as many of one kind as of the other, the last ones could be
    counted out. Raises ListeningError without stimuli or without two systems.
    """
    if not stimuli or len(set(systems)) != 2 or n < 1:
        raise ListeningError(f"{len(stimuli)} stimuli, systems {systems}, {n} trials: an ABX test "
                             "compares two systems on at least one stimulus")
    rng = np.random.default_rng(seed)
    rounds = [rng.permutation(len(stimuli)) for _ in range(-(-n // len(stimuli)))]
    trials = []
    for index in np.concatenate(rounds)[:n]:
        a, b = (systems[i] for i in rng.permutation(2))
        trials.append(AbxTrial(stimuli[index], a, b, (a, b)[rng.integers(2)]))
    return trials


def plan_mushra(stimuli: list[Stimulus], systems: list[str], seed: int) -> list[MushraTrial]:
    """One trial a stimulus, in any order, its conditions in any order: systems, reference, anchor.
    """
    conditions = [REFERENCE, ANCHOR, *systems]
    if not stimuli or not systems or len(set(conditions)) != len(conditions):
        raise ListeningError(f"{len(stimuli)} stimuli, systems {list(systems)}: give some of both, "
                             f"none of them called {REFERENCE!r} or {ANCHOR!r}, none twice")
    rng = np.random.default_rng(seed)
    return [MushraTrial(stimuli[index], tuple(conditions[i] for i in
                                              rng.permutation(len(conditions))))
            for index in rng.permutation(len(stimuli))]


def session(trials: list, sounds: str = "") -> str:
    """A short name of these very trials: answers to others are never mistaken for theirs.

    `sounds` says whose sounds they play, a checkpoint's digest for one: the names of the systems
    stay the same when a network has been trained anew, what they sound like does not.
    """
    return f"{_short(sounds)}-{_short(json.dumps([astuple(trial) for trial in trials]))}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def anchor(source: Tensor, sample_rate: int, cutoff: float = ANCHOR_HZ) -> Tensor:
    """A source (time,) without all above `cutoff` Hz, not delayed: it has to be rated low.

    BS.1534 cuts at 3.5 kHz, made for sound up to 20 kHz. Of speech at 8 kHz, which ends at
    4 kHz, that would take next to nothing away; 1 kHz leaves a voice that one hears through a
    wall, so that is what the course takes.
    """
    taps = 2 * (sample_rate // 32) + 1
    if cutoff >= sample_rate / 2:
        raise ListeningError(f"an anchor cut at {cutoff:g} Hz of sound that ends at "
                             f"{sample_rate / 2:g} Hz is no anchor: cut lower")
    kernel = torch.from_numpy(firwin(taps, cutoff, fs=sample_rate)).to(source.dtype)
    return torch.nn.functional.conv1d(source[None, None], kernel[None, None],
                                      padding=taps // 2)[0, 0]


def equally_loud(versions: dict[str, Tensor], sample_rate: int) -> dict[str, Tensor]:
    """The versions (time,) of one stimulus at one loudness: the louder one would be liked better.
    """
    gains = matching_gains_db([x.numpy(force=True)[None] for x in versions.values()], sample_rate)
    return {name: 10 ** (gain / 20) * x
            for (name, x), gain in zip(versions.items(), gains, strict=True)}


# --- what is written

def append(path: str | Path, test: str, lines: list[dict]) -> None:
    """Add answers to a CSV, all of them and on the disk before this returns.

    A line that an earlier crash left unfinished is ended first. Raises ListeningError if the file
    is not of this test.
    """
    path, columns = Path(path), COLUMNS[test]
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.read_bytes() if path.exists() else b""
    if old and old.split(b"\n", 1)[0].decode(errors="replace").strip() != ",".join(columns):
        raise ListeningError(f"{path} has other columns than a {test} test's: give another file, "
                             "nothing was written to this one")
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    with open(path, "a", encoding="utf-8", newline="") as file:
        if old and not old.endswith(b"\n"):
            file.write("\n")
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if not old:
            writer.writeheader()
        writer.writerows([{"when": now, **line} for line in lines])
        file.flush()
        os.fsync(file.fileno())


def read(path: str | Path, test: str) -> pd.DataFrame:
    """All answers of a CSV, an empty table where there is none; broken lines are counted in print.

    Of an answer given twice the last counts.
    """
    columns, path = COLUMNS[test], Path(path)
    if not path.exists():
        return pd.DataFrame(columns=columns)
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        lines = list(csv.reader(file))
    if not lines or lines[0] != columns:
        raise ListeningError(f"{path} is no {test} test's CSV: its first line should be "
                             f"{','.join(columns)}")
    good = [line for line in lines[1:] if len(line) == len(columns)]
    table = pd.DataFrame(good, columns=columns)
    numbers = [c for c in ("trial", "source", "right", "rating", "seconds") if c in columns]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    whole = table[numbers].notna().all(axis=1)
    if lost := len(lines) - 1 - int(whole.sum()):
        print(f"{path.name}: {lost} broken line{'s' * (lost > 1)} left out")
    key = ["listener", "session", "trial", *(["system"] if test == "mushra" else [])]
    return table[whole].astype({"trial": int, "source": int}).drop_duplicates(key, keep="last")


def of_sounds(answers: pd.DataFrame, sounds: str = "") -> pd.DataFrame:
    """Everybody's answers to these sounds, in whatever order they were played."""
    return answers[answers.session.astype(str).str.startswith(f"{_short(sounds)}-")]


def first_open(answers: pd.DataFrame, listener: str, trials: list, sounds: str = "") -> int:
    """The number of the first trial that this listener has not answered; len(trials): all are."""
    mine = answers[(answers.listener == listener) & (answers.session == session(trials, sounds))]
    return next((n for n in range(len(trials)) if n not in set(mine.trial)), len(trials))
