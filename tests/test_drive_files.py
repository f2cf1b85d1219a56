"""drive_files: what gdown brings arrives whole, and what it says is translated. No network."""

import os
import sys
import types
from pathlib import Path

import archive_layouts
import pytest

from sep_helpers import drive_files
from sep_helpers.downloads import DownloadError

ID = "1A2b3C4d5E6f7G8h9I0j1K2l3"
FILE = f"https://drive.google.com/file/d/{ID}/view?usp=sharing"
FOLDER = f"https://drive.google.com/drive/folders/{ID}?usp=drive_link"


class FileURLRetrievalError(Exception):
    """As gdown has it, in both versions."""


def stand_in(monkeypatch, files, version=5, error=None):
    """A gdown of version 5 or 6 with the options that it has, which "downloads" `files`."""
    calls = []

    def write(output):
        assert output.endswith("/") and Path(output).is_dir()
        for name, data in files.items():
            (Path(output) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(output) / name).write_bytes(data)
        if error:
            raise error
        return [f"{output}{name}" for name in files]

    def note(kind, options):
        calls.append((kind, options))
        return write(options["output"])

    if version == 5:
        def download(url=None, output=None, quiet=False, proxy=None, speed=None, use_cookies=True,
                     verify=True, id=None, fuzzy=False, resume=False, format=None, user_agent=None,
                     log_messages=None):
            done = note("file", {"id": id, "output": output, "resume": resume})
            return done[0] if done else None

        def download_folder(url=None, id=None, output=None, quiet=False, proxy=None, speed=None,
                            use_cookies=True, remaining_ok=False, verify=True, user_agent=None,
                            skip_download=False, resume=False):
            return note("folder", {"id": id, "output": output, "resume": resume})
    else:
        def download(url=None, output=None, quiet=False, proxy=None, speed=None, use_cookies=True,
                     verify=True, id=None, resume=False, format=None, user_agent=None,
                     log_messages=None, progress=None, skip_download=False, cookies_file=None,
                     hasher=None, timeout=None, retries=0, cancel=None):
            return note("file", {"id": id, "output": output, "resume": resume})[0]

        def download_folder(url=None, id=None, output=None, quiet=False, proxy=None, speed=None,
                            use_cookies=True, verify=True, user_agent=None, skip_download=False,
                            resume=False, cookies_file=None, timeout=None, retries=0):
            return note("folder", {"id": id, "output": output, "resume": resume})
    gdown = types.SimpleNamespace(download=download, download_folder=download_folder)
    monkeypatch.setitem(sys.modules, "gdown", gdown)
    return calls


@pytest.mark.parametrize("link, folder", [
    (FILE, False), (FOLDER, True), (f"https://drive.google.com/uc?id={ID}&export=download", False),
    (f"https://drive.google.com/open?id={ID}", False), (ID, False),
    (f"https://drive.google.com/drive/u/0/folders/{ID}", True)])
def test_links_of_every_form_are_understood(link, folder):
    assert drive_files.parse(link) == (ID, folder)
    assert drive_files.is_link(link) == link.startswith("https")


def test_what_is_no_link_is_refused():
    for text in "https://drive.google.com/drive/my-drive", "https://example.org/x", "":
        with pytest.raises(DownloadError, match="no Google Drive link .*: copy it from 'Share'"):
            drive_files.parse(text)
    assert not drive_files.is_link("https://example.org/https://drive.google.com/")


@pytest.mark.parametrize("version", [5, 6])
def test_a_file_and_a_folder_arrive(tmp_path, monkeypatch, version):
    calls = stand_in(monkeypatch, {"voice.wav": b"RIFF"}, version)
    assert drive_files.fetch(FILE, tmp_path) == [tmp_path / "voice.wav"]
    stand_in(monkeypatch, {"ann/1.wav": b"1", "bob/2.wav": b"2"}, version)
    arrived = drive_files.fetch(FOLDER, tmp_path / "own")
    assert arrived == [tmp_path / "own/ann/1.wav", tmp_path / "own/bob/2.wav"]
    assert calls == [("file", {"id": ID, "output": f"{tmp_path}/.drive-{ID}/", "resume": True})]
    assert sorted(os.listdir(tmp_path)) == ["own", "voice.wav"]
    assert sorted(os.listdir(tmp_path / "own")) == ["ann", "bob"]


def test_the_real_gdown_takes_these_options():
    import inspect

    import gdown

    for function in gdown.download, gdown.download_folder:
        inspect.signature(function).bind(id=ID, output="x/", quiet=False, use_cookies=False,
                                         resume=True)


def test_a_single_archive_is_unpacked(tmp_path, monkeypatch):
    stand_in(monkeypatch, {"mine.tar.gz": archive_layouts.tar({"ann/1.wav": b"1"})})
    assert drive_files.fetch(FILE, tmp_path) == [tmp_path / "mine"]
    assert (tmp_path / "mine/ann/1.wav").read_bytes() == b"1"
    assert drive_files.fetch(FILE, tmp_path / "raw", unpack=False) == [tmp_path / "raw/mine.tar.gz"]


SAID = {      # gdown's or Drive's words: what the learner reads
    "Cannot retrieve the public link of the file. You may need to change the permission to 'Anyone "
    "with the link', or have had many accesses.":
        "no public link to it: open the link in a private window: if it shows there, wait a day",
    "Too many users have viewed or downloaded this file recently.": "quota for it is used up: try",
    "Sorry, you can't view or download this file at this time. Download quota": "quota for it is",
    "The gdrive folder has more than 50 files, gdrive can't": "50 files at most: ask for one",
    "Failed to retrieve folder contents (status code 404)": "nothing at this link: check that",
    "Failed to retrieve folder contents (status code 403)": "no public link to it",
    "something\nquite new": "gdown failed .FileURLRetrievalError: something quite new.: fetch",
}


@pytest.mark.parametrize("said", SAID)
def test_what_drive_says_is_translated(tmp_path, monkeypatch, said):
    stand_in(monkeypatch, {}, error=FileURLRetrievalError(said))
    with pytest.raises(DownloadError, match=SAID[said]) as caught:
        drive_files.fetch(FILE, tmp_path)
    assert "\n" not in str(caught.value) and FILE in str(caught.value)


def test_nothing_and_a_web_page_instead_of_a_file(tmp_path, monkeypatch):
    stand_in(monkeypatch, {})
    with pytest.raises(DownloadError, match="no public link to it"):
        drive_files.fetch(FILE, tmp_path)
    stand_in(monkeypatch, {"a.zip": b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>"})
    with pytest.raises(DownloadError, match="a web page came instead of a.zip: Google's quota"):
        drive_files.fetch(FILE, tmp_path)
    stand_in(monkeypatch, {"a.zip": b"<html>Sign in</html>"})
    with pytest.raises(DownloadError, match="instead of a.zip: Google gives no public link"):
        drive_files.fetch(FILE, tmp_path)
    assert not list(tmp_path.rglob("a.zip"))


def test_what_is_there_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "1.wav").write_bytes(b"mine")
    stand_in(monkeypatch, {"1.wav": b"theirs", "0.wav": b"new"})
    with pytest.raises(DownloadError, match="1.wav is there already: move it away"):
        drive_files.fetch(FOLDER, tmp_path)
    assert (tmp_path / "1.wav").read_bytes() == b"mine" and not (tmp_path / "0.wav").exists()


def test_a_broken_connection_keeps_what_arrived(tmp_path, monkeypatch):
    stand_in(monkeypatch, {"big.zip.part": b"half"}, error=ConnectionError("reset by peer"))
    with pytest.raises(DownloadError, match="reset by peer.*try again: it goes on"):
        drive_files.fetch(FILE, tmp_path)
    assert (tmp_path / f".drive-{ID}/big.zip.part").read_bytes() == b"half"


def test_without_gdown_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(DownloadError, match="gdown is not installed: pip install gdown"):
        drive_files.fetch(FILE, tmp_path)
