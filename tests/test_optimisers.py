"""Learning rates against torch's own schedulers; averages against plain sums."""

import math

import pytest
import torch

from sep_helpers import optimisers
from sep_helpers.optimisers import Schedule
from sep_helpers.settings import CHOICES, Settings


def made(**settings):
    model = torch.nn.Linear(3, 2)
    chosen = Settings(**settings)
    return model, optimisers.optimiser(model, chosen), chosen


@pytest.mark.parametrize("name", CHOICES["optimizer"])
def test_every_optimiser_takes_a_step_and_its_state_comes_back(name):
    model, optimizer, settings = made(optimizer=name, learning_rate=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
    again = optimisers.optimiser(model, settings)
    again.load_state_dict(optimizer.state_dict())
    assert len(again.state_dict()["state"]) == len(list(model.parameters()))


def rates(updates, per_epoch, values=None, **settings):
    _, optimizer, chosen = made(warmup=0, learning_rate=1.0, **settings)
    schedule, seen = Schedule(optimizer, chosen, per_epoch), []
    for update in range(updates):
        seen.append(optimizer.param_groups[0]["lr"])
        schedule.step()
        if values is not None and (update + 1) % per_epoch == 0:
            schedule.end_epoch(values[update // per_epoch])
    return seen


def theirs(scheduler, updates, optimizer, feed=lambda update: ()):
    seen = []
    for update in range(updates):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*feed(update))
    return seen


def sgd():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


def test_cosine_is_torchs():
    optimizer = sgd()
    expected = theirs(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12), 12, optimizer)
    assert rates(12, 3, epochs=4) == pytest.approx(expected)


def test_halving_is_torchs():
    optimizer = sgd()
    expected = theirs(torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5), 12, optimizer)
    assert rates(12, 2, schedule="halving", halve_every=2) == pytest.approx(expected)


def test_plateau_is_torchs():
    values = [1.0, 2.0, 2.0, 1.5, 2.0, 1.9, 3.0, 3.0, 2.9, 2.8, 2.7, 2.6]
    optimizer = sgd()
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=1, threshold=0)
    expected = theirs(scheduler, len(values), optimizer, lambda update: (values[update],))
    got = rates(len(values), 1, values, schedule="plateau", plateau_patience=1)
    assert got == pytest.approx(expected) and min(got) < 0.3


def test_the_warmup_is_a_straight_line_before_any_of_them():
    for name in CHOICES["schedule"]:
        _, optimizer, chosen = made(schedule=name, warmup=4, learning_rate=2.0)
        schedule, seen = Schedule(optimizer, chosen, 10), []
        for _ in range(4):
            seen.append(schedule.rate)
            schedule.step()
        assert seen == pytest.approx([0.5, 1.0, 1.5, 2.0])


def test_a_schedule_goes_on_where_it_was():
    whole = rates(12, 2, [3, 2, 1, 1, 1, 1], schedule="plateau", plateau_patience=0)
    _, optimizer, chosen = made(schedule="plateau", plateau_patience=0, warmup=0, learning_rate=1.0)
    schedule, seen = Schedule(optimizer, chosen, 2), []
    for update in range(12):
        seen.append(optimizer.param_groups[0]["lr"])
        schedule.step()
        if update % 2:
            schedule.end_epoch([3, 2, 1, 1, 1, 1][update // 2])
        state = schedule.state_dict()
        schedule = Schedule(optimizer, chosen, 2)
        schedule.load_state_dict(state)
    assert seen == whole


def test_ema_and_swa_are_the_sums_they_are_named_after():
    weights = [torch.tensor([[1.0]]), torch.tensor([[3.0]]), torch.tensor([[8.0]])]
    for kind, expected in (("swa", 4.0), ("ema", 0.9 * (0.9 * 1 + 0.1 * 3) + 0.1 * 8)):
        model = torch.nn.Linear(1, 1, bias=False)
        average = optimisers.averaged(model, Settings(average=kind, ema_decay=0.9))
        for weight in weights:
            model.weight.data.copy_(weight)
            average.update_parameters(model)
        assert average.module.weight.item() == pytest.approx(expected)
    assert optimisers.averaged(model, Settings()) is None


def test_swa_takes_the_ends_of_late_epochs_and_ema_every_update():
    swa, ema = Settings(average="swa", epochs=8, swa_start=0.75), Settings(average="ema")
    assert [e for e in range(8) if optimisers.averages_now(swa, e, True)] == [6, 7]
    assert not optimisers.averages_now(swa, 7, False)
    assert optimisers.averages_now(ema, 0, False) and not optimisers.averages_now(ema, 0, True)


def test_warmup_then_cosine_meets_its_ends():
    factor = optimisers.warmup_then_cosine(10, 110)
    assert math.isclose(factor(9), 1.0) and math.isclose(factor(110), 0.0, abs_tol=1e-12)
