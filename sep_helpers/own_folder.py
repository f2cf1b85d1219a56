"""A folder of one's own recordings: find them, and draw a split."""
from pathlib import Path

import numpy as np
import pandas as pd

from sep_helpers.conversion import NO_SOUND
from sep_helpers.manifests import CorpusError, files_below, with_category

SOUND_FILES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"}
FILMS = {".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".mov", ".avi", ".3gp", ".amr", ".mka"}
STEMS = {"vocals", "drums", "bass", "other", "accompaniment", "guitar", "piano", "keys", "lead"}


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
