"""Stem player: all stems of a song at once, each with mute, solo and a level of its own."""

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from sep_helpers.player import (
    RATES,
    PlayerError,
    document,
    loudness_db,
    pcm,
    peak_db,
    together,
    waveform,
)

CONSISTENT_DB = -60.0   # a sum this close to the mixture is the mixture
VOCALS = "vocals"       # the stem that the karaoke button mutes


def stem_player(stems: dict[str, ArrayLike], sample_rate: int, title: str = "",
                mixture: ArrayLike | None = None) -> HTML:
    """Player of a song's stems, in step; shows itself as the last value of a cell.

    All stems sound together; each can be muted, played alone, made louder or softer. The mixture
    stands beside them. Stereo is stereo. The same input gives the same HTML, which holds the
    audio as 16-bit PCM: a stem whose two channels are equal is held once, and so is a mixture
    that the stems add up to.

    Args:
        stems: name -> waveform (time,), mono, or (channel, time), stereo; tensor or array. A
            stem called "vocals" brings a karaoke button.
        sample_rate: Hz, 8000 to 96000.
        mixture: what the stems were, or were taken from; None: their sum. Where the sum
            differs by more than -60 dB the player says by how much.
    Raises:
        PlayerError: fewer than two stems, wrong shape, NaN, empty, longer than 60 s, or a
            mixture of another length.
    """
    if not isinstance(stems, dict) or len(stems) < 2:
        raise PlayerError("give two or more stems, such as {'vocals': waveform, 'drums': waveform}")
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise PlayerError(f"sample rate {sample_rate} Hz: browsers play {RATES[0]} to {RATES[1]} "
                          "Hz, resample first")
    waves = {str(name): waveform(str(name), stem, sample_rate) for name, stem in stems.items()}
    padded, notes = together(waves, sample_rate)
    summed = sum(np.broadcast_to(wave, (_widest(padded), wave.shape[1]))
                 for wave in padded.values())
    track, whole, note = _mixture(mixture, summed, sample_rate)
    levels = {name: _level(wave, sample_rate) for name, wave in padded.items()}
    spec = {
        "title": title, "rate": sample_rate, "samples": summed.shape[1], "notes": notes + note,
        "plain": round(min(0.0, -peak_db(summed), -peak_db(whole)), 2),   # dB, for all
        "karaoke": 1 + list(padded).index(VOCALS) if VOCALS in padded else 0,
        "tracks": [track, *({"name": name, **_narrow(wave)} for name, wave in padded.items())],
    }
    return HTML(document(spec, "Level", levels, part="stems", kind="StemPlayer"))


def _widest(waves: dict[str, np.ndarray]) -> int:
    return max(wave.shape[0] for wave in waves.values())


def _mixture(mixture: ArrayLike | None, summed: np.ndarray, sample_rate: int) -> tuple:
    """(track 0, its wave, what to say): without samples where the browser can add them up."""
    implied = {"name": "mixture", "peak": float(f"{np.abs(summed).max():.7g}"),
               "silent": not summed.any(), "pcm": []}
    if mixture is None:
        return implied, summed, []
    wave = waveform("mixture", mixture, sample_rate)
    if wave.shape[1] != summed.shape[1]:
        raise PlayerError(f"the mixture has {wave.shape[1]} samples, its stems {summed.shape[1]}: "
                          "cut them alike")
    off = np.square(wave - summed, dtype=np.float64).mean()
    power = np.square(wave, dtype=np.float64).mean()
    if off <= power * 10 ** (CONSISTENT_DB / 10):
        return implied, summed, []
    by = f"{10 * np.log10(off / power):.1f} dB" if power else "all there is"
    return ({"name": "mixture", **_narrow(wave)}, wave,
            [f"The stems do not add up to the mixture: the difference is {by} re the mixture."])


def _narrow(wave: np.ndarray) -> dict:
    """As `pcm`, one channel where two are equal."""
    return pcm(wave[:1] if (wave == wave[:1]).all() else wave)


def _level(wave: np.ndarray, sample_rate: int) -> str:
    level = loudness_db(wave, sample_rate)
    return f"{level:.1f} dB" if np.isfinite(level) else "silent"
