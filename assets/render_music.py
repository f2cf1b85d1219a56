"""Render the embedded music: a short song of our own -> four stereo stems in assets/music.

    python assets/render_music.py

Drums, bass and keys ("other") are a MIDI score written below and played by fluidsynth with the
FluidR3 GM sound font; the vocals are sung by formant synthesis in numpy. Three parts of the song
(verse, bridge, chorus) are for train, val and test. Needs Debian 12's fluidsynth and
fluid-soundfont-gm; the same version gives the same samples.
"""
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf
from scipy.signal import butter, fftconvolve, sosfilt

MUSIC = Path(__file__).parent / "music"
FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
PACKAGES = "fluidsynth fluid-soundfont-gm"      # of Debian
RATE = 22050
BAR = 55125               # samples: 2.5 s, four beats at 96 a minute
BEAT = BAR / 4 / RATE     # seconds
PARTS = [("verse", "train", 6), ("bridge", "val", 2), ("chorus", "test", 3)]   # (.., .., bars)
BARS = sum(bars for _, _, bars in PARTS)
PEAK, STEP = 0.89, 4      # of the mixture; samples are multiples of 4 (14 bits)
LEVELS = {"vocals": -20.0, "drums": -21.0, "bass": -22.0, "other": -25.0}   # dB RMS, relative

# --- the score: bars of chords, and a melody of (MIDI note, beats, syllable)

CHORDS = {"Am": (45, 57, 60, 64), "F": (41, 57, 60, 65), "C": (48, 55, 60, 64),
          "G": (43, 55, 59, 62), "Dm": (38, 57, 62, 65), "E": (40, 56, 59, 64)}
PROGRESSION = "Am F C G Am F Dm E F G C".split()
MELODY = [
    (0, 1, ""), (64, 1, "li"), (67, 1, "sten"), (69, 1, "to"),
    (69, 2, "me"), (67, .5, "a"), (65, .5, "lo"), (64, 1, "ne"),
    (0, 1, ""), (64, 1, "now"), (67, 1, "li"), (64, 1, "sten"),
    (62, 3, "to"), (0, 1, ""),
    (60, 1, "we"), (64, 1, "all"), (69, 1.5, "so"), (67, .5, "me"),
    (65, 1, "ti"), (64, .5, "me"), (62, .5, "sa"), (60, 2, "lo"),
    (0, .5, ""), (62, .5, "and"), (65, 1, "no"), (69, 1, "bo"), (67, 1, "di"),
    (68, 3, "no"), (64, 1, "sa"),
    (72, 1.5, "ta"), (69, .5, "ke"), (67, 1, "me"), (69, 1, "a"),
    (71, 1, "part"), (67, 1, "so"), (62, 1, "un"), (65, 1, "da"),
    (64, 3.5, "lo"), (0, .5, ""),
]


def midi_bytes(events: list, program: int, channel: int) -> bytes:
    """A MIDI file of one track: events are (beat, note, beats long, velocity)."""
    turns = []
    for beat, note, beats, velocity in events:
        turns += [(beat, bytes([0x90 | channel, note, velocity])),
                  (beat + 0.98 * beats, bytes([0x80 | channel, note, 0]))]
    track = b"\x00\xff\x51\x03" + (625000).to_bytes(3, "big")     # microseconds a beat
    track, now = track + bytes([0, 0xC0 | channel, program]), 0
    for beat, message in sorted(turns):
        tick = round(480 * beat)
        track += _varying(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 0, 0, 1]) + (480).to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _varying(number: int) -> bytes:
    """A MIDI number of variable length: 7 bits a byte, all but the last with the high bit set."""
    out = bytes([number & 0x7F])
    while number := number >> 7:
        out = bytes([0x80 | number & 0x7F]) + out
    return out


def drum_events(rng) -> list:
    """Kick on 1 and 3, snare on 2 and 4, hi-hat in eighths; a crash begins, a fill ends a part."""
    kick, snare, closed, opened, crash, tom = 36, 38, 42, 46, 49, 45
    turns = np.cumsum([0] + [bars for _, _, bars in PARTS])
    events = []
    for bar in range(BARS):
        start = 4 * bar
        hits = [(0, kick, 110), (1, snare, 105), (2, kick, 100), (2.5, kick, 85), (3, snare, 108)]
        hits += [(eighth / 2, opened if eighth == 7 else closed, 75 if eighth % 2 else 92)
                 for eighth in range(8)]
        hits += [(0, crash, 95)] if bar in turns else []
        hits += [(3 + k / 4, tom + 2 - k, 95) for k in range(4)] if bar + 1 in turns else []
        events += [(start + beat, note, 0.2, int(velocity + rng.integers(-6, 7)))
                   for beat, note, velocity in hits]
    return events


def bass_events(rng) -> list:
    """Root, octave and fifth in eighths."""
    steps = [(0, 1, 0), (1.5, .5, 0), (2, 1, 12), (3, .5, 7), (3.5, .5, 0)]
    return [(4 * bar + beat, CHORDS[chord][0] + up - 12 * (CHORDS[chord][0] + up > 55), beats,
             int(100 + rng.integers(-8, 9)))
            for bar, chord in enumerate(PROGRESSION) for beat, beats, up in steps]


def key_events(rng) -> list:
    """Chords on the off-beats, spread in time as fingers spread them."""
    return [(4 * bar + beat + 0.02 * finger, note, beats, int(78 + rng.integers(-8, 9)))
            for bar, chord in enumerate(PROGRESSION)
            for beat, beats in ((0, 1.4), (1.5, 1), (2.5, 1.4))
            for finger, note in enumerate(CHORDS[chord][1:])]


def play(events: list, program: int, channel: int = 0) -> np.ndarray:
    """The events through fluidsynth: (channel, time), as long as the song."""
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "score.mid", Path(folder) / "score.wav"
        midi.write_bytes(midi_bytes(events, program, channel))
        subprocess.run(["fluidsynth", "-n", "-i", "-q", "-C", "0", "-g", "0.4", "-r", str(RATE),
                        "-T", "wav", "-O", "float", "-F", str(wav), str(FONT), str(midi)],
                       check=True, capture_output=True)
        x = sf.read(wav)[0].T
    return np.pad(x, ((0, 0), (0, max(0, BARS * BAR - x.shape[1]))))[:, :BARS * BAR]


# --- the singer

# Formants of women's vowels in Hz: Peterson & Barney 1952, Table II; the fourth is our own.
VOWELS = {"a": (850, 1220, 2810, 3900), "e": (610, 2330, 2990, 3900), "i": (310, 2790, 3310, 3900),
          "o": (590, 920, 2710, 3900), "u": (370, 950, 2670, 3900)}
WIDTHS = (80, 110, 160, 250)              # Hz
NOISES = {"s": (5000, 9500, .10, .12), "t": (3000, 8000, .03, .2), "k": (1500, 4000, .03, .2),
          "p": (500, 2500, .03, .15)}     # low, high (Hz), seconds, strength
SOFT = "lmnwdb"                           # begin quietly, with a closed mouth
HOP = 49                                  # samples between two states of the voice (2.2 ms)


def voice_states() -> tuple[np.ndarray, np.ndarray, np.ndarray, list]:
    """(pitch as MIDI note, loudness, formants (4, state), consonants [(second, letter)])."""
    states = BARS * BAR // HOP
    pitch, loud, formants = np.full(states, 64.0), np.zeros(states), np.zeros((4, states))
    formants[:] = np.array(VOWELS["a"])[:, None]
    noises, beat = [], 0.0
    for note, beats, syllable in MELODY:
        start, stop = (round(b * BEAT * RATE / HOP) for b in (beat, beat + beats))
        beat += beats
        if not note:
            pitch[start:], formants[:, start:] = pitch[start], formants[:, start:start + 1]
            continue
        vowels = [letter for letter in syllable if letter in VOWELS]
        age = np.arange(stop - start) * HOP / RATE
        vibrato = 0.3 * np.clip(age - 0.25, 0, 0.4) / 0.4 * np.sin(2 * np.pi * 5.4 * age)
        pitch[start:], formants[:, start:] = note, np.array(VOWELS[vowels[-1]])[:, None]
        pitch[start:stop] += vibrato
        first = syllable[0]
        rise = 0.09 if first in SOFT else 0.04
        shape = np.clip(age / rise, 0, 1) * np.clip((age[-1] - age) / 0.06, 0, 1)
        loud[start:stop] = shape * (0.8 + 0.2 * np.exp(-age))
        if first in SOFT:
            formants[0, start:start + 30] = 280
        noises += [((start * HOP) / RATE, first)] if first in NOISES else []
    return pitch, loud, formants, noises


def smooth(x: np.ndarray, seconds: float) -> np.ndarray:
    """A running mean over states, the ends held."""
    size = round(seconds * RATE / HOP)
    padded = np.pad(x, (size // 2, size - 1 - size // 2), "edge")
    return np.convolve(padded, np.ones(size) / size, "valid")


def sing(rng) -> np.ndarray:
    """The melody by additive synthesis, each harmonic as strong as the mouth lets it: (time,)."""
    pitch, loud, formants, noises = voice_states()
    hertz = 440 * 2 ** ((smooth(pitch, 0.05) - 69) / 12) * (1 + 0.003 * smooth(
        rng.standard_normal(len(pitch)), 0.02))
    loud, formants = smooth(loud, 0.02), np.stack([smooth(f, 0.06) for f in formants])
    at = np.arange(BARS * BAR) / HOP
    states = np.arange(len(pitch))
    phase = 2 * np.pi * np.cumsum(np.interp(at, states, hertz)) / RATE
    x = np.zeros(len(at))
    for k in range(1, 41):
        f = k * hertz
        mouth = np.prod([F**2 / np.hypot(F**2 - f**2, B * f)
                         for F, B in zip(formants, WIDTHS, strict=True)], axis=0)
        size = loud / k * np.minimum(mouth, 30) * (f < 8000)
        x += np.interp(at, states, size) * np.sin(k * phase)
    x /= np.abs(x).max()
    breath = sosfilt(butter(2, [1500, 7000], "bandpass", fs=RATE, output="sos"),
                     rng.standard_normal(len(x)))
    x += 0.01 * breath * np.interp(at, states, loud)
    for second, letter in noises:
        low, high, length, strength = NOISES[letter]
        noise = rng.standard_normal(round(length * RATE)) * np.hanning(round(length * RATE))
        noise = sosfilt(butter(2, [low, high], "bandpass", fs=RATE, output="sos"), noise)
        begin = max(0, round((second - 0.6 * length) * RATE))
        x[begin:begin + len(noise)] += strength * noise[:len(x) - begin]
    return x


def room(x: np.ndarray, rng, seconds: float = 0.5, wet: float = 0.12) -> np.ndarray:
    """A mono sound (time,) in a room: dying noise, another for each ear: (channel, time)."""
    t = np.arange(round(seconds * RATE)) / RATE
    echoes = rng.standard_normal((2, len(t))) * np.exp(-6.9 * t / seconds)
    echoes *= wet / np.sqrt((echoes**2).sum(1, keepdims=True))
    echoes[:, :round(0.01 * RATE)] = 0
    return x + fftconvolve(x[None], echoes, axes=1)[:, :len(x)]


# --- the song


def stems() -> dict[str, np.ndarray]:
    """vocals, drums, bass, other: int16 (channel, time) each; their sum does not clip."""
    rng = np.random.default_rng(2026)
    made = {"vocals": room(sing(rng), rng), "drums": play(drum_events(rng), 0, channel=9),
            "bass": play(bass_events(rng), 33), "other": play(key_events(rng), 4)}
    made = {name: x * 10 ** (LEVELS[name] / 20) / x.std() for name, x in made.items()}
    peak = max(np.abs(x).max() for x in [sum(made.values()), *made.values()])
    return {name: STEP * np.round(x * PEAK / peak * 32768 / STEP).astype(np.int16)
            for name, x in made.items()}


def render() -> pd.DataFrame:
    """Render the stems of every part into MUSIC and write the manifest, one row a stem."""
    if not shutil.which("fluidsynth") or not FONT.exists():
        sys.exit(f"missing fluidsynth or {FONT}: sudo apt-get install {PACKAGES}")
    made, rows, start = stems(), [], 0
    for track, split, bars in PARTS:
        (MUSIC / track).mkdir(parents=True, exist_ok=True)
        for stem, song in made.items():
            file, x = f"{track}/{stem}.flac", song[:, start:start + bars * BAR].T
            sf.write(MUSIC / file, x, RATE, subtype="PCM_16", compression_level=1.0)
            rows.append(dict(file=file, track=track, stem=stem, split=split, samples=len(x),
                             seconds=len(x) / RATE,
                             sha256=hashlib.sha256(x.astype("<i2").tobytes()).hexdigest()))
        start += bars * BAR
    table = pd.DataFrame(rows)
    table.to_csv(MUSIC / "manifest.csv", index=False)
    return table


if __name__ == "__main__":
    table = render()
    print(f"{table.track.nunique()} parts, {table.stem.nunique()} stems, "
          f"{table.drop_duplicates('track').seconds.sum():.1f} s of music, in {MUSIC}")
