"""Stereo: the separators' contract with channels before time, trained by the one loop."""

import pytest
import torch

from sep_helpers import models, training
from sep_helpers.corpora import open_corpus
from sep_helpers.models import sizes
from sep_helpers.models.config import ConfigError
from sep_helpers.models.trace import trace
from sep_helpers.models.waveform import WaveformError
from sep_helpers.views import FrozenView, LiveView, Recipe, freeze
from tests.toy_corpus import make_tracks

FRAME = {"n_fft": 64, "hop": 16}
NETWORKS = {
    "deep_conv_sep": {"block": 10, "taps": 4, "vertical": 5, "horizontal": 4, "code": 6, **FRAME},
    "unet": {"depth": 3, "width": 3, "kernel": 3, **FRAME},
    "conv_tasnet": {"N": 12, "L": 8, "B": 6, "H": 10, "Sc": 6, "P": 3, "X": 3, "R": 2},
    "deep_conv_tasnet": {"N": 12, "L": 8, "B": 6, "H": 10, "Sc": 6, "P": 3, "X": 2, "R": 1},
    "dprnn_tasnet": {"N": 6, "L": 8, "B": 6, "H": 4, "chunk": 10, "R": 1},
}
MASKED = ("deep_conv_sep", "unet")


def small(name, channels=2, **changes):
    torch.manual_seed(0)
    config = {"name": name, "channels": channels, "n_sources": 4, **NETWORKS[name], **changes}
    return models.build(models.complete(config)).eval()


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("time", [1, 7, 64, 161, 1001])
@pytest.mark.parametrize("name", NETWORKS)
def test_any_length_comes_out_as_long_as_it_went_in(name, time):
    with torch.no_grad():
        estimates = small(name)(noise(3, 2, time))
    assert estimates.shape == (3, 4, 2, time) and estimates.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_mono_is_what_a_config_without_channels_says(name):
    config = {"name": name, "n_sources": 4, **NETWORKS[name]}
    assert models.check(models.complete(config)) == small(name, channels=1).config
    assert "channels" not in small(name, channels=1).config and small(name).config["channels"] == 2
    assert small(name, channels=1).channels == 1 and small(name).channels == 2


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("time", [33, 161, 1001])
def test_the_stems_add_up_to_the_mixture_last_partial_block_and_all(name, time):
    mixture = noise(2, 2, time)
    with torch.no_grad():
        error = (small(name)(mixture).sum(1) - mixture).square().sum() / mixture.square().sum()
    assert error < 1e-10            # -100 dB


@pytest.mark.parametrize("name", MASKED)
def test_a_channel_is_masked_and_not_mixed_with_the_other(name):
    """What is silent on the left stays silent there, whatever sounds on the right."""
    mixture = noise(1, 2, 500)
    mixture[:, 0] = 0
    with torch.no_grad():
        estimates = small(name)(mixture)
    assert estimates[:, :, 0].abs().max() < 1e-6 and estimates[:, :, 1].abs().max() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_both_channels_are_heard(name):
    """The right channel has a say in the left one's estimates: that is what stereo is for."""
    network, mixture = small(name), noise(1, 2, 640)
    changed = mixture.clone()
    changed[:, 1] = noise(1, 640, seed=5)
    with torch.no_grad():
        difference = network(mixture)[:, :, 0] - network(changed)[:, :, 0]
    assert difference.abs().max() > 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_an_utterance_does_not_know_its_neighbours(name):
    network, batch = small(name), noise(3, 2, 700)
    with torch.no_grad():
        alone = torch.cat([network(x[None]) for x in batch])
        assert torch.allclose(network(batch), alone, atol=1e-5)


@pytest.mark.parametrize("name", MASKED)
def test_a_louder_song_gives_louder_stems_and_the_balance_of_its_channels_stays(name):
    network, mixture = small(name), noise(1, 2, 800)
    with torch.no_grad():
        assert torch.allclose(network(100 * mixture), 100 * network(mixture), rtol=1e-3, atol=1e-4)
        assert torch.equal(network(torch.zeros(1, 2, 300)), torch.zeros(1, 4, 2, 300))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_gradient(name):
    network = small(name).train()
    (network(noise(2, 2, 900)) - noise(2, 4, 2, 900, seed=1)).square().sum().backward()
    for key, p in network.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("shape", "says"), [
    ((1, 100), "for 2 channels.*give mono to both"),
    ((100,), "for 2 channels.*give mono to both"),
    ((2, 100), "for 2 channels.*add the batch"),
    ((1, 1, 100), "for 2 channels.*expand"),
    ((1, 6, 100), "for 2 channels.*mix 6 channels down to 2"),
    ((1, 2, 0), "no sample"),
])
def test_another_number_of_channels_is_refused_in_one_line(name, shape, says):
    with pytest.raises(WaveformError, match=says) as error:
        small(name)(torch.zeros(shape))
    assert "\n" not in str(error.value)
    if len(shape) == 3 and shape[-1]:
        with pytest.raises(WaveformError, match="for one channel"):
            small(name, channels=1)(torch.zeros(shape))


@pytest.mark.parametrize("name", NETWORKS)
def test_three_channels_are_refused(name):
    with pytest.raises(ConfigError, match="channels=3: networks here are mono, 1, or stereo, 2"):
        small(name, channels=3)


def test_sizes_equal_the_hand_counts():
    """Stereo costs a second channel where sound goes in and comes out, and nothing else."""
    stereo = {"channels": 2, "n_sources": 4}
    counted = {name: models.count_parameters(models.build(models.complete(
        {"name": name, **stereo}))) for name in ("deep_conv_sep", "unet", "conv_tasnet")}
    assert counted["deep_conv_sep"] == (
        (2 * 513 + 1) * 50 + (50 * 15 + 1) * 30 + 481 * 128
        + 4 * (129 * 480 + (30 * 50 * 15 + 50) + 2 * (50 * 513 + 1)))
    assert counted["unet"] == (
        25 * (2 * 16 + 16 * 32 + 32 * 64 + 64 * 128) + 2 * (16 + 32 + 64 + 128)
        + 25 * (128 * 64 + 128 * 32 + 64 * 16) + 2 * (64 + 32 + 16) + 25 * 32 * 8 + 8)
    mono = models.complete({"name": "conv_tasnet", "n_sources": 4})
    assert counted["conv_tasnet"] == sum(sizes.parameters(mono).values()) + 2 * 512 * 16
    assert counted["conv_tasnet"] == sum(sizes.parameters(mono | {"channels": 2}).values())


def test_a_pair_of_equal_channels_is_what_the_mono_encoder_hears_twice():
    """Stereo filters (f, f) on (x, x) give twice the mono response: the layout is the right one."""
    mono, stereo = small("conv_tasnet", channels=1), small("conv_tasnet")
    stereo.encoder.weight.data = mono.encoder.weight.data.expand(-1, 2, -1).contiguous()
    x = noise(1, 101)
    twice = stereo.encode(x[:, None].expand(-1, 2, -1))
    assert torch.allclose(twice, 2 * mono.encode(x), atol=1e-6)
    reference = torch.nn.functional.conv1d(
        torch.nn.functional.pad(noise(1, 2, 104), (4, 4)), small("conv_tasnet").encoder.weight,
        stride=4).mT
    assert torch.allclose(small("conv_tasnet").encode(noise(1, 2, 104)), reference, atol=1e-6)


def test_the_stereo_decoder_is_a_transposed_convolution():
    network, d = small("conv_tasnet"), noise(1, 4, 27, 12)
    reference = torch.nn.functional.conv_transpose1d(
        d[0].mT, network.decoder.weight, stride=4)[..., 4:108]
    assert torch.allclose(network.decode(d, 104)[0], reference, atol=1e-5)


def test_trace_knows_stereo():
    table = trace(small("conv_tasnet"), noise(1, 2, 80))
    assert table["shape"].iloc[-1] == (1, 4, 2, 80)
    with pytest.raises(ValueError, match=r"stereo network \(batch, channel, time\)"):
        trace(small("conv_tasnet"), noise(1, 80))


@pytest.mark.parametrize(("name", "objective"), [
    ("unet", "conv_sep"), ("deep_conv_sep", "conv_sep"), ("conv_tasnet", "snr"),
    ("unet", "euclidean")])
def test_stems_train_by_the_one_loop(name, objective, tmp_path):
    stems = ["vocals", "drums", "other"]
    corpus = open_corpus(make_tracks(tmp_path / "tracks", 5, stems=stems), channels=2, kind="stem")
    common = {"n_sources": 3, "categories": stems, "together": "track", "seconds": 0.2}
    train = Recipe("t", "train", n_mixtures=6, augment={"remix": 0.5, "swap": 0.5}, **common)
    val = FrozenView(corpus, freeze(corpus, Recipe("v", "val", n_mixtures=2, **common)))
    settings = training.Settings(epochs=2, batch=2, objective=objective, assignment="fixed")

    def go(folder, **changes):
        network = small(name, n_sources=3)
        recipe = Recipe(**{**train.to_dict(), **changes})
        return training.fit(network, LiveView(corpus, recipe), val, settings, tmp_path / folder)

    history = go("run")
    assert history.val_si_snr.notna().all() and history.attrs["finished"]
    assert (history.swapped.dropna() == 0).all()      # a fixed slot never changes places
    assert go("again").drop(columns=["seconds", "val_seconds"]).equals(
        history.drop(columns=["seconds", "val_seconds"]))
    if objective == "conv_sep":
        with pytest.raises(training.TrainingError, match="order other, vocals, drums.*together"):
            go("wrong", categories=["other", "vocals", "drums"])
