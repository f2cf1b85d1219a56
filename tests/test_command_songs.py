"""`python -m sep_helpers songs`: a table of systems on whole songs."""

import pandas as pd
import pytest
import torch
from toy_corpus import make_tracks

from sep_helpers import models, song_evaluation
from sep_helpers.__main__ import main

STEMS = ["vocals", "drums", "bass", "other"]


@pytest.fixture
def network(tmp_path):
    torch.manual_seed(0)
    made = models.build(models.complete({"name": "unet", "depth": 2, "width": 2, "n_fft": 64,
                                         "hop": 16, "n_sources": 4, "channels": 2}))
    made.names = STEMS
    models.save(made, tmp_path / "music.safetensors")
    return str(tmp_path / "music.safetensors")


@pytest.fixture
def songs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make_tracks(tmp_path / "songs", 10, rate=16000, stems=STEMS)


def test_a_table_and_a_csv(tmp_path, network, songs, capsys):
    csv = tmp_path / "figures.csv"
    assert main(["songs", str(songs), "--model", network, "--quick", "--csv", str(csv)]) == 0
    said = capsys.readouterr().out
    assert "1 songs of test" in said and "ideal IRM" in said and network in said
    table = pd.read_csv(csv)
    assert set(table.system) >= {"mixture", "ideal IRM", network} and len(table) == 4 * 7
    assert table[table.system == network].consistency.max() < -60


def test_a_csv_that_cannot_be_written_is_refused_before_anything_is_measured(
        tmp_path, network, songs, capsys, monkeypatch):
    monkeypatch.setattr(song_evaluation, "evaluate_songs", lambda *a, **k: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    for wrong, words in ((tmp_path / "file" / "figures.csv", "cannot be written"),
                         (tmp_path, "is a folder")):
        assert main(["songs", str(songs), "--model", network, "--csv", str(wrong)]) == 1
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1


def test_what_does_not_fit_is_one_line(tmp_path, network, songs, capsys):
    assert main(["songs", str(tmp_path / "nowhere"), "--model", network]) == 1
    assert "is not a folder" in capsys.readouterr().err
    other = models.build(models.complete({"name": "unet", "depth": 2, "width": 2, "n_fft": 64,
                                          "hop": 16, "n_sources": 2, "channels": 2}))
    other.names = ["vocals", "other"]
    models.save(other, tmp_path / "two.safetensors")
    assert main(["songs", str(songs), "--model", network, "--model",
                 str(tmp_path / "two.safetensors")]) == 1
    assert "do not compare" in capsys.readouterr().err
