"""The player in headless Chromium: what is heard is captured from its audio graph and measured."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from sep_helpers.player import player

RATE = 8000
FADE_LIMIT = round(0.005 * RATE)  # samples: a switch takes less than 5 ms

# Every sample that goes to the loudspeakers of the shared context goes to window.heard as well.
TAP = """async () => {
  const context = window.sepPlayers.context;
  const code = `registerProcessor("tap", class extends AudioWorkletProcessor {
    process([input]) {
      this.port.postMessage([currentFrame, Array.from(input[0] || new Float32Array(128))]);
      return true;
    }
  })`;
  const file = new Blob([code], {type: "text/javascript"});
  await context.audioWorklet.addModule(URL.createObjectURL(file));
  const tap = new AudioWorkletNode(context, "tap");
  window.heard = [];
  tap.port.onmessage = (event) => window.heard.push(event.data);
  tap.connect(context.destination);
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target === context.destination) connect.call(this, tap);
    return connect.call(this, target, ...rest);
  };
  await new Promise((ready) => setTimeout(ready, 100));
  window.heard = []; // the worklet skips blocks while it starts
}"""


def chirp(start: float, stop: float, amplitude: float, seconds: float = 4.0) -> np.ndarray:
    """A tone that never repeats, so that a recording of it tells where it was taken."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * (start * time + (stop - start) * time**2 / (2 * seconds))
    return (amplitude * np.sin(phase)).astype(np.float32)


LOW, HIGH = chirp(400, 500, 0.5), chirp(900, 800, 0.2)
LONG_LOW, LONG_HIGH = chirp(400, 500, 0.5, 12.0), chirp(900, 800, 0.2, 12.0)


@pytest.fixture
def show(page, serve, tmp_path):
    """show(*players) -> the page that shows them, drawn."""
    url = serve(tmp_path)

    def load(*players, colours="color:#222;background:#fff"):
        body = "\n".join(shown.data for shown in players)
        (tmp_path / "index.html").write_text(
            f"<!doctype html><meta charset=utf-8><body style='{colours}'>{body}", "utf-8")
        page.goto(url)
        page.wait_for_function("sepPlayers.list.length && sepPlayers.list[0].drawn")
        return page

    return load


def state(page, number=0) -> dict:
    return page.evaluate("n => sepPlayers.list[n].state", number)


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def record(page, act) -> np.ndarray:
    """What sounds while act() runs, silence around it cut off; a first short play makes the tap."""
    page.locator(".round").first.click()
    press(page, " ")
    page.evaluate(TAP)
    act()
    page.wait_for_timeout(150)
    blocks = page.evaluate("window.heard")
    frames = np.array([frame for frame, _ in blocks])
    assert (np.diff(frames) == 128).all(), "the capture itself lost blocks"
    heard = np.concatenate([block for _, block in blocks])
    return np.trim_zeros(np.where(np.abs(heard) > 1e-9, heard, 0))


def longest(flags: np.ndarray) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def switches(heard: np.ndarray, tracks: list[np.ndarray]) -> tuple[int, int, int]:
    """(number of switches, samples of the longest passage that is no track, longest silence).

    heard[n] must be sample n of one of the tracks, so tracks out of step count as no track.
    """
    is_track = np.stack([np.abs(heard - track[:len(heard)]) < 2e-3 for track in tracks])
    level = np.convolve(heard**2, np.ones(FADE_LIMIT) / FADE_LIMIT, "valid") ** 0.5
    only = is_track[:, is_track.sum(axis=0) == 1].argmax(axis=0)
    runs = only[np.convolve(np.diff(only, prepend=only[0]) == 0, np.ones(40), "same") == 40]
    return (int((np.diff(runs) != 0).sum()), longest(~is_track.any(axis=0)),
            longest(level < 0.3 * min(track.std() for track in tracks)))


def roughest(heard: np.ndarray) -> float:
    return float(np.abs(np.diff(heard)).max())


def allowed_jump(tracks: list[np.ndarray]) -> float:
    """The steepest step of the tracks themselves, and that of a 3 ms fade between their peaks."""
    peak = sum(np.abs(track).max() for track in tracks)
    return max(roughest(track) for track in tracks) + peak / (0.003 * RATE)


def test_the_measure_itself_hears_gaps_and_clicks():
    half = len(LOW) // 2
    hard = np.concatenate([LOW[:half], HIGH[half:]])
    gap = hard.copy()
    gap[half - 60: half] = 0
    late = np.concatenate([LOW[:half], HIGH[half - 3: -3]])
    assert switches(hard, [LOW, HIGH]) == (1, 0, 0)
    assert switches(gap, [LOW, HIGH])[1:] > (FADE_LIMIT, 10)
    assert switches(late, [LOW, HIGH])[1] > 1000
    click = np.concatenate([LOW[:half], -LOW[half:]])
    click[half] += 0.5
    assert roughest(click) > allowed_jump([LOW])


def gained(page, *tracks) -> list[np.ndarray]:
    """The tracks at the gains the player shows."""
    shown = [page.locator(".gain").nth(i).inner_text() for i in range(len(tracks))]
    gains = [page.evaluate(f"sepPlayers.list[0].sound.gain({i})") for i in range(len(tracks))]
    assert shown == [f"{gain:+.1f} dB".replace("+0.0", "0.0") for gain in gains]
    return [10 ** (gain / 20) * track for gain, track in zip(gains, tracks, strict=True)]


def test_switching_is_in_step_without_gap_or_click(show):
    page = show(player({"low": LONG_LOW, "high": LONG_HIGH}, RATE))
    tracks = gained(page, LONG_LOW, LONG_HIGH)

    def act():
        page.evaluate("sepPlayers.list[0].sound.seek(0)")
        press(page, " ")
        for key in "21212121":
            page.wait_for_timeout(120)
            press(page, key)
        page.wait_for_timeout(120)
        press(page, " ")

    heard = np.concatenate([[0.0], record(page, act)])  # a fade-in begins with one more zero
    count, fade, silence = switches(heard[:-FADE_LIMIT], tracks)
    assert count == 8 and len(heard) > RATE
    assert 0 < fade < FADE_LIMIT
    assert silence == 0
    assert roughest(heard) <= allowed_jump(tracks)


def test_switching_in_the_midst_of_a_fade_does_not_click(show):
    page = show(player({"low": LONG_LOW, "high": LONG_HIGH}, RATE))

    def act():
        press(page, " ")
        for _ in range(5):
            page.wait_for_timeout(60)
            press(page, *"21212")  # as fast as it can
        press(page, " ")

    heard = record(page, act)
    assert len(heard) > 0.2 * RATE
    assert roughest(heard) <= allowed_jump(gained(page, LONG_LOW, LONG_HIGH))


def test_play_seek_loop_and_pause_do_not_click(show):
    page = show(player({"low": LOW}, RATE))

    def act():
        press(page, " ")
        for _ in range(3):
            page.wait_for_timeout(120)
            press(page, "ArrowRight")
        page.evaluate("sepPlayers.list[0].sound.repeat(true, [1, 1.1])")
        page.wait_for_timeout(500)
        press(page, " ")

    heard = record(page, act)
    assert len(heard) > 0.6 * RATE
    assert roughest(heard) <= allowed_jump([LOW, LOW])


def level(page) -> float:
    """dB of the next 0.4 s of sound, once what was done last can be heard."""
    start = page.evaluate("sepPlayers.context.currentTime * sepPlayers.rate + 512")
    page.wait_for_function(f"window.heard.length && window.heard.at(-1)[0] > {start + 3200}")
    blocks = [block for frame, block in page.evaluate("window.heard") if 0 < frame - start < 3200]
    return 10 * np.log10(np.mean(np.square(blocks)))


def test_matched_tracks_sound_equally_loud_and_unmatched_ones_do_not(show):
    noise = np.random.default_rng(0).normal(size=(2, 4 * RATE)).astype(np.float32)
    page = show(player({"quiet": 0.02 * noise[0], "loud": 0.1 * noise[1]}, RATE))
    levels = {}

    def act():
        press(page, "l", " ")
        for step in ("1 matched", "2 matched", "m", "2 plain", "1 plain", " "):
            press(page, step[0])
            if step.endswith(("matched", "plain")):
                levels[step] = level(page)

    record(page, act)
    assert levels["1 matched"] == pytest.approx(levels["2 matched"], abs=0.4)  # noise: +-0.15 dB
    assert levels["2 plain"] - levels["1 plain"] == pytest.approx(20 * np.log10(5), abs=0.4)
    assert [page.locator(".gain").nth(i).inner_text() for i in (0, 1)] == ["0.0 dB", "0.0 dB"]


def test_cursor_moves_with_the_sound_and_stops_at_the_end(show):
    page = show(player({"a": LOW, "b": HIGH}, RATE, "A title"))
    where = """() => {
      const [cursor, plane] = [".cursor", ".plane"].map((part) =>
        sepPlayers.list[0].rows[1].element.querySelector(part).getBoundingClientRect());
      return [(cursor.left - plane.left) / plane.width, sepPlayers.list[0].state.position];
    }"""
    assert page.evaluate(where)[0] == pytest.approx(0, abs=0.002)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("sepPlayers.list[0].state.position > 0.3")
    part, seconds = page.evaluate(where)
    assert part > 0.05 and part == pytest.approx(seconds / 4, abs=0.05)
    page.evaluate("sepPlayers.list[0].sound.seek(3.9)")
    page.wait_for_function("!sepPlayers.list[0].state.playing")
    assert page.evaluate(where) == [pytest.approx(0, abs=0.002), 0]


def test_click_and_drag_seek_and_a_shifted_drag_loops_a_passage(show):
    page = show(player({"a": LOW, "b": HIGH}, RATE))
    box = page.locator(".plane").nth(1).bounding_box()
    at = lambda part: (box["x"] + part * box["width"], box["y"] + 50)  # noqa: E731

    def drag(start, stop):
        page.mouse.move(*at(start))
        page.mouse.down()
        page.mouse.move(*at((start + stop) / 2))
        page.mouse.move(*at(stop))
        page.mouse.up()

    page.mouse.click(*at(0.5))
    assert state(page)["position"] == pytest.approx(2.0, abs=0.02)
    drag(0.5, 0.25)
    assert state(page)["position"] == pytest.approx(1.0, abs=0.02)
    page.keyboard.down("Shift")
    drag(0.6, 0.5)
    page.keyboard.up("Shift")
    press(page, " ")
    page.wait_for_timeout(700)
    now = state(page)
    assert now["loop"] and now["bounds"] == pytest.approx([2.0, 2.4], abs=0.02)
    assert now["playing"] and 2.0 <= now["position"] <= 2.4
    press(page, "Escape")
    assert state(page)["bounds"] == [0, 4] and not state(page)["loop"]


def test_everything_works_from_the_keyboard(show):
    page = show(player({"a": LOW, "b": HIGH, "c": LOW}, RATE))
    press(page, "Tab", " ")
    assert state(page)["playing"]
    press(page, " ")
    assert not state(page)["playing"]
    for keys, heard in ((["3"], 2), (["ArrowUp"], 1), (["ArrowDown"], 2), (["9"], 2), (["1"], 0)):
        press(page, *keys)
        assert state(page)["heard"] == heard
        checked = page.get_by_role("radio", checked=True)
        assert checked.count() == 1 and checked.inner_text().startswith(str(heard + 1))
    press(page, "Home", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert state(page)["position"] == pytest.approx(0.4)
    press(page, "l", "m")
    assert state(page)["loop"] and not state(page)["matched"]
    press(page, "Tab")  # to the play button: the space bar presses it, and nothing else
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.className") == "round"
    press(page, " ")
    assert state(page)["playing"]
    outline = "getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    slider = page.get_by_role("slider", name="Position")
    assert slider.get_attribute("aria-valuemax") == "4.00"


@pytest.mark.parametrize("coin, x", [(0.1, "A"), (0.9, "B")])
def test_blind_test_hides_x_and_counts(show, coin, x):
    page = show(player({"a": LOW, "b": HIGH, "c": LOW}, RATE))
    page.evaluate(f"Math.random = () => {coin}")
    page.locator(".player").focus()
    press(page, "m", "2", "x")
    test = state(page)["test"]
    assert state(page)["matched"] and (test["A"], test["B"]) == (1, 2)
    page.get_by_role("button", name="Use a as B").click()
    assert page.get_by_role("button", name="X is A").is_disabled()  # X has not been heard
    press(page, "x")
    assert state(page)["playing"] and state(page)["heard"] == {"A": 1, "B": 0}[x]
    assert page.locator(".row.on").count() == 0
    assert page.get_by_role("radio", checked=True).count() == 0
    press(page, f"Shift+{x}")
    for _ in range(2):
        press(page, "x")
        page.get_by_role("button", name=f"X is {x}").click()
    press(page, "x", "Shift+A" if x == "B" else "Shift+B")
    assert state(page)["test"]["heard"] == "A"  # not X, which would betray the next coin
    assert state(page)["test"]["chance"] == pytest.approx(5 / 16)  # (C(4,3) + C(4,4)) / 2^4
    assert page.get_by_role("status").inner_text() == (
        f"No: X was {x}. 3 right of 4. By guessing alone: 31 % of the time.")
    press(page, "Escape")
    assert state(page)["test"] is None and page.locator(".row.on").count() == 1


def test_spectrogram_and_waveform_show_the_tone_where_it_is(show):
    page = show(player({"tone": chirp(1000, 1000, 0.5), "rising": chirp(500, 3500, 0.5)}, RATE))
    brightest = """(canvas, at) => {
      const {width, height} = canvas;
      const {data} = canvas.getContext("2d").getImageData(Math.floor(at * width), 0, 1, height);
      const light = Array.from({length: height}, (_, y) =>
        data[4 * y] + data[4 * y + 1] + data[4 * y + 2]);
      return 4000 * (height - 1 - light.indexOf(Math.max(...light))) / height;
    }"""
    spectrograms = page.locator("canvas")
    bin_width = 8000 / 256
    for at, hertz in ((0.1, 1000), (0.5, 1000), (0.9, 1000)):
        assert spectrograms.nth(0).evaluate(brightest, at) == pytest.approx(hertz, abs=bin_width)
    for at in (0.1, 0.5, 0.9):
        expected = 500 + 3000 * at
        assert spectrograms.nth(1).evaluate(brightest, at) == pytest.approx(expected, abs=60)
    labels = page.locator(".axis").first.inner_text().split("\n")
    assert [re.sub(r"\s+", " ", label) for label in labels] == ["0", "2", "4 kHz"]
    box = page.locator(".wave path").first.evaluate("e => e.getBBox().height")
    assert box == pytest.approx(1.0, abs=0.01)  # from -0.5 to 0.5


def test_players_of_a_page_share_one_context_and_take_turns(show):
    first, second = player({"a": LOW}, RATE, "One"), player({"b": HIGH}, RATE, "Two")
    fast = player({"c": np.repeat(LOW, 2)}, 2 * RATE, "Other rate")
    page = show(first, second, second, fast)
    assert page.evaluate("sepPlayers.list.length") == 4  # the one shown twice works twice
    assert page.evaluate("sepPlayers.context") is None  # before a gesture
    for number, rate in ((0, RATE), (1, RATE), (2, RATE), (3, 2 * RATE), (0, RATE)):
        page.locator(".round").nth(number).click()
        page.wait_for_timeout(60)
        assert [state(page, i)["playing"] for i in range(4)] == [i == number for i in range(4)]
        assert page.evaluate("sepPlayers.context.sampleRate") == rate
    before = [state(page, i)["position"] for i in (1, 2, 3)]
    press(page, "ArrowRight", "l")
    assert [state(page, i)["position"] for i in (1, 2, 3)] == before
    assert [state(page, i)["loop"] for i in range(4)] == [True, False, False, False]


def test_players_in_frames_of_their_own_take_turns(page, serve, tmp_path):
    (tmp_path / "inner.html").write_text(player({"a": LOW}, RATE).data, "utf-8")
    frame = "<iframe src=inner.html height=300></iframe>"
    (tmp_path / "index.html").write_text("<!doctype html>" + 2 * frame)
    page.goto(serve(tmp_path))
    playing = "sepPlayers.list[0].state.playing"
    for number, other in ((1, 2), (2, 1)):
        page.frame_locator(f"iframe >> nth={number - 1}").locator(".round").click()
        page.frames[other].wait_for_function("!" + playing)
        assert page.frames[number].evaluate(playing)


def test_a_player_whose_cell_is_cleared_falls_silent(show):
    page = show(player({"a": LOW}, RATE))
    page.locator(".round").click()
    page.evaluate("document.querySelector('[data-sep-player]').remove()")
    page.wait_for_function("!sepPlayers.list[0].state.playing")


STRICT = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
WATCH = ("<script>window.violations = []; document.addEventListener('securitypolicyviolation', "
         "event => violations.push(event.violatedDirective))</script>")


def sandbox(serve, folder, inner: str) -> str:
    """URL of a page that shows inner as Colab does: sandboxed, without an origin, strict policy."""
    head = f"<meta charset=utf-8><meta http-equiv=Content-Security-Policy content=\"{STRICT}\">"
    (folder / "inner.html").write_text(f"<!doctype html>{head}{WATCH}{inner}", "utf-8")
    (folder / "index.html").write_text("<!doctype html><meta charset=utf-8><iframe src=inner.html "
                                       "sandbox=allow-scripts width=900 height=600></iframe>")
    return serve(folder)


def until(frame, condition: str):
    """frame.wait_for_function, which such a policy forbids."""
    for _ in range(100):
        if frame.evaluate(condition):
            return
        frame.page.wait_for_timeout(50)
    pytest.fail(f"never true: {condition}")


def test_plays_in_a_sandboxed_frame_under_a_strict_policy(page, serve, tmp_path):
    page.goto(sandbox(serve, tmp_path, player({"a": LOW, "b": HIGH}, RATE, "In a frame").data))
    frame = page.frame_locator("iframe")
    frame.locator(".round").click()
    inner = page.frames[1]
    until(inner, "sepPlayers.list[0].state.position > 0.2 && sepPlayers.list[0].drawn")
    press(page, "2")
    assert inner.evaluate("sepPlayers.list[0].state.heard") == 1
    assert frame.locator(".row.on .name").inner_text() == "b"
    assert inner.evaluate("window.origin") == "null"
    assert inner.evaluate("violations") == []


def test_that_policy_does_catch_a_fetch(browser, serve, tmp_path):
    page = browser.new_page()
    page.goto(sandbox(serve, tmp_path, "<script>fetch('index.html').catch(() => 0)</script>"))
    until(page.frames[1], "violations.includes('connect-src')")
    page.close()


def test_a_notebook_rendered_to_html_plays_all_its_players(page, serve, tmp_path):
    nbconvert = pytest.importorskip("nbconvert")
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell("player(...)", outputs=[
        nbformat.v4.new_output("display_data", {"text/html": shown.data})])
        for shown in (player({"a": LOW}, RATE, "One"), player({"b": HIGH, "a": LOW}, RATE, "Two"))]
    exporter = nbconvert.HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")
    html, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))
    (tmp_path / "index.html").write_text(html, "utf-8")
    page.goto(serve(tmp_path))
    for number in (0, 1):
        page.locator(".round").nth(number).click()
        page.wait_for_function(f"sepPlayers.list[{number}].state.position > 0.1")
    assert [state(page, i)["playing"] for i in (0, 1)] == [False, True]


def test_the_courses_own_pages_play_their_players(page, serve, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    sys.path.insert(0, str(Path(__file__).parents[2] / "notebooks"))
    import pages
    import render

    shown = player({"a": LOW, "b": HIGH}, RATE, "On the site")
    cell = nbformat.v4.new_code_cell("player(...)", outputs=[
        nbformat.v4.new_output("execute_result", {"text/html": shown.data}, execution_count=1)])
    body = render.body(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    html = f"<style>{pages.style()}</style><main>{body}</main>"
    (tmp_path / "index.html").write_text(html, "utf-8")
    page.goto(serve(tmp_path))
    page.locator(".round").click()
    page.wait_for_function("sepPlayers.list[0].state.position > 0.1")
    page.keyboard.press("2")
    page.wait_for_function("sepPlayers.list[0].state.heard === 1")


@pytest.mark.parametrize("width", [400, 648, 1240])
def test_nothing_sticks_out_at_any_width(new_page, width):
    page = new_page(width=width)
    names = {f"a track with quite a long name, number {i}": LOW for i in range(10)}
    page.set_content(player(names, RATE, "A long title " * 8).data)
    page.locator(".player").focus()
    press(page, "x")
    widest = page.evaluate("document.documentElement.scrollWidth")
    assert widest <= width
    overlap = """() => sepPlayers.list[0].rows.some(({element}) => {
      const [side, graph] = [".side", ".graph"].map((part) =>
        element.querySelector(part).getBoundingClientRect());
      return side.bottom > graph.top + 1 && side.right > graph.left + 1
        || side.bottom > element.getBoundingClientRect().bottom + 1;
    })"""
    assert not page.evaluate(overlap)


def test_greys_follow_the_theme_of_the_page(show):
    page = show(player({"a": LOW, "b": HIGH}, RATE), colours="color:#eee;background:#111")
    colour = "e => getComputedStyle(e).color"
    assert page.locator(".heading").evaluate(colour) == "rgb(238, 238, 238)"
    page.evaluate("document.body.style.color = '#222'")
    assert page.locator(".heading").evaluate(colour) == "rgb(34, 34, 34)"
