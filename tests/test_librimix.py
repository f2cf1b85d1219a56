"""librimix: its metadata and our views say the same, in both directions."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from toy_corpus import RATE, make_corpus, noise, write_manifest

from sep_helpers import audio, librimix, views
from sep_helpers.corpora import open_corpus
from sep_helpers.views import FrozenView, Recipe, ViewError

READERS = {"84": (9000, 8000), "174": (12000, 7000), "251": (6000, 10000)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """LibriSpeech's layout: .../dev-clean/READER/CHAPTER/READER-CHAPTER-NUMBER.flac."""
    folder, rows = tmp_path_factory.mktemp("libri"), []
    for reader, lengths in READERS.items():
        for number, samples in enumerate(lengths):
            file = f"LibriSpeech/dev-clean/{reader}/1/{reader}-1-{number:04d}.flac"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / file, noise((int(reader), number), samples), RATE)
            rows.append(f"{file},{reader},val,{samples}")
    write_manifest(folder, rows, "file,speaker,split,samples")
    return open_corpus(folder)


@pytest.fixture(scope="module")
def wham(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wham")
    for name, samples in ("street", 30000), ("cafe", 2500):
        (folder / "cv").mkdir(exist_ok=True)
        soundfile.write(folder / f"cv/{name}.wav", noise(samples, samples), RATE)
    write_manifest(folder, ["cv/street.wav,street,val,30000", "cv/cafe.wav,cafe,val,2500"],
                   "file,category,split,samples")
    return open_corpus(folder)


def metadata(tmp_path, *lines, noisy=False):
    head = "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain"
    (tmp_path / "m.csv").write_text("\n".join(
        [head + ",noise_path,noise_gain" * noisy, *lines]) + "\n")
    return tmp_path / "m.csv"


LINE = "84-1-0000_174-1-0001,dev-clean/84/1/84-1-0000.flac,0.5,dev-clean/174/1/174-1-0001.flac,2.0"
OTHER = "b,dev-clean/251/1/251-1-0000.flac,0.7925878276419455,dev-clean/174/1/174-1-0000.flac,0.1"


@pytest.mark.parametrize("mode, lengths", [("min", [7000, 6000]), ("max", [9000, 12000])])
def test_a_list_becomes_a_view_that_mixes_as_librimix_does(tmp_path, corpus, mode, lengths):
    view = librimix.to_view(metadata(tmp_path, LINE, OTHER), corpus, mode)
    assert list(view.columns) == views.COLUMNS and set(view.split) == {"val"}
    assert view.groupby("mixture_id", sort=False)["length"].first().tolist() == lengths
    assert view.category.tolist() == ["84", "174", "251", "174"] and set(view.offset) == {0}
    item = FrozenView(corpus, view)[0]
    # LibriMix: scale each recording by its gain, cut or pad all to one length, add
    first, second = (audio.read(corpus.folder / file) for file in view.file[:2])
    expected = audio.fit(0.5 * first, lengths[0]), audio.fit(2.0 * second, lengths[0])
    torch.testing.assert_close(item["sources"], torch.stack(expected), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(item["mixture"], sum(expected), rtol=1e-5, atol=1e-6)


def test_round_trip_from_metadata(tmp_path, corpus):
    given = pd.read_csv(metadata(tmp_path, LINE, OTHER))
    back = librimix.from_view(librimix.to_view(given, corpus))
    assert list(back.columns) == list(given.columns)
    assert back.mixture_ID.tolist() == given.mixture_ID.tolist()
    for number in 1, 2:
        np.testing.assert_allclose(back[f"source_{number}_gain"], given[f"source_{number}_gain"],
                                   rtol=1e-8)
        assert [a.endswith(b) for a, b in zip(back[f"source_{number}_path"],
                                              given[f"source_{number}_path"], strict=True)]
    assert librimix.to_view(back, corpus).equals(librimix.to_view(given, corpus))


@pytest.mark.parametrize("seconds", [0.5, None])
def test_round_trip_from_a_view_with_cuts(tmp_path, seconds):
    corpus = make_corpus(tmp_path / "toy")
    view = views.freeze(corpus, Recipe("mine", "train", n_mixtures=10, n_sources=3,
                                       seconds=seconds))
    with pytest.raises(ViewError, match="mine_0000.: .* is cut from .*: say cuts=True"):
        librimix.from_view(view)
    librimix.from_view(view, cuts=True).to_csv(tmp_path / "out.csv", index=False)
    again = librimix.to_view(tmp_path / "out.csv", corpus)
    pd.testing.assert_frame_equal(again, view[views.COLUMNS], rtol=0, atol=1e-8, check_dtype=False)


def test_noise_is_a_line_of_its_own_and_repeated_where_it_is_short(tmp_path, corpus, wham):
    path = metadata(tmp_path, LINE + ",cv/street.wav,1.5", OTHER + ",cv/cafe.wav,0.5", noisy=True)
    assert set(librimix.to_view(path, corpus).source) == {0, 1}
    view = librimix.to_view(path, corpus, noise=wham)
    lines = view[view.source == views.NOISE]
    assert lines[["file", "stop", "offset"]].values.tolist() == [
        ["cv/street.wav", 7000, 0], ["cv/cafe.wav", 2500, 0], ["cv/cafe.wav", 2500, 2500],
        ["cv/cafe.wav", 1000, 5000]]
    item = FrozenView(corpus, view, noise=wham)[0]
    street = 1.5 * audio.read(wham.folder / "cv/street.wav", stop=7000)
    torch.testing.assert_close(item["mixture"] - item["sources"].sum(0), street, rtol=0, atol=1e-5)
    back = librimix.from_view(view)
    assert back.noise_path.tolist() == ["cv/street.wav", "cv/cafe.wav"]
    assert librimix.to_view(back, corpus, noise=wham).equals(view)


def test_lists_of_finished_mixtures_are_understood(tmp_path):
    folder, rows, lines = tmp_path / "wav8k", [], []
    for name, samples in ("a_b", 5000), ("c_d", 6000):
        for source in "s1", "s2":
            file = f"min/dev/{source}/{name}.wav"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / file, noise(samples, samples), RATE)
            rows.append(f"{file},{source},val,{samples}")
        base = "/somewhere/else/Libri2Mix/wav8k/min/dev"
        lines.append(f"{name},{base}/mix_clean/{name}.wav,{base}/s1/{name}.wav,"
                     f"{base}/s2/{name}.wav,{samples}")
    write_manifest(folder, rows, "file,category,split,samples")
    (tmp_path / "m.csv").write_text("\n".join(
        ["mixture_ID,mixture_path,source_1_path,source_2_path,length", *lines]))
    view = librimix.to_view(tmp_path / "m.csv", open_corpus(folder))
    assert set(view.gain_db) == {0} and view["length"].tolist() == [5000, 5000, 6000, 6000]
    assert view.file.tolist()[:2] == ["min/dev/s1/a_b.wav", "min/dev/s2/a_b.wav"]


def test_a_resampled_corpus_serves_too(tmp_path, corpus):
    half = open_corpus(corpus.folder, 4000, cache=tmp_path / "cache")
    view = librimix.to_view(metadata(tmp_path, LINE), half)
    assert set(view["length"]) == {3500} and len(FrozenView(half, view)[0]["mixture"]) == 3500


@pytest.mark.parametrize("line, message", [
    ("x,dev-clean/9/1/9-1-0000.flac,1,dev-clean/84/1/84-1-0000.flac,1",
     "m.csv, line 3: dev-clean/9/1/9-1-0000.flac is not in the corpus .*: is it the right one"),
    ("x,dev-clean/84/1/84-1-0000.flac,-1,dev-clean/174/1/174-1-0000.flac,1",
     "line 3: source_1_gain is '-1': it must be a number above 0"),
    ("x,dev-clean/84/1/84-1-0000.flac,1,dev-clean/174/1/174-1-0000.flac,nan", "source_2_gain is"),
    ("x,dev-clean/84/1/84-1-0000.flac,1,dev-clean/174/1/174-1-0000.flac,", "source_2_gain is ''"),
    (LINE, "line 3: 84-1-0000_174-1-0001 is there twice"),
    ("x,dev-clean/84/1/84-1-0000.flac,1,dev-clean/84/1/84-1-0000.flac,1", "occurs twice")])
def test_faulty_lines_are_named(tmp_path, corpus, line, message):
    with pytest.raises(ViewError, match=message) as caught:
        librimix.to_view(metadata(tmp_path, LINE, line), corpus)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text, message", [
    ("", "no LibriMix metadata: it lacks"),
    ("mixture_ID,source_1_path\n1,2,3\n", "line 2: 3 fields, the head has 2"),
    ('mixture_ID,source_1_path\n"1,2\n', "is not a CSV table"),
    ("mixture_ID,source_1_path,mixture_ID\n1,2,3\n", "no LibriMix metadata"),
    ("a,b\n1,2\n", "no LibriMix metadata: it lacks"),
    ("mixture_ID,source_1_path,source_3_path\n1,2,3\n", r"sources \[1, 3\]: they must be numbered"),
    ("mixture_ID,source_1_path,source_2_path\n", "lists no mixtures")])
def test_faulty_lists_are_refused(tmp_path, corpus, text, message):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ViewError, match=message):
        librimix.to_view(tmp_path / "m.csv", corpus)


def test_other_refusals(tmp_path, corpus):
    with pytest.raises(ViewError, match="nowhere.csv cannot be read"):
        librimix.to_view(tmp_path / "nowhere.csv", corpus)
    with pytest.raises(ViewError, match="mode='mean': LibriMix has min and max"):
        librimix.to_view(metadata(tmp_path, LINE), corpus, "mean")
    view = librimix.to_view(metadata(tmp_path, LINE), corpus).assign(room="x")
    with pytest.raises(ViewError, match="is in a simulated room: LibriMix has no rooms"):
        librimix.from_view(view)


def test_an_ambiguous_path_is_not_guessed(tmp_path):
    folder = tmp_path / "c"
    for side in "ab":
        (folder / side).mkdir(parents=True)
        soundfile.write(folder / f"{side}/x.wav", noise(3), RATE)
    write_manifest(folder, ["a/x.wav,a,val,1600", "b/x.wav,b,val,1600"],
                   "file,speaker,split,samples")
    table = pd.DataFrame({"mixture_ID": ["m"], "source_1_path": ["z/x.wav"]})
    with pytest.raises(ViewError, match="z/x.wav fits a/x.wav and b/x.wav the corpus"):
        librimix.to_view(table, open_corpus(folder))
