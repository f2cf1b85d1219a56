"""What the loop adds to a training step of preset `laptop`: a bare loop against the course's.

Both draw the same mixtures and do the same arithmetic (network, PIT loss, clipping, Adam); the
course's also keeps its books, looks at the clock, and asks whether to save or to leave. CPU time on
one thread, the two in turn, so that other programs do not count.
"""

import time

import _ratio
import torch

torch.set_num_threads(1)
from sep_helpers import corpora, course_views, hardware, models  # noqa: E402
from sep_helpers.feeding import batches  # noqa: E402
from sep_helpers.loop import Loop  # noqa: E402
from sep_helpers.permutation import pit  # noqa: E402
from sep_helpers.settings import Settings  # noqa: E402
from sep_helpers.sitting import Sitting  # noqa: E402
from sep_helpers.trainer import Trainer  # noqa: E402
from sep_helpers.workspace import PRESETS  # noqa: E402

STEPS, ROUNDS = 12, 15
preset = PRESETS["laptop"]
settings = Settings(batch=preset.batch, save_every=10**9)
config = models.complete({"name": "conv_tasnet", **preset.model})
epoch = course_views.train_view(corpora.embedded(), seconds=preset.segment_seconds,
                                n_mixtures=STEPS * preset.batch).epoch(0)
ours, theirs = models.build(config), models.build(config)
trainer = Trainer(ours, settings, 10**6, hardware.open_accelerator("cpu"))
loop = Loop(trainer, None, Sitting(settings), print)
optimizer = torch.optim.Adam(theirs.parameters(), 3e-3, fused=True)


def course() -> None:
    for batch in batches(epoch, settings):
        trainer.train_step(batch)
        loop.after_step()


def bare() -> None:
    for batch in batches(epoch, settings):
        value, _ = pit(theirs(batch["mixture"]), batch["sources"], lengths=batch["lengths"])
        loss = -value.mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), settings.clip)
        optimizer.step()


def cpu_seconds(run) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


course(), bare()
ratios = []
for number in range(ROUNDS):
    first, second = (course, bare) if number % 2 else (bare, course)
    spent = {first: cpu_seconds(first), second: cpu_seconds(second)}
    ratios.append(spent[bare] / spent[course])
_ratio.report("loop_overhead", ratios, "a bare loop", goal=0.97)
