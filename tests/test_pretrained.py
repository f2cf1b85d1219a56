"""Weights from elsewhere: outputs equal, and what does not fit is refused. No network is used."""

import functools
import http.server
import threading

import pytest
import torch

from sep_helpers.models import ConfigError, count_parameters, load, pretrained, save
from sep_helpers.models.pretrained import PretrainedError, from_asteroid, from_torchaudio

SIZES = dict(enc_kernel_size=16, enc_num_feats=24, msk_kernel_size=3, msk_num_feats=10,
             msk_num_hidden_feats=20, msk_num_layers=4, msk_num_stacks=2)
LENGTHS = (16, 101, 800)
SMALL = dict(n_filters=24, kernel_size=16, stride=8, n_blocks=3, n_repeats=2, bn_chan=10,
             hid_chan=20, skip_chan=12)


def shaken(model):
    """Random weights everywhere, away from the ones and zeros of fresh norms."""
    generator = torch.Generator().manual_seed(1)
    for value in model.state_dict().values():
        if value.is_floating_point():
            value += 0.1 * torch.randn(value.shape, generator=generator).abs()
    return model.eval()


@pytest.fixture(scope="module")
def torchaudio():
    return pytest.importorskip("sep_helpers._torchaudio").load()


def theirs(torchaudio, **changes):
    torch.manual_seed(0)
    return shaken(torchaudio.models.ConvTasNet(**{"num_sources": 2, **SIZES, **changes}))


@pytest.fixture(scope="module")
def asteroid():
    return pytest.importorskip("asteroid.models", reason="asteroid is not installed: see "
                               "tests/requirements-peers.txt")


def far(ours, others) -> float:
    return ((ours - others).abs().max() / others.abs().max()).item()


@pytest.mark.parametrize("mask", ["sigmoid", "relu"])
@pytest.mark.parametrize("n_sources", [1, 2, 3])
def test_torchaudios_network_gives_the_same_here(torchaudio, mask, n_sources):
    other = theirs(torchaudio, num_sources=n_sources, msk_activate=mask)
    ours = from_torchaudio(other)
    assert (ours.config["X"], ours.config["R"], ours.config["mask"]) == (4, 2, mask)
    with torch.no_grad():
        for time in LENGTHS:
            x = torch.randn(2, time)
            assert far(ours(x), other(x.unsqueeze(1))) < 1e-5


def test_the_published_configuration_has_its_size_and_gives_the_same(torchaudio, tmp_path):
    torch.manual_seed(0)
    other = shaken(torchaudio.models.conv_tasnet_base(2))
    assert count_parameters(other) == 4_984_881
    ours = from_torchaudio(other.state_dict())
    missing = 512 * 128 + 128                  # the last block's residual, which nothing reads
    assert count_parameters(ours) == 4_984_881 + missing and ours.sample_rate == 8000
    x = torch.randn(1, 4001)
    with torch.no_grad():
        assert far(ours(x), other(x.unsqueeze(1))) < 1e-5
    save(ours, tmp_path / "m.safetensors")
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "m.safetensors")(x), ours(x))


@pytest.fixture
def server(torchaudio, tmp_path, monkeypatch):
    """A stand-in for the download: a folder served on this machine, and an empty hub folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *args: None)
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    monkeypatch.setattr(pretrained, "LIBRI2MIX",
                        f"http://127.0.0.1:{http_server.server_port}/weights.pt")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    yield tmp_path
    http_server.shutdown()
    http_server.server_close()


def test_the_download_is_read_kept_and_turned_into_a_separator(server, torchaudio):
    other = theirs(torchaudio, msk_num_layers=8, msk_num_stacks=1, msk_activate="relu")
    torch.save(other.state_dict(), server / "weights.pt")
    ours = pretrained.libri2mix()
    (server / "weights.pt").unlink()           # the second time it comes from the hub's folder
    again, x = pretrained.libri2mix(), torch.randn(1, 500)
    with torch.no_grad():
        assert far(ours(x), other(x.unsqueeze(1))) < 1e-5
        assert torch.equal(again(x), ours(x))


def test_a_download_that_fails_is_one_line(server):
    with pytest.raises(PretrainedError, match="could not be fetched.*404.*check the conn") as error:
        pretrained.libri2mix()
    assert "\n" not in str(error.value)
    (server / "weights.pt").write_bytes(b"<html>sign in</html>")
    with pytest.raises(PretrainedError, match="is damaged: delete it") as error:
        pretrained.libri2mix()
    assert "\n" not in str(error.value)


def test_what_is_no_torchaudio_network_is_refused(torchaudio):
    state = theirs(torchaudio).state_dict()
    with pytest.raises(PretrainedError, match="is no torchaudio Conv-TasNet"):
        from_torchaudio(torch.nn.Linear(2, 2))
    with pytest.raises(PretrainedError, match="there is no 'encoder.weight' among them"):
        from_torchaudio({})
    with pytest.raises(PretrainedError, match="8 blocks are not repeats of X=3"):
        from_torchaudio(state, X=3)
    for key in ("mask_generator.output_conv.bias", "mask_generator.conv_layers.2.skip_out.weight"):
        with pytest.raises(PretrainedError, match="not this network's"):
            from_torchaudio({k: v for k, v in state.items() if k != key}, X=4)
    with pytest.raises(PretrainedError, match="'more.weight' has no place"):
        from_torchaudio({**state, "more.weight": torch.zeros(3)}, X=4)
    with pytest.raises(ConfigError, match="must be even"):
        from_torchaudio(theirs(torchaudio, enc_kernel_size=15))


def package(norm="gLN", causal=False, skip=12, **told):
    """An asteroid package as `serialize` writes one, made by hand: names, shapes, arguments."""
    g, words = torch.Generator().manual_seed(2), ("gamma", "beta")

    def make(*shape):
        return 0.3 * torch.randn(shape, generator=g)

    state = {"encoder.filterbank._filters": make(24, 1, 16),
             "decoder.filterbank._filters": make(24, 1, 16),
             **{f"masker.bottleneck.0.{w}": make(24) for w in words},
             "masker.bottleneck.1.weight": make(10, 24, 1), "masker.bottleneck.1.bias": make(10),
             "masker.mask_net.0.weight": make(1), "masker.mask_net.1.bias": make(48),
             "masker.mask_net.1.weight": make(48, skip or 10, 1)}
    for i in range(6):
        block, depth = f"masker.TCN.{i}", "shared_block.3.0" if causal else "shared_block.3"
        shapes = {"shared_block.0.weight": (20, 10, 1), "shared_block.0.bias": (20,),
                  "shared_block.1.weight": (1,), "shared_block.4.weight": (1,),
                  f"{depth}.weight": (20, 1, 3), f"{depth}.bias": (20,),
                  "res_conv.weight": (10, 20, 1), "res_conv.bias": (10,)}
        shapes |= {f"shared_block.{n}.{w}": (20,) for n in (2, 5) for w in words}
        if skip:
            shapes |= {"skip_conv.weight": (skip, 20, 1), "skip_conv.bias": (skip,)}
        state |= {f"{block}.{name}": make(*shape) for name, shape in shapes.items()}
    arguments = {"fb_name": "FreeFB", "kernel_size": 16, "n_filters": 24, "stride": 8,
                 "sample_rate": 8000.0, "n_blocks": 3, "n_repeats": 2, "norm_type": norm,
                 "mask_act": "sigmoid", "causal": causal, "encoder_activation": None, **told}
    return {"model_name": "ConvTasNet", "state_dict": state, "model_args": arguments}


def plain_asteroid(state, told, x):
    """asteroid's forward pass in plain functions: written from its description, gLN only."""
    from torch.nn import functional as F

    def norm(y, name):
        mean, var = y.mean((1, 2), keepdim=True), y.var((1, 2), keepdim=True, unbiased=False)
        return (y - mean) / (var + 1e-8).sqrt() * state[f"{name}.gamma"][:, None] \
            + state[f"{name}.beta"][:, None]

    def conv(y, name, **how):
        return F.conv1d(y, state[f"{name}.weight"], state[f"{name}.bias"], **how)

    w = F.conv1d(x.unsqueeze(1), state["encoder.filterbank._filters"], stride=8)
    y = conv(norm(w, "masker.bottleneck.0"), "masker.bottleneck.1")
    total = 0
    for i in range(6):
        block, d = f"masker.TCN.{i}", 2 ** (i % 3)
        h = F.prelu(conv(y, f"{block}.shared_block.0"), state[f"{block}.shared_block.1.weight"])
        h = conv(norm(h, f"{block}.shared_block.2"), f"{block}.shared_block.3", padding=d,
                 dilation=d, groups=20)
        h = norm(F.prelu(h, state[f"{block}.shared_block.4.weight"]), f"{block}.shared_block.5")
        y = y + conv(h, f"{block}.res_conv")
        if f"{block}.skip_conv.weight" in state:
            total = total + conv(h, f"{block}.skip_conv")
    y = F.prelu(y if isinstance(total, int) else total, state["masker.mask_net.0.weight"])
    masks = conv(y, "masker.mask_net.1").view(len(x), 2, 24, -1).sigmoid()
    d = (masks * w.unsqueeze(1)).flatten(0, 1)
    out = F.conv_transpose1d(d, state["decoder.filterbank._filters"], stride=8)
    out = out.view(len(x), 2, -1)
    return F.pad(out, (0, x.shape[-1] - out.shape[-1]))


@pytest.mark.parametrize("skip", [12, 0])
@pytest.mark.parametrize("time", LENGTHS)
def test_an_asteroid_package_gives_what_its_network_would(skip, time):
    told = package(skip=skip)
    ours, x = from_asteroid(told), torch.randn(2, time)
    assert ours.config["ends"] == "bare" and ours.config["Sc"] == skip
    with torch.no_grad():
        assert far(ours(x), plain_asteroid(told["state_dict"], told, x)) < 1e-5


@pytest.mark.parametrize("options", [
    {}, {"skip_chan": 0}, {"norm_type": "bN"}, {"mask_act": "relu", "encoder_activation": "relu"},
    {"mask_act": "softmax", "n_src": 3}, {"mask_act": "linear", "n_src": 1},
    {"norm_type": "cgLN", "causal": True},
], ids=str)
@pytest.mark.filterwarnings("ignore")
def test_asteroids_own_network_gives_the_same_here(asteroid, options, tmp_path):
    torch.manual_seed(0)
    options = {"n_src": 2, **SMALL, **options}
    other = shaken(asteroid.ConvTasNet(**options))
    told = {"model_name": "ConvTasNet", "state_dict": other.state_dict(),
            "model_args": other.get_model_args()}
    torch.save(told, tmp_path / "model.pth")
    with torch.no_grad():
        for ours in (from_asteroid(other), from_asteroid(told),
                     from_asteroid(tmp_path / "model.pth")):
            for time in LENGTHS:
                x = torch.randn(2, time)
                assert far(ours(x), other(x)) < 1e-5


@pytest.mark.parametrize("changes, message", [
    ({"norm": "cLN"}, "normalises every frame alone"), ({"norm": None}, "is none of this package"),
    ({"fb_name": "STFTFB"}, "are not learnt freely"), ({"stride": 4}, "hop is half a filter"),
    ({"n_blocks": 4}, "6 blocks are not repeats of X=4"), ({"n_blocks": "3"}, "not repeats"),
])
def test_what_asteroid_does_otherwise_is_refused(changes, message):
    with pytest.raises(PretrainedError, match=message) as error:
        from_asteroid(package(**changes))
    assert "\n" not in str(error.value)


def test_a_mask_that_is_not_here_is_refused():
    with pytest.raises(ConfigError, match="unknown mask 'tanh'"):
        from_asteroid(package(mask_act="tanh"))


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("what, message", [
    (None, "there is no such file"), (b"junk", "not loaded"), ({"a": Evil()}, "not loaded"),
    ({"a": 1}, "is no asteroid package"), ([1], "is no asteroid package"),
])
def test_a_file_that_is_no_package_is_refused_and_nothing_runs(tmp_path, capsys, what, message):
    file = tmp_path / "model.pth"
    if isinstance(what, bytes):
        file.write_bytes(what)
    elif what is not None:
        torch.save(what, file)
    with pytest.raises(PretrainedError, match=message) as error:
        from_asteroid(file)
    assert "\n" not in str(error.value) and capsys.readouterr().out == ""
