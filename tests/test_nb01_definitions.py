"""What notebook 01 defines, cut out of its source and held against the package."""

import ast
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
import torch
from toy_corpus import make_corpus

from sep_helpers import audio, segments, views
from sep_helpers.checks import JUDGES, diagnose

SOURCE = Path(__file__).parents[1] / "notebooks" / "src" / "01_data_views.py"
CELLS = [cell for cell in jupytext.read(SOURCE).cells if cell.cell_type == "code"]
DEFINING = ast.Import | ast.ImportFrom | ast.FunctionDef


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


NB = definitions()
LENGTHS = [1, 5, 15, 16, 17, 31, 32, 40, 100]
ANSWERS = {"01.1": "set_level", "01.2": "cut", "01.3": "segments_of", "01.4": "mix",
           "01.5": "number", "01.6": "mse", "01.7": "unfit"}


@pytest.mark.parametrize("exercise, name", ANSWERS.items())
def test_solutions_pass_and_stubs_are_not_attempted(exercise, name):
    assert diagnose(exercise, NB[name]) == "pass"
    stubs = {}
    for source in tagged("exercise"):
        exec(compile(ast.parse(source), SOURCE.name, "exec"), stubs)
    assert diagnose(exercise, stubs[name]) == "not attempted"


def test_every_judge_has_its_exercise_and_is_asked_in_order():
    asked = [line for cell in CELLS for line in cell.source.splitlines() if line[:6] == "check("]
    assert asked == [f'check("{exercise}", {name})' for exercise, name in ANSWERS.items()]
    assert {exercise for exercise in JUDGES if exercise[:3] == "01."} == set(ANSWERS)


@pytest.mark.parametrize("tail, policy", [("drop", "drop_last"), ("pad", "pad_last"),
                                          ("back", "segments")])
def test_pieces_begin_where_the_packages_segments_do(tail, policy):
    for samples in LENGTHS:
        mine = NB["pieces"](samples, 16, tail)
        assert mine == [start for start, _, _ in segments.spans(samples, 16, policy)]


def test_the_exercises_segments_are_the_packages():
    for samples in LENGTHS:
        theirs = [(start, stop) for start, stop, _ in segments.spans(samples, 16, "segments")]
        assert NB["segments_of"](samples, 16) == theirs


@pytest.mark.parametrize("tail, policy", [("drop", "drop_last"), ("pad", "pad_last"),
                                          ("back", "segments")])
def test_the_ledger_is_the_packages(tmp_path, tail, policy):
    corpus = make_corpus(tmp_path, samples=(8000, 9001, 12345))     # none is shorter than a piece
    whole = segments.whole(corpus, "train")
    theirs = views.account(views.coverage(segments.segment(whole, 3000, policy), corpus))
    mine = NB["ledger"](corpus.select("train").samples, 3000, tail)
    for column in mine:
        assert mine[column] == theirs[column], column
    assert mine["used"] + mine["dropped"] == corpus.select("train").samples.sum()


def test_the_careless_loader_loses_what_it_is_said_to_lose():
    careless = NB["careless"]
    assert careless([1499] * 100, 1000) == 0, "too short"
    assert careless([2600] * 15, 1000) < 15 * 2600, "tails, and the last batch"
    assert careless([10_000] * 16, 1000, batch=1) >= 16 * 9000, "long ones lose little"


def test_mixing_by_hand_is_the_packages(tmp_path):
    corpus = make_corpus(tmp_path)
    nb = definitions(corpus=corpus)
    recipe = views.Recipe("t", "train", n_mixtures=3, seconds=0.9, overlap=[0.2, 0.5])
    table = views.freeze(corpus, recipe)
    for item, (_, lines) in zip(views.FrozenView(corpus, table), table.groupby("mixture_id"),
                                strict=True):
        mixture, sources = nb["mix_by_hand"](list(lines.itertuples()))
        torch.testing.assert_close(mixture, item["mixture"])
        torch.testing.assert_close(sources, item["sources"])
    assert nb["heard"](table) == views.coverage(table, corpus).used.sum()


def test_levels_by_hand():
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0)) * 0.1
    assert NB["rms_db"](x).item() == pytest.approx(audio.rms_db(x).item(), abs=1e-4)
    assert NB["peak_db"](0.5 * torch.sign(x)).item() == pytest.approx(-6.02, abs=0.01)
    assert audio.rms_db(NB["to_level"](x, -31.0)).item() == pytest.approx(-31, abs=1e-4)
    assert NB["peak_db"](NB["at_peak"](x, -3.0)).item() == pytest.approx(-3, abs=1e-4)


def test_random_numbers_by_hand_do_not_repeat():
    drawn = [tuple(NB["draw_by_hand"](0, epoch, index)) for epoch in range(20)
             for index in range(20)]
    assert len(set(drawn)) == len(drawn)
    assert drawn[21] == tuple(np.random.default_rng((0, 1, 1)).integers(1000, size=5))


def test_the_recipes_it_shows_are_there():
    text = SOURCE.read_text(encoding="utf-8")
    views_folder = SOURCE.parents[2] / "assets" / "views"
    named = pd.Series(text).str.extractall(r'"((?:voices|sounds|music)/\w+)(?:\.yaml)?"')[0]
    assert len(named) > 5
    for name in named:
        assert (views_folder / f"{name}.yaml").exists(), name
