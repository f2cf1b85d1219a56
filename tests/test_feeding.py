"""Batches from any position, shared among processes, for any number of workers."""

from types import SimpleNamespace

import pytest
import torch
from toy_training import setting, tones

from sep_helpers import hardware
from sep_helpers.feeding import batches, measure, validate
from sep_helpers.settings import Settings
from sep_helpers.views import ViewError


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


class Holes(torch.utils.data.Dataset):
    """A view of which some mixtures cannot be read, as one with `skip` gives them."""

    def __init__(self, view, holes):
        self.view, self.holes = view, holes

    def __len__(self):
        return len(self.view)

    def __getitem__(self, i):
        return {"id": str(i), "fault": "cannot be read"} if i in self.holes else self.view[i]


def test_mixtures_left_out_do_not_shift_the_others(data, monkeypatch):
    model, _, val = data
    whole, permutations = measure(model, val)
    holed = Holes(val, holes=(0,))
    value, permutation = measure(model, holed, batch=3)
    assert torch.allclose(value, whole[1:], atol=1e-4) and permutation.equal(permutations[1:])
    given = []
    monkeypatch.setattr(hardware, "gathered", lambda _, found: given.extend(found) or found)
    for rank in (0, 1):                        # this process's own mixtures, under their numbers
        measure(model, holed, batch=3, accelerator=one_of(2, rank))
    assert [number for number, *_ in given] == [2, 1, 3]
    assert torch.allclose(torch.stack([v for _, v, _ in given]), whole[[2, 1, 3]], atol=1e-4)


class Spoilt(torch.utils.data.Dataset):
    """A view in which one mixture has samples that are no numbers."""

    def __init__(self, view, which, what="mixture", value=torch.nan):
        self.view, self.which, self.what, self.value = view, which, what, value

    def __len__(self):
        return len(self.view)

    def __getitem__(self, i):
        item = dict(self.view[i])
        if i == self.which:
            item[self.what] = item[self.what].clone()
            item[self.what][..., 5] = self.value
        return item


@pytest.mark.parametrize("what", ["mixture", "sources"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_samples_that_are_no_numbers_are_named_before_a_network_sees_them(data, what, value):
    spoilt = Spoilt(data[1].epoch(0), 3, what, value)
    loader = iter(batches(spoilt, Settings(batch=2)))
    assert next(loader)["id"] == ["train_00000", "train_00001"]
    with pytest.raises(ViewError, match="^mixtures train_00003: NaN or infinite samples"):
        next(loader)
    with pytest.raises(ViewError, match="mixtures val_00003: NaN"):
        measure(data[0], Spoilt(data[2], 3, what, value))


def test_an_empty_view_is_refused(data):
    with pytest.raises(ViewError, match="holds no mixtures"):
        measure(data[0], torch.utils.data.Subset(data[2], []))
