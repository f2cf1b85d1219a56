"""Every figure against another one's, on 10 mixtures: the largest difference, and what it may be.

Real voices where SEP_REAL_DATA has them, the embedded ones elsewhere. BSS-eval has a bench of its
own, `bss_eval_agreement`.
"""

import os
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from _ratio import ROOT, agree

from sep_helpers import metrics, perceptual

RATE, LENGTH = 8000, 32000


def voices() -> list[torch.Tensor]:
    """Ten recordings of 4 s."""
    real = Path(os.environ.get("SEP_REAL_DATA", ROOT.parent / "shared/data")) / "speech_real"
    files = sorted(real.glob("*/*.flac")) or sorted((ROOT / "assets/voices").glob("*/*.flac"))
    waves = (soundfile.read(file)[0] for file in files[::7])
    return [torch.from_numpy(np.resize(wave, LENGTH)) for wave, _ in zip(waves, range(10),
                                                                         strict=False)]


def mixtures() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(estimates, sources) from almost perfect to useless."""
    found, generator = [], torch.Generator().manual_seed(0)
    waves = voices()
    for i, level in enumerate(np.geomspace(0.01, 1, len(waves))):
        sources = torch.stack([waves[i], waves[i - 1]])
        noise = torch.randn(sources.shape, generator=generator).double() * sources.std(1)[:, None]
        found.append((sources + level * (sources.flip(0) + 0.3 * noise), sources))
    return found


def by_torchmetrics() -> dict:
    """{figure: (ours, theirs, tolerance, peer)}, both of (estimates, sources)."""
    from torchmetrics.functional import audio as tm
    return {
        "si_sdr": (metrics.si_sdr, lambda e, s: tm.scale_invariant_signal_distortion_ratio(
            e, s, zero_mean=True), 1e-4, "torchmetrics"),
        "snr": (metrics.snr, tm.signal_noise_ratio, 1e-4, "torchmetrics"),
        "sdr": (metrics.sdr, tm.signal_distortion_ratio, 1e-4, "torchmetrics"),
    }


def each(peer):
    """A figure of one pair of arrays, for every source."""
    return lambda e, s: torch.tensor([peer(a.numpy(), b.numpy())
                                      for a, b in zip(e, s, strict=True)])


def by_their_packages() -> dict:
    """The perceptual figures whose packages are here; the others are named."""
    missing = perceptual.missing(perceptual.NAMES, RATE)
    for name, reason in missing.items():
        print(f"{name} is not compared: {reason}")
    found = {}
    for name in (name for name in perceptual.NAMES if name not in missing):
        ours = partial(perceptual.measure, name, rate=RATE)
        if name == "pesq_nb":
            import pesq
            theirs, package = each(lambda e, s: pesq.pesq(RATE, s, e, "nb")), "pesq"
        else:
            import pystoi
            extended, package = name == "estoi", "pystoi"
            theirs = each(lambda e, s, x=extended: pystoi.stoi(s, e, RATE, x))
        found[name] = ours, theirs, 1e-5, package
    return found


def main() -> None:
    found = []
    for name, (ours, theirs, tolerance, peer) in (by_torchmetrics() | by_their_packages()).items():
        worst = max((ours(e, s) - theirs(e, s)).abs().max().item() for e, s in mixtures())
        found.append((name, peer, worst, tolerance))
    agree("agreement", found)


if __name__ == "__main__":
    main()
