"""How often the data path fits into a `laptop` training step: draw, cut, speed, mix and collate
against forward, PIT, backward and Adam, step by step in turn. 20 times is a share of 5 %."""

from itertools import count

import _ratio
import torch

from sep_helpers import corpora, course_views, models, workspace
from sep_helpers.feeding import batches
from sep_helpers.permutation import pit
from sep_helpers.settings import Settings

preset = workspace.PRESETS["laptop"]
view = course_views.train_view(corpora.embedded(), seconds=preset.segment_seconds,
                               speed=preset.speed, n_mixtures=1000)
model = models.build(models.complete({"name": "conv_tasnet", **preset.model}))
optimizer = torch.optim.Adam(model.parameters(), preset.learning_rate, fused=True)
settings = Settings(batch=preset.batch, learning_rate=preset.learning_rate)
epochs = count()
source = iter(())
batch = None
for _ in view.epoch(next(epochs)):
    pass       # a training reads each recording once and keeps it: what counts is every later epoch


def data():
    global source, batch
    batch = next(source, None)
    if batch is None:
        source = iter(batches(view.epoch(next(epochs)), settings))
        batch = next(source)


def step():
    loss = -pit(model(batch["mixture"]), batch["sources"], lengths=batch["lengths"])[0].mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), preset.clip)
    optimizer.step()


ratios = _ratio.pairs(data, step, count=60, warmup=10)
_ratio.report("data_share", ratios, "a laptop training step", goal=20)
