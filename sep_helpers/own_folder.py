"""A folder of one's own recordings: find them, convert them once, draw a split."""
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from sep_helpers import audio

SOUND_FILES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}
SILENCE_DB = -80.0          # a recording below this level is of no use


class CorpusError(ValueError):
    """A folder, manifest or recording that cannot be used, named, with the remedy."""


def list_recordings(folder: Path) -> pd.DataFrame:
    """The sound files in each sub-folder, which is their speaker: columns file, speaker."""
    files = [path.relative_to(folder) for path in sorted(folder.glob("*/**/*"))
             if path.suffix.lower() in SOUND_FILES and not path.name.startswith(".")]
    if not files:
        raise CorpusError(f"{folder} has no recordings: make a folder a speaker, with sound files "
                          f"({', '.join(sorted(SOUND_FILES))}) in it")
    return pd.DataFrame({"file": [file.as_posix() for file in files],
                         "speaker": [file.parts[0] for file in files]})


def split_speakers(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The table with a drawn column `split`: 80 % of the speakers train, 10 % val, 10 % test.

    Two speakers at least are for test and two for val, since a mixture needs two. Training speakers
    with five recordings or more keep a fifth of them out for test. With fewer than six speakers,
    everyone's recordings are split 80/10/10 instead: then no voice is unheard.
    """
    rng = np.random.default_rng(seed)
    speakers = rng.permutation(sorted(table.speaker.unique()))
    tenth = round(0.1 * len(speakers))
    n_test = n_val = max(2, tenth)
    split = pd.Series("train", index=table.index)
    if len(speakers) >= 6:
        split[table.speaker.isin(speakers[:n_test])] = "test"
        split[table.speaker.isin(speakers[n_test:n_test + n_val])] = "val"
    for _, rows in table[split == "train"].groupby("speaker"):
        rows = rng.permutation(rows.index)
        if len(speakers) < 6:
            tenth = max(1, round(0.1 * len(rows)))       # the first row stays in train
            split[rows[1:1 + tenth]] = "test"
            split[rows[1 + tenth:1 + 2 * tenth]] = "val"
        elif len(rows) >= 5:
            split[rows[:round(0.2 * len(rows))]] = "test"
    return table.assign(split=split)


def take_in(folder: Path, table: pd.DataFrame, sample_rate: int, cache: str | Path | None,
            thorough: bool) -> tuple[Path, pd.DataFrame]:
    """(folder, table with `samples`) where every recording is mono at `sample_rate`.

    Where all are so already, that is the folder itself; else all are converted, once, into `cache`.
    `thorough`: read recordings that stay in place too, to find those that are silent or have NaN.
    """
    table, headers = _keep(table, lambda file: audio.probe(folder / file))
    if all(header[1:] == (sample_rate, 1) for header in headers):
        if not thorough:
            return folder, table.assign(samples=[header[0] for header in headers])
        table, samples = _keep(table, lambda file: len(_sound(folder / file, sample_rate)))
        return folder, table.assign(samples=samples)
    target = Path(cache or _cache_of(folder, sample_rate))
    source = {file if file.endswith(".flac") else f"{file}.flac": folder / file
              for file in table.file}
    stale = [copy for copy in source if not _is_current(target / copy, source[copy])]
    if stale:
        print(f"converting {len(stale)} of {len(source)} recordings in {folder} to {sample_rate} "
              f"Hz mono, into {target}")
    table, samples = _keep(table.assign(file=list(source)),
                           lambda copy: _convert(source[copy], target / copy, sample_rate))
    return target, table.assign(samples=samples)


def _keep(table: pd.DataFrame, use: Callable) -> tuple[pd.DataFrame, list]:
    """The rows whose file `use` accepts, and what it returned; the others are named."""
    results, faults = {}, []
    for row, file in table.file.items():
        try:
            results[row] = use(file)
        except audio.AudioError as fault:
            faults.append(str(fault))
    if not results:
        raise CorpusError(f"no recording can be used, the first because {faults[0]}")
    if faults:
        print(f"left out {len(faults)} of {len(table)} recordings:", *faults, sep="\n  ")
    return table.loc[list(results)].reset_index(drop=True), list(results.values())


def _sound(path: Path, sample_rate: int) -> Tensor:
    waveform = audio.load_any(path, sample_rate)
    if audio.rms_db(waveform) < SILENCE_DB:
        raise audio.AudioError(f"{path} is silent (below {SILENCE_DB:.0f} dB): record it again")
    return waveform


def _is_current(copy: Path, source: Path) -> bool:
    return copy.exists() and copy.stat().st_mtime >= source.stat().st_mtime


def _convert(source: Path, copy: Path, sample_rate: int) -> int:
    """Write `source` as mono FLAC to `copy` unless that was done before; its samples."""
    if _is_current(copy, source):
        return audio.probe(copy)[0]
    waveform = _sound(source, sample_rate)
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        # resampling overshoots full scale a little; a view sets the level anyway
        audio.write(copy, waveform / waveform.abs().max().clamp_min(1), sample_rate)
    except (OSError, audio.AudioError) as error:      # not the recording's fault: stop
        raise CorpusError(f"cannot convert into {copy.parent}: {error}") from None
    return len(waveform)


def _cache_of(folder: Path, sample_rate: int) -> Path:
    """Where the converted recordings of `folder` are kept: the user's cache, by folder and rate."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(f"{folder} {sample_rate}".encode()).hexdigest()[:10]
    return home / "sep_helpers" / f"{folder.name}-{key}"
