"""drawing: properties of every recipe, and golden lines that no version of numpy may change."""

import hashlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_corpus import RATE, make_corpus

from sep_helpers import audio, corpora, course_views
from sep_helpers.drawing import cut_db
from sep_helpers.views import (
    NOISE,
    FrozenView,
    LiveView,
    Recipe,
    ViewError,
    candidates,
    draw,
    faults,
    freeze,
    mix,
)

BASE = Recipe("a", "train", n_mixtures=12, seed=5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Noises of other lengths, some shorter than a mixture."""
    return make_corpus(tmp_path_factory.mktemp("noise"), samples=(3000, 7000, 20000))


def ranges(low, high):
    return st.none() | st.lists(st.floats(low, high).map(lambda x: round(x, 3)), min_size=2,
                                max_size=2).map(sorted)


RECIPES = st.builds(
    Recipe, name=st.just("a"), split=st.sampled_from(["train", "test"]),
    n_sources=st.integers(1, 3), n_mixtures=st.just(4), seconds=st.none() | st.floats(0.05, 2.0),
    rms_db=st.floats(-60, -10), level_db=st.floats(0, 12), seed=st.integers(0, 2**40),
    same_category=st.booleans(), in_order=st.booleans(), overlap=ranges(0, 1),
    floor_db=st.none() | st.floats(3, 40),
    level_of=st.sampled_from(["recording", "cut"]), snr_db=ranges(-10, 10),
    noise_snr_db=ranges(-5, 30))


@settings(max_examples=120, deadline=None)
@given(recipe=RECIPES, index=st.integers(0, 10_000), epoch=st.integers(0, 1000))
def test_properties_of_every_recipe(corpus, noise, recipe, index, epoch):
    pool = candidates(corpus, recipe, noise)
    cuts = draw(corpus, recipe, index, epoch, pool)
    assert cuts == draw(corpus, recipe, index, epoch, noise=noise)         # the same again
    voices = [cut for cut in cuts if cut.source != NOISE]
    assert [cut.source for cut in voices] == list(range(recipe.n_sources))
    assert len({cut.file for cut in voices}) == recipe.n_sources           # no recording twice
    assert recipe.same_category or len({c.category for c in voices}) == recipe.n_sources
    table = freeze(corpus, recipe, noise)
    assert faults(table, corpus, noise) == {}            # inside their files and their mixtures
    item = mix(corpus, cuts, noise=noise)
    total = item["sources"].sum(0) + item.get("noise", 0)
    assert torch.equal(item["mixture"], total) and item["sources"].isfinite().all()
    assert ("noise" in item) == (recipe.noise_snr_db is not None)
    levels = [cut.gain_db + level_of(recipe, corpus, cut) for cut in voices]
    check_levels(recipe, levels)
    if recipe.floor_db is not None:
        assert all(cut_db(corpus, c.file, c.start, c.stop)
                   >= corpus.rms_db(c.file) - recipe.floor_db for c in voices)
    if recipe.noise_snr_db:
        together = 10 * np.log10(sum(10 ** (level / 10) for level in levels))
        for cut in cuts[len(voices):]:
            snr = together - cut.gain_db - level_of(recipe, noise, cut)
            assert recipe.noise_snr_db[0] - 0.02 <= snr <= recipe.noise_snr_db[1] + 0.02
        assert sum(c.stop - c.start for c in cuts[len(voices):]) == cuts[0].length


def level_of(recipe, corpus, cut):
    """Read by soundfile and measured by numpy alone."""
    x = soundfile.read(corpus.folder / cut.file)[0]
    x = x[cut.start:cut.stop] if recipe.level_of == "cut" else x
    return 10 * np.log10(np.mean(x**2))


def check_levels(recipe, levels):
    within = recipe.level_db + 0.01
    assert abs(levels[0] - recipe.rms_db) <= within
    for other in levels[1:]:
        if recipe.snr_db:
            assert recipe.snr_db[0] - 0.02 <= levels[0] - other <= recipe.snr_db[1] + 0.02
        else:
            assert abs(other - recipe.rms_db) <= within


def test_a_share_of_each_source_lies_under_the_next(corpus):
    for seconds, n_sources in itertools.product((None, 0.8), (2, 3)):
        recipe = replace(BASE, overlap=[0.25, 0.5], seconds=seconds, n_sources=n_sources)
        shares = []
        for index in range(100):
            cuts = draw(corpus, recipe, index)
            for one, two in itertools.pairwise(cuts):
                ends = one.offset + one.stop - one.start
                shorter = min(one.stop - one.start, two.stop - two.start)
                shares.append((ends - two.offset) / shorter)
            assert cuts[0].offset == 0
            assert cuts[0].length == max(c.offset + c.stop - c.start for c in cuts)
        assert 0.249 < min(shares) < 0.27 and 0.48 < max(shares) < 0.501


def test_an_overlap_of_one_is_all_of_the_shorter_and_of_none_one_after_the_other(corpus):
    for index in range(20):
        one, two = draw(corpus, replace(BASE, overlap=[0, 0]), index)
        assert two.offset == one.stop and two.stop + two.offset == one.length
        one, two = draw(corpus, replace(BASE, overlap=[1, 1]), index)
        assert one.length == max(one.stop, two.offset + two.stop)


def test_nearly_silent_cuts_are_drawn_again(tmp_path):
    corpus = make_corpus(tmp_path)
    for file in corpus.table.file:          # a second of sound in every recording, then silence
        x = corpus.waveform(file)
        x[4000:] *= 1e-4
    recipe = replace(BASE, seconds=0.1, seed=1)
    plain = [cut for i in range(100) for cut in draw(corpus, recipe, i)]
    loud = [cut for i in range(100) for cut in draw(corpus, replace(recipe, floor_db=10), i)]
    assert sum(cut.start > 4000 for cut in plain) > 70
    assert all(cut.start < 4000 for cut in loud)
    for file in corpus.table.file[corpus.table.speaker == "bob"]:
        corpus.waveform(file).zero_()
    corpus._levels.clear()
    with pytest.raises(ViewError, match="200 draws of mixture 0 gave no cut of bob within 10 dB"):
        draw(corpus, replace(recipe, n_sources=3, floor_db=10), 0)


def test_silence_is_left_as_it_is(tmp_path):
    corpus = make_corpus(tmp_path)
    corpus.waveform("bob/0.flac").zero_()
    table = freeze(corpus, replace(BASE, n_mixtures=60))
    assert (table.gain_db[table.file == "bob/0.flac"] == 0).all()
    assert (table.gain_db[table.file != "bob/0.flac"] != 0).any()


@pytest.mark.parametrize("option", [
    {"noise_snr_db": [0, 10]}, {"rt60": [0.2, 0.3]}, {"snr_db": [0, 5]}, {"overlap": [0.2, 0.4]},
])
def test_an_option_leaves_the_rest_of_the_mixture_as_it_was(corpus, noise, option):
    for index in range(20):
        plain = draw(corpus, BASE, index)
        with_it = draw(corpus, replace(BASE, **option), index, noise=noise)
        for one, two in zip(plain, with_it, strict=False):
            assert (one.file, one.source) == (two.file, two.source)
            if "overlap" not in option:
                assert (one.start, one.stop, one.offset) == (two.start, two.stop, two.offset)
            assert ("snr_db" in option and one.source) or one.gain_db == two.gain_db


def test_rooms_in_a_mixture(corpus):
    recipe = replace(BASE, rt60=[0.15, 0.25], seconds=0.5, n_mixtures=3)
    wet, dry = (FrozenView(corpus, freeze(corpus, replace(recipe, target=target)))
                for target in ("reverberant", "direct"))
    for one, two in zip(wet, dry, strict=True):
        assert torch.equal(one["mixture"], one["sources"].sum(0)) and "noise" not in one
        torch.testing.assert_close(two["mixture"], two["sources"].sum(0) + two["noise"])
        torch.testing.assert_close(one["mixture"], two["mixture"], atol=1e-5, rtol=0)
        plain = mix(corpus, [replace(cut, room="") for cut in one["cuts"]])
        level = audio.rms_db(plain["sources"])
        torch.testing.assert_close(audio.rms_db(two["sources"]), level, atol=0.3, rtol=0)
        assert (audio.rms_db(one["sources"]) > level + 0.3).all()        # reflections come on top


def test_golden_draws_of_the_course():
    """On every machine, with every numpy: whoever breaks this changes published views."""
    corpus = corpora.embedded()
    drawn = {}
    for name in ("train", "val", "seen", "unseen"):
        recipe = course_views.recipe(name, corpus)
        pool = candidates(corpus, recipe)
        cuts = [draw(corpus, recipe, index, epoch, pool) for epoch in (0, 7) for index in range(50)]
        text = "\n".join(f"{c.file} {c.start} {c.stop} {c.gain_db}" for line in cuts for c in line)
        drawn[name] = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert drawn == GOLDEN


GOLDEN = {"train": "833a89dc8973", "val": "fb500d99b62c", "seen": "06e76972e562",
          "unseen": "63fc0700fee4"}


def test_a_line_of_a_view_takes_a_hundred_bytes_at_most():
    corpus = corpora.embedded()
    plain = replace(course_views.recipe("unseen", corpus), n_mixtures=100)
    for option, most in (({}, 70), ({"noise_snr_db": [0, 9]}, 75), ({"rt60": [0.2, 0.6]}, 100)):
        recipe = replace(plain, **option)
        table = freeze(corpus, recipe, corpora.embedded("sounds"))
        assert len(table.to_csv(index=False).encode()) / len(table) < most


def test_golden_sound():
    """The first training mixture, as samples: draw, cut, speed and mix, against stored figures."""
    item = course_views.train_view(corpora.embedded()).epoch(0)[0]
    assert audio.rms_db(item["sources"]).tolist() == pytest.approx(GOLDEN_DB, abs=0.01)
    assert item["mixture"][2000::4000].tolist() == pytest.approx(GOLDEN_SAMPLES, abs=1e-4)


GOLDEN_DB, GOLDEN_SAMPLES = [-22.2574, -25.1544], [0.00442, -0.003921, -0.028885, 0.222636]


def test_a_live_view_with_everything_is_a_function_of_its_seed(corpus, noise):
    recipe = replace(BASE, seconds=0.5, overlap=[0.3, 1], noise_snr_db=[0, 10], rt60=[0.15, 0.2],
                     speed=0.1, floor_db=30, n_mixtures=4)
    one, two = (LiveView(corpora.open_corpus(corpus.folder), recipe, noise).epoch(3)
                for _ in range(2))
    for a, b in zip(one, reversed(list(reversed(range(len(two))))), strict=True):
        assert torch.equal(a["mixture"], two[b]["mixture"])
        assert len(a["mixture"]) == RATE // 2
