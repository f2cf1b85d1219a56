"""song_separation: any length and rate in, the same out, and the stems are the song again."""

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from sep_helpers import audio, models, song_separation
from sep_helpers.evaluation import EvaluationError
from sep_helpers.song_separation import (
    names_of,
    separate_file,
    separate_song,
    share_out,
)

RATE = 8000
STEMS = ["vocals", "drums", "bass", "other"]


class Parts(nn.Module):
    """Hands out fixed parts of what it hears; they add up to `total` of it."""

    def __init__(self, total=1.0, channels=2):
        super().__init__()
        self.parts = nn.Parameter(total * torch.tensor([0.4, 0.3, 0.2, 0.1]), requires_grad=False)
        self.sample_rate, self.n_sources, self.channels, self.causal = RATE, 4, channels, False
        self.names, self.longest, self.config = STEMS, 0, {}

    def forward(self, mixture):
        self.longest = max(self.longest, mixture.shape[-1])
        parts = self.parts.reshape(1, 4, *[1] * (mixture.dim() - 1))
        return parts * mixture.unsqueeze(1)


def noise(channels=2, samples=20000, seed=0):
    return 0.1 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def decibels(error, reference):
    return 10 * np.log10(np.square(error).sum() / np.square(reference).sum())


@pytest.mark.parametrize("samples", [1, 800, 8001, 20000, 33333])
@pytest.mark.parametrize("channels", [1, 2])
def test_chunks_join_without_a_seam(samples, channels):
    model, song = Parts(channels=channels), noise(samples=samples)
    done = []
    stems = separate_song(model, song, 1.0, 0.25, lambda *count: done.append(count))
    assert stems.shape == (4, 2, samples) and model.longest <= RATE
    assert torch.allclose(stems, model.parts.reshape(4, 1, 1) * song, atol=1e-6)
    assert done[-1][0] == done[-1][1] == len(done)


def test_a_real_network_in_chunks_comes_near_itself_whole():
    torch.manual_seed(0)
    network = models.build(models.complete({"name": "unet", "depth": 2, "width": 2, "channels": 2,
                                            "n_sources": 4, "n_fft": 64, "hop": 16})).eval()
    song = noise()
    whole = network(song[None])[0].detach()
    pieces = separate_song(network, song, 1.0, 0.25)
    assert decibels((pieces - whole).numpy(), whole.numpy()) < -25
    assert decibels((pieces.sum(0) - song).numpy(), song.numpy()) < -100


@pytest.mark.parametrize("highs", [False, True])
def test_what_is_missing_goes_to_those_that_sound(highs):
    song, t = noise(samples=32000), torch.arange(32000)
    estimates = torch.zeros(3, 2, 32000)
    estimates[0, :, :12000] = 0.5 * torch.sin(2.5 * t[:12000])            # treble, then nothing
    estimates[1, :, 16000:] = 0.5 * torch.sin(2.5 * t[16000:])
    before = estimates.clone()
    stems = share_out(estimates, song, highs)
    assert stems is estimates and torch.allclose(stems.sum(0), song, atol=1e-5)
    missing = song - before.sum(0)
    given = (stems - before) * missing.sign()
    assert (given[0, :, 2000:10000].mean() > 20 * given[1, :, 2000:10000].mean())
    assert (given[1, :, 20000:].mean() > 20 * given[0, :, 20000:].mean())


def test_the_band_above_follows_the_treble_and_not_the_bass():
    """A loud bass does not get the cymbals' overtones."""
    t = torch.arange(40960)
    bass, cymbals = 0.5 * torch.sin(0.02 * t), 0.05 * torch.sin(2.0 * t)
    estimates = torch.stack([bass, cymbals])[:, None].expand(2, 2, -1).clone()
    above = 0.02 * torch.sin(2.9 * t).expand(2, -1)
    before = estimates.clone()
    stems = share_out(estimates, estimates.sum(0) + above, highs=True)
    got = (stems - before).square().sum((1, 2))
    assert got[1] > 1000 * got[0]


@pytest.mark.parametrize("rate", [RATE, 22050, 44100, 4000])
@pytest.mark.parametrize(("total", "channels"), [(1.0, 2), (0.6, 2), (1.0, 1)])
def test_the_written_stems_add_up_to_the_song(tmp_path, rate, total, channels):
    """Below -60 dB, whatever the network loses and whatever lies above its band."""
    song = noise(samples=rate + 13).numpy().T
    soundfile.write(tmp_path / "song.wav", song, rate, "FLOAT")
    outputs = [tmp_path / f"song_{name}.wav" for name in STEMS]
    notes = separate_file(Parts(total, channels), tmp_path / "song.wav", outputs)
    read = [soundfile.read(path) for path in outputs]
    assert all(r == rate and x.shape == song.shape for x, r in read)
    assert decibels(sum(x for x, _ in read) - song, song) < -100
    assert soundfile.info(outputs[0]).subtype == "PCM_24"
    text = " ".join(notes)
    assert ("share of the treble" in text) == (rate > RATE)
    assert ("misses all above 2000 Hz" in text) == (rate < RATE)


def test_a_quiet_song_adds_up_too(tmp_path):
    song = 1e-3 * noise().numpy().T
    soundfile.write(tmp_path / "song.wav", song, RATE, "FLOAT")
    outputs = [tmp_path / f"{name}.wav" for name in STEMS]
    separate_file(Parts(), tmp_path / "song.wav", outputs)
    total = sum(soundfile.read(path)[0] for path in outputs)
    assert decibels(total - song, song) < -60


def test_what_would_clip_is_scaled_alike_and_said(tmp_path):
    song = noise().numpy().T
    soundfile.write(tmp_path / "song.wav", 5 * song, RATE, "FLOAT")
    outputs = [tmp_path / f"{name}.wav" for name in STEMS]
    notes = separate_file(Parts(), tmp_path / "song.wav", outputs)
    assert any("clipped" in note for note in notes)
    scale = next(float(note.split("scaled by ")[1].split(",")[0]) for note in notes
                 if "scaled by" in note) if any("scaled" in n for n in notes) else 1.0
    total = sum(soundfile.read(path)[0] for path in outputs)
    assert decibels(total - 5 * scale * song, 5 * scale * song) < -60


# --- bad and odd input, one line each

def test_mono_stays_mono_and_says_so(tmp_path):
    soundfile.write(tmp_path / "mono.wav", noise(1).numpy().T, RATE, "FLOAT")
    outputs = [tmp_path / f"{name}.wav" for name in STEMS]
    notes = separate_file(Parts(), tmp_path / "mono.wav", outputs)
    assert any(note.startswith("mono: the network gets it on both sides") for note in notes)
    assert soundfile.info(outputs[0]).channels == 1
    total = sum(soundfile.read(path)[0] for path in outputs)
    assert decibels(total - noise(1).numpy()[0], noise(1).numpy()) < -100


def test_what_cannot_be_separated_is_one_line_and_writes_nothing(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "cinema.wav", noise(6).numpy().T, RATE)
    (tmp_path / "film.mp4").write_bytes(b"no film")
    (tmp_path / "words.wav").write_text("words")
    monkeypatch.setenv("PATH", "")
    outputs = [tmp_path / f"out_{name}.wav" for name in STEMS]
    for name, says in [("cinema.wav", "has 6 channels: mix it down to two, with ffmpeg"),
                       ("film.mp4", "takes ffmpeg to read"), ("words.wav", "is unreadable"),
                       ("none.wav", "does not exist")]:
        with pytest.raises(audio.AudioError, match=says) as error:
            separate_file(Parts(), tmp_path / name, outputs)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("out_*"))


@pytest.mark.parametrize(("song", "says"), [
    (torch.zeros(3, 100), r"\(3, 100\).*\(2, time\)"), (torch.zeros(100), "give floats"),
    (torch.zeros(2, 0), "give floats"), (torch.zeros(2, 9).int(), "torch.int32"),
    (torch.full((2, 9), torch.nan), "NaN or infinite")])
def test_what_is_no_song_is_refused(song, says):
    with pytest.raises(EvaluationError, match=says) as error:
        separate_song(Parts(), song)
    assert "\n" not in str(error.value)
    with pytest.raises(EvaluationError, match="half a chunk"):
        separate_song(Parts(), noise(), 1.0, 0.8)


def test_silence_is_said_and_stays_silence(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros((4000, 2)), RATE)
    outputs = [tmp_path / f"{name}.wav" for name in STEMS]
    notes = separate_file(Parts(), tmp_path / "silent.wav", outputs)
    assert notes == ["silent, and so are its stems"]
    assert not any(soundfile.read(path)[0].any() for path in outputs)


def test_the_networks_mode_and_names():
    model = Parts().train()
    separate_song(model, noise())
    assert model.training and names_of(model) == STEMS and song_separation.is_for_stems(model)
    del model.names
    model.channels = 1
    assert names_of(model) == ["source1", "source2", "source3", "source4"]
    assert not song_separation.is_for_stems(model)
