"""`python -m sep_helpers separate`, from the files to the exit code."""

import shutil

import pytest
import soundfile
import torch
from toy_corpus import make_sound

from sep_helpers import models, streams
from sep_helpers.__main__ import main

TINY = models.complete({"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 8, "Sc": 4, "X": 1,
                        "R": 1})


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    models.save(models.build(TINY), tmp_path / "model.safetensors")
    return ["--model", str(tmp_path / "model.safetensors")]


def test_a_file_gets_its_voices_beside_it(tmp_path, model, capsys):
    file = make_sound(tmp_path / "in" / "talk.flac", 22051, 22050, channels=2)
    assert main(["separate", str(file), *model]) == 0
    names = sorted(path.name for path in file.parent.iterdir())
    assert names == ["talk.flac", "talk_source1.wav", "talk_source2.wav"]
    info = soundfile.info(file.with_name("talk_source2.wav"))
    assert (info.frames, info.samplerate) == (22051, 22050)
    assert "2 channels, mixed down" in capsys.readouterr().out


def test_outputs_that_are_there_stay_and_overwrite_says_so(tmp_path, model, capsys):
    file = make_sound(tmp_path / "in" / "talk.wav")
    kept = file.with_name("talk_source1.wav")
    kept.write_bytes(b"mine")
    assert main(["separate", str(file), *model]) == 0
    assert kept.read_bytes() == b"mine" and "left alone" in capsys.readouterr().out
    assert main(["separate", str(file), *model, "--overwrite"]) == 0
    assert kept.read_bytes() != b"mine" and "replaced" in capsys.readouterr().out


def test_a_broken_file_is_named_the_others_go_on_and_the_exit_code_is_1(tmp_path, model, capsys):
    for name in ("a.wav", "z.wav"):
        make_sound(tmp_path / "in" / name)
    (tmp_path / "in" / "m.wav").write_bytes(b"RIFF nonsense")
    out = tmp_path / "out"
    assert main(["separate", str(tmp_path / "in"), *model, "--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "not separated:" in said and "m.wav is unreadable" in said
    assert "1 of 3 could not be separated" in said
    assert sorted(path.name for path in out.iterdir()) == [
        "a_source1.wav", "a_source2.wav", "z_source1.wav", "z_source2.wav"]


def test_an_id_of_the_corpus_and_one_of_nothing(tmp_path, model, capsys):
    out = ["--out", str(tmp_path / "out"), *model]
    assert main(["separate", "unseen_00002", "nothing_1", *out]) == 1
    said = capsys.readouterr().out
    assert "dB against the mixture" in said and "nothing_1: no file, and no mixture" in said
    assert len(list((tmp_path / "out").glob("unseen_00002_*.wav"))) == 3


def test_long_files_go_through_in_chunks(tmp_path, model):
    file = make_sound(tmp_path / "talk.wav", 20000)
    assert main(["separate", str(file), *model, "--chunk", "1"]) == 0
    assert soundfile.info(tmp_path / "talk_source1.wav").frames == 20000
    assert main(["separate", str(file), *model, "--chunk", "0", "--overwrite"]) == 1


def test_a_missing_model_is_one_line(tmp_path, capsys):
    assert main(["separate", "x.wav", "--model", str(tmp_path / "none")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("separate: ") and said.count("\n") == 1


# --- songs, by a network whose outputs have names

@pytest.fixture
def stem_model(tmp_path):
    torch.manual_seed(0)
    network = models.build(models.complete({"name": "unet", "depth": 2, "width": 2, "n_fft": 64,
                                            "hop": 16, "n_sources": 4, "channels": 2}))
    network.names = ["vocals", "drums", "bass", "other"]
    models.save(network, tmp_path / "music.safetensors")
    return ["--model", str(tmp_path / "music.safetensors")]


def test_a_song_gets_its_stems_and_their_pictures(tmp_path, stem_model, capsys):
    song = make_sound(tmp_path / "in" / "song.wav", 44101, 22050, channels=2)
    assert main(["separate", str(song), *stem_model, "--plot"]) == 0
    said = capsys.readouterr().out
    assert "song_vocals.wav ... song_other.wav" in said and "drawn in song_stems.png" in said
    names = {path.name for path in song.parent.iterdir()}
    stems = [f"song_{name}.wav" for name in ("vocals", "drums", "bass", "other")]
    assert names == {"song.wav", *stems, "song_stems.png"}
    total = sum(soundfile.read(song.with_name(name))[0] for name in stems)
    original, _ = soundfile.read(song)
    assert ((total - original) ** 2).sum() < 1e-8 * (original**2).sum()
    assert song.with_name("song_stems.png").stat().st_size > 10_000
    # a folder with outputs of before has one song still
    assert main(["separate", str(song.parent), *stem_model]) == 0
    assert capsys.readouterr().out.count("left alone") == 1


def test_songs_that_cannot_be_separated_are_one_line_each(tmp_path, stem_model, capsys,
                                                          monkeypatch):
    cinema = make_sound(tmp_path / "cinema.wav", channels=6)
    film = tmp_path / "film.mp4"
    film.write_bytes(b"no film")
    monkeypatch.setenv("PATH", "")
    out = ["--out", str(tmp_path / "out")]
    assert main(["separate", str(cinema), str(film), "unseen_00001", *stem_model, *out]) == 1
    said = [line for line in capsys.readouterr().out.splitlines() if "not separated" in line]
    assert len(said) == 3
    assert "cinema.wav has 6 channels: mix it down" in said[0]
    assert "film.mp4 takes ffmpeg" in said[1] and "network is for songs" in said[2]
    assert not (tmp_path / "out").exists()
    low = make_sound(tmp_path / "low.wav", 4000, 4000)
    assert main(["separate", str(low), *stem_model, *out]) == 0
    assert "4000 Hz: the network was trained on 8000" in capsys.readouterr().out


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_song_becomes_a_stem_file_and_a_stem_file_a_song(tmp_path, stem_model, capsys):
    song = make_sound(tmp_path / "song.wav", 22050, 22050, channels=2)
    assert main(["separate", str(song), *stem_model, "--stem-mp4"]) == 0
    stems, rate = streams.read_stems(tmp_path / "song.stem.mp4")
    drums, _ = soundfile.read(tmp_path / "song_drums.wav")
    assert rate == 22050
    assert abs((stems["drums"][:, :22050].numpy() * drums.T).sum() / (drums**2).sum() - 1) < 0.5
    assert main(["separate", str(tmp_path / "song.stem.mp4"), *stem_model,
                 "--out", str(tmp_path / "again")]) == 0
    assert len(list((tmp_path / "again").glob("song.stem_*.wav"))) == 4


def test_voices_are_drawn_too(tmp_path, model, capsys):
    talk = make_sound(tmp_path / "talk.wav")
    assert main(["separate", str(talk), *model, "--plot"]) == 0
    assert (tmp_path / "talk_masks.png").exists()
