"""DPRNN-TasNet: chunks there and back, the two paths written out in loops, the paper's size."""

import pytest
import torch

from sep_helpers.models import ConfigError, build, complete, count_parameters
from sep_helpers.models.dprnn_tasnet import DualPath, Path


def tiny(**changes):
    torch.manual_seed(0)
    return build(complete({"name": "dprnn_tasnet", "N": 12, "L": 4, "B": 6, "H": 5, "chunk": 8,
                           "R": 2, **changes}))


def test_the_papers_size():
    assert count_parameters(build(complete({"name": "dprnn_tasnet"}))) == 2_595_649   # 2.6 M
    deeper, wider = tiny(R=3), tiny(H=6)
    assert count_parameters(deeper) > count_parameters(tiny()) < count_parameters(wider)
    assert count_parameters(tiny(chunk=20)) == count_parameters(tiny())


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 8, 9, 100])
def test_chunks_and_back_is_twice_the_same(frames):
    dual, x = DualPath(3, 2, chunk=8, R=1), torch.randn(2, frames, 3)
    chunks = dual.segment(x)
    assert chunks.shape == (2, -(-frames // 4) + 1, 8, 3)
    assert torch.allclose(dual.overlap_add(chunks, frames), 2 * x)


def test_a_path_reads_every_row_on_its_own():
    """Rows one by one through the BLSTM; only gLN hears them all (eq. 2-6, in loops)."""
    torch.manual_seed(1)
    path, x = Path(3, 4), torch.randn(2, 5, 6, 3)
    y = torch.stack([torch.stack([path.linear(path.rnn(row.unsqueeze(0))[0])[0] for row in one])
                     for one in x])
    mean, var = y.mean((1, 2, 3), keepdim=True), y.var((1, 2, 3), keepdim=True, unbiased=False)
    expected = x + (y - mean) / (var + 1e-8).sqrt() * path.norm.weight + path.norm.bias
    assert torch.allclose(path(x), expected, atol=1e-5)


def test_within_reads_frames_and_across_reads_chunks():
    dual, x = DualPath(3, 2, chunk=4, R=1), torch.randn(1, 20, 3)
    chunks = dual.segment(x)
    within = dual.paths[0]["within"](chunks)
    turned = dual.paths[0]["across"](within.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(dual(x), dual.overlap_add(turned, 20))


@pytest.mark.parametrize("time", [1, 3, 4, 5, 303])
@pytest.mark.parametrize("n_sources", [1, 2, 6])
def test_any_length_in_the_same_length_out(time, n_sources):
    estimates = tiny(n_sources=n_sources)(torch.randn(2, time))
    assert estimates.shape == (2, n_sources, time) and torch.isfinite(estimates).all()


def test_silence_in_silence_out_and_every_weight_learns():
    assert tiny()(torch.zeros(1, 100)).abs().max() == 0
    model = tiny()
    model(torch.randn(2, 100)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("changes, message", [
    ({"causal": True}, "would look into the future"), ({"chunk": 9}, "chunk=9 must be even"),
    ({"L": 3}, "L=3 must be even"), ({"K": 8}, "unknown key 'K'"),
])
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny(**changes)
