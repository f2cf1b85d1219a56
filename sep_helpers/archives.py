"""Unpack a .zip or .tar archive that somebody else made: nothing outside its folder, no surprises.

Refused are members with absolute or climbing names, links, devices, encryption, and more bytes or
members than the caller allows. The folder appears when everything is in it, or not at all.
"""
import bz2
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

from tqdm.auto import tqdm

CHUNK = 2**18
LONGEST_NAME = 2**16       # bytes of a tar's header that gives a name: more is an attack on memory
LONGEST_TAIL = 2**20       # bytes of zeros that may follow a tar's last member
OPENERS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError,
          gzip.BadGzipFile, NotImplementedError, UnicodeDecodeError)
Member = tuple[str, int, IO | None]        # name, declared bytes, what to read (None: a folder)


class ArchiveError(ValueError):
    """An archive that cannot be unpacked, or had better not be; named, with the member."""


def extract(archive: str | Path, folder: str | Path, max_bytes: int = 50 * 10**9,
            max_members: int = 200_000) -> Path:
    """Unpack a zip or tar (.gz, .bz2, .xz), told by its content, into the new `folder`.

    Raises ArchiveError if the folder exists, the archive is damaged or dangerous, or unpacked would
    be larger than `max_bytes`; then no folder is left.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise ArchiveError(f"{folder} exists: delete it, or unpack into another")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        with closing(_members(archive)) as members, tqdm(
                unit="B", unit_scale=True, desc=f"unpacking {archive.name}", leave=False) as bar:
            _unpack(archive, members, draft, max_bytes, max_members, bar)
        draft.rename(folder)
    except DAMAGE as error:
        raise ArchiveError(f"{archive} is damaged or cut short ({error or type(error).__name__}): "
                           "fetch it again") from None
    except OSError as error:
        raise ArchiveError(f"{archive} could not be unpacked into {folder} "
                           f"({error.strerror or error}): is the disk full?") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _unpack(archive: Path, members: Iterator[Member], draft: Path, max_bytes: int,
            max_members: int, bar: tqdm) -> None:
    """Write every member below `draft`, counting what is declared and what really comes."""
    total = 0
    for count, (name, declared, content) in enumerate(members, 1):
        if count > max_members:
            raise ArchiveError(f"{archive} has more than {max_members:,} members: not unpacked")
        if total + declared > max_bytes:
            raise _too_large(archive, name, max_bytes)
        path = draft / _safe(archive, name)
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "xb")
        except FileExistsError:
            raise ArchiveError(f"{archive} has {name!r} twice: not unpacked") from None
        with file:
            while chunk := content.read(CHUNK):
                total += len(chunk)
                if total > max_bytes:
                    raise _too_large(archive, name, max_bytes)
                file.write(chunk)
                bar.update(len(chunk))


def _too_large(archive: Path, name: str, max_bytes: int) -> ArchiveError:
    return ArchiveError(f"{archive} would unpack to more than {max_bytes / 1e6:,.0f} MB, at "
                        f"{name!r}: not unpacked; is it what you think it is?")


def _safe(archive: Path, name: str) -> Path:
    """The member's name as a path that cannot lead out of the folder."""
    parts = name.split("/")
    if (not name.strip("/.") or name.startswith("/") or ".." in parts or "\\" in name
            or re.match(r"[A-Za-z]:", name) or any(ord(letter) < 32 for letter in name)):
        if name.strip("/") in (".", ""):      # the archive's own folder
            return Path(".")
        raise ArchiveError(f"{archive} has a member {name!r} that leads outside: not unpacked")
    return Path(*parts)


def _members(archive: Path) -> Iterator[Member]:
    """The members of either kind of archive, one after the other."""
    if not archive.is_file():
        raise ArchiveError(f"{archive} is not there: fetch it first")
    head = _bytes_at(archive, 0, 512)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return _zip_members(archive)
    if head[:2] in OPENERS or head[257:262] == b"ustar":
        return _tar_members(archive)
    looks = " but a web page" if b"<html" in head.lower() or b"<!doctype" in head.lower() else ""
    raise ArchiveError(f"{archive} is no zip or tar archive{looks}: fetch it again")


def _bytes_at(path: Path, start: int, count: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(start, os.SEEK_SET if start >= 0 else os.SEEK_END)
        return file.read(count)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
            if info.flag_bits & 1:
                raise ArchiveError(f"{archive} is encrypted, at {name!r}: ask for one that is not")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _special(archive, name, "link" if kind == stat.S_IFLNK else "device")
            if name.endswith("/"):
                yield name, 0, None
            else:
                with opened.open(info) as content:
                    yield name, info.file_size, content


class _Header(tarfile.TarInfo):
    """A tar header that may not ask for a name of gigabytes."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        header = super().frombuf(buf, encoding, errors)
        names = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE,
                 tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if header.type in names and header.size > LONGEST_NAME:
            raise ArchiveError(f"a member has a name of {header.size:,} bytes: not unpacked")
        return header


def _tar_members(archive: Path) -> Iterator[Member]:
    head = _bytes_at(archive, 0, 2)
    with OPENERS.get(head, open)(archive, "rb") as content, \
            tarfile.open(fileobj=content, mode="r|", tarinfo=_Header) as opened:
        for info in opened:
            if info.isdir():
                yield info.name, 0, None
            elif info.isfile():
                yield info.name, info.size, opened.extractfile(info)
            else:
                links = info.issym() or info.islnk()
                raise _special(archive, info.name, "link" if links else "device")
            opened.members.clear()         # else a long archive fills the memory
        # tarfile ends without a word where a header is damaged, and before the checksum of a gzip
        rest = opened.fileobj.read(LONGEST_TAIL)
        if rest.strip(b"\0") or content.read(1) or (
                head not in OPENERS and any(_bytes_at(archive, -512, 512))):
            raise tarfile.ReadError("it does not end where it should")


def _special(archive: Path, name: str, what: str) -> ArchiveError:
    return ArchiveError(f"{archive} has a {what}, {name!r}: only files and folders are unpacked")
