"""Your own recording: from a microphone or a file to voices that can be heard and taken away.

A recording may have any rate, be stereo, clipped, minutes long, or in a phone's format: what can be
mended is mended, and whatever it is, `Separated.notes` says so.
"""

import base64
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile
import torch
from IPython.display import HTML
from torch import nn

from sep_helpers import audio
from sep_helpers.long_audio import CHUNK
from sep_helpers.player import MAX_SECONDS, player
from sep_helpers.separating import separate_file
from sep_helpers.workspace import on_colab

RATE = 48000            # Hz, of recordings with a microphone of this machine
FLAT = 4                # samples in a row at the peak: no sound does that, a full scale does
SOFT_DB = -50.0         # a recording below this is hardly more than the microphone's own noise


class RecordingError(ValueError):
    """No recording, in one line with the remedy."""


@dataclass(frozen=True)
class Separated:
    """A recording and its voices: WAV files of one length and rate, made to lie below each other.

    In Audacity: File > Import > Audio, choose them all; each becomes a track, and they are in time.
    """

    mixture: Path
    voices: list[Path]
    notes: list[str]            # what was odd about it, and what was done

    def player(self, seconds: float = MAX_SECONDS) -> HTML:
        """The recording and its voices in one player, the first minute of them."""
        samples, rate, _ = audio.probe(self.mixture)
        shown = min(samples, int(min(seconds, MAX_SECONDS) * rate))
        tracks = {"recording": self.mixture, **{f"voice {n}": path for n, path in
                                               enumerate(self.voices, 1)}}
        rest = f" (the first {shown / rate:.0f} of {samples / rate:.0f} s)"
        waves = {name: audio.read(path, stop=shown) for name, path in tracks.items()}
        return player(waves, rate, self.mixture.name + rest * (shown < samples))

    def download(self) -> Path:
        """Everything in one ZIP file, which Colab's browser saves; elsewhere, where it lies."""
        folder = self.mixture.parent
        file = Path(shutil.make_archive(str(folder), "zip", folder))
        if on_colab():
            from google.colab import files as browser

            browser.download(str(file))
        return file


# --- where recordings come from

def microphone(seconds: float = 10.0, path: str | Path = "own/recording.wav") -> Path:
    """Record `seconds`: on Colab with the browser's microphone, else with this machine's.

    A recording that is there already is not overwritten, the new one gets a number. Raises
    RecordingError where there is no microphone, or nobody allows it.
    """
    path = _free(Path(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if on_colab():
        path.write_bytes(_in_browser(seconds))
    else:
        audio.write(path, torch.from_numpy(_with_sounddevice(seconds)), RATE)
    return path


def browser_code(seconds: float) -> str:
    """JavaScript that records in the browser; its value is a promise, see own_recording.js."""
    code = files("sep_helpers").joinpath("own_recording.js").read_text(encoding="utf-8")
    return f"{code}\nsepRecord({float(seconds)})"


def _in_browser(seconds: float) -> bytes:
    from google.colab import output

    answer = output.eval_js(browser_code(seconds))
    if not isinstance(answer, str) or answer.startswith("error: "):
        raise RecordingError(str(answer).removeprefix("error: "))
    return base64.b64decode(answer)


def _with_sounddevice(seconds: float) -> np.ndarray:
    """(time,) from this machine's microphone, by the optional package sounddevice."""
    otherwise = "or give the path of a recording that you have made with another program"
    try:
        import sounddevice
    except ImportError:
        raise RecordingError("recording here needs the package sounddevice: pip install "
                             f"sounddevice, {otherwise}") from None
    except OSError as error:      # the package is there, the library below it is not
        raise RecordingError(f"sounddevice finds no PortAudio ({error}): install libportaudio2, "
                             f"{otherwise}") from None
    try:
        samples = sounddevice.rec(round(seconds * RATE), samplerate=RATE, channels=1,
                                  dtype="float32", blocking=True)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise RecordingError(f"no microphone answers ({error}): plug one in, {otherwise}") from None
    return samples[:, 0]


def upload(folder: str | Path = "own") -> Path:
    """Choose a file in Colab's browser; where it lies now. Elsewhere there is nothing to upload."""
    if not on_colab():
        raise RecordingError("nothing to upload: notebook and files are on one machine, give the "
                             "recording's path")
    from google.colab import files as browser

    chosen = browser.upload()
    if not chosen:
        raise RecordingError("no file was chosen: run the cell again")
    name, content = next(iter(chosen.items()))
    path = _free(Path(folder) / Path(name).name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _free(path: Path) -> Path:
    """The path, or the next one with a number that nothing lies at."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


# --- what becomes of them

def separate(model: nn.Module, path: str | Path, out: str | Path = "separated",
             on_chunk: Callable | None = None) -> Separated:
    """Separate a recording into <out>/<its name>/: recording.wav, voice_1.wav, voice_2.wav ...

    All have the recording's own rate and length. `on_chunk(done, total)`: as of `separate_long`.
    Raises RecordingError for a file that holds no sound that can be read, AudioError for NaN.
    """
    path = Path(path).expanduser()
    folder = Path(out) / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    mixture = folder / "recording.wav"
    notes = _take_in(path, mixture)
    voices = [folder / f"voice_{source + 1}.wav" for source in range(model.n_sources)]
    notes += separate_file(model, mixture, voices, on_chunk=on_chunk)
    return Separated(mixture, voices, notes)


def _take_in(path: Path, copy: Path) -> list[str]:
    """Write the recording as a mono WAV of its own rate; what there is to say of it."""
    wav = path if _is_readable(path) else _decoded(path, copy)
    _, rate, channels = audio.probe(wav)
    waveform = audio.load_any(wav, rate)
    raw, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    if wav != path:
        wav.unlink()
    notes = [f"{channels} channels, mixed down to one"] * (channels > 1)
    flat = clipped(raw.T)
    if flat:
        notes.append(f"clipped: {flat} samples ({100 * flat / raw.size:.2g} %) stand at the peak. "
                     "That is distortion which no network takes out: record it softer")
    if audio.level(waveform) < SOFT_DB:
        notes.append(f"very soft ({audio.level(waveform):.0f} dB): mostly noise; go nearer")
    seconds = len(waveform) / rate
    if seconds > CHUNK:
        notes.append(f"{seconds / 60:.1f} minutes: separated in chunks of {CHUNK:g} s, each joined "
                     "to the last so that no voice changes its file")
    peak = waveform.abs().max().item()
    audio.write(copy, waveform / max(peak, 1.0), rate)
    return notes


def _is_readable(path: Path) -> bool:
    try:
        audio.probe(path)
    except audio.AudioError:
        if not path.is_file() or not path.stat().st_size:
            raise
        return False
    return True


def _decoded(path: Path, copy: Path) -> Path:
    """The recording as WAV, by ffmpeg: phones write m4a, browsers webm."""
    program = shutil.which("ffmpeg")
    if not program:
        raise RecordingError(f"{path} is in a format that needs ffmpeg: install it, or save the "
                             "recording as WAV, FLAC, OGG or MP3")
    draft = copy.with_name("decoded.wav")
    done = subprocess.run([program, "-nostdin", "-v", "error", "-y", "-i", str(path), "-vn",
                           str(draft)], capture_output=True, text=True)
    if done.returncode:
        draft.unlink(missing_ok=True)
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RecordingError(f"{path} holds no sound that ffmpeg can read ({said}): record it "
                             "again")
    return draft


def clipped(waves: np.ndarray) -> int:
    """How many samples of (channel, time) stand at the peak, FLAT or more in a row, or above full
    scale: the tops that a recording at too high a level has lost."""
    count = 0
    for wave in np.abs(waves):
        peak = min(wave.max(initial=0.0), 1.0)
        at_peak = wave >= peak - 1.5 / 32768
        edges = np.flatnonzero(np.diff(np.concatenate([[0], at_peak.astype(np.int8), [0]])))
        runs = edges[1::2] - edges[::2]
        count += int(runs[runs >= FLAT].sum()) if peak > 0.1 else 0
    return count
