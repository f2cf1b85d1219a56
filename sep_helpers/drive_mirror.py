"""A run's second home: the newest checkpoints, copied to a folder that cannot be trusted.

Google Drive on Colab is a network behind a folder: it may be full, read-only, slow, or gone in the
middle ("Transport endpoint is not connected"); a machine that dies leaves files cut short, and
nothing promises that a rename is atomic. So nothing on it is ever changed. A copy gets a NEW name
that carries its number and its checksum, is read back, and only then older copies are dropped: the
last two and the best stay. Copying goes on in the background; training never waits for it.
"""

import errno
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sep_helpers.logs import LOG

PATTERN = re.compile(r"(last|best)-(\d{9})-([0-9a-f]{16})\.pt")
KEEP = {"last": 2, "best": 1}
MARKER = ".mirror"           # in a run folder: its second home, and the folder that must be there
DEPTH = 3                    # folders above a run that may hold the marker for it
SLOW = 120.0                 # seconds after which a copy is called slow
ANSWER = 60.0                # seconds that looking for a run may take
REASONS = {
    errno.ENOTCONN: "it was disconnected: mount it again with drive.mount(..., force_remount=True)",
    errno.ENOENT: "it is not mounted: call workspace.start(drive=True)",
    errno.ENOSPC: "it is full: delete old files there and empty its bin",
    errno.EDQUOT: "its quota is used up: delete old files there and empty its bin",
    errno.EROFS: "it is read-only: mount it for writing",
    errno.EACCES: "it may not be written: check its permissions",
    errno.EIO: "it gives input/output errors: wait, or mount it again",
    errno.ETIMEDOUT: "it does not answer: wait, or mount it again",
}


def mark(folder: Path, remote: Path, root: Path) -> None:
    """Give a run folder its second home; `root` must exist whenever something is copied there."""
    (folder / MARKER).write_text(f"{remote}\n{root}\n", encoding="utf-8")


def of(folder: Path, say: Callable[[str], None] = LOG.info) -> "Mirror | None":
    """The mirror of a run folder, if it has one, or if a folder around it has (a sweep's)."""
    folder = Path(folder).resolve()
    for around in (folder, *folder.parents[:DEPTH]):
        try:
            remote, root = (around / MARKER).read_text(encoding="utf-8").splitlines()[:2]
        except (OSError, ValueError):
            continue
        return Mirror(folder, Path(remote) / folder.relative_to(around), Path(root), say)
    return None


class Mirror:
    """Copies between a run folder and its second home."""

    def __init__(self, folder: Path, remote: Path, root: Path,
                 say: Callable[[str], None] = LOG.info):
        self.folder, self.remote, self.root, self.say = folder, remote, root, say
        self.known: set[str] | None = None     # names there at the start, or ours; None: not seen
        self.good: set[str] = set()        # names that have been verified
        self.safe: int | None = None       # number of the newest copy that is known to be good
        self.thread: threading.Thread | None = None
        self.began = 0.0
        self.messages: list[str] = []      # from the background, said by the training's own thread
        self.trouble: str | None = None
        self.taken = False                 # does somebody else write here, too?

    def newest(self, kind: str = "last") -> tuple[int, bytes] | None:
        """Number and content of the newest copy that verifies. Raises OSError."""
        for number, name in reversed(self._copies(kind)):
            content = self._sound(name)
            if content is not None:
                return number, content
            self.messages.append(f"{name} on {self.root} is cut short or damaged, passed over")
        return None

    def look(self) -> dict[str, tuple[int, bytes]]:
        """{"last": (number, content), "best": ...}: what can be fetched; waits for a while only."""
        found: dict = {}

        def search():
            try:
                self.known = set(self._names())
                found.update({kind: self.newest(kind) for kind in KEEP})
            except OSError as error:
                self._in_trouble(error)
        thread = threading.Thread(target=search, daemon=True)
        thread.start()
        thread.join(ANSWER)
        if thread.is_alive():
            self.messages.append(f"{self.root} does not answer: going on with this machine alone")
            found = {}
        self.report()
        result = {kind: copy for kind, copy in found.items() if copy}
        self.safe = result["last"][0] if "last" in result else None
        return result

    def push(self, number: int) -> bool:
        """Begin to copy the folder's checkpoints, in the background; False if one still goes on."""
        self.report()
        if self.taken or (self.thread is not None and self.thread.is_alive()):
            return False
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self._copy, args=(number,), daemon=True)
        self.thread.start()
        return True

    def finish(self, seconds: float = ANSWER) -> None:
        """Wait for the copy in progress, not for ever, and say how it stands."""
        if self.thread is not None:
            self.thread.join(seconds)
            if self.thread.is_alive():
                self.messages.append(f"copying to {self.root} still goes on after "
                                     f"{time.monotonic() - self.began:.0f} s; {self._standing()}")
        self.report()

    def report(self) -> None:
        """Say what the background has to say, in the caller's thread."""
        if self.thread is not None and self.thread.is_alive() and self.trouble != "slow" \
                and time.monotonic() - self.began > SLOW:
            self.trouble = "slow"
            self.messages.append(f"{self.root} is slow, a copy takes more than {SLOW:.0f} s: "
                                 f"training goes on; {self._standing()}")
        while self.messages:
            self.say(self.messages.pop(0))

    def _standing(self) -> str:
        return ("nothing is safe there yet" if self.safe is None
                else f"the last safe copy there is of step {self.safe}")

    def _copy(self, number: int) -> None:
        try:
            self._refuse_company(number)
            for kind in ("best", "last"):            # the last one last: it names the number
                file = self.folder / f"{kind}.pt"
                if file.exists():
                    self._write_verified(kind, number, file.read_bytes())
            self.safe = number
            if self.trouble:
                self.messages.append(f"{self.root} is back: step {number} is copied")
            self.trouble = None
            self._drop_old()
        except OSError as error:
            self._in_trouble(error)
            with suppress(OSError):          # a full one may be full of our own older copies
                if not self.taken:
                    self._drop_old()

    def _refuse_company(self, number: int) -> None:
        """Two machines may not write one run's home; nor may an older state push out a newer."""
        names = {name for _, name in self._copies("last")}
        if self.known is None:
            newer = [n for n in names if int(PATTERN.fullmatch(n)[2]) > number]
            self.known = set(self._names()) - set(newer)
        strangers = sorted(names - self.known)
        if strangers:
            self.taken = True
            raise OSError(errno.EBUSY, f"it holds the copy of another training ({strangers[-1]}): "
                                       "end one of the two; this one stays on its own disk")

    def _write_verified(self, kind: str, number: int, content: bytes) -> None:
        digest = _digest(content)
        if kind == "best" and any(f"-{digest}." in name for name in self.good):
            return                                   # the same best as before
        name = f"{kind}-{number:09d}-{digest}.pt"
        if name in self.good:
            return
        os.stat(self.root)                           # never make a mount point by mistake
        os.makedirs(self.remote, exist_ok=True)
        self.known.add(name)
        try:
            write(self.remote / name, content)
            if self._sound(name) is None:
                raise OSError(errno.EIO, "what was copied does not read back")
        except OSError:
            with suppress(OSError):
                os.unlink(self.remote / name)
            raise

    def _drop_old(self) -> None:
        """Keep the newest good copies; drop what is older, and what is damaged."""
        for kind, keep in KEEP.items():
            kept = 0
            for _, name in reversed(self._copies(kind)):
                if kept < keep and (name in self.good or self._sound(name) is not None):
                    kept += 1
                    continue
                os.unlink(self.remote / name)

    def _names(self) -> list[str]:
        os.stat(self.root)
        try:
            return sorted(os.listdir(self.remote))
        except FileNotFoundError:
            return []

    def _copies(self, kind: str) -> list[tuple[int, str]]:
        matches = [PATTERN.fullmatch(name) for name in self._names()]
        return sorted((int(m[2]), m[0]) for m in matches if m and m[1] == kind)

    def _sound(self, name: str) -> bytes | None:
        content = (self.remote / name).read_bytes()
        if PATTERN.fullmatch(name)[3] != _digest(content):
            return None
        self.good.add(name)
        return content

    def _in_trouble(self, error: OSError) -> None:
        reason = REASONS.get(error.errno, error.strerror or str(error))
        if reason != self.trouble:                   # once, not at every attempt
            self.trouble = reason
            self.messages.append(f"{self.root}: {reason}; training goes on, your run is safe on "
                                 f"this machine; {self._standing()}")


def write(path: Path, content: bytes) -> None:
    """Write a file and wait until the system has taken it. Raises OSError."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
