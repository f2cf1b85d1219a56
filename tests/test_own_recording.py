"""own_recording: whatever a microphone or a phone delivers becomes voices, with a word about it."""

import base64
import shutil
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest
import soundfile
import torch
from test_separating import Halves

from sep_helpers import audio, own_recording
from sep_helpers.audio import AudioError
from sep_helpers.own_recording import RecordingError, clipped, microphone, separate, upload

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg on this machine")


def speechlike(samples, rate, channels=1, level=0.2):
    rng = np.random.default_rng(0)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * np.arange(samples) / rate)
    noise = rng.standard_normal((samples, channels)).clip(-2.5, 2.5)
    return level * swell[:, None] * (noise + 0.3 * rng.random((samples, 1)))


def recorded(path, seconds=1.0, rate=44100, **form):
    soundfile.write(path, speechlike(round(seconds * rate), rate, **form), rate)
    return path


def test_a_clean_mono_recording_needs_no_word(tmp_path):
    path = recorded(tmp_path / "talk.wav", rate=8000)
    result = separate(Halves(), path, tmp_path / "out")
    assert result.notes == []
    assert result.mixture == tmp_path / "out/talk/recording.wav"
    assert [voice.name for voice in result.voices] == ["voice_1.wav", "voice_2.wav"]
    waves = [audio.read(file, 8000) for file in (result.mixture, *result.voices)]
    assert (waves[0] - audio.read(path)).abs().max() < 1e-4
    assert (waves[1] + waves[2] - waves[0]).abs().max() < 2e-4       # nothing lost, all in time


def test_wrong_rate_and_stereo_are_mended_and_said(tmp_path):
    path = recorded(tmp_path / "talk.flac", 1.5, 44100, channels=2)
    result = separate(Halves(), path, tmp_path)
    said = "; ".join(result.notes)
    assert "2 channels, mixed down to one" in said and "nothing above 4000 Hz" in said
    for file in (result.mixture, *result.voices):
        assert audio.probe(file) == (66150, 44100, 1)


def test_a_clipped_recording_is_told_from_a_loud_one(tmp_path):
    loud = speechlike(20000, 8000)
    loud *= 0.99 / np.abs(loud).max()
    soundfile.write(tmp_path / "loud.wav", loud, 8000)
    soundfile.write(tmp_path / "clipped.wav", np.clip(6 * loud, -1, 1), 8000)
    assert separate(Halves(), tmp_path / "loud.wav", tmp_path).notes == []
    (note,) = [n for n in separate(Halves(), tmp_path / "clipped.wav", tmp_path).notes
               if n.startswith("clipped: ")]
    assert "record it softer" in note


@pytest.mark.parametrize("gain, many", [(0.5, 0), (1.0, 0), (1.5, 1), (8.0, 1)])
def test_flat_tops_are_counted_and_round_ones_are_not(gain, many):
    sine = 0.98 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000)[None]
    short = (32768 * np.clip(gain * sine, -1, 1)).astype(np.int16) / 32768
    assert (clipped(short) > 0) == many
    assert (clipped(0.5 * short) > 0) == many           # turned down after it was clipped


def test_minutes_go_through_in_chunks_and_voices_keep_their_files(tmp_path):
    """Two tones that take turns; a separator that hands them out the other way round every call."""
    rate, calls = 8000, []

    class Swapping(Halves):
        def forward(self, mixture):
            calls.append(mixture.shape[-1])
            both = super().forward(mixture)
            return both.flip(1) if len(calls) % 2 else both

    t = np.arange(95 * rate) / rate
    low, high = (0.3 * np.sin(2 * np.pi * f * t) for f in (150, 3500))
    soundfile.write(tmp_path / "long.wav", low + high, rate)
    result = separate(Swapping(), tmp_path / "long.wav", tmp_path)
    assert "1.6 minutes: separated in chunks of 30 s" in result.notes[0] and len(calls) == 4
    assert max(calls) <= 30 * rate
    power = []
    for voice in result.voices:
        seconds = audio.read(voice, rate).reshape(95, rate)
        spectrum = torch.fft.rfft(seconds).abs()
        power.append((spectrum[:, 150] > spectrum[:, 3500]).tolist())
    assert {all(power[0]), all(power[1])} == {True, False}
    assert {any(power[0]), any(power[1])} == {True, False}
    assert "the first 60 of 95 s" in result.player().data


def test_a_soft_recording_is_noticed(tmp_path):
    notes = separate(Halves(), recorded(tmp_path / "far.wav", level=1e-3), tmp_path).notes
    assert any(note.startswith("very soft (-6") for note in notes)


@needs_ffmpeg
def test_a_phones_format_goes_through_ffmpeg(tmp_path):
    wav = recorded(tmp_path / "talk.wav", 2.0, 48000)
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, tmp_path / "talk.m4a"], check=True)
    result = separate(Halves(), tmp_path / "talk.m4a", tmp_path / "out")
    samples, rate, channels = audio.probe(result.mixture)
    assert abs(samples - 96000) < 4800 and (rate, channels) == (48000, 1)
    assert sorted(f.name for f in result.mixture.parent.iterdir()) == [
        "recording.wav", "voice_1.wav", "voice_2.wav"]


def test_what_is_no_recording_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(AudioError, match="nowhere.wav does not exist"):
        separate(Halves(), tmp_path / "nowhere.wav", tmp_path)
    (tmp_path / "text.m4a").write_text("this is no sound")
    monkeypatch.setattr(own_recording.shutil, "which", lambda name: None)
    with pytest.raises(RecordingError, match="text.m4a is in a format that needs ffmpeg"):
        separate(Halves(), tmp_path / "text.m4a", tmp_path)
    monkeypatch.undo()
    if shutil.which("ffmpeg"):
        with pytest.raises(RecordingError, match="no sound that ffmpeg can read") as error:
            separate(Halves(), tmp_path / "text.m4a", tmp_path)
        assert "\n" not in str(error.value)


def test_everything_in_one_zip(tmp_path):
    result = separate(Halves(), recorded(tmp_path / "talk.wav", rate=8000), tmp_path / "out")
    with zipfile.ZipFile(result.download()) as archive:
        assert sorted(archive.namelist()) == ["recording.wav", "voice_1.wav", "voice_2.wav"]


# --- microphones

@pytest.fixture
def colab(monkeypatch):
    """A google.colab whose browser answers what the test says."""
    output, files = types.SimpleNamespace(), types.SimpleNamespace(saved=[])
    files.download = files.saved.append
    package = types.ModuleType("google.colab")
    package.output, package.files = output, files
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setattr(own_recording, "on_colab", lambda: True)
    return package


def test_on_colab_the_browser_records_and_nothing_is_overwritten(colab, tmp_path):
    wav = recorded(tmp_path / "sent.wav").read_bytes()
    asked = []
    colab.output.eval_js = lambda code: asked.append(code) or base64.b64encode(wav).decode()
    first = microphone(5, tmp_path / "mine.wav")
    second = microphone(5, tmp_path / "mine.wav")
    assert [first.name, second.name] == ["mine.wav", "mine_2.wav"]
    assert first.read_bytes() == second.read_bytes() == wav
    assert asked[0].endswith("sepRecord(5.0)") and "getUserMedia" in asked[0]


def test_a_browser_that_refuses_is_quoted(colab, tmp_path):
    colab.output.eval_js = lambda code: "error: the browser keeps the microphone: allow it"
    with pytest.raises(RecordingError, match="^the browser keeps the microphone: allow it"):
        microphone(1, tmp_path / "mine.wav")
    assert not (tmp_path / "mine.wav").exists()


def test_upload_and_download_on_colab(colab, tmp_path):
    wav = recorded(tmp_path / "sent.wav", rate=8000).read_bytes()
    colab.files.upload = lambda: {"../talk.wav": wav}
    path = upload(tmp_path / "own")
    assert path == tmp_path / "own/talk.wav" and path.read_bytes() == wav
    result = separate(Halves(), path, tmp_path / "out")
    assert colab.files.saved == []
    result.download()
    assert colab.files.saved == [str(tmp_path / "out/talk.zip")]
    colab.files.upload = dict
    with pytest.raises(RecordingError, match="no file was chosen"):
        upload(tmp_path / "own")


class FakeMicrophone(types.ModuleType):
    class PortAudioError(Exception):
        pass

    def rec(self, frames, samplerate, channels, dtype, blocking):
        if self.broken:
            raise self.PortAudioError("Error querying device -1")
        return np.full((frames, channels), 0.25, dtype)


def test_locally_sounddevice_records_and_its_absence_is_said(tmp_path, monkeypatch):
    fake = FakeMicrophone("sounddevice")
    fake.broken = False
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    path = microphone(0.5, tmp_path / "mine.wav")
    assert audio.probe(path) == (24000, 48000, 1) and audio.read(path).max() == 0.25
    fake.broken = True
    with pytest.raises(RecordingError, match="no microphone answers .*plug one in, or give the"):
        microphone(0.5, tmp_path / "mine.wav")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(RecordingError, match="pip install sounddevice, or give the path"):
        microphone(0.5, tmp_path / "mine.wav")
    with pytest.raises(RecordingError, match="notebook and files are on one machine"):
        upload(tmp_path)
