"""storage_ways: whatever the examples are kept in, they are the same examples."""

import pytest
import torch
from toy_corpus import make_corpus

from sep_helpers.stft import stft
from sep_helpers.storage_ways import READERS, Described, Stored
from sep_helpers.views import FrozenView, Recipe, freeze


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="module")
def view(corpus):
    return FrozenView(corpus, freeze(corpus, Recipe("a", "train", n_mixtures=6, seconds=0.5,
                                                    overlap=[0.3, 0.8])))


@pytest.mark.parametrize("way", READERS)
def test_every_reader_gives_the_views_mixtures(corpus, view, way, tmp_path):
    items = Described(READERS[way](corpus, tmp_path, corpus.table.file.tolist()), view.mixtures)
    spectra = Described(items.reader, view.mixtures, spectra=True)
    for index, item in enumerate(view):
        expected = torch.cat([item["mixture"][None], item["sources"]])
        # 16 bits round by up to 2^-16; the gain of these soft recordings makes that ten times more
        torch.testing.assert_close(items[index], expected, atol=2e-4, rtol=0)
        torch.testing.assert_close(spectra[index], stft(items[index]))


def test_stored_examples_are_read_as_they_were_written(corpus, view, tmp_path):
    described = Described(READERS["RAM"](corpus, tmp_path, []), view.mixtures, spectra=True)
    stored = Stored(tmp_path / "npy", len(view), 2)
    stored.write(described)
    assert len(list((tmp_path / "npy").iterdir())) == 3 * len(view)
    for index in range(len(view)):
        assert torch.equal(stored[index], described[index])
