"""Sound files and levels: read, write, resample, measure, pad and trim.

Waveforms are float32 tensors with time last, full scale at 1.
"""
import os
import re
import warnings
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

FLOOR_DB = -120.0    # the level given to silence, instead of minus infinity
CEILING = 0.999      # the peak to which a waveform that would clip is scaled


class AudioError(ValueError):
    """A recording that cannot be used: the message names the file, the fault and the remedy."""


def read(path: str | Path, sample_rate: int | None = None, start: int = 0,
         stop: int | None = None) -> Tensor:
    """Samples `start` to `stop` of a mono recording that already has the right rate: (time,).

    Raises AudioError if the file is missing, unreadable, truncated, empty, stereo, at another rate
    than `sample_rate`, has NaN samples, or ends before `stop`.
    """
    samples, rate, channels = probe(path)
    if sample_rate and rate != sample_rate:
        raise AudioError(f"{path} is at {rate} Hz, not {sample_rate}: resample it, or use load_any")
    if channels != 1:
        raise AudioError(f"{path} has {channels} channels: mix it down to one, or use load_any")
    stop = samples if stop is None else stop
    if not 0 <= start < stop <= samples:
        raise AudioError(f"{path} has {samples} samples: cannot cut {start} to {stop} out of it")
    return _samples(path, start, stop)[0]


def load_any(path: str | Path, sample_rate: int) -> Tensor:
    """A recording of any rate and number of channels, mixed down and resampled: (time,)."""
    samples, rate, _ = probe(path)
    return resample(_samples(path, 0, samples).mean(0), rate, sample_rate)


def probe(path: str | Path) -> tuple[int, int, int]:
    """(samples, rate, channels) from the file's header alone; AudioError if there is no sound."""
    if not Path(path).is_file():
        raise AudioError(f"{path} does not exist: check the name, or fetch the file again")
    if not Path(path).stat().st_size:
        raise AudioError(f"{path} is empty (0 bytes): record or fetch it again")
    try:
        with soundfile.SoundFile(path) as file:
            header = file.frames, file.samplerate, file.channels
            log = file.extra_info
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path} is unreadable ({error.error_string.strip()}): convert it to WAV "
                         "or FLAC, or fetch it again") from None
    # A WAV cut short by a lost connection opens as a shorter one; only libsndfile's log tells.
    # (Sizes near 2^31 and above stand for "unknown" in files that were written to a pipe.)
    cut = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if cut and int(cut[2]) < int(cut[1]) < 2**31 - 2**16:
        raise AudioError(f"{path} is truncated ({cut[2]} of {cut[1]} bytes): fetch it again")
    if header[0] == 0:
        raise AudioError(f"{path} is empty (0 samples): record or fetch it again")
    return header


def _samples(path: str | Path, start: int, stop: int) -> Tensor:
    """Samples `start` to `stop` of every channel: (channel, time)."""
    try:
        samples, _ = soundfile.read(path, stop - start, start, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        samples = np.empty((0, 1))
    if len(samples) < stop - start:
        raise AudioError(f"{path} is truncated or damaged: fetch it again")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path} has samples that are NaN or infinite: export it again")
    return torch.from_numpy(np.ascontiguousarray(samples.T))


def write(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write a waveform (time,) as 16-bit WAV or FLAC, by the suffix, whole or not at all.

    What would clip is scaled to just under full scale, with a warning. Raises AudioError for a
    wrong shape, NaN, an unknown suffix, or a folder that cannot be written to.
    """
    path = Path(path)
    kind = path.suffix[1:].upper()
    waveform = torch.as_tensor(waveform).detach().cpu().float()
    if kind not in ("WAV", "FLAC"):
        raise AudioError(f"{path}: cannot write {path.suffix or 'no suffix'}: use .wav or .flac")
    if waveform.ndim != 1 or not len(waveform):
        raise AudioError(f"{path}: shape {tuple(waveform.shape)}, not (time,): write one waveform")
    if not waveform.isfinite().all():
        raise AudioError(f"{path}: the waveform has NaN or infinite samples: not written")
    peak = waveform.abs().max().item()
    if peak > 1:
        warnings.warn(f"{path}: peak {peak:.2f} would clip, scaled down to {CEILING}", stacklevel=2)
        waveform = waveform * (CEILING / peak)
    # rounded here, since libsndfile writes by 32767 what it reads by 32768
    samples = (32768 * waveform).round().clamp(-32768, 32767).to(torch.int16)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        soundfile.write(temporary, samples.numpy(), sample_rate, "PCM_16", format=kind)
        os.replace(temporary, path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path} could not be written ({error}): check folder and space") from None
    finally:
        temporary.unlink(missing_ok=True)


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Band-limited resampling (soxr, high quality) of (..., time) to (..., new time)."""
    if from_rate == to_rate:
        return waveform
    flat = waveform.reshape(-1, waveform.shape[-1]).T.contiguous().numpy()
    resampled = torch.from_numpy(soxr.resample(flat, from_rate, to_rate)).T.contiguous()
    return resampled.reshape(*waveform.shape[:-1], -1)


def rms_db(waveform: Tensor, dim: int = -1) -> Tensor:
    """Root mean square in dB re full scale along `dim`; silence gives FLOOR_DB."""
    power = waveform.square().mean(dim)
    return 10 * power.clamp_min(10 ** (FLOOR_DB / 10)).log10()


def gain(db: float) -> float:
    """The factor that changes an amplitude by `db` decibels."""
    return 10 ** (db / 20)


def fit(waveform: Tensor, length: int) -> Tensor:
    """(..., time) to (..., length): the end is cut off or padded with zeros."""
    return torch.nn.functional.pad(waveform, (0, length - waveform.shape[-1]))
