"""The judges of chapter 3: right answers pass, each wrong one gets its own diagnosis."""

import re
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F

from sep_helpers.checks import diagnose


def stub(*_):
    raise NotImplementedError


# --- 03.4

def joint(y):
    return y.abs() / y.abs().sum(0).clamp(min=1e-8)


# --- 03.2

def target(S, Y):
    return (S * Y.conj()).real / Y.abs().clamp(min=1e-8)


# --- 03.3

def rho(e, s):
    e, s = e - e.mean(-1, keepdim=True), s - s.mean(-1, keepdim=True)
    return (e * s).sum(-1) / (e.norm(dim=-1) * s.norm(dim=-1)).clamp(min=1e-8)


# --- 03.5

def discriminative(D, gamma):
    own = D.diagonal().sum()
    return own - gamma * (D.sum() - own)


# --- 03.1

def pairings(D):
    n = D.shape[-1]
    return torch.stack([D[:, range(n), list(p)].mean(1) for p in permutations(range(n))], 1)


# --- 03.7

def in_blocks(network, x, size):
    padded = F.pad(x, (0, 0, 0, -len(x) % size))
    return network(padded.reshape(-1, size, x.shape[1])).reshape(padded.shape)[:len(x)]


def tail_lost(network, x, size):
    whole = x[:len(x) // size * size]
    return network(whole.reshape(-1, size, x.shape[1])).reshape(whole.shape)


def not_cut(network, x, size):
    padded = F.pad(x, (0, 0, 0, -len(x) % size))
    return network(padded.reshape(-1, size, x.shape[1])).reshape(padded.shape)


def overlapping(network, x, size):
    padded = F.pad(x, (0, 0, 0, -len(x) % size))
    network(padded.unfold(0, size, size // 2).mT)
    return in_blocks(network, x, size)


# --- 03.6

def forbidden(S, Y):
    return (torch.view_as_real(S) * torch.view_as_real(Y) < 0).float().mean()


def wrong_sign(S, Y):
    return torch.view_as_real(S) * torch.view_as_real(Y) < 0


RIGHT = {"03.4": joint, "03.2": target, "03.3": lambda e, s: 1 - rho(e, s),
         "03.5": discriminative, "03.1": lambda D: pairings(D).min(1).values, "03.7": in_blocks,
         "03.6": forbidden}
WRONG = [
    ("03.4", lambda y: y / y.sum(0), "take the sizes"),
    ("03.4", lambda y: torch.softmax(y, 0), "softmax"),
    ("03.4", lambda y: y.square() / y.square().sum(0), "the squares"),
    ("03.4", lambda y: y.abs() / y.abs().amax(0), "by the loudest"),
    ("03.4", lambda y: y.abs() / y.abs().sum(), "over the sources of each bin"),
    ("03.4", lambda y: y.abs() / y.abs().sum(0), "NaN"),
    ("03.4", lambda y: y.abs()[0], "for every source"),
    ("03.4", lambda y: y.abs() ** 0.5 / (y.abs() ** 0.5).sum(0), "in some bin"),
    ("03.2", lambda S, Y: S.abs(), "the whole size"),
    ("03.2", lambda S, Y: (S / Y).real, "that is the mask"),
    ("03.2", lambda S, Y: Y.abs() * torch.cos(S.angle() - Y.angle()), "that of S, not of Y"),
    ("03.2", lambda S, Y: S.abs() * torch.sin(S.angle() - Y.angle()), "right angle"),
    ("03.2", lambda S, Y: S.real, "measured from Y"),
    ("03.2", lambda S, Y: target(S, Y).clamp(min=0), "keep the negative ones"),
    ("03.2", lambda S, Y: target(S, Y).abs(), "keep the sign"),
    ("03.2", lambda S, Y: S * Y.conj() / Y.abs(), "a real number"),
    ("03.2", lambda S, Y: -target(S, Y), "in some bin"),
    ("03.3", rho, "that is rho"),
    ("03.3", lambda e, s: -rho(e, s), "0 at best"),
    ("03.3", lambda e, s: 1 - F.cosine_similarity(e, s), "subtract the means"),
    ("03.3", lambda e, s: 1 - rho(e, s) ** 2, "blind to the sign"),
    ("03.3", lambda e, s: (1 - rho(e.flatten(), s.flatten())).expand(len(e)), "the whole batch"),
    ("03.3", lambda e, s: (1 - rho(e, s)).mean(), "for each mixture"),
    ("03.3", lambda e, s: 1 - rho(e, s) / 2, "yours says"),
    ("03.5", lambda D, g: D.diagonal().sum(), "do not count yet"),
    ("03.5", lambda D, g: D.diagonal().sum() + g * (D.sum() - D.diagonal().sum()), "you ADD"),
    ("03.5", lambda D, g: D.diagonal().sum() - g * D.sum(), "take it out"),
    ("03.5", lambda D, g: 2 * D.diagonal().sum() - D.sum(), "gamma is missing"),
    ("03.5", lambda D, g: (1 + g) * D.diagonal().sum() - D.sum(), "wrong sum"),
    ("03.5", lambda D, g: D, "one number"),
    ("03.5", lambda D, g: discriminative(D, g) / 2, "yours is"),
    ("03.1", lambda D: pairings(D).mean(0).min(), "serves the whole batch"),
    ("03.1", lambda D: pairings(D)[:, pairings(D).mean(0).argmin()], "serves the whole batch"),
    ("03.1", lambda D: D.min(2).values.mean(1), "the same source"),
    ("03.1", lambda D: D.min(1).values.mean(1), "the same estimate"),
    ("03.1", lambda D: pairings(D).max(1).values, "the worst"),
    ("03.1", lambda D: D.diagonal(dim1=1, dim2=2).mean(1), "never changed"),
    ("03.1", lambda D: 3 * pairings(D).min(1).values, "the mean, not the sum"),
    ("03.1", lambda D: pairings(D)[:, :3].min(1).values, "a smaller mean"),
    ("03.7", tail_lost, "you dropped it"),
    ("03.7", not_cut, "cut off what you filled up"),
    ("03.7", overlapping, "they do not overlap"),
    ("03.7", lambda network, x, size: network(x[None]), "takes \\(blocks, 10, freq\\)"),
    ("03.7", lambda network, x, size: in_blocks(network, x, size).flip(0), "another order"),
    ("03.6", lambda S, Y: 1 - forbidden(S, Y), "CAN reach"),
    ("03.6", lambda S, Y: 100 * forbidden(S, Y), "between 0 and 1"),
    ("03.6", lambda S, Y: 2 * forbidden(S, Y), "two of them"),
    ("03.6", lambda S, Y: wrong_sign(S, Y)[..., 0].float().mean(), "imaginary"),
    ("03.6", lambda S, Y: wrong_sign(S, Y).all(-1).float().mean(), "one of the two"),
    ("03.6", lambda S, Y: wrong_sign(S, Y).any(-1).float().mean(), "the parts themselves"),
    ("03.6", lambda S, Y: (S.abs() > Y.abs()).float().mean(), "sizes do not matter"),
    ("03.6", lambda S, Y: 0.25, "you say 0.250"),
]


@pytest.mark.parametrize("exercise", RIGHT)
def test_a_right_answer_passes_and_a_stub_is_not_attempted(exercise):
    assert diagnose(exercise, RIGHT[exercise]) == "pass"
    assert diagnose(exercise, stub) == "not attempted"


@pytest.mark.parametrize(("exercise", "answer", "says"), WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(exercise, answer, says):
    verdict = diagnose(exercise, answer)
    assert verdict not in ("pass", "not attempted")
    assert re.search(says, verdict), verdict
