"""The README says what was measured, names what is there, and its commands exist."""

import re
from pathlib import Path

import figures
import pandas as pd
import pytest
import results

from sep_helpers import audio, cards, corpora, course_views, models, standard_views, trained

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_stored_figures():
    assert results.filled(README) == README, "run `python notebooks/results.py`"
    assert README.count("real-time factor |") >= 2      # a table for each test


def test_the_two_voice_network_reaches_its_goal_on_real_readers_and_in_every_slice():
    found = {card.name: card for card in cards.read_all(ROOT / "assets/cards")}
    card, floor = found["two_voices_speech_real_test_si_sdri"], found[
        "random_mask_speech_real_test_si_sdri"]
    assert card.n == 200 and card.mean >= 6.5 and card.low > max(0, floor.high)
    assert f"{card.mean:.2f} [{card.low:.2f}, {card.high:.2f}]" in README
    table = pd.read_csv(ROOT / "assets/studies/slices_speech_real_test.csv")
    ours, floors = (table[table.system == name].set_index(["slice", "value"])
                    for name in (card.system, floor.system))
    assert len(ours) >= 8 and set(ours.index) == set(floors.index)
    assert (ours.low > 0).all() and (ours.low > floors.high[ours.index]).all()


@pytest.mark.parametrize("name", trained.shipped())
def test_every_shipped_network_has_a_card_of_every_test_of_its_kind(name):
    told = models.read_card(trained.find(name))
    found = {card.name: card for card in cards.read_all(ROOT / "assets/cards")}
    for view, standard in standard_views.STANDARDS.items():
        if standard.kind == told.get("tests"):
            for metric in ("si_sdri", "sdri"):
                card = found[f"{name}_{view}_{metric}"]
                assert card.system == told["title"] and card.n == 200
                assert 0 < card.real_time < 1 and card.seconds == pytest.approx(
                    60 * told["minutes"])
                assert f"[{name}](assets/checkpoints/{name})" in README


def test_a_table_of_results_has_all_cards_of_its_test_side_by_side(tmp_path):
    facts = dict(low=1.0, high=3.0, n=9, preset="", origin="shipped", seconds=90.0, machine="",
                 seed=0, data="voices", view="unseen")
    for system, metric, mean, more in [
            ("Net", "sdri", 7.5, {"parameters": 870_000, "real_time": 0.0123}),
            ("Net", "si_sdri", 7.0, {"parameters": 870_000, "real_time": 0.0123}),
            ("ideal mask", "si_sdri", 12.0, {"kind": "bound"})]:
        card = cards.ResultCard(name=f"{system[:3]}_{metric}", system=system, metric=metric,
                                mean=mean, **facts, **more)
        card.write(tmp_path / "assets/cards")
    title, _, head, _, *rows = results.results_table(tmp_path).splitlines()
    assert "never heard" in title and head.startswith("| system | SI-SNRi, dB | SDRi, dB | mix")
    assert rows == [
        "| ideal mask | 12.00 [1.00, 3.00] |  | 9 |  |  |  |",
        "| Net | 7.00 [1.00, 3.00] | 7.50 [1.00, 3.00] | 9 | 0.87 M | 90 | 0.0123 |"]


def test_a_changed_figure_is_noticed():
    figure = re.search(r"\| (\d+\.\d\d) \[", README)[1]
    assert results.filled(README.replace(figure, "99.99")) == README


def test_every_notebook_is_on_the_map():
    for notebook in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        assert README.count(f"notebooks/{notebook.name}") == 2, f"{notebook.name}: page and badge"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`?make ([a-z]+)", README))))
def test_every_command_is_in_the_makefile(command):
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_map_knows_every_source_and_the_presets_are_the_packages():
    assert results.filled(README.replace("06 · Evaluation", "06 · Guessing")) == README
    assert results.filled(README.replace("a night on a big GPU", "a year")) == README
    with pytest.raises(SystemExit, match="marks of the table 'map' are missing"):
        results.filled(README.replace("<!-- map:begin -->", ""))


def test_the_sounds_are_those_of_the_shipped_network():
    network = models.load(ROOT / "assets/checkpoints/voice_separator/model.safetensors")
    tracks, _ = figures.ordinary(network, course_views.frozen_view("unseen", corpora.embedded()))
    files = sorted((ROOT / "assets/demo").glob("*.flac"))
    assert [file.stem for file in files] == ["estimate_1", "estimate_2", "mixture"]
    for file in files:
        difference = (audio.read(file, 8000) - tracks[file.stem]).abs().max()
        assert difference < 1e-3, f"{file.name}: run `python notebooks/figures.py`"


def test_pictures_and_sounds_are_light():
    assert (ROOT / "assets/figures/separation.png").stat().st_size < 400_000
    assert sum(file.stat().st_size for file in (ROOT / "assets/demo").iterdir()) < 100_000


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
