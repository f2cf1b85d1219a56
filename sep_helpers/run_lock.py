"""One training at a time in a run folder, by a lock that dies with its process.

The kernel's record locks belong to a process: they end with it however it ends, are not inherited
by the workers it starts, and work on NFS. Where a file system has none (some FUSE mounts), the
lock file's own words are believed: a process of this machine that is gone holds nothing.
"""

import errno
import json
import os
import socket
import time
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:                                       # Windows: no lock, nothing to break
    fcntl = None

NAME = ".lock"
NO_LOCKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}
_mine: set[str] = set()      # folders locked by this process: to itself the kernel never says no


class LockError(ValueError):
    """A run folder that another training is writing, in one line with the remedy."""


@contextmanager
def held(folder: str | Path):
    """Hold the lock of a run folder. Raises LockError when somebody else does."""
    path = Path(folder).resolve() / NAME
    if str(path) in _mine:
        raise LockError(f"{folder}: this process is training there already: wait for it, or "
                        "choose another folder")
    file = _acquire(path)
    _mine.add(str(path))
    try:
        yield
    finally:
        _mine.discard(str(path))
        with suppress(OSError):
            path.unlink()                                # while it is still ours
        with suppress(OSError):
            os.close(file)


def _acquire(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _lock(file):
                _refuse_living(path, file)
            if not _same(file, path):                    # its last holder has just removed it
                os.close(file)
                continue
            os.ftruncate(file, 0)
            words = {"pid": os.getpid(), "host": socket.gethostname(),
                     "since": time.strftime("%Y-%m-%d %H:%M")}
            os.pwrite(file, json.dumps(words).encode(), 0)
            return file
        except BaseException:
            with suppress(OSError):
                os.close(file)
            raise


def _lock(file: int) -> bool:
    """True: the kernel has given us the lock. False: there are no locks here. Else LockError."""
    if fcntl is None:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise LockError(_taken(_words(file))) from None
        raise
    return True


def _refuse_living(path: Path, file: int) -> None:
    """Without the kernel's help: believe the file, unless its process is known to be gone."""
    words = _words(file)
    if not words:
        return
    if words.get("host") != socket.gethostname():
        raise LockError(f"{_taken(words)}; if that job is dead, delete {path}")
    try:
        os.kill(int(words.get("pid", 0)), 0)
    except (ProcessLookupError, ValueError, TypeError):
        return
    except PermissionError:
        pass
    raise LockError(_taken(words))


def _words(file: int) -> dict:
    try:
        words = json.loads(os.pread(file, 4096, 0))
    except (OSError, ValueError):
        return {}
    return words if isinstance(words, dict) else {}


def _taken(words: dict) -> str:
    who = f"process {words.get('pid', '?')} on {words.get('host', '?')}"
    return (f"another training is writing this run folder ({who}, since {words.get('since', '?')}"
            "): wait for it, or choose another folder")


def _same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False
