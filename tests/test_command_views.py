"""views draw|check|show, as they are typed."""

import pandas as pd
import pytest
from toy_corpus import make_corpus, make_folder

from sep_helpers import manifests
from sep_helpers.__main__ import main
from sep_helpers.commands.views import KINDS
from sep_helpers.course_views import FOLDER
from sep_helpers.views import Recipe, freeze, open_view


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(tmp_path / "voices")


def test_draw_writes_the_view_and_its_recipe(corpus, tmp_path, capsys):
    Recipe("a", "test", n_mixtures=9, overlap=[0, 0.5], speed=0.1).save(tmp_path / "r.yaml")
    out = tmp_path / "new" / "a.csv"
    assert main(["views", "draw", str(tmp_path / "r.yaml"), str(out), "--mixtures", "4",
                 "--corpus", str(corpus.folder)]) == 0
    said = capsys.readouterr().out
    assert "4 mixtures, 8 lines" in said and "speed=0.1 is for live views" in said
    again = freeze(corpus, Recipe.load(out.with_suffix(".yaml")))
    pd.testing.assert_frame_equal(pd.read_csv(out), again)
    assert len(open_view(out, corpus)) == 4


def test_a_recipe_that_somebody_wrote_is_not_lost(corpus, tmp_path, capsys):
    own, given = tmp_path / "a.yaml", ["--corpus", str(corpus.folder)]
    own.write_text("# my words\nname: a\nsplit: test\nn_mixtures: 3\n")
    other = tmp_path / "b.yaml"
    other.write_text(own.read_text().replace("3", "4"))
    drawn = str(tmp_path / "a.csv")
    for arguments, words in (([str(own), str(own)], "is the name of a recipe"),
                             ([str(other), drawn], "a.yaml has no view beside it and would be"),
                             ([str(own), drawn, "--mixtures", "2"], "another name than its recip")):
        assert main(["views", "draw", *arguments, *given]) == 1
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert main(["views", "draw", str(own), drawn, *given]) == 0
    assert own.read_text().startswith("# my words")
    assert main(["views", "draw", str(own), drawn, "--mixtures", "2", *given]) == 1
    assert own.read_text().startswith("# my words")
    assert main(["views", "draw", str(other), drawn, *given]) == 0      # drawn anew, recipe and all
    assert Recipe.load(own).n_mixtures == 4 == len(open_view(drawn, corpus))


def test_a_folder_of_categories_is_split_by_files_when_it_is_said_to_be_one(tmp_path, capsys):
    assert KINDS == tuple(manifests.KINDS)
    own = make_folder(tmp_path / "own", speakers=7, recordings=10)
    Recipe("a", "test", n_mixtures=60).save(tmp_path / "a.yaml")
    categories = {}
    for kind in ("speaker", "category"):
        out = tmp_path / f"{kind}.csv"
        assert main(["views", "draw", str(tmp_path / "a.yaml"), str(out), "--corpus", str(own),
                     "--kind", kind]) == 0
        categories[kind] = pd.read_csv(out).category.nunique()
    assert categories["category"] == 7      # all are tested, each with a file that does not train
    assert main(["views", "check", str(out), "--corpus", str(own), "--kind", "category"]) == 0
    assert main(["views", "check", str(out), "--corpus", str(own)]) == 1
    assert "it would leak" in capsys.readouterr().out


def test_one_kind_of_noise_is_enough(corpus, tmp_path, capsys):
    rain = make_folder(tmp_path / "rain", speakers=1, recordings=10)
    Recipe("a", "test", n_mixtures=3, noise_snr_db=[0, 5]).save(tmp_path / "a.yaml")
    given = ["--corpus", str(corpus.folder), "--noise", str(rain)]
    assert main(["views", "draw", str(tmp_path / "a.yaml"), str(tmp_path / "a.csv"), *given]) == 0
    assert main(["views", "check", str(tmp_path / "a.csv"), *given]) == 0
    assert (pd.read_csv(tmp_path / "a.csv").source == -1).sum() >= 3
    assert main(["views", "draw", str(tmp_path / "a.yaml"), str(tmp_path / "b.csv"),
                 "--corpus", str(rain)]) == 1
    assert "has one speaker only" in capsys.readouterr().err


def test_check_names_every_fault_and_fails(corpus, tmp_path, capsys):
    recipe, out = tmp_path / "a.yaml", tmp_path / "a.csv"
    Recipe("a", "test", n_mixtures=6).save(recipe)
    given = ["--corpus", str(corpus.folder)]
    main(["views", "draw", str(recipe), str(out), *given])
    assert main(["views", "check", str(out), str(recipe), *given]) == 0
    said = capsys.readouterr().out
    assert f"{out}: 6 mixtures, 12 lines, every cut read: sound" in said
    table = pd.read_csv(out)
    table.loc[[0, 7], "gain_db"] = float("nan")
    table.to_csv(out, index=False)
    assert main(["views", "check", str(out), *given]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:2]] == [f"{out}, line 2, a_00000",
                                                         f"{out}, line 9, a_00003"]
    assert said[2:] == [f"{out}: 2 of 6 mixtures (2 of 12 lines) cannot be used"]


def test_check_compares_views(corpus, tmp_path, capsys):
    given = []
    for name in ("train", "test"):
        Recipe(name, name, n_mixtures=30).save(tmp_path / f"{name}.yaml")
        given.append(str(tmp_path / f"{name}.yaml"))
    given += ["--corpus", str(corpus.folder)]
    assert main(["views", "check", *given]) == 0
    assert main(["views", "check", *given, "--apart", "category"]) == 1
    assert "share the category ann: what is tested must not train" in capsys.readouterr().out


def test_the_courses_own_views_are_sound(capsys):
    views = [str(FOLDER / f"{name}.csv") for name in ("val", "seen", "unseen")]
    assert main(["views", "check", *views]) == 0
    assert capsys.readouterr().out.count("every cut read: sound") == 3
    assert main(["views", "show", views[0]]) == 0
    said = capsys.readouterr().out
    assert "mixtures                                 100" in said and "minutes used" in said


def test_what_cannot_be_opened_is_said_in_one_line(corpus, tmp_path, capsys):
    for given in (["draw", "no.yaml", "a.csv"], ["check", "no.csv"], ["show", "no.yaml"]):
        assert main(["views", *given]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "a.csv").write_text("file\n")
    assert main(["views", "check", str(tmp_path / "a.csv")]) == 1
    assert "columns mixture_id, split" in capsys.readouterr().err
