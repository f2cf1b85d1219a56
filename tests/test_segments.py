"""segments: every policy does what it says with the tail, and a segmented view is a view."""

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_corpus import make_corpus

from sep_helpers.segments import POLICIES, segment, spans, whole
from sep_helpers.views import (
    FrozenView,
    Recipe,
    ViewError,
    account,
    check,
    collate,
    coverage,
    freeze,
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voices"))


@pytest.mark.parametrize("policy, samples, expected", [
    ("segments", 10, [(0, 4, 4), (4, 8, 4), (6, 10, 4)]),     # the last one counted back
    ("segments", 8, [(0, 4, 4), (4, 8, 4)]),
    ("segments", 3, [(0, 3, 3)]),
    ("whole", 10, [(0, 10, 10)]),
    ("drop_last", 10, [(0, 4, 4), (4, 8, 4)]),
    ("drop_last", 3, []),
    ("pad_last", 10, [(0, 4, 4), (4, 8, 4), (8, 10, 4)]),
    ("pad_last", 3, [(0, 3, 4)]),
    ("half_overlap", 9, [(0, 4, 4), (2, 6, 4), (4, 8, 4), (5, 9, 4)]),
    ("half_overlap", 3, [(0, 3, 3)]),
    ("random", 4, [(0, 4, 4)]),
    ("random", 3, [(0, 3, 3)]),
])
def test_policies_by_hand(policy, samples, expected):
    assert spans(samples, 4, policy) == expected


@settings(max_examples=200, deadline=None)
@given(samples=st.integers(1, 300), length=st.integers(1, 100),
       policy=st.sampled_from(sorted(POLICIES)))
def test_spans_lie_inside_and_lose_nothing_that_they_promise(samples, length, policy):
    found = spans(samples, length, policy)
    assert all(0 <= a < b <= samples and n >= b - a for a, b, n in found)
    covered = set().union(*(range(a, b) for a, b, _ in found))
    if policy in ("segments", "whole", "pad_last", "half_overlap"):
        assert covered == set(range(samples))
    if policy == "segments":
        twice = sum(b - a for a, b, _ in found) - samples
        assert twice == (-samples % length if samples >= length else 0)
    if policy == "drop_last":
        assert samples - len(covered) == samples % length
    if policy not in ("whole", "segments", "half_overlap", "random"):
        assert all(n == length for *_, n in found)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_corpus_segmented_is_a_view_and_its_ledger_adds_up(corpus, policy):
    table = segment(whole(corpus, "test"), 5000, policy, seed=3)
    check(table, corpus)
    ledger = coverage(table, corpus, pad_to=0 if policy == "whole" else 5000)
    total = account(ledger)
    if policy in ("segments", "pad_last", "whole", "half_overlap"):
        assert total.dropped == 0
    # seven recordings: of 8000, 9000 and 12000 samples for dan and eve, ann's of 12000
    expected = {"segments": (0, 0, 2 * (2000 + 1000 + 3000) + 3000),
                "pad_last": (0, 2 * (2000 + 1000 + 3000) + 3000, 0),
                "drop_last": (2 * (3000 + 4000 + 2000) + 2000, 0, 0), "whole": (0, 0, 0)}
    if policy in expected:
        assert (total.dropped, total.padded, total.overlapped) == expected[policy]


def test_short_recordings_are_padded_in_the_batch_outside_of_the_lengths(corpus):
    table = segment(whole(corpus, "test"), 10_000)
    view = FrozenView(corpus, table)
    batch = collate([view[i] for i in range(len(view))])
    assert batch["mixture"].shape[-1] == 10_000
    lengths = dict(zip(batch["id"], batch["lengths"].tolist(), strict=True))
    assert lengths["dan/0.flac_000"] == 8000 and lengths["dan/2.flac_001"] == 10_000
    assert account(coverage(table, corpus, pad_to=10_000)).padded == (
        10_000 * len(view) - batch["lengths"].sum())


def test_segments_of_mixtures_are_the_mixtures_in_pieces(corpus):
    mixtures = freeze(corpus, Recipe("m", "test", n_sources=3, n_mixtures=6, overlap=[0.1, 0.7]))
    table = segment(mixtures, 3000, "pad_last")
    check(table, corpus)
    pieces = {item["id"]: item for item in FrozenView(corpus, table)}
    for item in FrozenView(corpus, mixtures):
        mine = [pieces[name] for name in sorted(pieces) if name.startswith(item["id"])]
        joined = torch.cat([piece["sources"] for piece in mine], -1)
        assert torch.equal(joined[:, :item["sources"].shape[-1]], item["sources"])
        assert not joined[:, item["sources"].shape[-1]:].any()
    assert (table.start == table.stop).any()        # somebody is silent in some piece


def test_random_segments_are_decided_by_their_seed(corpus):
    alone = whole(corpus, "train")
    one, again, other = (segment(alone, 4000, "random", seed) for seed in ((7, 0), (7, 0), (7, 1)))
    pd.testing.assert_frame_equal(one, again)
    assert (one.start != other.start).any()


def test_what_cannot_be_cut_is_refused(corpus):
    with pytest.raises(ViewError, match="no policy 'half': choose one of segments, whole"):
        spans(10, 4, "half")
    with pytest.raises(ViewError, match="cannot cut 10 samples into segments of 0"):
        spans(10, 0)
    with pytest.raises(ViewError, match="segments of 4.5: both are whole numbers"):
        spans(10, 4.5)
    with pytest.raises(ViewError, match="policy 'drop_last' leaves nothing"):
        segment(whole(corpus, "test"), 20_000, "drop_last")
