"""Sound inside films and .stem.mp4 files, by ffmpeg: several streams in one file.

A .stem.mp4 has five stereo streams, the mixture first, then its stems in the order of STREAMS; that
is how MUSDB18 comes. ffmpeg is a program of its own, and is asked for only when such a file is.
"""
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from sep_helpers.audio import AudioError

STREAMS = ("mixture", "drums", "bass", "other", "vocals")     # of a .stem.mp4, in its order
FILMS = {".mp4", ".m4a", ".aac", ".mov", ".mkv", ".mka", ".webm", ".avi", ".wma", ".3gp", ".amr"}
FFMPEG, FFPROBE = "ffmpeg", "ffprobe"
PATIENCE = 600          # seconds that one call may take
BITRATE = "256k"        # of AAC, a stream: what MUSDB18 has


def is_film(path: str | Path) -> bool:
    """Is this a file that takes ffmpeg, by its name?"""
    return Path(path).suffix.lower() in FILMS


def probe(path: str | Path) -> list[tuple[int, int]]:
    """(rate, channels) of every audio stream of a file. Raises AudioError."""
    path = _there(path)
    told = _run([FFPROBE, "-v", "error", "-select_streams", "a", "-show_entries",
                 "stream=sample_rate,channels", "-of", "json", f"file:{path}"], path)
    found = [(int(s["sample_rate"]), int(s["channels"])) for s in json.loads(told)["streams"]]
    if not found:
        raise AudioError(f"{path} has no sound in it: give a file with an audio stream")
    return found


def read(path: str | Path, stream: int = 0, sample_rate: int | None = None) -> tuple[Tensor, int]:
    """One stream of a file: ((channel, time), rate), resampled by ffmpeg if a rate is given.

    Raises AudioError in one line, also where ffmpeg is missing.
    """
    found = probe(path)
    if not 0 <= stream < len(found):
        raise AudioError(f"{path} has {len(found)} audio stream{'s' * (len(found) > 1)}, none with "
                         f"the number {stream}: is it a .stem.mp4?")
    rate, channels = found[stream]
    rate = sample_rate or rate
    return _take_out(path, {stream: channels}, rate)[0], rate


def read_stems(path: str | Path, sample_rate: int | None = None) -> tuple[dict[str, Tensor], int]:
    """A .stem.mp4 as ({"mixture": (channel, time), "drums", "bass", "other", "vocals"}, rate).

    All are cut to the shortest. AAC fills its last frame: up to 1023 samples of silence may follow.
    """
    found = probe(path)
    if len(found) != len(STREAMS):
        raise AudioError(f"{path} has {len(found)} audio stream{'s' * (len(found) > 1)}: a "
                         f".stem.mp4 has {len(STREAMS)}, {', '.join(STREAMS)}")
    rate = sample_rate or found[0][0]
    waves = _take_out(path, {number: channels for number, (_, channels) in enumerate(found)}, rate)
    length = min(wave.shape[-1] for wave in waves)
    return {name: wave[:, :length] for name, wave in zip(STREAMS, waves, strict=True)}, rate


def write_stems(path: str | Path, stems: dict[str, Tensor], rate: int) -> None:
    """Write stems (channel, time) as a .stem.mp4, their sum as the mixture unless it is given.

    Whole or not at all. AAC is lossy: the streams add up to the mixture no longer exactly.
    """
    path = Path(path)
    if not path.name.endswith(".stem.mp4"):
        raise AudioError(f"{path}: a file of stems is called NAME.stem.mp4")
    if lost := [name for name in STREAMS[1:] if name not in stems]:
        raise AudioError(f"{path}: no stem {lost[0]!r}: a .stem.mp4 has {', '.join(STREAMS[1:])}")
    if len({stems[name].shape for name in STREAMS[1:]}) > 1:
        raise AudioError(f"{path}: stems of different shapes: bring them to one length")
    mixture = stems.get("mixture", sum(stems[name] for name in STREAMS[1:]))
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    with tempfile.TemporaryDirectory() as folder:
        command = [FFMPEG, "-nostdin", "-v", "error", "-y"]
        for name, wave in {**stems, "mixture": mixture}.items():
            soundfile.write(Path(folder, f"{name}.wav"), wave.numpy().T, rate, "FLOAT")
        for name in STREAMS:
            command += ["-i", str(Path(folder, f"{name}.wav"))]
        for number, name in enumerate(STREAMS):
            command += ["-map", f"{number}:a", f"-metadata:s:a:{number}", f"title={name}"]
        try:
            _run([*command, "-c:a", "aac", "-b:a", BITRATE, f"file:{draft}"], path)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def require(path: str | Path) -> None:
    """Raise AudioError, with the remedy, if ffmpeg is not there."""
    if not (shutil.which(FFMPEG) and shutil.which(FFPROBE)):
        raise AudioError(f"{path} takes ffmpeg to read or write, which is not there: sudo apt-get "
                         "install ffmpeg (or brew install ffmpeg), or give WAV files")


def _take_out(path: str | Path, channels: dict[int, int], rate: int) -> list[Tensor]:
    """Some streams of a file, number -> channels, each (channel, time), in one go of ffmpeg."""
    waves = []
    with tempfile.TemporaryDirectory() as folder:
        command = [FFMPEG, "-nostdin", "-v", "error", "-i", f"file:{path}"]
        for stream in channels:
            command += ["-map", f"0:a:{stream}", "-f", "f32le", "-ar", str(rate),
                        str(Path(folder, str(stream)))]
        _run(command, path)
        for stream, count in channels.items():
            samples = np.fromfile(Path(folder, str(stream)), "<f4").reshape(-1, count).T
            if not samples.size:
                raise AudioError(f"{path} has no samples in stream {stream}: fetch it again")
            waves.append(torch.from_numpy(np.ascontiguousarray(samples)))
    return waves


def _there(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise AudioError(f"{path} does not exist: check the name, or fetch the file again")
    require(path)
    return Path(path)


def _run(command: Sequence[str], path: Path) -> bytes:
    """What a program writes to its output. Raises AudioError with the first line of its fault."""
    require(path)
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AudioError(f"{path}: {command[0]} failed ({error}): try again") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise AudioError(f"{path}: {command[0]} refuses it ({lines[0]}): export it again")
    return done.stdout
