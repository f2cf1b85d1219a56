"""The deep encoder and decoder: what they add, and that they add it in the right place."""

import pytest
import torch

from sep_helpers.models import ConfigError, build, complete, count_parameters
from sep_helpers.models.deep_conv_tasnet import FrameConv, stack

TINY = {"N": 12, "L": 8, "B": 6, "H": 10, "Sc": 6, "P": 3, "X": 2, "R": 2}


def tiny(**changes):
    torch.manual_seed(0)
    return build(complete({"name": "deep_conv_tasnet", **TINY, "depth": 2, **changes}))


def test_stacks_that_do_nothing_leave_conv_tasnet():
    deep = tiny()
    for module in [*deep.deep_encoder, *deep.deep_decoder]:
        if isinstance(module, FrameConv):
            module.conv.weight.data = torch.eye(12).unsqueeze(-1) * torch.tensor([0.0, 1.0, 0.0])
        else:
            module.weight.data.fill_(1)
    plain = build(complete({"name": "conv_tasnet", **TINY}))
    plain.load_state_dict(deep.state_dict(), strict=False)
    for time in (1, 7, 8, 101):
        x = torch.randn(2, time)
        assert torch.allclose(deep(x), plain(x), atol=1e-6)


def test_a_stack_is_the_convolution_of_the_paper():
    layers, x = stack(1, 5, 3, causal=False), torch.randn(2, 9, 5)
    conv, slope = layers[0].conv, layers[1].weight
    expected = torch.nn.functional.prelu(
        torch.nn.functional.conv1d(x.mT, conv.weight, padding=1), slope).mT
    assert torch.allclose(layers(x), expected, atol=1e-6)


@pytest.mark.parametrize("depth, taps", [(1, 3), (3, 3), (2, 5)])
def test_its_size_grows_with_depth_and_taps(depth, taps):
    extra = count_parameters(tiny(depth=depth, taps=taps)) - \
        count_parameters(build(complete({"name": "conv_tasnet", **TINY})))
    assert extra == 2 * depth * (12 * 12 * taps + 1)


def test_every_weight_learns():
    model = tiny(n_sources=3)
    model(torch.randn(2, 200)).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    for part in (model.deep_encoder, model.deep_decoder):
        assert all(p.grad.abs().sum() > 0 for p in part.parameters())


@pytest.mark.parametrize("changes, message", [
    ({"taps": 4}, "taps=4 must be odd unless causal"), ({"depth": 0}, "depth=0 must be at least 1"),
    ({"P": 2}, "P=2 must be odd"), ({"causal": True}, "use norm='cLN'"),
])
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny(**changes)
