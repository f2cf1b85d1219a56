"""view_table: the CSV comes back as it went out; a line the corpus cannot serve is named."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_corpus import make_corpus

from sep_helpers import views
from sep_helpers.views import COLUMNS, Recipe, ViewError, faults, freeze, read_csv, write_csv

RECIPE = Recipe(name="test", split="test", n_mixtures=6, seconds=0.5, seed=3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voices"))


@pytest.fixture
def table(corpus):
    return freeze(corpus, RECIPE)


def refusal(corpus, table, path) -> str:
    """What read_csv says of a table: one line that names the CSV."""
    table.to_csv(path, index=False)
    with pytest.raises(ViewError) as error:
        read_csv(path, corpus)
    assert str(path) in str(error.value) and "\n" not in str(error.value).strip()
    return str(error.value)


def test_csv_round_trip(corpus, table, tmp_path):
    write_csv(table, tmp_path / "a.csv")
    again = read_csv(tmp_path / "a.csv", corpus)
    pd.testing.assert_frame_equal(again, table)
    write_csv(again, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_one_line_a_source_in_the_documented_columns(table):
    assert list(table) == COLUMNS == ["mixture_id", "split", "length", "source", "category", "file",
                                      "start", "stop", "offset", "gain_db"]
    assert table.source.tolist() == [0, 1] * 6 and table.mixture_id.nunique() == 6


def test_other_columns_and_orders_are_fine(corpus, table, tmp_path):
    write_csv(table.assign(note="loud")[["note", *reversed(COLUMNS)]], tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read_csv(tmp_path / "a.csv", corpus), table)


@pytest.mark.parametrize("column, value, message", [
    ("stop", 12_001, "12001 does not fit into"),
    ("start", -1, "the cut -1:"),
    ("start", 12_000, "the cut 12000:"),
    ("start", 10.5, "start 10.5"),
    ("start", None, "start nan"),
    ("source", "zero", "source nan"),
    ("file", "../secret.flac", "../secret.flac leads outside the corpus folder"),
    ("file", "/etc/passwd", "/etc/passwd leads outside the corpus folder"),
    ("file", "dan/9.flac", "dan/9.flac is not in the corpus"),
    ("file", None, "is not in the corpus"),
    ("gain_db", float("nan"), "gain_db is nan"),
    ("gain_db", "loud", "gain_db is nan"),
    ("gain_db", float("inf"), "gain_db is inf"),
    ("offset", 1, "lands outside its mixture of 4000 samples"),
    ("offset", -1, "lands outside its mixture"),
    ("length", 3999, "lands outside its mixture of 3999 samples"),
    ("length", 4001, "test_00001 has sources of several lengths"),
    ("length", 10**9, "test_00001 is 1000000000 samples long: a mixture has 1 to 28800000"),
    ("source", 1, "test_00001 has source 1 twice: number them 0, 1 ..., or rename"),
    ("source", 7, "test_00001 lacks a source below 7"),
    ("source", -2, "source -2: number sources 0, 1 ..."),
    ("gain_db", 5000, "gain_db is 5000"),
    ("gain_db", -101, "gain_db is -101"),
    ("gain_db", 1e400, "gain_db is inf"),
    ("mixture_id", "", "the line has no mixture_id"),
    ("start", 1e30, "does not fit into"),
    ("split", "train", "is not for train in the corpus: it would leak"),
    ("category", "martian", "is not of 'martian' in the corpus: correct the category"),
    ("category", "", "is not of '' in the corpus"),
])
def test_wrong_line_is_named(corpus, table, tmp_path, column, value, message):
    table[column] = table[column].astype(object)
    table.loc[2, column] = value        # the third row, the fourth line of the file
    said = refusal(corpus, table, tmp_path / "view.csv")
    assert message in said and "view.csv, line 4: " in said


def test_what_a_mixture_must_not_be(corpus, table, tmp_path):
    twice = table.assign(source=0)
    assert "test_00000 has source 0 twice" in refusal(corpus, twice, tmp_path / "a.csv")
    one_name = table.assign(mixture_id=table.mixture_id.replace("test_00001", "test_00000"))
    assert "line 2: test_00000 has source 0 twice" in refusal(corpus, one_name, tmp_path / "a.csv")
    itself = table.copy()
    itself.loc[3] = itself.loc[2].to_dict() | {"source": 1}
    said = refusal(corpus, itself, tmp_path / "a.csv")
    assert "line 5: " in said and "occurs twice in test_00001: nobody can part" in said
    silent = table.assign(stop=table.start)
    write_csv(silent, tmp_path / "b.csv")
    assert (read_csv(tmp_path / "b.csv", corpus).stop == silent.start).all()   # silent, but a line


def test_every_fault_is_found_and_counted(corpus, table):
    table["gain_db"] = table["gain_db"].astype(float)
    table.loc[[1, 4, 9], "gain_db"] = float("nan")
    table.loc[6, "file"] = "nobody.flac"
    found = faults(table, corpus)
    assert sorted(found) == [3, 6, 8, 11] and "nobody.flac is not in" in found[8]
    with pytest.raises(ViewError, match=r"line 3: gain_db is nan .*\(and 3 more lines\)"):
        views.check(table, corpus)
    assert faults(freeze(corpus, RECIPE), corpus) == {}


def test_the_recipes_rate_beside_a_view_is_heeded(corpus, table, tmp_path):
    write_csv(table, tmp_path / "a.csv")
    replace(RECIPE, sample_rate=16000).save(tmp_path / "a.yaml")
    with pytest.raises(ViewError, match="a.csv is for 16000 Hz, says a.yaml.* open at 8000"):
        read_csv(tmp_path / "a.csv", corpus)
    (tmp_path / "a.yaml").write_text("- no recipe")
    assert len(read_csv(tmp_path / "a.csv", corpus)) == len(table)


def test_a_view_without_lines_or_without_a_file(corpus, table, tmp_path):
    assert "has no mixtures" in refusal(corpus, table[:0], tmp_path / "a.csv")
    with pytest.raises(ViewError, match="nothing.csv cannot be read"):
        read_csv(tmp_path / "nothing.csv", corpus)


def test_missing_columns_are_named(corpus, table, tmp_path):
    said = refusal(corpus, table.drop(columns=["start", "gain_db"]), tmp_path / "view.csv")
    assert "columns start, gain_db are missing: a view has mixture_id, split" in said


def test_a_row_with_a_field_too_many_or_a_column_twice_is_named(corpus, table, tmp_path):
    path, good = tmp_path / "view.csv", table.to_csv(index=False)
    for text, fault in ((good + "a,b,c\n", "line 14: 3 fields, the head has 10"),
                        (good.replace("\ntest", "\nx,test"), "line 2: 11 fields"),
                        (good.replace(",offset,", ",file,"), "has the column 'file' twice")):
        path.write_text(text)
        with pytest.raises(ViewError, match=fault):
            read_csv(path, corpus)
    path.write_text(good, encoding="utf-8-sig")         # as a spreadsheet writes it
    pd.testing.assert_frame_equal(read_csv(path, corpus), table)


@pytest.mark.parametrize("change, fault", [({"sample_rate": 16000}, "open at 16000 Hz, the sourc"),
                                           ({"channels": 2}, "in stereo, the sources in mono")])
def test_noise_of_another_rate_or_in_stereo_is_refused(corpus, table, change, fault):
    noise = corpus.with_split(corpus.table.split)
    noise.__dict__ |= change
    for refuse in (lambda: views.FrozenView(corpus, table, noise),
                   lambda: freeze(corpus, replace(RECIPE, noise_snr_db=[0, 5]), noise)):
        with pytest.raises(ViewError, match=fault):
            refuse()


def test_rooms_are_not_stereo(corpus, table):
    stereo = corpus.with_split(corpus.table.split)
    stereo.channels = 2
    roomy = table.assign(room="51x42x28 0.31 25,21,15 11,30,16")
    assert faults(roomy, corpus) == {}
    assert "is in a room, and rooms are mono" in faults(roomy, stereo)[2]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n3,4,5\n", b'"a,b\n1', b"\xff\xfe\x00file"])
def test_what_is_no_table_is_refused(corpus, tmp_path, content):
    path = tmp_path / "view.csv"
    path.write_bytes(content)
    with pytest.raises(ViewError, match="view.csv is not a CSV table") as caught:
        read_csv(path, corpus)
    assert "\n" not in str(caught.value)


def test_noise_and_rooms_come_back_too(corpus, tmp_path):
    recipe = replace(RECIPE, noise_snr_db=[0, 5], noise_where={"category": "ann"},
                     where={"category": ["dan", "eve"]}, rt60=[0.2, 0.5], target="direct")
    table = views.write_view(tmp_path / "a.csv", corpus, recipe)
    assert list(table) == [*COLUMNS, "room"] and (table.source == views.NOISE).sum() >= 6
    pd.testing.assert_frame_equal(read_csv(tmp_path / "a.csv", corpus), table)
    pd.testing.assert_frame_equal(freeze(corpus, Recipe.load(tmp_path / "a.yaml")), table)


CELL = (st.integers() | st.floats() | st.text(max_size=6) | st.none()
        | st.sampled_from(["", "dan/0.flac", "test", "nan", "1e999", "-1", "51x42x28", "../x"]))


@settings(max_examples=150, deadline=None)
@given(cells=st.lists(st.tuples(st.integers(0, 11), st.sampled_from([*COLUMNS, "room"]), CELL),
                      min_size=1, max_size=3))
def test_whatever_is_written_into_a_view_it_is_refused_or_can_be_mixed(
        corpus, tmp_path_factory, cells):
    table = freeze(corpus, RECIPE).assign(room="").astype(object)
    for row, column, value in cells:
        table.loc[row, column] = value
    path = tmp_path_factory.getbasetemp() / "odd.csv"
    table.to_csv(path, index=False)
    try:
        view = views.FrozenView(corpus, read_csv(path, corpus))
    except ViewError as error:
        assert "\n" not in str(error)
        return
    for item in view:
        assert item["sources"].isfinite().all()
