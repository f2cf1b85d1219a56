"""What comes in: exact-length sound out of it, or one line."""

import pytest
import torch

from sep_helpers import models
from sep_helpers.models.waveform import WaveformError

SMALL = {"N": 12, "L": 8, "B": 6, "H": 10, "Sc": 6, "P": 3, "X": 3, "R": 2}
NETWORKS = {
    "gLN": {"name": "conv_tasnet", **SMALL},
    "causal": {"name": "conv_tasnet", **SMALL, "norm": "cLN", "causal": True},
    "BN": {"name": "conv_tasnet", **SMALL, "norm": "BN"},
    "lstm": {"name": "lstm_tasnet", "N": 12, "L": 8, "H": 6},
}


def network(name, **changes):
    torch.manual_seed(0)
    return models.build(models.complete({**NETWORKS[name], **changes})).eval()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("mixture, says", [
    (torch.randn(100), r"\(100,\): a separator wants \(batch, time\), mixture.unsqueeze\(0\)"),
    (torch.randn(1, 2, 100), r"\(1, 2, 100\): .* one channel.* mixture.mean\(1\)"),
    (torch.zeros(1, 0), "no sample"),
    (torch.zeros(0, 100), "no sample"),
    (torch.ones(1, 100, dtype=torch.int16), "torch.int16, the separator torch.float32.*full scale"),
    (torch.randn(1, 100).double(), "float64, the separator torch.float32"),
    (torch.randn(1, 100).half(), "float16, the separator torch.float32"),
    (torch.randn(1, 100).numpy(), r"is a ndarray: give a float tensor.*torch.from_numpy\(array\)"),
    ([0.1, 0.2], "is a list: give a float tensor"),
])
def test_no_mixture_is_refused_in_one_line(name, mixture, says):
    with pytest.raises(WaveformError, match=says) as error:
        network(name)(mixture)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("time", [1, 3, 7, 8, 9, 101])
@pytest.mark.parametrize("n_sources", [1, 6])
def test_any_length_comes_back_as_long(name, time, n_sources):
    """Shorter than one kernel, and lengths that the stride does not divide, too."""
    with torch.no_grad():
        estimates = network(name, n_sources=n_sources)(torch.randn(1, time))
    assert estimates.shape == (1, n_sources, time) and estimates.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_silence_trains_without_nan(name):
    net = network(name)
    net(torch.zeros(2, 100)).square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_broken_utterance_stays_alone(name):
    mixture = torch.randn(3, 100)
    mixture[1, 40] = torch.nan
    net = network(name)
    with torch.no_grad():
        estimates, alone = net(mixture), net(mixture[[0, 2]])
    assert estimates[1].isnan().any()
    assert torch.allclose(estimates[[0, 2]], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["gLN", "causal", "BN"])
@pytest.mark.parametrize("dtype, near", [(torch.float64, 1e-5), (torch.bfloat16, 0.1),
                                         (torch.float16, 0.02)])
def test_other_precisions_on_a_cpu_come_near(name, dtype, near):
    net, mixture = network(name), torch.randn(2, 100)
    with torch.no_grad():
        expected = net(mixture)
    estimates = net.to(dtype)(mixture.to(dtype))
    assert estimates.dtype == dtype and estimates.shape == expected.shape
    assert (estimates - expected).abs().max() < near * expected.abs().max()
    estimates.float().square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", ["gLN", "causal"])
def test_autocast_comes_near_and_trains(name):
    net, mixture = network(name), torch.randn(2, 100)
    with torch.no_grad():
        expected = net(mixture)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        estimates = net(mixture)
    assert (estimates - expected).abs().max() < 0.1 * expected.abs().max()
    estimates.float().square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())
