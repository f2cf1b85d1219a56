"""Every separator keeps the contract on odd inputs, and refuses what is no mixture in one line."""

import pytest
import torch

from sep_helpers.models import NETWORKS, WaveformError, build, complete

SMALL = dict(N=12, L=8, B=6, H=10, Sc=6, X=2, R=2, chunk=8, layers=2, depth=1, hidden=8, width=8,
             heads=2, feedforward=8, channels=2, dense=8, vertical=2, horizontal=2, code=4,
             n_fft=64, hop=16, block=6, taps=3)
TASNETS = [name for name, network in NETWORKS.items() if "L" in network.DEFAULTS]


def small(name, **changes):
    torch.manual_seed(0)
    values = {k: v for k, v in SMALL.items() if k in NETWORKS[name].DEFAULTS}
    return build(complete({"name": name, **values, **changes})).eval()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("mixture, message", [
    (torch.zeros(1, 2, 400), r"separator is for one channel.*mixture.mean\(1\)"),
    (torch.zeros(400), r"wants \(batch, time\), mixture.unsqueeze"),
    (torch.zeros(1, 0), "there is no sample in it"),
    (torch.zeros(0, 400), "there is no sample in it"),
    (torch.zeros(1, 1, 1, 400), "for one channel"),
    (torch.zeros(1, 400, dtype=torch.float64), "torch.float64, the separator torch.float32"),
    (torch.zeros(1, 400, dtype=torch.float16), "torch.float16, the separator torch.float32"),
    (torch.zeros(1, 400, dtype=torch.int16), "torch.int16.*full scale"),
    (torch.zeros(1, 400, device="meta"), "is on meta, the separator on cpu"),
], ids=str)
def test_what_is_no_mixture_is_refused_in_one_line(name, mixture, message):
    with pytest.raises(WaveformError, match=message) as error:
        small(name)(mixture)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_any_length_any_batch_silence_and_one_voice(name):
    model = small(name)
    for time in (1, 3, 7, 8, 9, 401):
        estimates = model(torch.randn(1, time))
        assert estimates.shape == (1, 2, time) and torch.isfinite(estimates).all()
    x = torch.randn(3, 300)
    alone = torch.cat([model(one) for one in x.split(1)])
    assert torch.allclose(model(x), alone, atol=1e-4 * alone.abs().max().item())
    assert model(torch.zeros(2, 300)).abs().max() < 1e-6
    assert small(name, n_sources=1)(x).shape == (3, 1, 300)


@pytest.mark.parametrize("name", TASNETS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@torch.no_grad()
def test_other_precisions_on_the_cpu(name, dtype):
    model, x = small(name), 0.1 * torch.randn(2, 300)
    full = model(x)
    other = small(name).to(dtype)(x.to(dtype))
    assert other.dtype == dtype
    far = (other.float() - full).abs().max() / full.abs().max()
    assert far < {torch.bfloat16: 0.2, torch.float16: 0.05, torch.float64: 1e-4}[dtype]


@pytest.mark.parametrize("name", TASNETS)
def test_autocast_takes_a_float32_mixture(name):
    with torch.autocast("cpu", torch.bfloat16):
        estimates = small(name)(torch.randn(1, 300))
    assert estimates.shape == (1, 2, 300) and torch.isfinite(estimates).all()
