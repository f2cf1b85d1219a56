"""How loud an estimate should be: SI-SNR cannot tell, so something else has to.

Three ways to give the estimates of one mixture a level, (source, time) and (time,) -> (source,
time). All run in numpy and float64: raw estimates may differ by 10^5 in level, where a float32
solver takes the soft ones for zeros.
"""

import numpy as np
import torch
from torch import Tensor

from sep_helpers.metrics import MetricError

SAME = 1e-2   # estimates whose difference is this small beside them count as one signal


def match_peak(estimates: Tensor, mixture: Tensor) -> Tensor:
    """Every estimate as loud as the mixture: the same peak, for each on its own.

    What many programs do. It breaks their sum, makes a soft voice as loud as the loud one, and
    leaves upside down what is upside down.
    """
    e, mix = _doubles(estimates, mixture)
    return _back(_scaled_to(e, np.abs(e).max(-1, keepdims=True), np.abs(mix).max()), estimates)


def least_squares(estimates: Tensor, mixture: Tensor) -> Tensor:
    """Every estimate with the gain with which their sum comes closest to the mixture.

    min |mixture - sum_i g_i e_i| over the gains g, on estimates of unit norm. A negative gain
    turns an estimate the right way up. Silence stays silent; estimates that are all but equal
    share their part. Stereo, too, (source, channel, time) and (channel, time): one gain a source.
    """
    if mixture.dim() == 2 and estimates.shape[1:] == mixture.shape:
        return least_squares(estimates.flatten(1), mixture.flatten()).view_as(estimates)
    e, mix = _doubles(estimates, mixture)
    e = _scaled_to(e, np.linalg.norm(e, axis=-1, keepdims=True), 1.0)
    gains = np.linalg.lstsq(e.T, mix, rcond=SAME)[0]
    return _back(gains[:, None] * e, estimates)


def consistent(estimates: Tensor, mixture: Tensor, weights: Tensor | None = None) -> Tensor:
    """Estimates that add up to the mixture exactly: each takes its part of what is missing.

    e_i + w_i (mixture - sum_j e_j), the projection of Wisdom et al., "Differentiable consistency
    constraints for improved deep speech enhancement", 2019, eq. 7. weights (source,), adding up
    to 1; without them each takes an equal part. Give estimates that have about the right level
    already: to a wrong level it adds the mixture. Works inside a network, too: estimates
    (..., source, time) with mixture (..., time), and gradients flow.
    """
    if estimates.dim() < 2 or estimates.shape[:-2] + estimates.shape[-1:] != mixture.shape:
        raise ValueError(_unlike(estimates, mixture))
    n = estimates.shape[-2]
    if weights is None:
        weights = estimates.new_full((n,), 1 / n)
    if weights.shape != (n,) or abs(weights.sum().item() - 1) > 1e-4:
        raise ValueError(f"the weights are {tuple(weights.shape)} with the sum "
                         f"{weights.sum().item():.4g}: give {n} that add up to 1")
    return estimates + weights.unsqueeze(-1) * (mixture - estimates.sum(-2)).unsqueeze(-2)


def _scaled_to(e: np.ndarray, size: np.ndarray, target: float) -> np.ndarray:
    """e * target / size, and silence where there is nothing to scale."""
    return np.divide(e * target, size, out=np.zeros_like(e), where=size > 0)


def _doubles(estimates: Tensor, mixture: Tensor) -> tuple[np.ndarray, np.ndarray]:
    if estimates.dim() != 2 or mixture.dim() != 1 or estimates.shape[-1] != len(mixture):
        raise ValueError(_unlike(estimates, mixture))
    if not (torch.isfinite(estimates).all() and torch.isfinite(mixture).all()):
        raise MetricError("the separator gave NaN or infinity: look for it in the mixture first, "
                          "then in the weights")
    return estimates.double().numpy(force=True), mixture.double().numpy(force=True)


def _unlike(estimates: Tensor, mixture: Tensor) -> str:
    return (f"estimates {tuple(estimates.shape)} of a mixture {tuple(mixture.shape)}: give "
            "(source, time) and (time,), both of one length")


def _back(e: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(e).to(like)
