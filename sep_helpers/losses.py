"""Objectives and their measures, in dB: higher is better, so a loss is the negative.

Luo & Mesgarani, "Conv-TasNet", 2019, eq. 4-6 (SI-SNR); Le Roux et al., "SDR - half-baked or
well done?", 2019 (why the scale is projected out). SI-SNR here is always zero-mean.
"""

import torch
from torch import Tensor

EPS = 1e-8   # energy floor: keeps silence finite without touching audible signals


def valid_samples(lengths: Tensor | None, like: Tensor) -> Tensor | None:
    """Mask that is 1 on samples and 0 on padding.

    `lengths` (batch,) in samples, `like` (batch, ..., time) -> (batch, 1 ..., time), or None.
    """
    if lengths is None:
        return None
    lengths = lengths.to(like.device).reshape(-1, *[1] * (like.dim() - 1))
    return (torch.arange(like.shape[-1], device=like.device) < lengths).to(like.dtype)


def zero_mean(x: Tensor, valid: Tensor | None = None) -> Tensor:
    """Subtract the mean over time, (..., time); padding neither counts nor changes from 0."""
    if valid is None:
        return x - x.mean(-1, keepdim=True)
    mean = (x * valid).sum(-1, keepdim=True) / valid.sum(-1, keepdim=True).clamp(min=1)
    return (x - mean) * valid


def si_snr(estimate: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Scale-invariant signal-to-noise ratio in dB (eq. 4-6 of Conv-TasNet), zero-mean.

    estimate, target (..., time), broadcast against each other; lengths (batch,) in samples
    excludes padding. Returns (...). Blind to the estimate's scale and sign.
    """
    valid = valid_samples(lengths, estimate)
    e, s = zero_mean(estimate, valid), zero_mean(target, valid)
    scale = (e * s).sum(-1, keepdim=True) / (s.square().sum(-1, keepdim=True) + EPS)
    projection = scale * s
    noise = e - projection
    return 10 * torch.log10((projection.square().sum(-1) + EPS) / (noise.square().sum(-1) + EPS))


def snr(estimate: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Signal-to-noise ratio in dB, 10 log10 |s|^2 / |s - e|^2: the level counts.

    Shapes as in `si_snr`.
    """
    valid = valid_samples(lengths, estimate)
    noise = target - estimate if valid is None else (target - estimate) * valid
    signal = target if valid is None else target * valid
    return 10 * torch.log10((signal.square().sum(-1) + EPS) / (noise.square().sum(-1) + EPS))
