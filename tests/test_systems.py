"""systems: floors that gain nothing, ceilings in the order theory wants, stereo by channel."""

import pytest
import torch

from sep_helpers import masks, metrics
from sep_helpers.systems import (
    CEILINGS,
    FLOORS,
    MASKS,
    floors_and_ceilings,
    mixture_system,
    oracle_system,
    random_mask_system,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gated(n: int = 2, length: int = 8000) -> torch.Tensor:
    """Noises that each come and go, so that masks can part them."""
    gates = torch.stack([(torch.arange(length) // (400 + 150 * i)) % 2 for i in range(n)])
    return 0.1 * noise(n, length) * (0.05 + gates)


def test_the_floors_first_then_every_ceiling():
    systems = floors_and_ceilings()
    assert tuple(systems) == FLOORS + CEILINGS
    assert set(MASKS.values()) == set(masks.MASKS) - {"random"}


def test_the_floors_gain_nothing_and_the_ceilings_rank_as_theory_says():
    sources = gated()
    mixture = sources.sum(0)
    gain = {name: metrics.si_sdr_improvement(system(mixture, sources), sources, mixture).mean()
            for name, system in floors_and_ceilings().items()}
    assert gain["mixture"] == 0 and abs(gain["random mask"]) < 1.5
    assert all(gain[name] > 5 for name in CEILINGS)
    assert gain["ideal PSM"] == max(gain[name] for name in CEILINGS[:-1])    # the best real mask
    assert gain["ideal complex"] > 80


def test_the_random_mask_comes_from_its_seed():
    sources = gated()
    first, again, other = (random_mask_system(seed)(sources.sum(0), sources) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("mask", ["irm", "cirm", "random"])
def test_stereo_is_masked_channel_by_channel(mask):
    sources = torch.stack([gated(3), gated(3).flip(-1)], 1)          # (source, channel, time)
    mixture = sources.sum(0)
    found = oracle_system(mask)(mixture, sources)
    assert found.shape == sources.shape
    if mask != "random":
        left = oracle_system(mask)(mixture[0], sources[:, 0])
        assert torch.allclose(found[:, 0], left, atol=1e-6)
    assert torch.allclose(found.sum(0), mixture, atol=1e-4)


def test_the_mixture_is_handed_out_in_stereo_too():
    sources = noise(4, 2, 100)
    found = mixture_system()(sources.sum(0), sources)
    assert found.shape == sources.shape and torch.equal(found[3], sources.sum(0))
