"""What is known of each mixture of a test, and how a system does on mixtures of one kind.

A slice compares mixtures with others of the same test: hold a ceiling against it, to tell what is
hard for everybody from what is hard for one system.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.fft import irfft, rfft

from sep_helpers.intervals import DECIBELS, interval_and_text, per_utterance
from sep_helpers.measuring import EvaluationError
from sep_helpers.metrics import join_channels, si_sdr, silent

UNKNOWN = "unknown"
FRAME, STEP = 0.04, 0.02            # seconds
LOWEST, HIGHEST = 60.0, 400.0       # Hz: where voices have their pitch
VOICED = 0.6                        # how alike a voiced frame is to itself a period later
SOUNDING_DB = 40.0                  # a frame this far below a source's loudest one is silence


def facts(view: Sequence) -> pd.DataFrame:
    """One row a mixture, index mixture_id, from the signals and the corpus's own columns.

    sex_pair ("same sex", "different sex"), sexes ("f+m"), language ("en", "de+en"): "unknown"
    where the corpus does not say. pitch_hz: each source's median pitch, as text ("112/203"),
    pitch_distance: semitones between the two closest of them, NaN where one has none.
    level_difference: dB between the loudest and the softest source. overlap: share of the sounding
    frames in which two or more sources sound. input_si_sdr: of the mixture, dB, mean over the
    sources. duration (s), n_sources. Mixtures that cannot be read are left out: they have no
    figures either.
    """
    known = view.corpus.table.set_index("file") if hasattr(view, "corpus") else pd.DataFrame()
    rate = view.corpus.sample_rate if hasattr(view, "corpus") else 8000
    rows = {}
    for index in range(len(view)):
        try:
            item = view[index]
        except (ValueError, RuntimeError, OSError):
            continue                                     # `evaluate` names it and says why
        rows[item["id"]] = _said(item["cuts"], known) | _measured(item, rate)
    if not rows:
        raise EvaluationError("the view has no mixture that can be read: nothing is known of it")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("mixture_id")


def join(table: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The rows of `evaluate` with the facts of their mixtures as further columns."""
    if not table["mixture_id"].isin(known.index).any():
        raise EvaluationError("the facts are of other mixtures than the table: take those of the "
                              "view that was evaluated")
    return table.merge(known, how="left", left_on="mixture_id", right_index=True)


def binned(values: pd.Series, edges: Sequence[float] | None = None) -> pd.Series:
    """Numbers as slices, in words: "under 2.5", "2.5 to 5", "5 or more"; NaN is "unknown".

    Without edges they are cut in two at their median. The result is an ordered category, so that
    tables and pictures keep the order.
    """
    edges = sorted(edges) if edges is not None else [values.dropna().median()]
    shown = [f"{edge:.3g}" for edge in edges]
    names = [f"under {shown[0]}", *map(" to ".join, zip(shown, shown[1:], strict=False)),
             f"{shown[-1]} or more"]
    place = np.searchsorted(edges, values.fillna(-math.inf), side="right")
    words = np.where(values.isna(), UNKNOWN, np.array(names, object)[place])
    return pd.Series(pd.Categorical(words, [*names, UNKNOWN], ordered=True), values.index)


def summary(
    table: pd.DataFrame, known: pd.DataFrame,
    by: Sequence[str] = ("sex_pair", "pitch_distance", "level_difference", "overlap"),
    metric: str = "si_sdri", edges: dict[str, Sequence[float]] | None = None, level: float = 0.95,
) -> pd.DataFrame:
    """Means with intervals in every slice, over the mixtures that are in it.

    `known` is what `facts` gives, with any column of your own; numbers are `binned` at `edges`.
    One row a system, view, slice and value: system, view, slice, value, metric, n, failed, mean,
    low, high, text. Each slice's n and failed add up to all mixtures.
    """
    if odd := [name for name in by if name not in known]:
        raise EvaluationError(f"nothing is known of {odd[0]!r}: slice by {', '.join(known)}")
    kinds = {name: binned(known[name], (edges or {}).get(name))
             if pd.api.types.is_numeric_dtype(known[name]) else known[name] for name in by}
    rows = []
    for (system, view), group in table.groupby(["system", "view"], sort=False):
        values = per_utterance(group, metric)
        for name, kind in kinds.items():
            kind = kind.reindex(values.index)
            kind = kind.cat.add_categories([] if UNKNOWN in kind.cat.categories else [UNKNOWN]) \
                if isinstance(kind.dtype, pd.CategoricalDtype) else kind
            for value, part in values.groupby(kind.fillna(UNKNOWN), observed=True):
                digits = 1 if metric in DECIBELS else 2
                rows.append({"system": system, "view": view, "slice": name, "value": value,
                             "metric": metric, "n": part.count(), "failed": part.isna().sum(),
                             **interval_and_text(part.dropna(), level, digits)})
    return pd.DataFrame(rows)


# --- one mixture

def _said(cuts: Sequence, known: pd.DataFrame) -> dict[str, str]:
    """What the corpus says of the recordings in a mixture."""
    def of(column: str) -> list[str]:
        if column not in known:
            return [""]
        return [str(known[column].get(cut.file, "") or "").strip().lower() for cut in cuts]

    sexes, languages = of("sex"), of("language")
    all_known = all(sex not in ("", "nan") for sex in sexes)
    pair = "same sex" if len(set(sexes)) == 1 else "different sex"
    return {"sex_pair": pair if all_known else UNKNOWN,
            "sexes": "+".join(sorted(sexes)) if all_known else UNKNOWN,
            "language": "+".join(sorted(set(languages) - {"", "nan"})) or UNKNOWN}


def _measured(item: dict, rate: int) -> dict:
    """What the signals say."""
    s, x = item["sources"], item["mixture"]
    mono = (s.mean(1) if s.dim() == 3 else s).double().numpy(force=True)
    levels = 10 * np.log10(np.maximum(s.double().square().flatten(1).mean(1).numpy(), 1e-12))
    pitches = [pitch(source, rate) for source in mono]
    steps = [abs(12 * math.log2(a / b)) for i, a in enumerate(pitches) for b in pitches[:i]]
    if s.dim() == 3:
        s, x = join_channels(s), join_channels(x)
    heard = ~silent(s)
    before = si_sdr(x.expand_as(s[heard]), s[heard]).mean().item() if heard.any() else math.nan
    return {"pitch_hz": "/".join("?" if math.isnan(hz) else f"{hz:.0f}" for hz in pitches),
            "pitch_distance": math.nan if not steps or np.isnan(steps).any() else min(steps),
            "level_difference": float(levels.max() - levels.min()),
            "overlap": _overlap(mono, rate), "input_si_sdr": before,
            "duration": mono.shape[-1] / rate, "n_sources": len(mono)}


def pitch(wave: np.ndarray, rate: int) -> float:
    """The median pitch of a voice (time,) in Hz, over its voiced frames; NaN where there is none.

    By autocorrelation: the shortest lag that is nearly as good as the best, so that a multiple of
    the period is not taken for it. Frames 30 dB below the loudest do not count.
    """
    frames = _frames(wave, rate)
    shortest, longest = int(rate / HIGHEST), int(rate / LOWEST)
    frames = frames - frames.mean(1, keepdims=True)
    energy = np.square(frames).sum(1)
    frames = frames[energy > 1e-3 * energy.max(initial=0)]
    if not len(frames) or frames.shape[1] <= longest + 1:
        return math.nan
    n = 2 * frames.shape[1]
    r = irfft(np.abs(rfft(frames, n)) ** 2, n)[:, :longest + 2]
    lags = np.arange(longest + 2)
    r = r / r[:, :1] * (frames.shape[1] / (frames.shape[1] - lags))      # fewer products, further
    peak = (r[:, 1:-1] >= r[:, :-2]) & (r[:, 1:-1] >= r[:, 2:])
    peak[:, :shortest - 1] = False
    height = np.where(peak, r[:, 1:-1], 0)
    best = height.max(1, keepdims=True)
    period = 1 + (height >= 0.9 * best).argmax(1)
    voiced = best[:, 0] > VOICED
    return float(rate / np.median(period[voiced])) if voiced.any() else math.nan


def _overlap(mono: np.ndarray, rate: int) -> float:
    """The share of the sounding frames in which two or more of the sources (source, time) sound."""
    energy = np.stack([np.square(_frames(wave, rate)).sum(1) for wave in mono])
    loudest = energy.max(1, keepdims=True, initial=0)
    sounding = (energy > loudest * 10 ** (-SOUNDING_DB / 10)).sum(0)
    return float((sounding > 1).sum() / max((sounding > 0).sum(), 1))


def _frames(wave: np.ndarray, rate: int) -> np.ndarray:
    """(time,) -> (frame, sample), FRAME seconds each, every STEP; a short wave is one frame."""
    size, step = round(FRAME * rate), round(STEP * rate)
    wave = np.pad(wave, (0, max(0, size - len(wave))))
    return np.lib.stride_tricks.sliding_window_view(wave, size)[::step]
