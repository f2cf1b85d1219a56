"""view_table: the CSV comes back as it went out; a line the corpus cannot serve is named."""

import numpy as np
import pandas as pd
import pytest
from toy_corpus import make_corpus

from sep_helpers.views import COLUMNS, Recipe, ViewError, coverage, freeze, read_csv, write_csv

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
    ("split", "train", "is not for train in the corpus: it would leak"),
])
def test_wrong_line_is_named(corpus, table, tmp_path, column, value, message):
    table[column] = table[column].astype(object)
    table.loc[2, column] = value        # the third row, the fourth line of the file
    said = refusal(corpus, table, tmp_path / "view.csv")
    assert message in said and "view.csv, line 4: " in said


def test_missing_columns_are_named(corpus, table, tmp_path):
    said = refusal(corpus, table.drop(columns=["start", "gain_db"]), tmp_path / "view.csv")
    assert "columns start, gain_db are missing: a view has mixture_id, split" in said


@pytest.mark.parametrize("content", [b"", b'"a,b\n1', b"\xff\xfe\x00file"])
def test_what_is_no_table_is_refused(corpus, tmp_path, content):
    path = tmp_path / "view.csv"
    path.write_bytes(content)
    with pytest.raises(ViewError, match="view.csv is not a CSV table"):
        read_csv(path, corpus)


def test_coverage_counts_every_sample_once(corpus):
    lines = [("a", 0, 100), ("a", 50, 300), ("b", 7990, 8000)]
    table = pd.DataFrame([{"split": "test", "file": {"a": "dan/1.flac", "b": "eve/0.flac"}[name],
                           "start": start, "stop": stop} for name, start, stop in lines])
    ledger = coverage(table, corpus).set_index("file")
    assert set(ledger.index) == set(corpus.select(split="test").file)
    assert ledger.loc["dan/1.flac"].tolist() == [9000, 2, 300, 8700]
    assert ledger.loc["eve/0.flac"].tolist() == [8000, 1, 10, 7990]
    assert ledger.loc["dan/0.flac"].tolist() == [8000, 0, 0, 8000]
    assert (ledger.used + ledger.dropped == ledger.samples).all()


def test_coverage_grows_with_every_table(corpus):
    tables = [freeze(corpus, Recipe("test", "test", n_mixtures=5, seconds=0.5, seed=seed))
              for seed in range(30)]
    used = [coverage(pd.concat(tables[:n]), corpus).used.sum() for n in (1, 5, 30)]
    total = corpus.select(split="test").samples.sum()
    assert used[0] < used[1] < used[2] <= total and used[2] > 0.9 * total
    assert np.all(np.array(used) > 0)
