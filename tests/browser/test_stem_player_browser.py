"""The stem player in headless Chromium: what is heard is the sum that its faders say."""

import sys
from pathlib import Path

import numpy as np
import pytest
from test_player_browser import (  # noqa: F401  (show is a fixture)
    RATE,
    chirp,
    press,
    record,
    sandbox,
    show,
    state,
    until,
)

from sep_helpers.stem_player import stem_player

STEMS = {"vocals": chirp(400, 500, 0.2, 12.0), "drums": chirp(900, 800, 0.15, 12.0),
         "bass": chirp(150, 100, 0.2, 12.0)}


@pytest.fixture
def desk(show):  # noqa: F811
    return show(stem_player(STEMS, RATE, "A song"))


def audible(page) -> list[bool]:
    return [level > 0 for level in state(page)["levels"]]


def test_stems_sound_together_sample_for_sample_while_they_are_muted_and_soloed(desk):
    def act():
        desk.evaluate("sepPlayers.list[0].sound.seek(0)")
        press(desk, " ")
        for keys in (["1"], ["Shift+3"], ["1"], ["Shift+3"]):
            desk.wait_for_timeout(150)
            press(desk, *keys)
        desk.wait_for_timeout(150)
        press(desk, " ")

    heard = record(desk, act)
    stems = np.stack(list(STEMS.values()))[:, :len(heard) + 1]
    v, d, b = stems
    possible = [x[1:] for x in (v + d + b, d + b, b, v + d + b)]
    fit = np.stack([np.abs(heard - x[:len(heard)]) < 3e-3 for x in possible])
    assert fit.any(axis=0).mean() > 0.9, "out of step, or another mix than was asked for"
    assert all(row.sum() > 0.05 * RATE for row in fit), "each mix was heard"
    rough = np.abs(np.diff(heard)).max()
    steepest = sum(np.abs(np.diff(x)).max() for x in stems)
    assert rough <= steepest + np.abs(stems).max(1).sum() / (0.003 * RATE), "a click"


def test_mute_solo_level_karaoke_and_the_mixture_itself(desk):
    desk.locator(".player").focus()
    assert audible(desk) == [False, True, True, True]
    desk.get_by_role("button", name="Mute drums").click()
    assert audible(desk) == [False, True, False, True]
    desk.get_by_role("button", name="Solo vocals").click()
    assert audible(desk) == [False, True, False, False]
    assert desk.get_by_role("button", name="Solo vocals").get_attribute("aria-pressed") == "true"
    press(desk, "0")
    assert audible(desk) == [True, False, False, False]
    press(desk, "r", "k")
    assert audible(desk) == [False, False, True, True]
    slider = desk.get_by_role("slider", name="Level of bass")
    slider.fill("-6")
    assert state(desk)["levels"][3] / state(desk)["levels"][2] == pytest.approx(0.501, abs=1e-3)
    assert slider.get_attribute("aria-valuetext") == "−6.0 dB"
    slider.fill("-30")
    assert audible(desk) == [False, False, True, False]
    slider.focus()
    press(desk, "ArrowRight", "ArrowRight")       # the slider's own key, not a jump in time
    assert state(desk)["position"] == 0 and state(desk)["strips"][3]["level"] == -29


def test_what_would_clip_is_turned_down_and_said(show):  # noqa: F811
    page = show(stem_player({"a": chirp(400, 400, 0.5), "b": chirp(400, 400, 0.5)}, RATE))
    page.get_by_role("slider", name="Level of a").fill("6")
    levels = state(page)["levels"]
    assert 0.5 * (levels[1] + levels[2]) == pytest.approx(1, abs=0.01)
    assert "turned down by 3.5 dB" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Reset").click()
    assert page.get_by_role("status").inner_text() == ""


def test_the_mixture_is_drawn_as_the_sum_of_its_stems(desk):
    peaks = desk.evaluate("""() => sepPlayers.list[0].sound.channels.map((track) =>
        track[0].reduce((a, b) => Math.max(a, Math.abs(b)), 0))""")
    whole = sum(STEMS.values())
    assert peaks[0] == pytest.approx(np.abs(whole).max(), abs=1e-3)
    assert desk.locator(".wave path").count() == 8      # two for each of four rows


def test_plays_in_a_sandboxed_frame_under_a_strict_policy(page, serve, tmp_path):
    page.goto(sandbox(serve, tmp_path, stem_player(STEMS, RATE, "In a frame").data))
    page.frame_locator("iframe").locator(".round").click()
    inner = page.frames[1]
    until(inner, "sepPlayers.list[0].state.position > 0.2 && sepPlayers.list[0].drawn")
    press(page, "1")
    assert inner.evaluate("sepPlayers.list[0].state.strips[1].mute")
    assert inner.evaluate("violations") == []


@pytest.mark.parametrize("width", [400, 1240])
def test_nothing_sticks_out_at_any_width(new_page, width):
    page = new_page(width=width)
    page.set_content(stem_player(STEMS, RATE, "A long title " * 8).data)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = """() => [...sepPlayers.list[0].wrap.querySelectorAll(".side")].every((side) =>
      [...side.children].every((part) => part.getBoundingClientRect().right <=
        side.getBoundingClientRect().right + 1))"""
    assert page.evaluate(inside)


def test_the_courses_own_pages_play_it(page, serve, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    sys.path.insert(0, str(Path(__file__).parents[2] / "notebooks"))
    import pages
    import render

    cell = nbformat.v4.new_code_cell("stem_player(...)", outputs=[nbformat.v4.new_output(
        "execute_result", {"text/html": stem_player(STEMS, RATE, "Saved").data},
        execution_count=1)])
    body = render.body(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    (tmp_path / "index.html").write_text(f"<style>{pages.style()}</style><main>{body}</main>",
                                         "utf-8")
    page.goto(serve(tmp_path))
    page.locator(".round").click()
    page.wait_for_function("sepPlayers.list[0].state.position > 0.1")
    press(page, "k")
    assert audible(page) == [False, False, True, True]
