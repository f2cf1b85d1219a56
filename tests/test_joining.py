"""joining: several corpora become one, and every recording keeps saying where it comes from."""

import os

import pytest
import soundfile
from toy_corpus import make_corpus, make_sound, write_manifest

from sep_helpers import joining
from sep_helpers.joining import Part
from sep_helpers.manifests import CorpusError


@pytest.fixture
def voices(tmp_path):
    make_corpus(tmp_path / "ours")
    make_sound(tmp_path / "theirs/ann/a.flac", rate=16000)
    make_sound(tmp_path / "theirs/zoe/z.flac", rate=16000)
    write_manifest(tmp_path / "theirs", ["ann/a.flac,ann,train,F,CC-BY-4.0,www/a.flac",
                                         "zoe/z.flac,zoe,val,F,CC-BY-4.0,www/z.flac"],
                   "file,speaker,split,sex,licence,source_file")
    return tmp_path


def sounds(folder, licence=""):
    for name in ("rain", "dog"):
        make_sound(folder / name / "0.flac")
    write_manifest(folder, ["rain/0.flac,rain,train", "dog/0.flac,dog,val"], "file,category,split")
    return Part(folder, licence=licence, called={"dog": "hound"})


def test_all_are_there_once_at_one_rate_and_nobody_shares_a_name(voices, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(voices / "cache"))
    corpus = joining.join(voices / "all", {"ours": Part(voices / "ours", {"split": "train"}, "CC0"),
                                           "theirs": Part(voices / "theirs")})
    table = corpus.table.set_index("file")
    assert corpus.kind == "speaker" and corpus.folder == (voices / "all").resolve()
    assert set(table.speaker) == {"ours/ann", "ours/bob", "ours/cat", "theirs/ann", "theirs/zoe"}
    assert len(table) == 8 + 2                           # ann's kept-out recording is not training
    assert set(table.split[table.corpus == "ours"]) == {"train"}
    for file in corpus.table.file:
        assert soundfile.info(corpus.folder / file).samplerate == 8000
        assert corpus.waveform(file).shape[-1] == table.samples[file]
    ours = soundfile.read(voices / "ours/bob/1.flac")[0]
    assert (corpus.waveform("ours/bob/1.flac").numpy() == ours.astype("float32")).all()


def test_what_was_heard_names_corpus_source_and_licence(voices, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(voices / "cache"))
    corpus = joining.join(voices / "all", {"ours": Part(voices / "ours", licence="CC0"),
                                           "theirs": Part(voices / "theirs")})
    heard = joining.heard(corpus, corpus.select(split="train"))
    assert list(heard) == ["corpus", "source", "who", "split", "licence"]     # no empty columns
    assert len(heard) == len(corpus.select(split="train"))
    assert heard.iloc[-1].tolist() == ["theirs", "www/a.flac", "theirs/ann", "train", "CC-BY-4.0"]
    assert set(heard.licence[heard.corpus == "ours"]) == {"CC0"}


def test_categories_keep_their_names_or_get_another(tmp_path):
    corpus = joining.join(tmp_path / "all", {"a": sounds(tmp_path / "a"),
                                             "b": Part(sounds(tmp_path / "b").folder)})
    assert sorted(corpus.table.category) == ["dog", "hound", "rain", "rain"]


def test_a_second_time_nothing_is_copied_but_what_has_changed(voices):
    parts = {"ours": Part(voices / "ours")}
    joining.join(voices / "all", parts)
    old = voices / "all/ours/ann/0.flac"
    os.utime(old, (1, 1))
    (voices / "all/ours/bob/0.flac").write_bytes(b"cut short")
    corpus = joining.join(voices / "all", parts)
    assert old.stat().st_mtime == 1
    assert corpus.waveform("ours/bob/0.flac").shape == (8000,)


def test_faults_are_one_line(voices):
    with pytest.raises(CorpusError, match="corpora of speaker and category: join those of one"):
        joining.join(voices / "all", {"ours": Part(voices / "ours"),
                                      "sounds": sounds(voices / "sounds")})
    with pytest.raises(CorpusError, match="ours: .* has no recordings with {'split': 'val'}"):
        joining.join(voices / "all", {"ours": Part(voices / "ours", {"split": "val"})})
    with pytest.raises(CorpusError, match="nothing to join"):
        joining.join(voices / "all", {})
