"""How many times faster than real time the `laptop` network separates ten seconds."""

import _ratio
import torch

from sep_helpers import models, workspace
from sep_helpers.evaluation import separate

SECONDS = 10
separator = models.build(models.complete(
    {"name": "conv_tasnet", **workspace.PRESETS["laptop"].model})).eval()
mixture = torch.randn(SECONDS * separator.sample_rate)
times = [_ratio.seconds(lambda: separate(separator, mixture)) for _ in range(9)][2:]
_ratio.report("separate", [SECONDS / t for t in times], "real time", goal=10)
