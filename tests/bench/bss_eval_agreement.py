"""How far BSS-eval is from mir_eval's, in dB: 100 random mixtures and 20 real ones, 2 to 5 sources.

The largest difference of an SDR, SIR or SAR counts.
"""

import os
import warnings
from pathlib import Path

import numpy as np
import soundfile
import torch
from _ratio import agree
from mir_eval.separation import bss_eval_sources

from sep_helpers import metrics

TOLERANCE = 1e-4
LENGTH = 32000
warnings.filterwarnings("ignore", "mir_eval.separation", FutureWarning)


def spoiled(sources: np.ndarray, rng) -> np.ndarray:
    """Estimates: levels, leaks, a short echo and noise, all of them drawn."""
    n = len(sources)
    leaks = np.diag(10 ** rng.uniform(-1, 1, n)) + 10 ** rng.uniform(-3, -0.5) * \
        rng.standard_normal((n, n))
    wet = sources + 0.3 * np.roll(sources, int(rng.integers(1, 200)), 1)
    noise = rng.standard_normal(sources.shape) * sources.std(1, keepdims=True)
    return leaks @ wet + 10 ** rng.uniform(-3, -0.5) * noise


def difference(sources: np.ndarray, rng) -> float:
    """The largest difference of a figure, in dB, within our floor and ceiling."""
    estimates = spoiled(sources, rng)
    *theirs, _ = bss_eval_sources(sources, estimates, compute_permutation=False)
    ours = metrics.bss_eval(torch.from_numpy(estimates), torch.from_numpy(sources))
    theirs = np.clip(theirs, metrics.FLOOR_DB, metrics.CEILING_DB)
    return max(np.abs(ours[name] - values).max()
               for name, values in zip(("sdr", "sir", "sar"), theirs, strict=True))


def random_sources(n: int, rng) -> np.ndarray:
    """Noises with drawn spectra and levels."""
    kernels = rng.standard_normal((n, 24)) * 0.8 ** np.arange(24)
    return np.stack([10 ** rng.uniform(-2, 0) * np.convolve(rng.standard_normal(LENGTH), k)[:LENGTH]
                     for k in kernels])


def real_sources(n: int, rng, files: list) -> np.ndarray:
    """Four seconds of n readers."""
    chosen = rng.choice(len(files), n, replace=False)
    return np.stack([soundfile.read(files[i])[0][:LENGTH] for i in chosen])


def main() -> None:
    rng = np.random.default_rng(0)
    worst = {"random": max(difference(random_sources(2 + i % 4, rng), rng) for i in range(100))}
    folder = Path(os.environ.get("SEP_REAL_DATA", "../shared/data")) / "speech_real"
    files = [f for f in sorted(folder.glob("*/*.flac")) if soundfile.info(f).frames >= LENGTH]
    if files:
        worst["real"] = max(difference(real_sources(2 + i % 4, rng, files), rng) for i in range(20))
    else:
        print("no real voices at SEP_REAL_DATA: random mixtures alone")
    agree("bss_eval_agreement", [(f"SDR, SIR and SAR of {name} mixtures", "mir_eval", value,
                                  TOLERANCE) for name, value in worst.items()])


if __name__ == "__main__":
    main()
