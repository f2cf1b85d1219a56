"""Permutation-invariant training: which estimate belongs to which source, per utterance.

Yu et al., "Permutation invariant training of deep models", 2017; utterance-level: Kolbaek et
al., "Multitalker speech separation with utterance-level PIT", 2017, eq. 6.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import permutations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from sep_helpers.fast_pit import pit_si_snr
from sep_helpers.losses import si_snr

Metric = Callable[..., Tensor]   # metric(estimate, source, lengths) -> dB, higher is better
ENUMERATE_UP_TO = 5              # 5! = 120 sums are cheaper than the Hungarian method


@lru_cache
def all_permutations(n: int) -> Tensor:
    """(n!, n): every assignment of n estimates to n sources, identity first."""
    return torch.tensor(list(permutations(range(n))))


@lru_cache
def _candidates(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """All permutations (n!, source), and where in a flat (estimate, source) their scores lie."""
    candidates = all_permutations(n).to(device)
    return candidates, candidates * n + torch.arange(n, device=device)


def pairwise(
    estimates: Tensor, sources: Tensor, metric: Metric = si_snr, lengths: Tensor | None = None
) -> Tensor:
    """Metric of every estimate against every source.

    estimates, sources (batch, source, time) -> (batch, estimate, source) in the metric's unit. In
    stereo (channel before time) the metric has to take the channels together.
    """
    _refuse_other_shapes(estimates, sources)
    return metric(estimates.unsqueeze(2), sources.unsqueeze(1), lengths)


def best_permutation(scores: Tensor) -> Tensor:
    """The assignment with the highest total score, for each utterance on its own.

    scores (batch, estimate, source) -> (batch, source): the estimate that serves each source.
    """
    n = scores.shape[-1]
    if n > ENUMERATE_UP_TO:
        finite = scores.detach().nan_to_num(-1e30, 1e30, -1e30)     # NaN: the value tells, not this
        rows = [linear_sum_assignment(s, maximize=True) for s in finite.mT.cpu().numpy()]
        return torch.stack([torch.as_tensor(columns) for _, columns in rows]).to(scores.device)
    candidates, cells = _candidates(n, scores.device)
    totals = scores.flatten(1)[:, cells].sum(-1)                             # (batch, n!)
    return candidates[totals.argmax(-1)]


def greedy(scores: Tensor) -> Tensor:
    """Each estimate in turn takes the source, of those left, that it scores highest with.

    scores (batch, estimate, source) -> (batch, source) as `best_permutation`. Cheap, and not
    the best: the first estimate may take what a later one needed more.
    """
    batch, n, _ = scores.shape
    left = scores.detach().clone()
    permutation = torch.empty(batch, n, dtype=torch.long, device=scores.device)
    for estimate in range(n):
        taken = left[:, estimate].argmax(-1, keepdim=True)                   # (batch, 1)
        permutation.scatter_(1, taken, estimate)
        left.scatter_(2, taken.unsqueeze(1).expand(-1, n, 1), -torch.inf)
    return permutation


def fixed(scores: Tensor) -> Tensor:
    """Estimate k is for source k: right where a slot means something, a category or a stem."""
    batch, n, _ = scores.shape
    return torch.arange(n, device=scores.device).expand(batch, n)


ASSIGNMENTS = {"pit": best_permutation, "greedy": greedy, "fixed": fixed}


def discriminative(scores: Tensor, permutation: Tensor, gamma: float) -> Tensor:
    """Reward likeness to the own source, and with weight gamma unlikeness to the others.

    mean_j M[p_j, j] - gamma mean_j sum_{k != j} M[p_j, k], with M the scores (batch, estimate,
    source) and p the permutation (batch, source) -> (batch,): Huang et al., 2015, eq. 9, where M
    is minus the squared distance.
    """
    ordered = scores.gather(1, permutation.unsqueeze(2).expand_as(scores))   # row j serves j
    own = ordered.diagonal(dim1=1, dim2=2).sum(1)
    others = ordered.sum((1, 2)) - own
    return (own - gamma * others) / scores.shape[-1]


def reorder(estimates: Tensor, permutation: Tensor) -> Tensor:
    """Put the estimates into the order of the sources.

    estimates (batch, source, ..., time), permutation (batch, source) as `best_permutation`
    gives it.
    Indexing applies the permutation; writing `out[permutation] = x` would apply its inverse,
    which is the same thing for two sources and something else from three on.
    """
    index = permutation.reshape(*permutation.shape, *[1] * (estimates.dim() - 2))
    return estimates.gather(1, index.expand_as(estimates))


def pit(
    estimates: Tensor, sources: Tensor, metric: Metric = si_snr, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Best mean metric over permutations, and that permutation, per utterance.

    estimates, sources (batch, source, time) -> (batch,), (batch, source). The choice itself
    has no gradient: the gradient flows through the chosen pairs, as in uPIT. The loss to
    minimise is `-pit(...)[0].mean()`.
    """
    _refuse_other_shapes(estimates, sources)
    plain = _is_plain(estimates) and not sources.requires_grad
    if metric is si_snr and plain and estimates.dim() == 3 and estimates.dtype == sources.dtype:
        return pit_si_snr(estimates, sources, best_permutation, lengths)     # the same, faster
    with torch.no_grad():
        permutation = best_permutation(pairwise(estimates, sources, metric, lengths))
    return metric(reorder(estimates, permutation), sources, lengths).mean(-1), permutation


def _refuse_other_shapes(estimates: Tensor, sources: Tensor) -> None:
    if estimates.shape != sources.shape or estimates.dim() not in (3, 4):
        raise ValueError(
            f"estimates {tuple(estimates.shape)} and sources {tuple(sources.shape)} must have "
            "one shape (batch, source, time), or with channels before time: trim to one length, or "
            "build the model with n_sources and channels"
        )


def _is_plain(x: Tensor) -> bool:
    """On a CPU, in 32 or 64 bits: elsewhere a matrix product may round its inputs (TF32, half)."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) \
        and not torch.is_autocast_enabled("cpu") \
        and torch.get_float32_matmul_precision() == "highest"
