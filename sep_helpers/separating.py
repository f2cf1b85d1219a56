"""From sound files to sound files: what to separate, where the outputs go, and one of them."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from sep_helpers import audio, course_views, song_separation
from sep_helpers.conversion import SILENCE_DB
from sep_helpers.corpora import Corpus
from sep_helpers.evaluation import EvaluationError
from sep_helpers.long_audio import CHUNK, OVERLAP, separate_long
from sep_helpers.metrics import si_sdr, si_sdr_improvement
from sep_helpers.own_folder import SOUND_FILES
from sep_helpers.permutation import pit, reorder
from sep_helpers.stems import STEMS
from sep_helpers.views import ViewError

OUTPUT = re.compile(rf"(.+)_(?:source\d+|{'|'.join(STEMS)})\.wav")


class SeparatingError(ValueError):
    """Something that cannot be separated, in one line with the remedy."""


@dataclass(frozen=True)
class Job:
    """One mixture: where it comes from, and what its outputs are called."""

    sound: Path | str       # a file, or an ID of the corpus
    folder: Path            # of the outputs
    stem: str               # <stem>_source1.wav, <stem>_source2.wav ...

    def outputs(self, names: int | list[str]) -> list[Path]:
        """One for each name, or so many that are numbered."""
        if isinstance(names, int):
            names = [f"source{s + 1}" for s in range(names)]
        return [self.folder / f"{self.stem}_{name}.wav" for name in names]


# --- what there is to do

def find_jobs(sound: str, out: Path | None = None) -> list[Job]:
    """The jobs that a file, a folder (with its sub-folders) or an ID stands for.

    Outputs of an earlier separation are no inputs. Raises SeparatingError for an empty folder.
    """
    path = Path(sound).expanduser()
    if path.is_file():
        return [Job(path, out or path.parent, path.stem)]
    if not path.is_dir():
        return [Job(sound, out or Path.cwd(), sound.strip("/").replace("/", "_"))]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SOUND_FILES
                   and file.is_file() and not file.name.startswith("."))
    stems = {(file.parent, file.stem) for file in found}
    inputs = [file for file in found if not _is_output(file, stems)]
    if not inputs:
        raise SeparatingError(f"{path} has no sound files ({', '.join(sorted(SOUND_FILES))}): "
                              "give a folder that has some")
    return [Job(file, out / file.parent.relative_to(path) if out else file.parent, file.stem)
            for file in inputs]


def _is_output(file: Path, stems: set) -> bool:
    made_from = OUTPUT.fullmatch(file.name)
    return bool(made_from) and (file.parent, made_from[1]) in stems


def tell_apart(jobs: list[Job]) -> list[Job]:
    """The jobs without doubles; outputs that would share a name get their input's whole name."""
    jobs = list(dict.fromkeys(jobs))

    def shared():
        count = Counter((job.folder.resolve(), job.stem) for job in jobs)
        return [count[job.folder.resolve(), job.stem] > 1 for job in jobs]

    jobs = [replace(job, stem=Path(job.sound).name.replace(".", "_")) if clash else job
            for job, clash in zip(jobs, shared(), strict=True)]
    jobs = [replace(job, stem=f"{Path(job.sound).resolve().parent.name}_{job.stem}") if clash
            else job for job, clash in zip(jobs, shared(), strict=True)]
    if any(shared()):
        clash = next(job for job, twice in zip(jobs, shared(), strict=True) if twice)
        raise SeparatingError(f"{clash.sound}: its outputs would have another file's names in "
                              f"{clash.folder}: separate the two into different folders")
    return jobs


# --- one mixture

def separate_file(model: nn.Module, path: Path, outputs: list[Path], chunk_seconds: float = CHUNK,
                  on_chunk: Callable | None = None) -> list[str]:
    """Separate one sound file into WAVs of its own rate and length; what there is to say of it.

    Raises AudioError, EvaluationError or MetricError, and has then written nothing.
    """
    if song_separation.is_for_stems(model):
        return song_separation.separate_file(model, path, outputs, min(
            chunk_seconds, song_separation.CHUNK), on_chunk)
    samples, rate, channels = audio.probe(path)
    mixture = audio.load_any(path, model.sample_rate)
    if not len(mixture):
        raise SeparatingError(f"{path} has {samples} samples at {rate} Hz, less than one at "
                              f"{model.sample_rate}: too short to separate")
    notes = [f"{channels} channels, mixed down to one"] * (channels > 1)
    if rate > model.sample_rate:
        notes.append(f"{rate} Hz: nothing above {model.sample_rate // 2} Hz comes out of a network "
                     f"for {model.sample_rate}")
    if audio.rms_db(mixture) < SILENCE_DB:
        notes.append("silent, and so are its sources" if channels == 1 else
                     "silent once it is mixed down: its channels cancel each other")
    estimates = _in_chunks(model, mixture, chunk_seconds, on_chunk)
    estimates = audio.fit(audio.resample(estimates, model.sample_rate, rate), samples)
    return notes + _write(outputs, estimates, rate)


def separate_item(model: nn.Module, item: dict, job: Job) -> list[str]:
    """Separate a mixture of the corpus; its WAVs, the mixture's too, and the gain where known."""
    mixture, sources = item["mixture"], item.get("sources")
    estimates = _in_chunks(model, mixture, CHUNK, None)
    notes = []
    if sources is not None and sources.shape == estimates.shape:
        estimates = reorder(estimates[None], pit(estimates[None], sources[None])[1])[0]
        gains = si_sdr_improvement(estimates, sources, mixture)
        levels = si_sdr(estimates, sources)
        notes = [f"source {s + 1} ({cut.category}): {levels[s]:.1f} dB SI-SDR, {gains[s]:+.1f} dB "
                 "against the mixture" for s, cut in enumerate(item["cuts"])]
    return notes + _write([job.folder / f"{job.stem}_mixture.wav",
                           *job.outputs(model.n_sources)],
                          [mixture, *estimates], model.sample_rate)


def find_item(corpus: Corpus, name: str) -> dict:
    """The mixture of the course's views with that ID, or the recording with that file or stem.

    -> {"id", "mixture"} and, of a mixture, "sources" and "cuts". Raises SeparatingError.
    """
    for view_name in ("val", "seen", "unseen"):
        try:
            view = course_views.frozen_view(view_name, corpus)
        except ViewError:
            continue                              # this corpus has no such view
        for index, cuts in enumerate(view.mixtures):
            if cuts[0].mixture_id == name:
                return view[index]
    files = [file for file in corpus.table.file
             if name in (file, file.rsplit(".", 1)[0], Path(file).stem)]
    if len(files) == 1:
        return {"id": name, "mixture": corpus.waveform(files[0])}
    if files:
        raise SeparatingError(f"{name}: {len(files)} recordings are called that, {files[0]} and "
                              f"{files[1]} for two: give the whole name")
    raise SeparatingError(f"{name}: no file, and no mixture or recording of {corpus.folder}: give "
                          f"a sound file, a folder, or an ID such as unseen_00007 or "
                          f"{corpus.table.file[0].rsplit('.', 1)[0]}")


def _in_chunks(model, mixture: Tensor, chunk_seconds: float, on_chunk) -> Tensor:
    try:
        return separate_long(model, mixture, chunk_seconds, min(OVERLAP, chunk_seconds / 4),
                             on_chunk)
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise EvaluationError(f"out of memory with {chunk_seconds:g} s at once: try --chunk "
                              f"{chunk_seconds / 2:g}") from error


def _write(paths: list[Path], waveforms, rate: int) -> list[str]:
    """Write all of them or, after an error, none; all scaled alike, and so said, if one would clip.
    """
    peak = max(wave.abs().max().item() for wave in waveforms)
    scale = audio.CEILING / peak if peak > 1 else 1.0
    new = [path for path in paths if not path.exists()]
    try:
        for path, wave in zip(paths, waveforms, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            audio.write(path, scale * wave, rate)
    except BaseException:                        # Ctrl-C, too
        for path in new:
            path.unlink(missing_ok=True)
        raise
    return [f"peak {peak:.2f} would clip: all outputs are scaled by {scale:.2f}"] * (peak > 1)
