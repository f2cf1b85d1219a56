"""Sound files and levels: read, write, resample, measure, pad and trim.

Waveforms are float32 tensors with time last, full scale at 1.
"""
import math
import os
import re
import threading
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

FLOOR_DB = -120.0    # the level given to silence, instead of minus infinity
CEILING = 0.999      # the peak to which a waveform that would clip is scaled
MOST_CHANNELS = 8    # that FLAC can hold; more means that time stands first


class AudioError(ValueError):
    """A recording that cannot be used: the message names the file, the fault and the remedy."""


def read(path: str | Path, sample_rate: int | None = None, start: int = 0,
         stop: int | None = None, channels: int = 1) -> Tensor:
    """Samples `start` to `stop` of a recording that already has the right rate and channels:
    (time,) if it is mono, else (channel, time).

    Raises AudioError if the file is missing, unreadable, truncated, empty, at another rate than
    `sample_rate`, with other `channels`, has NaN samples, or ends before `stop`.
    """
    samples, rate, found = probe(path)
    if sample_rate and rate != sample_rate:
        raise AudioError(f"{path} is at {rate} Hz, not {sample_rate}: resample it, or use load_any")
    if found != channels:
        wanted = "mix it down to one" if channels == 1 else f"not {channels}: export it again"
        raise AudioError(f"{path} has {found} channel{'s' * (found > 1)}: {wanted}, "
                         "or use load_any")
    stop = samples if stop is None else stop
    if not 0 <= start < stop <= samples:
        raise AudioError(f"{path} has {samples} samples: cannot cut {start} to {stop} out of it")
    waveform = torch.from_numpy(_samples(path, start, stop))
    return waveform[0] if channels == 1 else waveform


def load_any(path: str | Path, sample_rate: int, channels: int = 1) -> Tensor:
    """A mono or stereo recording of any rate, resampled, and mixed down to (time,); with
    `channels=2` it is (channel, time), and mono is given to both sides."""
    samples, rate, found = probe(path)
    if found > 2:
        raise AudioError(f"{path} has {found} channels: mix it down to two or one, "
                         "with ffmpeg -i IN -ac 2 OUT.wav")
    # in numpy: on a busy machine, torch's threads wait for each other longer than they work
    waveform = _samples(path, 0, samples)
    waveform = waveform.mean(0, keepdims=True) if channels == 1 else waveform
    if rate != sample_rate:
        waveform = np.ascontiguousarray(soxr.resample(waveform.T, rate, sample_rate).T)
    if channels > len(waveform):
        waveform = np.repeat(waveform, channels, axis=0)
    return torch.from_numpy(waveform[0] if channels == 1 else waveform)


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


def _samples(path: str | Path, start: int, stop: int) -> np.ndarray:
    """Samples `start` to `stop` of every channel: (channel, time)."""
    try:
        samples, _ = soundfile.read(path, stop - start, start, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        samples = np.empty((0, 1))
    if len(samples) < stop - start:
        raise AudioError(f"{path} is truncated or damaged: fetch it again")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path} has samples that are NaN or infinite: export it again")
    return np.ascontiguousarray(samples.T)


def write(path: str | Path, waveform: Tensor, sample_rate: int, bits: int = 16) -> None:
    """Write (time,) or (channel, time) as WAV or FLAC of 16 bits (or 24), by the suffix, whole or
    not at all.

    What would clip is scaled to just under full scale, with a warning. Raises AudioError for a
    wrong shape, NaN, an unknown suffix, or a folder that cannot be written to.
    """
    path = Path(path)
    kind = path.suffix[1:].upper()
    waveform = torch.as_tensor(waveform).detach().cpu().float()
    if kind not in ("WAV", "FLAC"):
        raise AudioError(f"{path}: cannot write {path.suffix or 'no suffix'}: use .wav or .flac")
    if (waveform.ndim not in (1, 2) or not waveform.numel()
            or waveform.ndim == 2 and len(waveform) > MOST_CHANNELS):
        raise AudioError(f"{path}: shape {tuple(waveform.shape)}, not (time,) or (channel, time): "
                         "write one waveform, time last")
    samples = waveform.numpy()       # on a busy machine, torch's threads only wait for each other
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: the waveform has NaN or infinite samples: not written")
    peak = np.abs(samples).max().item()
    if peak > 1:
        warnings.warn(f"{path}: peak {peak:.2f} would clip, scaled down to {CEILING}", stacklevel=2)
        samples = samples * np.float32(CEILING / peak)
    # rounded here, since libsndfile writes by 32767 what it reads by 32768
    if bits == 16:
        samples = (32768 * samples).round().clip(-32768, 32767).astype(np.int16)
    else:         # the highest 24 of 32 bits
        samples = (2**23 * samples.astype(np.float64)).round().clip(-2**23, 2**23 - 1)
        samples = samples.astype(np.int32) << 8
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        temporary.touch()            # Python names the reason (read-only ...), libsndfile does not
        soundfile.write(temporary, samples.T, sample_rate, f"PCM_{bits}", format=kind)
        os.replace(temporary, path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path} could not be written ({error}): check folder and space") from None
    finally:
        with suppress(OSError):      # a read-only file system refuses even this
            temporary.unlink()


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


def level(waveform: Tensor) -> float:
    """The RMS of one waveform, over all its channels, in dB re full scale, or FLOOR_DB.

    In numpy, for torch's threads cost more than they are worth where one file follows another.
    Added up in float64, or the order of adding, which is the machine's, could turn a gain's last
    digit in a view that is drawn there.
    """
    power = float(np.square(waveform.numpy()).mean(dtype=np.float64))
    return 10 * math.log10(max(power, 10 ** (FLOOR_DB / 10)))


def gain(db: float) -> float:
    """The factor that changes an amplitude by `db` decibels."""
    return 10 ** (db / 20)


def fit(waveform: Tensor, length: int) -> Tensor:
    """(..., time) to (..., length): the end is cut off or padded with zeros."""
    return torch.nn.functional.pad(waveform, (0, length - waveform.shape[-1]))
