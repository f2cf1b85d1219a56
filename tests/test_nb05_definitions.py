"""What notebook 05 defines, cut out of its source and held against the package."""

import ast
from pathlib import Path

import jupytext
import pytest
import torch

from sep_helpers import feeding, losses, models, permutation, training
from sep_helpers.checks import diagnose
from sep_helpers.views import collate

SOURCE = Path(__file__).parents[1] / "notebooks" / "src" / "05_pit_training.py"
CELLS = [cell for cell in jupytext.read(SOURCE).cells if cell.cell_type == "code"]
DEFINING = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
TINY = models.complete({"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 8, "Sc": 4, "X": 2,
                        "R": 1})


def tagged(tag):
    return [cell.source for cell in CELLS if tag in cell.metadata.get("tags", [])]


def definitions() -> dict:
    """The notebook's imports, functions and classes, without running it; solutions, not stubs."""
    names = {"TOY": TINY}
    skipped = tagged("exercise") + tagged("setup")
    for cell in CELLS:
        if cell.source not in skipped:
            kept = [node for node in ast.parse(cell.source).body if isinstance(node, DEFINING)]
            exec(compile(ast.Module(kept, []), SOURCE.name, "exec"), names)
    return names


NB = definitions()


def batch(n_sources=2, size=4):
    g = torch.Generator().manual_seed(n_sources)
    sources = torch.randn(size, n_sources, 400, generator=g)
    return sources + 0.5 * torch.randn(sources.shape, generator=g).roll(1, 0), sources


@pytest.mark.parametrize("n", [2, 3])
def test_pairs_and_pit_are_the_packages(n):
    estimates, sources = batch(n)
    estimates = estimates[:, torch.randperm(n)]
    assert torch.allclose(NB["my_pairwise"](estimates, sources),
                          permutation.pairwise(estimates, sources), atol=1e-4)
    assert torch.allclose(NB["my_pit"](estimates, sources),
                          permutation.pit(estimates, sources)[0], atol=1e-4)


def test_the_textbook_measure_is_the_packages_but_for_silence():
    estimates, sources = batch()
    assert torch.allclose(NB["textbook_si_snr"](estimates, sources),
                          losses.si_snr(estimates, sources), atol=1e-3)
    assert NB["textbook_si_snr"](estimates, torch.zeros_like(sources)).isnan().all()


def test_a_gradient_in_pieces_is_the_gradient_of_the_whole():
    torch.manual_seed(0)
    NB["toy"] = models.build(TINY)
    _, sources = batch()
    mixture = sources.sum(1)
    whole = NB["gradient"]([(mixture, sources)])
    pieces = NB["gradient"](list(zip(mixture.split(1), sources.split(1), strict=True)))
    assert (whole - pieces).norm() < 1e-5 * whole.norm()


def test_the_solutions_pass():
    answers = {"05.1": "pit_loss", "05.2": "my_reorder", "05.3": "my_epoch", "05.4": "factor",
               "05.5": "epoch_mean", "05.6": "my_validate", "05.7": "save"}
    for exercise, name in answers.items():
        assert diagnose(exercise, NB[name]) == "pass", exercise


def test_my_validate_agrees_with_the_packages():
    torch.manual_seed(0)
    model = models.build(TINY)
    view = [{"id": str(i), "mixture": s.sum(0), "sources": s, "cuts": []}
            for i, s in enumerate(batch(size=5)[1])]
    batches = [collate(view[:3]), collate(view[3:])]
    assert NB["my_validate"](model, batches) == pytest.approx(
        feeding.validate(model, view, batch=3), abs=1e-3)


def test_the_schedule_by_hand_is_the_packages():
    helper = training.warmup_then_cosine(10, 100)
    assert [NB["factor"](s, 10, 100) for s in range(100)] == pytest.approx(
        [helper(s) for s in range(100)])
