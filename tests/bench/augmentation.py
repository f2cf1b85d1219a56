"""What augmentation costs: a training step of the small U-Net against all changes of its batch.

Four stereo mixtures of 3 s at 22,050 Hz; every kind of change asked for. Goal: under a tenth. In
the process' own time, each side several times: what is short would be measured by accident.
"""

import time

import _ratio
import numpy as np
import torch

from sep_helpers import corpora, course_views, models, objectives
from sep_helpers.augmentation import Augmentation, augment
from sep_helpers.views import collate

BATCH, SECONDS = 4, 3.0
ASKED = Augmentation(remix=0.5, gain_db=[-6, 3], swap=0.5, mute_channel=0.05, mute=0.1)

torch.manual_seed(0)
corpus = corpora.embedded("music", sample_rate=22050, channels=2)
view = course_views.train_view(corpus, seconds=SECONDS, n_mixtures=BATCH)
items = list(view.epoch(0))
batch = collate(items)
network = models.build(models.read_config("unet")).train()
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
rng = np.random.default_rng(0)


def step() -> None:
    value, _ = objectives.score(network(batch["mixture"]), batch["sources"], batch["lengths"],
                                "snr", "fixed")
    optimizer.zero_grad()
    (-value.mean()).backward()
    optimizer.step()


def changes() -> None:
    for item in items:
        augment(item, ASKED, rng)


def seconds(run, times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - started) / times


torch.set_num_threads(1)
step(), changes()
ratios = [seconds(step, 2) / seconds(changes, 20) for _ in range(7)]
_ratio.report("augmentation", ratios, "faster than its training step", goal=10)
