"""conversion: every recording becomes what the corpus needs, once, and again when it changes."""
import multiprocessing
import os
import sys

import numpy as np
import pytest
import soundfile
import torch
from toy_corpus import RATE, make_folder, make_tracks, noise, write_manifest

from sep_helpers import audio, conversion
from sep_helpers.corpora import CorpusError, check, open_corpus


def test_a_ready_folder_is_used_in_place(tmp_path, capsys):
    corpus = open_corpus(make_folder(tmp_path / "own"), cache=tmp_path / "cache")
    assert corpus.folder == (tmp_path / "own").resolve() and not (tmp_path / "cache").exists()
    assert set(corpus.table.speaker) == {"s0", "s1", "s2"} and set(corpus.table.samples) == {1600}
    assert capsys.readouterr().out == ""


def test_other_rates_channels_and_formats_are_converted_once(tmp_path, capsys):
    own = make_folder(tmp_path / "own", rate=16000)
    soundfile.write(own / "s1/two.ogg", np.stack([noise(1, 22050), noise(2, 22050)], 1), 22050)
    (own / "notes.txt").write_text("not a recording")
    corpus = open_corpus(own, cache=tmp_path / "cache")
    assert "converting 7 of 7 recordings" in capsys.readouterr().out
    assert corpus.folder == tmp_path / "cache" and check(corpus) == []
    assert corpus.table.set_index("file").samples["s1/two.ogg.flac"] == pytest.approx(RATE, abs=2)
    expected = audio.load_any(own / "s0/0.wav", RATE)
    torch.testing.assert_close(corpus.waveform("s0/0.wav.flac"), expected, rtol=0, atol=1e-4)
    again = open_corpus(own, cache=tmp_path / "cache")
    assert "converting" not in capsys.readouterr().out and again.table.equals(corpus.table)
    soundfile.write(own / "s0/0.wav", noise(7, 8000), 16000)       # a new take is converted anew
    os.utime(own / "s0/0.wav", (1e9, 1e9))                         # even if its date is older
    assert open_corpus(own, cache=tmp_path / "cache").table.samples[0] == 4000
    assert "converting 1 of 7" in capsys.readouterr().out


def test_the_default_cache_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    here = open_corpus(make_folder(tmp_path / "a" / "own", rate=16000)).folder
    there = open_corpus(make_folder(tmp_path / "b" / "own", rate=16000)).folder
    assert here != there and here.parent == there.parent == tmp_path / "home" / "sep_helpers"


def test_stereo_is_mixed_down_or_kept_in_caches_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    own = make_tracks(tmp_path / "own", rate=16000)
    mono, stereo = open_corpus(own), open_corpus(own, channels=2)
    assert mono.folder != stereo.folder
    file = "t3/vocals.wav.flac"
    assert mono.waveform(file).shape == (4000,) and stereo.waveform(file).shape == (2, 4000)
    mixed = stereo.waveform(file).mean(0)
    torch.testing.assert_close(mixed, mono.waveform(file), rtol=0, atol=1e-4)


def test_one_cache_serves_one_form_at_a_time(tmp_path):
    own = make_folder(tmp_path / "own", rate=16000)
    for rate, channels in [(8000, 1), (11025, 1), (8000, 2), (8000, 1)]:
        corpus = open_corpus(own, rate, channels, cache=tmp_path / "cache")
        assert check(corpus) == []
        assert corpus.table.samples[0] == pytest.approx(rate / 5, abs=1)


def test_a_conversion_that_breaks_off_goes_on(tmp_path, monkeypatch, capsys):
    own = make_folder(tmp_path / "own", rate=16000)
    whole = conversion.audio.write

    def break_off(path, *rest):
        if path.name == "1.wav.flac" and path.parent.name == "s1":
            raise KeyboardInterrupt
        whole(path, *rest)

    monkeypatch.setattr(conversion.audio, "write", break_off)
    with pytest.raises(KeyboardInterrupt):
        open_corpus(own, cache=tmp_path / "cache")
    monkeypatch.setattr(conversion.audio, "write", whole)
    (tmp_path / "cache/s0/1.wav.flac").write_bytes(b"fLaC, then nothing")     # a damaged copy
    capsys.readouterr()
    assert check(open_corpus(own, cache=tmp_path / "cache")) == []
    assert "converting 4 of 6" in capsys.readouterr().out


def test_two_processes_may_convert_at_once(tmp_path):
    own = make_folder(tmp_path / "own", speakers=4, recordings=6, rate=16000)

    def convert():
        corpus = open_corpus(own, cache=tmp_path / "cache")
        sys.exit(len(check(corpus)) + (len(corpus.table) != 24))

    running = [multiprocessing.get_context("fork").Process(target=convert) for _ in range(2)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0]
    files = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert files == {f"{number}.wav.flac" for number in range(6)} | {".index.csv"}    # no drafts


def test_recordings_that_would_become_one_are_refused(tmp_path):
    own = make_folder(tmp_path / "own", rate=16000)
    soundfile.write(own / "s0/0.wav.flac", noise(1), 16000)
    with pytest.raises(CorpusError, match="both become s0/0.wav.flac: rename one"):
        open_corpus(own, cache=tmp_path / "cache")


def test_a_cache_that_cannot_be_written_stops_the_conversion(tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(CorpusError, match="cannot convert into .*cache"):
        open_corpus(make_folder(tmp_path / "own", rate=16000), cache=tmp_path / "cache")


def test_a_large_corpus_opens_at_once_the_second_time(tmp_path, monkeypatch, capsys):
    own = make_folder(tmp_path / "own", speakers=4, recordings=5, rate=16000)
    soundfile.write(own / "s0/1.wav", np.zeros(3200), 16000)
    (own / "s1/1.wav").write_bytes(b"no sound")
    first = open_corpus(own, cache=tmp_path / "cache")
    assert len(first.table) == 18 and len(first.left_out) == 2

    def refuse(*_):
        raise AssertionError("no recording needs to be looked at")

    with monkeypatch.context() as patch:
        patch.setattr(conversion.audio, "probe", refuse)
        patch.setattr(conversion.audio, "load_any", refuse)
        capsys.readouterr()
        again = open_corpus(own, cache=tmp_path / "cache")
    said = capsys.readouterr().out
    assert "converting" not in said and "s0/1.wav is silent" in said and "1.wav is unread" in said
    assert again.table.equals(first.table) and again.left_out.equals(first.left_out)
    assert check(again) == []


def test_what_changed_meanwhile_is_converted_anew(tmp_path, capsys):
    own = make_folder(tmp_path / "own", recordings=3, rate=16000)
    open_corpus(own, cache=tmp_path / "cache")
    date = (own / "s0/0.wav").stat().st_mtime_ns
    soundfile.write(own / "s0/0.wav", noise(8, 4800), 16000)       # another length, the same date
    os.utime(own / "s0/0.wav", ns=(date, date))
    soundfile.write(own / "s0/new.wav", noise(9), 16000)
    (own / "s1/1.wav").unlink()
    (tmp_path / "cache/s2/0.wav.flac").write_bytes(b"fLaC")
    (tmp_path / "cache/s2/1.wav.flac").unlink()
    capsys.readouterr()
    corpus = open_corpus(own, cache=tmp_path / "cache")
    assert "converting 4 of 9" in capsys.readouterr().out
    assert check(corpus) == [] and corpus.table.samples[0] == 2400
    assert "s0/new.wav.flac" in set(corpus.table.file)
    assert "s1/1.wav.flac" not in set(corpus.table.file)


@pytest.mark.parametrize("text", ["", "index 1,16000,1,False\n", "index 1,8000,1,False\na,b\n",
                                  'index 1,8000,1,False\n"a', "index 1,8000,1,False\na,b,c,d,\n"])
def test_a_damaged_index_only_costs_time(tmp_path, text, capsys):
    own = make_folder(tmp_path / "own", rate=16000)
    first = open_corpus(own, cache=tmp_path / "cache")
    (tmp_path / "cache/.index.csv").write_text(text)
    capsys.readouterr()
    again = open_corpus(own, cache=tmp_path / "cache")
    assert again.table.equals(first.table) and check(again) == []
    assert "converting" not in capsys.readouterr().out             # the copies' dates tell enough


def test_a_link_out_of_the_corpus_is_not_converted(tmp_path):
    outside = make_folder(tmp_path / "outside", rate=16000)
    folder = make_folder(tmp_path / "corpus", rate=16000)
    os.symlink(outside / "s0/0.wav", folder / "s0/link.wav")
    os.symlink(outside / "s1", folder / "linked")
    write_manifest(folder, ["s0/0.wav,s0,train", "s1/0.wav,s1,train", "s0/link.wav,s0,train",
                            "linked/0.wav,s1,train"])
    corpus = open_corpus(folder, cache=tmp_path / "cache")
    assert set(corpus.table.file) == {"s0/0.wav.flac", "s1/0.wav.flac"}
    assert corpus.left_out.reason.str.contains("leads outside .*: copy it inside").sum() == 2
