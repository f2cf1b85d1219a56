"""What one notebook leaves for the next: numbered folders with a manifest and checksums.

A shelf holds the saves of one artifact: `0001/`, `0002/`, ... Drive promises little (no atomic
rename, files cut short when the machine dies), so a save is complete before it gets its number,
its manifest is written last, and a save whose checksums fail is passed over for the one before.
"""

import hashlib
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

Content = dict[str, bytes | Path] | Callable[[Path], object]


def save(shelf: Path, content: Content, facts: dict, keep: int = 2) -> Path:
    """Add a save to the shelf, drop all but the newest `keep`, return the new folder.

    `content` is {file name: bytes, or a file to copy}, or a function that writes into the folder
    it is given; `facts` go into the manifest beside versions, date and checksums.
    """
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=shelf))
    try:
        _fill(draft, content)
        _write_manifest(draft, facts)
        number = max((int(path.name) for path in saves(shelf)), default=0) + 1
        saved = draft.rename(shelf / f"{number:04d}")
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    for old in saves(shelf)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return saved


def saves(shelf: Path) -> list[Path]:
    """The numbered folders of a shelf, oldest first; none where there is no shelf."""
    found = shelf.iterdir() if shelf.is_dir() else []
    return sorted(path for path in found if path.name.isdigit())


def read_manifest(folder: Path) -> dict:
    """The manifest of a save: name, preset, origin, made, versions, files and the facts given."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def fault(folder: Path) -> str | None:
    """Why a save cannot be trusted; None when every file is there and has its checksum."""
    try:
        files = read_manifest(folder)["files"]
    except (OSError, ValueError, KeyError):
        return "no readable manifest"
    for name, digest in files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _sha256(folder / name) != digest:
            return f"{name} is damaged"
    return None


def _fill(draft: Path, content: Content) -> None:
    if callable(content):
        content(draft)
        return
    for name, value in content.items():
        if isinstance(value, bytes):
            (draft / name).write_bytes(value)
        else:
            shutil.copyfile(value, draft / name)


def _write_manifest(draft: Path, facts: dict) -> None:
    versions = dict(python=platform.python_version(), torch=torch.__version__, numpy=np.__version__)
    files = [path for path in sorted(draft.rglob("*")) if path.is_file()]
    manifest = facts | {
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "versions": versions,
        "files": {path.relative_to(draft).as_posix(): _sha256(path) for path in files},
    }
    (draft / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
