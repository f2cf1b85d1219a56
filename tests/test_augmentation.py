"""Augmentation: the mixture is the sum of its targets, whatever is drawn; nothing else moves."""

import hashlib

import numpy as np
import pytest
import torch

from sep_helpers import augmentation, views
from sep_helpers.augmentation import Augmentation, AugmentationError, augment, changes
from sep_helpers.corpora import open_corpus
from sep_helpers.views import LiveView, Recipe, ViewError
from tests.toy_corpus import make_tracks

STEMS = ["vocals", "drums", "bass", "other"]
ALL = {"remix": 0.5, "gain_db": [-12, 6], "swap": 0.5, "mute_channel": 0.3, "mute": 0.3}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = make_tracks(tmp_path_factory.mktemp("tracks"), 6, stems=STEMS)
    return open_corpus(folder, channels=2, kind="stem")


def recipe(**changes):
    return Recipe(**{"name": "t", "split": "train", "n_sources": 4, "categories": STEMS,
                     "together": "track", "seconds": 0.1, "n_mixtures": 40, "seed": 3, **changes})


def item(seed=0, shape=(4, 2, 500), **more):
    sources = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return {"id": "x", "sources": sources, "mixture": sources.sum(0), "cuts": [], **more}


def digest(tensors):
    return hashlib.sha256(b"".join(x.numpy().tobytes() for x in tensors)).hexdigest()


# --- the property that was broken: mixture == sum of targets, and nobody's memory is written to

@pytest.mark.parametrize("shape", [(4, 2, 300), (2, 2, 300), (3, 300)])
def test_the_mixture_is_the_sum_of_its_targets_always(shape):
    rng = np.random.default_rng(0)
    for round in range(200):
        shares = {name: float(rng.uniform()) for name in ("swap", "mute_channel", "mute")}
        low, high = sorted(rng.uniform(-20, 10, 2).tolist())
        given = item(round, shape)
        before = digest([given["sources"], given["mixture"]])
        asked = Augmentation(gain_db=[low, high], **shares)
        changed = augment(given, asked, rng)
        assert torch.equal(changed["mixture"], changed["sources"].sum(0))
        assert digest([given["sources"], given["mixture"]]) == before, "changed in place"
        assert changed["sources"].data_ptr() != given["sources"].data_ptr()


def test_noise_stays_in_the_sum():
    given = item(noise=torch.ones(2, 500))
    changed = augment(given, Augmentation(swap=1), np.random.default_rng(0))
    assert torch.equal(changed["mixture"], changed["sources"].sum(0) + 1)
    assert torch.equal(changed["noise"], given["noise"])


def test_two_epochs_of_everything_leave_the_recordings_as_they_were(corpus):
    files = corpus.table.file.tolist()
    before = digest([corpus.waveform(file) for file in files])
    view = LiveView(corpus, recipe(augment=ALL))
    for epoch in range(2):
        for mixture in view.epoch(epoch):
            assert torch.equal(mixture["mixture"], mixture["sources"].sum(0))
            for x in [*mixture["sources"], mixture["mixture"]]:
                x += 1                     # and a careless user cannot reach them, either
    assert digest([corpus.waveform(file) for file in files]) == before


def test_the_aliasing_fault_is_what_the_test_above_would_catch():
    targets = item()["sources"]
    kept = targets.clone()
    mixture, spoiled = augmentation.aliasing_fault(targets)
    assert torch.allclose(mixture, kept.sum(0), atol=1e-5)          # the mixture looks right ...
    assert torch.equal(spoiled[0], mixture) and not torch.equal(spoiled[0], kept[0])
    assert not torch.allclose(mixture, spoiled.sum(0), atol=1e-1)   # ... and is no sum any more
    assert torch.equal(targets, kept)


# --- each change is what its name says

def test_without_any_nothing_changes(corpus):
    given = item()
    changed = augment(given, Augmentation(), np.random.default_rng(0))
    assert torch.equal(changed["sources"], given["sources"])
    plain, empty = LiveView(corpus, recipe()), LiveView(corpus, recipe(augment={}))
    assert torch.equal(plain.epoch(1)[3]["sources"], empty.epoch(1)[3]["sources"])
    assert "augment" not in recipe(augment={}).to_dict() or not recipe(augment={}).augment


def test_gains_lie_in_their_range_and_scale_whole_stems():
    given, ratios = item(), []
    for seed in range(300):
        changed = augment(given, Augmentation(gain_db=[-10, 4]), np.random.default_rng(seed))
        ratio = changed["sources"] / given["sources"]
        assert torch.allclose(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-4)
        ratios += (20 * ratio[:, 0, 0].log10()).tolist()
    assert min(ratios) >= -10.001 and max(ratios) <= 4.001
    assert np.mean(ratios) == pytest.approx(-3, abs=0.5) and max(ratios) - min(ratios) > 13


def test_a_swap_exchanges_left_and_right_of_some_stems():
    given = item()
    assert torch.equal(augment(given, Augmentation(swap=1), np.random.default_rng(0))["sources"],
                       given["sources"].flip(1))
    share = np.mean([changes(Augmentation(swap=0.25), 4, 2, np.random.default_rng(s))[0][:, 0]
                     for s in range(500)])
    assert share == pytest.approx(0.25, abs=0.04)


def test_a_muted_channel_is_one_side_of_a_stem():
    sides = []
    for seed in range(200):
        _, factors = changes(Augmentation(mute_channel=1), 4, 2, np.random.default_rng(seed))
        assert (factors.sum(1) == 1).all()
        sides += factors[:, 0].tolist()
    assert np.mean(sides) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_one_stem_always_sounds(n):
    sounding = []
    for seed in range(300):
        _, factors = changes(Augmentation(mute=1), n, 2, np.random.default_rng(seed))
        assert factors.any(1).sum() == 1
        sounding.append(int(factors.any(1).argmax()))
    assert set(sounding) == set(range(n))


def test_a_remix_takes_stems_from_songs_of_their_own_and_keeps_their_places(corpus):
    view = LiveView(corpus, recipe(augment={"remix": 0.5}))
    songs, starts = [], []
    for mixture in view.epoch(0):
        assert [cut.category for cut in mixture["cuts"]] == STEMS
        songs.append(len({cut.file.split("/")[0] for cut in mixture["cuts"]}))
        starts.append(len({cut.start for cut in mixture["cuts"]}))
    alone = [n == 1 for n in songs]
    assert 0.2 < np.mean(alone) < 0.8 and max(songs) >= 3
    assert all(cuts == 1 for cuts, one in zip(starts, alone, strict=True) if one)
    assert max(starts) == 4                                    # random cuts, each its own
    never = LiveView(corpus, recipe(augment={"swap": 0.1}))
    assert all(len({c.file.split("/")[0] for c in m["cuts"]}) == 1 for m in never.epoch(0))


def test_one_change_more_leaves_the_others_as_they_were():
    less, more = (changes(Augmentation(gain_db=[-9, 9], swap=0.5, mute_channel=share), 4, 2,
                          np.random.default_rng(7)) for share in (0.0, 0.6))
    assert (less[0] == more[0]).all()
    kept = more[1] != 0
    assert (less[1][kept] == more[1][kept]).all() and not kept.all()


# --- decided by (seed, epoch, index)

def test_the_same_seed_epoch_and_index_give_the_same_bits(corpus):
    def sound(seed, epoch, order):
        view = LiveView(corpus, recipe(augment=ALL, seed=seed, n_mixtures=8)).epoch(epoch)
        return {index: digest([view[index]["mixture"]]) for index in order}

    forwards, backwards = sound(3, 1, range(8)), sound(3, 1, reversed(range(8)))
    assert forwards == backwards and len(set(forwards.values())) == 8
    assert not set(sound(3, 2, range(8)).values()) & set(forwards.values())
    assert not set(sound(4, 1, range(8)).values()) & set(forwards.values())


def test_workers_draw_what_the_process_itself_would(corpus):
    view = LiveView(corpus, recipe(augment=ALL, n_mixtures=6)).epoch(0)
    loader = torch.utils.data.DataLoader(view, batch_size=3, num_workers=1,
                                         collate_fn=views.collate)
    drawn = torch.cat([batch["mixture"] for batch in loader])
    assert torch.equal(drawn, torch.stack([view[i]["mixture"] for i in range(6)]))


# --- what cannot be done is said in one line

def test_a_recipe_keeps_it_as_plain_values(tmp_path):
    asked = recipe(augment={"gain_db": (-10, 3), "swap": 0.5, "mute": 0})
    assert asked.augment == {"gain_db": [-10, 3], "swap": 0.5}
    asked.save(tmp_path / "r.yaml")
    assert Recipe.load(tmp_path / "r.yaml") == asked
    assert "augment" not in recipe().to_dict()


@pytest.mark.parametrize(("values", "says"), [
    ({"swop": 0.5}, "unknown 'swop'.*remix, gain_db, swap"),
    ({"swap": 1.5}, "swap=1.5 must be a share from 0 to 1"),
    ({"mute": True}, "mute=True must be a share"),
    ({"gain_db": 3}, "gain_db=3 must be a range"),
    ({"gain_db": [3, -3]}, "must be a range"),
    ({"gain_db": [float("nan"), 3]}, "must be a range"),
    ([0.5], "give some of remix"),
])
def test_a_wrong_wish_is_refused_in_one_line(values, says):
    with pytest.raises(ViewError, match=says) as error:
        recipe(augment=values)
    assert "\n" not in str(error.value)
    with pytest.raises(AugmentationError):
        Augmentation.of(values)


def test_channels_cannot_change_places_in_mono_and_frozen_views_stay_frozen(corpus, tmp_path):
    mono = open_corpus(make_tracks(tmp_path / "mono", 6, stems=STEMS), kind="stem")
    with pytest.raises(ViewError, match="swap needs two channels: open the corpus with channels=2"):
        LiveView(mono, recipe(augment={"swap": 0.1}))
    for mixture in LiveView(mono, recipe(augment={"mute": 0.5, "gain_db": [-3, 3]})).epoch(0):
        assert torch.equal(mixture["mixture"], mixture["sources"].sum(0))
    with pytest.raises(ViewError, match="augment changes samples, so it is for live views only"):
        views.freeze(corpus, recipe(augment={"swap": 0.1}))
