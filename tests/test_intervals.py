"""intervals: bootstrap, pairs, counts that add up, one table of everything, the worst."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from sep_helpers.intervals import (
    confidence_interval,
    differences,
    overview,
    paired_difference,
    per_utterance,
    summary,
    worst,
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




def test_counts_add_up_and_ends_of_the_scale_are_counted():
    """n + failed is every mixture; silent sources and capped figures are told apart."""
    table = table_of([5.0, 6.0, 7.0, math.nan]).assign(note="", si_sdr=10.0)
    table.loc[0, ["si_sdri", "si_sdr", "note"]] = [math.nan, math.nan, "silent source: no figure"]
    table.loc[2, "si_sdr"], table.loc[3, "si_sdr"] = 100.0, -60.0
    row = summary(table).iloc[0]
    assert (row["n"], row["failed"], row["silent"], row["capped"]) == (3, 1, 1, 2)
    assert row["mean"] == pytest.approx((6.0 + 6.0 + 7.0) / 3)       # of 5 +- 1, one is silent


def test_what_was_not_measured_is_said_not_averaged():
    table = table_of([1.0, 2.0]).assign(note="", si_sdr=3.0, pesq_wb=math.nan,
                                        unmeasured="pesq_wb: it takes 16000 Hz")
    assert summary(table, "pesq_wb")["text"].item() == "not measured"
    shown = overview(table)
    assert shown.index.names == ["system", "view"]
    assert shown.columns.tolist() == ["n", "failed", "silent", "capped", "si_sdr", "si_sdri",
                                      "pesq_wb", "unmeasured"]
    assert shown["pesq_wb"].item() == "not measured"
    assert shown["unmeasured"].item() == "pesq_wb: it takes 16000 Hz"
    assert shown["si_sdri"].item().startswith("1.5 (")
    assert "unmeasured" not in overview(table.assign(unmeasured=""))
    with pytest.raises(EvaluationError, match="no 'sdri': evaluate with bss=True"):
        summary(table, "sdri")


def test_a_figure_between_0_and_1_gets_two_digits_and_nothing_is_minus_zero():
    table = table_of([0.8, 0.9]).rename(columns={"si_sdri": "stoi"})
    assert summary(table, "stoi")["text"].item() == "0.85 (0.80 to 0.90)"
    assert summary(table_of([-0.01, -0.01, -0.02]))["text"].item() == "0.0 (0.0 to 0.0)"


def test_differences_are_paired_for_every_other_system_and_view():
    a, b, c = table_of([1.0, 5.0, 9.0], "a"), table_of([2.0, 6.0, 8.0], "b"), \
        table_of([1.0, 5.0, 9.0], "c").assign(view="other")
    table = pd.concat([a, b, c, table_of([0.0, 0.0, 0.0], "a").assign(view="other")])
    rows = differences(table, "a").set_index(["system", "view"])
    assert rows.index.tolist() == [("b", "test"), ("c", "other")]
    assert rows.loc[("b", "test"), "mean"] == pytest.approx(1 / 3)
    assert rows.loc[("b", "test"), "wins"] == pytest.approx(2 / 3)
    assert (rows["n"] == 3).all() and (rows["baseline"] == "a").all()
    assert rows.loc[("c", "other"), "text"].startswith("5.00 (")
    with pytest.raises(EvaluationError, match="no system 'z' in the table: .* one of a, b, c"):
        differences(table, "z")


def test_a_mixture_that_one_system_failed_on_is_in_no_pair():
    table = pd.concat([table_of([1.0, math.nan, 3.0], "a"), table_of([2.0, 2.0, math.nan], "b")])
    row = differences(table, "a").iloc[0]
    assert (row["n"], row["mean"]) == (1, 1.0) and math.isnan(row["low"])


def test_the_worst_come_first_with_what_is_known_of_them():
    table = table_of([5.0, 1.0, math.nan, 3.0]).assign(note="", sex_pair="same sex")
    table["speaker"] = [f"v{i}" for i in range(8)]
    table.loc[2, "note"] = "silent estimate: -60 dB"
    rows = worst(table, 2)
    assert rows["mixture_id"].tolist() == ["m1", "m3"] and rows["si_sdri"].tolist() == [1.0, 3.0]
    assert rows["speakers"].tolist() == ["v2, v3", "v6, v7"]
    assert rows["note"].tolist() == ["silent estimate: -60 dB", ""]
    assert rows.columns.tolist() == ["mixture_id", "si_sdri", "speakers", "note", "sex_pair"]
    assert len(worst(table, 10)) == 3
    with pytest.raises(EvaluationError, match="several systems"):
        worst(pd.concat([table, table.assign(system="b")]))
