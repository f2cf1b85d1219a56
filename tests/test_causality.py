"""Causality proved: what comes later changes nothing before t - (L - 1), bit for bit, at every t.

Equality is exact: shapes are the same in both runs, so every kernel adds up in the same order.
"""

import pytest
import torch

from sep_helpers.models import ConfigError, build, complete
from sep_helpers.models.blocks import GlobalNorm
from sep_helpers.models.config import NETWORKS
from sep_helpers.models.conv_tasnet import ConvTasNet

TIME = 90
TCN = {"N": 12, "B": 6, "H": 10, "Sc": 6, "P": 3, "X": 3, "R": 2}
CAUSAL = {
    "conv_tasnet, cLN": {"name": "conv_tasnet", **TCN, "L": 8, "norm": "cLN"},
    "conv_tasnet, cLN, no skip": {"name": "conv_tasnet", **TCN, "L": 8, "Sc": 0, "norm": "cLN"},
    "conv_tasnet, BN": {"name": "conv_tasnet", **TCN, "L": 8, "norm": "BN"},
    "conv_tasnet, even P": {"name": "conv_tasnet", **TCN, "L": 6, "P": 2, "norm": "cLN"},
    "conv_tasnet, L=2": {"name": "conv_tasnet", **TCN, "L": 2, "norm": "cLN", "mask": "softmax"},
    "conv_tasnet, bare ends": {"name": "conv_tasnet", **TCN, "L": 8, "norm": "cLN", "ends": "bare"},
    "deep_conv_tasnet": {"name": "deep_conv_tasnet", **TCN, "L": 8, "norm": "cLN"},
    "lstm_tasnet": {"name": "lstm_tasnet", "N": 12, "L": 10, "H": 9},
}


def first_change(model, t: int, x, before) -> int:
    """The first output sample that differs when the input is another from t on."""
    changed = x.clone()
    changed[:, t:] = torch.randn(TIME - t, generator=torch.Generator().manual_seed(t))
    different = (model(changed) != before).flatten(0, 1).any(0).nonzero()
    return different[0].item() if len(different) else TIME


@pytest.mark.parametrize("case", CAUSAL)
def test_a_causal_network_hears_nothing_of_what_comes_later(case):
    torch.manual_seed(0)
    config = complete({**CAUSAL[case], "causal": True})
    model, x = build(config).eval(), torch.randn(1, TIME)
    assert model.causal
    with torch.inference_mode():
        before = model(x)
        changes = [first_change(model, t, x, before) for t in range(TIME)]
    reach = config["L"] - 1
    assert all(change >= t - reach for t, change in enumerate(changes))
    assert min(change - t for t, change in enumerate(changes)) < 0, "it does use its frame"


@pytest.mark.parametrize("changes", [{"causal": False}, {"causal": False, "norm": "BN"}])
def test_the_same_proof_finds_a_network_that_looks_ahead(changes):
    config = complete({**CAUSAL["conv_tasnet, cLN"], **changes})
    model, x = build(config).eval(), torch.randn(1, TIME)
    with torch.inference_mode():
        before = model(x)
        assert any(first_change(model, t, x, before) < t - 7 for t in range(TIME))


def test_gln_in_a_causal_network_leaks_to_the_very_first_sample():
    """`build` refuses it; assembled past the check, the last sample changes the first."""
    config = complete({**CAUSAL["conv_tasnet, cLN"], "causal": True}) | {"norm": "gLN"}
    with pytest.raises(ConfigError, match="would look into the future"):
        build(config)
    model, x = ConvTasNet(config).eval(), torch.randn(1, TIME)
    assert isinstance(model.norm, GlobalNorm)
    with torch.inference_mode():
        assert first_change(model, TIME - 1, x, model(x)) == 0


@pytest.mark.parametrize("name", ["conv_tasnet", "deep_conv_tasnet", "dprnn_tasnet",
                                  "blstm_tasnet"])
def test_what_cannot_be_causal_is_refused_with_the_reason(name):
    with pytest.raises(ConfigError, match="would look into the future") as error:
        build(complete({"name": name, "causal": True}))
    assert "\n" not in str(error.value) and "use " in str(error.value)


def test_all_causal_networks_are_proved():
    able = set()
    for name, network in NETWORKS.items():
        if "causal" in network.DEFAULTS:
            for extra in ({}, {"norm": "cLN"} if "norm" in network.DEFAULTS else {}):
                try:
                    able.add(complete({"name": name, "causal": True, **extra})["name"])
                except ConfigError:
                    pass
    assert able == {config["name"] for config in CAUSAL.values()}
