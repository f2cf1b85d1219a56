"""ledger: every sample is accounted for, and both sums come out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_corpus import make_corpus

from sep_helpers.ledger import account, coverage
from sep_helpers.views import COLUMNS, Recipe, ViewError, freeze


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voices"))


def view(*lines) -> pd.DataFrame:
    return pd.DataFrame([("m", "test", length, 0, "x", file, start, stop, 0, 0.0)
                         for file, start, stop, length in lines], columns=COLUMNS)


def test_a_ledger_by_hand(corpus):
    table = view(("dan/1.flac", 0, 100, 100), ("dan/1.flac", 50, 300, 400),
                 ("eve/0.flac", 7990, 8000, 10))
    ledger = coverage(table, corpus).set_index("file")
    assert set(ledger.index) == set(corpus.select(split="test").file)
    assert list(ledger) == ["samples", "cuts", "used", "overlapped", "dropped", "padded"]
    assert ledger.loc["dan/1.flac"].tolist() == [9000, 2, 300, 50, 8700, 150]
    assert ledger.loc["eve/0.flac"].tolist() == [8000, 1, 10, 0, 7990, 0]
    assert ledger.loc["dan/0.flac"].tolist() == [8000, 0, 0, 0, 8000, 0]
    padded = coverage(table, corpus, pad_to=500).padded.sum()
    assert padded == (500 - 100) + (500 - 250) + (500 - 10)


LINES = st.lists(st.tuples(st.sampled_from(["dan/0.flac", "dan/1.flac", "eve/2.flac"]),
                           st.integers(0, 8000), st.integers(0, 8000), st.integers(0, 500)),
                 min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(lines=LINES, pad_to=st.integers(0, 9000))
def test_it_agrees_with_counting_sample_by_sample_and_adds_up(corpus, lines, pad_to):
    lines = [(file, min(a, b), max(a, b), abs(a - b) + more) for file, a, b, more in lines]
    ledger = coverage(view(*lines), corpus, pad_to).set_index("file")
    for file, row in ledger.iterrows():
        heard = np.zeros(row.samples, int)
        mine = [line for line in lines if line[0] == file]
        for _, start, stop, _ in mine:
            heard[start:stop] += 1
        assert row.used == (heard > 0).sum() and row.dropped == (heard == 0).sum()
        assert row.overlapped == (heard - 1).clip(min=0).sum() and row.cuts == len(mine)
        assert row.padded == sum(max(n, pad_to) - (b - a) for _, a, b, n in mine)
    total = account(ledger.reset_index())
    assert total.used + total.dropped == total.samples
    assert total.used + total.overlapped + total.padded == sum(max(n, pad_to)
                                                               for *_, n in lines)


def test_coverage_grows_with_every_table(corpus):
    tables = [freeze(corpus, Recipe("test", "test", n_mixtures=5, seconds=0.5, seed=seed))
              for seed in range(30)]
    used = [coverage(pd.concat(tables[:n]), corpus).used.sum() for n in (1, 5, 30)]
    total = corpus.select(split="test").samples.sum()
    assert 0 < used[0] < used[1] < used[2] <= total and used[2] > 0.9 * total


def test_what_does_not_add_up_is_refused(corpus):
    with pytest.raises(ViewError, match="does not add up: a cut lies outside"):
        account(coverage(view(("dan/0.flac", 0, 9999, 9999)), corpus))
    with pytest.raises(ViewError, match="nobody.flac is not in the corpus"):
        coverage(view(("nobody.flac", 0, 9, 9)), corpus)
