"""What checkpoints cost in an epoch of preset `laptop`: an epoch without them against one with.

One whole epoch of `fit` with its usual settings, in which the time inside of every save is summed,
those at the start and at the epoch's end included: (epoch - saving) / epoch.
"""

import tempfile
import time
from dataclasses import replace

import _ratio
import torch

torch.set_num_threads(1)
from sep_helpers import corpora, course_views, models, runs, training  # noqa: E402
from sep_helpers.workspace import PRESETS  # noqa: E402

preset, corpus = PRESETS["laptop"], corpora.embedded()
spent: list[float] = []


def timed(function):
    def call(*arguments, **named):
        started = time.perf_counter()
        function(*arguments, **named)
        spent.append(time.perf_counter() - started)
    return call


runs.Run.save, runs.Run.save_best = timed(runs.Run.save), timed(runs.Run.save_best)
settings = replace(training.Settings(), epochs=1, batch=preset.batch, warmup=preset.warmup,
                   learning_rate=preset.learning_rate)
view = course_views.train_view(corpus, seconds=preset.segment_seconds, speed=preset.speed,
                               n_mixtures=preset.steps_per_epoch * preset.batch)
torch.manual_seed(0)
model = models.build(models.complete({"name": "conv_tasnet", **preset.model}))
with tempfile.TemporaryDirectory() as folder:
    started = time.perf_counter()
    training.fit(model, view, course_views.frozen_view("val", corpus, preset.n_val), settings,
                 folder)
    whole = time.perf_counter() - started
print(f"{len(spent)} saves of {1e3 * sum(spent) / len(spent):.0f} ms in {whole:.0f} s")
_ratio.report("checkpoint_cost", [(whole - sum(spent)) / whole], "an epoch without checkpoints",
              goal=0.98)
