"""Conv-TasNet against the paper's table, torchaudio's model and a plain channels-first form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sep_helpers.models import build, complete, count_parameters, receptive_field
from sep_helpers.models.blocks import CumulativeNorm, DepthwiseConv, GlobalNorm, PReLU

# Luo & Mesgarani 2019, Table II: N, L, B, H, Sc, X, R, receptive field in s, size in M. The sizes
# are counted from the paper's description; its own print of the fourth row (2.4) does not follow
# from that row.
TABLE_II = [
    (128, 40, 128, 256, 128, 7, 2, 1.28, 1.472),
    (256, 40, 128, 256, 128, 7, 2, 1.28, 1.532),
    (512, 40, 128, 256, 128, 7, 2, 1.28, 1.652),
    (512, 40, 128, 256, 256, 7, 2, 1.28, 2.243),
    (512, 40, 128, 512, 128, 7, 2, 1.28, 3.060),
    (512, 40, 128, 512, 512, 7, 2, 1.28, 6.211),
    (512, 40, 256, 256, 256, 7, 2, 1.28, 3.228),
    (512, 40, 256, 512, 256, 7, 2, 1.28, 6.013),
    (512, 40, 256, 512, 512, 7, 2, 1.28, 8.114),
    (512, 40, 128, 512, 128, 6, 4, 1.27, 5.075),
    (512, 40, 128, 512, 128, 4, 6, 0.46, 5.075),
    (512, 40, 128, 512, 128, 8, 3, 3.83, 5.075),
    (512, 32, 128, 512, 128, 8, 3, 3.06, 5.067),
    (512, 16, 128, 512, 128, 8, 3, 1.53, 5.051),
]
TINY = {"name": "conv_tasnet", "N": 12, "L": 8, "B": 6, "H": 10, "Sc": 6, "P": 3, "X": 3, "R": 2}


def tiny(**changes):
    torch.manual_seed(0)
    return build(complete({**TINY, **changes}))


@pytest.mark.parametrize("row", TABLE_II, ids=str)
def test_sizes_and_receptive_fields_of_the_paper(row):
    N, L, B, H, Sc, X, R, seconds, millions = row
    config = dict(name="conv_tasnet", N=N, L=L, B=B, H=H, Sc=Sc, P=3, X=X, R=R)
    assert count_parameters(build(complete(config))) / 1e6 == pytest.approx(millions, abs=5e-4)
    assert receptive_field(config) / 8000 == pytest.approx(seconds, abs=6e-3)


def test_the_causal_row_has_the_same_size():
    causal = complete({"name": "conv_tasnet", "norm": "cLN", "causal": True})
    assert count_parameters(build(causal)) == \
        count_parameters(build(complete({"name": "conv_tasnet"}))) == 5_050_545


@pytest.mark.parametrize("key", ["N", "L", "B", "H", "Sc", "P", "X", "R"])
def test_every_hyper_parameter_changes_the_size(key):
    step = 2 if key in ("L", "P") else 1
    assert count_parameters(tiny(**{key: TINY[key] + step})) > count_parameters(tiny())


def copy_from_torchaudio(ours, theirs):
    """Copy weights; the last block's residual exists here (as in the paper) and not there."""
    generator = theirs.mask_generator
    pairs = [(ours.norm, generator.input_norm), (ours.bottleneck, generator.input_conv),
             (ours.activation, generator.output_prelu), (ours.to_masks, generator.output_conv),
             (ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)]
    for mine, block in zip(ours.tcn.blocks, generator.conv_layers, strict=True):
        conv1, act1, norm1, depthwise, act2, norm2 = block.conv_layers
        pairs += [(mine.expand, conv1), (mine.act1, act1), (mine.norm1, norm1),
                  (mine.depthwise, depthwise), (mine.act2, act2), (mine.norm2, norm2)]
        residual = block.res_out if block.res_out is not None else block.skip_out
        for name in ("weight", "bias"):
            both = torch.cat([getattr(residual, name), getattr(block.skip_out, name)])
            getattr(mine.contract, name).data = both.squeeze(-1)
    for mine, other in pairs:
        for name, value in other.named_parameters():
            own = getattr(mine, name)
            own.data = value.data.reshape(own.shape).clone()


@pytest.mark.parametrize("mask", ["sigmoid", "relu"])
def test_equals_torchaudio_after_copying_its_weights(mask):
    torchaudio = pytest.importorskip("sep_helpers._torchaudio").load()
    torch.manual_seed(1)
    theirs = torchaudio.models.ConvTasNet(
        num_sources=3, enc_kernel_size=16, enc_num_feats=24, msk_kernel_size=3, msk_num_feats=10,
        msk_num_hidden_feats=20, msk_num_layers=4, msk_num_stacks=2, msk_activate=mask)
    for p in theirs.parameters():       # away from the ones and zeros of a fresh norm
        p.data = p.data + 0.1 * torch.randn_like(p)
    ours = build(complete(dict(name="conv_tasnet", N=24, L=16, B=10, H=20, Sc=10, P=3, X=4, R=2,
                               mask=mask, n_sources=3)))
    copy_from_torchaudio(ours, theirs)
    for time in (16, 800, 8 * 123):
        x = torch.randn(2, time)
        assert torch.allclose(ours(x), theirs(x.unsqueeze(1)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("time", [1, 3, 7, 8, 9, 100, 1001, 1023])
@pytest.mark.parametrize("n_sources", [1, 2, 6])
def test_any_length_in_the_same_length_out(time, n_sources):
    with torch.no_grad():
        estimates = tiny(n_sources=n_sources)(torch.randn(2, time))
    assert estimates.shape == (2, n_sources, time) and torch.isfinite(estimates).all()


def test_silence_in_silence_out():
    assert tiny()(torch.zeros(1, 500)).abs().max() == 0


@pytest.mark.parametrize("norm", ["gLN", "cLN", "BN"])
@pytest.mark.parametrize("mask", ["sigmoid", "relu", "softmax", "linear"])
@pytest.mark.parametrize("Sc", [0, 5])
def test_every_option_trains(norm, mask, Sc):
    model = tiny(norm=norm, mask=mask, Sc=Sc)
    model(torch.randn(2, 300)).square().sum().backward()
    without = {n for n, p in model.named_parameters() if p.grad is None}
    assert not without
    last = model.tcn.blocks[-1].contract.weight.grad[: TINY["B"]]
    assert (last.abs().sum() == 0) == (Sc > 0), "the last residual feeds only the path without skip"


def test_softmax_masks_sum_to_one_over_the_sources():
    model = tiny(mask="softmax", n_sources=3)
    masks = model.masks(model.encode(torch.randn(2, 300)))
    assert masks.shape[1] == 3 and torch.allclose(masks.sum(1), torch.ones_like(masks[:, 0]))


def test_a_causal_network_does_not_look_ahead():
    model = tiny(causal=True, norm="cLN").eval()
    length, reach = 200, TINY["L"] - 1
    x = torch.randn(1, length)
    with torch.no_grad():
        before = model(x)
        for t in range(0, length, 7):
            changed = x.clone()
            changed[:, t:] += 1.0
            safe = max(0, t - reach)
            assert torch.equal(model(changed)[..., :safe], before[..., :safe])
        assert not torch.equal(model(changed), before)


def test_a_non_causal_network_does_look_ahead():
    model, x = tiny().eval(), torch.randn(1, 200)
    changed = x.clone()
    changed[:, 150:] += 1.0
    assert not torch.allclose(model(changed)[..., :100], model(x)[..., :100], atol=1e-6)


def test_global_norm_equals_its_equation():
    norm, x = GlobalNorm(6), torch.randn(3, 11, 6)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    mean, var = x.mean((1, 2), keepdim=True), x.var((1, 2), keepdim=True, unbiased=False)
    expected = (x - mean) / (var + 1e-8).sqrt() * norm.weight + norm.bias
    assert torch.allclose(norm(x), expected, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_global_norm_of_an_input_that_wants_no_gradient(batch):
    """torch's own gradient, channels last, crashes the process there."""
    norm, x = GlobalNorm(6), torch.randn(batch, 11, 6)
    weights = torch.randn_like(x)
    gradients = [torch.autograd.grad((norm(y) * weights).sum(), [norm.weight, norm.bias])
                 for y in (x, x.clone().requires_grad_())]
    for fixed, free in zip(*gradients, strict=True):
        assert torch.allclose(fixed, free, atol=1e-5)


@pytest.mark.parametrize("frozen", [["encoder"], ["encoder", "norm", "bottleneck"], ["tcn"],
                                    ["tcn.blocks.0.expand", "tcn.blocks.1.contract"]])
@pytest.mark.parametrize("norm", ["gLN", "cLN", "BN"])
def test_parts_may_be_frozen(frozen, norm):
    """The others' gradients are what they are when nothing is frozen, the frozen have none."""
    free, fixed, x = tiny(norm=norm), tiny(norm=norm), torch.randn(2, 300)
    for name, p in fixed.named_parameters():
        p.requires_grad_(not name.startswith(tuple(frozen)))
    for model in (free, fixed):
        model(x).square().sum().backward()
    for (name, p), q in zip(fixed.named_parameters(), free.parameters(), strict=True):
        if name.startswith(tuple(frozen)):
            assert p.grad is None
        else:
            assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4 * q.grad.abs().max())


def test_cumulative_norm_of_frame_k_is_the_global_norm_of_the_frames_so_far():
    cumulative, overall, x = CumulativeNorm(6), GlobalNorm(6), torch.randn(2, 9, 6)
    y = cumulative(x)
    for k in range(9):
        assert torch.allclose(y[:, k], overall(x[:, : k + 1])[:, k], atol=1e-4)


@pytest.mark.parametrize("dtype, near", [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_cumulative_norm_counts_further_than_16_bits(dtype, near):
    """Two seconds of the paper's sizes: a million numbers so far, and 16 bits end at 65,504."""
    norm, x = CumulativeNorm(512), 3 * torch.randn(1, 2000, 512).to(dtype)
    with torch.no_grad():
        y, expected = norm.to(dtype)(x), norm.float()(x.float())
    assert y.dtype == dtype and (y - expected).abs().max() < near * expected.abs().max()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dilation", [1, 2, 8, 32])
@pytest.mark.parametrize("time", [1, 5, 31, 64])
def test_folded_depthwise_convolution_equals_the_dilated_one(causal, dilation, time):
    conv = DepthwiseConv(4, 3, dilation, causal)
    x = torch.randn(2, time, 4, requires_grad=True)
    pad = (2 * dilation, 0) if causal else (dilation, dilation)
    plain = F.conv1d(F.pad(x.mT, pad), conv.weight, conv.bias, dilation=dilation, groups=4).mT
    assert torch.allclose(conv(x), plain, atol=1e-6)
    weights = torch.randn_like(plain)
    for mine, theirs in zip(
        torch.autograd.grad((conv(x) * weights).sum(), [x, conv.weight, conv.bias]),
        torch.autograd.grad((plain * weights).sum(), [x, conv.weight, conv.bias]), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_prelu_equals_torch_in_value_and_gradients():
    mine, theirs = PReLU(), nn.PReLU()
    x = torch.randn(2, 7, 5, requires_grad=True)
    weights = torch.randn(2, 7, 5)
    assert torch.equal(mine(x), theirs(x))
    for a, b in zip(torch.autograd.grad((mine(x) * weights).sum(), [x, mine.weight]),
                    torch.autograd.grad((theirs(x) * weights).sum(), [x, theirs.weight]),
                    strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_contract():
    model = tiny(n_sources=3, sample_rate=16000)
    assert model.config["name"] == "conv_tasnet" and model.config["X"] == TINY["X"]
    assert (model.n_sources, model.sample_rate, model.causal) == (3, 16000, False)
    assert torch.equal(build(model.config).state_dict()["encoder.weight"].isfinite().all(),
                       torch.tensor(True))
