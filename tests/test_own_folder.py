"""own_folder: any folder of recordings becomes a corpus; what cannot be used is named."""
import os

import numpy as np
import pandas as pd
import pytest
import soundfile
from toy_corpus import RATE, make_folder, make_tracks, noise

from sep_helpers import audio, own_folder
from sep_helpers.corpora import CorpusError, check, open_corpus


@pytest.mark.parametrize("rate", [RATE, 16000])     # in place, and converted
def test_unusable_recordings_are_left_out_and_named(tmp_path, capsys, rate):
    own = make_folder(tmp_path / "own", recordings=5, rate=rate)
    soundfile.write(own / "s0/1.wav", np.zeros(1600), rate)
    soundfile.write(own / "s1/2.wav", np.full(1600, np.nan), rate, "FLOAT")
    (own / "s2/3.wav").write_bytes(b"nonsense")
    (own / "s2/4.wav").write_bytes((own / "s2/4.wav").read_bytes()[:1000])
    corpus = open_corpus(own, cache=tmp_path / "cache")
    said = capsys.readouterr().out
    assert len(corpus.table) == 11 and check(corpus) == []
    for name, fault in [("s0/1.wav", "silent"), ("s1/2.wav", "NaN"), ("s2/3.wav", "unreadable"),
                        ("s2/4.wav", "truncated")]:
        assert any(name in line and fault in line for line in said.splitlines())
    assert "left out 4 recordings" in said
    assert set(corpus.left_out.file.str[:6]) == {"s0/1.w", "s1/2.w", "s2/3.w", "s2/4.w"}
    assert all(" " in reason and ":" in reason for reason in corpus.left_out.reason)


def test_what_cannot_be_a_recording_is_named_and_counted_with_the_remedy(tmp_path, capsys):
    own = make_folder(tmp_path / "own")
    for name in "s0/call.m4a", "s1/film.MP4", "notes.txt", "s0/words.csv", ".DS_Store":
        (own / name).write_bytes(b"x")
    soundfile.write(own / "stray.wav", noise(0), RATE)
    soundfile.write(own / "s0/click.wav", noise(0, 100), RATE)
    outside = make_folder(tmp_path / "outside")
    os.symlink(outside / "s0/0.wav", own / "s0/link.wav")
    os.symlink(outside / "s1", own / "s9")
    corpus = open_corpus(own)
    assert len(corpus.table) == 6 and set(corpus.table.speaker) == {"s0", "s1", "s2"}
    reasons = dict(zip(corpus.left_out.file, corpus.left_out.reason, strict=True))
    for file, remedy in {
            "s0/call.m4a": "ffmpeg -i call.m4a call.wav",
            "s1/film.MP4": "ffmpeg -i film.MP4 film.wav",
            "stray.wav": "move it into the one of its speaker", "s0/click.wav": "too short",
            "s0/link.wav": "copy the recording inside", "s9": "copy the folder inside",
            "notes.txt": "not a sound file", "s0/words.csv": "not a sound file"}.items():
        assert remedy in reasons.pop(file)
    assert not reasons
    said = capsys.readouterr().out
    assert "left out 6 recordings" in said and "call.m4a" in said
    assert "left out 2 files that are no sound files: notes.txt, s0/words.csv" in said


def test_many_faults_are_counted_rather_than_listed(tmp_path, capsys):
    own = make_folder(tmp_path / "own")
    for number in range(30):
        (own / f"s0/bad{number:02d}.wav").write_bytes(b"no")
    assert len(open_corpus(own).left_out) == 30
    said = capsys.readouterr().out
    assert said.count("bad") == 10 and "... and 20 more, see corpus.left_out" in said


def test_folders_that_cannot_be_a_corpus(tmp_path):
    with pytest.raises(CorpusError, match="nowhere is not a folder"):
        open_corpus(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="file is not a folder"):
        open_corpus(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="empty has no recordings: make a folder a speaker"):
        open_corpus(tmp_path / "empty")
    with pytest.raises(CorpusError, match=r"one speaker only \(s0\): .* at least two voices"):
        open_corpus(make_folder(tmp_path / "alone", speakers=1))
    bad = make_folder(tmp_path / "bad")
    for path in bad.rglob("*.wav"):
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match="no recording can be used, the first because .*s0/0.wav"):
        open_corpus(bad)


# --- categories and stems


def test_a_folder_a_track_with_stems_is_known_by_its_names(tmp_path, capsys):
    own = make_tracks(tmp_path / "own")
    soundfile.write(own / "t1/mixture.wav", noise(0), RATE)
    corpus = open_corpus(own, channels=2)
    assert corpus.kind == "stem" and corpus.channels == 2 and corpus.folder == own.resolve()
    assert set(corpus.table.category) == {"vocals", "drums", "bass"} == set(corpus.table.stem)
    assert len(corpus.table) == 12                              # with the silent bass
    assert "t1/mixture.wav is a mixture" in capsys.readouterr().out
    assert corpus.waveform("t2/drums.wav").shape == (2, 4000)
    assert corpus.rms_db("t0/Bass.wav") == audio.FLOOR_DB and check(corpus) == []
    assert (corpus.table.groupby("track").split.nunique() == 1).all()      # a track, one split
    assert set(corpus.table.split) == {"train", "val", "test"}


def test_a_folder_a_category(tmp_path):
    corpus = open_corpus(make_folder(tmp_path / "own", speakers=7, recordings=10), kind="category")
    assert corpus.kind == "category" and "speaker" not in corpus.table
    counts = corpus.table.groupby("category").split.value_counts().unstack()
    assert (counts == {"test": 1, "train": 8, "val": 1}).all(axis=None)


def test_an_unknown_kind_or_form_is_refused(tmp_path):
    own = make_folder(tmp_path / "own")
    with pytest.raises(CorpusError, match="kind='voice': .* kinds speaker, category, stem"):
        open_corpus(own, kind="voice")
    with pytest.raises(CorpusError, match="channels=6"):
        open_corpus(own, channels=6)
    for rate in (0, -8000, 7999.5, "8000", True, None):
        with pytest.raises(CorpusError, match=f"sample_rate={rate!r} must be a whole number"):
            open_corpus(own, sample_rate=rate)


def drawn(speakers, recordings, seed=0):
    table = pd.DataFrame([{"file": f"s{s}/{r}.wav", "speaker": f"s{s}"}
                          for s in range(speakers) for r in range(recordings)])
    return own_folder.split_speakers(table, seed)


@pytest.mark.parametrize("speakers, val, test", [(6, 2, 2), (8, 2, 2), (20, 2, 2), (100, 10, 10)])
def test_speakers_are_split_80_10_10(speakers, val, test):
    table = drawn(speakers, recordings=10)
    kinds = table.groupby("speaker").split.agg(lambda split: "+".join(sorted(set(split))))
    expected = {"val": val, "test": test, "test+train": speakers - val - test}
    assert kinds.value_counts().to_dict() == expected
    # of a training voice's ten recordings two are kept out, to test words never heard
    trained = kinds.index[kinds == "test+train"]
    assert (table[table.speaker.isin(trained)].split == "test").sum() == 2 * len(trained)


def test_few_recordings_or_few_speakers():
    assert set(drawn(10, recordings=4).groupby("speaker").split.nunique()) == {1}
    few = drawn(3, recordings=10).groupby("speaker").split.value_counts().unstack()
    assert (few == {"test": 1, "train": 8, "val": 1}).all(axis=None)
    assert set(drawn(2, recordings=1).split) == {"train"}


def test_the_split_comes_from_the_seed():
    assert drawn(20, 5, seed=1).equals(drawn(20, 5, seed=1))
    assert not drawn(20, 5, seed=1).equals(drawn(20, 5, seed=2))


def test_the_split_of_a_given_seed_does_not_change():
    # golden: what was drawn when the course first came out; a learner's trainings rest on it
    table = pd.DataFrame([{"file": f"s{s}/{r}.wav", "speaker": f"s{s}"}
                          for s in range(8) for r in range(3 + s % 4)])
    letters = own_folder.split_speakers(table).groupby("speaker").split.agg(
        lambda splits: "".join(split[1] for split in splits))
    assert letters.to_dict() == {"s0": "rrr", "s1": "rrrr", "s2": "eeeee", "s3": "aaaaaa",
                                 "s4": "eee", "s5": "rrrr", "s6": "aaaaa", "s7": "rrerrr"}
