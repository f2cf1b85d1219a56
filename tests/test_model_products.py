"""Products of frames against torch's own matrix products, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from sep_helpers.models.blocks import Pointwise
from sep_helpers.models.products import Product, as_image, from_image, on_cpu, outer_sum, product


@pytest.mark.parametrize("time", [1, 5, 200])
def test_product_and_outer_sum_equal_matrix_products(time):
    x, weight, bias = torch.randn(3, time, 7), torch.randn(4, 7), torch.randn(4)
    assert torch.allclose(product(x, weight, bias), F.linear(x, weight, bias), atol=1e-5)
    g = torch.randn(time, 4)
    assert torch.allclose(outer_sum(g, x[0]), g.T @ x[0], atol=1e-4)


def test_an_image_is_the_same_memory_seen_channels_last():
    x = torch.randn(2, 5, 3)
    image = as_image(x)
    assert image.data_ptr() == x.data_ptr() and image.shape == (2, 3, 5, 1)
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(from_image(image), x)


def test_the_gradients_written_by_hand_are_right():
    torch.manual_seed(0)
    inputs = [torch.randn(*shape, dtype=torch.float64, requires_grad=True)
              for shape in ((2, 5, 3), (4, 3), (4,))]
    assert torch.autograd.gradcheck(Product.apply, inputs)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        x, weight, bias = inputs
        (first,) = torch.autograd.grad(Product.apply(x, weight, bias).square().sum(), x,
                                       create_graph=True)
        first.sum().backward()


def test_a_pointwise_layer_is_a_linear_one():
    layer, x = Pointwise(6, 4), torch.randn(2, 9, 6, requires_grad=True)
    plain = F.linear(x, layer.weight, layer.bias)
    g = torch.randn_like(plain)
    assert torch.allclose(layer(x), plain, atol=1e-6)
    both = [torch.autograd.grad((y * g).sum(), [x, layer.weight, layer.bias])
            for y in (layer(x), plain)]
    for mine, theirs in zip(*both, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_other_precisions_take_the_plain_way():
    assert on_cpu(torch.zeros(1)) and on_cpu(torch.zeros(1, dtype=torch.float64))
    assert not on_cpu(torch.zeros(1, dtype=torch.bfloat16))
    assert not on_cpu(torch.zeros(1, device="meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not on_cpu(torch.zeros(1))
        assert Pointwise(3, 2)(torch.randn(1, 4, 3)).dtype == torch.bfloat16


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")
@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_takes_the_fast_way_too(threads):
    x, weight, before = torch.randn(1, 1000, 64), torch.randn(128, 64), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.profiler.profile() as profile:
            outer_sum(product(x, weight)[0], x[0])
    finally:
        torch.set_num_threads(before)
    used = [event.key for event in profile.key_averages()]
    assert "aten::mkldnn_convolution" in used and not [key for key in used if "slow_conv" in key]
