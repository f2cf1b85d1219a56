"""corpora: the embedded voices are whole and honest; any folder opens, or says why it does not."""
import hashlib
import importlib.util
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from toy_corpus import RATE, make_folder, noise, two_voices, write_manifest

from sep_helpers import audio, corpora
from sep_helpers.corpora import CorpusError, check, open_corpus

ASSETS = Path(__file__).parents[1] / "assets"
# --- the embedded corpus ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded():
    return corpora.embedded()


@pytest.fixture(scope="module")
def render():
    spec = importlib.util.spec_from_file_location("render", ASSETS / "render_voices.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_embedded_corpus_is_as_large_as_promised(embedded):
    english = embedded.table.query("language == 'en'")
    sentences = english.groupby("speaker").text.nunique()
    assert len(sentences) >= 28 and sentences.min() >= 12
    assert english.engine.nunique() >= 3
    assert set(english[english.split == "train"].engine) == set(english.engine)
    others = embedded.table.query("language != 'en'").groupby("language").speaker.nunique()
    assert len(others) >= 3 and others.min() >= 2
    size = sum(path.stat().st_size for path in (ASSETS / "voices").rglob("*") if path.is_file())
    assert size <= 11_000_000
    on_disk = {path.relative_to(ASSETS / "voices").as_posix()
               for path in (ASSETS / "voices").rglob("*.flac")}
    assert on_disk == set(embedded.table.file)


def test_embedded_recordings_are_the_listed_ones(embedded):
    assert embedded.sample_rate == RATE and not embedded.table.sha256.duplicated().any()
    for row in embedded.table.itertuples():
        waveform = embedded.waveform(row.file)
        samples = (32768 * waveform).to(torch.int16).numpy().astype("<i2")
        assert hashlib.sha256(samples.tobytes()).hexdigest() == row.sha256, row.file
        assert len(waveform) == row.samples == round(row.seconds * RATE)
        assert 1.2 < row.seconds < 4 and waveform.abs().max() < 0.99, row.file
        assert -30 < embedded.rms_db(row.file) < -25, row.file
        assert audio.rms_db(waveform[:200]) < -40 and audio.rms_db(waveform[-200:]) < -40, row.file


def test_embedded_sounds_open_and_other_names_are_refused():
    sounds = corpora.embedded("sounds")
    assert len(sounds.table) == 120 and check(sounds) == []
    with pytest.raises(CorpusError, match="no embedded corpus 'speech': there are voices, sounds"):
        corpora.embedded("speech")


def test_no_test_voice_and_no_test_sentence_was_heard_in_training(embedded):
    table = embedded.table
    train = embedded.select("train")
    for split in "val", "test":
        assert not set(embedded.select(split).text) & set(train.text)
        assert not set(embedded.select(split, heard=False).speaker) & set(train.speaker)
        assert len(embedded.select(split, heard=False)) >= 40
    assert set(embedded.select("test", heard=True).speaker) == set(train.speaker)
    unseen = embedded.select("test", heard=False, language="en")
    assert unseen.speaker.nunique() >= 4 and set(unseen.sex) == {"F", "M"}
    assert not set(unseen.speaker) & set(embedded.select("val").speaker)
    assert not table.groupby("speaker").text.apply(lambda text: text.duplicated().any()).any()


def test_embedded_voices_are_clearly_different(embedded, render):
    english = embedded.select(language="en").reset_index(drop=True)
    guess = render.classify(embedded.folder, english)
    assert (guess == english.speaker[guess.index]).mean() > 0.95
    # and the classifier can fail: shuffled labels are not told apart
    shuffled = english.assign(speaker=np.random.default_rng(0).permutation(english.speaker))
    guess = render.classify(embedded.folder, shuffled)
    assert (guess == shuffled.speaker[guess.index]).mean() < 0.2


def test_the_script_renders_the_same_samples_again(embedded, render):
    if not shutil.which("espeak-ng") or not shutil.which("flite") or not shutil.which("festival"):
        pytest.skip("needs espeak-ng, flite and festival")
    version = subprocess.run(["espeak-ng", "--version"], text=True, capture_output=True).stdout
    if " 1.51 " not in version:
        pytest.skip("the corpus was rendered with eSpeak NG 1.51")
    voices = pd.read_csv(render.SOURCE / "voices.csv", dtype=str, keep_default_na=False)
    render.need_voices(voices)
    for number, voice in voices.drop_duplicates(["engine", "language"]).iterrows():
        rows = embedded.select(speaker=voice.speaker)
        assert [*zip(rows.split, rows.text, strict=True)] == render.draw_sentences(voice, number)
        speech = render.speak(voice, rows.text.iloc[-1])
        assert hashlib.sha256(speech.astype("<i2").tobytes()).hexdigest() == rows.sha256.iloc[-1]


def test_the_script_names_a_missing_engine_and_a_missing_voice(render, monkeypatch):
    voices = pd.DataFrame({"engine": ["flite"], "voice": ["nobody"]})
    monkeypatch.setitem(render.LISTING, "flite", ["echo", "Voices available: kal slt"])
    with pytest.raises(SystemExit, match="missing voice of flite: nobody; sudo apt-get install"):
        render.need_voices(voices)
    monkeypatch.setitem(render.LISTING, "flite", ["no-such-program"])
    with pytest.raises(SystemExit, match="missing speech engine: flite; sudo apt-get install"):
        render.need_voices(voices)


# --- Corpus ----------------------------------------------------------------------------------


def test_waveforms_are_cached_but_not_pickled(tmp_path):
    corpus = open_corpus(two_voices(tmp_path))
    first = corpus.waveform("s0/0.wav")
    assert corpus.waveform("s0/0.wav") is first
    assert corpus.rms_db("s0/0.wav") == pytest.approx(-20, abs=0.5)
    worker = pickle.loads(pickle.dumps(corpus))
    assert len(pickle.dumps(corpus)) < first.nbytes
    assert torch.equal(worker.waveform("s0/0.wav"), first)


def test_the_cache_is_bounded(tmp_path, monkeypatch):
    corpus = open_corpus(two_voices(tmp_path))
    monkeypatch.setattr(corpora, "CACHE_BYTES", 4 * 1600)
    assert corpus.waveform("s0/0.wav") is corpus.waveform("s0/0.wav")
    assert corpus.waveform("s1/0.wav") is not corpus.waveform("s1/0.wav")


def test_select(embedded):
    assert len(embedded.select()) == len(embedded.table)
    assert set(embedded.select("val").split) == {"val"}
    heard, unheard = embedded.select("test", heard=True), embedded.select("test", heard=False)
    assert len(heard) + len(unheard) == len(embedded.select("test"))
    assert set(embedded.select(language=["de", "cs"], sex="F").speaker) == {"de_f", "cs_f"}
    with pytest.raises(CorpusError, match="no column 'age' in .*: there are file, speaker"):
        embedded.select(age=30)


def test_a_file_outside_the_table_is_refused(tmp_path):
    corpus = open_corpus(two_voices(tmp_path))
    with pytest.raises(CorpusError, match="nobody.wav is not in the corpus"):
        corpus.waveform("nobody.wav")


def test_a_link_out_of_the_corpus_is_refused(tmp_path):
    outside = make_folder(tmp_path / "outside", speakers=1, recordings=1)
    folder = two_voices(tmp_path / "corpus", "s1/link.wav,s1,test", "linked/0.wav,s1,test")
    os.symlink(outside / "s0/0.wav", folder / "s1/link.wav")
    os.symlink(outside / "s0", folder / "linked")
    corpus = open_corpus(folder)
    for file in "s1/link.wav", "linked/0.wav":
        with pytest.raises(CorpusError, match=f"{file} leads outside the corpus"):
            corpus.waveform(file)
    assert len(check(corpus)) == 2


def test_check_names_every_bad_recording(tmp_path):
    folder = make_folder(tmp_path, speakers=2, recordings=4)
    rows = [f"s{s}/{r}.wav,s{s},train,1600" for s in range(2) for r in range(4)]
    write_manifest(folder, rows, "file,speaker,split,samples")
    assert check(open_corpus(folder)) == []
    soundfile.write(folder / "s0/1.wav", np.zeros(1600), RATE)
    soundfile.write(folder / "s0/2.wav", noise(0, 1600), 16000)
    soundfile.write(folder / "s1/1.wav", noise(0, 900), RATE)
    soundfile.write(folder / "s1/3.wav", np.full(1600, np.nan), RATE, "FLOAT")
    problems = check(open_corpus(folder))
    expected = ["0/1.wav is silent", "0/2.wav is at 16000 Hz", "1/1.wav has 900 samples, the "
                "manifest says 1600", "1/3.wav has samples that are NaN"]
    assert len(problems) == 4
    assert all(part in line for part, line in zip(expected, problems, strict=True))


def test_another_rate_behind_the_first_file_is_noticed(tmp_path, capsys):
    folder = make_folder(tmp_path / "a", speakers=3, recordings=2)
    rows = [f"s{s}/{r}.wav,s{s},train,1600" for s in range(3) for r in range(2)]
    write_manifest(folder, rows, "file,speaker,split,samples")
    soundfile.write(folder / "s2/0.wav", noise(0, 3200), 16000)     # one speaker's first: mended
    corpus = open_corpus(folder, cache=tmp_path / "cache")
    assert corpus.folder == tmp_path / "cache" and check(corpus) == []
    soundfile.write(folder / "s2/0.wav", noise(0), RATE)
    soundfile.write(folder / "s2/1.wav", noise(0, 3200), 16000)     # a later one: named when read
    corpus = open_corpus(folder)
    assert corpus.waveform("s2/0.wav").shape == (1600,)
    with pytest.raises(CorpusError, match="s2/1.wav is at 16000 Hz .*: delete the column samples"):
        corpus.waveform("s2/1.wav")
    assert len(check(corpus)) == 1


def test_a_large_corpus_is_indexed_without_opening_its_files(tmp_path, monkeypatch):
    rows, headers = [], []
    soundfile.write(tmp_path / "one.wav", noise(0), RATE)
    for speaker in range(300):
        (tmp_path / f"s{speaker}").mkdir()
        for number in range(10):
            os.link(tmp_path / "one.wav", tmp_path / f"s{speaker}/{number}.wav")
            rows.append(f"s{speaker}/{number}.wav,s{speaker},train,1600")
    write_manifest(tmp_path, rows, "file,speaker,split,samples")
    probe = audio.probe
    monkeypatch.setattr(audio, "probe", lambda path: headers.append(path) or probe(path))
    corpus = open_corpus(tmp_path)
    assert len(corpus.table) == 3000 and corpus.table.file.tolist()[-1] == "s299/9.wav"
    assert corpus.folder == tmp_path.resolve() and corpus.table.samples.sum() == 3000 * 1600
    assert 100 < len(headers) <= corpora.PROBED       # a look at many speakers, not at every file
    (tmp_path / "s150/3.wav").unlink()
    with pytest.raises(CorpusError, match="row 1505: 's150/3.wav' is not there"):
        open_corpus(tmp_path)


def test_a_manifest_without_splits_gets_them_drawn(tmp_path, capsys):
    folder = make_folder(tmp_path, speakers=3, recordings=10)
    rows = [f"s{s}/{r}.wav,s{s}" for s in range(3) for r in range(10)]
    write_manifest(folder, rows, "file,category")
    corpus = open_corpus(folder)
    assert "manifest.csv has no column split: drawn" in capsys.readouterr().out
    assert (corpus.table.groupby("category").split.nunique() == 3).all()
    assert corpus.table.split.equals(open_corpus(folder).table.split)


def test_the_recordings_may_be_divided_otherwise(tmp_path):
    corpus = open_corpus(two_voices(tmp_path))
    other = corpus.with_split(pd.Series(["", "val"]))
    assert list(other.table.split) == ["", "val"] and list(corpus.table.split) == ["train", "test"]
    assert len(other.select("train")) == 0 and list(other.select("val").file) == ["s1/0.wav"]
    assert other.waveform("s0/0.wav") is corpus.waveform("s0/0.wav")
    with pytest.raises(CorpusError, match="'dev' is not a split"):
        corpus.with_split(pd.Series(["dev", "val"]))


def test_a_speaker_in_two_splits_is_a_leak_that_is_refused_when_asked(tmp_path):
    folder = make_folder(tmp_path, speakers=2, recordings=2)
    write_manifest(folder, ["s0/0.wav,s0,train", "s0/1.wav,s0,test", "s1/0.wav,s1,train"])
    corpus = open_corpus(folder)
    assert corpora.leaks(corpus) == ["s0"] and corpora.leaks(corpus, "file") == []
    with pytest.raises(CorpusError, match="speaker 's0' .*is in more than one split: give each"):
        open_corpus(folder, disjoint=True)
    assert corpora.leaks(corpus.with_split(pd.Series(["train", "", "train"]))) == []


# --- real recordings -------------------------------------------------------------------------


needs_recordings = pytest.mark.skipif("SEP_REAL_DATA" not in os.environ,
                                      reason="SEP_REAL_DATA is not set")


def real(name):
    return Path(os.environ["SEP_REAL_DATA"]) / name


@needs_recordings
@pytest.mark.parametrize("name, speakers, recordings", [
    ("speech_real", {"train": 171, "val": 20, "test": 26}, 273),
    ("digits_real", {"train": 3, "val": 1, "test": 1}, 1000)])
def test_real_speech_opens_in_place(name, speakers, recordings):
    corpus = open_corpus(real(name), disjoint=True)
    assert corpus.folder == real(name).resolve() and len(corpus.table) == recordings
    assert corpus.table.groupby("split").speaker.nunique().to_dict() == speakers
    assert (corpus.table.category == corpus.table.speaker).all() and corpus.kind == "speaker"
    assert (corpus.table.samples / RATE - corpus.table.seconds).abs().max() < 0.01
    assert check(corpus) == []


@needs_recordings
def test_real_sounds_are_resampled_once(tmp_path, capsys):
    corpus = open_corpus(real("environment_real"), cache=tmp_path)
    assert corpus.kind == "category" and "speaker" not in corpus.table
    assert corpus.table.category.nunique() == 10 and len(corpus.table) == 318
    assert corpus.folder == tmp_path and check(corpus) == []
    assert "converting 318 of 318" in capsys.readouterr().out
    open_corpus(real("environment_real"), cache=tmp_path)
    assert "converting" not in capsys.readouterr().out
    assert open_corpus(real("environment_real"), 16000).folder == real("environment_real").resolve()


@needs_recordings
def test_real_stems_open_in_stereo_and_in_mono(tmp_path):
    corpus = open_corpus(real("music_real"), 22050, channels=2, disjoint=True)
    assert corpus.folder == real("music_real").resolve() and corpus.kind == "stem"
    assert set(corpus.table.category) == {"vocals", "drums", "bass", "other"}
    assert corpus.table.track.nunique() == 10 and len(corpus.table) == 40 and check(corpus) == []
    assert corpus.waveform(corpus.table.file[0]).shape == (2, corpus.table.samples[0])
    some = corpus.table.index[(corpus.table.rms_db > -60)]
    for row in corpus.table.loc[some].itertuples():
        assert corpus.rms_db(row.file) == pytest.approx(row.rms_db, abs=0.2)
    mono = open_corpus(real("music_real"), cache=tmp_path)
    assert mono.waveform(mono.table.file[0]).ndim == 1 and len(mono.table) == 40
