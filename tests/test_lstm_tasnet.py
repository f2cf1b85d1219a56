"""LSTM-TasNet and BLSTM-TasNet: sizes, the identity past the layers, levels, any length."""

import pytest
import torch

from sep_helpers.models import ConfigError, build, complete, count_parameters

NAMES = ["lstm_tasnet", "blstm_tasnet"]


def tiny(name="lstm_tasnet", **changes):
    torch.manual_seed(0)
    return build(complete({"name": name, "N": 12, "L": 10, "H": 8, **changes}))


@pytest.mark.parametrize("name, count, printed", [("lstm_tasnet", 31_094_000, 32.0),
                                                  ("blstm_tasnet", 23_094_000, 23.6)])
def test_the_papers_configuration_counts_about_what_is_printed(name, count, printed):
    """N=500, L=40, 4 layers of 1000 (2 x 500): within 3 %, though not the printed figure."""
    with torch.device("meta"):
        model = build(complete({"name": name}))
    assert count_parameters(model) == count
    assert count / 1e6 == pytest.approx(printed, rel=0.03)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("time", [1, 9, 10, 11, 203])
def test_any_length_in_the_same_length_out(name, time):
    estimates = tiny(name)(torch.randn(3, time))
    assert estimates.shape == (3, 2, time) and torch.isfinite(estimates).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_louder_mixture_gives_louder_estimates_and_silence_none(name):
    model, x = tiny(name), torch.randn(2, 100)
    assert torch.allclose(model(100 * x), 100 * model(x), rtol=1e-3, atol=1e-4)
    assert torch.equal(model(torch.zeros(2, 100)), torch.zeros(2, 2, 100))


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 6])
def test_an_identity_leads_past_every_two_layers_from_the_second_on(layers):
    model, w = tiny(layers=layers), torch.rand(2, 7, 12)
    y, kept = model.norm(w), {}
    for number, layer in enumerate(model.layers, start=1):
        y = layer(y)[0] + kept.get(number - 2, 0)
        if number % 2 == 0:
            kept[number] = y
    expected = model.to_masks(y).unflatten(-1, (2, 12)).transpose(1, 2).softmax(1)
    assert torch.allclose(model.masks(w), expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_encoder_is_gated_and_not_negative(name):
    model, x = tiny(name), torch.randn(2, 5, 10)
    U, V = model.encoder.weight.chunk(2)
    expected = torch.relu(x @ U.T) * torch.sigmoid(x @ V.T)
    assert torch.allclose(model.encode(x), expected, atol=1e-6) and (expected >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_softmax_masks_share_the_mixture_out_and_every_weight_learns(name):
    model = tiny(name, n_sources=3)
    masks = model.masks(torch.rand(2, 6, 12))
    assert torch.allclose(masks.sum(1), torch.ones(2, 6, 12), atol=1e-6)
    model(torch.randn(2, 100)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("name, causal, message", [
    ("lstm_tasnet", False, "name: blstm_tasnet"),
    ("blstm_tasnet", True, "would look into the future"),
])
def test_the_direction_is_in_the_name(name, causal, message):
    with pytest.raises(ConfigError, match=message):
        tiny(name, causal=causal)
