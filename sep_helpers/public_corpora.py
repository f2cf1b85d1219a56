"""Public corpora: what there is, under which licence, and how to get it, as a corpus to open.

Sizes and checksums are what was published; where none was found, none is claimed. The course has
them from OpenSLR, GitHub and Zenodo, and could not try the addresses itself.
"""
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import yaml

from sep_helpers import corpus_layouts
from sep_helpers.archives import ArchiveError, extract
from sep_helpers.downloads import Received, download
from sep_helpers.manifests import CorpusError


@dataclass(frozen=True)
class Source:
    """One public corpus."""

    name: str
    title: str
    holds: str                  # what it is, and its rate
    purpose: str                # what it is for, in this course
    licence: str
    urls: tuple[str, ...]       # the archive's address, then its mirrors
    layout: Callable            # unpacked folder -> rows of the manifest
    megabytes: float | None     # about, to download; None: not published
    limit: float                # gigabytes that it may unpack to
    size: int | None = None     # bytes, where they are sure
    checksum: str = ""
    note: str = ""


def _openslr(archive: str) -> tuple[str, ...]:
    return tuple(f"https://{host}/resources/12/{archive}" for host in
                 ("www.openslr.org", "us.openslr.org", "openslr.elda.org"))


SOURCES = {source.name: source for source in (
    Source("librispeech-dev-clean", "LibriSpeech dev-clean", "read English, 40 readers, 16 kHz",
           "voices to separate and to test with", "CC BY 4.0", _openslr("dev-clean.tar.gz"),
           corpus_layouts.librispeech, 338, 3,
           checksum="md5:42e2234ba48799c1f50f24a7926300a1"),
    Source("librispeech-train-clean-100", "LibriSpeech train-clean-100",
           "read English, 100 hours, 16 kHz", "training in earnest", "CC BY 4.0",
           _openslr("train-clean-100.tar.gz"), corpus_layouts.librispeech, 6387, 30,
           size=6_387_309_499, checksum="md5:2a93770f6d5c6c964bc36631d331a522"),
    Source("fsdd", "Free Spoken Digit Dataset 1.0.9", "spoken digits, 8 kHz",
           "a first try: small, quick to fetch", "CC BY-SA 4.0",
           ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",),
           corpus_layouts.fsdd, 21, 1),
    Source("esc10", "ESC-10", "environmental sounds, 10 categories, 44.1 kHz",
           "separating categories of sounds", "CC BY 3.0",
           ("https://github.com/karolpiczak/ESC-10/archive/"
            "553c8f1743b9dba6b282e1323c3ca8fa76923448.zip",), corpus_layouts.esc10, None, 2,
           note="this address could not be confirmed"),
    Source("esc50", "ESC-50", "environmental sounds, 50 categories, 44.1 kHz",
           "more categories of sounds", "CC BY-NC 3.0",
           ("https://github.com/karoldvl/ESC-50/archive/master.zip",), corpus_layouts.esc50, 600, 4,
           checksum="md5:7771e4b9d86d0945acce719c7a59305a",
           note="the archive is made anew with each change, and its checksum with it"),
    Source("musdb18-7s", "MUSDB18, 7 s excerpts", "music in 4 stems, 44.1 kHz stereo",
           "separating music", "academic use only",
           ("https://github.com/sigsep/sigsep-mus-db/releases/download/v0.4.0/"
            "MUSDB18-7-STEMS.zip",), corpus_layouts.musdb, 147, 4, size=147_209_385,
           checksum="md5:dc2bdfac5b46ce742bd60009866758a5",
           note="needs ffmpeg; the checksum is from a secondary source"),
)}


def table() -> pd.DataFrame:
    """What can be fetched: corpus, what it holds, size, licence, what it is for, command."""
    return pd.DataFrame([{
        "corpus": source.title, "holds": source.holds, "size": _size(source),
        "licence": source.licence, "for": source.purpose,
        "command": f"python -m sep_helpers corpora fetch {source.name}", "note": source.note,
    } for source in SOURCES.values()])


def _size(source: Source) -> str:
    if source.megabytes is None:
        return "not published"
    return f"{source.megabytes:g} MB" if source.megabytes < 1000 else \
        f"{source.megabytes / 1000:.1f} GB"


def fetch(name: str, to: str | Path = "data", archive: str | Path | None = None,
          keep: bool = False, urls: list[str] = (), checksum: str | None = None,
          **options) -> Path:
    """Get a public corpus into the folder `to`/`name`, ready for `open_corpus`; return the folder.

    `archive`: take this file instead of downloading. `keep`: leave the archive beside the folder.
    `urls`, `checksum`: other addresses, another checksum ("": accept any). Further options go to
    `download`. What is there already is not fetched again. Raises CorpusError, DownloadError or
    ArchiveError; then there is no folder, and what was downloaded is kept for the next try.
    """
    if name not in SOURCES:
        raise CorpusError(f"no public corpus {name!r}: there are {', '.join(SOURCES)}")
    source, to = SOURCES[name], Path(to).expanduser()
    folder = to / name
    if (folder / "manifest.csv").exists():
        print(f"{folder} is there already")
        return folder
    if folder.exists():
        raise CorpusError(f"{folder} is there, without a manifest.csv: move it away")
    own = checksum is not None or urls         # then the published size says nothing
    wanted = source.checksum if checksum is None else checksum
    given = archive and [Path(archive).expanduser()]
    path = given[0] if given else to / f"{name}{_suffix(source.urls[0])}"
    if given and not path.is_file():
        raise CorpusError(f"{path} is not there: give the archive's path")
    received = download(list(urls or source.urls), path, checksum=wanted,
                        size=None if own else source.size, **options)
    if not received.verified:
        print(f"no checksum is known for {path.name}, so it could not be verified; its sha256 is "
              f"{received.sha256}")
    try:
        _make(source, received, folder)
    except ArchiveError:
        if not received.verified and not given:      # it is no use keeping
            path.unlink()
        raise
    if not keep and not given:
        path.unlink()
    print(f"{folder}: {source.title}, {source.licence}")
    return folder


def _make(source: Source, received: Received, folder: Path) -> None:
    """Unpack, list, and only then give the folder its name."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        extract(received.path, draft, max_bytes=int(source.limit * 1e9))
        rows = corpus_layouts.with_samples(draft, source.layout(draft))
        rows.to_csv(draft / "manifest.csv", index=False, lineterminator="\n")
        (draft / "SOURCE.yaml").write_text(yaml.safe_dump({
            "corpus": source.title, "licence": source.licence, "address": received.url,
            "fetched": date.today().isoformat(), "bytes": received.size,
            "sha256": received.sha256, "verified": received.verified}, sort_keys=False),
            encoding="utf-8")
        draft.rename(folder)
    except OSError as error:
        raise CorpusError(f"{folder} could not be made ({error.strerror or error}): is the disk "
                          "full?") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _suffix(url: str) -> str:
    return ".tar.gz" if url.endswith(".tar.gz") else ".zip"
