"""Waveform items of a view in RAM against stored .npy spectrograms, and the whole experiment."""

import statistics
import tempfile

import _ratio

from sep_helpers import corpora, models, storage, workspace

N, SECONDS = 400, 4.0       # 4 s as in the usual training; the voices are padded to that
preset = workspace.PRESETS["laptop"]
model = models.build(models.complete({"name": "conv_tasnet", **preset.model}))
step = storage.step_seconds(model, round(preset.segment_seconds * 8000), preset.batch)
with tempfile.TemporaryDirectory() as folder:
    experiment = storage.Experiment(corpora.embedded(), folder, N, SECONDS)
    rates = experiment.rates(rounds=3, step=step)
    making = experiment.making()
    ram, stored = experiment.dataset("RAM"), experiment.dataset(".npy spectrograms")
    ratios = _ratio.pairs(lambda: storage.one_by_one(ram), lambda: storage.one_by_one(stored))
    with_stft = statistics.median(_ratio.pairs(
        lambda: storage.one_by_one(experiment.dataset("RAM", "in the item")),
        lambda: storage.one_by_one(stored)))
    print(rates.round(1).to_string(index=False))
    print(making.round(3).T.to_string())
    print(f"the corpus as FLAC: {experiment.corpus_bytes / 1e6:.1f} MB")
print(storage.stacking().round(2).to_string())
print(f"RAM with the STFT in the item: {with_stft:.2f} x stored .npy")
_ratio.report("storage", ratios, "stored .npy spectrograms", goal=5)
