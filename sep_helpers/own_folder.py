"""A folder of one's own recordings: find them, convert them once, draw a split."""
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor
from tqdm.auto import tqdm

from sep_helpers import audio
from sep_helpers.manifests import CorpusError, files_below, with_category

SOUND_FILES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}
FILMS = {".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".mov", ".avi", ".3gp", ".amr", ".mka"}
STEMS = {"vocals", "drums", "bass", "other", "accompaniment", "guitar", "piano", "keys", "lead"}
SILENCE_DB = -80.0          # a recording below this level is of no use
SHORTEST = 0.1              # ... nor is one of fewer seconds
NO_SOUND = "is not a sound file: it may stay"
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


def list_recordings(folder: Path, kind: str | None, faults: list) -> tuple[pd.DataFrame, str]:
    """(table, kind): the sound files in the sub-folders, each of which is a speaker, a category or
    a track with files named by stem. Other files go into `faults`.

    Without `kind`, folders whose files are all named like stems are tracks, others are speakers.
    """
    files = sorted(file for file in files_below(folder)
                   if not any(part.startswith(".") for part in file.split("/")))
    kept = [file for file in files if not (fault := _fault_of_name(folder, file, kind))
            or faults.append((file, fault))]
    faults += [(name.name, f"{name} is a link to a folder: copy the folder inside")
               for name in sorted(folder.iterdir()) if name.is_symlink() and name.is_dir()]
    if not kept:
        raise CorpusError(f"{folder} has no recordings: make a folder a speaker, with sound files "
                          f"({', '.join(sorted(SOUND_FILES))}) in it"
                          + (f"; the first file of {len(faults)} there: {faults[0][1]}"
                             if faults else ""))
    paths = [Path(file) for file in kept]
    if kind is None:
        kind = "stem" if all(path.stem.lower() in STEMS | {"mixture"} for path in paths) \
            else "speaker"
    table = pd.DataFrame({"file": kept})
    if kind == "stem":
        table = table.assign(track=[path.parent.as_posix() for path in paths],
                             stem=[path.stem.lower() for path in paths])
        mixed = table.stem == "mixture"
        faults += [(file, f"{folder / file} is a mixture: the sum of the stems is taken instead")
                   for file in table.file[mixed]]
        table = table[~mixed].reset_index(drop=True)
    else:
        table[kind] = [path.parts[0] for path in paths]
    return with_category(table, kind), kind


def _fault_of_name(folder: Path, file: str, kind: str | None) -> str | None:
    """Why a file cannot be a recording of the corpus, seen from its name alone."""
    path, suffix = folder / file, Path(file).suffix.lower()
    if suffix in FILMS:
        return f"{path} cannot be read: convert it, with ffmpeg -i {path.name} {path.stem}.wav"
    if suffix not in SOUND_FILES:
        return f"{path} {NO_SOUND}"
    if "/" not in file:
        return f"{path} lies beside the folders: move it into the one of its {kind or 'speaker'}"
    if path.is_symlink() and not path.resolve().is_relative_to(folder):
        return f"{path} is a link that leads outside: copy the recording inside"
    return None


def draw_split(table: pd.DataFrame, kind: str, seed: int = 0) -> pd.DataFrame:
    """The table with a drawn column `split`, 80 / 10 / 10 % for train, val and test.

    Speakers: see `split_speakers`. Categories: each one's recordings are divided. Stems: tracks.
    """
    if kind == "speaker":
        return split_speakers(table, seed)
    rng = np.random.default_rng(seed)
    if kind == "category":
        return table.assign(split=_divide(table, "category", rng))
    tracks = pd.DataFrame({"track": sorted(table.track.unique()), "all": ""})
    by_track = dict(zip(tracks.track, _divide(tracks, "all", rng), strict=True))
    return table.assign(split=table.track.map(by_track))


def split_speakers(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The table with a drawn column `split`: 80 % of the speakers train, 10 % val, 10 % test.

    Two speakers at least are for test and two for val, since a mixture needs two. Training speakers
    with five recordings or more keep a fifth of them out for test. With fewer than six speakers,
    everyone's recordings are split 80/10/10 instead: then no voice is unheard.
    """
    rng = np.random.default_rng(seed)
    speakers = rng.permutation(sorted(table.speaker.unique()))
    n_test = n_val = max(2, round(0.1 * len(speakers)))
    split = pd.Series("train", index=table.index)
    if len(speakers) < 6:
        return table.assign(split=_divide(table, "speaker", rng))
    split[table.speaker.isin(speakers[:n_test])] = "test"
    split[table.speaker.isin(speakers[n_test:n_test + n_val])] = "val"
    for _, rows in table[split == "train"].groupby("speaker"):
        rows = rng.permutation(rows.index)
        if len(rows) >= 5:
            split[rows[:round(0.2 * len(rows))]] = "test"
    return table.assign(split=split)


def _divide(table: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.Series:
    """A split for every row: of each value's rows a tenth, or one, for test and as many for val."""
    split = pd.Series("train", index=table.index)
    for _, rows in table.groupby(column):
        rows = rng.permutation(rows.index)
        tenth = max(1, round(0.1 * len(rows)))       # the first row stays in train
        split[rows[1:1 + tenth]] = "test"
        split[rows[1 + tenth:1 + 2 * tenth]] = "val"
    return split


def take_in(folder: Path, table: pd.DataFrame, intake: Intake, cache: str | Path | None,
            thorough: bool) -> tuple[Path, pd.DataFrame]:
    """(folder, table with `samples`) where every recording has the intake's rate and channels.

    Where all are so already, that is the folder itself; else all are converted, once, into `cache`.
    `thorough`: read recordings that stay in place too, to find those that are silent or have NaN.
    """
    wanted = intake.sample_rate, intake.channels
    table, headers = _keep(table, lambda file: audio.probe(folder / file), intake)
    if all(header[1:] == wanted for header in headers):
        if not thorough:
            return folder, table.assign(samples=[header[0] for header in headers])
        table, samples = _keep(table, lambda file: _sound(folder / file, intake).shape[-1], intake)
        return folder, table.assign(samples=samples)
    target = Path(cache or _cache_of(folder, intake))
    copies = [file if file.endswith(".flac") else f"{file}.flac" for file in table.file]
    source = {copy: folder / file for copy, file in zip(copies, table.file, strict=True)}
    if len(source) < len(copies):
        twice = next(copy for copy in copies if copies.count(copy) > 1)
        raise CorpusError(f"{folder}: two recordings would both become {twice}: rename one")
    stale = sum(not _is_current(target / copy, source[copy], intake) for copy in source)
    if stale:
        print(f"converting {stale} of {len(source)} recordings in {folder} to "
              f"{intake.sample_rate} Hz {'mono' if intake.channels == 1 else 'stereo'}, "
              f"into {target}")
    with tqdm(total=stale, unit="file", leave=False, disable=stale < 100) as bar:
        table, samples = _keep(
            table.assign(file=copies),
            lambda copy: _convert(source[copy], target / copy, intake, bar.update), intake)
    return target, table.assign(samples=samples)


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


def _convert(source: Path, copy: Path, intake: Intake, tick: Callable) -> int:
    """Write `source` as FLAC to `copy` unless that was done before; its samples.

    Each copy is written to a file of its own and renamed, so that a conversion that breaks off, or
    two at once, leave only whole copies.
    """
    if _is_current(copy, source, intake):
        return audio.probe(copy)[0]
    tick()
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
