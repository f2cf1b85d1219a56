"""What the answers of a listening test come to: chance, means with intervals, who did not hear."""

import math

import numpy as np
import pandas as pd
from scipy.stats import beta

from sep_helpers.evaluation import EvaluationError, confidence_interval
from sep_helpers.listening import ANCHOR, REFERENCE, ListeningError, MushraTrial, session

HIDDEN_MIN, HIDDEN_SHARE = 90, 0.15     # post-screening of ITU-R BS.1534-3


def guessing(right: int, n: int) -> float:
    """P(at least `right` of `n`) for somebody who tosses a coin: the binomial's upper tail."""
    return sum(math.comb(n, k) for k in range(right, n + 1)) / 2**n


def share_interval(right: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share of right answers (Clopper & Pearson, 1934)."""
    tail = (1 - level) / 2
    low = beta.ppf(tail, right, n - right + 1) if right else 0.0
    high = beta.ppf(1 - tail, right + 1, n - right) if right < n else 1.0
    return float(low), float(high)


def abx_scores(answers: pd.DataFrame) -> pd.DataFrame:
    """One row a pair of systems and listener, and "everybody" where there are several.

    Columns pair, listener, n, right, share, low, high (95 %), p: how often a coin does as well.
    Everybody's p takes the answers as independent, and those of one listener hardly are.
    """
    pairs = [" / ".join(sorted(ab)) for ab in zip(answers.a, answers.b, strict=True)]
    rows = []
    for pair, group in answers.assign(pair=pairs).groupby("pair"):
        parts = [*group.groupby("listener")]
        for name, part in parts + [("everybody", group)] * (len(parts) > 1):
            n, right = len(part), int(part.right.sum())
            low, high = share_interval(right, n)
            rows.append({"pair": pair, "listener": name, "n": n, "right": right,
                         "share": right / n, "low": low, "high": high, "p": guessing(right, n)})
    return pd.DataFrame(rows, columns=["pair", "listener", "n", "right", "share", "low", "high",
                                       "p"])


def screen(ratings: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ratings of listeners who know the reference when they hear it; and who was left out.

    Left out, with all their ratings, are those who give the hidden reference less than 90 in more
    than 15 % of their trials (BS.1534-3). -> (kept, one row a listener left out: listener,
    trials, missed).
    """
    hidden = ratings[ratings.system == REFERENCE].assign(
        missed=lambda t: t.rating < HIDDEN_MIN).groupby("listener").missed.agg(["count", "sum"])
    deaf = hidden[hidden["sum"] > HIDDEN_SHARE * hidden["count"]]
    out = deaf.reset_index().rename(columns={"count": "trials", "sum": "missed"})
    return ratings[~ratings.listener.isin(deaf.index)], out


def mushra_scores(ratings: pd.DataFrame, over: str = "stimulus", level: float = 0.95
                  ) -> pd.DataFrame:
    """Mean rating of each system with its bootstrap interval, the best first.

    Intervals are drawn over stimuli (how would other sounds be rated by these listeners?) or,
    `over="listener"`, over listeners (how would others rate these sounds?). Columns system, n
    (that was drawn over), mean, low, high. Raises ListeningError if there are no ratings.
    """
    if over not in ("stimulus", "listener"):
        raise ListeningError(f"intervals over {over!r}: take 'stimulus' or 'listener'")
    if ratings.empty:
        raise ListeningError("no ratings yet, or none after screening: listen first")
    key = ["listener"] if over == "listener" else ["mixture_id", "source"]
    rows = []
    for system, group in ratings.groupby("system", sort=False):
        values = group.groupby(key).rating.mean()
        mean, low, high = confidence_interval(values, level)
        rows.append({"system": system, "n": len(values), "mean": mean, "low": low, "high": high})
    return pd.DataFrame(rows).sort_values("mean", ascending=False, ignore_index=True)


def with_metric(ratings: pd.DataFrame, table: pd.DataFrame, metric: str = "si_sdr"
                ) -> pd.DataFrame:
    """Ratings beside a metric: one row a (system, mixture_id, source), the mean over listeners.

    `table` is of `evaluation.evaluate`, one view. The reference and the anchor have no row there
    and are left out. Raises EvaluationError if nothing is in both.
    """
    key = ["system", "mixture_id", "source"]
    means = ratings[~ratings.system.isin([REFERENCE, ANCHOR])].groupby(key).rating.mean()
    both = table[[*key, metric]].merge(means.reset_index(), on=key)
    if both.empty:
        raise EvaluationError("the ratings and the table share no system and mixture: evaluate "
                              "the systems that were rated, on the view that was heard")
    return both


def rank_correlation(x, y) -> float:
    """Spearman's: do the two put things in the same order? 1 yes, 0 no relation; NaN if one is
    constant.
    """
    x, y = (pd.Series(np.asarray(values, float)).rank() for values in (x, y))
    return float(x.corr(y)) if x.nunique() > 1 and y.nunique() > 1 else math.nan


def simulated_ratings(trials: list[MushraTrial], quality: dict[tuple, float], listeners: int = 8,
                      spread: float = 8.0, seed: int = 0) -> pd.DataFrame:
    """Ratings that nobody gave: `quality` (0 to 100) of (mixture_id, source, system) plus noise.

    To show a picture before anybody has listened, and for tests; the listeners are called
    "simulated 1" and so on. The reference gets about 100, the anchor about 20.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for listener in range(listeners):
        bias = rng.normal(0, spread / 2)
        for number, trial in enumerate(trials):
            for system in trial.order:
                true = {REFERENCE: 100.0, ANCHOR: 20.0}.get(
                    system, quality.get((*trial.stimulus, system), math.nan))
                noise = 0 if system == REFERENCE else bias + rng.normal(0, spread)
                rows.append({"listener": f"simulated {listener + 1}", "session": session(trials),
                             "trial": number, "mixture_id": trial.stimulus[0],
                             "source": trial.stimulus[1], "system": system,
                             "rating": float(np.clip(true + noise, 0, 100))})
    return pd.DataFrame(rows)
