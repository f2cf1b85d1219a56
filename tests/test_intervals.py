"""intervals: bootstrap, pairs, counts that add up, one table of everything, the worst."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from sep_helpers.intervals import (
    confidence_interval,
    paired_difference,
    per_utterance,
    summary,
)
from sep_helpers.measuring import EvaluationError


def table_of(values, system="a", sources: int = 2) -> pd.DataFrame:
    """A table whose mixture i has the mean value i, spread over its sources by +-1."""
    return pd.DataFrame([
        {"system": system, "view": "test", "mixture_id": f"m{i}", "source": s,
         "si_sdri": v + (1 if s else -1)} for i, v in enumerate(values) for s in range(sources)])


def test_the_interval_is_the_percentile_bootstrap_of_the_mean():
    """Against scipy's, and against the normal theory it has to approach."""
    from scipy import stats
    values = np.random.default_rng(1).normal(5, 2, 200)
    mean, low, high = confidence_interval(values)
    assert mean == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / np.sqrt(200)
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.06)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=2000,
                             random_state=np.random.default_rng(3)).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.06)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(300):
        _, low, high = confidence_interval(rng.exponential(3.0, 60), 0.8, trial, resamples=400)
        hits += low <= 3.0 <= high
    assert 0.72 < hits / 300 < 0.86


def test_the_interval_comes_from_the_seed_and_widens_with_the_level():
    values = np.random.default_rng(1).normal(size=30)
    assert confidence_interval(values) == confidence_interval(values)
    assert confidence_interval(values, seed=1) != confidence_interval(values)
    narrow, wide = confidence_interval(values, 0.5), confidence_interval(values, 0.99)
    assert wide[1] < narrow[1] < narrow[2] < wide[2]


def test_intervals_are_over_utterances_not_sources():
    """The +-1 dB between the sources of a mixture is not uncertainty about the system."""
    assert per_utterance(table_of([3.0, 5.0])).to_dict() == {"m0": 3.0, "m1": 5.0}
    row = summary(table_of([4.0] * 10)).iloc[0]
    assert (row["mean"], row["low"], row["high"], row["n"]) == (4, 4, 4, 10)


def test_one_utterance_has_no_interval_and_none_is_an_error():
    mean, low, high = confidence_interval([7.0])
    assert mean == 7 and math.isnan(low) and math.isnan(high)
    assert summary(table_of([7.0]))["text"].item() == "7.0"
    for values in ([], [1.0, math.nan]):
        with pytest.raises(EvaluationError, match="an interval needs finite ones"):
            confidence_interval(values)


def test_summary_has_a_row_a_system_and_view_in_their_order():
    tables = pd.concat([table_of([1, 2, 6], "z"), table_of([0, 0, 0], "a")])
    rows = summary(tables)
    assert rows["system"].tolist() == ["z", "a"] and rows["mean"].tolist() == [3, 0]
    assert re.fullmatch(r"3\.0 \(\d\.\d to \d\.\d\)", rows["text"][0])


def test_a_paired_difference_is_sharper_than_two_intervals():
    rng = np.random.default_rng(0)
    hardness = rng.normal(5, 4, 50)
    a = table_of(hardness + 0.5 + rng.normal(0, 0.2, 50), "a")
    b = table_of(hardness, "b")
    mean, low, high = paired_difference(a, b)
    assert 0.3 < low < mean < high < 0.7
    assert paired_difference(b, a)[0] == pytest.approx(-mean)
    rows = summary(pd.concat([a, b]))
    assert rows["low"].max() < rows["high"].min()       # while the two intervals overlap


def test_pairing_goes_by_mixture_not_by_row():
    a, b = table_of([1.0, 2.0, 3.0], "a"), table_of([1.0, 2.0, 3.0], "b")
    assert paired_difference(a, b.iloc[::-1]) == (0, 0, 0)


def test_tables_that_do_not_compare_are_refused():
    with pytest.raises(EvaluationError, match="1 mixtures are in one table only, m2"):
        paired_difference(table_of([1.0, 2.0]), table_of([1.0, 2.0, 3.0]))
    with pytest.raises(EvaluationError, match="several systems"):
        per_utterance(pd.concat([table_of([1.0], "a"), table_of([1.0], "b")]))


