"""Judges of chapter 4, seen from outside: how far a network looks ahead, what its outputs sum to.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Shifted(nn.Module):
    """Source s at sample i is the mixture at i + shifts[s] (zero beyond the ends), made small."""

    def __init__(self, *shifts: int, size: float = 1.0):
        super().__init__()
        self.shifts, self.size = shifts, size

    def forward(self, x: Tensor) -> Tensor:
        time, reach = x.shape[-1], max(map(abs, self.shifts))
        padded = F.pad(x, (reach, reach))
        return self.size * torch.stack(
            [padded[..., reach + s : reach + s + time] for s in self.shifts], dim=1)


class Ahead(nn.Module):
    """Present and future, one source each, in one output sample: the farthest must be found."""

    def forward(self, x: Tensor) -> Tensor:
        later = F.pad(x, (0, 9))[..., 9:]
        return torch.stack([x, x.square() + 1e-4 * later], dim=1)


class Centred(nn.Module):
    """Both outputs are the mixture minus its mean, so every sample sees all the others."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x - x.mean(-1, keepdim=True)] * 2, dim=1)


def judge_looks_ahead(looks_ahead) -> str | None:
    """04.6: looks_ahead(network, time) -> samples by which an output sees ahead of its own time."""
    def ask(network, time):
        return int(looks_ahead(network, time))

    if (answer := ask(Shifted(6, 0), 24)) != 6:
        if answer == 5:
            return "output i that needs input i + 6 looks 6 ahead, yours says 5: count the steps"
        if answer == 7:
            return "output i that needs input i + 6 looks 6 ahead, yours says 7: steps, not samples"
        if answer == 0:
            if ask(Shifted(0, 6), 24) == 6:
                return "only the last source was asked: every one of them counts"
            return ("a source that is the mixture 6 samples later looks 6 ahead, yours says 0: how "
                    "far ahead is the input's number MINUS the output's")
        return f"source 1 is the mixture 6 samples later, source 2 the mixture: 6, not {answer}"
    if ask(Shifted(0, 6), 24) != 6:
        return "only the first source was asked: every one of them counts"
    if (answer := ask(Shifted(-4, 0), 24)) != 0:
        return (f"a network that looks 4 samples BACK looks 0 ahead, yours says {answer}: a "
                "distance has a sign")
    if (answer := ask(Shifted(-4, -3), 24)) != 0:
        return (f"a network that only looks back looks 0 ahead, yours says {answer}: nothing ahead "
                "is 0")
    if ask(Ahead(), 24) != 9:
        return ("a faint influence is one, too (here 1e-4 of the output): ask whether the "
                "derivative is 0, not whether it is small")
    if (answer := ask(Centred(), 24)) != 23:
        return (f"where every output sees every input, of 24, the first one looks 23 ahead; yours "
                f"says {answer}: ask every output sample, not one in the middle")
    return None


def judge_consistent(consistent) -> str | None:
    """04.8: consistent(estimates (source, time), mixture (time,)) -> estimates with that sum."""
    generator = torch.Generator().manual_seed(0)
    estimates = torch.randn(3, 50, generator=generator)
    mixture = torch.randn(50, generator=generator)
    answer = consistent(estimates.clone(), mixture.clone())
    if answer.shape != estimates.shape:
        return f"it returns {tuple(answer.shape)}, not {tuple(estimates.shape)}"
    rest = mixture - estimates.sum(0)
    mistakes = {
        "every source got the WHOLE rest, so it is added three times: divide it among them":
            estimates + rest,
        "the rest has the wrong sign: it is mixture minus sum, and is added": estimates - rest / 3,
        "the first source got everything: share it out":
            torch.cat([estimates[:1] + rest, estimates[1:]]),
        "the rest is divided by two, but there may be any number of sources": estimates + rest / 2,
        "the estimates were scaled until the sum fits: where the sum is near zero, that explodes; "
        "ADD a share of what is missing": estimates * (mixture / estimates.sum(0)),
        "that is what is missing, not yet added to the estimates": (rest / 3).expand(3, 50),
        "nothing has changed: the estimates still do not add up": estimates,
    }
    if _close(answer, estimates + rest / 3):
        return None
    for says, wrong in mistakes.items():
        if _close(answer, wrong):
            return says
    if _close(answer.sum(0), mixture):
        return "they add up, but one source was changed more than another: equal shares"
    off = (answer.sum(0) - mixture).abs().max()
    return f"the estimates add up to something else than the mixture: {off:.2g} off"


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, atol=1e-4, rtol=1e-4)


JUDGES = {"04.6": judge_looks_ahead, "04.8": judge_consistent}
