"""Recordings of any rate and form become what a corpus needs, once, in a cache.

The cache has a copy of each recording, and an index that says what each was made from, so that a
large corpus opens at once the second time. A copy is written to a file of its own and renamed, and
takes over its source's date: a conversion that broke off goes on, two at once do no harm, and a
recording that has changed is converted anew, with or without the index.
"""
import csv
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from torch import Tensor
from tqdm.auto import tqdm

from sep_helpers import audio
from sep_helpers.manifests import CorpusError

SILENCE_DB = -80.0          # a recording below this level is of no use
SHORTEST = 0.1              # ... nor is one of fewer seconds
NO_SOUND = "is not a sound file: it may stay"
INDEX = ".index.csv"
SHOWN = 10                  # faults that are printed; the others are counted


@dataclass
class Intake:
    """What recordings must become, and which of them could not."""

    sample_rate: int
    channels: int
    silence: bool                                # is a silent recording of use? (a stem is)
    faults: list = field(default_factory=list)   # (file, what is wrong with it and what to do)

    def report(self, folder: Path) -> None:
        """Print what was left out, by name, and count it."""
        others = [file for file, fault in self.faults if fault.endswith(NO_SOUND)]
        lines = [fault for _, fault in self.faults if not fault.endswith(NO_SOUND)]
        if lines:
            more = [f"... and {len(lines) - SHOWN} more, see corpus.left_out"]
            print(f"left out {len(lines)} recordings of {folder}:",
                  *lines[:SHOWN], *more[:len(lines) > SHOWN], sep="\n  ")
        if others:
            names = ", ".join(others[:3]) + " ..." * (len(others) > 3)
            print(f"left out {len(others)} files that are no sound files: {names}")


def take_in(folder: Path, table: pd.DataFrame, intake: Intake, cache: str | Path | None,
            thorough: bool) -> tuple[Path, pd.DataFrame]:
    """(folder, table with `samples`) where every recording has the intake's rate and channels.

    Where all are so already, that is the folder itself; else all are converted, once, into `cache`.
    `thorough`: read recordings that stay in place too, to find those that are silent or have NaN.
    """
    wanted = intake.sample_rate, intake.channels
    target = Path(cache or _cache_of(folder, intake))
    known = _read_index(target, intake)
    if not known:
        before = list(intake.faults)
        kept, headers = _keep(table, lambda file: audio.probe(folder / file), intake)
        if all(header[1:] == wanted for header in headers):
            if not thorough:
                return folder, kept.assign(samples=[header[0] for header in headers])
            kept, samples = _keep(kept, lambda file: _sound(folder / file, intake).shape[-1],
                                  intake)
            return folder, kept.assign(samples=samples)
        intake.faults[:] = before      # the conversion will find them again, and remember them
    copies = [file if file.endswith(".flac") else f"{file}.flac" for file in table.file]
    source = {copy: folder / file for copy, file in zip(copies, table.file, strict=True)}
    if len(source) < len(copies):
        twice = next(copy for copy in copies if copies.count(copy) > 1)
        raise CorpusError(f"{folder}: two recordings would both become {twice}: rename one")
    return target, _convert_all(folder, source, target, table.assign(file=copies), known, intake)


def _convert_all(folder: Path, source: dict[str, Path], target: Path, table: pd.DataFrame,
                 known: dict, intake: Intake) -> pd.DataFrame:
    """The table of the copies that could be made, with their `samples`; the index is kept."""
    index = {copy: known[copy] for copy, path in source.items() if copy in known
             and known[copy]["stamp"] == _stamp(path)
             and known[copy]["bytes"] == _bytes(target / copy)}
    stale = [copy for copy in source if copy not in index and (
        copy in known or not _is_current(target / copy, source[copy], intake))]
    if stale:
        print(f"converting {len(stale)} of {len(source)} recordings in {folder} to "
              f"{intake.sample_rate} Hz {'mono' if intake.channels == 1 else 'stereo'}, into "
              f"{target}")
    todo, news = set(stale), len(index) < len(source)
    with tqdm(total=len(stale), unit="file", leave=False, disable=len(stale) < 100) as bar:
        def settle(copy: str) -> int:
            if copy not in index:
                bar.update(copy in todo)
                index[copy] = _entry(folder, source[copy], target / copy, copy in todo, intake)
            if index[copy]["fault"]:
                raise audio.AudioError(index[copy]["fault"])
            return index[copy]["samples"]

        try:
            table, samples = _keep(table, settle, intake)
        finally:
            if news:
                _write_index(target, index, intake)
    return table.assign(samples=samples)


def _entry(folder: Path, source: Path, copy: Path, stale: bool, intake: Intake) -> dict:
    """What the index says of a recording, which is converted if it has to be."""
    stamp = _stamp(source)
    try:
        if not source.resolve().is_relative_to(folder):
            raise audio.AudioError(f"{source} leads outside {folder}: copy it inside")
        samples, fault = _convert(source, copy, intake) if stale else audio.probe(copy)[0], ""
    except audio.AudioError as error:
        samples, fault = 0, str(error)
    return {"stamp": stamp, "bytes": 0 if fault else _bytes(copy), "samples": samples,
            "fault": fault}


def _keep(table: pd.DataFrame, use: Callable, intake: Intake) -> tuple[pd.DataFrame, list]:
    """The rows whose file `use` accepts, and what it returned; the others become faults."""
    results = {}
    for row, file in table.file.items():
        try:
            results[row] = use(file)
        except audio.AudioError as fault:
            intake.faults.append((file, str(fault)))
    if not results:
        raise CorpusError("no recording can be used, the first because "
                          f"{intake.faults[-len(table)][1]}")
    return table.loc[list(results)].reset_index(drop=True), list(results.values())


def _sound(path: Path, intake: Intake) -> Tensor:
    waveform = audio.load_any(path, intake.sample_rate, intake.channels)
    seconds = waveform.shape[-1] / intake.sample_rate
    if seconds < SHORTEST:
        raise audio.AudioError(f"{path} is too short ({seconds:.3f} s): it takes {SHORTEST} s")
    if not intake.silence and audio.level(waveform) < SILENCE_DB:
        raise audio.AudioError(f"{path} is silent (below {SILENCE_DB:.0f} dB): record it again")
    return waveform


def _is_current(copy: Path, source: Path, intake: Intake) -> bool:
    """Was `copy` made from `source` as it is now? A copy takes over its source's date."""
    try:
        if abs(copy.stat().st_mtime_ns - source.stat().st_mtime_ns) > 10**6:
            return False
        return audio.probe(copy)[1:] == (intake.sample_rate, intake.channels)
    except (OSError, audio.AudioError):      # not there, or damaged
        return False


def _convert(source: Path, copy: Path, intake: Intake) -> int:
    """Write `source` as FLAC to `copy`; its samples."""
    date = source.stat().st_mtime_ns
    waveform = _sound(source, intake)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        # resampling overshoots full scale a little; a view sets the level anyway
        peak = max(1.0, abs(waveform.numpy()).max())
        audio.write(copy, waveform if peak == 1 else waveform / peak, intake.sample_rate)
        os.utime(copy, ns=(date, date))
    except (OSError, audio.AudioError) as error:      # not the recording's fault: stop
        raise CorpusError(f"cannot convert into {copy.parent}: {error}") from None
    return waveform.shape[-1]


def _cache_of(folder: Path, intake: Intake) -> Path:
    """Where the converted recordings of `folder` are kept: in the user's cache, by folder, rate
    and channels."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    form = f"{folder} {intake.sample_rate}" + (" stereo" if intake.channels == 2 else "")
    return home / "sep_helpers" / f"{folder.name}-{hashlib.sha256(form.encode()).hexdigest()[:10]}"


# --- the index: a CSV in the cache, one line a recording, the form in its first line


def _stamp(path: Path) -> str:
    """What changes when a file does: its size and date."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size}-{found.st_mtime_ns}"


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _form(intake: Intake) -> list[str]:
    return ["index 1", str(intake.sample_rate), str(intake.channels), str(intake.silence)]


def _read_index(target: Path, intake: Intake) -> dict[str, dict]:
    """copy -> entry; nothing if there is no index, or one for another form, or a damaged one."""
    with suppress(OSError, ValueError, csv.Error):
        with open(target / INDEX, encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file, strict=True)
        if head == _form(intake):
            return {copy: {"stamp": stamp, "bytes": int(size), "samples": int(samples),
                           "fault": fault} for copy, stamp, size, samples, fault in rows}
    return {}


def _write_index(target: Path, index: dict[str, dict], intake: Intake) -> None:
    """Write the index whole or not at all; without one, the next opening only takes longer."""
    draft = target / f"{INDEX}.{os.getpid()}"
    with suppress(OSError):
        with open(draft, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([_form(intake)] + [[copy, *entry.values()]
                                                          for copy, entry in index.items()])
        os.replace(draft, target / INDEX)
