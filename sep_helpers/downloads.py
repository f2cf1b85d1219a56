"""Download a large file: with progress, resumed where it broke off, checked, from mirrors in turn.

What has arrived lies in `NAME.part`, with what the server said of it in `NAME.part.json`; only a
whole file, its checksum verified where one is known, gets its name.
"""
import hashlib
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

CHUNK = 2**18
SPARE = 64 * 2**20       # bytes that must stay free on the disk
BROKEN = (OSError, http.client.HTTPException)      # URLError, timeouts and resets are OSErrors


class DownloadError(ValueError):
    """A download that did not succeed: what was tried, what went wrong, what to do."""


class _Refused(Exception):
    """A server's answer that asking again would not change."""


@dataclass(frozen=True)
class Received:
    """A downloaded file, and how far it can be trusted."""

    path: Path
    url: str
    size: int
    sha256: str
    verified: bool       # does it agree with a published checksum?


@dataclass
class Request:
    """What is asked for, and how patiently."""

    urls: list[str]
    path: Path
    size: int | None = None          # bytes, where published
    checksum: str = ""               # "md5:..." or "sha256:...", where published
    timeout: float = 30.0            # seconds without a byte
    tries: int = 4                   # failures in a row without progress, for each address
    pause: float = 1.0               # seconds after a failure, doubled each time
    faults: list[str] = field(default_factory=list)

    @property
    def part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def notes(self) -> Path:
        return self.path.with_name(self.path.name + ".part.json")


def download(urls: list[str], path: str | Path, **options) -> Received:
    """Fetch the file that lies at each of `urls` to `path`; options are the fields of `Request`.

    A file that is there already is taken if its checksum is right. Raises DownloadError.
    """
    wanted = Request(list(urls), Path(path), **options)
    if wanted.checksum and not wanted.checksum.startswith(("md5:", "sha256:")):
        raise DownloadError(f"{wanted.checksum!r} is no checksum: write md5:... or sha256:...")
    for url in (u for u in wanted.urls if not u.startswith(("https://", "http://"))):
        raise DownloadError(f"{url}: not a web address: it must begin with https://")
    if wanted.path.exists():
        return _there_already(wanted)
    try:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        for url in wanted.urls:
            resumed = _size(wanted.part) > 0
            received = _fetch(wanted, url)
            if not received and resumed and not wanted.part.exists():
                received = _fetch(wanted, url)      # the part was of another version: from scratch
            if received:
                return received
    except OSError as error:
        raise DownloadError(f"{wanted.part} could not be written ({error.strerror or error}): free "
                            "some space, or give another folder") from None
    kept = f"; {_size(wanted.part):,} bytes are kept" if _size(wanted.part) else ""
    raise DownloadError(f"{wanted.path.name} could not be fetched ({'; '.join(wanted.faults)})"
                        f"{kept}: try again later, or fetch it by hand")


def _there_already(wanted: Request) -> Received:
    verified, sha256 = _verify(wanted, wanted.path)
    if verified is False:
        raise DownloadError(f"{wanted.path} is there but is not the file wanted (its checksum is "
                            f"not {wanted.checksum}): move it away")
    return Received(wanted.path, wanted.path.resolve().as_uri(), _size(wanted.path), sha256,
                    bool(verified))


def _fetch(wanted: Request, url: str) -> Received | None:
    """The file from one address; None, with the reason noted, if it cannot be had there."""
    failures, most = 0, _size(wanted.part)
    while True:
        try:
            _transfer(wanted, url)
            break
        except _Refused as fault:
            wanted.faults.append(f"{url}: {fault}")
            return None
        except _Disk as fault:
            raise OSError(str(fault)) from None
        except BROKEN as fault:
            # a connection that breaks again and again, but goes on each time, will do
            failures = 1 if _size(wanted.part) > most else failures + 1
            most = max(most, _size(wanted.part))
            if failures >= wanted.tries:
                reason = getattr(fault, "reason", fault)
                wanted.faults.append(f"{url}: {reason or type(fault).__name__}")
                return None
            time.sleep(wanted.pause * 2 ** (failures - 1))
    verified, sha256 = _verify(wanted, wanted.part)
    if verified is False:
        wanted.faults.append(f"{url}: wrong checksum, not {wanted.checksum}")
        wanted.part.unlink()
        return None
    wanted.part.replace(wanted.path)
    wanted.notes.unlink(missing_ok=True)
    return Received(wanted.path, url, _size(wanted.path), sha256, bool(verified))


class _Disk(Exception):
    """The disk, not the network, is what fails."""


def _transfer(wanted: Request, url: str) -> None:
    """One connection: append what the part file lacks, or begin it again."""
    have, headers = _size(wanted.part), {"User-Agent": "sep_helpers", "Accept-Encoding": "identity"}
    notes = _notes(wanted)
    tag = notes.get("tag") if notes.get("url") == url else None
    if have and (tag or wanted.checksum):      # else nothing tells whether the rest would fit
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {})
    else:
        have = 0
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers),
                                        timeout=wanted.timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:                  # there is nothing after what we have
            if error.headers.get("Content-Range", "") == f"bytes */{have}":
                return                         # for it is all there is
            wanted.part.unlink(missing_ok=True)
        elif error.code < 500 and error.code not in (408, 425, 429):
            raise _Refused(f"the server says {error.code} {error.reason}") from None
        raise
    with answer:
        span = answer.headers.get("Content-Range", "")
        if answer.status != 206 or not span.startswith(f"bytes {have}-"):
            have = 0                           # it sends all of it
        total = _announced(answer, have)
        if wanted.size and total and total != wanted.size:
            raise _Refused(f"the file there has {total:,} bytes, not {wanted.size:,}")
        _need_space(wanted.path.parent, (total or wanted.size or 0) - have)
        _remember(wanted, url, answer)
        _copy(wanted, answer, have, total)


def _copy(wanted: Request, answer, have: int, total: int | None) -> None:
    bar = tqdm(total=total or wanted.size, initial=have, unit="B", unit_scale=True,
               desc=wanted.path.name, leave=False)
    with bar, _disk(lambda: open(wanted.part, "ab")) as part:
        _alone(part)
        part.truncate(have)
        while chunk := answer.read(CHUNK):
            have += len(chunk)
            if wanted.size and have > wanted.size:
                raise _Refused(f"the server sends more than {wanted.size:,} bytes")
            _disk(lambda data=chunk: part.write(data))
            bar.update(len(chunk))
        _disk(part.flush)
    expected = total or wanted.size
    if expected and have < expected:
        raise ConnectionError(f"it broke off after {have:,} of {expected:,} bytes")


def _alone(part) -> None:
    """Let no other process write to the same file (where the system can lock)."""
    try:
        import fcntl
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _Refused("another process is fetching it") from None
    except (ImportError, OSError):
        return


def _disk(work: Callable):
    """Do `work` on the disk; its OSError is told apart from the network's."""
    try:
        return work()
    except OSError as error:
        raise _Disk(error.strerror or error) from None


def _announced(answer, have: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return have + int(length) if length.isdigit() else None


def _notes(wanted: Request) -> dict:
    try:
        notes = json.loads(wanted.notes.read_text(encoding="utf-8"))
        return notes if isinstance(notes, dict) else {}
    except (OSError, ValueError):
        return {}


def _remember(wanted: Request, url: str, answer) -> None:
    """Keep what tells this version of the file: a strong ETag, or its date."""
    tag = answer.headers.get("ETag", "")
    tag = answer.headers.get("Last-Modified") if not tag or tag.startswith("W/") else tag
    _disk(lambda: wanted.notes.write_text(json.dumps({"url": url, "tag": tag}), encoding="utf-8"))


def _need_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        raise _Disk(f"it takes {size / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free")


def _verify(wanted: Request, path: Path) -> tuple[bool | None, str]:
    """(does the file agree with the published checksum? None: there is none, its sha256)."""
    kind, _, published = wanted.checksum.partition(":")
    digests = {name: hashlib.new(name) for name in {"sha256", kind or "sha256"}}
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            for digest in digests.values():
                digest.update(chunk)
    sha256 = digests["sha256"].hexdigest()
    return (digests[kind].hexdigest() == published.lower() if kind else None), sha256


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
