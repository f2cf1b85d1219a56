"""recipes: what is written comes back; what cannot be drawn is refused in one line."""

from dataclasses import fields, replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sep_helpers import course_views
from sep_helpers.recipes import Recipe, ViewError

PLAIN = Recipe(name="train", split="train", n_mixtures=12, seconds=0.5, speed=0.16, seed=7)
FULL = Recipe(name="odd", split="val", heard=False, where={"language": ["en", "de"]}, n_sources=3,
              seconds=1.5, rms_db=None, level_db=0.0, seed=11, categories=["a", "b", "c"],
              files={"train": [0, 6], "val": [6, 8]}, in_order=True, overlap=(0.2, 1),
              floor_db=20, level_of="cut", noise_snr_db=[0, 5.5], noise_where={"category": "rain"},
              rt60=[0.2, 0.4], target="direct")


@pytest.mark.parametrize("recipe", [PLAIN, FULL, replace(FULL, categories=5, files=None)])
def test_round_trip(tmp_path, recipe):
    recipe.save(tmp_path / "a.yaml")
    again = Recipe.load(tmp_path / "a.yaml")
    assert again == recipe
    again.save(tmp_path / "b.yaml")
    assert (tmp_path / "a.yaml").read_bytes() == (tmp_path / "b.yaml").read_bytes()


def test_options_that_are_not_used_leave_no_trace():
    """A run's config holds its recipe: one that was saved before an option came must stay equal."""
    assert list(PLAIN.to_dict()) == ["name", "split", "heard", "where", "n_sources", "n_mixtures",
                                     "seconds", "rms_db", "level_db", "speed", "seed",
                                     "sample_rate"]
    assert list(replace(PLAIN, overlap=[0, 1]).to_dict())[12:] == ["overlap"]
    for path in course_views.FOLDER.glob("*.yaml"):
        assert Recipe.load(path).to_dict() == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("text, message", [
    ("name: a\nsplit: train\nsedes: 3\n", "unknown key 'sedes'"),
    ("name: a\n", "no key 'split'"),
    ("", "no key 'name', no key 'split'"),
])
def test_wrong_keys_are_named(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ViewError) as error:
        Recipe.load(path)
    assert message in str(error.value) and str(path) in str(error.value)
    assert "n_mixtures" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("change, message", [
    ({"n_sources": 0}, "n_sources=0 must be a whole number, 1 or more"),
    ({"n_sources": 1.5}, "n_sources=1.5 must be a whole number"),
    ({"n_mixtures": 0}, "n_mixtures=0"), ({"seed": -1}, "seed=-1"),
    ({"seed": True}, "seed=True"), ({"sample_rate": "8k"}, "sample_rate='8k'"),
    ({"seconds": -2.0}, "seconds=-2.0 must be a number from"),
    ({"seconds": "two"}, "seconds='two'"), ({"seconds": 1e9}, "seconds=1000000000.0"),
    ({"rms_db": float("nan")}, "rms_db=nan"), ({"level_db": -1.0}, "level_db=-1.0"),
    ({"level_db": None}, "level_db=None"), ({"speed": 1.5}, "speed=1.5"),
    ({"name": ""}, "name must be a word"), ({"name": 3}, "name must be a word"),
    ({"name": "a\nb"}, "name must be a word"), ({"split": "trian"}, "split='trian' must be one of"),
    ({"categories": [["a"]]}, "must be names, each once"), ({"n_mixtures": 10**12}, "at most"),
    ({"together": ""}, "together='' must be a column"),
    ({"where": {1: 2}}, "where: 1 must be another column"),
    ({"noise_where": {"split": "test"}}, "noise_where: 'split' must be another column"),
    ({"split": ["train"]}, "split=.'train'. must be one of train, val, test"),
    ({"heard": "yes"}, "heard='yes' must be true, false or null"),
    ({"where": ["en"]}, "where=.'en'. must be columns"),
    ({"same_category": "no"}, "same_category='no' must be true or false"),
    ({"level_of": "peak"}, "level_of='peak' must be recording or cut"),
    ({"target": "dry"}, "target='dry' must be reverberant or direct"),
    ({"overlap": [0.5, 0.2]}, "overlap=.0.5, 0.2. must be a range .low, high. within 0 to 1"),
    ({"overlap": 0.5}, "overlap=0.5 must be a range"), ({"overlap": [0, 2]}, "overlap=.0, 2."),
    ({"snr_db": [0, float("nan")]}, "snr_db=.0, nan. must be a range"),
    ({"noise_snr_db": ["low", "high"]}, "noise_snr_db="), ({"rt60": [0, 1]}, "rt60=.0, 1."),
    ({"categories": ["a", "a"]}, "categories=.'a', 'a'. must be names, each once"),
    ({"categories": 0}, "categories=0 must be names, or how many"),
    ({"categories": ["a"]}, "2 sources need as many categories, not 1"),
    ({"files": [0, 6]}, "files=.0, 6. must have a range for split 'train'"),
    ({"files": {"val": [0, 6]}}, "must have a range for split 'train'"),
    ({"files": {"train": [6, 6]}}, "files: train: .6, 6. must be a range"),
    ({"files": {"train": [0, 6], "test": [5, 8]}}, "train .0, 6. and test .5, 8. overlap"),
    ({"rms_db": None, "snr_db": [0, 1]}, "snr_db needs a level"),
    ({"together": 3}, "together=3 must be a column"),
    ({"together": "track", "overlap": [0, 1]}, "together=track cuts sources at one place"),
])
def test_what_cannot_be_drawn_is_refused_when_it_is_made(change, message):
    with pytest.raises(ViewError, match=f"^recipe .*{message}") as error:
        replace(PLAIN, **change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: [1", "- train", "words", "\t:", "a: " + 2000 * "["])
def test_a_file_that_is_no_recipe_is_named(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    for path in (tmp_path / "r.yaml", tmp_path / "missing.yaml"):
        with pytest.raises(ViewError, match=r"\.yaml: is no recipe") as error:
            Recipe.load(path)
        assert "\n" not in str(error.value)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["train", "val", "a", 3]), inner, max_size=2), max_leaves=5)


@settings(max_examples=400, deadline=None)
@given(values=st.dictionaries(st.sampled_from([f.name for f in fields(Recipe)]), ODD, max_size=3))
def test_whatever_is_written_into_a_recipe_it_is_refused_or_comes_back(tmp_path_factory, values):
    try:
        recipe = Recipe(**({"name": "a", "split": "train"} | values))
    except ViewError as error:
        assert "\n" not in str(error)
        return
    path = tmp_path_factory.getbasetemp() / "odd.yaml"
    recipe.save(path)
    assert repr(Recipe.load(path)) == repr(recipe)      # as text: NaN in `where` is not itself
