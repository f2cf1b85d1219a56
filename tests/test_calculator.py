"""The calculator against the networks themselves, the paper's table, and torch's own counter."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sep_helpers.models import ConfigError, build, complete, count_parameters, sizes
from sep_helpers.models.calculator import (
    TABLE_II,
    calculate,
    kept_for_backward,
    table_ii,
    training_memory,
)
from sep_helpers.models.config import NETWORKS

TASNETS = [name for name, network in NETWORKS.items() if "L" in network.DEFAULTS]
SMALL = dict(N=24, L=8, B=10, H=14, Sc=12, X=3, R=2, chunk=10, layers=3, depth=2)
STEPS = {"L": 2, "P": 2, "taps": 2, "chunk": 2}     # the others may grow by one


def small(name, **changes):
    values = {k: v for k, v in SMALL.items() if k in NETWORKS[name].DEFAULTS}
    return complete({"name": name, **values, **changes})


def numbers(name):
    return [k for k, v in NETWORKS[name].DEFAULTS.items() if type(v) is int]


@pytest.mark.parametrize("name", TASNETS)
def test_the_formula_counts_every_part_of_the_network(name):
    for changes in ({}, *({k: small(name)[k] + STEPS.get(k, 1)} for k in numbers(name))):
        config = small(name, **changes)
        separator, counted = build(config), sizes.parameters(config)
        parts = {part: count_parameters(module) for part, module in separator.named_children()}
        assert sum(counted.values()) == count_parameters(separator)
        assert {k: v for k, v in parts.items() if v} == counted


@pytest.mark.parametrize("key", ["N", "L", "B", "H", "Sc", "P", "X", "R"])
@pytest.mark.parametrize("name", ["conv_tasnet", "deep_conv_tasnet"])
def test_every_letter_changes_the_size(name, key):
    larger = small(name, **{key: small(name)[key] + STEPS.get(key, 1)})
    assert sum(sizes.parameters(larger).values()) > sum(sizes.parameters(small(name)).values())


def test_the_papers_table():
    table = table_ii()
    assert len(table) == len(TABLE_II) == 15
    assert (table["receptive field s"] - table["receptive field s, paper"]).abs().max() < 6e-3
    off = (table["size M"] - table["size M, paper"]).abs() > 0.1
    assert off.tolist() == [row == 3 for row in range(15)], "one printed size is not its row's"
    golden = [1.472, 1.532, 1.652, 2.243, 3.060, 6.211, 3.228, 6.013, 8.114, 5.075, 5.075, 5.075,
              5.067, 5.051, 5.051]
    assert table["size M"].tolist() == pytest.approx(golden, abs=5e-4)
    assert table["causal"].tolist() == 14 * [False] + [True]


@pytest.mark.parametrize("name", ["conv_tasnet", "deep_conv_tasnet"])
@pytest.mark.parametrize("Sc", [0, 12])
def test_multiply_adds_are_those_torch_counts(name, Sc):
    config = small(name, Sc=Sc)
    separator, time = build(config), 4000
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        separator(torch.randn(1, time))
    expected = sum(sizes.multiply_adds(config).values()) * time / config["sample_rate"]
    assert counter.get_total_flops() / 2 == pytest.approx(expected, rel=0.03)


def test_the_paper_s_best_in_figures():
    figures = calculate(complete({"name": "conv_tasnet"}), batch=1, seconds=4)
    assert figures.receptive_field == 3 * 2 * 255 * 8 + 16 and math.isinf(figures.latency)
    assert 4e9 < sum(figures.multiply_adds.values()) < 6e9
    assert figures.training_bytes > 16 * 5_050_545
    words = figures.table()["figure"]
    assert words["parameters"] == "5,050,545" and "1.53 s" in words["receptive field"]
    assert words["latency of the algorithm"] == "the whole utterance"
    parts = figures.parts()
    assert parts["parameters"].sum() == 5_050_545
    assert parts["multiply-adds a second, M"].idxmax() == "tcn"


@pytest.mark.parametrize("changes, samples", [
    ({"causal": True, "norm": "cLN"}, 8), ({"causal": True, "norm": "BN"}, 8),
    ({"norm": "gLN"}, math.inf), ({"norm": "BN"}, 2 * 2 * 7 // 2 * 4 + 8),
])
def test_latency_is_what_must_have_come_in(changes, samples):
    config = small("conv_tasnet", **changes)
    assert calculate(config).latency == samples
    if math.isinf(samples):
        return
    model, x = build(config).eval().double(), torch.randn(1, 300).double()
    with torch.no_grad():
        before = model(x)
        for t in range(150, 166):
            later = x.clone()
            later[:, t:] += 1
            same = (model(later) == before).all(1)[0]
            assert same[: t - samples + 1].all(), "final once `samples` have come in"
            assert not same[: t - samples + 1 + config["L"]].all(), "and not much sooner"


@pytest.mark.parametrize("name", TASNETS)
def test_memory_grows_with_batch_and_length_as_it_is_measured(name):
    config = small(name)
    weights = 16 * sum(sizes.parameters(config).values())
    one, two = (training_memory(config, batch, 1.0) - weights for batch in (1, 2))
    assert two == pytest.approx(2 * one, rel=1e-3)
    measured = kept_for_backward(build(config), (2, 8000))
    assert two == pytest.approx(measured, rel=0.03)


@pytest.mark.parametrize("batch, seconds", [(0, 1), (1, 0), (1, -2), (1, math.inf), (1, math.nan)])
def test_no_step_has_no_memory(batch, seconds):
    with pytest.raises(ValueError, match="a training step of"):
        calculate(small("conv_tasnet"), batch, seconds)


def test_a_config_that_cannot_be_built_has_no_figures():
    with pytest.raises(ConfigError):
        calculate({"name": "conv_tasnet", "X": 3})
    with pytest.raises(ConfigError, match="is no TasNet"):
        calculate(complete({"name": "blstm_masks"}))


def test_calculating_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    calculate(small("conv_tasnet"))
    assert torch.equal(torch.rand(1), expected)
