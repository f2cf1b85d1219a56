"""plots_views: the pictures show the ledger's and the experiment's own figures."""

import pandas as pd
import pytest
from toy_corpus import make_corpus

from sep_helpers import plots_views, segments, views
from sep_helpers.views import ViewError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voices"))


def test_ledger_bars_are_the_minutes_of_the_ledger(corpus):
    policies = ("segments", "drop_last", "pad_last")
    alone = segments.whole(corpus, "test")
    ledgers = {policy: views.coverage(segments.segment(alone, 5000, policy), corpus, pad_to=5000)
               for policy in policies}
    ax = plots_views.ledger(ledgers, 8000).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(policies)
    for bars, name in zip(ax.containers, ("used", "dropped", "overlapped", "padded"), strict=True):
        assert bars.get_label() == name
        for bar, table in zip(bars, ledgers.values(), strict=True):
            assert bar.get_width() == pytest.approx(table[name].sum() / 8000 / 60)
    total = corpus.select(split="test").samples.sum() / 8000 / 60
    assert [line.get_xdata()[0] for line in ax.lines] == [pytest.approx(total)] * 3
    assert len({patch.get_hatch() for bars in ax.containers for patch in bars}) == 4


def test_a_ledger_that_does_not_add_up_is_not_drawn(corpus):
    table = views.coverage(segments.whole(corpus, "test"), corpus)
    with pytest.raises(ViewError, match="does not add up"):
        plots_views.ledger({"bad": table.assign(used=table.used - 1)}, 8000)


def test_timeline_shows_cuts_and_padding(corpus):
    table = segments.segment(segments.whole(corpus, "test"), 5000, "pad_last")
    ax = plots_views.timeline(table, "dan/0.flac", 8000, 8000).axes[0]
    spans = [(bar.get_x(), bar.get_width()) for bars in ax.containers for bar in bars]
    expected = [(0, 1), (0, 0.625), (0, 0.625), (0.625, 0.625), (0.625, 0.375)]
    assert spans == [pytest.approx(span) for span in expected]
    many = segments.segment(segments.whole(corpus, "test"), 100, "segments")
    assert "(20 of 80 cuts)" in plots_views.timeline(many, "dan/0.flac", 8000, 8000
                                                     ).axes[0].get_title("left")


def test_storage_bars_are_the_rates():
    rates = pd.DataFrame([(".npy", "stored", 200.0), ("RAM", "none", 4000.0),
                          ("RAM", "in the item", 100.0)], columns=["way", "stft", "items/s"])
    ax = plots_views.storage(rates).axes[0]
    assert [bars[0].get_width() for bars in ax.containers] == [200, 4000, 100]
    assert [bars.get_label() for bars in ax.containers] == [
        "stored as STFT", "waveforms alone", "STFT in the item"]
    assert {text.get_text() for text in ax.texts} == {"200", "4,000", "100"}
