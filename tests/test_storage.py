"""storage: the experiment times what it says, counts the bytes that lie there, and cleans up."""

import math

import pytest
import torch
from toy_corpus import make_corpus

from sep_helpers import storage


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    corpus = make_corpus(tmp_path_factory.mktemp("voices"))
    return storage.Experiment(corpus, tmp_path_factory.mktemp("kept"), n=6, seconds=0.5)


def test_rates_of_every_way_and_place(experiment):
    table = experiment.rates(rounds=1, workers=(0,), step=0.05)
    assert len(table) == 1 + 4 * 3 and list(table) == [
        "way", "stft", "items/s", "items/s, 0 workers", "% of a step"]
    assert (table["items/s"] > 0).all() and set(table.way) == set(storage.WAYS)
    share = 100 / table["items/s"] / 0.05
    assert table["% of a step"].tolist() == pytest.approx(share.tolist())


def test_the_same_examples_in_every_way(experiment):
    stored = experiment.dataset(storage.WAYS[0])
    for way in storage.WAYS[1:]:
        torch.testing.assert_close(experiment.dataset(way, "in the item")[3], stored[3],
                                   atol=0.05, rtol=0.05)      # 16 bits round


def test_making_counts_what_lies_there(experiment):
    table = experiment.making(counts=(6, 40))
    stored, described = table.loc["stored (.npy)"], table.loc["described (view)"]
    frames, signals = math.ceil(4000 / 64) + 1, 3
    assert stored["MB for 6"] == pytest.approx(6 * signals * (128 + 129 * frames * 8) / 1e6)
    assert stored["MB for 40"] == pytest.approx(stored["MB for 6"] * 40 / 6)
    assert (stored["measured on"], described["measured on"]) == (6, 40)
    assert 0 < described["MB for 40"] * 1e6 / 80 < 100          # bytes a source line
    assert 0 < experiment.corpus_bytes < 400_000


def test_clean_leaves_nothing(tmp_path):
    corpus = make_corpus(tmp_path / "voices")
    (tmp_path / "kept/notes").mkdir(parents=True)
    (tmp_path / "kept/notes/mine.txt").write_text("not the experiment's")
    experiment = storage.Experiment(corpus, tmp_path / "kept", n=2, seconds=0.2)
    assert any((tmp_path / "kept").rglob("*.npy"))
    experiment.clean()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["notes"]
    assert (tmp_path / "kept/notes/mine.txt").exists()
    assert len(corpus.waveform("ann/0.flac")) == 8000


def test_stacking_and_steps_take_time():
    times = storage.stacking(items=3, shape=(2, 50), rounds=2)
    assert len(times) == 3 and (times > 0).all()
    model = torch.nn.Module()
    model.scale = torch.nn.Parameter(torch.ones(2, 1))
    model.n_sources, model.forward = 2, lambda mixture: mixture[:, None] * model.scale
    assert 0 < storage.step_seconds(model, 400) < 5
