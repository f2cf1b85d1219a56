"""When to save and when to leave: by the monotonic clock alone."""

import os
import signal

import pytest

from sep_helpers import sitting
from sep_helpers.settings import Settings
from sep_helpers.sitting import Sitting


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(sitting.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sitting.time, "time", lambda: 1 / 0)       # nobody asks the wall clock
    return now


def test_a_save_is_due_after_so_many_steps(clock):
    s = Sitting(Settings(save_every=10))
    clock[0] += 60
    assert not s.save_due(9) and s.save_due(10)
    s.saved(10, 0.0)
    clock[0] += 60
    assert not s.save_due(19) and s.save_due(20)


def test_slow_saves_become_rarer_until_they_cost_their_share(clock):
    s = Sitting(Settings(save_every=1, save_share=0.02))
    s.saved(1, seconds=1.0)
    clock[0] += 49
    assert not s.save_due(2)
    clock[0] += 2
    assert s.save_due(2)
    always = Sitting(Settings(save_every=1, save_share=1.0))
    always.saved(1, seconds=100.0)
    assert always.save_due(2)


def test_it_leaves_time_for_one_more_step_and_the_save(clock):
    s = Sitting(Settings(max_minutes=1.0))
    s.saved(0, seconds=5.0)
    for expected in (None, None, "1 minutes are over"):
        clock[0] += 18                        # at 18 and 36 s there is time for 18 + 5 s more
        assert s.why_stop() == expected


def test_no_time_at_all_and_all_the_time(clock):
    assert Sitting(Settings(max_minutes=0.0)).why_stop() == "0 minutes are over"
    s = Sitting(Settings())
    clock[0] += 1e9
    assert s.why_stop() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_clusters_warning_ends_the_sitting(number):
    s, before = Sitting(Settings()), signal.getsignal(number)
    with s.listening():
        os.kill(os.getpid(), number)
        assert s.why_stop() == f"{number.name} came"
    assert signal.getsignal(number) is before
