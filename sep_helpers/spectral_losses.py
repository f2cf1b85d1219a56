"""Objectives on spectrograms, in the one form that PIT takes: f(estimate, target, lengths).

Waveforms go in, (..., time), broadcast against each other as in `losses`; higher is better, so a
distance comes out negative. They have no dB: compare them with themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sep_helpers.losses import valid_samples
from sep_helpers.stems import STEMS  # noqa: F401
from sep_helpers.stft import stft

TINY = 1e-8

# a distance maps spectrograms E, S (..., freq, frame) and the number of bins (...) to (...)
Distance = Callable[[Tensor, Tensor, Tensor], Tensor]


def euclidean(E: Tensor, S: Tensor, bins: Tensor) -> Tensor:
    """Root-mean-square distance of two complex spectrograms: sqrt(mean |E - S|²)."""
    return (_energy(E - S) / bins + TINY).sqrt()


def correlation(E: Tensor, S: Tensor, bins: Tensor) -> Tensor:
    """1 - Pearson's rho of the real and imaginary parts, taken as one row of 2 x bins numbers.

    0 for the same spectrogram at any level, 1 for an unrelated one, 2 for the negative.
    """
    n = 2 * bins
    e, s = (torch.view_as_real(X).flatten(-3) for X in (E, S))
    e_sum, s_sum = e.sum(-1), s.sum(-1)
    covariance = (e * s).sum(-1) - e_sum * s_sum / n
    spread = ((e.square().sum(-1) - e_sum.square() / n + TINY)
              * (s.square().sum(-1) - s_sum.square() / n + TINY)).sqrt()
    return 1 - covariance / spread


def magnitude(E: Tensor, S: Tensor, bins: Tensor) -> Tensor:
    """Mean squared difference of magnitudes, whatever the phases: mean (|E| - |S|)²."""
    return (sizes(E) - sizes(S)).square().sum((-2, -1)) / bins


def phase_sensitive(E: Tensor, S: Tensor, bins: Tensor) -> Tensor:
    """mean (|E| - |S| cos(phase S - phase E))² (Erdogan et al., 2015, eq. 9).

    What a real mask can be asked for: its estimate has the mixture's phase, so the part of the
    source that stands at a right angle to it cannot be reached, and is not asked for.
    """
    size = sizes(E)
    along = (E.conj() * S).real / size
    return (size - along).square().sum((-2, -1)) / bins


DISTANCES: dict[str, Distance] = {"euclidean": euclidean, "correlation": correlation,
                                  "magnitude": magnitude, "phase_sensitive": phase_sensitive}


@dataclass(frozen=True)
class Spectral:
    """A distance of spectrograms as an objective of waveforms: minus that distance.

    estimate, target (..., time), lengths (batch,) or None -> (...).
    """

    distance: Distance
    n_fft: int = 256
    hop: int = 64
    window: str = "hann"

    def __call__(self, estimate: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        E, S = self.spectrograms(estimate, lengths), self.spectrograms(target, lengths)
        return -self.distance(E, S, self.bins(estimate, lengths))

    def spectrograms(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(..., time) -> (..., freq, frame), padding taken for silence."""
        valid = valid_samples(lengths, x)
        return stft(x if valid is None else x * valid, self.n_fft, self.hop, self.window)

    def bins(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """How many bins count, (batch, 1 ...): those of frames that reach into the sound."""
        time = torch.tensor(x.shape[-1]) if lengths is None else lengths
        frames = (time + self.hop - 1) // self.hop + 1
        bins = (self.n_fft // 2 + 1) * frames.to(x)
        return bins if lengths is None else bins.reshape(-1, *[1] * (x.dim() - 2))


@dataclass(frozen=True)
class Dissimilarity:
    """DeepConvSep's objective: like the own source, unlike the others, by squared magnitudes.

    Chandna et al., 2017, section 3.3, with the published weights. Of the sources, in the order of
    STEMS, the last is the accompaniment `other`: too varied to be learnt, it has no term of its
    own and is what the masks leave over. Voice, bass and drums are to be near their own source,
    `alpha` far from one another's, and `beta` (the voice: `beta_vocals`) far from `other`.
    """

    alpha: float = 0.001
    beta: float = 0.01
    beta_vocals: float = 0.03

    def weights(self, n: int) -> Tensor:
        """What the distance of estimate i to source j counts: (estimate, source), -1 on i = j."""
        w = torch.full((n, n), self.alpha)
        w[:, -1], w[0, -1] = self.beta, self.beta_vocals
        w.fill_diagonal_(-1)
        w[-1] = 0
        return w

    def __call__(self, scores: Tensor) -> Tensor:
        """Minus distances (batch, estimate, source) -> the value to be maximised, (batch,)."""
        return -(self.weights(scores.shape[-1]).to(scores) * scores).sum((1, 2)) / scores.shape[-1]

    def of_magnitudes(self, e: Tensor, s: Tensor) -> Tensor:
        """The same from magnitudes (batch, source, bins), summed over bins, in a fifth of the time.

        sum_ij u_ij |e_i - s_j|^2 = sum_i |e_i|^2 sum_j u_ij - 2 e_i . (u s)_i + sum_j |s_j|^2 sum_i
        u_ij needs no pair to be subtracted; the own terms, which go to zero, are.
        """
        w = self.weights(s.shape[1]).to(s)
        u = w - torch.diag(w.diagonal())
        unlike = (e * (e * u.sum(1)[:, None] - 2 * (u @ s))).sum((1, 2)) \
            + (s.square().sum(2) * u.sum(0)).sum(1)
        own = ((e - s).square().sum(2) * w.diagonal()).sum(1)
        return (unlike + own) / s.shape[1]


def _energy(X: Tensor) -> Tensor:
    return torch.view_as_real(X).square().sum((-3, -2, -1))


def sizes(X: Tensor) -> Tensor:
    """|X|, with a gradient that stays finite where X is 0."""
    return (torch.view_as_real(X).square().sum(-1) + TINY).sqrt()
