"""500 mixtures of 4 s, two speakers: every figure but the perceptual ones, against one minute.

In seconds of computing, all threads together: what a machine that is busy otherwise can measure,
and more than the time that passes on a quiet one.
"""

import time
from types import SimpleNamespace

import _ratio
import torch

from sep_helpers import evaluation

N, LENGTH = 500, 32000
CUTS = [SimpleNamespace(category="a"), SimpleNamespace(category="b")]


class View:
    """Mixtures drawn when they are asked for, so that memory stays out of it."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> dict:
        sources = torch.randn(2, LENGTH, generator=torch.Generator().manual_seed(index))
        return {"id": f"mix_{index}", "mixture": sources.sum(0), "sources": sources, "cuts": CUTS}


def leaky(mixture, sources):
    """Estimates in the wrong order, with leaks."""
    return sources.flip(0) + 0.3 * sources


times = []
for _ in range(3):
    started = time.process_time()
    evaluation.evaluate(leaky, View(), "leaky")
    times.append(time.process_time() - started)
_ratio.report("evaluation_500", [60 / t for t in times], "one minute", goal=1,
              seconds=[round(t, 1) for t in times])
