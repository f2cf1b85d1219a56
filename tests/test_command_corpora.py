"""`python -m sep_helpers corpora`: the list, a fetch, one line for what goes wrong."""

import archive_layouts
import pytest
from web import Web

from sep_helpers import drive_files, public_corpora
from sep_helpers.__main__ import main


@pytest.fixture
def web():
    web = Web()
    yield web
    web.close()


def test_the_list_names_every_corpus_with_its_licence_and_command(capsys):
    assert main(["corpora", "list"]) == 0
    said = capsys.readouterr().out
    for source in public_corpora.SOURCES.values():
        assert source.title in said and source.licence in said and source.note in said
        assert f"python -m sep_helpers corpora fetch {source.name}\n" in said


def test_a_corpus_is_fetched_and_the_next_step_is_told(web, tmp_path, capsys):
    web.files["/a.tar.gz"] = archive_layouts.fsdd()
    to = str(tmp_path / "my data")
    assert main(["corpora", "fetch", "fsdd", "--to", to, "--url", web.url("/a.tar.gz"),
                 "--keep"]) == 0
    said = capsys.readouterr().out
    assert "36 recordings, 3 speakers" in said and f"corpora.open_corpus('{to}/fsdd')" in said
    assert (tmp_path / "my data/fsdd.tar.gz").exists()


def test_what_goes_wrong_is_one_line(web, tmp_path, capsys):
    web.files["/a.tar.gz"] = b"<html>"
    for arguments, words in [
            (["nothing"], "no public corpus 'nothing': there are"),
            (["fsdd", "--url", web.url("/b.tar.gz")], "the server says 404"),
            (["fsdd", "--url", web.url("/a.tar.gz")], "but a web page"),
            (["fsdd", "--url", web.url("/a.tar.gz"), "--checksum", "md5:00"], "wrong checksum"),
            (["fsdd", "--url", web.url("/a.tar.gz"), "--checksum", "crc:1"], "is no checksum: wri"),
            (["fsdd", "--url", web.url("/a.tar.gz"), "--checksum", "md5"], "'md5' is no checksum"),
            (["fsdd", "--archive", str(tmp_path / "no.zip")], "no.zip is not there")]:
        assert main(["corpora", "fetch", *arguments, "--to", str(tmp_path / "data")]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert words in lines[-1] and lines[-1].startswith("corpora: ")


def test_a_link_to_drive_is_fetched_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(drive_files, "fetch", lambda link, to: [f"{to}/from {link[-4:]}"])
    link = "https://drive.google.com/file/d/1234567890123456789012345/view"
    assert main(["corpora", "fetch", link, "--to", "here"]) == 0
    assert capsys.readouterr().out == "here/from view\n"
