"""Separators: mixture (batch, time) -> estimates (batch, source, time) of the same length.

`build(config)` makes one from a plain dict; every separator carries `config`, `sample_rate`,
`n_sources` and `causal`, and that is all the rest of the course knows about it.
"""

from sep_helpers.models.config import ConfigError, complete
from sep_helpers.models.conv_tasnet import ConvTasNet
from sep_helpers.models.files import ModelFileError, load, read_card, save

NETWORKS = {"conv_tasnet": ConvTasNet}

__all__ = ["ConfigError", "ModelFileError", "build", "complete", "count_parameters", "load",
           "read_card", "receptive_field", "save"]


def build(config: dict):
    """The separator a config describes, e.g. {"name": "conv_tasnet", "X": 6, "R": 1}.

    Keys left out take the paper's values; the separator's `.config` holds them all.
    Raises ConfigError for an unknown name or key (with the nearest valid one) or a bad value.
    """
    full = complete(config)
    return NETWORKS[full["name"]](full)


def count_parameters(module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def receptive_field(config: dict) -> int:
    """Samples of input that one output frame can see: R (P-1) (2^X - 1) L/2 + L."""
    c = complete(config)
    return c["R"] * (c["P"] - 1) * (2 ** c["X"] - 1) * c["L"] // 2 + c["L"]
