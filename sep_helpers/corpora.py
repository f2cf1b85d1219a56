"""Corpora: folders of recordings with a manifest, one row a recording.

The embedded one, a downloaded one, or the learner's own folder: `manifest.csv` says who or what
sounds in which file and whether it is for training, validation or test. Without a manifest every
sub-folder is a speaker (or a category, or a track of stems), and the split is drawn from a seed.
"""
import os
from pathlib import Path

import pandas as pd
from torch import Tensor

from sep_helpers import audio
from sep_helpers.conversion import SILENCE_DB, Intake, take_in
from sep_helpers.manifests import KINDS, SPLITS, CorpusError, read_manifest  # noqa: F401
from sep_helpers.own_folder import draw_split, list_recordings

CACHE_BYTES = 512 * 2**20   # how much of a corpus stays in RAM: 4.6 hours at 8 kHz
PROBED = 256                # recordings whose headers are looked at where the manifest has samples
MAX_RATE = 655_350          # Hz: of FLAC, which converted copies are
WHO = {"speaker": "speaker", "category": "file", "stem": "track"}   # what must not change splits


class Corpus:
    """Recordings under `folder`; `table` has file, category, split, samples and more, a row each.

    `kind` is "speaker", "category" or "stem"; a speaker's corpus has a column `speaker` too, one of
    stems `track` and `stem`. `left_out` lists files that could not be used, with the reason.
    """

    def __init__(self, folder: Path, table: pd.DataFrame, sample_rate: int, channels: int = 1,
                 kind: str = "speaker", left_out: list = ()):
        self.folder, self.table, self.sample_rate = Path(folder), table, sample_rate
        self.channels, self.kind = channels, kind
        self.left_out = pd.DataFrame(left_out, columns=["file", "reason"])
        self._samples = dict(zip(table.file, table.samples, strict=True))
        self._waveforms, self._levels, self._held = {}, {}, [0]

    def __getstate__(self) -> dict:
        # a DataLoader's worker gets the table, not the sound: it fills a cache of its own
        return self.__dict__ | {"_waveforms": {}, "_levels": {}, "_held": [0]}

    def waveform(self, file: str) -> Tensor:
        """The whole recording, (time,), or (channel, time) of a stereo corpus; kept in RAM and
        shared: do not change it in place."""
        if file not in self._waveforms:
            waveform = self._read(file)
            if self._held[0] + waveform.nbytes > CACHE_BYTES:
                return waveform
            self._waveforms[file] = waveform
            self._held[0] += waveform.nbytes
        return self._waveforms[file]

    def rms_db(self, file: str) -> float:
        """The recording's level: RMS over all of it (and all channels), in dB re full scale."""
        if file not in self._levels:
            self._levels[file] = audio.level(self.waveform(file))
        return self._levels[file]

    def select(self, split: str | None = None, heard: bool | None = None,
               **columns) -> pd.DataFrame:
        """The rows of one split, of categories with training recordings (`heard=True`) or without
        (`heard=False`), and with the given value, or one of a list of values, in other columns."""
        rows = pd.Series(True, index=self.table.index)
        if heard is not None:
            training = self.table.category[self.table.split == "train"].unique()
            rows &= self.table.category.isin(training) == heard
        if split is not None:
            columns["split"] = split
        for column, value in columns.items():
            if column not in self.table:
                raise CorpusError(f"no column {column!r} in {self.folder}: there are "
                                  f"{', '.join(self.table.columns)}")
            rows &= self.table[column].isin(value if isinstance(value, (list, tuple)) else [value])
        return self.table[rows]

    def with_split(self, split: pd.Series) -> "Corpus":
        """The same recordings, divided otherwise: `split` has a value for every row of the table,
        "" for a recording that is for nothing. Sound in RAM is shared."""
        other = object.__new__(Corpus)
        other.__dict__ |= self.__dict__ | {"table": self.table.assign(split=split)}
        wrong = other.table.split[~other.table.split.isin([*SPLITS, ""])]
        if len(wrong):
            raise CorpusError(f"{wrong.iloc[0]!r} is not a split: use {', '.join(SPLITS)} or ''")
        return other

    def _read(self, file: str) -> Tensor:
        if file not in self._samples:
            raise CorpusError(f"{file} is not in the corpus {self.folder}: see corpus.table")
        path = self.folder / file
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise CorpusError(f"{file} leads outside the corpus {self.folder}: copy it inside")
        try:
            waveform = audio.read(path, self.sample_rate, channels=self.channels)
        except audio.AudioError:
            self._refuse_form(path)
            raise
        if waveform.shape[-1] != self._samples[file]:
            raise CorpusError(f"{path} has {waveform.shape[-1]} samples, the manifest says "
                              f"{self._samples[file]}: fetch it again or correct the manifest")
        return waveform

    def _refuse_form(self, path: Path) -> None:
        """Raise CorpusError if it is the rate or the channels that are wrong with a recording."""
        _, rate, channels = audio.probe(path)
        if (rate, channels) != (self.sample_rate, self.channels):
            raise CorpusError(
                f"{path} is at {rate} Hz with {channels} channels, the corpus at "
                f"{self.sample_rate} with {self.channels}: delete the column samples from its "
                "manifest.csv and open it again, then all are looked at and converted") from None


EMBEDDED = ("voices", "sounds", "music")


def embedded(name: str = "voices", **options) -> Corpus:
    """What comes with the course: "voices", "sounds" or "music"; options as of `open_corpus`."""
    if name not in EMBEDDED:
        raise CorpusError(f"no embedded corpus {name!r}: there are {', '.join(EMBEDDED)}")
    return open_corpus(locate(name), **options)


def locate(name: str, real: str | Path | None = None) -> Path:
    """The folder of an embedded corpus, or of real recordings: below `real`, else $SEP_REAL_DATA,
    else ../shared/data. Raises CorpusError, saying what is missing and where it was looked for."""
    if name in EMBEDDED:
        return Path(__file__).parents[1] / "assets" / name
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(real or os.environ.get("SEP_REAL_DATA") or beside) / name
    if not (folder / "manifest.csv").is_file():
        raise CorpusError(f"the recordings {name!r} are not in {folder.parent}: set SEP_REAL_DATA "
                          f"to the folder that holds {name}/manifest.csv")
    return folder


def open_corpus(folder: str | Path, sample_rate: int = 8000, channels: int = 1,
                cache: str | Path | None = None, kind: str | None = None,
                disjoint: bool = False, alone: bool = False) -> Corpus:
    """The recordings in `folder` as a corpus at `sample_rate`, mono or (`channels=2`) stereo.

    With a manifest.csv (columns file; speaker, or category, or track and stem; better split and
    samples too) that is the truth. Without one, each sub-folder is a speaker, or with `kind` a
    category, or a track with files named by stem. What the manifest does not split is split here
    (see `draw_split`). Recordings of another rate or form are converted once, into `cache` (by
    default a folder of the user's own). Recordings that cannot be used are left out, and named.
    `disjoint`: refuse a speaker, or a track, that is in more than one split. `alone`: take a corpus
    of one category only, which is enough for background noise and too little for separation.

    A manifest with `samples` is believed, but for a look at a recording of each category; another
    rate in the rest shows when a recording is read (or in `check`).
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder: give the one that holds the recordings")
    if channels not in (1, 2) or kind not in (None, *KINDS):
        raise CorpusError(f"channels={channels!r}, kind={kind!r}: channels are 1 or 2, kinds "
                          f"{', '.join(KINDS)}")
    if type(sample_rate) is not int or not 1 <= sample_rate <= MAX_RATE:
        raise CorpusError(f"sample_rate={sample_rate!r} must be a whole number of Hz, 8000 for "
                          f"instance, {MAX_RATE} at most")
    given, listed = folder, (folder / "manifest.csv").exists()
    faults = []
    table, kind = read_manifest(folder) if listed else list_recordings(folder, kind, faults)
    intake = Intake(sample_rate, channels, silence=kind == "stem", faults=faults)
    if not listed or "samples" not in table or not _are_ready(folder, table, intake):
        folder, table = take_in(folder, table, intake, cache, thorough=not listed)
    intake.report(given)
    if table.category.nunique() < 2 and not alone:
        raise CorpusError(f"{folder} has one {kind} only ({table.category[0]}): separation needs "
                          f"at least two {'voices' if kind == 'speaker' else 'kinds of sound'}, "
                          "add another (or open it with alone=True, as noise)")
    if "split" not in table:
        if listed:
            print(f"{folder / 'manifest.csv'} has no column split: drawn, the same every time")
        table = draw_split(table, kind)
    corpus = Corpus(folder, table, sample_rate, channels, kind, faults)
    if disjoint and (shared := leaks(corpus)):
        raise CorpusError(f"{folder}: {WHO[kind]} {shared[0]!r} (and {len(shared) - 1} more) is in "
                          "more than one split: give each one split")
    return corpus


def _are_ready(folder: Path, table: pd.DataFrame, intake: Intake) -> bool:
    """Have the first recordings of (up to 256) categories the right rate and channels?"""
    firsts = table.file[~table.category.duplicated()]
    for file in firsts[::1 + len(firsts) // PROBED]:
        try:
            if audio.probe(folder / file)[1:] != (intake.sample_rate, intake.channels):
                return False
        except audio.AudioError:      # a damaged one does not decide; it is named when it is read
            continue
    return True


def leaks(corpus: Corpus, column: str | None = None) -> list[str]:
    """The speakers (tracks, files; or values of another column) that are in more than one split."""
    table = corpus.table[corpus.table.split != ""]
    splits = table.groupby(column or WHO[corpus.kind]).split.nunique()
    return sorted(splits.index[splits > 1])


def check(corpus: Corpus) -> list[str]:
    """Read every recording; a line for each that cannot be used (so: [] is good)."""
    problems = []
    for file in corpus.table.file:
        try:
            level = audio.level(corpus._read(file))
            if level < SILENCE_DB and corpus.kind != "stem":
                problems.append(f"{corpus.folder / file} is silent")
        except ValueError as error:      # AudioError or CorpusError
            problems.append(str(error))
    return problems
