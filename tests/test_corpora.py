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

from sep_helpers import audio, corpora
from sep_helpers.corpora import CorpusError, check, open_corpus

ASSETS = Path(__file__).parents[1] / "assets"
RATE = 8000


def noise(seed, samples=1600):
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def make_folder(folder, speakers=3, recordings=2, rate=RATE, suffix="wav"):
    """A folder a speaker: s0/0.wav, s0/1.wav, ..."""
    for s in range(speakers):
        (folder / f"s{s}").mkdir(parents=True)
        for r in range(recordings):
            soundfile.write(folder / f"s{s}/{r}.{suffix}", noise((s, r), rate // 5), rate)
    return folder


def write_manifest(folder, rows, columns="file,speaker,split"):
    (folder / "manifest.csv").write_text("\n".join([columns, *rows]) + "\n")


def two_voices(folder, *more_rows):
    """A folder with a good manifest of two voices, and rows of the test's own."""
    make_folder(folder, speakers=2, recordings=1)
    write_manifest(folder, ["s0/0.wav,s0,train", "s1/0.wav,s1,test", *more_rows])
    return folder


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


# --- manifests -------------------------------------------------------------------------------


def test_a_manifest_without_samples_gets_them_from_the_headers(tmp_path):
    corpus = open_corpus(two_voices(tmp_path))
    assert corpus.folder == tmp_path.resolve() and list(corpus.table.samples) == [1600, 1600]
    assert list(corpus.table.split) == ["train", "test"]


def test_a_manifest_of_categories_with_names_like_numbers(tmp_path):
    make_folder(tmp_path, speakers=2, recordings=1)
    write_manifest(tmp_path, ["s0/0.wav,007,train,1600", "s1/0.wav,NA,train,1600"],
                   "file,category,split,samples")
    assert list(open_corpus(tmp_path).table.speaker) == ["007", "NA"]


@pytest.mark.parametrize("row, message", [
    ("s1/9.wav,s1,test", "row 4: 's1/9.wav' is not there: fetch it again or delete its row"),
    ("../s.wav,s1,test", r"row 4: '../s.wav' is outside .*relative"),
    ("s0/../../s.wav,s1,test", "is outside"),
    ("/etc/passwd,s1,test", "row 4: '/etc/passwd' is outside"),
    ("s0/0.wav,s1,test", "row 4: 's0/0.wav' is listed twice: keep one row"),
    ("s1/1.wav,s1,dev", "row 4: 'dev' is not a split: use train, val, test"),
    ("s1/1.wav,,test", "row 4: 's1/1.wav' is without a speaker: name one")])
def test_faulty_rows_are_named(tmp_path, row, message):
    with pytest.raises(CorpusError, match=message) as caught:
        open_corpus(two_voices(tmp_path / "corpus", row))
    assert "\n" not in str(caught.value) and "manifest.csv" in str(caught.value)


@pytest.mark.parametrize("text, message", [
    ("file,split\na.wav,train\n", "lacks the column speaker: it has file, split"),
    ("file,speaker,split\n", "lists no recordings"),
    ("", "is not a CSV table"),
    ("file,speaker,split\na,b\nc,d,e,f,g\n", "is not a CSV table")])
def test_faulty_manifests_are_refused(tmp_path, text, message):
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(CorpusError, match=message):
        open_corpus(tmp_path)


def test_samples_that_are_no_number_are_refused(tmp_path):
    make_folder(tmp_path, speakers=2, recordings=1)
    write_manifest(tmp_path, ["s0/0.wav,s0,train,1600", "s1/0.wav,s1,train,many"],
                   "file,speaker,split,samples")
    with pytest.raises(CorpusError, match="row 3: 'many' is no number of samples"):
        open_corpus(tmp_path)


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


# --- a folder of one's own -------------------------------------------------------------------


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
    assert capsys.readouterr().out == "" and again.table.equals(corpus.table)
    soundfile.write(own / "s0/0.wav", noise(7, 8000), 16000)       # a new take is converted anew
    os.utime(own / "s0/0.wav", (2e9, 2e9))
    assert open_corpus(own, cache=tmp_path / "cache").table.samples[0] == 4000
    assert "converting 1 of 7" in capsys.readouterr().out


def test_the_default_cache_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    here = open_corpus(make_folder(tmp_path / "a" / "own", rate=16000)).folder
    there = open_corpus(make_folder(tmp_path / "b" / "own", rate=16000)).folder
    assert here != there and here.parent == there.parent == tmp_path / "home" / "sep_helpers"


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
    assert said.count("left out 2 of") == 2


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


def test_a_cache_that_cannot_be_written_stops_the_conversion(tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(CorpusError, match="cannot convert into .*cache"):
        open_corpus(make_folder(tmp_path / "own", rate=16000), cache=tmp_path / "cache")


def drawn(speakers, recordings, seed=0):
    table = pd.DataFrame([{"file": f"s{s}/{r}.wav", "speaker": f"s{s}"}
                          for s in range(speakers) for r in range(recordings)])
    return corpora.split_speakers(table, seed)


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


# --- real recordings -------------------------------------------------------------------------


@pytest.mark.parametrize("name, speakers, recordings", [
    ("speech_real", {"train": 171, "val": 20, "test": 26}, 273),
    ("digits_real", {"train": 3, "val": 1, "test": 1}, 1000)])
def test_real_corpora_open_in_place(name, speakers, recordings):
    if "SEP_REAL_DATA" not in os.environ:
        pytest.skip("SEP_REAL_DATA is not set")
    folder = Path(os.environ["SEP_REAL_DATA"]) / name
    corpus = open_corpus(folder)
    assert corpus.folder == folder.resolve() and len(corpus.table) == recordings
    assert corpus.table.groupby("split").speaker.nunique().to_dict() == speakers
    assert (corpus.table.samples / RATE - corpus.table.seconds).abs().max() < 0.01
    assert check(corpus) == []
