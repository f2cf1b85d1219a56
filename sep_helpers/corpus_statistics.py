"""What a corpus is made of: how long, how loud and how high its recordings are."""

import librosa
import numpy as np
import pandas as pd
from torch import Tensor

from sep_helpers import audio
from sep_helpers.corpora import Corpus

LOW, HIGH = 60, 500         # Hz: where voices are looked for
RATE = 16000                # at 8 kHz a high voice's period is too few samples, and YIN takes two
VOICED_DB = 15              # frames this far below the loudest one are pauses or consonants


def statistics(corpus: Corpus, split: str | None = None, each: int | None = None,
               seed: int = 0) -> pd.DataFrame:
    """One line a recording: file, category, split, seconds, rms_db, peak_db, pitch_hz.

    `each` takes that many recordings of each speaker or category, drawn with `seed`: enough for a
    picture, and quick. The pitch is NaN where nothing in the recording sounds like a voice.
    """
    table = corpus.select(split=split)
    if each is not None:
        shuffled = table.sample(frac=1, random_state=seed)
        table = table.loc[sorted(shuffled.groupby("category").head(each).index)]
    rows = []
    for row in table.to_dict("records"):
        x = corpus.waveform(row["file"])
        x = x if x.ndim == 1 else x.mean(0)
        rows.append({"file": row["file"], "category": row["category"], "split": row["split"],
                     "seconds": row["samples"] / corpus.sample_rate,
                     "rms_db": audio.rms_db(x).item(),
                     "peak_db": 20 * np.log10(max(x.abs().max().item(), 1e-6)),
                     "pitch_hz": pitch(x, corpus.sample_rate)})
    return pd.DataFrame(rows)


def pitch(x: Tensor, sample_rate: int) -> float:
    """Median fundamental frequency (Hz) of the loud frames of x (time,), by YIN; NaN if none.

    De Cheveigné & Kawahara 2002 (librosa.yin). What lies at the edges of the search is no pitch.
    """
    x = audio.resample(x, sample_rate, RATE).numpy()
    size = 2 * round(RATE / LOW)                        # two periods of the lowest voice
    if len(x) < 2 * size:
        return float("nan")
    found = librosa.yin(x, fmin=LOW, fmax=HIGH, sr=RATE, frame_length=2 * size, hop_length=size)
    frames = librosa.feature.rms(y=x, frame_length=2 * size, hop_length=size)[0]
    levels = 20 * np.log10(np.maximum(frames, 1e-9))[:len(found)]
    voiced = (levels > levels.max() - VOICED_DB) & (found > 1.05 * LOW) & (found < 0.95 * HIGH)
    return float(np.median(found[voiced])) if voiced.any() else float("nan")
