"""audio: exact reading, faithful resampling, levels in dB, and a clear word for every bad file."""
import math
import os

import numpy as np
import pytest
import soundfile
import torch

from sep_helpers import audio

RATE = 8000


def tone(hertz, seconds=0.5, rate=RATE, amplitude=0.5):
    return amplitude * torch.sin(2 * math.pi * hertz * torch.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_what_is_written_is_read_back_to_half_a_step(tmp_path, suffix):
    speech = 0.1 * torch.randn(5000, generator=torch.Generator().manual_seed(0))
    audio.write(tmp_path / f"a.{suffix}", speech, RATE)
    again = audio.read(tmp_path / f"a.{suffix}", RATE)
    assert again.dtype == torch.float32 and again.shape == (5000,)
    assert (again - speech).abs().max() <= 0.5001 / 32768
    assert soundfile.info(tmp_path / f"a.{suffix}").subtype == "PCM_16"
    assert os.listdir(tmp_path) == [f"a.{suffix}"]      # no temporary file stays behind


def test_a_cut_is_the_slice_of_the_whole(tmp_path):
    audio.write(tmp_path / "a.flac", tone(300), RATE)
    whole = audio.read(tmp_path / "a.flac")
    assert torch.equal(audio.read(tmp_path / "a.flac", RATE, 1000, 1500), whole[1000:1500])
    assert torch.equal(audio.read(tmp_path / "a.flac", start=3999), whole[3999:])


@pytest.mark.parametrize("start, stop", [(0, 4001), (-1, 10), (10, 10), (4000, None)])
def test_a_cut_that_is_not_there_is_refused(tmp_path, start, stop):
    audio.write(tmp_path / "a.flac", tone(300), RATE)
    with pytest.raises(audio.AudioError, match="a.flac has 4000 samples: cannot cut"):
        audio.read(tmp_path / "a.flac", RATE, start, stop)


def test_wrong_rate_and_stereo_are_refused_by_read_and_mended_by_load_any(tmp_path):
    stereo = torch.stack([tone(440, rate=16000), -0.5 * tone(440, rate=16000)], dim=1)
    soundfile.write(tmp_path / "s.wav", stereo.numpy(), 16000)
    soundfile.write(tmp_path / "m.wav", stereo[:, 0].numpy(), 16000)
    with pytest.raises(audio.AudioError, match="m.wav is at 16000 Hz, not 8000: .*load_any"):
        audio.read(tmp_path / "m.wav", RATE)
    with pytest.raises(audio.AudioError, match="s.wav has 2 channels: .*load_any"):
        audio.read(tmp_path / "s.wav", 16000)
    mended = audio.load_any(tmp_path / "s.wav", RATE)
    assert mended.shape == (4000,)
    both = audio.load_any(tmp_path / "s.wav", RATE, channels=2)
    assert both.shape == (2, 4000) and torch.allclose(both.mean(0), mended, atol=1e-6)
    twice = audio.load_any(tmp_path / "m.wav", RATE, channels=2)
    assert twice.shape == (2, 4000) and torch.equal(twice[0], twice[1])
    assert (mended - 0.25 * tone(440))[200:-200].abs().max() < 1e-3


def test_stereo_is_read_and_written_channel_first(tmp_path):
    stereo = torch.stack([tone(300), 0.5 * tone(500)])
    for suffix in "wav", "flac":
        audio.write(tmp_path / f"s.{suffix}", stereo, RATE)
        assert soundfile.info(tmp_path / f"s.{suffix}").channels == 2
        again = audio.read(tmp_path / f"s.{suffix}", RATE, 100, 600, channels=2)
        assert again.shape == (2, 500) and again.is_contiguous()
        assert (again - stereo[:, 100:600]).abs().max() <= 0.5001 / 32768
    audio.write(tmp_path / "m.wav", tone(300)[None], RATE)
    left = audio.read(tmp_path / "s.wav", channels=2)[0]
    assert torch.equal(audio.read(tmp_path / "m.wav"), left)
    with pytest.raises(audio.AudioError, match="m.wav has 1 channel: not 2: .*load_any"):
        audio.read(tmp_path / "m.wav", RATE, channels=2)


def test_more_than_two_channels_are_refused_with_the_way_out(tmp_path):
    audio.write(tmp_path / "film.wav", tone(300).expand(6, -1), RATE)
    for channels in 1, 2:
        with pytest.raises(audio.AudioError, match="film.wav has 6 channels: mix .*ffmpeg .*-ac 2"):
            audio.load_any(tmp_path / "film.wav", RATE, channels)


def break_file(path, fault):
    """Make the recording at `path` bad in one of the ways in which files are."""
    if fault == "missing":
        path.unlink()
    elif fault == "not a sound":
        path.write_bytes(b"<html>404: not found</html>")
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:len(path.read_bytes()) // 2])
    elif fault == "no samples":
        soundfile.write(path, np.zeros(0), RATE)
    elif fault == "NaN":
        soundfile.write(path, np.full(100, np.nan), RATE, "FLOAT", format="WAV")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("fault, word", [
    ("missing", "does not exist: .*fetch"), ("not a sound", "unreadable .*: convert"),
    ("truncated", "truncated.*: fetch it again"), ("no samples", "empty"), ("NaN", "NaN")])
def test_bad_files_are_named_with_their_fault(tmp_path, suffix, fault, word):
    path = tmp_path / f"bad.{suffix}"
    audio.write(path, tone(200), RATE)
    break_file(path, fault)
    for reader in audio.read, audio.load_any:
        with pytest.raises(audio.AudioError, match=f"bad.{suffix} .*{word}") as caught:
            reader(path, RATE)
        assert "\n" not in str(caught.value)


def test_a_wav_from_a_pipe_whose_header_does_not_know_its_length_is_read(tmp_path):
    soundfile.write(tmp_path / "p.wav", tone(200).numpy(), RATE)
    data = bytearray((tmp_path / "p.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"      # what ffmpeg writes into a pipe
    (tmp_path / "p.wav").write_bytes(data)
    assert len(audio.read(tmp_path / "p.wav", RATE)) == 4000


def test_write_scales_down_what_would_clip_and_says_so(tmp_path):
    with pytest.warns(UserWarning, match="loud.wav: peak 3.00 would clip"):
        audio.write(tmp_path / "loud.wav", 3 * tone(1000, amplitude=1.0), RATE)
    again = audio.read(tmp_path / "loud.wav", RATE)
    assert 0.99 < again.abs().max() < 1
    torch.testing.assert_close(again, audio.CEILING * tone(1000, amplitude=1.0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name, waveform, word", [
    ("a.wav", torch.tensor([0.0, float("nan")]), "NaN"), ("a.mp3", torch.zeros(9), "use .wav"),
    ("a.wav", torch.zeros(9, 2), r"shape \(9, 2\)"),
    ("a.wav", torch.zeros(1, 2, 9), r"shape \(1, 2, 9\)"), ("a.wav", torch.tensor(1.0), "shape"),
    ("a.wav", torch.zeros(2, 0), r"shape \(2, 0\)"), ("a.wav", torch.zeros(0), r"shape \(0,\)"),
    ("no/such/a.wav", torch.zeros(9), "could not be written")])
def test_write_refuses(tmp_path, name, waveform, word):
    with pytest.raises(audio.AudioError, match=word):
        audio.write(tmp_path / name, waveform, RATE)
    assert not (tmp_path / name).exists()


def test_a_full_disk_leaves_the_old_recording_whole(tmp_path, monkeypatch):
    def fill(path, *_, **__):
        path.write_bytes(b"RIFF half of it")
        raise OSError(28, "No space left on device")

    audio.write(tmp_path / "a.wav", tone(300), RATE)
    monkeypatch.setattr(soundfile, "write", fill)
    with pytest.raises(audio.AudioError, match="a.wav could not be written .*No space left"):
        audio.write(tmp_path / "a.wav", tone(900), RATE)
    assert os.listdir(tmp_path) == ["a.wav"]
    torch.testing.assert_close(audio.read(tmp_path / "a.wav"), tone(300), rtol=0, atol=1e-4)


def test_a_read_only_file_system_is_named(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(type(tmp_path), "touch", refuse)
    monkeypatch.setattr(type(tmp_path), "unlink", refuse)      # it cannot tidy up either
    with pytest.raises(audio.AudioError, match="a.wav could not be written .*Read-only") as caught:
        audio.write(tmp_path / "a.wav", tone(300), RATE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 4000])
def test_resampling_keeps_a_tone(rate):
    resampled = audio.resample(tone(440, rate=rate), rate, RATE)
    assert resampled.dtype == torch.float32 and len(resampled) == 4000
    assert (resampled - tone(440))[400:-400].abs().max() < 1e-3


def test_resampling_removes_what_would_alias_and_takes_batches():
    high = audio.resample(tone(5000, rate=16000), 16000, RATE)
    assert audio.rms_db(high[200:-200]) < -80
    batch = torch.stack([tone(440, rate=16000), tone(700, rate=16000)])[None]
    resampled = audio.resample(batch, 16000, RATE)
    assert resampled.shape == (1, 2, 4000)
    torch.testing.assert_close(resampled[0, 1], audio.resample(batch[0, 1], 16000, RATE))
    assert audio.resample(batch, RATE, RATE) is batch


def test_levels():
    assert audio.rms_db(torch.ones(100)).item() == pytest.approx(0)
    assert audio.rms_db(tone(500, amplitude=1.0)).item() == pytest.approx(-3.0103, abs=1e-3)
    assert audio.rms_db(torch.zeros(100)).item() == pytest.approx(audio.FLOOR_DB)
    assert audio.rms_db(torch.ones(2, 3, 50)).shape == (2, 3)
    assert audio.rms_db(torch.ones(2, 3, 50), dim=0).shape == (3, 50)
    assert audio.gain(0) == 1 and audio.gain(-20) == pytest.approx(0.1)
    for shape in (100,), (2, 50):
        sound = 0.1 * torch.randn(shape)
        assert audio.level(sound) == pytest.approx(audio.rms_db(sound.flatten()).item(), abs=1e-4)
    assert audio.level(torch.zeros(2, 9)) == audio.FLOOR_DB
    quieter = audio.gain(-6.5) * tone(500)
    assert (audio.rms_db(quieter) - audio.rms_db(tone(500))).item() == pytest.approx(-6.5, abs=1e-4)


def test_fit_cuts_and_pads_at_the_end():
    ramp = torch.arange(6.0).reshape(2, 3)
    assert audio.fit(ramp, 2).tolist() == [[0, 1], [3, 4]]
    assert audio.fit(ramp, 4).tolist() == [[0, 1, 2, 0], [3, 4, 5, 0]]
    assert torch.equal(audio.fit(ramp, 3), ramp)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_24_bits_are_read_back_to_half_of_a_smaller_step(tmp_path, suffix):
    given = torch.rand(2, 5000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    audio.write(tmp_path / f"x.{suffix}", given, RATE, bits=24)
    back, _ = soundfile.read(tmp_path / f"x.{suffix}", dtype="float64", always_2d=True)
    assert np.abs(back.T - given.numpy()).max() <= 0.5001 / 2**23
    assert soundfile.info(tmp_path / f"x.{suffix}").subtype == "PCM_24"
