"""The block in one piece against the block layer by layer: outputs and all gradients."""

import pytest
import torch
from torch import nn

from sep_helpers import models
from sep_helpers.models import fused
from sep_helpers.models.blocks import TCNBlock

B, H, SC = 6, 10, 5


def a_block(dilation=4, causal=False, Sc=SC, norm="gLN", taps=3, dtype=torch.float32):
    """A block away from the ones, zeros and quarters of a fresh one."""
    torch.manual_seed(0)
    block = TCNBlock(B, H, Sc, taps, dilation, norm, causal).to(dtype)
    for p in block.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return block


def results(compute, block, x):
    """Output, and the gradients at the input and at every weight."""
    y = compute(x)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *block.parameters()])]


def in_one_piece(block):
    shape, weights = fused.of_block(block)
    return lambda x: fused.Block.apply(x, shape, *weights)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dilation", [1, 4, 32])
@pytest.mark.parametrize("batch, time", [(1, 1), (2, 3), (1, 64), (3, 50)])
@pytest.mark.parametrize("Sc", [0, SC])
def test_outputs_and_all_gradients_are_equal(causal, dilation, batch, time, Sc):
    block = a_block(dilation, causal, Sc, dtype=torch.float64)
    x = torch.randn(batch, time, B, dtype=torch.float64, requires_grad=True)
    for mine, plain in zip(results(in_one_piece(block), block, x), results(block.plain, block, x),
                           strict=True):
        assert (mine - plain).abs().max() <= 1e-9 * plain.abs().max().clamp(min=1e-3)


@pytest.mark.parametrize("taps, causal", [(1, False), (5, False), (2, True), (4, True)])
def test_any_number_of_taps(taps, causal):
    block = a_block(causal=causal, taps=taps, dtype=torch.float64)
    x = torch.randn(2, 23, B, dtype=torch.float64, requires_grad=True)
    for mine, plain in zip(results(in_one_piece(block), block, x), results(block.plain, block, x),
                           strict=True):
        assert torch.allclose(mine, plain, rtol=1e-8, atol=1e-9)


def test_single_precision_is_as_exact_as_the_plain_form():
    """At the paper's size; measured against double precision, where both forms agree."""
    torch.manual_seed(0)
    block = TCNBlock(128, 512, 128, 3, 8, "gLN", causal=False)
    x = torch.randn(1, 1601, 128, requires_grad=True)
    mine = results(in_one_piece(block), block, x)
    plain = results(block.plain, block, x)
    exact = results(block.double().plain, block, x.detach().double().requires_grad_())
    for a, b, truth in zip(mine, plain, exact, strict=True):
        ours, theirs = ((y - truth).abs().max() / truth.abs().max() for y in (a, b))
        assert ours < max(1e-5, 2 * theirs)


def test_gradcheck():
    block = a_block(dilation=2, dtype=torch.float64)
    shape, weights = fused.of_block(block)
    x = torch.randn(2, 7, B, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *w: fused.Block.apply(x, shape, *w), (x, *weights))


def test_a_block_with_gln_takes_it_and_others_do_not(monkeypatch):
    calls = []
    monkeypatch.setattr(fused, "forward", lambda *a, whole=fused.forward: calls.append(1) or
                        whole(*a))
    x = torch.randn(1, 20, B)
    a_block()(x)
    assert len(calls) == 1
    a_block(norm="cLN", causal=True)(x), a_block(norm="BN")(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        a_block()(x)
    assert len(calls) == 1


def test_a_hook_or_a_replaced_layer_is_honoured():
    block, x, seen = a_block(), torch.randn(1, 20, B), []
    before = block(x)[0]
    handle = block.norm1.register_forward_hook(lambda *args: seen.append(args[2].shape))
    assert torch.allclose(block(x)[0], before, atol=1e-5) and seen == [(1, 20, H)]
    handle.remove()
    block.norm2 = nn.Identity()
    assert not torch.allclose(block(x)[0], before, atol=1e-2)


@pytest.mark.parametrize("register", ["register_full_backward_hook",
                                      "register_full_backward_pre_hook"])
def test_a_hook_on_the_way_back_is_honoured(register):
    block, seen = a_block(), []
    getattr(block.depthwise, register)(lambda *args: seen.append(1))
    torch.cat(block(torch.randn(1, 20, B, requires_grad=True)), -1).sum().backward()
    assert seen == [1]


def test_a_layer_of_the_same_name_is_another_layer():
    class GlobalNorm(nn.LayerNorm):
        pass

    block, x = a_block(), torch.randn(1, 20, B)
    block.act1, block.norm1 = nn.PReLU(20), GlobalNorm(H)      # torch's PReLU: a slope a channel
    assert fused.of_block(block) is None
    block.act1 = nn.PReLU()
    assert torch.equal(torch.cat(block(x), -1), block.plain(x))


@pytest.mark.parametrize("frozen", [["expand", "act1"], ["contract"], ["expand", "act1", "norm1",
                                    "depthwise", "act2", "norm2"], ["act2"]])
def test_parts_may_be_frozen(frozen):
    """Here and in the readable form: None for the frozen, the same as ever for the others."""
    block, x = a_block(dtype=torch.float64), torch.randn(2, 20, B, dtype=torch.float64)
    for name, p in block.named_parameters():
        p.requires_grad_(not name.startswith(tuple(frozen)))
    found = []
    for compute in (in_one_piece(block), block.plain):
        block.zero_grad()
        compute(x).square().sum().backward()
        found.append([p.grad for p in block.parameters()])
    for (name, _), mine, plain in zip(block.named_parameters(), *found, strict=True):
        if name.startswith(tuple(frozen)):
            assert mine is plain is None
        else:
            assert torch.allclose(mine, plain, rtol=1e-8, atol=1e-9)


def test_a_second_derivative_is_refused_and_not_wrong():
    x = torch.randn(1, 20, B, requires_grad=True)
    (grad,) = torch.autograd.grad(a_block()(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_a_compiler_gets_the_readable_form():
    """torch.export takes the network whole: no number leaves the graph on the way."""
    net = models.build(models.complete({"name": "conv_tasnet", "N": 16, "L": 8, "B": 6, "H": 10,
                                        "Sc": 6, "X": 2, "R": 1})).eval()
    exported = torch.export.export(net, (torch.randn(1, 100),)).module()
    x = torch.randn(1, 100)
    assert torch.allclose(exported(x), net(x), atol=1e-5)


def test_silence_and_a_dead_norm_have_finite_gradients():
    block = a_block()
    block.norm2.weight.data.zero_(), block.act1.weight.data.fill_(1.0)
    x = torch.zeros(2, 20, B, requires_grad=True)
    assert all(torch.isfinite(y).all() for y in results(in_one_piece(block), block, x))


def test_a_whole_network_keeps_less_than_a_third_of_the_memory():
    """Bytes that autograd holds between forward and backward, a shared one counted once."""
    net = models.build(models.complete({"name": "conv_tasnet", "N": 16, "L": 16, "B": 32, "H": 128,
                                        "Sc": 32, "X": 4, "R": 2}))
    x = torch.randn(1, 4000)

    def held():
        storages = {}
        def pack(t):
            storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            kept = net(x)
        return sum(storages.values()), kept

    small, mine = held()
    for block in net.tcn.blocks:                       # a hook asks for the readable form
        block.norm1.register_forward_hook(lambda *_: None)
    large, plain = held()
    assert torch.allclose(mine, plain, atol=1e-5)
    assert small < large / 3
