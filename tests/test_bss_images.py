"""bss_images: museval's numbers to a thousandth of a dB, and what each says of a known error."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sep_helpers import bss_images
from sep_helpers.bss_images import FIGURES, distortion, images, windows


def signals(sources=2, channels=2, time=6000, seed=7):
    rng = np.random.default_rng(seed)
    s = rng.standard_normal((sources, channels, time))
    s[1] *= 0.5
    s[:, -1] += 0.5 * s[:, 0]
    e = np.roll(0.7 * s, 2, -1) + 0.2 * s[::-1] + 0.1 * rng.standard_normal(s.shape)
    return e, s


# museval 0.4.1, metrics.bss_eval of signals() with window and hop 2000, filters_len 64
GOLDEN = {"sdr": [[-1.8053, -1.7044, -1.744], [-2.3281, -2.1616, -2.2261]],
          "isr": [[-1.7273, -1.6699, -1.6934], [-1.7634, -1.6252, -1.7258]],
          "sir": [[17.0249, 17.0971, 17.1081], [5.046, 4.9562, 4.9634]],
          "sar": [[17.0824, 17.1047, 17.3595], [12.3876, 12.8666, 12.8915]]}


@pytest.mark.parametrize("name", FIGURES)
def test_musevals_numbers(name):
    e, s = signals()
    assert np.allclose(images(e, s, 2000, taps=64)[name], GOLDEN[name], atol=1e-3)


def museval_metrics():
    """The module alone: the package around it wants more than it needs."""
    spec = importlib.util.find_spec("museval")
    if spec is None:
        pytest.skip("museval is not installed (tests/requirements-peers.txt)")
    path = Path(spec.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("form", "window", "silent"), [
    ((3, 1, 5000), 1500, None), ((4, 2, 9000), 2000, (2, slice(1900, 4100))),
    ((2, 2, 3000), 5000, None), ((2, 2, 8000), 3000, (0, slice(0, 3000)))])
def test_museval_itself_agrees(form, window, silent):
    metrics = museval_metrics()
    e, s = signals(*form)
    if silent:
        s[silent[0], :, silent[1]] = 0
    expected = metrics.bss_eval(s.transpose(0, 2, 1), e.transpose(0, 2, 1), window=window,
                                hop=window, filters_len=128)
    ours = images(e, s, window, taps=128)
    for name, values in zip(FIGURES, expected, strict=False):
        assert np.array_equal(np.isnan(ours[name]), np.isnan(values)), name
        assert np.nanmax(np.abs(ours[name] - values)) < 1e-2, name
    assert not silent or np.isnan(ours["sdr"]).any()


def test_correlations_of_blocks_are_those_of_the_whole(monkeypatch):
    e, s = signals(time=1000)
    whole = images(e, s, taps=32)
    monkeypatch.setattr(bss_images, "BLOCK", 77)
    pieces = images(e, s, taps=32)
    for name in FIGURES:
        assert np.allclose(whole[name], pieces[name], atol=1e-8), name


def test_each_error_shows_in_its_own_figure():
    _, s = signals(time=20000)
    rng = np.random.default_rng(1)
    clean = {name: values[0, 0] for name, values in images(s, s, taps=16).items()}
    assert clean["sdr"] == np.inf and min(clean.values()) > 80
    softer = images(0.5 * s, s, taps=16)            # a wrong level is a spatial error
    assert softer["sdr"][0, 0] == pytest.approx(20 * np.log10(2), abs=1e-6)
    assert softer["isr"][0, 0] == pytest.approx(20 * np.log10(2), abs=1e-6)
    assert min(softer["sir"].min(), softer["sar"].min()) > 80
    leaky = images(s + 0.1 * s[::-1], s, taps=16)   # another stem is interference
    assert leaky["sir"][0, 0] == pytest.approx(
        10 * np.log10(np.square(s[0]).sum() / np.square(0.1 * s[1]).sum()), abs=0.1)
    assert leaky["isr"].min() > 20 and leaky["sar"].min() > 80
    noisy = images(s + 0.1 * rng.standard_normal(s.shape), s, taps=16)
    assert noisy["sar"][1, 0] == pytest.approx(noisy["sdr"][1, 0], abs=0.1)
    assert noisy["sir"].min() > 30
    swapped = images(s[:, ::-1], s, taps=16)        # left for right: in the wrong place
    assert swapped["isr"][0, 0] < 6


def test_stems_whose_channels_are_equal_have_figures():
    """A mono bass on both sides has no one set of filters; its projection is one all the same."""
    e, s = signals(time=8000)
    s[0, 1] = s[0, 0]
    values = images(e, s, taps=64)
    assert all(np.isfinite(figures).all() for figures in values.values())
    assert values["sdr"][0, 0] == pytest.approx(distortion(e, s)[0, 0], abs=1e-9)


def test_sdr_alone_needs_no_filters_and_knows_its_own_silence_only():
    e, s = signals()
    assert np.allclose(distortion(e, s, 2000), GOLDEN["sdr"], atol=1e-3)
    s[0, :, :2000] = 0
    own = distortion(e, s, 2000)
    assert np.isnan(own[0, 0]) and np.isfinite(own[1]).all()
    assert np.isnan(images(e, s, 2000, taps=16)["sdr"][:, 0]).all()       # museval's rule: for all


def test_windows_are_whole():
    assert windows(10, 3) == [slice(0, 3), slice(3, 6), slice(6, 9)]
    assert windows(9, 3, 2) == [slice(0, 3), slice(2, 5), slice(4, 7), slice(6, 9)]
    assert windows(2, 3) == [slice(0, 2)] and windows(3, 3) == [slice(0, 3)]


@pytest.mark.parametrize("shape", [(2, 100), (2, 2, 0)])
def test_other_shapes_are_refused_in_one_line(shape):
    with pytest.raises(ValueError, match="give both as") as error:
        images(np.ones(shape), np.ones(shape))
    assert "\n" not in str(error.value)
