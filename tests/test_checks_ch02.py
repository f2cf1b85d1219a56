"""The judges of chapter 2: right answers pass, each wrong one gets its own diagnosis."""

import pytest
import torch

from sep_helpers import losses, masks
from sep_helpers.checks import diagnose
from sep_helpers.stft import overlap_sum


def stub(*_):
    raise NotImplementedError


# --- 02.1

def levels(X, n_fft, factor=20.0, scale=4, depth=80, log=torch.log10):
    level = factor * log(X.abs() / (n_fft / scale))
    return level.clamp(min=level.max() - depth)


def no_limit(X, n_fft):
    return 20 * torch.log10(X.abs() / (n_fft / 4))


def absolute_limit(X, n_fft):
    return no_limit(X, n_fft).clamp(min=-80)


def loudest_is_zero(X, n_fft):
    level = levels(X, n_fft)
    return level - level.max()


# --- 02.2

def flat(window, hop):
    total = torch.stack([(window[t::hop] ** 2).sum() for t in range(hop)])
    return total.min() / total.max()


def added(window, hop, n=40):
    total = torch.zeros(n * hop + len(window))
    for begin in range(0, n * hop, hop):
        total[begin:begin + len(window)] += window ** 2
    return total


def middle(window, hop):
    total = added(window, hop)[10 * hop:20 * hop]
    return (total.min() / total.max()).item()


def whole_with_ends(window, hop):
    total = added(window, hop)
    return total.min() / total.max()


def remainder_dropped(window, hop):
    total = (window[:len(window) // hop * hop] ** 2).reshape(-1, hop).sum(0)
    return total.min() / total.max()


def one_sum(window, hop):
    return torch.stack([(window[t::hop] ** 2).sum() for t in range(hop)])


# --- 02.3

def shares(S, p):
    size = S.abs()
    power = (size / size.amax(0).clamp(min=1e-20)) ** p
    return power / power.sum(0).clamp(min=1e-20)


def simple(S, p):
    power = S.abs() ** p
    return power / power.sum(0)


def guarded(S, p):
    power = S.abs().double() ** p
    return (power / power.sum(0).clamp(min=1e-300)).float()


# --- 02.4

def measure(e, s, mean=True, project=True, dim=-1, factor=10.0):
    if mean:
        e, s = e - e.mean(-1, keepdim=True), s - s.mean(-1, keepdim=True)
    alpha = (e * s).sum(dim, keepdim=True) / s.square().sum(dim, keepdim=True) if project else 1
    noise = e - alpha * s
    return factor * torch.log10((alpha * s).square().sum(-1) / noise.square().sum(-1))


def one_mean(e, s):
    return measure(e - e.mean(), s - s.mean(), mean=False)


def of_estimate(e, s):
    alpha = (e * s).sum(-1, keepdim=True) / s.square().sum(-1, keepdim=True)
    return 10 * torch.log10((alpha * s).square().sum(-1) / e.square().sum(-1))


# --- 02.5

def borrow(sizes, Y):
    return sizes * torch.exp(1j * Y.angle())


@pytest.mark.parametrize("exercise, answer, verdict", [
    ("02.1", levels, "pass"),
    ("02.1", lambda X, n: levels(X.abs() + 0j, n), "pass"),
    ("02.1", stub, "not attempted"),
    ("02.1", lambda X, n: levels(X, n)[0], "a level for every bin"),
    ("02.1", lambda X, n: 20 * torch.log10(X / (n / 4)), "real number"),
    ("02.1", lambda X, n: 20 * torch.log10(X.real / (n / 4)), "real number"),
    ("02.1", no_limit, "−∞"),
    ("02.1", lambda X, n: no_limit(X + 1e-9, n), "not 80"),
    ("02.1", absolute_limit, "limit is at −80"),
    ("02.1", lambda X, n: levels(X, n, factor=10), "half of what it should be"),
    ("02.1", lambda X, n: levels(X, n, factor=40), "twice as much"),
    ("02.1", lambda X, n: levels(X, n, log=torch.log), "natural logarithm"),
    ("02.1", lambda X, n: levels(X, 4), "size 1"),
    ("02.1", lambda X, n: levels(X, n, scale=2), "n_fft / 2"),
    ("02.1", lambda X, n: levels(X, 256), "whatever the window"),
    ("02.1", loudest_is_zero, "your loudest bin is 0 dB"),
    ("02.1", lambda X, n: levels(X, n, scale=1), "should reach −20 dB"),
    ("02.1", lambda X, n: levels(X, n, depth=70), "70 dB below the loudest, not 80"),
    ("02.2", flat, "pass"),
    ("02.2", middle, "pass"),
    ("02.2", stub, "not attempted"),
    ("02.2", one_sum, "one number"),
    ("02.2", lambda w, h: flat(w.abs().sqrt(), h), "squared it must be"),
    ("02.2", lambda w, h: 1 / flat(w, h), "more than 1"),
    ("02.2", lambda w, h: one_sum(w, h).max() - one_sum(w, h).min(), "do not subtract"),
    ("02.2", whole_with_ends, "counted the ends"),
    ("02.2", remainder_dropped, "leaves the last piece"),
    ("02.2", lambda w, h: flat(w ** 2, h), "it should be"),
    ("02.3", shares, "pass"),
    ("02.3", guarded, "pass"),
    ("02.3", stub, "not attempted"),
    ("02.3", lambda S, p: shares(S, p)[0], "for every source"),
    ("02.3", lambda S, p: S**p / (S**p).sum(0), "complex"),
    ("02.3", simple, "nobody sounds"),
    ("02.3", lambda S, p: simple(S, p).nan_to_num(), "p = 50"),
    ("02.3", lambda S, p: shares(S, 1) ** p, "raised the mask"),
    ("02.3", lambda S, p: shares(S, 2 * p), "twice as large"),
    ("02.3", lambda S, p: shares(S, 1), "p makes no difference"),
    ("02.3", lambda S, p: S.abs() ** p / (S.abs() ** p).sum(1, keepdim=True).clamp(min=1e-30),
     "do not add up to 1"),
    ("02.3", lambda S, p: masks.ibm(S), "shares are wrong"),
    ("02.4", measure, "pass"),
    ("02.4", losses.si_snr, "pass"),
    ("02.4", lambda e, s: measure(s, e), "pass"),          # an angle is the same from both sides
    ("02.4", stub, "not attempted"),
    ("02.4", lambda e, s: measure(e, s).mean(), "returns ()"),
    ("02.4", lambda e, s: measure(e, s)[..., None], "returns (2, 3, 1)"),
    ("02.4", lambda e, s: measure(e, s, dim=(0, -1)) if e.dim() > 1 else measure(e, s),
     "depends on the others"),
    ("02.4", lambda e, s: measure(e, s, factor=20), "twice as many"),
    ("02.4", lambda e, s: measure(e, s, factor=5), "half as many"),
    ("02.4", lambda e, s: -measure(e, s), "upside down"),
    ("02.4", of_estimate, "whole estimate"),
    ("02.4", lambda e, s: measure(e, s, project=False), "did you project onto the target?"),
    ("02.4", lambda e, s: measure(e, s, mean=False), "a constant changes"),
    ("02.4", one_mean, "one mean for the whole stack"),
    ("02.4", lambda e, s: measure(e, s) + 1, "it should be"),
    ("02.5", borrow, "pass"),
    ("02.5", lambda m, Y: torch.polar(m, Y.angle().expand_as(m)), "pass"),
    ("02.5", stub, "not attempted"),
    ("02.5", lambda m, Y: borrow(m, Y)[0], "for every source"),
    ("02.5", lambda m, Y: m * Y.angle(), "no phase"),
    ("02.5", lambda m, Y: m * Y / Y.abs(), "NaN"),
    ("02.5", lambda m, Y: m * Y, "multiplied by Y itself"),
    ("02.5", lambda m, Y: borrow(m, Y.conj()), "wrong sign"),
    ("02.5", lambda m, Y: m * Y / Y.abs().clamp(min=1e-8), "the size was lost"),
    ("02.5", lambda m, Y: borrow(2 * m, Y), "no longer those"),
    ("02.5", lambda m, Y: borrow(m, 1j * Y), "not those of Y"),
])
def test_each_answer_gets_its_verdict(exercise, answer, verdict):
    found = diagnose(exercise, answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found
    assert "\n" not in found


def test_the_right_flatness_is_the_packages():
    for name, window, hop in (("hann", torch.hann_window(256), 100),
                              ("boxcar", torch.ones(100), 30),
                              ("hamming", torch.hamming_window(512), 256)):
        total = overlap_sum(name, len(window), hop)
        right = (total.min() / total.max()).item()
        assert flat(window, hop).item() == pytest.approx(right, abs=1e-5)
