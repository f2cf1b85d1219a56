"""500 mixtures of 4 s, two speakers: every figure but the perceptual ones, against one minute."""

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


times = [_ratio.seconds(lambda: evaluation.evaluate(leaky, View(), "leaky")) for _ in range(3)]
_ratio.report("evaluation_500", [60 / t for t in times], "one minute", goal=1,
              seconds=[round(t, 1) for t in times])
