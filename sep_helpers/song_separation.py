"""Songs of any length, rate and number of channels into stems that add up to the song.

A stem network's outputs have names, so chunks need no matching: they are faded into each other.
What the estimates lack to the song is shared out among them, so that the stems are the song again,
whatever the network and whatever lies above the band it works in.
"""
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sep_helpers import audio, streams
from sep_helpers.evaluation import EvaluationError, evaluating
from sep_helpers.long_audio import chunk_starts
from sep_helpers.stems import STEMS

CHUNK, OVERLAP = 12.0, 1.0      # seconds; what one forward pass holds is what decides the memory
FRAME = 1024                    # samples over which a share of what is missing is decided
CLIPPED = 0.9999                # of full scale: samples there were cut off
SILENCE_DB = -80.0


def is_for_stems(model: nn.Module) -> bool:
    """Has the network named outputs, or more than one channel?"""
    return getattr(model, "channels", 1) > 1 or bool(getattr(model, "names", None))


def names_of(model: nn.Module) -> list[str]:
    """What its outputs are called: the stems it was trained on, or source1, source2 ..."""
    return list(getattr(model, "names", None) or
                [f"source{k + 1}" for k in range(model.n_sources)])


def separate_song(model: nn.Module, mixture: Tensor, chunk_seconds: float = CHUNK,
                  overlap_seconds: float = OVERLAP,
                  on_chunk: Callable[[int, int], None] | None = None) -> Tensor:
    """(channel, time) at the network's rate -> (source, channel, time) that add up to it.

    A mono network separates each channel by itself. Memory beside the result is a chunk's. Raises
    EvaluationError for what is no float waveform, or has channels that the network does not take.
    """
    mixture = _checked(model, mixture)
    chunk, overlap = (round(s * model.sample_rate) for s in (chunk_seconds, overlap_seconds))
    if not 0 < overlap <= chunk // 2:
        raise EvaluationError(f"an overlap of {overlap_seconds:g} s in chunks of {chunk_seconds:g} "
                              "s: take one longer than nothing and at most half a chunk")
    device = next((p.device for p in model.parameters()), mixture.device)
    starts, end = chunk_starts(mixture.shape[1], chunk, overlap), 0
    result = mixture.new_empty(model.n_sources, *mixture.shape)
    for number, start in enumerate(starts):
        piece = mixture[:, start:start + chunk].to(device)
        with torch.inference_mode(), evaluating(model):
            if getattr(model, "channels", 1) > 1:
                estimates = model(piece[None])[0]
            else:
                estimates = model(piece).transpose(0, 1)
        estimates = estimates.float().to(mixture.device)
        common, stop = end - start, start + piece.shape[1]
        if common:
            rise = (torch.arange(common, device=mixture.device) + 0.5) / common
            result[..., start:end] += rise * (estimates[..., :common] - result[..., start:end])
        result[..., end:stop], end = estimates[..., common:], stop
        if on_chunk:
            on_chunk(number + 1, len(starts))
    return share_out(result, mixture)


def share_out(estimates: Tensor, mixture: Tensor, highs: bool = False) -> Tensor:
    """Estimates (source, channel, time) that add up to the mixture (channel, time), IN PLACE.

    What is missing goes, frame by frame, to each in proportion to its energy, or with `highs` to
    the energy of its treble: the band above a network's goes where the band below it went. (Wisdom
    et al., "Differentiable consistency constraints", 2019, eq. 7, with such weights.)
    """
    time = mixture.shape[-1]
    energies = np.stack([_frame_energies(wave, highs) for wave in estimates])     # (source, frame)
    shares = energies + 1e-12 + 1e-3 * energies.max()      # where nothing sounds: equal parts
    shares = torch.from_numpy((shares / shares.sum(0)).astype(np.float32))
    for start in range(0, time, 2**18):                    # a few MB at a time
        part = slice(start, min(start + 2**18, time))
        missing = mixture[:, part] - estimates[..., part].sum(0)
        place = (torch.arange(part.start, part.stop) / FRAME - 0.5).clamp(0, shares.shape[1] - 1)
        before = place.long()
        after, rest = (before + 1).clamp(max=shares.shape[1] - 1), place - before
        weights = shares[:, before] * (1 - rest) + shares[:, after] * rest        # (source, time)
        estimates[..., part] += weights[:, None] * missing
    return estimates


def separate_file(model: nn.Module, path: Path, outputs: Sequence[Path],
                  chunk_seconds: float = CHUNK, on_chunk: Callable | None = None) -> list[str]:
    """Separate a song's file into 24-bit WAVs of its own rate, length and channels; what there is
    to say of it. They add up to the file. Raises AudioError or EvaluationError, nothing written.
    """
    song, rate = read_song(path)
    notes = remarks(song, rate, model)
    stereo = getattr(model, "channels", 1) > 1
    at_its_rate = audio.resample(song, rate, model.sample_rate)
    if not at_its_rate.shape[-1]:
        raise EvaluationError(f"{path} has {song.shape[1]} samples at {rate} Hz, less than one at "
                              f"{model.sample_rate}: too short to separate")
    if stereo and len(song) == 1:
        at_its_rate = at_its_rate.expand(2, -1)
    estimates = separate_song(model, at_its_rate, chunk_seconds,
                              min(OVERLAP, chunk_seconds / 4), on_chunk)
    if stereo and len(song) == 1:
        estimates = estimates.mean(1, keepdim=True)
    stems = song.new_empty(len(estimates), *song.shape)
    for stem, estimate in zip(stems, estimates, strict=True):
        stem[:] = audio.fit(audio.resample(estimate, model.sample_rate, rate), song.shape[1])
    del estimates
    share_out(stems, song, highs=rate > model.sample_rate)
    return notes + write(outputs, stems, rate)


def read_song(path: str | Path) -> tuple[Tensor, int]:
    """A mono or stereo song as ((channel, time), rate): any sound file; films take ffmpeg."""
    if streams.is_film(path):
        song, rate = streams.read(path)
        channels = len(song)
    else:
        _, rate, channels = audio.probe(path)
        song = None if channels > 2 else audio.load_any(path, rate, channels)
    if channels > 2:
        raise audio.AudioError(f"{path} has {channels} channels: mix it down to two, with "
                               "ffmpeg -i IN -ac 2 OUT.wav")
    return song.reshape(channels, -1), rate


def remarks(song: Tensor, rate: int, model: nn.Module) -> list[str]:
    """What one should know of a song before believing its stems."""
    notes = []
    if len(song) == 1 and getattr(model, "channels", 1) > 1:
        notes.append("mono: the network gets it on both sides, and cannot tell stems by place")
    if rate > model.sample_rate:
        notes.append(f"{rate} Hz: what lies above {model.sample_rate // 2} Hz goes to the stems by "
                     "their share of the treble below it")
    if rate < model.sample_rate:
        notes.append(f"{rate} Hz: the network was trained on {model.sample_rate}, and misses all "
                     f"above {rate // 2} Hz")
    clipped = (song.abs() >= CLIPPED).float().mean().item()
    if clipped > 1e-5:
        notes.append(f"clipped: {clipped:.2%} of the samples are at full scale; what was cut off "
                     "is in no stem")
    if audio.level(song) < SILENCE_DB:
        notes.append("silent, and so are its stems")
    return notes


def write(paths: Sequence[Path], stems: Tensor, rate: int) -> list[str]:
    """Stems as 24-bit WAVs, all or, after an error, none; scaled alike, and so said, if one would
    clip. 16 bits would do for the ear, but the sum of four rounded stems is no longer the song."""
    peak = max(wave.abs().max().item() for wave in stems)
    scale = audio.CEILING / peak if peak > 1 else 1.0
    new = [path for path in paths if not path.exists()]
    try:
        for path, wave in zip(paths, stems, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            audio.write(path, wave if scale == 1 else scale * wave, rate, bits=24)
    except BaseException:                        # Ctrl-C, too
        for path in new:
            path.unlink(missing_ok=True)
        raise
    return [f"peak {peak:.2f} would clip: all stems are scaled by {scale:.4f}, and add up to the "
            "song as loud as that"] * (peak > 1)


def write_stem_file(outputs: Sequence[Path], names: Sequence[str], song: str) -> Path:
    """The four stems that lie in `outputs` as <song>.stem.mp4 beside them, their sum in front."""
    path = Path(outputs[0]).with_name(f"{song}.stem.mp4")
    if lost := [name for name in STEMS if name not in names]:
        raise audio.AudioError(f"{path}: this network gives no {lost[0]}: a .stem.mp4 has "
                               f"{', '.join(STEMS)}")
    _, rate, channels = audio.probe(outputs[0])
    streams.write_stems(path, {name: audio.load_any(file, rate, channels).reshape(channels, -1)
                               for name, file in zip(names, outputs, strict=True)}, rate)
    return path


def _checked(model: nn.Module, mixture: Tensor) -> Tensor:
    wanted = getattr(model, "channels", 1)
    if mixture.dim() != 2 or not mixture.numel() or not mixture.is_floating_point() \
            or wanted > 1 and len(mixture) != wanted:
        raise EvaluationError(f"the song is {tuple(mixture.shape)} of {mixture.dtype}: give "
                              f"floats, ({wanted if wanted > 1 else 'channel'}, time)")
    if not torch.isfinite(mixture).all():
        raise EvaluationError("the song has NaN or infinite samples: export it again")
    return mixture.float()


def _frame_energies(wave: Tensor, highs: bool) -> np.ndarray:
    """Energy of every frame of FRAME samples, over the channels; of the treble alone, by taking
    differences twice (12 dB an octave): (channel, time) -> (frame,)."""
    total = 0.0
    for channel in wave.numpy():
        x = np.diff(channel, n=2, prepend=0, append=0) if highs and len(channel) > 2 else channel
        x = np.pad(x, (0, -len(x) % FRAME)).reshape(-1, FRAME)
        total = total + np.einsum("ft,ft->f", x, x, dtype=np.float64)
    return total
