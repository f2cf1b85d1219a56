"""What fits into memory is counted, and said in one line when it does not."""

from types import SimpleNamespace

import psutil
import pytest
import torch
from toy_training import setting, tones

from sep_helpers import memory
from sep_helpers.settings import Settings
from sep_helpers.trainer import TrainingError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return setting(tones(tmp_path_factory.mktemp("tones")))


def free(monkeypatch, amount):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=amount))


def test_what_a_layer_keeps_is_counted():
    layer, x = torch.nn.Linear(100, 50), torch.randn(8, 100)
    assert memory.kept_bytes(torch.nn.Sequential(layer, torch.nn.Sigmoid()), x) == \
        4 * (8 * 100 + 8 * 50)                       # the input of one, the output of the other


def test_what_a_network_keeps_grows_with_the_batch(data):
    one, two, four = (memory.kept_bytes(data[0], torch.randn(n, 2000)) for n in (1, 2, 4))
    assert four - two == pytest.approx(2 * (two - one), rel=0.05)


def test_the_largest_power_of_two_that_fits(data, monkeypatch):
    model, train, _ = data
    one, two = (memory.kept_bytes(model, memory._batch(train, n)["mixture"]) for n in (1, 2))
    for fits, found in ((9, 8), (8.5, 8), (7, 4), (1.2, 1)):
        extra = 4 * sum(p.numel() * 4 for p in model.parameters()) + 2 * one - two
        free(monkeypatch, (fits * memory.ON_TOP * (two - one) + extra) / memory.SPARE)
        assert memory.find_batch(model, train, Settings()) == found
    free(monkeypatch, 2**60)
    assert memory.find_batch(model, train, Settings()) == memory.LARGEST


def test_not_even_one_is_said(data, monkeypatch):
    free(monkeypatch, 1000)
    with pytest.raises(TrainingError, match="not even one mixture fits into memory: shorten"):
        memory.find_batch(data[0], data[1], Settings())


@pytest.mark.parametrize("error, is_it", [
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
    (MemoryError(), True), (RuntimeError("size mismatch"), False)])
def test_other_errors_are_not_taken_for_it(error, is_it):
    assert memory.is_out_of_memory(error) is is_it


def test_the_advice_names_a_batch_and_what_keeps_the_update_the_same(data, monkeypatch):
    free(monkeypatch, 2**60)
    said = str(memory.advice(RuntimeError(), *data[:2], Settings(batch=12, accumulate=2), "cpu"))
    assert "a batch of 12: batch=6 would fit; with accumulate=4 an update still sees 24" in said
