"""What notebook 02 defines, cut out of its source and held against the package."""

import ast
import math
from pathlib import Path

import jupytext
import librosa
import numpy as np
import pytest
import torch

from sep_helpers import losses, masks
from sep_helpers.checks import JUDGES, diagnose
from sep_helpers.stft import istft, stft

SOURCE = Path(__file__).parents[1] / "notebooks" / "src" / "02_stft_masking.py"
CELLS = [cell for cell in jupytext.read(SOURCE).cells if cell.cell_type == "code"]
DEFINING = ast.Import | ast.ImportFrom | ast.FunctionDef
ANSWERS = {"02.1": "decibels", "02.2": "flatness", "02.3": "power_mask", "02.4": "si_snr_all",
           "02.5": "borrow_phase", "02.6": "phase_sensitive", "02.7": "phase_cost"}


def tagged(tag):
    return [cell.source for cell in CELLS if tag in cell.metadata.get("tags", [])]


def definitions(**names) -> dict:
    """The notebook's imports and functions, without running it; solutions, not stubs."""
    skipped = tagged("exercise") + tagged("setup")
    for cell in CELLS:
        if cell.source not in skipped:
            kept = [node for node in ast.parse(cell.source).body if isinstance(node, DEFINING)
                    and "interact" not in ast.unparse(node)]      # no sliders here
            exec(compile(ast.Module(kept, []), SOURCE.name, "exec"), names)
    return names


@pytest.fixture(scope="module")
def nb():
    g = torch.Generator().manual_seed(0)
    sources = 0.1 * torch.randn(2, 3001, generator=g)
    S = stft(sources)
    return definitions(rate=8000, sources=sources, mixture=sources.sum(0), S=S, Y=S.sum(0),
                       Z=masks.cirm(S, S.sum(0)), n_fft=256, hop=64, generator=g,
                       window=torch.hann_window(256))


@pytest.mark.parametrize("exercise", ANSWERS)
def test_the_solutions_pass_and_the_stubs_are_no_attempt(nb, exercise):
    assert exercise in JUDGES and diagnose(exercise, nb[ANSWERS[exercise]]) == "pass"
    stub = next(s for s in tagged("exercise") if f"def {ANSWERS[exercise]}(" in s)
    names = {}
    exec(stub, names)
    assert diagnose(exercise, names[ANSWERS[exercise]]) == "not attempted"


@pytest.mark.parametrize("length", [1, 63, 64, 255, 3000])
def test_the_transform_built_by_hand_is_the_packages(nb, length):
    x = nb["mixture"][:length]
    X = nb["my_stft"](x)
    assert torch.allclose(X, stft(x), atol=1e-5)
    assert torch.allclose(nb["my_istft"](X, length), x, atol=1e-6)


def test_masks_and_measures_built_by_hand_are_the_packages(nb):
    S, s = nb["S"], nb["sources"]
    assert torch.equal(nb["my_ibm"](S), masks.ibm(S))
    assert torch.allclose(nb["my_wfm"](S), masks.wfm(S)) and torch.allclose(
        nb["my_irm"](S), masks.irm(S))
    estimate = s[0] + 0.3 * s[1] + 0.2
    mine = nb["my_si_snr"](estimate, s[0]).item()
    assert mine == pytest.approx(losses.si_snr(estimate, s[0]).item(), abs=1e-4)
    along, away = nb["coordinates"](estimate, s[0])
    assert 20 * math.log10(along / away) == pytest.approx(mine)


def test_a_bounded_complex_mask_without_a_bound_gives_the_sources_back(nb):
    free = nb["bounded"](-math.inf, math.inf)
    again = istft(free * nb["Y"], 3001)
    assert torch.allclose(again, nb["sources"], atol=1e-4)
    relu = nb["bounded"](0, math.inf)
    assert relu.real.min() >= 0 and relu.imag.min() >= 0
    assert torch.allclose(nb["with_phase_of"](nb["S"].abs(), nb["S"]), nb["sources"], atol=1e-5)


@pytest.mark.parametrize("bands", [40, 10, 5])
def test_shares_in_bands_add_up_to_one_on_every_bin_that_a_band_hears(nb, bands):
    m = nb["banded"](bands)
    heard = librosa.filters.mel(sr=8000, n_fft=256, n_mels=bands, norm=None).sum(0) > 1e-6
    assert m.shape == nb["S"].shape and np.allclose(m.sum(0)[heard], 1, atol=1e-4)
    assert heard[1:-1].mean() > 0.95


def test_what_the_shares_of_energy_count(nb):
    assert nb["share_that_carries"](torch.ones(100)) == pytest.approx(0.9, abs=0.011)
    disjoint = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
    assert nb["disjointness"](disjoint) == pytest.approx([1, 0, 1])
