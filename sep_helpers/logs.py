"""One logger for all that a training says: to the screen, and to `run.log` in its folder.

    with logs.into(folder):
        LOG.info("epoch 3 of 8")     # on the screen as it stands, in run.log with date and level

It is the standard library's logger "sep_helpers": `logging.getLogger("sep_helpers")` is how
another program takes its messages over, or makes it quiet with setLevel.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = logging.getLogger("sep_helpers")
FILE = "run.log"
FORMAT = "%(asctime)s %(levelname)s %(message)s"


class _Screen(logging.Handler):
    """Prints to whatever is the screen now: a notebook's cell, a test's capture, a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        print(self.format(record), file=stream, flush=True)


class _RunLog(logging.FileHandler):
    """run.log; a disk that is full or gone ends the log, with one line, and not the training."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:                  # the file is opened by the first message
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        LOG.removeHandler(self)
        LOG.warning("%s cannot be written any more (%s): going on without it",
                    self.baseFilename, sys.exc_info()[1])


def quiet_but_for_the_first(rank: int) -> None:
    """Of several processes of one training, only the first (rank 0) says what all of them know."""
    LOG.setLevel(logging.INFO if rank == 0 else logging.WARNING)


@contextmanager
def into(folder: str | Path) -> Iterator[Path]:
    """Inside the block messages go to <folder>/run.log as well, after what it already holds.

    A block inside another one for the same folder changes nothing.
    """
    path = (Path(folder) / FILE).absolute()
    if any(getattr(handler, "baseFilename", None) == str(path) for handler in LOG.handlers):
        yield path
        return
    handler = _RunLog(path, encoding="utf-8", delay=True)    # delay: made by its first message
    handler.setFormatter(logging.Formatter(FORMAT))
    LOG.addHandler(handler)
    try:
        yield path
    finally:
        LOG.removeHandler(handler)
        handler.close()


if not LOG.handlers:                 # once, however often the module is loaded again
    LOG.addHandler(_Screen())
    LOG.setLevel(logging.INFO)
    LOG.propagate = False            # or a root logger with a handler would say all of it twice
