"""public_corpora and corpus_layouts: archives like the real ones become corpora, or nothing."""

import hashlib
import os
import re
import shutil

import archive_layouts
import numpy as np
import pytest
import soundfile
import yaml
from web import Web

from sep_helpers import corpus_layouts, public_corpora
from sep_helpers.archives import ArchiveError
from sep_helpers.corpora import CorpusError, check, leaks, open_corpus
from sep_helpers.downloads import DownloadError

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


@pytest.fixture
def web():
    web = Web()
    yield web
    web.close()


def serve(web, name, data):
    """Where the archive of a corpus is to be had."""
    path = "/" + public_corpora.SOURCES[name].urls[0].rsplit("/", 1)[1]
    web.files[path] = data
    return [web.url(path)]


def fetch(web, tmp_path, name, data, **options):
    options = {"checksum": "md5:" + hashlib.md5(data).hexdigest(), "pause": 0.01} | options
    return public_corpora.fetch(name, tmp_path / "data", urls=serve(web, name, data), **options)


def test_a_read_corpus_comes_with_its_readers_and_a_split(web, tmp_path, capsys):
    folder = fetch(web, tmp_path, "librispeech-dev-clean", archive_layouts.librispeech())
    assert sorted(os.listdir(folder)) == ["LibriSpeech", "SOURCE.yaml", "manifest.csv"]
    assert os.listdir(tmp_path / "data") == ["librispeech-dev-clean"]        # no archive, no drafts
    corpus = open_corpus(folder, 16000)
    assert corpus.kind == "speaker" and corpus.folder == folder and check(corpus) == []
    assert len(corpus.table) == 24
    assert set(corpus.table.speaker) == {str(reader) for reader in range(100, 108)}
    assert set(corpus.table[corpus.table.speaker == "101"].sex) == {"M"}
    assert set(corpus.table.split) == {"train", "val", "test"} and leaks(corpus) == []
    source = yaml.safe_load((folder / "SOURCE.yaml").read_text())
    assert source["licence"] == "CC BY 4.0" and source["verified"] is True
    assert source["address"].endswith("/dev-clean.tar.gz") and len(source["sha256"]) == 64
    assert "librispeech-dev-clean: LibriSpeech dev-clean, CC BY 4.0" in capsys.readouterr().out
    requests = len(web.log)
    assert fetch(web, tmp_path, "librispeech-dev-clean", b"another") == folder     # there already
    assert len(web.log) == requests


def test_digits_open_at_their_own_rate(web, tmp_path, capsys):
    folder = fetch(web, tmp_path, "fsdd", archive_layouts.fsdd(), checksum=None)
    said = capsys.readouterr().out
    assert "no checksum is known for fsdd.tar.gz" in said and "could not be verified" in said
    corpus = open_corpus(folder)
    assert corpus.folder == folder and check(corpus) == [] and len(corpus.table) == 36
    assert set(corpus.table.speaker) == {"ann", "bob", "cat"}
    source = yaml.safe_load((folder / "SOURCE.yaml").read_text())
    assert source["verified"] is False and source["sha256"] in said


def test_sounds_are_split_by_fold(web, tmp_path):
    folder = fetch(web, tmp_path, "esc10", archive_layouts.esc10())
    corpus = open_corpus(folder, 8000, cache=tmp_path / "cache")
    assert corpus.kind == "category" and len(corpus.table) == 30 and check(corpus) == []
    assert set(corpus.table.category) == {"dog_bark", "sea_waves", "rain"}
    assert corpus.table.split.value_counts().to_dict() == {"train": 18, "val": 6, "test": 6}
    assert leaks(corpus, "fold") == []


def test_the_larger_set_of_sounds_names_its_categories(web, tmp_path):
    table = open_corpus(fetch(web, tmp_path, "esc50", archive_layouts.esc50()), 44100).table
    assert len(table) == 10 and set(table.category) == {"dog", "rain"}
    assert table[table.category == "dog"].esc10.astype(str).eq("True").all()


@needs_ffmpeg
def test_stems_are_taken_out_of_their_films(web, tmp_path):
    folder = fetch(web, tmp_path, "musdb18-7s", archive_layouts.musdb(tmp_path))
    assert not list(folder.rglob("*.mp4"))
    corpus = open_corpus(folder, 44100, channels=2)
    assert corpus.kind == "stem" and corpus.folder == folder and check(corpus) == []
    assert set(corpus.table.track) == {"A - One", "B - Two", "C & Co: 'Three'"}
    assert list(corpus.table.stem[:4]) == ["drums", "bass", "other", "vocals"]
    assert corpus.table.groupby("split").track.nunique().to_dict() == {"test": 1, "train": 2}
    for stem, hertz in ("drums", 400), ("bass", 600), ("other", 800), ("vocals", 1000):
        file = f"test/C & Co: 'Three'/{stem}.flac"
        assert soundfile.info(folder / file).subtype == "PCM_16"
        left = corpus.waveform(file)[0, 4410:17640]
        spectrum = left.to(float).numpy()
        peak = abs(np.fft.rfft(spectrum)).argmax() * 44100 / len(spectrum)
        assert peak == pytest.approx(hertz, abs=5)


@needs_ffmpeg
def test_a_film_without_five_streams_is_named(tmp_path):
    film = archive_layouts.stem_mp4(tmp_path / "short.stem.mp4", streams=2)
    with pytest.raises(CorpusError, match="short.stem.mp4: ffmpeg found no five .*: fetch it"):
        corpus_layouts.take_out_stems(film, tmp_path / "out")
    (tmp_path / "text.stem.mp4").write_text("no film")
    with pytest.raises(CorpusError, match="text.stem.mp4: ffmpeg found no five") as caught:
        corpus_layouts.take_out_stems(tmp_path / "text.stem.mp4", tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_without_ffmpeg_the_archive_is_kept_and_the_remedy_told(web, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_layouts, "FFMPEG", "no-such-program")
    data = archive_layouts.zipped({"train/a.stem.mp4": b"x"})
    with pytest.raises(CorpusError, match="takes ffmpeg to read: sudo apt-get install ffmpeg"):
        fetch(web, tmp_path, "musdb18-7s", data)
    assert os.listdir(tmp_path / "data") == ["musdb18-7s.zip"]


@pytest.mark.parametrize("name", public_corpora.SOURCES)
def test_another_archive_is_refused_and_leaves_nothing(web, tmp_path, name):
    data = archive_layouts.zipped({"something/else.txt": b"x"})
    with pytest.raises(CorpusError, match="has no .*is it "):
        fetch(web, tmp_path, name, data)
    assert [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("checksum", ["", None])
def test_an_unverified_file_that_is_no_archive_is_not_kept(web, tmp_path, checksum):
    with pytest.raises(ArchiveError, match="fsdd.tar.gz is no zip or tar archive but a web page"):
        fetch(web, tmp_path, "fsdd", b"<html>please log in</html>", checksum=checksum)
    assert os.listdir(tmp_path / "data") == []
    assert fetch(web, tmp_path, "fsdd", archive_layouts.fsdd(), checksum=checksum).is_dir()


def test_the_published_checksum_is_what_counts(web, tmp_path):
    data = archive_layouts.librispeech()
    with pytest.raises(DownloadError, match="wrong checksum, not md5:42e2234ba48799c1f50f24a79"):
        fetch(web, tmp_path, "librispeech-dev-clean", data, checksum=None)
    assert not (tmp_path / "data/librispeech-dev-clean").exists()
    fetch(web, tmp_path, "librispeech-dev-clean", data, checksum="")       # a user may insist


def test_an_archive_from_elsewhere_is_taken_and_left_alone(tmp_path, capsys):
    (tmp_path / "mine.tgz").write_bytes(archive_layouts.fsdd())
    folder = public_corpora.fetch("fsdd", tmp_path / "data", archive=tmp_path / "mine.tgz")
    assert len(open_corpus(folder).table) == 36 and (tmp_path / "mine.tgz").exists()
    with pytest.raises(CorpusError, match="nowhere.tgz is not there: give the archive's path"):
        public_corpora.fetch("esc10", tmp_path / "data", archive=tmp_path / "nowhere.tgz")


def test_recordings_that_cannot_be_read_are_named(tmp_path, capsys):
    data = archive_layouts.tar({f"x/recordings/{n}_ann_0.wav": archive_layouts.sound(n, "WAV", 8000)
                                for n in range(3)} | {"x/recordings/3_bob_0.wav": b"no sound"})
    (tmp_path / "a.tgz").write_bytes(data)
    folder = public_corpora.fetch("fsdd", tmp_path / "data", archive=tmp_path / "a.tgz")
    assert "left out 1 recordings:" in (said := capsys.readouterr().out)
    assert "3_bob_0.wav is unreadable" in said
    assert len((folder / "manifest.csv").read_text().splitlines()) == 4


def test_a_folder_in_the_way_and_an_unknown_name(tmp_path):
    (tmp_path / "fsdd").mkdir()
    with pytest.raises(CorpusError, match="fsdd is there, without a manifest.csv: move it away"):
        public_corpora.fetch("fsdd", tmp_path)
    with pytest.raises(CorpusError, match="no public corpus 'wsj0': there are librispeech-dev"):
        public_corpora.fetch("wsj0", tmp_path)


def test_the_table_claims_nothing_that_is_not_known():
    table = public_corpora.table().set_index("corpus")
    assert {"size", "licence", "for", "command", "holds", "note"} == set(table.columns)
    assert table.loc["ESC-10", "size"] == "not published"
    assert "could not be confirmed" in table.loc["ESC-10", "note"]
    assert table.loc["LibriSpeech train-clean-100", "size"] == "6.4 GB"
    assert table.loc["LibriSpeech dev-clean", "size"] == "338 MB"
    for source in public_corpora.SOURCES.values():
        assert all(url.startswith("https://") for url in source.urls)
        assert not source.checksum or re.fullmatch(r"md5:[0-9a-f]{32}", source.checksum)
        assert source.limit * 1e9 > 2 * 1e6 * (source.megabytes or 0)
