"""What may go into a separator: (batch, time), or (batch, channel, time) into a stereo one.

At least one sample, in its weights' precision.
"""

import torch
from torch import Tensor, nn


class WaveformError(ValueError):
    """A mixture that a separator cannot take, in one line with the remedy."""


def check_mixture(mixture: Tensor, separator: nn.Module) -> Tensor:
    """The mixture, unless it is none.

    NaN passes, and stays in its own utterance: looking for it would cost every step of a training,
    whose loss shows it anyhow; `evaluation.separate` refuses it. Raises WaveformError.
    """
    if not isinstance(mixture, Tensor):
        raise WaveformError(f"the mixture is a {type(mixture).__name__}: give a float tensor "
                            "(batch, time), torch.from_numpy(array).float()")
    shape, weights = tuple(mixture.shape), next(separator.parameters())
    channels = getattr(separator, "channels", 1)
    if channels > 1 and shape[1:-1] != (channels,):
        raise WaveformError(_not_of(channels, shape))
    if mixture.dim() == 1:
        raise WaveformError(f"the mixture is {shape}: a separator wants (batch, time), "
                            "mixture.unsqueeze(0)")
    if channels == 1 and mixture.dim() != 2:
        raise WaveformError(f"the mixture is {shape}: this separator is for one channel, "
                            "(batch, time): average the channels, mixture.mean(1)")
    if not mixture.numel():
        raise WaveformError(f"the mixture is {shape}: there is no sample in it")
    if mixture.device != weights.device:
        raise WaveformError(f"the mixture is on {mixture.device}, the separator on "
                            f"{weights.device}: mixture.to({str(weights.device)!r})")
    cast = torch.is_autocast_enabled(mixture.device.type) and mixture.is_floating_point()
    if mixture.dtype != weights.dtype and not cast:
        raise WaveformError(f"the mixture is {mixture.dtype}, the separator {weights.dtype}: give "
                            f"mixture.to({weights.dtype}), integers divided by their full scale")
    return mixture


def _not_of(channels: int, shape: tuple) -> str:
    """What to do with a mixture that has not the channels of a stereo separator."""
    if len(shape) == 3:
        remedy = "give one to both, mixture.expand(-1, 2, -1)" if shape[1] == 1 else \
            f"mix {shape[1]} channels down to {channels} first"
    else:
        remedy = "add the batch, mixture.unsqueeze(0)" if shape[:-1] == (channels,) else \
            "give mono to both, torch.stack([mixture, mixture], 1)"
    return (f"the mixture is {shape}: this separator is for {channels} channels, "
            f"(batch, {channels}, time): {remedy}")
