"""Every mask network keeps the separator's contract, and is what its paper draws."""

import pytest
import torch

from sep_helpers.models import NETWORKS, ConfigError, build, complete, count_parameters
from sep_helpers.models.looking_to_listen import DILATIONS, KERNELS
from sep_helpers.models.mask_network import (
    MASKS,
    MaskNetwork,
    begin_for_relu,
    joint_soft,
    normalised,
)
from sep_helpers.models.recurrent_masks import ReLURecurrence
from sep_helpers.models.transformer_masks import positions
from sep_helpers.permutation import pit

SMALL = {
    "lstm_masks": {"hidden": 12}, "blstm_masks": {"hidden": 12}, "drnn": {"hidden": 12},
    "srnn": {"hidden": 12}, "vtf": {"width": 16, "heads": 2, "layers": 2, "feedforward": 12},
    "gab": {"channels": 3, "hidden": 8, "dense": 12},
    "deep_conv_sep": {"block": 10, "taps": 4, "vertical": 5, "horizontal": 4, "code": 6},
    "unet": {"depth": 3, "width": 3, "kernel": 3},
}
NAMES = [name for name, network in NETWORKS.items() if issubclass(network, MaskNetwork)]
FRAME = {"n_fft": 64, "hop": 16}


def small(name, **changes):
    torch.manual_seed(0)
    return build(complete({"name": name, **FRAME, **SMALL[name], **changes})).eval()


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_all_of_them_are_here():
    assert set(NAMES) == set(SMALL)


@pytest.mark.parametrize("time", [1, 17, 64, 1001])
@pytest.mark.parametrize("name", NAMES)
def test_any_length_comes_out_as_long_as_it_went_in(name, time):
    separator = small(name)
    assert separator(noise(3, time)).shape == (3, 2, time)
    assert not separator.causal and separator.sample_rate == 8000


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_sources(name, n):
    separator = small(name, n_sources=n)
    assert separator.n_sources == n and separator(noise(2, 500)).shape == (2, n, 500)


@pytest.mark.parametrize("name", NAMES)
def test_a_louder_mixture_gives_louder_estimates_and_nothing_else(name):
    separator, mixture = small(name), noise(1, 800)
    assert torch.allclose(separator(100 * mixture), 100 * separator(mixture), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_an_utterance_does_not_know_its_neighbours(name):
    separator, batch = small(name), noise(4, 700)
    alone = torch.cat([separator(x[None]) for x in batch])
    assert torch.allclose(separator(batch), alone, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_silence_stays_silence(name):
    assert torch.equal(small(name)(torch.zeros(1, 300)), torch.zeros(1, 2, 300))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name):
    separator = small(name).train()
    sources = noise(2, 2, 900)
    (-pit(separator(sources.sum(1)), sources)[0].mean()).backward()
    for key, p in separator.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), key
        assert p.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_it_can_learn_one_mixture_by_heart(name):
    """Two sources in two bands: a mask can part them, so the loss has to fall far."""
    separator = small(name).train()
    spectrum = torch.fft.rfft(noise(1, 2, 1000))
    spectrum[:, 0, 150:] = 0
    spectrum[:, 1, :200] = 0
    sources = torch.fft.irfft(spectrum, 1000)
    optimizer = torch.optim.Adam(separator.parameters(), 3e-3)
    values = []
    for _ in range(100):
        value = pit(separator(sources.sum(1)), sources)[0].mean()
        optimizer.zero_grad()
        (-value).backward()
        torch.nn.utils.clip_grad_norm_(separator.parameters(), 5)
        optimizer.step()
        values.append(value.item())
    assert max(values) > values[0] + 5


@pytest.mark.parametrize("name", NAMES)
def test_its_size_is_counted_before_it_is_built(name):
    separator = small(name)
    assert sum(type(separator).count(separator.config).values()) == count_parameters(separator)


def lstm(inputs, hidden):
    return 4 * hidden * (inputs + hidden + 2)


@pytest.mark.parametrize(("name", "expected"), [     # by hand, F = 129
    ("lstm_masks", 129**2 + lstm(129, 256) + lstm(256, 256) + 257 * 258),
    ("blstm_masks", 129**2 + 2 * lstm(129, 128) + 2 * lstm(256, 128) + 257 * 258),
    ("drnn", 130 * 512 + (2 * 512 + 1) * 512 + 513 * 512 + 513 * 258),
    ("srnn", (129 + 513) * 512 + 2 * (2 * 512 + 1) * 512 + 513 * 258),
    ("vtf", 130 * 128 + 3 * (4 * 129 * 128 + 129 * 256 + 257 * 128 + 4 * 128) + 256 + 129 * 258),
    ("gab", 2 * 96 * 7 + 96**2 * 7 + 4 * 96**2 * 25 + 96 * 8 + 2 * (6 * 96 + 8)
     + 2 * lstm(8 * 129, 200) + 401 * 600 + 601 * 516),
    ("unet", 25 * (16 + 16 * 32 + 32 * 64 + 64 * 128)              # down, and batch norms
     + 2 * (16 + 32 + 64 + 128)
     + 25 * (128 * 64 + 128 * 32 + 64 * 16) + 2 * (64 + 32 + 16)    # up, bridges beside
     + 25 * 32 * 2 + 2),
])
def test_the_default_size_is_the_one_on_paper(name, expected):
    assert count_parameters(build(complete({"name": name}))) == expected


def test_deep_conv_sep_has_the_papers_shapes():
    """Chandna et al. 2017: 30 x 513 in, 50 and 30 filters, 128 units in the bottleneck."""
    network = build(complete({"name": "deep_conv_sep", "n_sources": 4}))
    assert network.n_freqs == 513 and network.block == 30 and len(network.decoders) == 4
    assert network.code.out_features == 128 and network.shape == (30, 16)
    assert count_parameters(network) == (
        514 * 50 + (50 * 15 + 1) * 30 + 481 * 128
        + 4 * (129 * 480 + (30 * 50 * 15 + 50) + (50 * 513 + 1)))


def test_deep_conv_sep_separates_the_last_partial_block():
    network = small("deep_conv_sep")
    frames = torch.rand(1, 23, network.n_freqs)                 # two blocks and three frames
    whole = network.estimate(frames)
    last = torch.nn.functional.pad(frames[:, 20:], (0, 0, 0, 7))
    assert whole.shape[1] == 23
    assert torch.allclose(whole[:, 20:], network.estimate(last)[:, :3], atol=1e-6)


def test_normalised_features_are_centred_in_every_frequency_and_of_size_one():
    Y = torch.complex(noise(2, 9, 40), noise(2, 9, 40, seed=1)) * torch.logspace(0, 3, 9)[:, None]
    x = normalised(Y)
    assert x.shape == (2, 40, 9) and torch.allclose(x.mean(1), torch.zeros(2, 9), atol=1e-5)
    assert torch.allclose(x.square().mean((1, 2)), torch.ones(2), atol=1e-5)
    tilted = Y * torch.logspace(2, 0, 9)[:, None]         # another microphone: the same features
    assert torch.allclose(normalised(tilted), x, atol=1e-4)
    assert normalised(torch.zeros(1, 9, 1, dtype=torch.cfloat)).isfinite().all()


def test_joint_soft_masks_share_the_mixture():
    masks = joint_soft(noise(2, 3, 5, 7))
    assert torch.allclose(masks.sum(1), torch.ones(2, 5, 7)) and masks.min() >= 0
    shares = joint_soft(torch.tensor([3.0, -1.0]).reshape(1, 2, 1, 1))
    assert shares.flatten().tolist() == [0.75, 0.25]


@pytest.mark.parametrize("name", ["drnn", "srnn", "deep_conv_sep", "unet"])
def test_what_the_joint_masks_give_adds_up_to_the_mixture(name):
    mixture = noise(2, 777)
    assert torch.allclose(small(name)(mixture).sum(1), mixture, atol=1e-5)


def test_a_relu_on_the_mask_keeps_every_sign():
    """System A's fault: no real or imaginary part can be turned round."""
    Y = torch.complex(noise(1, 1, 4, 6), noise(1, 1, 4, 6, seed=1))
    output = noise(1, 2, 4, 2, 6, seed=2)
    kept = MASKS["split_relu"].apply(output, Y)
    assert (kept.real * Y.real >= 0).all() and (kept.imag * Y.imag >= 0).all()
    free = MASKS["split"].apply(output, Y)
    assert (free.real * Y.real < 0).any()
    S = -Y                                              # a source in opposite phase: out of reach
    assert (MASKS["split_relu"].apply(torch.rand(1, 2, 4, 2, 6), Y) - S).abs().min() >= \
        Y.abs().min() - 1e-6


def test_a_complex_mask_turns_the_phase():
    Y = torch.complex(noise(1, 1, 4, 6), noise(1, 1, 4, 6, seed=1))
    turn = torch.zeros(1, 1, 4, 2, 6)
    turn[:, :, :, 1] = 1                                # the mask i
    assert torch.allclose(MASKS["complex"].apply(turn, Y), 1j * Y)


def test_drnn_is_recurrent_at_one_layer_and_srnn_at_every():
    kinds = {name: [isinstance(layer, ReLURecurrence) for layer in small(name, layers=3).layers]
             for name in ("drnn", "srnn")}
    assert kinds == {"drnn": [False, True, False], "srnn": [True, True, True]}
    with pytest.raises(ConfigError, match="recurrent=4: there are 3 layers"):
        small("drnn", recurrent=4)


def as_rnn(layer: ReLURecurrence) -> torch.nn.RNN:
    """PyTorch's own recurrence with the same weights."""
    hidden, inputs = layer.inputs.weight.shape
    rnn = torch.nn.RNN(inputs, hidden, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(layer.inputs.weight)
        rnn.weight_hh_l0.copy_(layer.bounded())
        rnn.bias_ih_l0.copy_(layer.inputs.bias)
        rnn.bias_hh_l0.zero_()
    return rnn


def test_the_recurrence_is_pytorchs():
    torch.manual_seed(0)
    layer, x = ReLURecurrence(5, 12).eval(), noise(3, 40, 5)
    torch.nn.init.normal_(layer.inputs.bias)
    assert torch.allclose(layer(x), as_rnn(layer)(x)[0], atol=1e-5)


def stretch(U):
    return torch.linalg.matrix_norm(U.detach(), 2).item()


def test_the_recurrence_cannot_explode_however_it_was_trained():
    """No state is larger than all that came in; with the raw matrix it goes to infinity."""
    torch.manual_seed(0)
    layer, x = ReLURecurrence(4, 16).eval(), noise(1, 2000, 4).abs()
    with torch.no_grad():
        layer.memory.weight.mul_(3).add_(0.1)                               # a bad step
    assert stretch(layer.bounded()) == pytest.approx(1, abs=1e-5)
    came_in = torch.relu(layer.inputs(x)).norm(dim=-1).cumsum(1)
    assert (layer(x).norm(dim=-1) <= 1.001 * came_in + 1e-3).all()
    plain = as_rnn(layer)
    with torch.no_grad():
        plain.weight_hh_l0.copy_(layer.memory.weight)
    assert not plain(x)[0].isfinite().all()


def test_the_bound_follows_the_weights_in_training_and_lets_their_gradient_pass():
    torch.manual_seed(0)
    layer = ReLURecurrence(4, 16)
    with torch.no_grad():
        layer.memory.weight.mul_(3).add_(0.1)
    for _ in range(30):
        layer(noise(1, 3, 4))
    assert stretch(layer.bounded()) == pytest.approx(1, abs=1e-3)
    layer(noise(2, 50, 4)).square().sum().backward()
    raw = layer.memory.weight
    assert raw.grad.abs().max() > 0
    assert (raw.grad * raw).sum().abs() < 1e-3 * raw.grad.norm() * raw.norm()   # size: no matter


@pytest.mark.parametrize("training", [True, False])
def test_a_memory_of_nothing_is_no_nan(training):
    layer = ReLURecurrence(4, 16).train(training)
    torch.nn.init.zeros_(layer.memory.weight)
    x = noise(1, 9, 4)
    assert torch.allclose(layer(x), torch.relu(layer.inputs(x)))


def test_weights_that_are_nan_give_nan_as_in_any_network():
    layer = ReLURecurrence(4, 16).eval()
    torch.nn.init.constant_(layer.memory.weight, torch.nan)
    assert layer(noise(1, 9, 4)).isnan().any()


@pytest.mark.parametrize("rule", ["ema", "swa"])
def test_averaged_weights_are_bounded_too(rule):
    from sep_helpers import optimisers, settings

    network = small("srnn")
    average = optimisers.averaged(network, settings.Settings(average=rule, ema_decay=0.9))
    for k in range(20):
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.3 * noise(*p.shape, seed=k))
        network.train()(noise(1, 500, seed=k))
        average.update_parameters(network)
    for layer in average.module.eval().layers:
        assert stretch(layer.bounded()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("name", "key"), [("drnn", "bounded"), ("srnn", "bounded"),
                                           ("gab", "centred")])
def test_a_config_of_before_builds_the_network_of_before(name, key):
    """Its weights fit, under the names they had, and mean what they meant."""
    old = {k: v for k, v in small(name).config.items() if k != key}
    network = build(old).eval()
    assert network.config[key] is False
    if name == "gab":
        features, heard = noise(1, 9, network.n_features).abs(), []
        network.blstm.register_forward_hook(lambda _, x, y: heard.append(x[0]))
        network.estimate(features)
        image = features.unflatten(2, (network.n_freqs, 2)).permute(0, 3, 2, 1)
        assert torch.equal(heard[0], network.convolutions(image).flatten(1, 2).mT)
    else:
        assert {"layers.1.weight_hh_l0", "layers.1.bias_ih_l0"} <= set(network.state_dict())
        rnn = torch.nn.RNN(12, 12, nonlinearity="relu", batch_first=True)
        rnn.load_state_dict({k.removeprefix("layers.1."): v for k, v in
                             network.state_dict().items() if k.startswith("layers.1.")})
        x = noise(2, 9, 12)
        assert torch.equal(network.layers[1](x), rnn(x)[0])


@pytest.mark.parametrize("name", ["deep_conv_sep", "srnn", "drnn"])
def test_what_comes_in_arrives_behind_all_layers_from_the_first_step(name):
    """Estimates of two inputs differ by as much as they are large; with PyTorch's start hardly."""
    def difference(network):
        one, other = (network.estimate(noise(1, 40, network.n_freqs, seed=k) * 10) for k in (1, 2))
        return ((one - other).norm() / one.norm()).item()

    network = build(complete({"name": name})).eval()
    assert difference(network) > 0.5
    if name == "deep_conv_sep":
        network.apply(lambda layer: getattr(layer, "reset_parameters", bool)())
        assert difference(network) < 0.2


def test_a_layer_begins_with_the_variance_of_its_paper():
    torch.manual_seed(0)
    layer = begin_for_relu(torch.nn.Conv2d(8, 300, (5, 3)))
    assert layer.weight.var().item() == pytest.approx(2 / (8 * 5 * 3), rel=0.05)
    assert not layer.bias.any()
    up = begin_for_relu(torch.nn.ConvTranspose2d(300, 8, (5, 3)), fan_in=300)
    assert up.weight.var().item() == pytest.approx(2 / 300, rel=0.05)


def test_lstm_looks_back_only_and_blstm_both_ways():
    features = torch.rand(1, 20, 33)
    changed = features.clone()
    changed[:, 10:] += 1
    for name, same in (("lstm_masks", True), ("blstm_masks", False), ("vtf", False)):
        network = small(name)
        before, after = network.estimate(features)[:, :10], network.estimate(changed)[:, :10]
        assert torch.allclose(before, after, atol=1e-6) == same, name


def test_positions_are_the_papers():
    table = positions(50, 8)
    assert table[3, 0] == pytest.approx(torch.sin(torch.tensor(3.0)).item())
    assert table[3, 5] == pytest.approx(torch.cos(torch.tensor(3 / 10_000 ** (4 / 8))).item())


def test_the_convolutions_of_gab_keep_the_picture_and_see_far():
    assert len(KERNELS) == len(DILATIONS) == 7 and DILATIONS == (1, 1, 1, 2, 4, 8, 1)
    network = small("gab")
    image = noise(1, 2, 33, 70).requires_grad_()
    out = network.convolutions(image)
    assert out.shape == (1, 8, 33, 70)
    out[0, :, 16, 35].sum().backward()
    seen = image.grad[0].abs().sum((0, 1)).nonzero().flatten()
    assert seen.max() - seen.min() + 1 == 7 + 2 * 2 * (1 + 2 + 4 + 8)      # frames


@pytest.mark.parametrize("mask", ["complex", "split", "split_relu", "relu", "sigmoid", "softmax",
                                  "joint"])
@pytest.mark.parametrize("n", [2, 5])
def test_gab_begins_with_an_equal_share_of_the_mixture(mask, n):
    mixture = noise(2, 2000)
    estimates = small("gab", mask=mask, n_sources=n)(mixture)
    assert (estimates - mixture.unsqueeze(1) / n).norm() < 0.4 * estimates.norm()


def test_gab_does_not_hear_what_a_channel_always_has():
    network, heard = small("gab").train(), []           # batch norm: every channel of size 1
    network.blstm.register_forward_hook(lambda _, x, y: heard.append(x[0]))
    features = noise(1, 30, network.n_features)
    with torch.no_grad():
        for level in (8, 11):                           # so high that the ReLU stays open
            network.convolutions[-1][1].bias.fill_(level)
            network.estimate(features)
    assert torch.allclose(*heard, atol=1e-4) and heard[0].abs().max() > 0.5
    assert heard[0].mean(1).abs().max() < 1e-4


@pytest.mark.parametrize(("name", "changes", "says"), [
    ("blstm_masks", {"hop": 60}, "cannot be inverted"),
    ("blstm_masks", {"n_fft": 63}, "n_fft has to be even"),
    ("blstm_masks", {"window": "kaiser"}, "unknown window"),
    ("blstm_masks", {"mask": "sigmod"}, "did you mean 'sigmoid'"),
    ("blstm_masks", {"hiden": 12}, "did you mean 'hidden'"),
    ("blstm_masks", {"hidden": 0}, "must be at least 1"),
    ("vtf", {"heads": 3}, "multiple of 2 x heads"),
    ("gab", {"features": "log_magnitude"}, "reads real and imaginary"),
    ("deep_conv_sep", {"taps": 40}, "do not fit into block=10"),
    ("deep_conv_sep", {"features": "complex"}, "reads magnitudes"),
    ("srnn", {"hidden": 10**9}, "lower hidden"),
])
def test_what_cannot_be_built_is_refused_in_one_line(name, changes, says):
    with pytest.raises(ConfigError, match=says) as refused:
        small(name, **changes)
    assert "\n" not in str(refused.value)
