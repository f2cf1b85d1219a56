"""archives: what belongs into the folder gets there; nothing else gets anywhere."""

import gzip
import io
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sep_helpers import archives
from sep_helpers.archives import ArchiveError, extract

FILES = {"corpus/README": b"read me", "corpus/a/1.flac": bytes(range(256)) * 40,
         "corpus/b/empty.txt": b"", "corpus/b/ä €.wav": b"x" * 70_000}


def make_zip(path, files=FILES, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name),
                             data, zipfile.ZIP_DEFLATED)
    return path


def make_tar(path, files=FILES, mode="w:gz", format=tarfile.PAX_FORMAT, **fields):
    with tarfile.open(path, mode, format=format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(data))
    return path


def make_plain_tar(path, files):
    return make_tar(path, files, mode="w")


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def refuse(archive, tmp_path, message, **options):
    """The archive is refused in one line, and leaves no trace."""
    before = {path for path in tmp_path.rglob("*")}
    with pytest.raises(ArchiveError, match=message) as caught:
        extract(archive, tmp_path / "out" / "new", **options)
    assert "\n" not in str(caught.value)
    assert {path for path in tmp_path.rglob("*")} - before <= {tmp_path / "out"}


@pytest.mark.parametrize("make, name", [
    (make_zip, "a.zip"), (make_tar, "a.tar.gz"), (lambda p: make_tar(p, mode="w"), "a.tar"),
    (lambda p: make_tar(p, mode="w:xz"), "a.tar.xz"),
    (lambda p: make_tar(p, mode="w:bz2"), "a.tbz"),
    (lambda p: make_tar(p, format=tarfile.GNU_FORMAT), "misleading.zip")])
def test_what_was_packed_is_unpacked(tmp_path, make, name):
    folder = extract(make(tmp_path / name), tmp_path / "out")
    assert content(folder) == FILES
    assert sorted(os.listdir(tmp_path)) == sorted([name, "out"])
    assert not any(os.access(path, os.X_OK) for path in folder.rglob("*") if path.is_file())


def test_long_names_and_folders_of_their_own(tmp_path):
    name = "/".join(["folder" * 10] * 4) + "/file.wav"
    for form in tarfile.GNU_FORMAT, tarfile.PAX_FORMAT:
        archive = make_tar(tmp_path / f"{form}.tar.gz", {name: b"x"}, format=form)
        assert content(extract(archive, tmp_path / str(form))) == {name: b"x"}
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        for name in "./", "./a", "./a/b":
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
    assert (extract(tmp_path / "d.tar", tmp_path / "d") / "a/b").is_dir()


def test_an_archive_as_github_makes_them(tmp_path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz", format=tarfile.PAX_FORMAT,
                      pax_headers={"comment": "26eb9aaf76e81b692f806f91"}) as archive:
        info = tarfile.TarInfo("repo-1.0/a.wav")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    assert content(extract(tmp_path / "a.tgz", tmp_path / "out")) == {"repo-1.0/a.wav": b"x"}


NAMES = st.lists(st.sampled_from(["..", ".", "", "a", "b", "/", "\\", "C:", "~", "ä", "a.wav"]),
                 min_size=1, max_size=5).map("/".join)


@settings(max_examples=60, deadline=None)
@given(NAMES, st.booleans())
def test_whatever_its_name_a_member_stays_inside_or_is_refused(name, zipped):
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        archive = (make_zip if zipped else make_tar)(root / "a", {name: b"x"})
        try:
            extract(archive, root / "deep" / "er" / "out")
        except ArchiveError as error:
            assert "\n" not in str(error)
        for path in root.rglob("*"):
            assert path.resolve().is_relative_to(root)
            assert path.is_dir() or path == archive or (root / "deep/er/out") in path.parents


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(ArchiveError, match="out exists: delete it, or unpack into another"):
        extract(make_zip(tmp_path / "a.zip"), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["mine"]


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/tmp/escaped", "//escaped",
                                  "C:/escaped", "C:escaped", "..\\escaped", "a/..", "a\nb", ".."])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_members_that_lead_outside_are_refused(tmp_path, make, name):
    archive = make(tmp_path / "bad.archive", {"good.txt": b"x", name: b"escaped"})
    refuse(archive, tmp_path, "bad.archive has a member .* that leads outside: not unpacked")
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.parametrize("kind, word", [
    (tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "link"), (tarfile.CHRTYPE, "device"),
    (tarfile.BLKTYPE, "device"), (tarfile.FIFOTYPE, "device")])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, word):
    archive = make_tar(tmp_path / "a.tar.gz", {"evil": b""}, type=kind, linkname="/etc/passwd")
    refuse(archive, tmp_path, f"has a {word}, 'evil': only files and folders")


@pytest.mark.parametrize("mode, word", [(stat.S_IFLNK, "link"), (stat.S_IFCHR, "device")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode, word):
    info = zipfile.ZipInfo("evil")
    info.external_attr = (mode | 0o777) << 16
    refuse(make_zip(tmp_path / "a.zip", {info: b"/etc/passwd"}), tmp_path, f"has a {word}, 'evil'")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_bomb_that_says_so_is_refused_before_it_is_written(tmp_path, make, monkeypatch):
    archive = make(tmp_path / "bomb", {"zeros": bytes(30_000_000)})
    assert archive.stat().st_size < 100_000
    written = []
    monkeypatch.setattr(archives, "open", lambda *a: written.append(a) or open(*a), raising=False)
    refuse(archive, tmp_path, "more than 20 MB, at 'zeros': not unpacked", max_bytes=20_000_000)
    assert [mode for _, mode in written if mode == "xb"] == []


def test_a_zip_that_says_less_than_it_holds_is_refused(tmp_path):
    archive = make_zip(tmp_path / "bomb.zip", {"zeros": bytes(30_000_000)})
    data = archive.read_bytes()
    lie = data.replace(struct.pack("<L", 30_000_000), struct.pack("<L", 1000))
    assert lie != data
    archive.write_bytes(lie)
    refuse(archive, tmp_path, "damaged or cut short|more than 2 MB", max_bytes=2_000_000)


def test_many_small_members_add_up(tmp_path):
    files = {f"{number}": bytes(100_000) for number in range(30)}
    for archive in make_zip(tmp_path / "a.zip", files), make_tar(tmp_path / "a.tgz", files):
        refuse(archive, tmp_path, "more than 1 MB, at '10'", max_bytes=1_000_000)
        refuse(archive, tmp_path, "has more than 29 members", max_members=29)


def test_a_name_of_megabytes_is_refused(tmp_path):
    archive = make_tar(tmp_path / "a.tgz", {"x" * 10_000_000: b""}, format=tarfile.GNU_FORMAT)
    refuse(archive, tmp_path, "a name of 10,000,001 bytes")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_the_same_member_twice_is_refused(tmp_path, make):
    archive = make(tmp_path / "a", {"a/b": b"1", "./a/b": b"2"})
    refuse(archive, tmp_path, "has './a/b' twice")


@pytest.mark.parametrize("make", [make_zip, make_tar, make_plain_tar])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.9])
def test_an_archive_cut_short_is_refused(tmp_path, make, share):
    data = make(tmp_path / "a", {f"{n}.bin": os.urandom(5000) for n in range(20)}).read_bytes()
    (tmp_path / "a").write_bytes(data[:int(share * len(data))])
    refuse(tmp_path / "a", tmp_path, "a is damaged or cut short .*: fetch|is no zip or tar")


def test_a_tar_with_a_damaged_header_in_its_middle_is_not_taken_for_a_short_one(tmp_path):
    data = bytearray(make_tar(tmp_path / "a", {"1": b"x", "2": b"y", "3": b"z"}, "w").read_bytes())
    data[data.index(b"ustar", 1000)] = 0
    (tmp_path / "a").write_bytes(data)
    refuse(tmp_path / "a", tmp_path, "is damaged or cut short .it does not end where it should")


def test_zeros_without_end_after_a_tar_are_refused(tmp_path):
    plain = make_tar(tmp_path / "a", mode="w").read_bytes()
    (tmp_path / "a.gz").write_bytes(gzip.compress(plain + bytes(30_000_000)))
    refuse(tmp_path / "a.gz", tmp_path, "it does not end where it should")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_flipped_byte_is_noticed(tmp_path, make):
    data = bytearray(make(tmp_path / "a", {"a.bin": os.urandom(5000)}).read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "a").write_bytes(data)
    refuse(tmp_path / "a", tmp_path, "is damaged or cut short .*: fetch it again")


def test_an_encrypted_zip_is_refused(tmp_path):
    data = bytearray(make_zip(tmp_path / "a.zip", {"secret": b"x" * 100}).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    refuse(tmp_path / "a.zip", tmp_path, "a.zip is encrypted, at 'secret': ask for one that is not")


@pytest.mark.parametrize("text, message", [
    (b"", "is no zip or tar archive: fetch"), (b"<!DOCTYPE html><html>", "archive but a web page"),
    (b"PK\3\4 nothing more", "damaged or cut short"),
    (b"\x1f\x8b nothing", "damaged or cut short")])
def test_what_is_no_archive_is_named(tmp_path, text, message):
    (tmp_path / "a").write_bytes(text)
    refuse(tmp_path / "a", tmp_path, message)
    refuse(tmp_path / "nowhere", tmp_path, "nowhere is not there")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    archive = make_zip(tmp_path / "a.zip")
    monkeypatch.setattr(archives, "open", lambda path, mode: Full() if mode == "xb"
                        else open(path, mode), raising=False)
    refuse(archive, tmp_path, r"a.zip could not be unpacked into .*\(No space left on device\)")
