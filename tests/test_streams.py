"""streams: what ffmpeg writes is read back, and what is wrong is one line."""

import shutil

import numpy as np
import pytest
import torch

from sep_helpers import audio, streams
from sep_helpers.audio import AudioError

RATE = 22050
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def tones(seconds=1.0, rate=RATE):
    t = torch.arange(round(seconds * rate)) / rate
    return {name: 0.1 * torch.stack([torch.sin(2 * torch.pi * f * t),
                                     torch.sin(3 * torch.pi * f * t)])
            for name, f in zip(streams.STREAMS[1:], (200, 90, 500, 700), strict=True)}


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "a song's.stem.mp4"
    streams.write_stems(path, tones(), RATE)
    return path


@needs_ffmpeg
def test_stems_come_back_in_their_places(song):
    stems, rate = streams.read_stems(song)
    assert rate == RATE and tuple(stems) == streams.STREAMS
    for name, wave in tones().items():
        back = stems[name][:, :wave.shape[1]]
        error = (back - wave).square().sum() / wave.square().sum()
        assert 10 * error.log10() < -25, name              # AAC is lossy; nothing is shifted
        assert 0 <= stems[name].shape[1] - wave.shape[1] < 1024
    mixture = sum(tones().values())
    error = (stems["mixture"][:, :mixture.shape[1]] - mixture).square().sum()
    assert 10 * (error / mixture.square().sum()).log10() < -25
    assert not list(song.parent.glob(".*"))                # no draft stays


@needs_ffmpeg
def test_one_stream_at_another_rate(song):
    vocals, rate = streams.read(song, streams.STREAMS.index("vocals"), 11025)
    assert rate == 11025 and abs(vocals.shape[1] - 11025) < 1024
    spectrum = torch.fft.rfft(vocals[0, :11025]).abs()
    assert spectrum.argmax().item() == pytest.approx(700, abs=2)
    assert streams.probe(song) == 5 * [(RATE, 2)]


@needs_ffmpeg
def test_what_is_wrong_is_one_line(song, tmp_path):
    audio.write(tmp_path / "plain.wav", torch.zeros(2, 900), RATE)
    (tmp_path / "torn.stem.mp4").write_bytes(song.read_bytes()[:2000])
    for call, says in [
        (lambda: streams.read_stems(tmp_path / "plain.wav"), "has 1 audio stream: a .stem.mp4 has"),
        (lambda: streams.read(song, 7), "has 5 audio streams, none with the number 7"),
        (lambda: streams.read_stems(tmp_path / "torn.stem.mp4"), "ffprobe refuses it"),
        (lambda: streams.read_stems(tmp_path / "none.stem.mp4"), "does not exist"),
        (lambda: streams.write_stems(tmp_path / "x.mp4", tones(), RATE), "NAME.stem.mp4"),
        (lambda: streams.write_stems(tmp_path / "x.stem.mp4", {"drums": 1}, RATE), "stem 'bass'"),
        (lambda: streams.write_stems(tmp_path / "x.stem.mp4",
                                     tones() | {"bass": torch.zeros(2, 9)}, RATE), "one length"),
    ]:
        with pytest.raises(AudioError, match=says) as error:
            call()
        assert "\n" not in str(error.value)
    assert {p.name for p in tmp_path.iterdir()} == {"plain.wav", "torn.stem.mp4"}


def test_without_ffmpeg_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "song.mp4").write_bytes(b"something")
    (tmp_path / "song.stem.mp4").write_bytes(b"something")
    for call in (lambda: streams.read(tmp_path / "song.mp4"),
                 lambda: streams.read_stems(tmp_path / "song.stem.mp4"),
                 lambda: streams.write_stems(tmp_path / "x.stem.mp4", tones(0.1), RATE)):
        with pytest.raises(AudioError, match="takes ffmpeg .* sudo apt-get") as error:
            call()
        assert "\n" not in str(error.value)


def test_films_are_told_by_their_names():
    assert streams.is_film("a.MP4") and streams.is_film("b.stem.mp4")
    assert not streams.is_film("c.wav") and not streams.is_film("mp4")
    assert np.array_equal(streams.STREAMS, ("mixture", "drums", "bass", "other", "vocals"))
