"""Objectives on spectrograms: their definitions by hand, their invariances, PIT over each."""

from itertools import permutations

import numpy as np
import pytest
import torch

from sep_helpers.permutation import pairwise, pit, reorder
from sep_helpers.spectral_losses import DISTANCES, Spectral
from sep_helpers.stft import stft

TIME = 2000


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(name, e, s):
    """The textbook definitions, in numpy and 64 bits."""
    E, S = (stft(x.double()).numpy() for x in (e, s))
    if name == "euclidean":
        return np.sqrt(np.mean(np.abs(E - S) ** 2))
    if name == "correlation":
        rows = [np.concatenate([X.real.ravel(), X.imag.ravel()]) for X in (E, S)]
        return 1 - np.corrcoef(*rows)[0, 1]
    if name == "magnitude":
        return np.mean((np.abs(E) - np.abs(S)) ** 2)
    return np.mean((np.abs(E) - np.abs(S) * np.cos(np.angle(S) - np.angle(E))) ** 2)


@pytest.mark.parametrize("name", DISTANCES)
def test_is_its_definition(name):
    e, s = noise(2, TIME)
    assert -Spectral(DISTANCES[name])(e, s).item() == pytest.approx(by_hand(name, e, s), rel=1e-3)


@pytest.mark.parametrize("name", DISTANCES)
def test_padding_does_not_count(name):
    """Whatever stands in the padding, and however long it is."""
    e, s = noise(2, 1, TIME)
    lengths = torch.tensor([TIME])
    expected = Spectral(DISTANCES[name])(e, s)
    padded = [torch.cat([x, noise(1, 700, seed=k)], -1) for k, x in enumerate((e, s))]
    assert torch.allclose(Spectral(DISTANCES[name])(*padded, lengths), expected, rtol=1e-3)


@pytest.mark.parametrize("name", DISTANCES)
def test_the_source_itself_is_the_best(name):
    s = noise(1, TIME)
    metric = Spectral(DISTANCES[name])
    assert metric(s, s).item() == pytest.approx(0, abs=2e-4)
    assert metric(s, s) > metric(s + 0.3 * noise(1, TIME, seed=3), s)


def test_correlation_knows_the_sign_and_not_the_level():
    s = noise(1, TIME)
    metric = Spectral(DISTANCES["correlation"])
    assert metric(5 * s, s).item() == pytest.approx(0, abs=1e-3)
    assert metric(-s, s).item() == pytest.approx(-2, abs=1e-3)


def test_magnitude_knows_neither_the_sign_nor_the_phase():
    s = noise(1, TIME)
    assert Spectral(DISTANCES["magnitude"])(-s, s).item() == pytest.approx(0, abs=1e-6)
    assert Spectral(DISTANCES["phase_sensitive"])(-s, s).item() < -1


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("name", DISTANCES)
def test_pit_over_it_equals_brute_force(name, n):
    metric = Spectral(DISTANCES[name])
    sources = noise(2, n, TIME)
    order = torch.stack([torch.randperm(n, generator=torch.Generator().manual_seed(b))
                         for b in range(2)])
    estimates = reorder(sources + 0.4 * noise(2, n, TIME, seed=7), order).requires_grad_()
    value, permutation = pit(estimates, sources, metric)
    assert torch.equal(permutation, order.argsort(-1))
    scores = pairwise(estimates, sources, metric)
    for b in range(2):
        best = max(sum(scores[b, p[j], j].item() for j in range(n)) / n
                   for p in permutations(range(n)))
        assert value[b].item() == pytest.approx(best, rel=1e-3, abs=1e-5)
    value.sum().backward()
    assert estimates.grad.isfinite().all() and estimates.grad.abs().sum() > 0


@pytest.mark.parametrize("name", DISTANCES)
def test_silence_has_a_finite_gradient(name):
    estimates = torch.zeros(1, 2, TIME, requires_grad=True)
    pit(estimates, torch.zeros(1, 2, TIME), Spectral(DISTANCES[name]))[0].sum().backward()
    assert estimates.grad.isfinite().all()
