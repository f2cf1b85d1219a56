"""`python -m sep_helpers doctor`: one screen, and an exit code that scripts can rest on."""

import pytest

from sep_helpers.__main__ import main
from sep_helpers.commands import doctor


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SEP_WORK", str(tmp_path / "work"))
    monkeypatch.delenv("SEP_CORPUS", raising=False)


def test_it_fits_on_a_screen_and_says_what_is_here(capsys, tmp_path):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30 and max(map(len, lines)) <= 110
    text = "\n".join(lines)
    for what in ("Python", "torch 2.", "threads", "GB free", "work folder", "ffmpeg", "Drive",
                 "accelerate", "embedded recordings"):
        assert what in text
    assert not (tmp_path / "work").exists()               # looking changes nothing


def test_a_missing_package_is_named_with_the_remedy(monkeypatch, capsys):
    has = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: None if name == "soxr" else has(name))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "pip install soxr" in said and "to mend: packages" in said


def test_a_work_folder_that_cannot_be_written_is_a_fault(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SEP_WORK", str(tmp_path / "file"))
    assert main(["doctor"]) == 1
    assert "NO  work folder" in capsys.readouterr().out


def test_a_corpus_that_is_not_there_is_a_fault(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SEP_CORPUS", str(tmp_path / "nowhere"))
    assert main(["doctor"]) == 1 and "own corpus" in capsys.readouterr().out


def test_a_missing_optional_package_is_no_fault(monkeypatch, capsys):
    has = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: None if name == "optuna" else has(name))
    assert main(["doctor"]) == 0
    assert "--  optuna       not installed: search" in capsys.readouterr().out
