"""Separators: mixture (batch, time) -> estimates (batch, source, time) of the same length.

`build(config)` makes one from a plain dict; every separator carries `config`, `sample_rate`,
`n_sources` and `causal`, and that is all the rest of the course knows about it.
"""

from sep_helpers.models import sizes
from sep_helpers.models.config import NETWORKS, ConfigError, check, complete, read_config
from sep_helpers.models.files import ModelFileError, load, read_card, save
from sep_helpers.models.waveform import WaveformError

__all__ = ["NETWORKS", "ConfigError", "ModelFileError", "WaveformError", "build", "check",
           "complete", "count_parameters", "load", "read_card", "read_config", "receptive_field",
           "save"]


def build(config: dict):
    """The separator that a config describes, every key of it, e.g. read_config("conv_tasnet").

    A config that only says what differs from the paper is filled up by `complete` first:
    build(complete({"name": "conv_tasnet", "X": 6, "R": 1})).
    Raises ConfigError for an unknown or missing key (with the nearest valid name) or a bad value.
    """
    full = check(config)
    return NETWORKS[full["name"]](full)


def count_parameters(module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def receptive_field(config: dict) -> float:
    """Samples of input that one output frame can see: R (P-1) (2^X - 1) L/2 + L for a TCN.

    Keys left out take the paper's values. math.inf for networks that see the whole utterance.
    """
    return sizes.receptive_field(complete(config))
