"""What all mask networks share: STFT, features, masks on the mixture, inverse STFT.

A network says only what stands between features and masks:

    mixture (batch, time) -> spectrogram Y (batch, freq, frame) -> features (batch, frame, feature)
    -> `estimate` -> (batch, frame, source k F) -> masks, masked mixtures -> (batch, source, time)

A stereo network (`channels: 2` in its config) has the features of both channels side by side,
(batch, frame, channel feature), and gives every channel masks of its own, (batch, frame,
source channel k F); mixture and estimates have their channels before time.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sep_helpers.models.waveform import check_mixture
from sep_helpers.stft import WINDOWS, STFTError, check_overlap, istft, stft

COMPRESSION = 0.3      # of magnitudes: Ephrat et al., "Looking to listen", 2018, section 4
LEAST_LEVEL = 1e-8     # a mixture below this is silence, and is not amplified


def complex_features(Y: Tensor) -> Tensor:
    """Real and imaginary part side by side, magnitudes compressed: -> (batch, frame, 2F)."""
    size = Y.abs().clamp(min=LEAST_LEVEL)
    return torch.view_as_real(Y * size ** (COMPRESSION - 1)).transpose(1, 2).flatten(2).contiguous()


def log_magnitude(Y: Tensor) -> Tensor:
    """log10 |Y| + 1, so one unit is 20 dB: (batch, freq, frame) -> (batch, frame, F)."""
    return (Y.abs().clamp(min=1e-3).log10() + 1).mT.contiguous()


def normalised(Y: Tensor) -> Tensor:
    """log10 |Y| less the mean of its frequency, over the spread of all: (batch, frame, F).

    Over the utterance. What a voice or a microphone always has is taken out, what moves is left,
    around 0 and of size 1: a recurrent network learns far faster from it.
    """
    x = Y.abs().clamp(min=1e-3).log10().mT
    x = x - x.mean(1, keepdim=True)
    spread = x.square().mean((1, 2), keepdim=True).sqrt()
    return (x / spread.clamp(min=1e-4)).contiguous()


FEATURES: dict[str, tuple[Callable, int]] = {     # name -> (function, values a frequency)
    "complex": (complex_features, 2),
    "log_magnitude": (log_magnitude, 1),
    "normalised": (normalised, 1),
}


def begin_for_relu(layer: nn.Module, fan_in: int | None = None) -> nn.Module:
    """Weights of variance 2 / fan_in and no bias; returns the layer. fan_in: how many inputs meet
    in one output, by default all that a row of the weights has.

    A signal then keeps its size through layer after layer of ReLUs (He et al., "Delving deep into
    rectifiers", 2015, eq. 10). PyTorch's own start makes it smaller in each, until little but the
    biases arrives, and a deep network first has to learn to listen.
    """
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (fan_in or layer.weight[0].numel())))
    nn.init.zeros_(layer.bias)
    return layer


@dataclass(frozen=True)
class MaskKind:
    """How a network's output, (batch, source, frame, k, F), becomes masked mixtures."""

    k: int                                       # values of output a time-frequency bin
    apply: Callable[[Tensor, Tensor], Tensor]    # (output, Y (batch, 1, frame, F)) -> complex


def joint_soft(output: Tensor) -> Tensor:
    """m_i = |y_i| / sum_j |y_j| over the sources, dim 1 (Huang et al., 2015, eq. 5)."""
    size = output.abs()
    return size / size.sum(1, keepdim=True).clamp(min=1e-8)


def _real(function: Callable[[Tensor], Tensor]) -> MaskKind:
    return MaskKind(1, lambda output, Y: function(output.squeeze(3)) * Y)


def _split(output: Tensor, Y: Tensor) -> Tensor:
    """A mask for the real part and one for the imaginary part."""
    return torch.complex(output[:, :, :, 0] * Y.real, output[:, :, :, 1] * Y.imag)


MASKS = {
    "sigmoid": _real(torch.sigmoid),
    "softmax": _real(lambda output: torch.softmax(output, dim=1)),
    "relu": _real(torch.relu),
    "joint": _real(joint_soft),
    "split": MaskKind(2, _split),
    # ReLU'd, neither part can change its sign: the phase stays in the mixture's quadrant
    "split_relu": MaskKind(2, lambda output, Y: _split(torch.relu(output), Y)),
    "complex": MaskKind(2, lambda output, Y: torch.complex(output[:, :, :, 0],
                                                           output[:, :, :, 1]) * Y),
}


class MaskNetwork(nn.Module):
    """Separator: mixture (batch, time) -> estimates (batch, source, time), any length; in stereo
    (batch, channel, time) -> (batch, source, channel, time).

    The level of a mixture is taken out before the network and put back after it: twice as loud
    a mixture gives estimates twice as loud. Since this level is that of the whole utterance,
    and the STFT's frames are centred, no mask network here is causal.
    """

    SHARED = {"features": "normalised", "mask": "sigmoid", "n_fft": 256, "hop": 64,
              "window": "hann", "n_sources": 2, "sample_rate": 8000}
    CHOICES = {"features": FEATURES, "mask": MASKS, "window": dict.fromkeys(WINDOWS)}
    ABSENT: dict = {}
    EXTRAS: dict = {}
    causal = False

    @classmethod
    def count(cls, c: dict) -> dict[str, int]:
        """Trainable values of each part, from a full config; no memory is taken."""
        with torch.device("meta"):
            parts = cls(c).named_children()
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts}

    @classmethod
    def objection(cls, c: dict) -> str | None:
        """Why these values do not go together, or None."""
        try:
            check_overlap(c["window"], c["n_fft"], c["hop"])
        except STFTError as error:
            return str(error)
        return None

    def __init__(self, config: dict):
        super().__init__()
        self.config = c = dict(config)
        self.n_sources, self.sample_rate = c["n_sources"], c["sample_rate"]
        self.frame = {"n_fft": c["n_fft"], "hop": c["hop"], "window": c["window"]}
        self.n_freqs = c["n_fft"] // 2 + 1
        self.features, per_frequency = FEATURES[c["features"]]
        self.channels = c.get("channels", 1) if "channels" in self.EXTRAS else 1
        self.n_features = self.channels * per_frequency * self.n_freqs
        self.mask = MASKS[c["mask"]]
        self.n_outputs = self.n_sources * self.channels * self.mask.k * self.n_freqs     # a frame

    def estimate(self, features: Tensor) -> Tensor:
        """(batch, frame, n_features) -> (batch, frame, n_outputs): the network itself."""
        raise NotImplementedError

    def masked(self, Y: Tensor) -> Tensor:
        """Mixture spectrogram (batch, channel, freq, frame) -> masked ones (batch, source, channel,
        freq, frame); without channels where the network is for one."""
        stereo = self.channels > 1
        features = self.features(Y.flatten(0, 1) if stereo else Y)
        if stereo:
            features = features.unflatten(0, Y.shape[:2]).transpose(1, 2).flatten(2)
        output = self.estimate(features).unflatten(
            2, (self.n_sources, self.channels, self.mask.k, self.n_freqs))
        # every channel's masks are applied as if it were a mixture of its own
        output = output.permute(0, 3, 2, 1, 4, 5).flatten(0, 1)     # (batch channel, source, ...)
        mono = Y.flatten(0, 1) if stereo else Y
        masked = self.mask.apply(output, mono.mT.unsqueeze(1)).mT
        return masked.unflatten(0, Y.shape[:2]).transpose(1, 2) if stereo else masked

    def forward(self, mixture: Tensor) -> Tensor:
        check_mixture(mixture, self)
        over = tuple(range(1, mixture.dim()))           # time, and the channels: one level for all
        level = mixture.square().mean(over, keepdim=True).sqrt().clamp(min=LEAST_LEVEL)
        Y = stft(mixture / level, **self.frame)
        return level.unsqueeze(1) * istft(self.masked(Y), mixture.shape[-1], **self.frame)
