"""Render the embedded corpus: voices and sentences in assets/voices_src -> FLAC in assets/voices.

    python assets/render_voices.py            render everything (under a minute)
    python assets/render_voices.py --check    can a simple classifier tell the voices apart?

Needs espeak-ng, flite and festival with two of its voices, as Debian 12 has them. The same engines
give the same samples, bit for bit.
"""
import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf
import soxr

SOURCE = Path(__file__).parent / "voices_src"
VOICES = Path(__file__).parent / "voices"
PACKAGES = "espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k"    # of Debian
RATE = 8000
FRAME = RATE // 50        # 20 ms, for levels
MARGIN = RATE // 20       # 50 ms of silence stay at each end
LEVEL_DB = -26.0          # RMS of active speech, dB re full scale
STEP = 4                  # samples are multiples of 4 (14 bits): a fifth smaller, noise 63 dB down
LISTING = {"espeak-ng": ["espeak-ng", "--voices=variant"], "flite": ["flite", "-lv"],
           "festival": ["festival", "-b", "(print (voice.list))"]}
# How many sentences a voice says, by its split and the pool they come from. A training voice says
# some test sentences too: a voice heard in training with words that never were.
COUNTS = {"train": {"train": 10, "test": 3}, "val": {"val": 13}, "test": {"test": 13}}


def command(voice: dict, text: str, wav: Path) -> list[str]:
    """The command line with which the voice's engine speaks `text` into `wav`."""
    name, pitch, pace = voice["voice"], voice["pitch"], voice["pace"]
    if voice["engine"] == "espeak-ng":
        return ["espeak-ng", "-v", name, "-p", pitch, "-s", pace, "-w", str(wav), text]
    if voice["engine"] == "flite":
        f0 = ["--setf", f"int_f0_target_mean={pitch}"] if pitch else []
        return ["flite", "-voice", name, "--setf", f"duration_stretch={pace}", *f0,
                "-t", text, "-o", str(wav)]
    scheme = (f"(begin (voice_{name}) (Parameter.set 'Duration_Stretch {pace}) (set! int_lr_params"
              f" '((target_f0_mean {pitch}) (target_f0_std 14)"
              " (model_f0_mean 170) (model_f0_std 34))))")
    return ["text2wave", "-eval", scheme, "-o", str(wav)]


def speak(voice: dict, text: str) -> np.ndarray:
    """One sentence at the course's rate, trimmed and levelled: int16 (time,)."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        # festival reads the text from its standard input; the other engines ignore it
        done = subprocess.run(command(voice, text, wav), input=text, text=True, capture_output=True)
        if done.returncode or not wav.exists():
            sys.exit(f"{voice['engine']} failed on {voice['speaker']!r}: {done.stderr.strip()}")
        speech, rate = sf.read(wav)
    return tidy(soxr.resample(speech, rate, RATE))


def tidy(speech: np.ndarray) -> np.ndarray:
    """Trim silence at both ends, set the RMS of the active frames to LEVEL_DB, round to 14 bits."""
    levels = frame_levels(speech)
    loud = np.flatnonzero(levels > levels.max() - 40)
    start, stop = loud[0] * FRAME - MARGIN, (loud[-1] + 1) * FRAME + MARGIN
    speech = np.pad(speech, MARGIN)[start + MARGIN:stop + MARGIN]
    levels = frame_levels(speech)
    active = levels[levels > levels.max() - 30]
    level = 10 * np.log10(np.mean(10 ** (active / 10)))
    speech = speech * 10 ** ((LEVEL_DB - level) / 20)
    return STEP * np.round(np.clip(speech, -0.99, 0.99) * 32768 / STEP).astype(np.int16)


def frame_levels(speech: np.ndarray) -> np.ndarray:
    """RMS of each whole 20 ms frame, in dB."""
    frames = speech[:len(speech) // FRAME * FRAME].reshape(-1, FRAME)
    return 10 * np.log10(np.mean(frames ** 2, axis=1) + 1e-12)


def draw_sentences(voice: dict, number: int) -> list[tuple[str, str]]:
    """The voice's (split, sentence) pairs: its own seeded draw from each pool of its language."""
    if voice["language"] != "en":
        return [("test", text) for text in sentences(voice["language"])]
    rng = np.random.default_rng((2024, number))
    pairs = []
    for pool, count in COUNTS[voice["split"]].items():
        pairs += [(pool, str(text)) for text in rng.permutation(sentences(f"en_{pool}"))[:count]]
    return pairs


def sentences(name: str) -> list[str]:
    return (SOURCE / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def render() -> pd.DataFrame:
    """Render every voice into VOICES and write its manifest, one row a recording."""
    voices = pd.read_csv(SOURCE / "voices.csv", dtype=str, keep_default_na=False)
    need_voices(voices)
    for old in VOICES.glob("*/*.flac"):
        old.unlink()
    rows = []
    for number, voice in enumerate(voices.to_dict("records")):
        (VOICES / voice["speaker"]).mkdir(parents=True, exist_ok=True)
        for take, (split, text) in enumerate(draw_sentences(voice, number)):
            file = f"{voice['speaker']}/{take:02d}.flac"
            speech = speak(voice, text)
            sf.write(VOICES / file, speech, RATE, subtype="PCM_16", compression_level=1.0)
            setting = f"{voice['voice']} pitch={voice['pitch'] or 'own'} pace={voice['pace']}"
            rows.append(dict(file=file, speaker=voice["speaker"], split=split, samples=len(speech),
                             seconds=len(speech) / RATE, language=voice["language"],
                             sex=voice["sex"], engine=voice["engine"], voice=setting, text=text,
                             sha256=hashlib.sha256(speech.astype("<i2").tobytes()).hexdigest()))
    table = pd.DataFrame(rows)
    table.to_csv(VOICES / "manifest.csv", index=False)
    return table


def need_voices(voices: pd.DataFrame) -> None:
    """Stop with one clear line where an engine or one of its voices is not installed.

    Asked for a voice it lacks, each of the engines would silently speak with another.
    """
    for engine, rows in voices.groupby("engine"):
        if not shutil.which(LISTING[engine][0]):
            sys.exit(f"missing speech engine: {engine}; sudo apt-get install {PACKAGES}")
        listing = subprocess.run(LISTING[engine], text=True, capture_output=True).stdout
        for name in rows.voice.str.split("+").str[-1]:
            if name not in re.split(r"[\s/()]+", listing):
                sys.exit(f"missing voice of {engine}: {name}; sudo apt-get install {PACKAGES}")


def voice_features(speech: np.ndarray) -> np.ndarray:
    """What tells voices apart: 12 cepstral means (timbre) and the median log2 F0 (pitch): (13,)."""
    frames = np.lib.stride_tricks.sliding_window_view(speech, 512)[::160] * np.hanning(512)
    energy = np.mean(frames ** 2, axis=1)
    frames = frames[energy > 0.1 * energy.mean()]
    power = np.abs(np.fft.rfft(frames, 1024)) ** 2
    cepstrum = np.fft.irfft(np.log(power + 1e-6 * power.mean()))[:, 1:13].mean(axis=0)
    # pitch: the strongest peak of the autocorrelation between 60 and 450 Hz, in voiced frames
    autocorrelation = np.fft.irfft(power)[:, :RATE // 60] / power.mean(axis=1)[:, None]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(512), 1024)) ** 2)[:RATE // 60]
    peaks = (autocorrelation / window)[:, RATE // 450:]
    voiced = peaks.max(axis=1) > np.median(peaks.max(axis=1))
    pitch = np.median(np.log2(RATE / (RATE // 450 + peaks[voiced].argmax(axis=1))))
    return np.append(cepstrum, pitch)


def classify(folder: Path, table: pd.DataFrame) -> pd.Series:
    """Guess the speaker of every second recording: the nearest centroid of the others."""
    features = np.stack([voice_features(sf.read(folder / file)[0]) for file in table.file])
    known = (table.groupby("speaker").cumcount() % 2 == 0).to_numpy()
    speakers = table.speaker.to_numpy()
    names = np.unique(speakers)
    centroids = np.stack([features[known & (speakers == name)].mean(axis=0) for name in names])
    spread = np.std(features[known] - centroids[np.searchsorted(names, speakers[known])], axis=0)
    distance = np.linalg.norm((features[~known, None] - centroids) / spread, axis=-1)
    return pd.Series(names[distance.argmin(axis=1)], index=table.index[~known])


def check() -> None:
    """Print how well the English voices are told apart, and which are mistaken for which."""
    table = pd.read_csv(VOICES / "manifest.csv").query("language == 'en'").reset_index(drop=True)
    guess = classify(VOICES, table)
    truth = table.speaker[guess.index]
    for wrong in guess.index[guess != truth]:
        print(f"{table.file[wrong]} sounds like {guess[wrong]}")
    print(f"{table.speaker.nunique()} voices told apart {100 * (guess == truth).mean():.1f} % "
          f"of the time ({len(guess)} recordings)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only classify what is rendered")
    if not parser.parse_args().check:
        made = render()
        print(f"{len(made)} recordings of {made.speaker.nunique()} voices, "
              f"{made.seconds.sum() / 60:.1f} minutes, in {VOICES}")
    check()
