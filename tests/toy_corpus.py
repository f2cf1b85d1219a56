"""Small corpora of noises, for tests that must not rest on the embedded voices."""

import numpy as np
import soundfile

from sep_helpers.corpora import Corpus, open_corpus

RATE = 8000
SPLITS = {"ann": "train", "bob": "train", "cat": "train", "dan": "test", "eve": "test"}


def make_corpus(folder, samples=(8000, 9000, 12000)) -> Corpus:
    """Five voices, three recordings each (one of every length); ann's last one is for test too."""
    lines = ["file,speaker,split,samples"]
    for number, (speaker, split) in enumerate(SPLITS.items()):
        (folder / speaker).mkdir(parents=True)
        for take, length in enumerate(samples):
            rng = np.random.default_rng((number, take))
            level = 0.02 * (1 + number + take)
            file = f"{speaker}/{take}.flac"
            soundfile.write(folder / file, level * rng.standard_normal(length), RATE)
            kept_out = speaker == "ann" and take == len(samples) - 1
            lines.append(f"{file},{speaker},{'test' if kept_out else split},{length}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return open_corpus(folder)


def make_sound(path, samples=9000, rate=RATE, channels=1):
    """A file of soft noise; its folder is made, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).standard_normal((samples, channels))
    soundfile.write(path, 0.1 * noise, rate)
    return path


def noise(seed, samples=1600):
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def make_folder(folder, speakers=3, recordings=2, rate=RATE, suffix="wav"):
    """A folder a speaker: s0/0.wav, s0/1.wav, ..."""
    for s in range(speakers):
        (folder / f"s{s}").mkdir(parents=True)
        for r in range(recordings):
            soundfile.write(folder / f"s{s}/{r}.{suffix}", noise((s, r), rate // 5), rate)
    return folder


def write_manifest(folder, rows, columns="file,speaker,split"):
    (folder / "manifest.csv").write_text("\n".join([columns, *rows]) + "\n")


def two_voices(folder, *more_rows):
    """A folder with a good manifest of two voices, and rows of the test's own."""
    make_folder(folder, speakers=2, recordings=1)
    write_manifest(folder, ["s0/0.wav,s0,train", "s1/0.wav,s1,test", *more_rows])
    return folder


def make_tracks(folder, tracks=4, rate=RATE, stems=("vocals", "drums", "Bass")):
    """A folder a track, stereo stems in it; one bass is silent."""
    for track in range(tracks):
        (folder / f"t{track}").mkdir(parents=True)
        for number, stem in enumerate(stems):
            both = np.stack([noise((track, number), rate // 2), noise((number, 9), rate // 2)], 1)
            silent = track == 0 and stem == "Bass"
            soundfile.write(folder / f"t{track}/{stem}.wav", both * (not silent), rate)
    return folder
