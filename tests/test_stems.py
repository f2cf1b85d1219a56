"""stems: every layout becomes the same corpus; a song that cannot be used is named."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from sep_helpers import stems, streams
from sep_helpers.corpora import CorpusError
from sep_helpers.stems import STEMS, open_stems
from sep_helpers.views import LiveView, Recipe

RATE = 8000
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def wave(seed, samples=RATE, channels=2):
    return 0.1 * np.random.default_rng(seed).standard_normal((samples, channels))


def put(path, seed, rate=RATE, **form):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave(seed, **form), rate)


def song(folder, seed=0, names=STEMS, **form):
    for number, name in enumerate(names):
        put(folder / f"{name}.wav", (seed, number), **form)


def open_(folder, cache, **options):
    return open_stems(folder, RATE, cache=cache, **options)


def test_dsd100(tmp_path):
    for part, songs in (("Dev", 8), ("Test", 3)):
        for n in range(songs):
            song(tmp_path / "DSD100/Sources" / part / f"{n:03} - Band - Song", n)
            put(tmp_path / "DSD100/Mixtures" / part / f"{n:03} - Band - Song/mixture.wav", n)
    corpus = open_(tmp_path / "DSD100", tmp_path / "cache")
    counts = corpus.table.groupby("split").track.nunique()
    assert dict(counts) == {"train": 7, "val": 1, "test": 3}
    assert corpus.kind == "stem" and corpus.channels == 2 and len(corpus.table) == 44
    assert not any("Mixtures" in file for file in corpus.table.file)
    test = corpus.table[corpus.table.split == "test"]
    assert all("Sources/Test" in file for file in test.file)
    item = LiveView(corpus, Recipe("t", "train", n_sources=4, categories=list(STEMS),
                                   together="track", seconds=0.5, rms_db=None)).epoch(0)[0]
    assert torch.equal(item["mixture"], item["sources"].sum(0))
    assert item["mixture"].shape == (2, 4000)


def test_musdb_hq_and_a_folder_of_ones_own(tmp_path):
    for part, n in (("train", 3), ("valid", 1), ("test", 1)):
        for k in range(n):
            song(tmp_path / "hq" / part / f"{part} {k}", k)
            put(tmp_path / "hq" / part / f"{part} {k}/mixture.wav", k)
    hq = open_(tmp_path / "hq", tmp_path / "cache")
    assert dict(hq.table.groupby("split").track.nunique()) == {"train": 3, "val": 1, "test": 1}
    for k in range(10):
        song(tmp_path / "own" / f"song {k}", k)
    own = open_(tmp_path / "own", tmp_path / "cache2")
    assert dict(own.table.groupby("split").track.nunique()) == {"train": 8, "val": 1, "test": 1}
    assert open_(tmp_path / "own", tmp_path / "cache2").table.equals(own.table)


def test_the_embedded_stems_and_a_manifest(tmp_path):
    from sep_helpers.corpora import embedded

    corpus = open_stems(embedded("music", sample_rate=22050, channels=2).folder, 22050)
    assert set(corpus.table.track) == {"verse", "bridge", "chorus"} and not len(corpus.left_out)


@needs_ffmpeg
def test_musdbs_stem_mp4_files(tmp_path, capsys):
    for part, n in (("train", 2), ("test", 1)):
        for k in range(n):
            (tmp_path / "musdb" / part).mkdir(parents=True, exist_ok=True)
            streams.write_stems(tmp_path / "musdb" / part / f"Band - Song {k}.stem.mp4",
                                {name: torch.from_numpy(wave((k, i), 11025).T.copy()).float()
                                 for i, name in enumerate(STEMS)}, 22050)
    (tmp_path / "musdb/train/torn.stem.mp4").write_bytes(b"torn")
    corpus = open_stems(tmp_path / "musdb", 22050, cache=tmp_path / "cache")
    assert "torn.stem.mp4: ffprobe refuses it" in capsys.readouterr().out
    assert corpus.table.track.nunique() == 3
    assert (tmp_path / "musdb/test/Band - Song 0.stem.mp4").exists()      # nothing is deleted
    before = {f: (tmp_path / "musdb_stems" / f).stat().st_mtime_ns for f in corpus.table.file}
    open_stems(tmp_path / "musdb", 22050, cache=tmp_path / "cache")
    assert before == {f: (tmp_path / "musdb_stems" / f).stat().st_mtime_ns for f in before}
    vocals = corpus.waveform(next(f for f in corpus.table.file if f.endswith("vocals.flac")))
    given = torch.from_numpy(wave((0, 0), 11025).T.copy()).float()
    assert (vocals[:, :11025] * given).sum() / given.square().sum() > 0.5


def test_what_the_package_musdb_gives(tmp_path):
    def track(name, subset, split):
        targets = {stem: SimpleNamespace(audio=wave((len(name), k), 4000).astype(np.float64))
                   for k, stem in enumerate(STEMS)}
        return SimpleNamespace(name=name, subset=subset, split=split, rate=RATE, targets=targets)

    folder = stems.from_musdb([track("a", "train", "train"), track("bb", "train", "valid"),
                               track("ccc", "test", None)], tmp_path / "out")
    corpus = open_(folder, tmp_path / "cache")
    assert dict(corpus.table.groupby("track").split.first()) == {
        "train/a": "train", "valid/bb": "val", "test/ccc": "test"}
    assert np.allclose(corpus.waveform("train/a/vocals.flac").T, wave((1, 0), 4000), atol=1e-4)


# --- bad songs

@pytest.fixture
def good(tmp_path):
    for k in range(4):
        song(tmp_path / "songs" / f"good{k}", k)
    return tmp_path / "songs"


def test_a_missing_stem_leaves_the_song_out_and_says_which(good, tmp_path, capsys):
    song(good / "no bass", names=("vocals", "drums", "other"))
    corpus = open_(good, tmp_path / "cache")
    assert "no bass has no bass: add it" in capsys.readouterr().out
    assert "no bass" not in set(corpus.table.track) and "no bass" in set(corpus.left_out.file)
    fewer = open_(good, tmp_path / "cache", names=("vocals", "other"))
    assert "no bass" in set(fewer.table.track) and set(fewer.table.stem) == {"vocals", "other"}


def test_stems_of_different_lengths_leave_the_song_out(good, tmp_path, capsys):
    song(good / "odd")
    put(good / "odd/bass.wav", 0, samples=7000)
    corpus = open_(good, tmp_path / "cache")
    assert "bass 0.88: export all stems" in capsys.readouterr().out
    assert "odd" not in set(corpus.table.track)


def test_a_silent_stem_stays(good, tmp_path):
    soundfile.write(good / "good0/bass.wav", np.zeros((RATE, 2)), RATE)
    corpus = open_(good, tmp_path / "cache")
    file = corpus.table.file[corpus.table.file.str.contains("good0/bass")].item()
    assert not corpus.waveform(file).any() and corpus.rms_db(file) == -120


def test_mono_and_low_rates_are_said_and_used(good, tmp_path, capsys):
    song(good / "mono", channels=1)
    song(good / "low", rate=4000, samples=4000)
    corpus = open_(good, tmp_path / "cache")
    said = capsys.readouterr().out
    assert "4 stems are mono, mono/" in said and "given to both channels" in said
    assert "4 stems have a lower rate, low/" in said and "nothing above 2000 Hz" in said
    assert {"mono", "low"} <= set(corpus.table.track)
    left, right = corpus.waveform(corpus.table.file[corpus.table.track == "mono"].iloc[0])
    assert torch.equal(left, right)


def test_surround_is_refused_by_name(good, tmp_path, capsys):
    song(good / "cinema")
    put(good / "cinema/drums.wav", 0, channels=6)
    corpus = open_(good, tmp_path / "cache")
    assert "drums.wav has 6 channels: mix it down" in capsys.readouterr().out
    assert "cinema" not in set(corpus.table.track)


def test_nothing_to_use_is_one_line(tmp_path, monkeypatch):
    song(tmp_path / "bad/one", names=("vocals", "drums"))
    for folder, says in [(tmp_path / "bad", "has no bass"), (tmp_path / "none", "not a folder")]:
        with pytest.raises(CorpusError, match=says) as error:
            open_(folder, tmp_path / "cache")
        assert "\n" not in str(error.value)
    (tmp_path / "films").mkdir()
    (tmp_path / "films/a.stem.mp4").write_bytes(b"x")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="takes ffmpeg"):
        open_(tmp_path / "films", tmp_path / "cache")


def test_a_song_is_written_and_found_again(tmp_path):
    given = {name: torch.from_numpy(wave(k).T.copy()).float() for k, name in enumerate(STEMS)}
    stems.write_song(tmp_path / "songs/one", given, RATE)
    corpus = open_(tmp_path / "songs", tmp_path / "cache")
    assert torch.allclose(corpus.waveform("one/bass.wav"), given["bass"], atol=1e-4)
