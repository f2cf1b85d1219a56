"""Pictures of a separation that lies in files: spectrograms of its outputs, and their masks."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from sep_helpers import plots
from sep_helpers.audio import AudioError
from sep_helpers.stft import stft

SECONDS = 15.0          # of a long recording, the loudest so many are drawn
WINDOW = 0.04           # seconds of a frame, at least


def draw(outputs: Sequence[Path], names: Sequence[str], stem: str, music: bool = False
         ) -> list[Path]:
    """Write <stem>_spectrograms.png and <stem>_masks.png beside the outputs, WAVs of one
    separation; of `music` one picture with both, <stem>_stems.png, on a scale of octaves. The
    paths. Of a long recording the loudest part is drawn.

    A mask is an output's share of the magnitudes of all; channels are averaged.
    """
    waves, rate, start = excerpt(outputs)
    n_fft = 2 ** max(6, int(np.ceil(np.log2(WINDOW * rate))))
    hop, folder = n_fft // 4, Path(outputs[0]).parent
    where = "" if start is None else f", {start:.0f} to {start + waves.shape[-1] / rate:.0f} s"
    tracks = {"mixture": waves.sum(0), **dict(zip(names, waves, strict=True))}
    sizes = stft(waves, n_fft, hop).abs()
    shares = sizes / sizes.sum(0).clamp(min=1e-8)
    if music:
        del tracks["mixture"]
        figures = {"stems": plots.stem_pictures(tracks, shares, rate, n_fft, hop,
                                                f"Stems of {stem} and their masks{where}")}
    else:
        figures = {"spectrograms": plots.spectrograms(tracks, rate, f"{stem}{where}", n_fft, hop),
                   "masks": plots.masks(shares, rate, list(names), f"Masks of {stem}{where}", hop)}
    paths = [folder / f"{stem}_{kind}.png" for kind in figures]
    try:
        for path, picture in zip(paths, figures.values(), strict=True):
            picture.savefig(path, dpi=110)
    except OSError as error:
        raise AudioError(f"{paths[0]} could not be written ({error}): check folder and space"
                         ) from None
    return paths


def excerpt(outputs: Sequence[Path], seconds: float = SECONDS) -> tuple[Tensor, int, float | None]:
    """((output, time), rate, where it begins in s): the loudest part of all outputs together,
    whose channels are averaged; None for a recording that is not longer."""
    info = soundfile.info(outputs[0])
    rate, wanted = info.samplerate, round(seconds * info.samplerate)
    first, stop = 0, info.frames
    if info.frames > wanted:
        power = sum(_power_of_seconds(path, rate) for path in outputs)
        sums = np.convolve(power, np.ones(int(seconds)), "valid")
        first = min(int(sums.argmax()) * rate, info.frames - wanted)
        stop = first + wanted
    waves = [soundfile.read(path, stop - first, first, dtype="float32", always_2d=True)[0].mean(1)
             for path in outputs]
    return torch.from_numpy(np.stack(waves)), rate, first / rate if info.frames > wanted else None


def _power_of_seconds(path: Path, rate: int) -> np.ndarray:
    return np.array([float(np.square(block).sum()) for block in
                     soundfile.blocks(path, rate, dtype="float32", always_2d=True)])
