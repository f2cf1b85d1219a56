"""A tiny training: four voices that are chords, a tiny network, and how to compare two runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch

from sep_helpers import views
from sep_helpers.corpora import open_corpus
from sep_helpers.models import build, complete

MODEL = complete({"name": "conv_tasnet", "N": 16, "L": 16, "B": 8, "H": 16, "Sc": 8, "X": 2, "R": 1,
                  "mask": "relu"})


def tones(folder: Path) -> Path:
    """A corpus of four 'voices', each a chord in a register of its own."""
    rng = np.random.default_rng(0)
    rows = []
    for s, base in enumerate((150, 500, 1100, 2300)):
        for split in ("train", "val"):
            file = f"v{s}/{split}.flac"
            (folder / f"v{s}").mkdir(parents=True, exist_ok=True)
            t = np.arange(8000) / 8000
            wave = sum(np.sin(2 * np.pi * base * k * t + rng.uniform(0, 6)) for k in (1, 1.26, 1.5))
            soundfile.write(folder / file, 0.1 * wave, 8000)
            rows.append({"file": file, "speaker": f"v{s}", "split": split, "samples": 8000})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


def setting(folder: Path, n_mixtures: int = 8):
    """A fresh network, and live and frozen views, all from fixed seeds."""
    corpus = open_corpus(folder)
    train = views.Recipe("train", "train", seconds=0.25, n_mixtures=n_mixtures, speed=0.1, seed=5)
    val = views.Recipe("val", "val", seconds=0.25, n_mixtures=4, seed=6)
    torch.manual_seed(0)
    return (build(MODEL), views.LiveView(corpus, train),
            views.FrozenView(corpus, views.freeze(corpus, val)))


def assert_same_run(history: pd.DataFrame, weights: dict, unbroken) -> None:
    expected, expected_weights = unbroken
    figures = [c for c in expected if not c.endswith("seconds")]
    assert history[figures].equals(expected[figures])                     # bit for bit
    assert all(torch.equal(weights[k], expected_weights[k]) for k in expected_weights)
