"""Every generator comes back to where it was."""

import random

import numpy as np
import torch

from sep_helpers import checkpoints, randomness


def drawn():
    return (random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(),
            torch.rand(3).tolist())


def test_all_generators_go_on_where_they_were_also_from_a_checkpoint(tmp_path):
    randomness.seed(3)
    drawn()                                   # leaves a spare gaussian in python and numpy
    checkpoints.save(tmp_path / "x.pt", {"rng": randomness.state()})
    expected = [drawn() for _ in range(3)]
    randomness.seed(99)
    randomness.restore(checkpoints.load(tmp_path / "x.pt")["rng"])
    assert [drawn() for _ in range(3)] == expected


def test_a_seed_decides_all():
    randomness.seed(5)
    first = drawn()
    randomness.seed(5)
    assert drawn() == first
