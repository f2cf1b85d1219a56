"""Sound files into sound files: lengths, rates, names, and what must not be written over."""

import numpy as np
import pytest
import soundfile
import torch
from torch import nn
from toy_corpus import make_corpus, make_sound

from sep_helpers import audio, separating
from sep_helpers.separating import (
    Job,
    SeparatingError,
    find_item,
    find_jobs,
    separate_file,
    tell_apart,
)

RATE = 8000


class Halves(nn.Module):
    """Two halves of the mixture that differ: what is smooth, and the rest."""

    sample_rate, n_sources, causal, config = RATE, 2, False, {}

    def forward(self, mixture):
        smooth = nn.functional.avg_pool1d(mixture, 3, 1, 1, count_include_pad=False)
        return torch.stack([smooth, mixture - smooth], 1)


def outputs(folder, stem="x"):
    return Job("x", folder, stem).outputs(2)


@pytest.mark.parametrize("samples, rate", [(9000, 8000), (44101, 44100), (16001, 16000), (7, 8000),
                                           (1, 8000), (11025, 11025), (100, 96000)])
def test_outputs_have_exactly_the_inputs_rate_and_length_in_16_bits(tmp_path, samples, rate):
    paths = outputs(tmp_path)
    separate_file(Halves(), make_sound(tmp_path / "x.wav", samples, rate), paths)
    for path in paths:
        info = soundfile.info(path)
        assert (info.frames, info.samplerate, info.channels) == (samples, rate, 1)
        assert info.subtype == "PCM_16" and path.stat().st_size == 44 + 2 * samples


def test_the_outputs_add_up_to_the_mixture(tmp_path):
    paths = outputs(tmp_path)
    mixture = audio.read(make_sound(tmp_path / "x.wav", 9000))
    assert separate_file(Halves(), tmp_path / "x.wav", paths) == []
    total = sum(audio.read(path) for path in paths)
    assert (total - mixture).abs().max() < 3 / 32768


def test_stereo_is_mixed_down_and_said_so(tmp_path):
    notes = separate_file(Halves(), make_sound(tmp_path / "x.wav", channels=2), outputs(tmp_path))
    assert notes == ["2 channels, mixed down to one"]


def test_channels_that_cancel_and_silence_are_said(tmp_path):
    x = 0.1 * np.random.default_rng(0).standard_normal(9000)
    soundfile.write(tmp_path / "x.wav", np.stack([x, -x], 1), RATE)
    assert "cancel each other" in separate_file(Halves(), tmp_path / "x.wav", outputs(tmp_path))[1]
    soundfile.write(tmp_path / "y.wav", 0 * x, RATE)
    assert "silent" in separate_file(Halves(), tmp_path / "y.wav", outputs(tmp_path))[0]
    assert not audio.read(outputs(tmp_path)[0]).any()


def test_a_higher_rate_and_a_clipping_output_are_said(tmp_path):
    notes = separate_file(Halves(), make_sound(tmp_path / "x.flac", rate=16000), outputs(tmp_path))
    assert notes == ["16000 Hz: nothing above 4000 Hz comes out of a network for 8000"]
    wave = np.tile([0.99, 0.99, -0.99], 3000)
    soundfile.write(tmp_path / "loud.wav", wave, RATE)
    notes = separate_file(Halves(), tmp_path / "loud.wav", outputs(tmp_path))
    assert notes[0].startswith("peak 1.3") and "scaled" in notes[0]


def test_after_an_error_nothing_is_left_behind(tmp_path, monkeypatch):
    write, calls = audio.write, []

    def fills_up(path, *rest):
        calls.append(path)
        if len(calls) == 2:
            raise audio.AudioError(f"{path} could not be written: no space")
        write(path, *rest)

    monkeypatch.setattr(separating.audio, "write", fills_up)
    with pytest.raises(audio.AudioError, match="no space"):
        separate_file(Halves(), make_sound(tmp_path / "x.wav"), outputs(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_less_than_a_sample_is_refused(tmp_path):
    with pytest.raises(SeparatingError, match="too short"):
        separate_file(Halves(), make_sound(tmp_path / "x.wav", 1, 96000), outputs(tmp_path))


def test_out_of_memory_says_what_would_fit(tmp_path):
    class Big(Halves):
        def forward(self, mixture):
            raise RuntimeError("CUDA out of memory. Tried to allocate")

    with pytest.raises(ValueError, match="--chunk 15"):
        separate_file(Big(), make_sound(tmp_path / "x.wav"), outputs(tmp_path))


# --- what there is to do

def test_a_folder_is_walked_and_earlier_outputs_are_no_inputs(tmp_path):
    for name in ("a.wav", "sub/b.flac", "a_source1.wav", "a_source2.wav", "song_source1.wav"):
        make_sound(tmp_path / "in" / name, 100)
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    jobs = find_jobs(str(tmp_path / "in"), tmp_path / "out")
    assert [(j.folder, j.stem) for j in jobs] == [
        (tmp_path / "out", "a"), (tmp_path / "out", "song_source1"), (tmp_path / "out/sub", "b")]
    assert {job.folder for job in find_jobs(str(tmp_path / "in"))} == {tmp_path / "in",
                                                                      tmp_path / "in/sub"}


def test_a_folder_without_sound_is_refused(tmp_path):
    with pytest.raises(SeparatingError, match="has no sound files"):
        find_jobs(str(tmp_path))


def test_outputs_never_share_a_name(tmp_path):
    jobs = [Job(tmp_path / name, tmp_path / "out", "x") for name in ("x.wav", "x.mp3", "x.wav")]
    assert [job.stem for job in tell_apart(jobs)] == ["x_wav", "x_mp3"]
    jobs = [Job(tmp_path / name, tmp_path / "out", "x") for name in ("a/x.wav", "b/x.wav")]
    assert [job.stem for job in tell_apart(jobs)] == ["a_x_wav", "b_x_wav"]
    jobs = [Job(tmp_path / name, tmp_path / "out", "x") for name in ("1/a/x.wav", "2/a/x.wav")]
    with pytest.raises(SeparatingError, match="different folders"):
        tell_apart(jobs)


def test_a_mixture_a_recording_and_nothing_by_their_id(tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    item = find_item(corpus, "unseen_00003")
    assert item["id"] == "unseen_00003" and item["sources"].shape[0] == 2
    for name in ("ann/1.flac", "ann/1"):
        assert torch.equal(find_item(corpus, name)["mixture"], corpus.waveform("ann/1.flac"))
    with pytest.raises(SeparatingError, match="5 recordings are called that"):
        find_item(corpus, "1")
    with pytest.raises(SeparatingError, match="no file, and no mixture"):
        find_item(corpus, "nobody.wav")


def test_a_mixture_by_id_comes_with_its_gain_in_the_order_of_its_sources(tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    item = find_item(corpus, "unseen_00003")

    class Knows(Halves):
        def forward(self, mixture):
            return item["sources"].flip(0)[None]

    job = Job("unseen_00003", tmp_path / "out", "unseen_00003")
    notes = separating.separate_item(Knows(), item, job)
    assert len(notes) == 2 and "dB against the mixture" in notes[0]
    assert item["cuts"][0].category in notes[0]
    for path, source in zip(job.outputs(2), item["sources"], strict=True):
        assert (audio.read(path) - source).abs().max() < 2 / 32768
    assert (tmp_path / "out" / "unseen_00003_mixture.wav").exists()
