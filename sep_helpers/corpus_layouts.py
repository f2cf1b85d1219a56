"""Public corpora as they come out of their archives: who or what sounds in which file.

Each function maps an unpacked folder to the rows of its manifest: file (relative to the folder),
speaker, category or track and stem, split, and what else the corpus says of a recording.
"""
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sep_helpers import audio
from sep_helpers.manifests import CorpusError, files_below
from sep_helpers.own_folder import draw_split

MUSDB_STEMS = ("drums", "bass", "other", "vocals")     # audio streams 1 to 4; 0 is the mixture
FFMPEG = "ffmpeg"
PATIENCE = 600      # seconds that ffmpeg may take for one track


def librispeech(folder: Path) -> pd.DataFrame:
    """LibriSpeech: .../SUBSET/READER/CHAPTER/READER-CHAPTER-NUMBER.flac, the readers in
    SPEAKERS.TXT. The subsets' own split is of no use to a single subset: it is drawn by readers."""
    rows = _matching(folder, r"(?:.*/)?(?P<subset>[^/]+)/(?P<speaker>\d+)/(?P<chapter>\d+)/"
                             r"(?P=speaker)-(?P=chapter)-\d+\.flac")
    sex = {}
    for path in folder.rglob("SPEAKERS.TXT"):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) > 1 and fields[0].isdigit():
                sex[fields[0]] = fields[1]
    if sex:
        rows["sex"] = rows.speaker.map(sex).fillna("")
    return draw_split(rows, "speaker")


def fsdd(folder: Path) -> pd.DataFrame:
    """Free Spoken Digit Dataset: .../recordings/DIGIT_SPEAKER_TAKE.wav, split by speakers."""
    rows = _matching(folder, r"(?:.*/)?recordings/(?P<digit>\d)_(?P<speaker>[^/_]+)_(?P<take>\d+)"
                             r"\.wav")
    return draw_split(rows, "speaker")


def esc10(folder: Path) -> pd.DataFrame:
    """ESC-10: "NNN - Category/FOLD-CLIP-TAKE.ogg". Folds 1 to 3 train, 4 is val, 5 is test: takes
    of one field recording are in one fold."""
    rows = _matching(folder, r"(?:.*/)?\d+ - (?P<category>[^/]+)/(?P<fold>\d)-(?P<clip>[^/-]+)-"
                             r"[^/]+\.(?:ogg|wav)")
    return _by_fold(rows.assign(category=rows.category.str.lower().str.replace(r"\W+", "_",
                                                                              regex=True)))


def esc50(folder: Path) -> pd.DataFrame:
    """ESC-50: .../audio/FOLD-CLIP-TAKE-CLASS.wav, the categories in meta/esc50.csv; split by fold
    like ESC-10, whose clips have esc10 = True."""
    rows = _matching(folder, r"(?:.*/)?audio/(?P<filename>(?P<fold>\d)-(?P<clip>[^/-]+)-"
                             r"[^/]+\.wav)")
    listed = next(iter(sorted(folder.rglob("meta/esc50.csv"))), None)
    if listed is None:
        raise CorpusError(f"{folder} has no meta/esc50.csv: is it ESC-50?")
    listed = pd.read_csv(listed, dtype=str).set_index("filename")
    rows = rows[rows.filename.isin(listed.index)].reset_index(drop=True)
    rows["category"] = rows.filename.map(listed.category)
    rows["esc10"] = rows.filename.map(listed.esc10)
    return _by_fold(rows.drop(columns="filename"))


def musdb(folder: Path) -> pd.DataFrame:
    """MUSDB18: train/NAME.stem.mp4 and test/NAME.stem.mp4, each of five audio streams, which become
    NAME/STEM.flac (16 bit). A seventh of the training tracks, drawn, is for validation: this is not
    the list that the corpus' own tools use."""
    archives = [file for file in sorted(files_below(folder)) if file.endswith(".stem.mp4")]
    if not archives:
        raise CorpusError(f"{folder} has no .stem.mp4 files: is it MUSDB18?")
    if not shutil.which(FFMPEG):
        raise CorpusError("MUSDB18's stems lie in .mp4 files, which takes ffmpeg to read: "
                          "sudo apt-get install ffmpeg (or brew install ffmpeg), then try again")
    rows = []
    for file in tqdm(archives, unit="track", desc="taking out the stems", leave=False):
        track = file.removesuffix(".stem.mp4")
        take_out_stems(folder / file, folder / track)
        (folder / file).unlink()
        rows += [{"file": f"{track}/{stem}.flac", "track": Path(track).name, "stem": stem,
                  "split": "test" if "test" in Path(file).parts[:-1] else "train"}
                 for stem in MUSDB_STEMS]
    table = pd.DataFrame(rows)
    tracks = sorted(table.track[table.split == "train"].unique())
    chosen = np.random.default_rng(0).permutation(tracks)[:round(len(tracks) / 7)]
    table.loc[table.track.isin(chosen), "split"] = "val"
    return table


def take_out_stems(path: Path, folder: Path) -> None:
    """Write the four stems of a .stem.mp4 into `folder`, as 16-bit FLAC. Raises CorpusError."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [FFMPEG, "-nostdin", "-v", "error", "-y", "-i", f"file:{path}"]
    for stream, stem in enumerate(MUSDB_STEMS, 1):
        command += ["-map", f"0:a:{stream}", "-c:a", "flac", "-sample_fmt", "s16",
                    f"file:{folder / stem}.flac"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                              errors="replace")
        fault = done.stderr.strip().splitlines()[:1] if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        fault = [str(error)]
    if fault is not None:
        raise CorpusError(f"{path.name}: ffmpeg found no five audio streams in it "
                          f"({' '.join(fault)}): fetch it again")


def with_samples(folder: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose recording can be read, with the column `samples`; the others are named."""
    samples, faults = [], []
    for file in tqdm(table.file, unit="file", desc="looking at recordings", leave=False):
        try:
            samples.append(audio.probe(folder / file)[0])
        except audio.AudioError as fault:
            samples.append(0)
            faults.append(str(fault))
    table = table.assign(samples=samples)
    if faults:
        print(f"left out {len(faults)} recordings:", *faults[:10], sep="\n  ")
    if len(faults) == len(table):
        raise CorpusError(f"{folder} has no recording that can be read, the first because "
                          f"{faults[0]}")
    return table[table.samples > 0].reset_index(drop=True)


def _matching(folder: Path, pattern: str) -> pd.DataFrame:
    """The files whose path matches, with the pattern's named groups as columns."""
    found = [(file, match) for file in sorted(files_below(folder))
             if (match := re.fullmatch(pattern, file))]
    if not found:
        raise CorpusError(f"{folder} has no files like {pattern}: is it the right archive?")
    return pd.DataFrame([{"file": file} | match.groupdict() for file, match in found])


def _by_fold(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(split=rows.fold.map({"4": "val", "5": "test"}).fillna("train"))
