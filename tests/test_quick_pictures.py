"""quick_pictures: PNGs that matplotlib reads back, axes that stand where the bins do."""

import io
import re

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import torch

from sep_helpers.quick_pictures import FINEST, HEIGHT, LEFT, TOP, WIDTH, png, spectrogram, ticks


def decoded(content: bytes) -> np.ndarray:
    return np.round(255 * matplotlib.image.imread(io.BytesIO(content))[..., :3]).astype(int)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (129, 63)])
def test_every_pixel_has_the_colour_of_its_value_and_low_frequencies_lie_below(shape):
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 90 - 80
    picture = decoded(png(values, -70, 0, "magma"))
    index = ((values + 70) / 70 * 255).round().clamp(0, 255).int()
    expected = matplotlib.colormaps["magma"](np.arange(256), bytes=True)[index.flip(0).numpy(), :3]
    assert picture.shape == (*shape, 3) and np.array_equal(picture, expected)


def test_a_picture_too_fine_shows_peaks_or_means():
    values = torch.zeros(4 * FINEST[0], 2 * FINEST[1])
    values[2, 1] = 1.0
    bright, mean = (decoded(png(values, 0, 1, "gray", peaks)) for peaks in (True, False))
    assert bright.shape[:2] == mean.shape[:2] == FINEST
    assert bright[-1, 0, 0] == 255 and mean[-1, 0, 0] == round(255 / 8) and bright.sum() == 3 * 255


def test_what_is_no_number_and_what_has_no_range_is_drawn_all_the_same():
    values = torch.tensor([[torch.nan, torch.inf, -torch.inf]])
    assert decoded(png(values, 0, 1, "gray"))[0, :, 0].tolist() == [0, 255, 0]
    assert decoded(png(torch.ones(2, 2), 1, 1, "gray")).shape == (2, 2, 3)


@pytest.mark.parametrize("end, expected", [
    (4, [0, 1, 2, 3, 4]), (2.1, [0, 0.5, 1, 1.5, 2]), (11.025, [0, 5, 10]),
    (0.6, [0, 0.2, 0.4, 0.6]),
])
def test_ticks_are_round_numbers(end, expected):
    assert ticks(end, 5) == pytest.approx(expected)
    for most in (2, 4, 8):
        assert 1 < len(ticks(end, most)) <= most + 1


def attributes(tag: str, svg: str) -> list[dict]:
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', found))
            for found in re.findall(f"<{tag} [^>]*>", svg)]


def test_axes_are_in_seconds_and_kilohertz_and_bins_centred():
    svg = spectrogram(torch.rand(129, 126), 8000, 64, "A & B", (-70, 0), "magma", "dB")
    found = attributes("image", svg)[0]
    image = {name: float(found[name]) for name in ("x", "y", "width", "height")}
    box = attributes("svg", svg)[1]["viewBox"].split()
    assert [float(x) for x in box] == [0, 0, 1.0, 4.0]           # 125 hops of 8 ms, 4 kHz
    assert image["x"] == pytest.approx(-0.004) and image["width"] == pytest.approx(126 * 0.008)
    assert image["y"] == pytest.approx(-0.03125 / 2) and image["height"] == pytest.approx(129 / 32)
    assert "A &amp; B" in svg and "time (s)" in svg and ">kHz<" in svg
    below, beside = TOP + HEIGHT + 14, LEFT - 6
    for label, x, y in (("0.4", LEFT + 0.4 * WIDTH, below), ("1", LEFT + WIDTH, below),
                        ("3", beside, TOP + HEIGHT / 4 + 4)):
        assert re.search(rf'<text x="{x:.1f}" y="{y:.1f}" [^>]*>{label}</text>', svg)
    for end in (">-70<", ">-35<", ">0<"):
        assert end in svg
