"""Chapter 4's judges of look-ahead and of consistent sums: each wrong answer has its diagnosis."""

import pytest
import torch

from sep_helpers import models
from sep_helpers.checks import diagnose
from sep_helpers.checks.ch04_outside import Ahead, Centred, Shifted

SMALL = {"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 8, "Sc": 4, "P": 3, "X": 2, "R": 1}


def stub(*_):
    raise NotImplementedError


# --- 04.6

def influence(network, time):
    x = torch.randn(1, time, generator=torch.Generator().manual_seed(0))
    return torch.autograd.functional.jacobian(network, x)[0, :, :, 0]     # (source, out, in)


def distances(J):
    *_, out, into = J.nonzero(as_tuple=True)
    return into - out


def looks_ahead(network, time):
    return max(0, distances(influence(network, time)).max().item())


def by_changing_the_future(network, time):
    """Without a gradient: the latest output sample that moves when the input from t on does."""
    x, found = torch.randn(1, time), 0
    with torch.no_grad():
        before = network(x)
        for t in range(time):
            after = network(torch.cat([x[:, :t], torch.randn(1, time - t)], 1))
            moved = (after != before).any(1).nonzero()[:, -1]
            found = max(found, t - moved.min().item()) if len(moved) else found
    return found


def middle_only(network, time):
    J = influence(network, time)[:, time // 2].any(0)
    return max(0, J.nonzero().max().item() - time // 2)


@pytest.mark.parametrize("answer, verdict", [
    (looks_ahead, "pass"),
    (by_changing_the_future, "pass"),
    (stub, "not attempted"),
    (lambda n, t: looks_ahead(n, t) - 1, "count the steps"),
    (lambda n, t: looks_ahead(n, t) + 1, "steps, not samples"),
    (lambda n, t: max(0, (-distances(influence(n, t))).max().item()), "MINUS"),
    (lambda n, t: t - 1 - looks_ahead(n, t), "6, not 17"),
    (lambda n, t: max(0, distances(influence(n, t)[:1]).max().item()), "only the first source"),
    (lambda n, t: max(0, distances(influence(n, t)[-1:]).max().item()), "only the last source"),
    (lambda n, t: distances(influence(n, t)).abs().max().item(), "a distance has a sign"),
    (lambda n, t: distances(influence(n, t)).max().item(), "nothing ahead is 0"),
    (lambda n, t: max(0, distances(influence(n, t).abs() > 1e-3).max().item()), "faint"),
    (middle_only, "not one in the middle"),
    (lambda n, t: 3, "6, not 3"),
])
def test_look_ahead(answer, verdict):
    found = diagnose("04.6", answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found
    assert "\n" not in found


def test_the_judges_networks_are_what_it_says_of_them():
    for network, ahead in ((Shifted(6, 0), 6), (Shifted(-4, -3), 0), (Ahead(), 9), (Centred(), 23)):
        assert by_changing_the_future(network, 24) == ahead


def test_of_real_networks_only_the_causal_one_keeps_to_its_frame():
    for norm, causal, ahead in (("cLN", True, 7), ("gLN", False, 39), ("cLN", False, 19)):
        torch.manual_seed(0)
        network = models.build(models.complete(SMALL | {"norm": norm, "causal": causal}))
        assert looks_ahead(network, 40) == ahead


# --- 04.8

def consistent(estimates, mixture):
    return estimates + (mixture - estimates.sum(0)) / len(estimates)


def by_energy(estimates, mixture):
    power = estimates.square().sum(-1, keepdim=True)
    return estimates + power / power.sum() * (mixture - estimates.sum(0))


@pytest.mark.parametrize("answer, verdict", [
    (consistent, "pass"),
    (stub, "not attempted"),
    (lambda e, x: e + (x - e.sum(0)), "WHOLE rest"),
    (lambda e, x: e - (x - e.sum(0)) / len(e), "wrong sign"),
    (lambda e, x: torch.cat([e[:1] + x - e.sum(0), e[1:]]), "first source got everything"),
    (lambda e, x: e + (x - e.sum(0)) / 2, "any number of sources"),
    (lambda e, x: e * (x / e.sum(0)), "explodes"),
    (lambda e, x: ((x - e.sum(0)) / len(e)).expand_as(e), "not yet added"),
    (lambda e, x: e, "nothing has changed"),
    (by_energy, "equal shares"),
    (lambda e, x: 2 * consistent(e, x), "something else"),
    (lambda e, x: consistent(e, x)[0], "it returns (50,)"),
])
def test_consistent_sums(answer, verdict):
    found = diagnose("04.8", answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found
    assert "\n" not in found
