"""pools: categories, files and tracks that a recipe may draw from, and what there must be."""

from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest

from sep_helpers.corpora import Corpus
from sep_helpers.pools import candidates, split_by_files
from sep_helpers.views import Recipe, ViewError, draw, faults, freeze

NAMES = [f"c{n:02d}" for n in range(30)]


def silent_corpus(rows, **columns) -> Corpus:
    """A corpus of which only the table is looked at, at levels of -20 dB."""
    corpus = Corpus("nowhere", pd.DataFrame(rows, columns=["file", "category", "split"]).assign(
        samples=16000, **columns), 8000, kind="category")
    corpus.rms_db = lambda file: -20.0
    return corpus


@pytest.fixture(scope="module")
def sounds():
    """Thirty categories of ten files; the manifest's split is all training."""
    return silent_corpus([(f"{name}/{n}.wav", name, "train") for name in NAMES for n in range(10)])


FILES = {"train": [0, 7], "val": [7, 8], "test": [8, 10]}


@pytest.mark.parametrize("size", [5, 10, 30])
@pytest.mark.parametrize("n_sources", [2, 3, 5])
def test_categories_of_a_pool_and_files_of_a_split(sounds, size, n_sources):
    uses = {}
    for split in FILES:
        recipe = Recipe("a", split, n_sources=n_sources, categories=size, files=FILES,
                        seed=len(uses), n_mixtures=150)
        table = freeze(sounds, recipe)
        assert set(table.category) == set(NAMES[:size])       # the same pool in every split
        assert (table.groupby("mixture_id").category.nunique() == n_sources).all()
        first, stop = FILES[split]
        assert {int(file[4:-4]) for file in table.file} == set(range(first, stop))
        assert faults(table, split_by_files(sounds, FILES)) == {}
        uses[split] = set(table.file)
    assert not (uses["train"] & uses["val"] or uses["train"] & uses["test"]
                or uses["val"] & uses["test"])


def test_without_the_recipes_ranges_such_a_view_would_leak(sounds):
    table = freeze(sounds, Recipe("a", "test", files=FILES, n_mixtures=3))
    assert len(faults(table, sounds)) == 6 and "it would leak" in faults(table, sounds)[2]


def test_a_named_pool_and_its_order(sounds):
    pool = ["c07", "c02", "c11"]
    recipe = Recipe("a", "train", n_sources=3, categories=pool, in_order=True)
    assert all([cut.category for cut in draw(sounds, recipe, i)] == pool for i in range(20))
    loose = [tuple(c.category for c in draw(sounds, replace(recipe, in_order=False), i))
             for i in range(60)]
    assert len(set(loose)) == 6                                # every order


def test_any_recordings_but_none_twice(sounds):
    few = sounds.with_split(sounds.table.split.where(sounds.table.category < "c02", ""))
    recipe = Recipe("a", "train", n_sources=5, same_category=True)
    drawn = [draw(few, recipe, i) for i in range(100)]
    assert all(len({cut.file for cut in cuts}) == 5 for cuts in drawn)
    uses = Counter(cut.file for cuts in drawn for cut in cuts)
    assert len(uses) == 20 and min(uses.values()) > 8          # of 25 expected
    with pytest.raises(ViewError, match="21 sources need as many recordings.* has 20 for"):
        candidates(few, replace(recipe, n_sources=21))


STEMS = [(f"{track}/{stem}.wav", stem, "train") for track in "xyz"
         for stem in ("bass", "drums", "vocals") if (track, stem) != ("z", "vocals")]


def test_stems_of_a_mixture_come_from_one_track():
    corpus = silent_corpus(STEMS, track=[file[0] for file, *_ in STEMS])
    recipe = Recipe("a", "train", n_sources=3, together="track", seconds=1.0)
    drawn = [draw(corpus, recipe, i) for i in range(60)]
    assert all([c.category for c in cuts] == ["bass", "drums", "vocals"] for cuts in drawn)
    assert all(len({(c.file[0], c.start, c.stop) for c in cuts}) == 1 for cuts in drawn)
    assert {cuts[0].file[0] for cuts in drawn} == {"x", "y"}     # z has no vocals
    duo = replace(recipe, n_sources=2, categories=["drums", "bass"])
    drawn = [draw(corpus, duo, i) for i in range(60)]
    assert {cuts[0].file[0] for cuts in drawn} == {"x", "y", "z"}
    assert all([c.category for c in cuts] == ["drums", "bass"] for cuts in drawn)


@pytest.mark.parametrize("change, message", [
    ({"categories": 31}, "categories=31, but nowhere has 30: lower it"),
    ({"categories": ["c00", "dog"]}, "no 'dog' for split='train': there are c00, c01"),
    ({"split": "val"}, "2 sources need as many categories, but nowhere has 0 for split='val'"),
    ({"split": "val", "categories": 5}, "no 'c00' for split='val': there are no recordings"),
    ({"together": "track"}, "together='track' is no column: there are file, category, split"),
    ({"sample_rate": 16000}, "is for 16000 Hz, nowhere is open at 8000"),
    ({"rt60": [0.2, 0.3]}, "asks for rooms, which are mono, but nowhere is open in stereo"),
    ({"noise_snr_db": [0, 5]}, "asks for noise: give noise= a corpus of sounds, or say with"),
    ({"noise_snr_db": [0, 5], "noise_where": {"category": "rain"}},
     "recipe 'noise of a': 1 sources need as many categories, but nowhere has 0"),
])
def test_what_there_is_not(sounds, change, message, monkeypatch):
    if "stereo" in message:
        monkeypatch.setattr(sounds, "channels", 2)
    with pytest.raises(ViewError, match=message):
        candidates(sounds, replace(Recipe("a", "train"), **change))


def test_no_track_with_all_stems_is_said():
    lonely = [row for row in STEMS if row[1] != "bass" or row[0][0] == "z"]
    corpus = silent_corpus(lonely, track=[file[0] for file, *_ in lonely])
    with pytest.raises(ViewError, match="no track has all of the 3 categories: choose fewer"):
        candidates(corpus, Recipe("a", "train", n_sources=3, together="track"))
