"""What notebook 06 defines, cut out of its source and held against the package."""

import ast
import re
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
import torch

from sep_helpers import losses, metrics
from sep_helpers.checks import JUDGES, diagnose

SOURCE = Path(__file__).parents[1] / "notebooks" / "src" / "06_evaluation.py"
CELLS = [cell for cell in jupytext.read(SOURCE).cells if cell.cell_type == "code"]
DEFINING = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef


def tagged(tag):
    return [cell.source for cell in CELLS if tag in cell.metadata.get("tags", [])]


def definitions() -> dict:
    """The notebook's imports, functions and classes, without running it; solutions, not stubs."""
    names = {"test": "unseen"}
    skipped = tagged("exercise") + tagged("setup")
    for cell in CELLS:
        if cell.source not in skipped:
            kept = [node for node in ast.parse(cell.source).body if isinstance(node, DEFINING)]
            exec(compile(ast.Module(kept, []), SOURCE.name, "exec"), names)
    return names


NB = definitions()
CHECKS = re.findall(r'^check\("(06\.\d+)", (\w+)\)$', SOURCE.read_text(encoding="utf-8"), re.M)


def test_the_exercises_are_numbered_as_they_are_read_and_all_are_judged():
    assert [number for number, _ in CHECKS] == [f"06.{n + 1}" for n in range(len(CHECKS))]
    assert {number for number in JUDGES if number.startswith("06.")} == {n for n, _ in CHECKS}
    headings = re.findall(r"### Exercise (06\.\d+)", SOURCE.read_text(encoding="utf-8"))
    assert headings == [number for number, _ in CHECKS]


@pytest.mark.parametrize("number, name", CHECKS)
def test_each_solution_passes_its_own_check(number, name):
    assert diagnose(number, NB[name]) == "pass"


def test_the_angle_is_si_sdr():
    g = torch.Generator().manual_seed(0)
    source, noise = torch.randn(2, 3, 4000, generator=g)
    estimate = source + torch.tensor([[0.1], [1.0], [5.0]]) * noise
    found = NB["si_sdr_from_angle"](estimate, source)
    assert torch.allclose(found, metrics.si_sdr(estimate, source), atol=1e-6)


@pytest.mark.parametrize("decibels", [10.0, 0.0, 20.0])
def test_spoiling_by_trial_and_by_formula_come_to_the_same(decibels):
    g = torch.Generator().manual_seed(1)
    source, error = torch.randn(2, 4000, generator=g)
    error = error + 0.2 * source
    spoilt = NB["spoil"](source, error, decibels)
    assert metrics.si_sdr(spoilt, source).item() == pytest.approx(decibels, abs=0.01)
    exact = NB["at_si_sdr"](source, error, decibels)
    assert torch.cosine_similarity(losses.zero_mean(spoilt), exact, dim=0) > 0.9999


def test_pairing_by_name_is_what_a_shuffled_list_survives():
    a = pd.Series(np.arange(20.0), [f"m_{n}" for n in range(20)])
    assert NB["paired"](a + 1, a[::-1]) == pytest.approx((1.0, 1.0, 1.0))
