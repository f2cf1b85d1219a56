"""listening_scores: chance as scipy has it, intervals that hold, listeners who did not hear."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, spearmanr

from sep_helpers import listening, listening_scores
from sep_helpers.evaluation import EvaluationError
from sep_helpers.listening import ANCHOR, REFERENCE, ListeningError

STIMULI = [(f"m_{n}", n % 2) for n in range(20)]
TRIALS = listening.plan_mushra(STIMULI, ["net", "mixture"], seed=0)
QUALITY = {(*stimulus, system): value for stimulus in STIMULI
           for system, value in (("net", 70.0), ("mixture", 40.0))}


@pytest.mark.parametrize("right, n", [(0, 1), (5, 10), (9, 10), (12, 16), (16, 16), (60, 100)])
def test_chance_and_interval_are_scipys(right, n):
    peer = binomtest(right, n, 0.5, alternative="greater")
    assert listening_scores.guessing(right, n) == pytest.approx(peer.pvalue, rel=1e-10)
    exact = binomtest(right, n).proportion_ci(0.95, method="exact")
    assert listening_scores.share_interval(right, n) == pytest.approx((exact.low, exact.high))


def abx(listener, right, n, a="net", b="mask"):
    return pd.DataFrame([{"listener": listener, "a": a if i % 2 else b, "b": b if i % 2 else a,
                          "right": int(i < right)} for i in range(n)])


def test_abx_is_scored_by_listener_and_by_pair_whatever_the_places():
    scores = listening_scores.abx_scores(
        pd.concat([abx("ann", 9, 10), abx("bob", 5, 10), abx("ann", 4, 4, "net", "mixture")]))
    rows = scores.set_index(["pair", "listener"])
    assert len(scores) == 4
    assert rows.loc[("mask / net", "ann"), "p"] == pytest.approx(11 / 1024)
    assert rows.loc[("mask / net", "everybody"), ["n", "right", "share"]].tolist() == [20, 14, 0.7]
    assert rows.loc[("mixture / net", "ann"), "p"] == pytest.approx(1 / 16)
    assert listening_scores.abx_scores(abx("ann", 0, 0).reindex(
        columns=["listener", "a", "b", "right"])).empty


def test_who_misses_the_reference_is_left_out_with_everything():
    ratings = listening_scores.simulated_ratings(TRIALS, QUALITY, listeners=4)
    assert listening_scores.screen(ratings)[1].empty
    deaf = (ratings.listener == "simulated 2") & (ratings.system == REFERENCE)
    ratings.loc[deaf & (ratings.trial < 3), "rating"] = 89.0          # 3 of 20 is 15 %: allowed
    assert listening_scores.screen(ratings)[1].empty
    ratings.loc[deaf & (ratings.trial < 4), "rating"] = 89.0
    kept, out = listening_scores.screen(ratings)
    assert out.to_dict("records") == [{"listener": "simulated 2", "trials": 20, "missed": 4}]
    assert sorted(kept.listener.unique()) == ["simulated 1", "simulated 3", "simulated 4"]
    assert len(kept) == 3 * 20 * 4


def test_means_stand_in_order_with_intervals_over_what_is_asked():
    ratings = listening_scores.simulated_ratings(TRIALS, QUALITY, listeners=6, seed=2)
    scores = listening_scores.mushra_scores(ratings)
    assert scores.system.tolist() == [REFERENCE, "net", "mixture", ANCHOR]
    assert scores.n.tolist() == [20] * 4
    by_system = ratings.groupby("system").rating.mean()
    assert scores["mean"].tolist() == pytest.approx(by_system[scores.system].tolist())
    assert (scores.low <= scores["mean"]).all() and (scores["mean"] <= scores.high).all()
    over = listening_scores.mushra_scores(ratings, over="listener")
    assert over.n.tolist() == [6] * 4
    net = {"stimulus": scores, "listener": over}
    width = {name: (t.high - t.low)[t.system == "net"].item() for name, t in net.items()}
    assert width["listener"] > width["stimulus"], "simulated listeners differ, stimuli don't"


def test_one_stimulus_has_no_interval_and_nothing_is_refused():
    few = listening_scores.simulated_ratings(TRIALS[:1], QUALITY, listeners=1)
    assert listening_scores.mushra_scores(few).low.isna().all()
    with pytest.raises(ListeningError, match="no ratings yet"):
        listening_scores.mushra_scores(few.iloc[:0])
    with pytest.raises(ListeningError, match="intervals over 'voice'"):
        listening_scores.mushra_scores(few, over="voice")


def test_ratings_stand_beside_the_metric_of_the_same_estimate():
    ratings = listening_scores.simulated_ratings(TRIALS, QUALITY, listeners=3, seed=1)
    table = pd.DataFrame([{"system": system, "mixture_id": m, "source": s, "si_sdr": value / 10}
                          for (m, s, system), value in QUALITY.items()])
    both = listening_scores.with_metric(ratings, table)
    assert len(both) == 40 and set(both.system) == {"net", "mixture"}
    one = both[(both.mixture_id == "m_4") & (both.system == "net")].iloc[0]
    mine = ratings[(ratings.mixture_id == "m_4") & (ratings.system == "net")].rating
    assert one.rating == pytest.approx(mine.mean()) and one.si_sdr == 7.0
    found = listening_scores.rank_correlation(both.si_sdr, both.rating)
    assert found == pytest.approx(spearmanr(both.si_sdr, both.rating).statistic) and found > 0.7
    assert math.isnan(listening_scores.rank_correlation([1, 1], [2, 3]))
    with pytest.raises(EvaluationError, match="share no system"):
        listening_scores.with_metric(ratings, table.assign(system="other"))


def test_simulated_listeners_say_what_they_are():
    ratings = listening_scores.simulated_ratings(TRIALS, QUALITY, listeners=2)
    assert ratings.listener.str.startswith("simulated ").all()
    assert ratings.rating.between(0, 100).all()
    again = listening_scores.simulated_ratings(TRIALS, QUALITY, listeners=2)
    assert np.array_equal(ratings.rating, again.rating)
