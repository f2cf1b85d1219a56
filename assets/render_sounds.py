"""Render the embedded sound categories: a few lines of numpy each -> FLAC in assets/sounds.

    python assets/render_sounds.py            render everything (seconds)
    python assets/render_sounds.py --check    can a simple classifier tell the categories apart?

A category is a function of a seeded generator, which decides pitch, pace and tone of each clip.
"""
import argparse
import hashlib
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import soundfile as sf
from scipy.signal import butter, sosfilt

SOUNDS = Path(__file__).parent / "sounds"
RATE = 8000
CLIPS = 10                # of each category: 6 train, 2 val, 2 test
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
LEVEL_DB, PEAK = -26.0, 0.89    # RMS of a clip, unless its peak would pass PEAK
STEP = 4                  # samples are multiples of 4 (14 bits), as in assets/voices


def times(samples: int) -> np.ndarray:
    return np.arange(samples) / RATE


def band(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """x (time,) between two frequencies in Hz: a Butterworth filter, 12 dB an octave each side."""
    return sosfilt(butter(2, [low, high], "bandpass", fs=RATE, output="sos"), x)


def drift(rng, samples: int, hertz: float) -> np.ndarray:
    """A slow random curve between 0 and 1 that turns about `hertz` times a second."""
    knots = rng.uniform(size=int(samples / RATE * hertz) + 3)
    at = np.linspace(0, len(knots) - 2, samples)
    left, share = at.astype(int), (1 - np.cos(np.pi * (at % 1))) / 2
    return knots[left] * (1 - share) + knots[left + 1] * share


def rings(samples: int, hertz, decays, weights) -> np.ndarray:
    """A struck thing: decaying sines, `decays` in seconds until they have fallen to 1/e."""
    t = times(samples)[:, None]
    return (np.exp(-t / np.array(decays)) * np.sin(2 * np.pi * t * np.array(hertz))) @ weights


def at_times(samples: int, hits) -> np.ndarray:
    """Sounds on one time axis: hits is a list of (seconds, waveform)."""
    out = np.zeros(samples)
    for second, x in hits:
        start = round(second * RATE)
        out[start:start + len(x)] += x[:max(0, samples - start)]
    return out


def burst(rng, low: float, high: float, decay: float) -> np.ndarray:
    """Noise of one band that dies away, in five times its decay (s)."""
    samples = round(5 * decay * RATE)
    return band(rng.standard_normal(samples), low, high) * np.exp(-times(samples) / decay)


def every(rng, samples: int, per_second: float, jitter: float = 0.0) -> np.ndarray:
    """Moments (s), evenly spaced but for a random part `jitter` of the distance."""
    moments = np.arange(rng.uniform(0.02, 0.3), samples / RATE - 0.05, 1 / per_second)
    return np.maximum(0, moments + rng.uniform(-jitter, jitter, len(moments)) / per_second)


def rain(rng, samples):
    """A hiss, and drops close by."""
    hiss = band(rng.standard_normal(samples), rng.uniform(900, 1500), 3800)
    drops = [(rng.uniform(0, samples / RATE - 0.05), rng.exponential(2.0)
              * burst(rng, *(rng.uniform(800, 1600) * np.array([1, 1.6])), 0.004))
             for _ in range(round(rng.uniform(40, 160) * samples / RATE))]
    return rng.uniform(0.1, 0.25) * hiss + at_times(samples, drops)


def wind(rng, samples):
    """Noise whose colour and strength come in gusts."""
    low = rng.uniform(90, 160)
    return sum(band(rng.standard_normal(samples), low * 2**k, low * 2**(k + 0.6)) / (k + 1)
               * drift(rng, samples, 1.2)**2 for k in range(4))


def engine(rng, samples):
    """Explosions: harmonics of half the firing rate, and noise that beats with them."""
    hertz = rng.uniform(22, 55) * (1 + rng.uniform(0, 0.3) * drift(rng, samples, 0.5))
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    tone = sum(rng.uniform(0.3, 1) / k**0.8 * np.sin(k * phase + rng.uniform(0, 6.3))
               for k in range(1, 25))
    beat = (1 + np.sin(2 * phase))**2
    return tone + rng.uniform(0.2, 0.6) * beat * band(rng.standard_normal(samples), 200, 1500)


def clock(rng, samples):
    """Tick, tock: little strikes of brass, the second one lower."""
    hertz, gap = rng.uniform(1500, 2600), rng.uniform(0.012, 0.03)
    hits = []
    for number, moment in enumerate(every(rng, samples, rng.uniform(2, 5))):
        tone = hertz * (1 if number % 2 else 0.8)
        strike = rings(800, [tone, 1.41 * tone], [0.012, 0.006], [1, 0.7])
        hits += [(moment, strike), (moment + gap, 0.5 * strike)]
    return at_times(samples, hits)


def bell(rng, samples):
    """Partials of a bell: hum, prime, tierce, quint, nominal and above, each with its decay."""
    partials = np.array([0.5, 1, 1.2, 1.5, 2, 2.5, 3, 4.1])
    hertz = rng.uniform(350, 850) * partials * (1 + rng.uniform(-0.004, 0.004, 8))
    decays = rng.uniform(0.25, 0.8) / partials**0.7
    strike = rings(samples, hertz, decays, rng.uniform(0.4, 1, 8) * (hertz < 3800))
    return at_times(samples, [(s, strike) for s in every(rng, samples, rng.uniform(0.6, 1.6))])


def dog(rng, samples):
    """Barks: a hoarse, falling voice through a wide mouth."""
    hertz, size = rng.uniform(180, 420), round(rng.uniform(0.13, 0.22) * RATE)
    course = np.sin(np.pi * np.linspace(0.15, 1, size))
    phase = 2 * np.pi * np.cumsum(hertz * (0.7 + 0.8 * course)) / RATE
    mouth = rng.uniform(600, 1100)
    voice = sum(np.exp(-(np.log2(k * hertz / mouth))**2) * np.sin(k * phase) for k in range(1, 9))
    voice = voice + 0.8 * band(rng.standard_normal(size), 0.6 * mouth, 2 * mouth)
    return at_times(samples, [(s, rng.uniform(0.6, 1) * voice * course**0.7)
                              for s in every(rng, samples, rng.uniform(1.5, 3.2), 0.25)])


def bird(rng, samples):
    """A motif of quick whistles, again and again."""
    motif = []
    for _ in range(rng.integers(2, 5)):
        low, high = rng.uniform(1800, 2600), rng.uniform(2600, 3800)
        size = round(rng.uniform(0.04, 0.14) * RATE)
        course = np.linspace(0, 1, size) if rng.uniform() < 0.5 else np.linspace(1, 0, size)
        trill = np.sin(2 * np.pi * rng.uniform(20, 45) * times(size))
        course = np.clip(course + rng.uniform(0, 0.12) * trill, 0, 1)
        phase = 2 * np.pi * np.cumsum(low + (high - low) * course) / RATE
        rest = np.zeros(round(rng.uniform(0.01, 0.05) * RATE))
        motif += [np.sin(phase) * np.hanning(size), rest]
    motif = np.concatenate(motif)
    pace = RATE / (len(motif) + rng.uniform(0.08, 0.4) * RATE)
    return at_times(samples, [(s, motif) for s in every(rng, samples, pace)])


def siren(rng, samples):
    """A horn whose pitch wails, or jumps between two notes."""
    low, ratio = rng.uniform(450, 800), rng.uniform(1.3, 2)
    swing = np.sin(2 * np.pi * rng.uniform(0.4, 2.5) * times(samples) + rng.uniform(0, 6.3))
    steep = rng.choice([0.5, 20])
    swing = np.tanh(steep * swing) / np.tanh(steep)
    phase = 2 * np.pi * np.cumsum(low * ratio**(swing / 2 + 0.5)) / RATE
    return sum(np.sin(k * phase) / k**rng.uniform(0.4, 1) for k in (1, 2, 3, 4))


def footsteps(rng, samples):
    """Heel and sole on a floor: a thud, then a scrape."""
    low, scrape, gap = rng.uniform(60, 140), rng.uniform(0.1, 0.5), rng.uniform(0.06, 0.12)
    bright = rng.uniform(600, 1300)
    hits = []
    for moment in every(rng, samples, rng.uniform(1.5, 2.4), 0.04):
        hits += [(moment, burst(rng, low, 3 * low, 0.03)),
                 (moment, 0.3 * burst(rng, 300, 900, 0.01)),
                 (moment + gap, scrape * burst(rng, bright, 2.2 * bright, 0.025))]
    return at_times(samples, hits)


def keyboard(rng, samples):
    """Keys that go down and come up again, at a typist's uneven pace."""
    hertz, click = rng.uniform(300, 700), rng.uniform(1800, 2400)
    hits = []
    for moment in every(rng, samples, rng.uniform(5, 9), 0.4):
        tone = hertz * rng.uniform(0.9, 1.1)
        down = np.pad(burst(rng, click, 3800, 0.003), (0, 280))
        down = down + 0.4 * rings(400, [tone], [0.01], [1])
        hits += [(moment, rng.uniform(0.5, 1) * down),
                 (moment + rng.uniform(0.06, 0.1), 0.4 * down)]
    return at_times(samples, hits)


def water_drops(rng, samples):
    """Bubbles: each drop closes one, and its tone rises while it dies."""
    hits = []
    pitch = rng.uniform(500, 1100)
    for moment in every(rng, samples, rng.uniform(1.5, 4.5), 0.35):
        t = times(1600)
        hertz = pitch * rng.uniform(0.8, 1.3) * (1 + rng.uniform(2, 5) * t)
        drop = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-t / rng.uniform(0.02, 0.04))
        hits += [(moment + 0.09 * echo, drop * 0.35**echo) for echo in range(4)]
    return at_times(samples, hits)


def saw(rng, samples):
    """To and fro: noise that the teeth chop up, brighter one way than the other."""
    phase = 2 * np.pi * rng.uniform(1.2, 2.2) * times(samples) + rng.uniform(0, 6.3)
    teeth = np.cumsum(rng.uniform(90, 170) * (0.6 + 0.4 * np.abs(np.sin(phase)))) / RATE
    low = rng.uniform(500, 900)
    there = band(rng.standard_normal(samples), low, 3 * low) * np.clip(np.sin(phase), 0, 1)
    back = band(rng.standard_normal(samples), 1.6 * low, 3800) * np.clip(-np.sin(phase), 0, 1)
    return (there + 0.7 * back) * (0.15 + (teeth % 1)**2)


CATEGORIES = {make.__name__: make for make in (rain, wind, engine, clock, bell, dog, bird, siren,
                                               footsteps, keyboard, water_drops, saw)}


def clip(category: str, number: int) -> np.ndarray:
    """Clip `number` of a category, 2 to 3 s at a level: int16 (time,)."""
    rng = np.random.default_rng((2025, list(CATEGORIES).index(category), number))
    samples = int(rng.integers(2 * RATE, 3 * RATE))
    x = CATEGORIES[category](rng, samples)
    x = x / np.sqrt(np.mean(x**2)) + 0.003 * rng.standard_normal(samples)   # no room is silent
    x = x * min(10**(LEVEL_DB / 20), PEAK / np.abs(x).max())
    return STEP * np.round(x * 32768 / STEP).astype(np.int16)


def render() -> pd.DataFrame:
    """Render every clip into SOUNDS and write the manifest, one row a clip."""
    for old in SOUNDS.glob("*/*.flac"):
        old.unlink()
    rows = []
    for category in CATEGORIES:
        (SOUNDS / category).mkdir(parents=True, exist_ok=True)
        for number, split in enumerate(SPLITS):
            file, x = f"{category}/{number:02d}.flac", clip(category, number)
            sf.write(SOUNDS / file, x, RATE, subtype="PCM_16", compression_level=1.0)
            rows.append(dict(file=file, category=category, split=split, samples=len(x),
                             seconds=len(x) / RATE,
                             sha256=hashlib.sha256(x.astype("<i2").tobytes()).hexdigest()))
    table = pd.DataFrame(rows)
    table.to_csv(SOUNDS / "manifest.csv", index=False)
    return table


def features(x: np.ndarray) -> np.ndarray:
    """What tells sounds apart: mean and spread of the MFCCs, and how they change: (60,)."""
    mfcc = librosa.feature.mfcc(y=x.astype(np.float32), sr=RATE, n_mfcc=20, n_fft=512,
                                hop_length=160)
    return np.concatenate([mfcc.mean(1), mfcc.std(1), np.abs(np.diff(mfcc)).mean(1)])


def classify(folder: Path, table: pd.DataFrame) -> np.ndarray:
    """Guess the category of each clip: the nearest centroid of all the OTHER clips."""
    x = np.stack([features(sf.read(folder / file)[0]) for file in table.file])
    x = (x - x.mean(0)) / x.std(0)
    category = table.category.to_numpy()
    names, guesses = np.unique(category), []
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        centroids = np.stack([x[others & (category == name)].mean(0) for name in names])
        guesses.append(names[np.linalg.norm(centroids - x[i], axis=1).argmin()])
    return np.array(guesses)


def check() -> None:
    """Print how well the categories are told apart, and which clips are mistaken for which."""
    table = pd.read_csv(SOUNDS / "manifest.csv")
    guess = classify(SOUNDS, table)
    for wrong in np.flatnonzero(guess != table.category):
        print(f"{table.file[wrong]} sounds like {guess[wrong]}")
    print(f"{table.category.nunique()} categories told apart "
          f"{100 * (guess == table.category).mean():.1f} % of the time ({len(table)} clips)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only classify what is rendered")
    if not parser.parse_args().check:
        made = render()
        print(f"{len(made)} clips of {made.category.nunique()} categories, "
              f"{made.seconds.sum() / 60:.1f} minutes, in {SOUNDS}")
    check()
