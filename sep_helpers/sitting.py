"""One sitting at a training: when to save, when to leave, and hearing that it is to end.

Time is measured on the monotonic clock: a wall clock that is set back changes nothing here.
"""

import signal
import threading
import time
from contextlib import contextmanager

from sep_helpers.settings import Settings


class Sitting:
    """Decides between two updates whether to save and whether to leave.

    A checkpoint is due `save_every` steps after the last one, or later where saving is slow: what
    the last save took may be no more than `save_share` of the time since then.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.started = time.monotonic()
        self.saved_at, self.cost = self.started, 0.0     # end of the last save, its seconds
        self.saved_number: int | None = None
        self.longest = 0.0                               # of the stretches between two questions
        self.asked_at = self.started
        self.told_to_stop: str | None = None

    def save_due(self, number: int) -> bool:
        """`number`: steps done in all."""
        since = number - (self.saved_number or 0)
        waited = time.monotonic() - self.saved_at
        share = self.settings.save_share
        return since >= self.settings.save_every and (share == 1 or self.cost <= share * waited)

    def saved(self, number: int, seconds: float) -> None:
        """A save is done: it took so long."""
        self.saved_number, self.cost, self.saved_at = number, seconds, time.monotonic()

    def why_stop(self) -> str | None:
        """Why to leave now, in words, or None; leaves time for the step and the save to come."""
        now = time.monotonic()
        if self.saved_at <= self.asked_at:                # a save in between is no step
            self.longest = max(self.longest, now - self.asked_at)
        self.asked_at = now
        if self.told_to_stop:
            return f"{self.told_to_stop} came"
        left = self.started + 60 * self.settings.max_minutes - now
        if left <= self.longest + self.cost:
            return f"{self.settings.max_minutes:g} minutes are over"
        return None

    @contextmanager
    def listening(self):
        """While inside, SIGTERM and SIGUSR1 (a cluster's warning) end the sitting in good order."""
        if threading.current_thread() is not threading.main_thread():
            yield                                        # signals are the main thread's business
            return
        before = {}
        for name in ("SIGTERM", "SIGUSR1"):
            number = getattr(signal, name, None)
            if number is not None:
                before[number] = signal.signal(number, self._heard)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _heard(self, number: int, frame) -> None:
        self.told_to_stop = signal.Signals(number).name


