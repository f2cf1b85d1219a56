"""Songs as stems: the layouts in which multitracks come, as one kind of corpus.

    song/vocals.wav, drums.wav, bass.wav, other.wav        folders of one's own, one a song
    Sources/Dev/SONG/vocals.wav, Sources/Test/SONG/...     DSD100, whose Mixtures/ are not needed
    train/SONG/vocals.wav, test/SONG/...                   MUSDB18-HQ
    train/SONG.stem.mp4, test/SONG.stem.mp4                MUSDB18 and its excerpts, by ffmpeg

A song is used when it has every stem that is asked for, all of one length; what is left out is
named, with the remedy. A silent stem is a true zero and stays.
"""
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from sep_helpers import audio, streams
from sep_helpers.conversion import Intake, take_in
from sep_helpers.corpora import Corpus
from sep_helpers.manifests import CorpusError, files_below, read_manifest, with_category
from sep_helpers.own_folder import SOUND_FILES, draw_split, list_recordings

STEMS = ("vocals", "drums", "bass", "other")
LAYOUTS = {"Dev": "train", "Test": "test", "train": "train", "valid": "val", "test": "test"}
UNEVEN = 0.05           # seconds that the stems of a song may differ in length; AAC fills frames
VAL_SHARE = 7           # one training song in so many validates, where the corpus names none


def open_stems(folder: str | Path, sample_rate: int = 22050, channels: int = 2,
               names: Sequence[str] = STEMS, cache: str | Path | None = None) -> Corpus:
    """The songs below a folder, in any of the layouts above, as a corpus at `sample_rate`.

    Songs that lack one of the stems `names`, or whose stems differ in length, are left out and
    named (`corpus.left_out`); so is what is worth knowing of the others: mono, or a low rate.
    A .stem.mp4 is unpacked once, beside the folder. Raises CorpusError, or AudioError without
    ffmpeg.
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder: give the one that holds the songs")
    if any(file.endswith(".stem.mp4") for file in files_below(folder)):
        folder = unpack(folder)
    faults: list = []
    listed = (folder / "manifest.csv").exists()
    table = read_manifest(folder)[0] if listed else _songs(folder, faults)
    if "stem" not in table:
        raise CorpusError(f"{folder} holds no stems: its manifest.csv lacks track and stem")
    table = table[table.stem.isin(names)].reset_index(drop=True)
    table = _without(table, _incomplete(folder, table, names), faults)
    for line in _oddities(folder, table, sample_rate, channels):
        print(line)
    intake = Intake(sample_rate, channels, silence=True, faults=faults)
    home, table = take_in(folder, table, intake, cache, thorough=not listed)
    table = _without(table, _incomplete(home, table, names) | _uneven(home, table, sample_rate),
                     faults)
    intake.report(folder)
    if "split" not in table:
        table = draw_split(table, "stem")
    return Corpus(home, table.reset_index(drop=True), sample_rate, channels, "stem", faults)


def unpack(folder: str | Path, to: str | Path | None = None) -> Path:
    """Take the stems out of the .stem.mp4 files below a folder, as FLAC, into `to` (default: the
    folder's name with _stems beside it), SONG/STEM.flac; the folder that has them.

    What was unpacked before stays. A file that cannot be unpacked is named, the others go on.
    """
    folder = Path(folder).expanduser().resolve()
    to = Path(to) if to else folder.with_name(f"{folder.name}_stems")
    files = [file for file in sorted(files_below(folder)) if file.endswith(".stem.mp4")]
    streams.require(files[0] if files else folder)
    faults = []
    for file in tqdm(files, unit="song", desc="taking out the stems", leave=False):
        song = to / file.removesuffix(".stem.mp4")
        if song.is_dir():
            continue
        draft = song.with_name(f".{song.name}.draft")
        try:
            stems, rate = streams.read_stems(folder / file)
            draft.mkdir(parents=True, exist_ok=True)
            for name in STEMS:
                audio.write(draft / f"{name}.flac", stems[name], rate)
            draft.rename(song)
        except audio.AudioError as error:
            faults.append(str(error))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    if faults:
        print(f"left out {len(faults)} of {len(files)} songs:", *faults, sep="\n  ")
    if len(faults) == len(files):
        raise CorpusError(f"{folder} has no .stem.mp4 that can be read: "
                          f"{(*faults, 'there is none')[0]}")
    return to


def from_musdb(tracks: Iterable, to: str | Path) -> Path:
    """Songs of the package `musdb` (a musdb.DB, or some of its tracks) as a folder of stems.

    Each track has name, subset ("train" or "test"), split ("train", "valid" or "test"), rate and
    targets[stem].audio (time, channel).
    """
    to = Path(to)
    for track in tracks:
        part = getattr(track, "split", None) or track.subset
        for name in STEMS:
            path = to / part / track.name / f"{name}.flac"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                audio.write(path, torch.from_numpy(np.asarray(track.targets[name].audio).T.copy()),
                            int(track.rate))
    return to


def write_song(folder: str | Path, stems: dict[str, torch.Tensor], rate: int) -> list[Path]:
    """Stems (channel, time) as a folder that `open_stems` reads back: SONG/STEM.wav."""
    paths = []
    for name, wave in stems.items():
        paths.append(Path(folder) / f"{name}.wav")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        audio.write(paths[-1], wave, rate)
    return paths


# --- layouts

def _songs(folder: Path, faults: list) -> pd.DataFrame:
    """A row a stem, of whatever layout the folder has: file, track, stem, split where known."""
    rows = []
    for file in sorted(files_below(folder)):
        path = Path(file)
        above = path.parts[:-2]
        part = next((p for p in reversed(above) if p in LAYOUTS), None)
        if part and path.suffix.lower() in SOUND_FILES and "Mixtures" not in above \
                and path.stem.lower() != "mixture" and not path.parts[-2].startswith("."):
            rows.append({"file": file, "track": path.parent.as_posix(), "stem": path.stem.lower(),
                         "split": LAYOUTS[part]})
    if not rows:
        return list_recordings(folder, "stem", faults)[0]
    table = with_category(pd.DataFrame(rows), "stem")
    if "val" not in set(table.split):       # a drawn seventh of the training songs
        songs = sorted(table.track[table.split == "train"].unique())
        chosen = np.random.default_rng(0).permutation(songs)[:round(len(songs) / VAL_SHARE)]
        table.loc[table.track.isin(chosen), "split"] = "val"
    return table


# --- what is wrong with a song

def _incomplete(folder: Path, table: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """track -> what it lacks."""
    faults = {}
    for track, rows in table.groupby("track"):
        if lost := [name for name in names if name not in set(rows.stem)]:
            faults[track] = (f"{folder / Path(rows.file.iloc[0]).parent} has no {lost[0]}: add it "
                             "(silence, if the song has none), or ask for fewer stems")
    return faults


def _uneven(folder: Path, table: pd.DataFrame, rate: int) -> dict[str, str]:
    faults = {}
    for track, rows in table.groupby("track"):
        longest, shortest = (rows.loc[i] for i in (rows.samples.idxmax(), rows.samples.idxmin()))
        if longest.samples - shortest.samples > UNEVEN * rate:
            faults[track] = (
                f"{folder / Path(longest.file).parent}: {longest.stem} has "
                f"{longest.samples / rate:.2f} s, {shortest.stem} {shortest.samples / rate:.2f}: "
                "export all stems from one start to one end")
    return faults


def _without(table: pd.DataFrame, bad: dict[str, str], faults: list) -> pd.DataFrame:
    faults += bad.items()
    kept = table[~table.track.isin(bad)].reset_index(drop=True)
    if kept.empty:
        raise CorpusError(next(iter(bad.values()), "no song is left: look at corpus.left_out"))
    return kept


def _oddities(folder: Path, table: pd.DataFrame, sample_rate: int, channels: int) -> list[str]:
    """What is used, but not what one might think: one line a kind, with an example."""
    low, mono = {}, []
    for file in table.file:
        try:
            _, rate, found = audio.probe(folder / file)
        except audio.AudioError:
            continue                      # named when it is taken in
        if rate < sample_rate:
            low[file] = rate
        if found < channels:
            mono.append(file)
    lines = []
    if low:
        file, rate = next(iter(low.items()))
        lines.append(f"{len(low)} stems have a lower rate, {file} for one {rate} Hz: brought to "
                     f"{sample_rate}, they hold nothing above {rate // 2} Hz")
    if mono:
        lines.append(f"{len(mono)} stems are mono, {mono[0]} for one: given to both channels")
    return lines
