"""Figures that foretell listeners: STOI (how much is understood) and PESQ (how good it sounds).

Both come from packages that are not needed otherwise, `pystoi` and `pesq` (which has to be
compiled): pip install 'sep_helpers[metrics]', or either by its name. `missing` says what cannot be
measured here, and why; nothing is left out in silence. Both were made for speech.

STOI: Taal et al., 2011; extended: Jensen & Taal, 2016; about 0 (nothing understood) to 1, at
10 kHz, to which any rate is brought. PESQ: ITU-T P.862 with the mapping P.862.1, "nb", at 8 or
16 kHz, or P.862.2, "wb", at 16 kHz alone; about 1 (bad) to 4.6.

A silent estimate scores the worst there is, 0 or 1; a silent source is refused, as in `metrics`.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from sep_helpers.metrics import MetricError, check

NAMES = ("stoi", "estoi", "pesq_nb", "pesq_wb")
LOWEST = {"stoi": 0.0, "estoi": 0.0, "pesq_nb": 1.0, "pesq_wb": 1.0}
RATES = {"pesq_nb": (8000, 16000), "pesq_wb": (16000,)}


def missing(names: Iterable[str], rate: int) -> dict[str, str]:
    """{name: why it cannot be measured at this rate on this machine}; empty if all can be.

    Raises MetricError for a name that is not one of NAMES.
    """
    found = {}
    for name in names:
        if name not in NAMES:
            raise MetricError(f"there is no figure {name!r}: choose from {', '.join(NAMES)}")
        package = "pesq" if name.startswith("pesq") else "pystoi"
        if importlib.util.find_spec(package) is None:
            found[name] = f"the package {package} is missing: pip install {package}"
        elif rate not in RATES.get(name, (rate,)):
            rates = " or ".join(f"{r} Hz" for r in RATES[name])
            found[name] = f"it takes {rates}, this is {rate} Hz: use recordings of such a rate"
    return found


def stoi(estimates: Tensor, sources: Tensor, rate: int, extended: bool = False) -> Tensor:
    """STOI, or the extended STOI, of each estimate: (..., time), rate in Hz -> (...).

    Raises MetricError for what `metrics.check` refuses, for less than 0.4 s of speech, and if
    `missing` says so.
    """
    return _each("estoi" if extended else "stoi", estimates, sources, rate)


def pesq(estimates: Tensor, sources: Tensor, rate: int, band: str = "nb") -> Tensor:
    """PESQ of each estimate as a mean opinion score: (..., time), rate in Hz -> (...).

    Raises MetricError for what `metrics.check` refuses, where PESQ finds no speech or less than a
    quarter of a second, and if `missing` says so.
    """
    return _each(f"pesq_{band}", estimates, sources, rate)


def measure(name: str, estimates: Tensor, sources: Tensor, rate: int) -> Tensor:
    """The figure of that name, one of NAMES. Shapes and errors as in `stoi` and `pesq`."""
    return _each(name, estimates, sources, rate)


def _each(name: str, estimates: Tensor, sources: Tensor, rate: int) -> Tensor:
    if reason := missing([name], rate).get(name):
        raise MetricError(f"{name} is not measured: {reason}")
    check(estimates, sources)
    one = FIGURES[name]
    pairs = zip(*(x.double().numpy(force=True).reshape(-1, x.shape[-1])
                  for x in (estimates, sources)), strict=True)
    values = [LOWEST[name] if e.max() == e.min() else one(e, s, rate) for e, s in pairs]
    return torch.tensor(values, dtype=torch.float64).reshape(sources.shape[:-1])


def _stoi(estimate: np.ndarray, source: np.ndarray, rate: int, extended: bool) -> float:
    import pystoi
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
        try:
            return float(pystoi.stoi(source, estimate, rate, extended))
        except RuntimeWarning:
            raise MetricError("less than 0.4 s of the source is no silence: too short for STOI"
                              ) from None


def _pesq(estimate: np.ndarray, source: np.ndarray, rate: int, band: str) -> float:
    import pesq
    try:
        return float(pesq.pesq(rate, source, estimate, band))
    except (pesq.PesqError, ValueError) as error:
        reason = error.args[0] if error.args else type(error).__name__
        reason = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise MetricError(f"PESQ cannot judge it ({reason.strip()}): it wants a quarter of a "
                          "second, with speech in it") from None


FIGURES: dict[str, Callable[[np.ndarray, np.ndarray, int], float]] = {
    "stoi": lambda e, s, rate: _stoi(e, s, rate, False),
    "estoi": lambda e, s, rate: _stoi(e, s, rate, True),
    "pesq_nb": lambda e, s, rate: _pesq(e, s, rate, "nb"),
    "pesq_wb": lambda e, s, rate: _pesq(e, s, rate, "wb"),
}
