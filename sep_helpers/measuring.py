"""One mixture, separated: the figures of each of its sources, and what is odd about them.

Stereo signals have a channel before time. SI-SDR and SNR then take the channels as one signal
(`metrics.join_channels`: one scale for all), SDR, SIR and SAR add the channels' energies, each with
filters of its own, and STOI and PESQ hear the mean of the channels.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sep_helpers import metrics, perceptual
from sep_helpers.metrics import CEILING_DB, FLOOR_DB, MetricError
from sep_helpers.permutation import best_permutation

SILENT_SOURCE = "silent source"
SILENT_ESTIMATE = "silent estimate"
COPY = "the estimate is the mixture itself"
OTHER_ORDER = "the order"
TOLD = (SILENT_SOURCE, SILENT_ESTIMATE, COPY, OTHER_ORDER)     # what is worth a line in print
UNUSUAL_DB = 3.0    # by how much another order has to be better, to be spoken of
NAN = math.nan


class EvaluationError(ValueError):
    """A system that breaks the separator contract, tables that do not compare."""


@dataclass(frozen=True)
class Asked:
    """What is to be measured of every mixture."""

    bss: bool = True                     # SDR, SDRi, SIR, SAR
    perceptual: tuple[str, ...] = ()     # of perceptual.NAMES
    rate: int | None = None              # Hz, which only the perceptual figures need
    permute: bool = True                 # the best order of the estimates; False: as they come

    def columns(self) -> list[str]:
        """The names of the figures, in their order in a table."""
        return ["si_sdr", "si_sdri", "snr", *["sdr", "sdri", "sir", "sar"] * self.bss,
                *self.perceptual]


def measure(estimates: Tensor, sources: Tensor, mixture: Tensor, asked: Asked) -> list[dict]:
    """Of each source, {"si_sdr": dB ..., "note": ""}: the columns asked for, and a note.

    estimates, sources (source, [channel,] time), mixture ([channel,] time). The order of the
    estimates is the one of the highest mean SI-SDR, ONE for all figures. A silent source has no
    figure (NaN) and gets the estimate that is left over; the others are measured as if it were not
    there. Where a source is all that sounds in the mixture, there is nothing to improve: SI-SDRi
    and SDRi are NaN. Raises MetricError for NaN, shapes that differ and silence everywhere.
    """
    e, s, x = _as_signals(estimates, sources, mixture)
    sounding = ~metrics.silent(s)
    if not sounding.any():
        raise MetricError("every source is silent: there is nothing to separate")
    order, note = _order(e, s, sounding, asked.permute)
    e, estimates = e[order], estimates[order]
    before = metrics.si_sdr(x.expand_as(s[sounding]), s[sounding])
    after = metrics.si_sdr(e[sounding], s[sounding])
    figures = {"si_sdr": after, "si_sdri": _gain(after, before),
               "snr": metrics.snr(e[sounding], s[sounding])}
    if asked.bss:
        figures |= _bss(estimates[sounding], sources[sounding], mixture)
    rows = [dict.fromkeys(asked.columns(), NAN) for _ in s]
    for name, values in figures.items():
        for i, value in zip(sounding.nonzero()[:, 0].tolist(), values.tolist(), strict=True):
            rows[i][name] = value
    notes = _notes(e, x, sounding, before, after, note)
    for i in sounding.nonzero()[:, 0].tolist():
        notes[i] += _add_perceptual(rows[i], estimates[i], sources[i], asked)
    return [row | {"note": "; ".join(filter(None, note))}
            for row, note in zip(rows, notes, strict=True)]


def told(name: str, rows: list[dict]) -> str:
    """One line on the rows of `measure` whose figures need an explanation, or ""."""
    counts = {kind: sum(kind in row["note"] for row in rows) for kind in TOLD}
    words = {OTHER_ORDER: "another order fits better"}
    found = "; ".join(f"{n} x {words.get(kind, kind)}" for kind, n in counts.items() if n)
    return f"{name}, {len(rows)} sources: {found}: see the column `note`" if found else ""


def _as_signals(estimates: Tensor, sources: Tensor, mixture: Tensor):
    """Checked, in float64, channels joined: (source, time), (source, time), (time,)."""
    if mixture.shape != sources.shape[1:]:
        raise MetricError(f"mixture {tuple(mixture.shape)} does not belong to sources "
                          f"{tuple(sources.shape)}: it has their shape without the source")
    stereo = sources.dim() == 3
    e, s, x = (metrics.join_channels(y) if stereo else y.double()
               for y in (estimates, sources, mixture))
    metrics.check(e, s, silent_sources=True)
    if not torch.isfinite(x).all():
        raise MetricError("the mixture holds NaN or infinity: make it again")
    return e, s, x


def _order(e: Tensor, s: Tensor, sounding: Tensor, permute: bool) -> tuple[Tensor, str]:
    """The estimate for each source (source,), and a line if the order looks wrong.

    By SI-SDR from the cosines between all estimates and all sources, in one product.
    """
    c = _unit(e) @ _unit(s).mT                                       # (estimate, source)
    power = c.square().clamp(max=1)
    scores = (10 * torch.log10(power / (1 - power))).clamp(FLOOR_DB, CEILING_DB)
    scores = torch.where(sounding, scores, 0)
    best, n = best_permutation(scores[None])[0], torch.arange(len(s))
    if permute:
        return best, ""
    gain = (scores[best, n].mean() - scores.diagonal().mean()).item()
    better = f"{OTHER_ORDER} {best.tolist()} would be {gain:.1f} dB better"
    return n, better if gain > UNUSUAL_DB else ""


def _unit(x: Tensor) -> Tensor:
    x = x - x.mean(-1, keepdim=True)
    x = x / x.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return x / x.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)


def _gain(after: Tensor, before: Tensor) -> Tensor:
    """after - before, where there was anything to gain."""
    return torch.where(before < CEILING_DB, after - before, NAN)


def _bss(estimates: Tensor, sources: Tensor, mixture: Tensor) -> dict[str, Tensor]:
    """SDR, SIR, SAR and SDRi of estimates in order: the mixture is just one estimate more."""
    found = metrics.pairwise_bss_eval(torch.cat([estimates.double(), mixture[None].double()]),
                                      sources)
    own = {name: torch.from_numpy(values[:-1].diagonal().copy()) for name, values in found.items()}
    before = torch.from_numpy(found["sdr"][-1])
    return own | {"sdri": _gain(own["sdr"], before)}


def _add_perceptual(row: dict, estimate: Tensor, source: Tensor, asked: Asked) -> list[str]:
    """Put the perceptual figures into the row; -> what could not be judged."""
    said = []
    for name in asked.perceptual:
        e, s = (y.mean(0) if y.dim() == 2 else y for y in (estimate, source))
        try:
            row[name] = perceptual.measure(name, e, s, asked.rate).item()
        except MetricError as error:
            said.append(f"{name}: {error}")
    return said


def _notes(e: Tensor, x: Tensor, sounding: Tensor, before: Tensor, after: Tensor,
           everywhere: str) -> list[list[str]]:
    """What is odd about each source and its estimate: what explains a strange figure."""
    silent = metrics.silent(e)
    copies = (_unit(e) @ _unit(x)).square() > 1 - 1e-8               # 80 dB
    notes = [[everywhere] for _ in e]
    for i, note in enumerate(notes):
        if not sounding[i]:
            level = 10 * math.log10(max(e[i].square().sum() / x.square().sum(), 1e-6))
            note.append(f"{SILENT_SOURCE}: no figure; its estimate is "
                        + ("silent, too" if silent[i] else f"{level:.0f} dB of the mixture"))
        elif silent[i]:
            note.append(f"{SILENT_ESTIMATE}: {FLOOR_DB:g} dB")
        elif copies[i] and not copies.all():
            note.append(COPY)
    for i, was, now in zip(sounding.nonzero()[:, 0].tolist(), before, after, strict=True):
        if was >= CEILING_DB:
            notes[i].append("nothing else sounds in the mixture: no improvement to speak of")
        elif now >= CEILING_DB:
            notes[i].append(f"perfect estimate: counted as {CEILING_DB:g} dB")
    return notes
