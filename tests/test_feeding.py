"""Batches from any position, shared among processes, for any number of workers."""

from types import SimpleNamespace

import pytest
import torch
from toy_training import setting, tones

from sep_helpers.feeding import batches, measure, validate
from sep_helpers.settings import Settings


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return setting(tones(tmp_path_factory.mktemp("tones")), n_mixtures=9)


def one_of(processes, rank):
    return SimpleNamespace(num_processes=processes, process_index=rank,
                           device=torch.device("cpu"))


def names(loader):
    return [batch["id"] for batch in loader]


def test_whole_batches_in_order_from_any_position(data):
    epoch = data[1].epoch(0)
    whole = names(batches(epoch, Settings(batch=2)))
    assert [i for batch in whole for i in batch] == [f"train_{i:05d}" for i in range(8)]
    for first in range(5):
        assert names(batches(epoch, Settings(batch=2), first)) == whole[first:]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_global_generator_is_not_touched(data, workers):
    before = torch.get_rng_state()
    list(batches(data[1].epoch(0), Settings(batch=4, workers=workers)))
    validate(data[0], data[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_bring_the_same_samples(data):
    epoch = data[1].epoch(1)
    for a, b in zip(batches(epoch, Settings(batch=4)), batches(epoch, Settings(batch=4, workers=2)),
                    strict=True):
        assert torch.equal(a["sources"], b["sources"])


def test_processes_share_each_batch_without_rest(data):
    epoch, settings = data[1].epoch(0), Settings(batch=4)
    whole = names(batches(epoch, settings))
    parts = [names(batches(epoch, settings, 0, one_of(2, rank))) for rank in (0, 1)]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_a_view_is_measured_in_its_order_in_eval_mode(data):
    model, _, val = data
    model.train()
    values, permutations = measure(model, val, batch=3)
    assert model.training and values.shape == (4,) and permutations.shape == (4, 2)
    alone = torch.stack([measure(model, torch.utils.data.Subset(val, [i]))[0][0] for i in range(4)])
    assert torch.allclose(values, alone, atol=1e-4)
    assert validate(model, val, 3) == pytest.approx(values.mean().item())
