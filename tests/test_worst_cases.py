"""worst_cases: every mixture in its order, every sound inside, at one scale, names as text."""

import base64
import html
import io
import re

import pandas as pd
import soundfile
import torch

from sep_helpers.worst_cases import MAX_SECONDS, worst_cases

RATE = 8000
WORST = pd.DataFrame([{"mixture_id": "m_7", "si_sdri": -2.345, "speakers": "ann, bob"},
                      {"mixture_id": "m_<1>", "si_sdri": 0.5, "speakers": "<i>cat"}])


def tracks(name):
    g = torch.Generator().manual_seed(len(name))
    mixture = 0.2 * torch.randn(3000, generator=g)
    return {"mixture": mixture, "estimate & co": 4 * mixture}


def heard(page):
    found = re.findall(r"data:audio/flac;base64,([^\"]+)", page)
    return [soundfile.read(io.BytesIO(base64.b64decode(text))) for text in found]


def test_all_are_there_the_worst_first_and_open():
    page = worst_cases(WORST, tracks, RATE, "Worst <two>").data
    lines = [html.unescape(re.sub("<[^>]+>", "", line))
             for line in re.findall(r"<summary[^>]*>(.*?)</summary>", page)]
    assert lines == ["1. m_7 si sdri -2.3 · speakers ann, bob",
                     "2. m_<1> si sdri 0.5 · speakers <i>cat"]
    assert page.count("<details open>") == 1 and page.index("<details open>") < page.index("m_7")
    assert "<i>cat" not in page and "Worst &lt;two&gt;" in page and "estimate &amp; co" in page
    assert "<script" not in page and "http" not in page


def test_the_sounds_are_inside_at_one_scale():
    found = heard(worst_cases(WORST, tracks, RATE).data)
    assert len(found) == 4 and all(rate == RATE and len(x) == 3000 for x, rate in found)
    mixture, estimate = (torch.from_numpy(x) for x, _ in found[:2])
    assert estimate.abs().max() <= 1
    assert torch.allclose(estimate, 4 * mixture, atol=2e-4), "turned down together, not each alone"


def test_long_ones_are_cut_and_say_so():
    page = worst_cases(WORST[:1], lambda _: {"mixture": torch.zeros(12 * RATE)}, RATE).data
    assert len(heard(page)[0][0]) == MAX_SECONDS * RATE and "cut to the first 10 s" in page
    assert "cut to" not in worst_cases(WORST, tracks, RATE).data


def test_none_is_said():
    assert "none" in worst_cases(WORST[:0], tracks, RATE).data
