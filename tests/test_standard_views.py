"""standard_views: the stored CSVs are what their recipes draw, and nobody in them ever trains."""

import os

import pytest

from sep_helpers import corpora, course_views, standard_views
from sep_helpers.corpora import CorpusError
from sep_helpers.views import Recipe, ViewError, read_csv

EMBEDDED = [name for name, s in standard_views.STANDARDS.items() if s.corpus in corpora.EMBEDDED]
REAL = [name for name in standard_views.STANDARDS if name not in EMBEDDED]
real = pytest.mark.skipif("SEP_REAL_DATA" not in os.environ, reason="SEP_REAL_DATA is not set")
EVERY = [*EMBEDDED, *(pytest.param(name, marks=real) for name in REAL)]


@pytest.mark.parametrize("name", EVERY)
def test_a_view_is_its_recipe_drawn_again(name, tmp_path, monkeypatch):
    stored = (course_views.FOLDER / f"{name}.csv").read_bytes()
    (tmp_path / f"{name}.yaml").write_text((course_views.FOLDER / f"{name}.yaml").read_text())
    monkeypatch.setattr(course_views, "FOLDER", tmp_path)
    standard_views.draw([name])
    assert (tmp_path / f"{name}.csv").read_bytes() == stored


@pytest.mark.parametrize("name", EVERY)
def test_a_view_opens_and_holds_test_recordings_only(name):
    view = standard_views.open_view(name, n_mixtures=3)
    assert len(view) == 3 and view[2]["sources"].shape[0] == 2
    table = view.corpus.table.set_index("file")
    for cuts in view.mixtures:
        assert all(table.split[cut.file] == "test" for cut in cuts if cut.source >= 0)


@real
def test_real_readers_are_unheard_and_their_utterances_whole_and_level():
    view = standard_views.open_view("speech_real_test")
    table, corpus = read_csv(course_views.FOLDER / "speech_real_test.csv", view.corpus), view.corpus
    assert len(view) == 200 and Recipe.load(course_views.FOLDER / "speech_real_test.yaml").seed
    assert not set(table.category) & set(corpus.select(split="train").category)
    assert not set(table.category) & set(corpus.select(split="val").category)
    samples = corpus.table.set_index("file").samples
    for _, rows in table.groupby("mixture_id"):
        assert rows.category.nunique() == 2
        assert (rows.length == samples[rows.file].min()).all()        # cut to the shorter one
        levels = [row.gain_db + corpus.rms_db(row.file) + 25 for row in rows.itertuples()]
        assert max(map(abs, levels)) <= 2.51


def test_what_is_missing_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("SEP_REAL_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match=f"'speech_real' are not in {tmp_path}: set SEP_REAL"):
        standard_views.open_view("speech_real_test")
    with pytest.raises(ViewError, match="no standard view 'sene'"):
        standard_views.open_view("sene")
