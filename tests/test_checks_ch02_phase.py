"""The judges of chapter 2's phase: right answers pass, each wrong one gets its own diagnosis."""

import pytest
import torch

from sep_helpers import losses, masks
from sep_helpers.checks import diagnose
from sep_helpers.stft import istft, stft


def stub(*_):
    raise NotImplementedError


def ratio(S, Y):
    return S / torch.where(Y == 0, 1, Y)


def mask(S, Y, low=0.0, high=1.0, what=lambda S, Y: ratio(S, Y).real):
    return torch.where(Y == 0, 0, what(S, Y).clamp(low, high))


def by_angles(S, Y, sign=-1.0, sizes=True):
    size = S.abs() / Y.abs().clamp(min=1e-12) if sizes else torch.ones_like(S.real)
    return mask(S, Y, what=lambda S, Y: size * torch.cos(S.angle() + sign * Y.angle()))


def cost(mixture, sources, sizes=lambda S, Y: masks.wfm(S) * Y.abs(), measure=losses.si_snr):
    S, Y = stft(sources), stft(mixture)
    size = sizes(S, Y)
    own, borrowed = (istft(torch.polar(size, Z.angle().expand_as(size)), mixture.shape[-1])
                     for Z in (S, Y))
    return measure(own, sources) - measure(borrowed, sources)


def gained(mixture, sources):
    S, Y = stft(sources), stft(mixture)
    own = istft(torch.polar(masks.wfm(S) * Y.abs(), S.angle()), len(mixture))
    return losses.si_snr(own, sources) - losses.si_snr(mixture, sources)


@pytest.mark.parametrize("exercise, answer, verdict", [
    ("02.6", mask, "pass"),
    ("02.6", masks.psm, "pass"),
    ("02.6", by_angles, "pass"),
    ("02.6", stub, "not attempted"),
    ("02.6", lambda S, Y: mask(S, Y)[0], "for every source"),
    ("02.6", lambda S, Y: ratio(S, Y), "complex"),
    ("02.6", lambda S, Y: (S / Y).real.clamp(0, 1), "not finite"),
    ("02.6", lambda S, Y: ratio(S, Y).real.clamp(0, 1) + (Y == 0) * 0.5, "should be 0"),
    ("02.6", lambda S, Y: mask(S, Y, -9e9, 9e9), "not cut off"),
    ("02.6", lambda S, Y: mask(S, Y, 0, 9e9), "above 1"),
    ("02.6", lambda S, Y: mask(S, Y, -9e9, 1), "below 0"),
    ("02.6", lambda S, Y: mask(S, Y, what=lambda S, Y: ratio(S, Y).abs()), "angles are missing"),
    ("02.6", lambda S, Y: by_angles(S, Y, sizes=False), "sizes are missing"),
    ("02.6", lambda S, Y: by_angles(S, Y, sign=1.0), "added the angles"),
    ("02.6", lambda S, Y: mask(S, Y, what=lambda S, Y: ratio(S, Y).imag), "sine"),
    ("02.6", lambda S, Y: mask(S, Y, what=lambda S, Y: (Y / torch.where(S == 0, 1, S)).real),
     "upside down"),
    ("02.6", lambda S, Y: masks.wfm(S) * (Y != 0), "the first value is"),
    ("02.7", cost, "pass"),
    ("02.7", lambda y, s: cost(y, s).tolist(), "pass"),
    ("02.7", stub, "not attempted"),
    ("02.7", lambda y, s: cost(y, s).mean(), "shape (3,), not ()"),
    ("02.7", lambda y, s: cost(y, s).mean().expand(3), "do not average"),
    ("02.7", lambda y, s: cost(y, s) * torch.inf, "not finite"),
    ("02.7", lambda y, s: -cost(y, s), "upside down"),
    ("02.7", lambda y, s: cost(y, s, lambda S, Y: S.abs()), "true sizes"),
    ("02.7", lambda y, s: cost(y, s, lambda S, Y: masks.irm(S) * Y.abs()), "IRM's sizes"),
    ("02.7", lambda y, s: cost(y, s, lambda S, Y: masks.ibm(S) * Y.abs()), "IBM's sizes"),
    ("02.7", lambda y, s: cost(y, s, lambda S, Y: masks.wfm(S)), "only a share"),
    ("02.7", lambda y, s: cost(y, s, measure=losses.snr), "that is SNR"),
    ("02.7", gained, "gained over the mixture"),
    ("02.7", lambda y, s: cost(y, s) + 1, "it should be"),
])
def test_each_answer_gets_its_verdict(exercise, answer, verdict):
    found = diagnose(exercise, answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found
    assert "\n" not in found
