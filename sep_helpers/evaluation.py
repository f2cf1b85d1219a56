"""From a system and a view to a table of figures; what they are worth is said by `intervals`.

A system is either a separator (see `separate`) or a function (mixture, sources) -> estimates, which
may peek at the sources, as the oracles of `systems` do, or a folder of estimates (`Recorded`).
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from sep_helpers import perceptual as listeners
from sep_helpers.amplitude import least_squares as match_level
from sep_helpers.intervals import (  # noqa: F401
    confidence_interval,
    differences,
    overview,
    paired_difference,
    per_utterance,
    summary,
    worst,
)
from sep_helpers.measuring import Asked, EvaluationError, measure, told
from sep_helpers.metrics import MetricError
from sep_helpers.systems import (  # noqa: F401
    CEILINGS,
    FLOORS,
    Recorded,
    System,
    floors_and_ceilings,
    mixture_system,
    oracle_system,
    random_mask_system,
)

NAMED = 5       # failed mixtures that are named in print; the table names them all

# --- one mixture

def separate(separator: nn.Module, mixture: Tensor) -> Tensor:
    """Estimates of one mixture, at a level fit to be heard: (time,) -> (source, time), or in
    stereo (channel, time) -> (source, channel, time).

    Without gradients, in evaluation mode (every module's own mode is put back afterwards), on
    the separator's device; the float32 result is where the mixture is. Raises EvaluationError
    if the answer has another length, MetricError if it is not finite.
    """
    mixture = _waveform(mixture, getattr(separator, "channels", 1))
    device = next((p.device for p in separator.parameters()), mixture.device)
    with torch.inference_mode(), evaluating(separator):
        estimates = separator(mixture[None].to(device))
    if estimates.shape[:1] + estimates.shape[2:] != (1, *mixture.shape):
        raise EvaluationError(f"{type(separator).__name__} made {tuple(estimates.shape)} of "
                              f"{(1, *mixture.shape)}: a separator gives (batch, source, same "
                              "time)")
    return match_level(estimates[0].float().to(mixture.device), mixture)


def _waveform(mixture: Tensor, channels: int) -> Tensor:
    """The mixture as float32, if it is one finite waveform. Raises EvaluationError."""
    mixture = torch.as_tensor(mixture)
    shape = "(time,)" if channels == 1 else f"({channels}, time)"
    if mixture.shape[:-1] != (() if channels == 1 else (channels,)) or mixture.dim() == 0 \
            or not mixture.numel() or not mixture.is_floating_point():
        raise EvaluationError(f"the mixture is {tuple(mixture.shape)} of {mixture.dtype}: give one "
                              f"waveform {shape} of floats, as audio.load_any reads it")
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


# --- a view

def evaluate(
    system: nn.Module | System, view: Sequence, name: str, view_name: str = "test",
    bss: bool = True, perceptual: Sequence[str] = (), permute: bool = True,
) -> pd.DataFrame:
    """Measure a system on every mixture of a view, each with its own best permutation.

    One row a (mixture, source): system, view, mixture_id, source, speaker, si_sdr, si_sdri, snr
    and, unless bss=False, sdr, sdri, sir, sar (dB), the `perceptual` figures asked for (names of
    `perceptual.NAMES`), seconds (that the system took for the mixture), note (what is odd about
    the source or its estimate, see `measuring`), unmeasured (what of the asked cannot be measured,
    which is printed, too, and a column of NaN), error. permute=False keeps the order of the
    estimates, where it means something: stems, categories.

    A mixture that cannot be read or measured is one row with source -1, no figures and the
    reason in `error`; it is named and counted in print, and the others go on. Raises
    EvaluationError if the system breaks its contract at once, or if nothing could be measured.
    """
    return evaluate_all({name: system}, {view_name: view}, bss, perceptual, permute)


def evaluate_all(
    systems: dict[str, nn.Module | System], views: dict[str, Sequence], bss: bool = True,
    perceptual: Sequence[str] = (), permute: bool = True,
) -> pd.DataFrame:
    """`evaluate` every system on every view, in one table, with one estimate of the time left."""
    for system in systems.values():
        for view in views.values():
            _refuse_wrong_rate(system, view)
    plans = {name: _what_is_asked(view, bss, perceptual, permute) for name, view in views.items()}
    tables, said = [], []
    total = len(systems) * sum(map(len, views.values()))
    with tqdm(total=total, unit=" mixtures", delay=2, mininterval=0.5, leave=False,
              file=sys.stdout) as bar:
        for name, system in systems.items():
            for view_name, view in views.items():
                asked, unmeasured = plans[view_name]
                bar.set_description(name if len(views) == 1 else f"{name}, {view_name}", False)
                table, lines = _evaluate(system, view, name, asked, bar)
                said += lines
                tables.append(table.assign(system=name, view=view_name, unmeasured=unmeasured))
    print(*said, sep="\n", end="\n" * bool(said))
    columns = ["system", "view", "mixture_id", "source", "speaker", "si_sdr", "si_sdri", "snr",
               *["sdr", "sdri", "sir", "sar"] * bss, *perceptual, "seconds", "note", "unmeasured",
               "error"]
    return pd.concat(tables, ignore_index=True).reindex(columns=columns)


def _what_is_asked(view: Sequence, bss: bool, perceptual: Sequence[str], permute: bool
                   ) -> tuple[Asked, str]:
    """What can be measured of what is wanted, and a line on what cannot, which is printed."""
    rate = view.corpus.sample_rate if hasattr(view, "corpus") else None
    if perceptual and rate is None:
        raise EvaluationError("perceptual figures need the sample rate, and this view has no "
                              "corpus: give a view with one, as views.open_view does")
    missing = listeners.missing(perceptual, rate)
    unmeasured = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    if missing:
        print(f"not measured: {unmeasured}")
    possible = tuple(name for name in perceptual if name not in missing)
    return Asked(bss, possible, rate, permute), unmeasured


def _evaluate(system, view: Sequence, name: str, asked: Asked, bar: tqdm
              ) -> tuple[pd.DataFrame, list[str]]:
    """The rows of one system on one view, and lines on what failed and what is odd, if anything.
    """
    rows, failures = [], []
    for index in range(len(view)):
        item = {"id": _name_of(view, index)}
        try:
            item = view[index]
            rows += _measure(system, item, asked)
        except (ValueError, RuntimeError, OSError) as error:
            if isinstance(error, EvaluationError) and not rows:
                raise                                # it would break all of them: stop at once
            failures.append({"mixture_id": item["id"], "source": -1, "speaker": "", "note": "",
                             "error": " ".join(str(error).split())})
        bar.update()
    named = "; ".join(f"{f['mixture_id']}: {f['error']}" for f in failures[:NAMED])
    more = f"; and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
    message = (f"{name}: {len(failures)} of {len(view)} mixtures could not be measured: "
               f"{named or 'the view is empty'}{more}")
    if not rows:
        raise EvaluationError(message)
    said = [message] * bool(failures) + [line for line in [told(name, rows)] if line]
    return pd.DataFrame(rows + failures), said


def _measure(system: nn.Module | System, item: dict, asked: Asked) -> list[dict]:
    mixture, sources = item["mixture"], item["sources"]
    if not torch.isfinite(mixture).all():
        raise MetricError("the mixture holds NaN or infinity: make it again")
    started = time.perf_counter()
    if isinstance(system, nn.Module):
        estimates = separate(system, mixture)
    elif isinstance(system, Recorded):
        estimates = system.of(item)
    else:
        estimates = system(mixture, sources)
    seconds = time.perf_counter() - started
    if estimates.shape != sources.shape:
        raise EvaluationError(f"{item['id']}: the system gave {tuple(estimates.shape)} for sources "
                              f"{tuple(sources.shape)}: take a system made for this view")
    rows = measure(estimates, sources, mixture, asked)
    return [{"mixture_id": item["id"], "source": source, "speaker": cut.category, **row,
             "seconds": seconds, "error": ""}
            for source, (cut, row) in enumerate(zip(item["cuts"], rows, strict=False))]


def _name_of(view: Sequence, index: int) -> str:
    """The id of a mixture that could not be read: the view's own list knows it."""
    return view.mixtures[index][0].mixture_id if hasattr(view, "mixtures") else f"item {index}"


def _refuse_wrong_rate(system: nn.Module | System, view: Sequence) -> None:
    if isinstance(system, nn.Module | Recorded) and hasattr(view, "corpus"):
        ours, theirs = system.sample_rate, view.corpus.sample_rate
        if ours != theirs:
            raise EvaluationError(f"estimates at {ours} Hz on a view of {theirs} Hz: open the "
                                  f"corpus with sample_rate={ours}")
