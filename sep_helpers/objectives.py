"""What a training maximises, behind PIT: SI-SNR, SNR or minus the squared error.

A target that is silent has no SI-SNR: nothing is left to project onto. It is scored by what the
estimate still lets through, SNR-like with a floor 30 dB below the mixture, as Wisdom et al.
("What's all the FUSS about free universal sound separation data?", 2021) score inactive sources;
so one silent target moves a batch's mean by 30 dB at most, and its gradient ends where the floor
begins.
"""

import torch
from torch import Tensor

from sep_helpers.losses import si_snr, snr, valid_samples
from sep_helpers.permutation import ASSIGNMENTS, discriminative, pairwise, pit, reorder
from sep_helpers.spectral_losses import (
    DISTANCES,
    Dissimilarity,
    Spectral,
    magnitude,
    sizes,
)

SILENT = 1e-6      # a target 60 dB below its mixture, or farther, counts as silent
FLOOR = 1e-3       # what an estimate of silence may leave, 30 dB below its mixture, to score 0 dB
TINY = 1e-8        # and where the mixture itself is silent


def energy(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Sum of squares over time, (..., time) -> (...); padding does not count."""
    valid = valid_samples(lengths, x)
    return (x if valid is None else x * valid).square().sum(-1)


def silence(estimate: Tensor, mixture_energy: Tensor) -> Tensor:
    """dB, 0 for silence down to about -30 for the whole mixture: what an estimate lets through.

    estimate (..., time), mixture_energy (...) -> (...).
    """
    floor = FLOOR * mixture_energy + TINY
    return 10 * torch.log10(floor / (estimate.square().sum(-1) + floor))


def minus_mse(estimate: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Minus the mean square of the error: higher is better, as with the others. No unit, no dB."""
    error = energy(estimate - target, lengths)
    return -error / (estimate.shape[-1] if lengths is None else
                     lengths.to(error.device).reshape(-1, *[1] * (error.dim() - 1)))


METRICS = {"si_snr": si_snr, "snr": snr, "mse": minus_mse,
           **{name: Spectral(distance) for name, distance in DISTANCES.items()},
           "conv_sep": Spectral(magnitude, n_fft=1024, hop=256)}    # the network's own frames
PUBLISHED = Dissimilarity()
WAVEFORM = ("si_snr", "snr", "mse")      # of samples, whatever their order


def interleaved(x: Tensor) -> Tensor:
    """Stereo as one row of samples, left, right, left ...: (..., channel, time) -> (..., samples).

    A measure of samples then takes both channels together, and padding stays at the end.
    """
    return x.mT.flatten(-2)


def metric(name: str, sources: Tensor, lengths: Tensor | None = None):
    """The objective as PIT wants it: f(estimate, target, lengths) -> (batch, ...).

    Higher is better. `sources` (batch, source, time) are the utterances' own, for the energy of
    their mixtures.
    """
    chosen = METRICS[name]
    if sources.dim() == 4:
        def both(estimate: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
            return chosen(estimate, target, lengths).mean(-1)
        return both
    if name not in ("si_snr", "snr"):     # finite for silence as they stand
        return chosen
    with torch.no_grad():
        whole = energy(sources.sum(1), lengths)                              # (batch,)
        some = (energy(sources, lengths) < SILENT * whole.unsqueeze(1) + TINY).any()
    if not some:
        return chosen

    def guarded(estimate: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        valid = valid_samples(lengths, estimate)
        heard = estimate if valid is None else estimate * valid
        mixture = whole.reshape(-1, *[1] * (target.dim() - 2))
        quiet = energy(target, lengths) < SILENT * mixture + TINY
        return torch.where(quiet, silence(heard, mixture), chosen(estimate, target, lengths))
    return guarded


def score(
    estimates: Tensor, sources: Tensor, lengths: Tensor | None = None, objective: str = "si_snr",
    assignment: str = "pit", apart: Dissimilarity = PUBLISHED, gamma: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """The objective of each utterance, to be maximised, and which estimate serves which source.

    estimates, sources (batch, source, time), of stereo (batch, source, channel, time), whose
    channels are measured together -> (batch,), (batch, source). In float32, whatever comes in.
    `apart` weighs the terms of the objective "conv_sep". With gamma > 0 it is discriminative
    (Huang et al., 2015, eq. 9): what an estimate scores with the other sources counts against it;
    the order is still the objective's own.
    """
    estimates, sources, lengths = _rows(estimates, sources, lengths, objective)
    function = metric(objective, sources, lengths)
    in_order = torch.arange(sources.shape[1], device=sources.device).expand(len(sources), -1)
    if objective == "conv_sep":
        return _unlike(estimates, sources, lengths, apart), in_order
    if gamma:
        scores = pairwise(estimates, sources, function, lengths)
        permutation = ASSIGNMENTS[assignment](scores.detach())
        return discriminative(scores, permutation, gamma), permutation
    if assignment == "pit":
        return pit(estimates, sources, function, lengths)
    if assignment == "fixed":
        return function(estimates, sources, lengths).mean(-1), in_order
    with torch.no_grad():
        permutation = ASSIGNMENTS[assignment](pairwise(estimates, sources, function, lengths))
    return function(reorder(estimates, permutation), sources, lengths).mean(-1), permutation


def of_heard(estimates: Tensor, sources: Tensor, lengths: Tensor | None = None) -> Tensor:
    """SI-SNR of estimates in the sources' order, the mean over an utterance's sources that sound.

    Shapes as of `score` -> (batch,) in dB; 0 where none sounds. To choose an epoch by: a stem that
    is silent for a whole excerpt would else decide, by 30 dB, what the others are worth.
    """
    estimates, sources, lengths = _rows(estimates, sources, lengths, "si_snr")
    whole = energy(sources.sum(1), lengths)
    heard = energy(sources, lengths) >= SILENT * whole.unsqueeze(1) + TINY
    values = si_snr(estimates, sources, lengths).where(heard, 0)
    return values.sum(1) / heard.sum(1).clamp(min=1)


def _unlike(estimates: Tensor, sources: Tensor, lengths: Tensor | None, apart: Dissimilarity
            ) -> Tensor:
    """The objective conv_sep: (batch, source, ..., time) -> (batch,)."""
    frames = METRICS["conv_sep"]
    e, s = (sizes(frames.spectrograms(x, lengths)).flatten(2) for x in (estimates, sources))
    bins = frames.bins(sources, lengths).reshape(-1) * (sources[0, 0].numel() // sources.shape[-1])
    return apart.of_magnitudes(e, s) / bins


def _rows(estimates: Tensor, sources: Tensor, lengths: Tensor | None, objective: str) -> tuple:
    """Both in float32; stereo as one row of samples, where that is all the objective wants."""
    estimates, sources = estimates.float(), sources.float()
    if estimates.dim() != 4 or sources.dim() != 4 or objective not in WAVEFORM:
        return estimates, sources, lengths
    channels = sources.shape[2]
    return (interleaved(estimates), interleaved(sources),
            None if lengths is None else channels * lengths)


class Scores:
    """A batch's pairwise values, computed when somebody looks: scores[i] (estimate, source)."""

    def __init__(self, estimates: Tensor, sources: Tensor, lengths: Tensor | None, objective: str):
        self.estimates, self.sources, self.lengths = _rows(estimates.detach(), sources, lengths,
                                                           objective)
        self.objective = objective

    def __len__(self) -> int:
        return len(self.estimates)

    @torch.no_grad()
    def __getitem__(self, index: int) -> Tensor:
        one = slice(index, index + 1 or None)
        lengths = None if self.lengths is None else self.lengths[one]
        function = metric(self.objective, self.sources[one], lengths)
        return pairwise(self.estimates[one], self.sources[one], function, lengths)[0].cpu()
