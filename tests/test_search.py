"""What a search asks for: its section of the config, and its points."""

import numpy as np
import pytest
import yaml

from sep_helpers import search
from sep_helpers.checkpoints import CheckpointError
from sep_helpers.search import Search, SearchError

KEYS = {"training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "model.X": [4, 6, 8], "model.R": {"low": 1, "high": 3}}


def of(text):
    return Search.of(yaml.safe_load(text))


def test_the_section_is_taken_out_and_the_rest_is_the_training():
    found = of("""
        preset: smoke
        search:
          trials: 7
          keys: {training.learning_rate: {low: 1e-4, high: 1e-2, log: true}, model.X: [4, 6]}
        """)
    assert found.settings == {"preset": "smoke"} and found.trials == 7
    assert found.keys["training.learning_rate"] == {"low": 1e-4, "high": 1e-2, "log": True}


def test_a_point_depends_on_the_seed_and_its_number_alone():
    a, b = Search(KEYS, trials=5), Search(dict(reversed(KEYS.items())), trials=50)
    assert [a.point(n) for n in range(5)] == [b.point(n) for n in range(5)]
    assert a.point(0) != a.point(1) and a.point(0) != Search(KEYS, seed=1).point(0)


def test_points_fill_their_ranges_evenly():
    points = [Search(KEYS).point(n) for n in range(3000)]
    rate = np.log10([p["training.learning_rate"] for p in points])
    assert rate.min() >= -4 and rate.max() <= -2 and abs(np.median(rate) + 3) < 0.05
    for key, values in (("model.X", [4, 6, 8]), ("model.R", [1, 2, 3])):
        share = [np.mean([p[key] == v for p in points]) for v in values]
        assert np.allclose(share, 1 / 3, atol=0.04)
    assert {type(p["model.R"]) for p in points} == {int}


@pytest.mark.parametrize("text, words", [
    ("preset: smoke", "no section 'search'"),
    ("search: {keys: {}}", "no section 'search'"),
    ("search: {trails: 5, keys: {model.X: [1]}}", "did you mean 'trials'"),
    ("search: {trials: 0, keys: {model.X: [1]}}", "trials=0"),
    ("search: {trials: two, keys: {model.X: [1]}}", "trials='two'"),
    ("search: {method: grid, keys: {model.X: [1]}}", "random, halving"),
    ("search: {factor: 1, keys: {model.X: [1]}}", "factor=1"),
    ("search: {keys: {model.X: []}}", "list of values"),
    ("search: {keys: {model.X: 4}}", "list of values"),
    ("search: {keys: {model.X: {low: 4}}}", "list of values"),
    ("search: {keys: {model.X: {low: 4, high: 2}}}", "numbers that rise"),
    ("search: {keys: {model.X: {low: a, high: b}}}", "numbers that rise"),
    ("search: {keys: {a.b: {low: 0.0, high: 1.0, log: true}}}", "only above 0"),
    ("search: {keys: {a.b: {low: .nan, high: 1.0}}}", "numbers that rise"),
])
def test_what_cannot_be_searched_is_refused_in_one_line(text, words):
    with pytest.raises(SearchError, match=words) as fault:
        of(text)
    assert "\n" not in str(fault.value)


def test_a_folder_keeps_its_search_and_trials_may_grow(tmp_path):
    search.begin(tmp_path, Search(KEYS, trials=5))
    assert search.begin(tmp_path, Search(KEYS, trials=9)).trials == 9
    assert search.begin(tmp_path, Search(KEYS, trials=2)).trials == 9
    assert search.read(tmp_path) == Search(KEYS, trials=9)
    with pytest.raises(CheckpointError, match="factor: 3 saved, 4 wanted"):
        search.begin(tmp_path, Search(KEYS, factor=4))
    assert [path.name for path in tmp_path.iterdir()] == ["search.yaml"]


def test_no_search_and_a_damaged_one_are_one_line(tmp_path):
    with pytest.raises(SearchError, match="there is no search"):
        search.read(tmp_path)
    (tmp_path / "search.yaml").write_text("keys: [")
    with pytest.raises(SearchError, match="damaged"):
        search.read(tmp_path)
