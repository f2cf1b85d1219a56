"""The table of tensors: complete, true to the batch, and in the papers' letters."""

import pytest
import torch

from sep_helpers.models import ConfigError, build, complete
from sep_helpers.models.config import NETWORKS
from sep_helpers.models.trace import trace

TASNETS = [name for name, network in NETWORKS.items() if "L" in network.DEFAULTS]
# no two letters have one value, so that no axis can pass for another
SMALL = dict(N=24, L=8, B=10, H=14, Sc=11, X=3, R=2, chunk=16, layers=3, depth=2, n_sources=3)


def small(name, **changes):
    values = {k: v for k, v in SMALL.items() if k in NETWORKS[name].DEFAULTS}
    return complete({"name": name, **values, **changes})


@pytest.mark.parametrize("name", TASNETS)
def test_every_row_has_the_shape_its_letters_say(name):
    config = small(name)
    table = trace(build(config), torch.randn(2, 501)).set_index("tensor")
    for _, row in table.iterrows():
        assert not row["axes"] or row["sizes"] == " x ".join(map(str, row["shape"]))
    K = table["shape"]["encode"][1]
    assert table["axes"]["mixture"] == "batch x T" and table["sizes"]["mixture"] == "2 x 501"
    assert table["shape"]["encode"] == (2, K, 24) and table["axes"]["encode"] == "batch x K x N"
    for step in ("masks", "masked"):
        assert table["shape"][step] == (2, 3, K, 24) and table["axes"][step] == "batch x S x K x N"
    assert table["shape"]["decode"] == (2, 3, 501)
    assert table.index[0] == "mixture" and table.index[-1] == "decode"
    assert (table["axes"] != "").mean() > 0.8, table[table["axes"] == ""]


@pytest.mark.parametrize("Sc", [0, 11])
def test_every_block_is_there(Sc):
    table = trace(small("conv_tasnet", Sc=Sc), torch.randn(1, 400)).set_index("tensor")
    for i in range(6):
        assert table["axes"][f"tcn.blocks.{i}[0]"] == "batch x K x B"
        assert table["axes"][f"tcn.blocks.{i}[1]"] == "batch x K x Sc"
    assert table["shape"]["tcn"][-1] == (Sc or 10)


def test_nothing_is_left_behind():
    separator, x = build(small("conv_tasnet", norm="BN")), torch.randn(2, 300)
    before = {k: v.clone() for k, v in separator.state_dict().items()}
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    trace(separator, x)
    trace(separator.config, x)
    assert torch.equal(torch.rand(1), expected)
    assert separator.training and not any(m._forward_hooks for m in separator.modules())
    assert not {"encode", "masks", "decode"} & set(vars(separator))
    assert all(torch.equal(v, before[k]) for k, v in separator.state_dict().items())


def test_hooks_go_even_when_the_network_fails():
    separator = build(small("conv_tasnet"))
    with pytest.raises(ValueError):
        trace(separator, torch.zeros(1, 100, dtype=torch.int64))
    assert not any(m._forward_hooks for m in separator.modules()) and separator.training


def test_what_cannot_be_traced_is_refused():
    with pytest.raises(ValueError, match=r"wants \(batch, time\)"):
        trace(small("conv_tasnet"), torch.zeros(100))
    with pytest.raises(ConfigError):
        trace({"name": "conv_tasnet"}, torch.zeros(1, 100))


def test_a_network_without_the_papers_letters_is_traced_by_its_modules():
    table = trace(complete({"name": "blstm_masks"}), torch.randn(1, 1000)).set_index("tensor")
    assert table["axes"]["mixture"] == "batch x T" and table["shape"]["to_masks"][0] == 1
