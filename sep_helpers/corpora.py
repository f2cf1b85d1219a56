"""Corpora: folders of recordings with a manifest, one row a recording.

The embedded one, a downloaded one, or the learner's own folder: `manifest.csv` says who speaks in
which file and whether it is for training, validation or test. Without a manifest every sub-folder
is a speaker, and the split is drawn here, from a seed.
"""
import os
from pathlib import Path

import pandas as pd
from torch import Tensor

from sep_helpers import audio
from sep_helpers.own_folder import SILENCE_DB, CorpusError, list_recordings, split_speakers, take_in

SPLITS = ("train", "val", "test")
CACHE_BYTES = 512 * 2**20   # how much of a corpus stays in RAM: 4.6 hours at 8 kHz


class Corpus:
    """Recordings under `folder`; `table` has file, speaker, split, samples and more, a row each."""

    def __init__(self, folder: Path, table: pd.DataFrame, sample_rate: int):
        self.folder, self.table, self.sample_rate = Path(folder), table, sample_rate
        self._samples = dict(zip(table.file, table.samples, strict=True))
        self._waveforms, self._levels, self._held = {}, {}, 0

    def __getstate__(self) -> dict:
        # a DataLoader's worker gets the table, not the sound: it fills a cache of its own
        return self.__dict__ | {"_waveforms": {}, "_levels": {}, "_held": 0}

    def waveform(self, file: str) -> Tensor:
        """The whole recording, (time,), kept in RAM and shared: do not change it in place."""
        if file not in self._waveforms:
            waveform = self._read(file)
            if self._held + waveform.nbytes > CACHE_BYTES:
                return waveform
            self._waveforms[file] = waveform
            self._held += waveform.nbytes
        return self._waveforms[file]

    def rms_db(self, file: str) -> float:
        """The recording's level: RMS over all of it, in dB re full scale."""
        if file not in self._levels:
            self._levels[file] = audio.rms_db(self.waveform(file)).item()
        return self._levels[file]

    def select(self, split: str | None = None, heard: bool | None = None,
               **columns) -> pd.DataFrame:
        """The rows of one split, of speakers with training recordings (`heard=True`) or without
        (`heard=False`), and with the given value, or one of a list of values, in other columns."""
        rows = pd.Series(True, index=self.table.index)
        if heard is not None:
            training = self.table.speaker[self.table.split == "train"].unique()
            rows &= self.table.speaker.isin(training) == heard
        if split is not None:
            columns["split"] = split
        for column, value in columns.items():
            if column not in self.table:
                raise CorpusError(f"no column {column!r} in {self.folder}: there are "
                                  f"{', '.join(self.table.columns)}")
            rows &= self.table[column].isin(value if isinstance(value, (list, tuple)) else [value])
        return self.table[rows]

    def _read(self, file: str) -> Tensor:
        if file not in self._samples:
            raise CorpusError(f"{file} is not in the corpus {self.folder}: see corpus.table")
        path = self.folder / file
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise CorpusError(f"{file} leads outside the corpus {self.folder}: copy it inside")
        waveform = audio.read(path, self.sample_rate)
        if len(waveform) != self._samples[file]:
            raise CorpusError(f"{path} has {len(waveform)} samples, the manifest says "
                              f"{self._samples[file]}: fetch it again or correct the manifest")
        return waveform


EMBEDDED = ("voices", "sounds", "music")


def embedded(name: str = "voices", **options) -> Corpus:
    """What comes with the course: "voices", "sounds" or "music"; options as of `open_corpus`."""
    if name not in EMBEDDED:
        raise CorpusError(f"no embedded corpus {name!r}: there are {', '.join(EMBEDDED)}")
    return open_corpus(Path(__file__).parents[1] / "assets" / name, **options)


def open_corpus(folder: str | Path, sample_rate: int = 8000,
                cache: str | Path | None = None) -> Corpus:
    """The recordings in `folder` as a corpus at `sample_rate`.

    With a manifest.csv (columns file, speaker or category, split; better samples too) that is the
    truth; without one, each sub-folder is a speaker (see `split_speakers`). Recordings that are not
    mono at `sample_rate` are converted once, into `cache` (by default a folder of the user's own).
    Recordings that cannot be used are left out, and named.
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder: give the one that holds the recordings")
    listed = (folder / "manifest.csv").exists()
    table = read_manifest(folder) if listed else list_recordings(folder)
    if not listed or "samples" not in table or not _is_ready(folder / table.file[0], sample_rate):
        folder, table = take_in(folder, table, sample_rate, cache, thorough=not listed)
    if table.speaker.nunique() < 2:
        raise CorpusError(f"{folder} has one speaker only ({table.speaker[0]}): separation needs "
                          "at least two voices, add another")
    return Corpus(folder, table if listed else split_speakers(table), sample_rate)


def read_manifest(folder: Path) -> pd.DataFrame:
    """The rows of folder/manifest.csv, checked without opening a recording."""
    path = folder / "manifest.csv"
    try:
        table = pd.read_csv(path, dtype={"file": str, "speaker": str, "category": str},
                            keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} is not a CSV table ({error}): write it again") from None
    if "speaker" not in table:
        table = table.rename(columns={"category": "speaker"})
    missing = [name for name in ("file", "speaker", "split") if name not in table]
    if missing:
        raise CorpusError(f"{path} lacks the column {', '.join(missing)}: it has "
                          f"{', '.join(table.columns)}")
    if table.empty:
        raise CorpusError(f"{path} lists no recordings: add a row for each")
    _refuse(path, table.file[table.file.duplicated()], "listed twice: keep one row")
    _refuse(path, table.split[~table.split.isin(SPLITS)], f"not a split: use {', '.join(SPLITS)}")
    _refuse(path, table.file[table.speaker == ""], "without a speaker: name one")
    outside = table.file.str.contains(r"^[/\\~]|^\w:|(?:^|[/\\])\.\.(?:[/\\]|$)")
    _refuse(path, table.file[outside], f"outside {folder}: paths are relative to the manifest")
    unseen = table.file[~table.file.isin(_files_below(folder))]   # behind a link, or not there
    lost = unseen[[not (folder / file).is_file() for file in unseen]]
    _refuse(path, lost, "not there: fetch it again or delete its row")
    if "samples" in table:
        samples = pd.to_numeric(table.samples, errors="coerce")
        _refuse(path, table.samples[~(samples > 0)], "no number of samples: correct it")
        table["samples"] = samples.astype(int)
    return table


def _refuse(path: Path, faulty: pd.Series, fault: str) -> None:
    if len(faulty):
        more = f" (and {len(faulty) - 1} more)" if len(faulty) > 1 else ""
        raise CorpusError(f"{path}, row {faulty.index[0] + 2}: {faulty.iloc[0]!r}{more} is {fault}")


def _files_below(folder: Path) -> set[str]:
    """Every file in the folder, as a path relative to it with forward slashes."""
    return {(Path(root) / name).relative_to(folder).as_posix()
            for root, _, names in os.walk(folder) for name in names}


def _is_ready(path: Path, sample_rate: int) -> bool:
    return audio.probe(path)[1:] == (sample_rate, 1)


def check(corpus: Corpus) -> list[str]:
    """Read every recording; a line for each that cannot be used (so: [] is good)."""
    problems = []
    for file in corpus.table.file:
        try:
            if audio.rms_db(corpus._read(file)) < SILENCE_DB:
                problems.append(f"{corpus.folder / file} is silent")
        except ValueError as error:      # AudioError or CorpusError
            problems.append(str(error))
    return problems
