"""Files and folders that somebody shares on Google Drive, fetched with gdown (5.2 or 6).

Drive is for small things among friends: it has a daily quota for each file, which it tells in much
the same words as a missing permission. Both get a clear answer here.
"""
import re
import shutil
from pathlib import Path

from sep_helpers.archives import extract
from sep_helpers.downloads import DownloadError

ID = r"[-\w]{20,}"
MOST_FILES = 50          # of one folder that gdown 5 lists
SHARING = "open the link in a private window: if it shows there, wait a day, the quota is used " \
          "up; if not, ask the owner to share it with 'Anyone with the link'"
ANSWERS = [              # (words in gdown's or Drive's message, what they mean, what to do)
    (r"too many users|quota|download limit", "Google's quota for it is used up",
     "try again in 24 hours, or add it to your own Drive, copy it there and mount your Drive"),
    (r"public link|permission|access denied|many accesses|status code 40[13]|file url",
     "Google gives no public link to it", SHARING),
    (r"more than \d+ files|FolderContentsMaximum", f"a folder may have {MOST_FILES} files at most",
     "ask for one archive of it: .zip or .tar"),
    (r"404|not found", "there is nothing at this link", "check that it was copied whole"),
]


def is_link(text: str) -> bool:
    """Is this a link into Google Drive?"""
    return re.match(r"https?://(?:drive|docs)\.google\.com/", text) is not None


def parse(link: str) -> tuple[str, bool]:
    """(id, is it a folder?) of a Drive link, or of a bare id of a file. Raises DownloadError."""
    for pattern, folder in ((rf"/folders/({ID})", True), (rf"/d/({ID})", False),
                            (rf"[?&]id=({ID})", False), (rf"^({ID})$", False)):
        if found := re.search(pattern, link):
            return found[1], folder
    raise DownloadError(f"{link}: no Google Drive link to a file or folder: copy it from 'Share'")


def fetch(link: str, to: str | Path, unpack: bool = True) -> list[Path]:
    """Fetch a shared file or folder into the folder `to`; the paths of what has arrived.

    A single archive is unpacked (see `archives.extract`). Nothing that is in `to` is replaced; what
    arrives lies in a draft folder until it is whole, from where a broken download goes on. Raises
    DownloadError.
    """
    name, is_folder = parse(link)
    to = Path(to).expanduser()
    draft = to / f".drive-{name}"
    try:
        draft.mkdir(parents=True, exist_ok=True)
        _gdown(link, name, is_folder, draft)
        arrived = sorted(path for path in draft.rglob("*") if path.is_file())
        if not arrived:
            raise DownloadError(f"{link}: nothing arrived: {SHARING}")
        _refuse_web_page(link, arrived)
        placed = _place(arrived, draft, to)
    except OSError as error:      # also requests' own, which gdown lets through
        raise DownloadError(f"{link} could not be fetched ({error}): check the connection and the "
                            "disk, then try again: it goes on where it stopped") from None
    if unpack and len(placed) == 1 and re.search(r"\.(zip|tar|tgz|tar\.\w+)$", placed[0].name):
        return [extract(placed[0], to / re.sub(r"\.(zip|tar|tgz|tar\.\w+)$", "", placed[0].name))]
    return placed


def _gdown(link: str, name: str, is_folder: bool, draft: Path) -> None:
    """Have gdown do it, with the options that 5.2 and 6 share; translate what it says."""
    try:
        import gdown
    except ImportError:
        raise DownloadError("gdown is not installed: pip install gdown") from None
    get = gdown.download_folder if is_folder else gdown.download
    try:
        done = get(id=name, output=f"{draft}/", quiet=False, use_cookies=False, resume=True)
    except OSError:
        raise
    except Exception as error:      # of many types, which differ between gdown 5 and 6
        said = " ".join(f"{type(error).__name__}: {error}".split())
        for words, meaning, remedy in ANSWERS:
            if re.search(words, said, re.IGNORECASE):
                raise DownloadError(f"{link}: {meaning}: {remedy}") from None
        raise DownloadError(f"{link}: gdown failed ({said[:200]}): fetch it in a browser") from None
    if not done:                    # older versions say so on the screen, and return None
        raise DownloadError(f"{link}: Google gives no public link to it: {SHARING}")


def _refuse_web_page(link: str, arrived: list[Path]) -> None:
    """Drive answers with a page, not with a file, when it wants a password or has no quota left."""
    for path in arrived:
        with open(path, "rb") as file:
            head = file.read(4096).lower()
        if path.suffix.lower() not in (".html", ".htm") and head.lstrip().startswith(
                (b"<!doctype html", b"<html")):
            path.unlink()
            quota = b"quota" in head
            answer = ANSWERS[0] if quota else ANSWERS[1]
            raise DownloadError(f"{link}: a web page came instead of {path.name}: {answer[1]}: "
                                f"{answer[2]}")


def _place(arrived: list[Path], draft: Path, to: Path) -> list[Path]:
    """Move everything out of the draft folder, or nothing."""
    target = {path: to / path.relative_to(draft) for path in arrived}
    for path, place in target.items():
        if path.is_symlink() or not path.resolve().is_relative_to(draft.resolve()):
            raise DownloadError(f"{path.name} leads outside: not taken")
        if place.exists():
            raise DownloadError(f"{place} is there already: move it away, or give another folder")
    for path, place in target.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    shutil.rmtree(draft, ignore_errors=True)
    return list(target.values())
