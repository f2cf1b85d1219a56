"""Opening a trained separator by path or name."""

import pytest
import torch

from sep_helpers import checkpoints, models, trained
from sep_helpers.trained import TrainedError

TINY = models.complete({"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 8, "Sc": 4, "X": 1,
                        "R": 1})


@pytest.fixture
def separator():
    torch.manual_seed(0)
    return models.build(TINY).eval()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(),
                                                 strict=True))


def test_the_shipped_one_opens_by_its_name():
    assert trained.load("voice_separator").n_sources == 2


def test_a_file_and_the_folder_it_lies_in_open(separator, tmp_path):
    models.save(separator, tmp_path / "mine.safetensors")
    for what in (tmp_path / "mine.safetensors", tmp_path, str(tmp_path)):
        assert same(trained.load(what), separator)
    models.save(separator, tmp_path / "other.safetensors")
    with pytest.raises(TrainedError, match="holds 2 networks .mine.safetensors, ....: name one"):
        trained.load(tmp_path)


def test_a_run_opens_at_its_best_epoch_and_before_one_at_its_last(separator, tmp_path):
    other = models.build(TINY)
    config = {"model": separator.config}
    checkpoints.save(tmp_path / "last.pt", {"model": other.state_dict(), "config": config})
    assert same(trained.load(tmp_path), other) and not trained.load(tmp_path).training
    checkpoints.save(tmp_path / "best.pt", {"model": separator.state_dict(), "config": config})
    assert same(trained.load(tmp_path), separator)
    assert same(trained.load(tmp_path / "last.pt"), other)


def test_what_is_no_network_is_refused_in_one_line(separator, tmp_path):
    checkpoints.save(tmp_path / "odd.pt", {"model": separator.state_dict()})
    checkpoints.save(tmp_path / "unfit.pt", {"model": separator.state_dict(),
                                             "config": {"model": TINY | {"X": 2}}})
    for what, words in [("nowhere", "voice_separator"), (tmp_path, "no network there"),
                        (tmp_path / "odd.pt", "no run of a separator"),
                        (tmp_path / "unfit.pt", "no run of a separator")]:
        with pytest.raises(TrainedError, match=words) as fault:
            trained.load(what)
        assert "\n" not in str(fault.value)


@pytest.mark.parametrize(("recipe", "names"), [
    ({"categories": ["vocals", "other"], "n_sources": 2, "together": "track"}, ["vocals", "other"]),
    ({"categories": ["a", "b"], "n_sources": 2, "in_order": True}, ["a", "b"]),
    ({"categories": ["a", "b"], "n_sources": 2}, None),             # any order: no names
    ({"categories": ["a", "b", "c"], "n_sources": 2, "in_order": True}, None),
    ({"categories": 2, "n_sources": 2, "together": "track"}, None), ({}, None), (None, None)])
def test_outputs_have_names_where_the_recipe_fixes_their_order(recipe, names):
    assert trained.names_in(recipe) == names
