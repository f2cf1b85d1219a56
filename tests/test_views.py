"""views: mixtures are what their recipe and their lines say, the same for every worker and run."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader
from toy_corpus import RATE, make_corpus

from sep_helpers import audio, views
from sep_helpers.corpora import CorpusError, open_corpus
from sep_helpers.feeding import batches
from sep_helpers.settings import Settings
from sep_helpers.views import (
    Cut,
    FrozenView,
    LiveView,
    Recipe,
    ViewError,
    collate,
    draw,
    freeze,
    mix,
    resample_cut,
)

TRAIN = Recipe(name="train", split="train", n_mixtures=12, seconds=0.5, speed=0.16, seed=7)
TEST = Recipe(name="test", split="test", n_mixtures=20, seed=8)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voices"))


def drawn(corpus, recipe, n=200, **where):
    return [draw(corpus, recipe, index, **where) for index in range(n)]


# --- pools


def test_too_few_speakers_are_counted(corpus):
    with pytest.raises(ViewError, match="4 sources need as many speakers.* has 3 for split='tra"):
        LiveView(corpus, replace(TRAIN, n_sources=4))
    with pytest.raises(ViewError, match="has 0 for split='val'.*record more voices"):
        freeze(corpus, replace(TEST, split="val"))


def test_recipe_for_another_rate_or_column_is_refused(corpus):
    with pytest.raises(ViewError, match="'train' is for 16000 Hz.*open at 8000"):
        LiveView(corpus, replace(TRAIN, sample_rate=16000))
    with pytest.raises(CorpusError, match="no column 'language'.*file, speaker, split"):
        LiveView(corpus, replace(TRAIN, where={"language": "en"}))


def test_speed_is_for_live_views_only(corpus):
    with pytest.raises(ViewError, match="speed=0.1 .*for live views only: set speed to 0"):
        freeze(corpus, replace(TEST, speed=0.1))


# --- drawing


@pytest.mark.parametrize("recipe", [TRAIN, TEST, replace(TRAIN, seconds=1.4, n_sources=3)])
def test_cuts_lie_within_their_recordings_and_mixtures(corpus, recipe):
    table = corpus.table.set_index("file")
    for cut in (cut for cuts in drawn(corpus, recipe) for cut in cuts):
        row = table.loc[cut.file]
        assert (row.speaker, row.split) == (cut.category, recipe.split)
        assert 0 <= cut.start < cut.stop <= row.samples
        assert cut.offset == 0 and cut.stop - cut.start <= cut.length
        # a cut is shorter than its mixture only when the whole recording is
        assert cut.stop - cut.start == min(cut.length, row.samples)


def test_lengths_are_as_asked(corpus):
    assert {cuts[0].length for cuts in drawn(corpus, TRAIN, 20)} == {RATE // 2}
    for cuts in drawn(corpus, TEST):      # no seconds asked: as long as the shorter recording
        samples = corpus.table.set_index("file").loc[[c.file for c in cuts], "samples"]
        assert {cut.length for cut in cuts} == {samples.min()}


def test_no_speaker_twice_and_every_recording_in_turn(corpus):
    cuts = drawn(corpus, replace(TRAIN, n_sources=3))
    assert all(len({cut.category for cut in mixture}) == 3 for mixture in cuts)
    uses = Counter(cut.file for mixture in cuts for cut in mixture)
    assert set(uses) == set(corpus.select(split="train").file)
    # 200 uses a speaker, among two recordings (ann) or three; 5 standard deviations
    for file, count in uses.items():
        share = 1 / 2 if file.startswith("ann") else 1 / 3
        assert abs(count - 200 * share) < 5 * (200 * share * (1 - share)) ** 0.5


def test_cuts_begin_anywhere_in_a_recording(corpus):
    starts = [c.start for cuts in drawn(corpus, TRAIN, 400) for c in cuts if c.file == "bob/2.flac"]
    assert min(starts) < 800 and max(starts) > 7200      # of 0 ... 8000


def test_heard_parts_the_voices(corpus):
    for heard, voices in ((True, {"ann"}), (False, {"dan", "eve"})):
        cuts = drawn(corpus, replace(TEST, heard=heard, n_sources=len(voices)))
        assert {cut.category for mixture in cuts for cut in mixture} == voices


def test_levels_are_as_asked(corpus):
    levels = []
    for cuts in drawn(corpus, TEST, 400):
        for cut in cuts:
            x, _ = soundfile.read(corpus.folder / cut.file)
            levels.append(10 * np.log10(np.mean(x**2)) + cut.gain_db)
    assert -27.505 <= min(levels) < -27.3 and -22.7 < max(levels) <= -22.495
    assert np.mean(levels) == pytest.approx(-25, abs=0.25)


def test_exact_level_of_whole_recordings(tmp_path):
    corpus = make_corpus(tmp_path, samples=(8000, 8000))
    recipe = replace(TEST, rms_db=-31.0, level_db=0.0)
    for item in FrozenView(corpus, freeze(corpus, recipe)):
        assert audio.rms_db(item["sources"]).tolist() == pytest.approx([-31.0] * 2, abs=0.006)


def test_a_draw_depends_on_seed_epoch_and_index_alone(corpus):
    first = draw(corpus, TRAIN, 3, epoch=2)
    np.random.seed(99)
    torch.manual_seed(99)
    draw(corpus, TRAIN, 4, epoch=1)
    assert draw(corpus, TRAIN, 3, epoch=2) == first
    others = [draw(corpus, TRAIN, 2, epoch=3), draw(corpus, TRAIN, 3, epoch=3),
              draw(corpus, replace(TRAIN, seed=8), 3, epoch=2)]
    assert all(other != first for other in others)


def test_epochs_are_new_and_indices_differ(corpus):
    seen = [tuple(c.start for c in draw(corpus, TRAIN, i, e)) for e in range(5) for i in range(40)]
    assert len(set(seen)) == 200


def test_golden_draw(corpus):
    """A change of these lines would change every training view that anybody has reported on."""
    assert draw(corpus, TRAIN, 0) == [
        Cut("train_00000", "train", 4000, 0, "bob", "bob/2.flac", 6206, 10206, 0, -4.43),
        Cut("train_00000", "train", 4000, 1, "cat", "cat/1.flac", 277, 4277, 0, -1.05),
    ]


# --- mixing


def test_mixture_is_the_sum_of_its_sources(corpus):
    for view in (FrozenView(corpus, freeze(corpus, TEST)), LiveView(corpus, TRAIN).epoch(1)):
        for index in range(len(view)):
            item = view[index]
            assert item["mixture"].dtype == item["sources"].dtype == torch.float32
            assert torch.equal(item["mixture"], item["sources"].sum(0))


def test_mixture_by_hand(corpus):
    """Against the file, read and mixed by numpy alone."""
    cuts = [Cut("m", "test", 3000, 0, "dan", "dan/0.flac", 100, 2100, 500, -6.0),
            Cut("m", "test", 3000, 1, "eve", "eve/1.flac", 6000, 9000, 0, 3.5)]
    expected = np.zeros((2, 3000))
    expected[0, 500:2500] = soundfile.read(corpus.folder / "dan/0.flac")[0][100:2100] / 10**0.3
    expected[1] = soundfile.read(corpus.folder / "eve/1.flac")[0][6000:9000] * 10**0.175
    item = mix(corpus, cuts)
    assert item["id"] == "m" and item["cuts"] == cuts
    np.testing.assert_allclose(item["sources"], expected, atol=1e-6)
    np.testing.assert_allclose(item["mixture"], expected.sum(0), atol=1e-6)


def test_mixing_leaves_the_recordings_alone(corpus):
    before = {file: corpus.waveform(file).clone() for file in corpus.table.file}
    item = LiveView(corpus, TRAIN).epoch(0)[0]
    item["sources"].mul_(0)
    for file, x in before.items():
        assert torch.equal(corpus.waveform(file), x)


def test_short_recordings_are_padded(corpus):
    item = LiveView(corpus, replace(TRAIN, seconds=2.0, speed=0)).epoch(0)[0]
    assert item["sources"].shape == (2, 16000)
    for source, cut in zip(item["sources"], item["cuts"], strict=True):
        sounding = cut.stop - cut.start
        assert not source[sounding:].any() and source[sounding - 100:sounding].any()


@pytest.mark.parametrize("speed", [0.84, 0.95, 1.0, 1.04, 1.16])
def test_speed_keeps_length_and_changes_pitch(tmp_path, speed):
    for speaker, pitch in (("high", 1000), ("low", 500)):
        (tmp_path / speaker).mkdir()
        wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(16000) / RATE)
        soundfile.write(tmp_path / speaker / "0.wav", wave, RATE)
    corpus = open_corpus(tmp_path)
    for start in (0, 3000, 8000):        # the last one has to begin sooner, to have enough to play
        cut = Cut("m", "train", 8000, 0, "high", "high/0.wav", start, start + 8000, 0, 0.0)
        x = resample_cut(corpus, cut, speed)
        assert 7999 <= len(x) <= 8000
        peak = torch.fft.rfft(x * torch.hann_window(len(x))).abs().argmax() * RATE / len(x)
        assert peak.item() == pytest.approx(1000 * speed, abs=1.5)
        level = corpus.rms_db(cut.file)
        assert audio.rms_db(x).item() == pytest.approx(level, abs=0.1)


def test_live_speeds_stay_in_their_range(corpus, monkeypatch):
    used = []
    monkeypatch.setattr("sep_helpers.views.resample_cut",
                        lambda corpus, cut, speed: used.append(speed) or torch.zeros(1))
    epoch = LiveView(corpus, replace(TRAIN, n_mixtures=100)).epoch(0)
    for index in range(len(epoch)):
        epoch[index]
    assert len(used) == 200 and len(set(used)) == 200
    assert 0.84 <= min(used) < 0.86 and 1.14 < max(used) <= 1.16


# --- datasets


def test_frozen_view_follows_its_table(corpus):
    table = freeze(corpus, TEST)
    view = FrozenView(corpus, table)
    assert len(view) == 20 and [item["id"] for item in view] == list(table.mixture_id.unique())
    assert view[4]["cuts"] == draw(corpus, TEST, 4)
    backwards = FrozenView(corpus, table[::-1])
    assert torch.allclose(backwards[15]["mixture"], view[4]["mixture"])


def test_frozen_view_refuses_a_line_it_cannot_serve(corpus):
    table = freeze(corpus, TEST)
    table.loc[3, "stop"] = 99_999
    with pytest.raises(ViewError, match="line 5: the cut .*:99999 does not fit into"):
        FrozenView(corpus, table)


@pytest.mark.parametrize("view", ["frozen", "live"])
def test_index_out_of_range(corpus, view):
    data = {"frozen": FrozenView(corpus, freeze(corpus, TEST)),
            "live": LiveView(corpus, TRAIN).epoch(0)}[view]
    with pytest.raises(IndexError):
        data[len(data)]
    assert len(list(data)) == len(data)


def test_workers_do_not_change_anything(corpus):
    live = LiveView(corpus, TRAIN)
    epochs = [[batch for batch in DataLoader(live.epoch(1), 5, num_workers=n, collate_fn=collate)]
              for n in (0, 1, 2)]
    assert [len(batches) for batches in epochs] == [3, 3, 3]
    for alone, *others in zip(*epochs, strict=True):
        assert all(torch.equal(alone["sources"], other["sources"]) for other in others)
        assert all(alone["id"] == other["id"] for other in others)
    again = LiveView(open_corpus(corpus.folder), TRAIN).epoch(1)     # as after a restart
    assert torch.equal(again[7]["sources"], live.epoch(1)[7]["sources"])


def test_collate_pads_and_keeps_lengths(corpus):
    items = [FrozenView(corpus, freeze(corpus, TEST))[index] for index in range(8)]
    batch = collate(items)
    lengths = [len(item["mixture"]) for item in items]
    assert len(set(lengths)) > 1
    assert batch["lengths"].tolist() == lengths and batch["id"] == [item["id"] for item in items]
    assert batch["mixture"].shape == (8, max(lengths))
    assert batch["sources"].shape == (8, 2, max(lengths)) and batch["sources"].is_contiguous()
    for row, (item, length) in enumerate(zip(items, lengths, strict=True)):
        assert torch.equal(batch["sources"][row, :, :length], item["sources"])
        assert torch.equal(batch["mixture"][row, :length], item["mixture"])
        assert not batch["sources"][row, :, length:].any()
        assert not batch["mixture"][row, length:].any()


def test_a_view_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    table = pd.DataFrame({"a": [1]})
    views.write_csv(table, tmp_path / "v.csv")
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda *a, **k: (_ for _ in ()).throw(OSError(28)))
    with pytest.raises(ViewError, match="v.csv: could not be written"):
        views.write_csv(table, tmp_path / "v.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["v.csv"]


# --- every number of workers, every interruption


ALL = replace(TRAIN, overlap=[0.3, 1.0], snr_db=[0, 5], floor_db=30, noise_snr_db=[0, 10],
              noise_where={"category": "cat"}, where={"category": ["ann", "bob"]})


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker")
@pytest.mark.parametrize("recipe, workers", [(TRAIN, 1), (ALL, 1), (ALL, 4)])
def test_more_workers_and_a_resumed_run_see_the_same(corpus, recipe, workers):
    epoch = LiveView(corpus, recipe).epoch(2)
    alone = [epoch[index]["mixture"] for index in range(len(epoch))]
    again = LiveView(open_corpus(corpus.folder), recipe)
    loader = DataLoader(again.epoch(2), 4, collate_fn=collate, num_workers=workers)
    assert torch.equal(torch.cat([batch["mixture"] for batch in loader]), torch.stack(alone))
    resumed = batches(again.epoch(2), Settings(batch=4), first=1)
    assert torch.equal(torch.cat([batch["mixture"] for batch in resumed]), torch.stack(alone[4:]))


# --- recordings that break in the middle of an epoch


@pytest.fixture
def broken(tmp_path):
    """A corpus of which one recording cannot be read any more, once the views are made."""
    corpus = make_corpus(tmp_path)
    frozen = freeze(corpus, TEST)
    (corpus.folder / "dan/1.flac").write_bytes(b"no sound")
    (corpus.folder / "bob/1.flac").unlink()
    return open_corpus_again(corpus), frozen


def open_corpus_again(corpus):
    corpus._waveforms.clear(), corpus._levels.clear()
    return corpus


@pytest.mark.parametrize("kind, workers", [("frozen", 0), ("live", 0), ("live", 2)])
def test_an_unreadable_recording_stops_the_epoch_with_its_name(broken, kind, workers):
    corpus, table = broken
    data = FrozenView(corpus, table) if kind == "frozen" else LiveView(corpus, TRAIN).epoch(0)
    with pytest.raises(ViewError, match=r"t\w+_\d{5}: .*(dan|bob)/1.flac .*skip=True"):
        list(DataLoader(data, 4, collate_fn=collate, num_workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_or_is_left_out_named_and_counted(broken, workers, capfd):
    corpus, table = broken
    lost = table.mixture_id[table.file == "dan/1.flac"].unique()
    loader = DataLoader(FrozenView(corpus, table, skip=True), 10, collate_fn=collate,
                        num_workers=workers)
    batches_ = list(loader)
    assert sum(len(batch["id"]) for batch in batches_) == 20 - len(lost) and 0 < len(lost) < 20
    said = [fault for batch in batches_ for fault in batch["skipped"]]
    assert [fault.split(":")[0] for fault in said] == lost.tolist()
    assert all("dan/1.flac is unreadable" in fault for fault in said)
    assert "left out" in capfd.readouterr().out
    live = LiveView(corpus, TRAIN, skip=True).epoch(0)
    batch = collate([live[index] for index in range(len(live))])
    assert len(batch["id"]) + len(batch["skipped"]) == 12 and len(batch["skipped"]) > 0
    assert all("bob/1.flac does not exist" in fault for fault in batch["skipped"])


def test_a_batch_of_which_nothing_is_left_is_refused(corpus):
    with pytest.raises(ViewError, match="no mixture of the batch can be read: a: gone"):
        collate([{"id": "a", "fault": "a: gone"}])
    with pytest.raises(ViewError, match="no mixture of the batch can be read: it is empty"):
        collate([])


def test_mixtures_of_two_and_three_do_not_make_a_batch(corpus):
    two, three = (LiveView(corpus, replace(TRAIN, n_sources=n)).epoch(0)[0] for n in (2, 3))
    with pytest.raises(ViewError, match="sources in a batch: take them one by one"):
        collate([two, three])


# --- stereo


@pytest.fixture(scope="module")
def stems(tmp_path_factory):
    """Three stereo stems of two tracks."""
    folder = tmp_path_factory.mktemp("music")
    lines = ["file,track,stem,split,samples"]
    for track in ("x", "y"):
        (folder / track).mkdir()
        for number, stem in enumerate(("bass", "drums", "vocals")):
            wave = np.random.default_rng((ord(track), number)).standard_normal((9000, 2))
            soundfile.write(folder / track / f"{stem}.flac", 0.1 * wave, RATE)
            lines.append(f"{track}/{stem}.flac,{track},{stem},train,9000")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return open_corpus(folder, channels=2)


def test_stereo_stems_add_up_to_their_track(stems):
    recipe = Recipe("m", "train", n_sources=3, n_mixtures=5, together="track", rms_db=None,
                    level_db=0.0, seconds=0.5)
    for item in FrozenView(stems, freeze(stems, recipe)):
        assert item["mixture"].shape == (2, 4000) and item["sources"].shape == (3, 2, 4000)
        cuts = item["cuts"]
        assert [cut.category for cut in cuts] == ["bass", "drums", "vocals"]
        read = [soundfile.read(stems.folder / c.file)[0][c.start:c.stop].T for c in cuts]
        np.testing.assert_allclose(item["sources"], read, atol=1e-6)
        np.testing.assert_allclose(item["mixture"], np.sum(read, 0), atol=1e-6)


def test_stereo_items_of_several_lengths_make_a_batch(stems):
    recipe = Recipe("m", "train", n_sources=2, overlap=[0.2, 1.0], n_mixtures=6)
    items = list(FrozenView(stems, freeze(stems, recipe)))
    batch = collate(items)
    longest = max(item["mixture"].shape[-1] for item in items)
    assert batch["mixture"].shape == (6, 2, longest)
    assert batch["sources"].shape == (6, 2, 2, longest)
    assert batch["lengths"].tolist() == [item["mixture"].shape[-1] for item in items]
    for row, item, n in zip(batch["sources"], items, batch["lengths"], strict=True):
        assert torch.equal(row[..., :n], item["sources"]) and not row[..., n:].any()


def test_stems_are_sped_up_together(stems):
    recipe = Recipe("m", "train", n_sources=3, together="track", rms_db=None, level_db=0.0,
                    seconds=0.5, speed=0.1)
    item = LiveView(stems, recipe).epoch(0)[0]
    assert item["sources"].shape == (3, 2, 4000)
    whole = sum(stems.waveform(cut.file) for cut in item["cuts"])
    cut = item["cuts"][0]
    rng = np.random.default_rng((recipe.seed, 0, 0, 1))
    speed = float(1 + 0.1 * rng.uniform(-1, 1))
    stems._waveforms["sum"] = whole
    alone = resample_cut(stems, replace(cut, file="sum"), speed)
    torch.testing.assert_close(item["mixture"], alone, atol=1e-4, rtol=0)


# --- views with the recipe beside them


def test_write_and_open(corpus, tmp_path):
    files = {"train": [0, 2], "test": [2, 3]}
    recipe = Recipe("a", "test", n_sources=3, n_mixtures=4, files=files)
    table = views.write_view(tmp_path / "a.csv", corpus, recipe)
    assert Recipe.load(tmp_path / "a.yaml") == recipe
    view = views.open_view(tmp_path / "a.csv", corpus)
    assert {cut.file[-6] for cuts in view.mixtures for cut in cuts} == {"2"}
    assert [item["id"] for item in view] == table.mixture_id.unique().tolist()
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(ViewError, match="it would leak"):
        views.open_view(tmp_path / "a.csv", corpus)
