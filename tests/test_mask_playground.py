"""mask_playground: what is shown, heard and said is what the package's own masks give."""

import base64
import io
import math
import re

import pytest
import soundfile
import torch

from sep_helpers import masks
from sep_helpers.losses import si_snr
from sep_helpers.mask_playground import WINDOWS, MaskPlayground

RATE = 8000


def voices(n: int = 2, length: int = 4000) -> dict:
    t = torch.arange(length) / RATE
    return {f"voice {i}": 0.05 * sum(torch.sin(2 * torch.pi * (110 + 37 * i) * k * t + i * k)
                                     for k in range(1, 9)) * torch.sin(7 * (i + 1) * t)
            for i in range(n)}


def turn(playground, **values):
    for name, value in values.items():
        playground.knobs[name].value = value


def gain(playground) -> float:
    return float(re.search(r'class="gain">([-+][\d.]+)<', playground.shown.value)[1])


def heard(playground) -> list:
    found = re.findall(r"data:audio/wav;base64,([^\"]+)", playground.shown.value)
    return [torch.from_numpy(soundfile.read(io.BytesIO(base64.b64decode(text)),
                                            dtype="float32")[0]) for text in found]


@pytest.mark.parametrize("kind, exponent", [("irm", 1), ("wfm", 2), ("ibm", math.inf)])
@pytest.mark.parametrize("window", [64, 1024])
def test_the_known_masks_are_the_packages(kind, exponent, window):
    sources = voices(3)
    playground = MaskPlayground(sources, RATE)
    turn(playground, exponent=exponent, window=window, source=1)
    stack = torch.stack(list(sources.values()))
    expected = masks.oracle(kind, stack.sum(0), stack, window, window // 4)[1]
    assert torch.allclose(playground.estimate()["estimate"], expected, atol=1e-6)
    better = si_snr(expected, stack[1]) - si_snr(stack.sum(0), stack[1])
    assert gain(playground) == pytest.approx(better.item(), abs=0.06)
    estimate, source, mixture = heard(playground)
    scale = min(1, 0.999 / max(x.abs().max() for x in (expected, stack[1], stack.sum(0))))
    for x, y in ((estimate, expected), (source, stack[1]), (mixture, stack.sum(0))):
        assert (x - scale * y).abs().max() < 1e-4


def test_every_knob_changes_the_picture_and_the_figure():
    playground = MaskPlayground(voices(), RATE)
    shown = {playground.shown.value}
    for values in ({"window": 512}, {"exponent": 0.5}, {"threshold": 0.4}, {"binary": True},
                   {"level": -12.0}, {"true_phase": True}, {"source": 1}):
        turn(playground, **values)
        shown.add(playground.shown.value)
    assert len(shown) == 8
    assert playground.state() == {"source": 1, "window": 512, "exponent": 0.5, "threshold": 0.4,
                                  "level": -12.0, "binary": True, "true_phase": True, "play": False}
    assert set(playground.estimate()["M"].unique().tolist()) == {0, 1}


def test_a_binary_mask_begins_as_the_ideal_one():
    sources = torch.stack(list(voices().values()))
    playground = MaskPlayground(voices(), RATE)
    turn(playground, binary=True)
    assert playground.state()["threshold"] == 0.5
    expected = masks.oracle("ibm", sources.sum(0), sources)[0]
    assert torch.allclose(playground.estimate()["estimate"], expected, atol=1e-6)
    turn(playground, threshold=0.0)
    assert playground.estimate()["M"].min() == 1 and gain(playground) == 0


def test_the_level_is_that_of_the_chosen_source_before_the_mixing():
    sources = voices()
    playground = MaskPlayground(sources, RATE)
    turn(playground, source=1, level=-20.0)
    made = playground.estimate()
    assert torch.allclose(made["source"], 0.1 * sources["voice 1"])
    assert torch.allclose(made["mixture"], sources["voice 0"] + 0.1 * sources["voice 1"], atol=1e-7)


def test_the_best_is_kept_for_each_source_and_level_and_the_true_phase_does_not_count():
    playground = MaskPlayground(voices(), RATE)
    wiener = gain(playground)
    turn(playground, exponent=0.25)
    said = f"the best so far {wiener:+.1f} dB"
    assert gain(playground) < wiener and said in playground.shown.value
    turn(playground, true_phase=True, exponent=2)
    assert gain(playground) > wiener and said in playground.shown.value
    turn(playground, level=10.0)
    assert "so far" not in playground.shown.value
    turn(playground, true_phase=False)
    assert f"the best so far {gain(playground):+.1f} dB" in playground.shown.value


def test_it_plays_at_once_only_where_asked():
    playground = MaskPlayground(voices(), RATE)
    assert "autoplay" not in playground.shown.value
    turn(playground, play=True)
    assert playground.shown.value.count("autoplay") == 1
    assert re.search(r">estimate</span><audio autoplay", playground.shown.value)


def test_silence_has_no_figure_and_names_are_no_html():
    sources = voices() | {"<b>none</b>": torch.zeros(4000)}
    playground = MaskPlayground(sources, RATE)
    turn(playground, source=2)
    assert "&lt;b&gt;none&lt;/b&gt; is silent" in playground.shown.value
    assert "<b>none" not in playground.shown.value and len(heard(playground)) == 3
    silent = MaskPlayground({"a": torch.zeros(4000), "b": torch.zeros(4000)}, RATE)
    assert "a is silent" in silent.shown.value


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_longer_than_the_sound_work(window):
    playground = MaskPlayground(voices(length=401), RATE)
    turn(playground, window=window)
    assert len(heard(playground)[0]) == 401 and math.isfinite(gain(playground))


@pytest.mark.parametrize("sources, message", [
    ({}, "not none"), ({"a": torch.ones(4000)}, r"not \(4000,\)"),
    ({"a": torch.ones(4000), "b": torch.ones(3000)}, r"not \(3000,\), \(4000,\): cut them"),
    ({"a": torch.ones(2, 4000), "b": torch.ones(2, 4000)}, r"not \(2, 4000\)"),
    ({"a": torch.ones(20), "b": torch.ones(20)}, "20 samples are too short"),
])
def test_what_cannot_be_mixed_is_refused(sources, message):
    with pytest.raises(ValueError, match=message):
        MaskPlayground(sources, RATE)


def test_an_error_of_the_code_is_not_swallowed(monkeypatch):
    playground = MaskPlayground(voices(), RATE)
    monkeypatch.setattr(playground, "estimate", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):      # in a notebook the Output widget shows it
        playground.refresh()
