"""cards: what is written is read, in plain JSON that a browser reads too."""

import html
import json
import math
import os
import re

import numpy as np
import pandas as pd
import pytest

from sep_helpers import cards
from sep_helpers.cards import CardError, ResultCard

FACTS = dict(name="04_conv_tasnet", preset="laptop", origin="yours", seconds=np.float32(310.5),
             machine="a machine", seed=0, data="embedded voices")
ROW = pd.DataFrame([dict(system="Conv-TasNet", view="test", metric="si_sdri", n=60, failed=0,
                         mean=6.25, low=5.5, high=7.0, text="6.2 (5.5 to 7.0)")]).iloc[0]


def test_a_card_comes_back_as_it_was(tmp_path):
    card = ResultCard.of(ROW, **FACTS)
    path = card.write(tmp_path / "cards")
    assert path == tmp_path / "cards" / "04_conv_tasnet.json"
    assert cards.read(path) == card
    assert os.listdir(path.parent) == ["04_conv_tasnet.json"]       # no draft stays behind


def test_the_file_is_flat_strict_json(tmp_path):
    row = ROW.copy()
    row["n"], row["low"], row["high"] = np.int64(1), math.nan, math.nan
    path = ResultCard.of(row, **FACTS).write(tmp_path)
    flat = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert flat["low"] is None and flat["n"] == 1 and flat["mean"] == 6.25
    assert not any(isinstance(value, (dict, list)) for value in flat.values())
    again = cards.read(path)
    assert math.isnan(again.low) and math.isnan(again.high) and again.mean == 6.25


def test_all_cards_of_a_folder_by_name(tmp_path):
    for name in ("b", "a", "c"):
        ResultCard.of(ROW, **FACTS | {"name": name}).write(tmp_path)
    (tmp_path / "notes.txt").write_text("no card")
    assert [card.name for card in cards.read_all(tmp_path)] == ["a", "b", "c"]
    assert cards.read_all(tmp_path / "nowhere") == []


def shown(page: str) -> str:
    """What a reader sees of some HTML."""
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_a_card_shows_its_figure_and_all_that_it_rests_on():
    card = ResultCard.of(ROW, **FACTS, checkpoint="shipped, voice_separator")
    words = shown(card._repr_html_())
    for word in ("Conv-TasNet", "6.25 dB", "SI-SDR improvement", "5.50 to 7.00 dB", "60 utterances",
                 "laptop", "a machine", "310.5", "embedded voices", "yours", "voice_separator",
                 "04_conv_tasnet.json"):
        assert word in words, word
    assert re.search(r"seed\s+0", words), "a seed of 0 is a fact, too"


def test_one_utterance_has_no_interval_and_a_loss_its_minus():
    row = ROW.copy()
    row["n"], row["mean"], row["low"], row["high"] = 1, -0.5, math.nan, math.nan
    words = shown(ResultCard.of(row, **FACTS).html())
    assert "−0.50 dB" in words and "no interval" in words and "1 utterance " in words
    assert "nan" not in words
    unknown = shown(ResultCard.of(row, **FACTS | {"seconds": math.nan}, real_time=0.0314).html())
    assert "not recorded" in unknown and "nan" not in unknown and "0.031" in unknown


def test_a_cards_text_is_escaped_and_reaches_nothing_outside():
    evil = "<script>alert(1)</script>&<img src='http://x'>"
    facts = FACTS | {"machine": evil, "data": evil, "preset": evil}
    row = ROW.copy()
    row["system"] = row["view"] = row["metric"] = evil
    page = ResultCard.of(row, **facts, checkpoint=evil, created=evil).html()
    assert "<script" not in page and "<img" not in page and shown(page).count(evil) == 8
    outside = re.findall(r"(?:src|href)=|url\(", ResultCard.of(ROW, **FACTS).html())
    assert not outside


def test_a_page_holds_all_cards_of_the_folder_and_is_written_whole(tmp_path):
    for name in ("b", "a"):
        ResultCard.of(ROW, **FACTS | {"name": name}).write(tmp_path)
    path = cards.write_page(tmp_path, "My <results>")
    text = path.read_text(encoding="utf-8")
    assert text.index("a.json") < text.index("b.json") and "My &lt;results&gt;" in text
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b.json", "cards.html"]
    assert cards.write_page(tmp_path) == path and len(cards.read_all(tmp_path)) == 2
    assert "No cards yet" in cards.write_page(tmp_path / "empty").read_text()


def test_a_new_result_replaces_the_old_one(tmp_path):
    ResultCard.of(ROW, **FACTS).write(tmp_path)
    ResultCard.of(ROW, **FACTS | {"seed": 7}).write(tmp_path)
    assert [card.seed for card in cards.read_all(tmp_path)] == [7]


@pytest.mark.parametrize("change, message", [
    ({"name": "../up"}, "becomes a file name"),
    ({"name": ""}, "becomes a file name"),
    ({"origin": "borrowed"}, "'borrowed' has to be 'yours' or 'shipped'"),
])
def test_bad_facts_are_refused(change, message):
    with pytest.raises(CardError, match=message):
        ResultCard.of(ROW, **FACTS | change)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"name": "x", "colour": "red"}'])
def test_a_broken_card_is_named(tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(CardError, match="bad.json is no result card .*: delete it") as error:
        cards.read_all(tmp_path)
    assert "\n" not in str(error.value)
