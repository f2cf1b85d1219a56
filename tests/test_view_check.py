"""view_check: every line that cannot be used is named, none that can."""

import pytest
import soundfile
from toy_corpus import make_corpus

from sep_helpers.corpora import open_corpus
from sep_helpers.view_check import leaks, summary, walk
from sep_helpers.views import Recipe, freeze

RECIPE = Recipe("test", "test", n_mixtures=20, seconds=0.5, seed=3)


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(tmp_path / "voices")


def test_a_sound_view_has_no_problems(corpus):
    table = freeze(corpus, RECIPE)
    seen = []
    assert walk(table, corpus, progress=lambda groups: seen.append(len(groups)) or groups).empty
    assert seen == [table.file.nunique()]


def test_every_bad_line_is_named_and_no_other(corpus):
    table = freeze(corpus, RECIPE)
    (corpus.folder / "dan/1.flac").write_bytes(b"no sound")
    x, rate = soundfile.read(corpus.folder / "eve/0.flac")
    soundfile.write(corpus.folder / "eve/0.flac", 0 * x, rate)
    table.loc[5, "gain_db"] = 5000.0
    problems = walk(table, open_corpus(corpus.folder, sample_rate=8000))
    expected = set(table.index[table.file.isin(["dan/1.flac", "eve/0.flac"])]) | {5}
    assert len(expected) > 5 and problems.line.tolist() == sorted(row + 2 for row in expected)
    for row in problems.itertuples():
        assert row.mixture_id == table.mixture_id[row.line - 2]
        words = {"dan/1.flac": "unreadable", "eve/0.flac": "is silent from"}.get(row.file, "5000")
        assert (words in row.fault or "5000" in row.fault) and "\n" not in row.fault


def test_noise_and_rooms_are_checked_too(corpus, tmp_path):
    noise = make_corpus(tmp_path / "noise")
    recipe = Recipe("a", "test", n_mixtures=4, seconds=0.2, noise_snr_db=[0, 5], rt60=[0.15, 0.2])
    table = freeze(corpus, recipe, noise)
    assert walk(table, corpus, noise).empty
    used = table.file[table.source == -1].iloc[0]
    (noise.folder / used).unlink()
    noise._waveforms.clear()
    problems = walk(table.assign(room=table.room.replace(table.room[0], "a hall")), corpus, noise)
    lines = set(table.index[(table.source == -1) & (table.file == used)] + 2)
    assert set(problems.line) == lines | set(table.index[table.room == table.room[0]] + 2)


def test_leaks_between_views(corpus):
    train, test = (freeze(corpus, Recipe(name, name, n_mixtures=30, n_sources=2))
                   for name in ("train", "test"))
    assert leaks({"a": train, "b": test}) == []
    said, = leaks({"a": train, "b": test}, "category")      # ann speaks in both
    assert said == "a and b share the category ann: what is tested must not train"
    assert leaks({"a": train, "b": train}, "category") == []     # of one split
    moved = test.assign(file=train.file[0])
    assert len(leaks({"a": train, "b": moved, "c": moved})) == 2


def test_summary_counts(corpus):
    facts = summary(freeze(corpus, RECIPE), 8000)
    assert (facts["mixtures"], facts["lines"], facts["noise lines"]) == (20, 40, 0)
    assert facts["seconds a mixture"] == "0.5" and facts["splits"] == "test"
    assert facts["minutes"] == pytest.approx(20 * 0.5 / 60)
    assert 30 < facts["bytes a line"] < 100
