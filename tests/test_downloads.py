"""downloads: whole and right, or not there at all; resumed, from mirrors, whatever servers do."""

import hashlib
import json
import multiprocessing
import os
import shutil

import numpy as np
import pytest
from web import Web

from sep_helpers import downloads
from sep_helpers.downloads import DownloadError, download

DATA = np.random.default_rng(0).bytes(700_001)
MD5 = "md5:" + hashlib.md5(DATA).hexdigest()
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def web():
    web = Web()
    web.files["/a.zip"] = web.files["/b.zip"] = web.files["/moved/a.zip"] = DATA
    yield web
    web.close()


def fetch(web, tmp_path, *paths, **options):
    urls = [web.url(path) for path in paths or ["/a.zip"]]
    return download(urls, tmp_path / "in" / "a.zip", **{"pause": 0.01} | options)


def statuses(web):
    return [status for _, _, status in web.log]


@pytest.mark.parametrize("checksum", [MD5, f"sha256:{SHA256.upper()}", ""])
def test_a_file_arrives_and_is_verified_where_a_checksum_is_known(web, tmp_path, checksum):
    received = fetch(web, tmp_path, checksum=checksum, size=len(DATA))
    assert received.path.read_bytes() == DATA and received.sha256 == SHA256
    assert received.verified == bool(checksum) and received.size == len(DATA)
    assert os.listdir(tmp_path / "in") == ["a.zip"]


def test_what_is_there_is_not_fetched_again(web, tmp_path):
    for _ in range(2):
        assert fetch(web, tmp_path, checksum=MD5).verified
    assert len(web.log) == 1
    (tmp_path / "in/a.zip").write_bytes(b"my own")
    with pytest.raises(DownloadError, match="a.zip is there but is not .*: move it away"):
        fetch(web, tmp_path, checksum=MD5)
    assert (tmp_path / "in/a.zip").read_bytes() == b"my own"


@pytest.mark.parametrize("checksum", [MD5, ""])
def test_a_connection_that_breaks_is_resumed(web, tmp_path, checksum):
    web.faults["/a.zip"] = ["half"] * 5            # more often than `tries`, but each goes on
    assert fetch(web, tmp_path, checksum=checksum, tries=2).path.read_bytes() == DATA
    assert statuses(web) == [200] + [206] * 5
    begins = [int(span[6:-1]) for _, span, _ in web.log[1:]]
    assert begins == sorted(begins) and begins[0] == len(DATA) // 2


def test_a_later_call_goes_on_where_the_last_one_stopped(web, tmp_path):
    web.faults["/a.zip"] = ["half", "503", "503"]
    with pytest.raises(DownloadError, match="Service Unavailable.*350,000 bytes are kept: try"):
        fetch(web, tmp_path, tries=2)
    assert (tmp_path / "in/a.zip.part").stat().st_size == 350_000
    assert not (tmp_path / "in/a.zip").exists()
    assert fetch(web, tmp_path).path.read_bytes() == DATA
    assert web.log[-1] == ("/a.zip", "bytes=350000-", 206)
    assert os.listdir(tmp_path / "in") == ["a.zip"]


def leave_half(tmp_path, text=DATA[:350_000], **notes):
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in/a.zip.part").write_bytes(text)
    (tmp_path / "in/a.zip.part.json").write_text(json.dumps(notes))


def test_a_file_that_changed_meanwhile_is_begun_again(web, tmp_path):
    leave_half(tmp_path, bytes(350_000), url=web.url("/a.zip"), tag='"0"')
    assert fetch(web, tmp_path).path.read_bytes() == DATA      # If-Range tells the server
    assert statuses(web) == [200]


def test_a_part_of_unknown_origin_is_only_used_if_a_checksum_can_tell(web, tmp_path):
    leave_half(tmp_path)
    assert fetch(web, tmp_path, checksum=MD5).verified and statuses(web) == [206]
    (tmp_path / "in/a.zip").unlink()
    leave_half(tmp_path)
    assert fetch(web, tmp_path).path.read_bytes() == DATA and statuses(web) == [206, 200]
    (tmp_path / "in/a.zip").unlink()
    leave_half(tmp_path, bytes(350_000))                       # of another file: noticed
    assert fetch(web, tmp_path, checksum=MD5).verified and statuses(web)[2:] == [206, 200]
    (tmp_path / "in/a.zip").unlink()
    leave_half(tmp_path, DATA + b"too much")
    assert fetch(web, tmp_path, checksum=MD5).path.read_bytes() == DATA


def test_a_whole_part_is_not_fetched_again(web, tmp_path):
    leave_half(tmp_path, DATA)
    assert fetch(web, tmp_path, checksum=MD5).verified and statuses(web) == [416]


def test_damaged_notes_do_no_harm(web, tmp_path):
    leave_half(tmp_path)
    for text in "{", "[1]", '{"url": 3}':
        (tmp_path / "in/a.zip.part.json").write_text(text)
        assert fetch(web, tmp_path).path.read_bytes() == DATA
        (tmp_path / "in/a.zip").rename(tmp_path / "in/a.zip.part")


def test_a_server_without_range_sends_all_again(web, tmp_path):
    web.ranges = False
    web.faults["/a.zip"] = ["half"]
    assert fetch(web, tmp_path).path.read_bytes() == DATA
    assert statuses(web) == [200, 200]


def test_without_tags_a_broken_download_begins_again_unless_a_checksum_can_tell(web, tmp_path):
    web.tags = False
    web.faults["/a.zip"] = ["half"]
    assert fetch(web, tmp_path).path.read_bytes() == DATA
    assert statuses(web) == [200, 200]


def test_a_length_that_is_a_lie_ends_in_an_error_and_not_in_a_loop(web, tmp_path):
    web.faults["/a.zip"] = ["long"]
    assert fetch(web, tmp_path).path.read_bytes() == DATA    # asked for the rest, it has none
    assert statuses(web) == [200, 416]
    web.ranges = False
    web.faults["/a.zip"] = ["long"] * 9
    with pytest.raises(DownloadError, match="it broke off after 700,001 of 700,101 bytes"):
        fetch(web, tmp_path / "a", tries=2)
    assert len(web.log) == 4
    web.faults["/a.zip"] = ["short"]
    with pytest.raises(DownloadError, match="has 699,901 bytes, not 700,001"):
        fetch(web, tmp_path / "b", size=len(DATA))
    web.faults["/a.zip"] = ["short"]
    with pytest.raises(DownloadError, match="wrong checksum"):
        fetch(web, tmp_path / "c", checksum=MD5)
    assert not (tmp_path / "b/in/a.zip").exists() and not (tmp_path / "c/in/a.zip").exists()


def test_a_wrong_checksum_is_never_kept_and_the_mirror_is_asked(web, tmp_path):
    web.faults["/a.zip"] = ["other"]
    received = fetch(web, tmp_path, "/a.zip", "/b.zip", checksum=MD5)
    assert received.url.endswith("/b.zip") and received.path.read_bytes() == DATA
    web.faults["/a.zip"] = ["other"]
    with pytest.raises(DownloadError, match="a.zip: wrong checksum, not md5:.*: try again later"):
        fetch(web, tmp_path / "b", checksum=MD5)
    assert os.listdir(tmp_path / "b/in") == ["a.zip.part.json"]


@pytest.mark.parametrize("faults", [["404"], ["503"] * 4, ["slow"] * 4, ["html"]])
def test_mirrors_are_tried_in_turn(web, tmp_path, faults):
    web.faults["/a.zip"] = list(faults)
    received = fetch(web, tmp_path, "/a.zip", "/b.zip", checksum=MD5, timeout=0.2)
    assert received.verified and received.url.endswith("/b.zip")
    assert len(web.log) >= 2 or faults[0] == "slow"


def test_what_one_mirror_sent_is_gone_on_with_at_the_next(web, tmp_path):
    web.faults["/a.zip"] = ["half", "404"]
    assert fetch(web, tmp_path, "/a.zip", "/b.zip", checksum=MD5).verified
    assert web.log[-1] == ("/b.zip", "bytes=350000-", 206)


def test_redirects_are_followed(web, tmp_path):
    web.faults["/a.zip"] = ["redirect"]
    assert fetch(web, tmp_path, checksum=MD5).verified and statuses(web) == [302, 200]


def test_every_address_is_named_when_none_serves(web, tmp_path):
    with pytest.raises(DownloadError, match="x.zip: the server says 404.*y.zip: the se") as caught:
        fetch(web, tmp_path, "/x.zip", "/y.zip")
    assert "\n" not in str(caught.value)


def test_nobody_there_and_no_web_address(tmp_path):
    with pytest.raises(DownloadError, match="could not be fetched .*refused"):
        download(["http://127.0.0.1:9/a.zip"], tmp_path / "a.zip", pause=0, tries=2)
    with pytest.raises(DownloadError, match="file:///etc/passwd: not a web address"):
        download(["file:///etc/passwd"], tmp_path / "a.zip")


def test_space_is_looked_at_before_anything_is_written(web, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=downloads.SPARE + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DownloadError, match="it takes 1 MB, 67 MB are free.*: free some space"):
        fetch(web, tmp_path)
    assert os.listdir(tmp_path / "in") == []


def test_a_folder_that_cannot_be_written_to(web, tmp_path):
    (tmp_path / "in").write_text("in the way")
    with pytest.raises(DownloadError, match="a.zip.part could not be written .*another folder"):
        fetch(web, tmp_path)


def test_only_one_process_writes(web, tmp_path):
    leave_half(tmp_path)

    def hold(ready, done):
        with open(tmp_path / "in/a.zip.part", "ab") as part:
            downloads._alone(part)
            ready.set()
            done.wait(20)

    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(ready, done))
    other.start()
    assert ready.wait(20)
    with pytest.raises(DownloadError, match="another process is fetching it"):
        fetch(web, tmp_path)
    done.set()
    other.join()
    assert (tmp_path / "in/a.zip.part").stat().st_size == 350_000
    assert fetch(web, tmp_path).path.read_bytes() == DATA
