"""What the figures of `evaluation.evaluate` are worth: means with intervals, pairs, the worst."""

import math

import numpy as np
import pandas as pd

from sep_helpers.measuring import SILENT_SOURCE, EvaluationError
from sep_helpers.metrics import CEILING_DB, FLOOR_DB

OF = {"si_sdri": "si_sdr", "sdri": "sdr"}        # the figure that an improvement is made of
DECIBELS = ("si_sdr", "si_sdri", "snr", "sdr", "sdri", "sir", "sar")
FIGURES = (*DECIBELS, "stoi", "estoi", "pesq_nb", "pesq_wb")


def per_utterance(table: pd.DataFrame, metric: str = "si_sdri") -> pd.Series:
    """Mean over the sources of each mixture of ONE system and view, by mixture_id.

    The sources of a mixture are not independent (one's gain is the other's), mixtures are: so
    the mixture is what intervals are drawn over. Silent sources have no figure and do not count.
    NaN where nothing of the mixture could be measured.
    """
    if metric not in table:
        raise EvaluationError(f"the table has no {metric!r}: evaluate with bss=True for SDR, SIR "
                              f"and SAR, with perceptual=({metric!r},) for a perceptual figure")
    if len(table.groupby(["system", "view"])) != 1:
        raise EvaluationError("several systems or views in one table: pick one, for instance "
                              "table[table.system == name], or use summary(table)")
    return table.groupby("mixture_id", sort=False)[metric].mean()


def confidence_interval(
    values, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> tuple[float, float, float]:
    """Mean of independent values (one a mixture), and the percentile-bootstrap interval of it.

    -> (mean, low, high). The mean is computed anew for `resamples` draws with replacement
    (Efron, 1979). One value says nothing of its spread: low and high are then NaN.
    """
    values = np.asarray(values, float)
    if len(values) == 0 or not np.isfinite(values).all():
        raise EvaluationError(f"{len(values)} values, {np.isfinite(values).sum()} of them finite: "
                              "an interval needs finite ones; drop failed mixtures and say so")
    if len(values) == 1:
        return float(values[0]), math.nan, math.nan
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[draws].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high)


def summary(table: pd.DataFrame, metric: str = "si_sdri", level: float = 0.95) -> pd.DataFrame:
    """One row a system and view: mean, low, high, and all as text, with every count.

    n mixtures have a figure and `failed` have none: together, all there are. `silent` counts the
    sources without a figure because they are silent, `capped` those that scored the floor or the
    ceiling of `metrics` (silent or perfect estimates), which a mean feels.
    """
    rows = []
    for (system, view), group in table.groupby(["system", "view"], sort=False):
        values = per_utterance(group, metric)
        rows.append({"system": system, "view": view, "metric": metric, "n": values.count(),
                     "failed": values.isna().sum(), **_odd(group, metric),
                     **interval_and_text(values.dropna(), level, 1 if metric in DECIBELS else 2)})
    return pd.DataFrame(rows)


def _odd(group: pd.DataFrame, metric: str) -> dict[str, int]:
    """How many sources are silent, and how many figures are at an end of the scale."""
    notes = group["note"] if "note" in group else pd.Series("", group.index)
    base = OF.get(metric, metric)
    ends = group[base].isin([FLOOR_DB, CEILING_DB]) if base in group else pd.Series(dtype=bool)
    return {"silent": int(notes.str.contains(SILENT_SOURCE, na=False).sum()),
            "capped": int(ends.sum())}


def interval_and_text(values, level: float = 0.95, digits: int = 1) -> dict:
    """{"mean", "low", "high", "text"} of values, or NaN and "not measured" where there are none."""
    if len(values) == 0:
        return {"mean": math.nan, "low": math.nan, "high": math.nan, "text": "not measured"}
    mean, low, high = confidence_interval(values, level)
    shown = [f"{round(x, digits) + 0.0:.{digits}f}" for x in (mean, low, high)]    # 0.0, not -0.0
    text = shown[0] if math.isnan(low) else f"{shown[0]} ({shown[1]} to {shown[2]})"
    return {"mean": mean, "low": low, "high": high, "text": text}


def overview(table: pd.DataFrame, metrics: tuple[str, ...] | None = None,
             level: float = 0.95) -> pd.DataFrame:
    """Everything at once: a row a system and view, a column a figure, as text with intervals.

    Before them n, failed, silent and capped (by SI-SDR), as in `summary`; after them, where
    something was asked for and is missing, why: the column `unmeasured`.
    """
    chosen = metrics or tuple(name for name in FIGURES if name in table)
    counts = summary(table, chosen[0], level).set_index(["system", "view"])
    columns = counts[["n", "failed", "silent", "capped"]].copy()
    for name in chosen:
        columns[name] = summary(table, name, level)["text"].values
    if "unmeasured" in table and table["unmeasured"].fillna("").any():
        columns["unmeasured"] = table.groupby(["system", "view"], sort=False)["unmeasured"].first()
    return columns


def paired_difference(
    a: pd.DataFrame, b: pd.DataFrame, metric: str = "si_sdri", level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """By how much a beats b on the same mixtures: (mean, low, high) of the differences in dB.

    Far sharper than comparing two intervals, because what makes a mixture hard is hard for both.
    Mixtures that either system failed on are left out. Raises EvaluationError if the tables are
    not about the same mixtures.
    """
    return confidence_interval(_paired(a, b, metric), level, seed)


def _paired(a: pd.DataFrame, b: pd.DataFrame, metric: str) -> pd.Series:
    a, b = per_utterance(a, metric), per_utterance(b, metric)
    if odd := sorted(set(a.index) ^ set(b.index)):
        raise EvaluationError(f"{len(odd)} mixtures are in one table only, {odd[0]} for one: "
                              "evaluate both systems on one view")
    return (a - b).dropna()


def differences(table: pd.DataFrame, baseline: str, metric: str = "si_sdri",
                level: float = 0.95) -> pd.DataFrame:
    """By how much every other system of a table beats the baseline, paired by mixture.

    One row a system and view: system, baseline, view, n (mixtures that both could be measured
    on), mean, low, high, text, wins (share of them on which the system is ahead).
    """
    if baseline not in set(table["system"]):
        raise EvaluationError(f"there is no system {baseline!r} in the table: the baseline is one "
                              f"of {', '.join(table['system'].unique())}")
    rows = []
    for (system, view), group in table.groupby(["system", "view"], sort=False):
        if system == baseline:
            continue
        other = table[(table["system"] == baseline) & (table["view"] == view)]
        gain = _paired(group, other, metric)
        rows.append({"system": system, "baseline": baseline, "view": view, "metric": metric,
                     "n": len(gain), **interval_and_text(gain, level, 2),
                     "wins": (gain > 0).mean()})
    return pd.DataFrame(rows)


def worst(table: pd.DataFrame, n: int = 10, metric: str = "si_sdri") -> pd.DataFrame:
    """The n mixtures of ONE system and view with the lowest figures, the lowest first.

    One row a mixture: mixture_id, the metric (mean over its sources), speakers, note, and the
    columns that `slices.join` added. Mixtures without a figure are not among them.
    """
    values = per_utterance(table, metric).dropna().sort_values(kind="stable")[:n]
    groups = table[table["mixture_id"].isin(values.index)].groupby("mixture_id")
    rows = pd.DataFrame({"mixture_id": values.index, metric: values.values})
    rows["speakers"] = rows["mixture_id"].map(groups["speaker"].agg(", ".join))
    if "note" in table:
        rows["note"] = rows["mixture_id"].map(groups["note"].agg(
            lambda notes: "; ".join(dict.fromkeys(filter(None, notes)))))
    own = {"system", "view", "mixture_id", "source", "speaker", "seconds", "note", "unmeasured",
           "error", *FIGURES}
    for column in [name for name in table if name not in own]:
        rows[column] = rows["mixture_id"].map(groups[column].first())
    return rows
