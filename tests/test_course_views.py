"""course_views: the shipped CSVs are what their recipes draw, and no test voice ever trains."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from toy_corpus import make_corpus

from sep_helpers import corpora, course_views, standard_views
from sep_helpers.views import Recipe, ViewError, freeze, read_csv, write_csv

FROZEN = ("val", "seen", "unseen")


@pytest.fixture(scope="module")
def embedded():
    return corpora.embedded()


@pytest.fixture(scope="module")
def tables(embedded):
    return {name: read_csv(course_views.FOLDER / f"{name}.csv", embedded) for name in FROZEN}


@pytest.fixture(scope="module")
def training(embedded):
    """Every line of three epochs of the training view, cut down to 300 mixtures each."""
    view = course_views.train_view(embedded, n_mixtures=300)
    return pd.DataFrame([cut for epoch in range(3) for index in range(300)
                         for cut in view.epoch(epoch)[index]["cuts"]])


@pytest.mark.parametrize("name", FROZEN)
def test_shipped_csv_is_a_redraw_to_the_byte(embedded, tmp_path, name):
    write_csv(freeze(embedded, course_views.recipe(name, embedded)), tmp_path / "again.csv")
    shipped = (course_views.FOLDER / f"{name}.csv").read_bytes()
    assert (tmp_path / "again.csv").read_bytes() == shipped


def test_write_frozen_writes_what_is_shipped(embedded, tmp_path, monkeypatch):
    shipped = {name: (course_views.FOLDER / f"{name}.csv").read_text() for name in FROZEN}
    for recipe in course_views.FOLDER.glob("*.yaml"):
        (tmp_path / recipe.name).write_text(recipe.read_text())
    monkeypatch.setattr(course_views, "FOLDER", tmp_path)
    course_views.write_frozen(embedded)
    assert {name: (tmp_path / f"{name}.csv").read_text() for name in FROZEN} == shipped


@pytest.mark.parametrize("line", [
    "seen_00000,test,17440,0,en_andy,en_andy/10.flac,1026,18466,0,2.59",
    "unseen_00000,test,14560,0,en_rob,en_rob/06.flac,3124,17684,0,-0.47",
])
def test_golden_lines(line):
    """As committed when the first results were measured; whoever redraws starts a new table."""
    csv = course_views.FOLDER / f"{line.split('_')[0]}.csv"
    assert csv.read_text().splitlines()[1] == line


def test_views_are_as_their_recipes_say(embedded, tables):
    language = embedded.table.set_index("file").language
    for name, table in tables.items():
        recipe = course_views.recipe(name, embedded)
        assert table.mixture_id.nunique() == recipe.n_mixtures
        assert (language[table.file] == "en").all()
        assert (table.groupby("mixture_id").category.nunique() == recipe.n_sources).all()
        if recipe.seconds:
            assert set(table.length) == {recipe.seconds * recipe.sample_rate}
    assert [tables[name].mixture_id.nunique() for name in FROZEN] == [100, 200, 200]


def test_nothing_leaks_from_training(tables, training):
    heard, files = set(training.category), set(training.file)
    for name, table in tables.items():
        assert not files & set(table.file), name
    assert not heard & set(tables["unseen"].category)
    assert not heard & set(tables["val"].category)
    assert set(tables["seen"].category) <= heard
    assert not set(tables["val"].category) & set(tables["unseen"].category)


def test_no_sentence_of_training_is_tested(embedded, tables, training):
    text = embedded.table.set_index("file").text
    spoken = set(text[list(set(training.file))])
    for name, table in tables.items():
        assert not spoken & set(text[table.file]), name


def test_training_view_uses_every_voice(embedded, training):
    meant = embedded.select(split="train", language="en")
    assert set(training.category) == set(meant.speaker)
    assert set(training.file) <= set(meant.file)
    assert training.file.nunique() > 0.98 * len(meant)      # the rest are left for later epochs


def test_a_view_can_be_shortened(embedded, tables):
    view = course_views.frozen_view("unseen", embedded, 7)
    first = tables["unseen"].mixture_id.unique()[:7]
    assert [view[i]["id"] for i in range(len(view))] == list(first)
    assert len(course_views.train_view(embedded, n_mixtures=9, seconds=0.5).epoch(0)) == 9
    assert {name: len(v) for name, v in course_views.test_views(embedded, 3).items()} == {
        "seen": 3, "unseen": 3}


@pytest.mark.parametrize("n", [3, 5])
def test_more_sources_are_drawn_by_the_same_recipe(embedded, n, capsys):
    views = {"val": course_views.frozen_view("val", embedded, 4, n_sources=n),
             **course_views.test_views(embedded, 4, n)}
    for name, view in views.items():
        assert view[0]["id"].startswith(f"{name}{n}_") and view[0]["sources"].shape[0] == n
        split = {cut.file for cuts in view.mixtures for cut in cuts}
        assert split <= set(embedded.select(split="val" if name == "val" else "test")["file"])
    assert ("one may meet itself" in capsys.readouterr().out) == (n == 5)    # 4 voices validate


def test_another_corpus_gets_the_views_it_can_serve(tmp_path, capsys):
    corpus = make_corpus(tmp_path)       # no language; one voice only is heard and tested
    views = course_views.test_views(corpus, 4)
    assert list(views) == ["unseen"] and len(views["unseen"]) == 4
    assert "no 'seen' view: recipe 'seen': 2 sources need as many" in capsys.readouterr().out
    assert {c.category for cuts in views["unseen"].mixtures for c in cuts} == {"dan", "eve"}
    with pytest.raises(ViewError, match="has 0 for split='val'"):
        course_views.frozen_view("val", corpus)


def test_a_corpus_without_test_voices_is_refused(tmp_path):
    corpus = make_corpus(tmp_path)
    corpus.table["split"] = "train"
    with pytest.raises(ViewError, match="has no 2 voices for testing: add recordings"):
        course_views.test_views(corpus)


def test_recipes_say_why_they_differ():
    there = {path.stem for path in Path(course_views.FOLDER).glob("*.yaml")}
    assert there == {"train", *FROZEN, *standard_views.STANDARDS}
    recipes = [Recipe.load(course_views.FOLDER / f"{name}.yaml") for name in ("train", *FROZEN)]
    assert len({recipe.seed for recipe in recipes}) == 4
    assert [recipe.speed > 0 for recipe in recipes] == [True, False, False, False]


def test_a_corpus_of_few_voices_validates_on_voices_that_train(tmp_path, capsys):
    for speaker in ("ann", "bob", "cat"):
        (tmp_path / speaker).mkdir()
        for take in range(4):
            wave = 0.1 * np.random.default_rng((ord(speaker[0]), take)).standard_normal(8000)
            soundfile.write(tmp_path / speaker / f"{take}.wav", wave, 8000)
    corpus = corpora.open_corpus(tmp_path)
    view = course_views.frozen_view("val", corpus, 5)
    assert len(view) == 5 and "few voices" in capsys.readouterr().out
    kept_out = set(corpus.select(split="val")["file"])
    assert {cut.file for item in view for cut in item["cuts"]} <= kept_out


def test_stems_of_another_split_stay_together_and_as_they_are():
    """The training view's form, without what makes it training: no remix, no gains, no speed."""
    corpus = corpora.embedded("music", sample_rate=22050, channels=2)
    live = course_views.train_view(corpus, categories=["vocals", "drums", "other"], seconds=0.5,
                                   level_db=6.0, speed=0.1, augment={"remix": 1, "swap": 1})
    assert live.recipe.n_sources == 3
    view = course_views.stems_view("val", corpus, live.recipe, 5)
    assert len(view) == 5
    for cuts, item in zip(view.mixtures, view, strict=True):
        assert [cut.category for cut in cuts] == ["vocals", "drums", "other"]
        assert {cut.file.split("/")[0] for cut in cuts} == {"bridge"}
        assert len({cut.start for cut in cuts}) == 1 and {cut.gain_db for cut in cuts} == {0.0}
        assert item["mixture"].shape == (2, 11025)
    again = course_views.stems_view("val", corpus, live.recipe, 5)
    assert again.mixtures == view.mixtures
