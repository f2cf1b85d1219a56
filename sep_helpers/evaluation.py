"""From a system and a view to figures one can defend: a table, its summary, intervals.

A system is either a separator (see `separate`) or a function (mixture (time,), sources
(source, time)) -> estimates (source, time), which may peek at the sources, as the oracles do.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from sep_helpers import masks, metrics
from sep_helpers.amplitude import least_squares as match_level
from sep_helpers.permutation import pit, reorder

System = Callable[[Tensor, Tensor], Tensor]


class EvaluationError(ValueError):
    """A system that breaks the separator contract, tables that do not compare."""


# --- one mixture

def separate(separator: nn.Module, mixture: Tensor) -> Tensor:
    """Estimates of one mixture, at a level fit to be heard: (time,) -> (source, time).

    Without gradients, in evaluation mode (every module's own mode is put back afterwards), on
    the separator's device; the float32 result is where the mixture is. Raises EvaluationError
    if the answer has another length, MetricError if it is not finite.
    """
    mixture = _waveform(mixture)
    device = next((p.device for p in separator.parameters()), mixture.device)
    with torch.inference_mode(), evaluating(separator):
        estimates = separator(mixture[None].to(device))
    if estimates.dim() != 3 or estimates.shape[::2] != (1, len(mixture)):
        raise EvaluationError(f"{type(separator).__name__} made {tuple(estimates.shape)} of "
                              f"{(1, len(mixture))}: a separator gives (batch, source, same time)")
    return match_level(estimates[0].float().to(mixture.device), mixture)


def _waveform(mixture: Tensor) -> Tensor:
    """The mixture as float32, if it is one finite waveform. Raises EvaluationError."""
    mixture = torch.as_tensor(mixture)
    if mixture.dim() != 1 or not len(mixture) or not mixture.is_floating_point():
        raise EvaluationError(f"the mixture is {tuple(mixture.shape)} of {mixture.dtype}: give one "
                              "waveform (time,) of floats, as audio.load_any reads it")
    if not torch.isfinite(mixture).all():
        raise EvaluationError("the mixture has NaN or infinite samples: export it again")
    return mixture.float()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; then each submodule gets its own mode back."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, training in modes.items():
            m.training = training


# --- systems to compare with

def mixture_system() -> System:
    """The floor: hands out the mixture for every source, improvement 0 dB."""
    return lambda mixture, sources: mixture.expand_as(sources)


def oracle_system(mask: str, n_fft: int = 256, hop: int = 64) -> System:
    """A ceiling: separates with the ideal mask of that name (a key of `masks.MASKS`)."""
    return lambda mixture, sources: masks.oracle(mask, mixture, sources, n_fft, hop)


def random_mask_system(seed: int = 0) -> System:
    """Another floor: masks of random numbers. What a network has to beat to have learnt at all."""
    return lambda mixture, sources: masks.oracle("random", mixture, sources, seed=seed)


# --- a view

def evaluate(
    system: nn.Module | System, view: Sequence, name: str, view_name: str = "test",
    bss: bool = True,
) -> pd.DataFrame:
    """Measure a system on every mixture of a view, each with its own best permutation.

    One row a (mixture, source): system, view, mixture_id, source, speaker, si_sdr, si_sdri and,
    unless bss=False, sdr, sdri (dB), seconds (that the system took for the mixture), error.
    A mixture that cannot be read or measured is one row with source -1, no figures and the
    reason in `error`; it is named and counted in print. Raises EvaluationError if the system
    breaks its contract, or if nothing at all could be measured.
    """
    _refuse_wrong_rate(system, view)
    rows, failures = [], []
    for index in tqdm(range(len(view)), name, unit=" mixtures", delay=2, leave=False,
                      file=sys.stdout):
        item = {"id": _name_of(view, index)}
        try:
            item = view[index]
            rows += _measure(system, item, bss)
        except EvaluationError:
            raise
        except (ValueError, RuntimeError, OSError) as error:
            failures.append({"mixture_id": item["id"], "source": -1, "speaker": "",
                             "error": str(error)})
    named = "; ".join(f"{f['mixture_id']}: {f['error']}" for f in failures) or "the view is empty"
    message = f"{name}: {len(failures)} of {len(view)} mixtures could not be measured: {named}"
    if not rows:
        raise EvaluationError(message)
    if failures:
        print(message)
    return pd.DataFrame(rows + failures).assign(system=name, view=view_name)[
        ["system", "view", *rows[0]]]


def _measure(system: nn.Module | System, item: dict, bss: bool) -> list[dict]:
    mixture, sources = item["mixture"], item["sources"]
    started = time.perf_counter()
    if isinstance(system, nn.Module):
        estimates = separate(system, mixture)
    else:
        estimates = system(mixture, sources)
    seconds = time.perf_counter() - started
    if estimates.shape != sources.shape:
        raise EvaluationError(f"{item['id']}: the system gave {tuple(estimates.shape)} for sources "
                              f"{tuple(sources.shape)}: take a system made for this view")
    metrics.check(estimates, sources)
    _, order = pit(estimates[None], sources[None], _si_sdr)
    estimates = reorder(estimates[None], order)[0]
    figures = {"si_sdr": metrics.si_sdr(estimates, sources),
               "si_sdri": metrics.si_sdr_improvement(estimates, sources, mixture)}
    if bss:
        figures["sdr"] = metrics.sdr(estimates, sources)
        figures["sdri"] = metrics.sdr_improvement(estimates, sources, mixture)
    return [{"mixture_id": item["id"], "source": source, "speaker": cut.category,
             **{key: values[source].item() for key, values in figures.items()},
             "seconds": seconds, "error": ""}
            for source, cut in enumerate(item["cuts"])]


def _si_sdr(estimates: Tensor, sources: Tensor, lengths: None) -> Tensor:
    return metrics.si_sdr(*torch.broadcast_tensors(estimates, sources))


def _name_of(view: Sequence, index: int) -> str:
    """The id of a mixture that could not be read: the view's own list knows it."""
    return view.mixtures[index][0].mixture_id if hasattr(view, "mixtures") else f"item {index}"


def _refuse_wrong_rate(system: nn.Module | System, view: Sequence) -> None:
    if isinstance(system, nn.Module) and hasattr(view, "corpus"):
        ours, theirs = system.sample_rate, view.corpus.sample_rate
        if ours != theirs:
            raise EvaluationError(f"a separator for {ours} Hz on a view of {theirs} Hz: open the "
                                  f"corpus with sample_rate={ours}")


# --- what the figures are worth

def per_utterance(table: pd.DataFrame, metric: str = "si_sdri") -> pd.Series:
    """Mean over the sources of each mixture of ONE system and view, by mixture_id.

    The sources of a mixture are not independent (one's gain is the other's), mixtures are: so
    the mixture is what intervals are drawn over. NaN where the mixture could not be measured.
    """
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
    """One row a system and view: n and failed mixtures, mean, low, high in dB, and all as text."""
    rows = []
    for (system, view), group in table.groupby(["system", "view"], sort=False):
        values = per_utterance(group, metric)
        mean, low, high = confidence_interval(values.dropna(), level)
        text = f"{mean:.1f}" if math.isnan(low) else f"{mean:.1f} ({low:.1f} to {high:.1f})"
        rows.append({"system": system, "view": view, "metric": metric, "n": values.count(),
                     "failed": values.isna().sum(), "mean": mean, "low": low, "high": high,
                     "text": text})
    return pd.DataFrame(rows)


def paired_difference(
    a: pd.DataFrame, b: pd.DataFrame, metric: str = "si_sdri", level: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """By how much a beats b on the same mixtures: (mean, low, high) of the differences in dB.

    Far sharper than comparing two intervals, because what makes a mixture hard is hard for both.
    Mixtures that either system failed on are left out. Raises EvaluationError if the tables are
    not about the same mixtures.
    """
    a, b = per_utterance(a, metric), per_utterance(b, metric)
    if odd := sorted(set(a.index) ^ set(b.index)):
        raise EvaluationError(f"{len(odd)} mixtures are in one table only, {odd[0]} for one: "
                              "evaluate both systems on one view")
    return confidence_interval((a - b).dropna(), level, seed)
