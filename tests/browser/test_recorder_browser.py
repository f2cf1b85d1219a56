"""The recorder in headless Chromium, whose microphone plays a file: what it hears is that file."""

import base64
import shutil

import numpy as np
import pytest
import soundfile
from conftest import FLAGS

from sep_helpers import own_recording

RATE = 48000
TONES = (440.0, 1250.0)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory):
    """A file of two tones, one after the other, half a second each, over and over."""
    t = np.arange(RATE // 2) / RATE
    wave = 0.4 * np.concatenate([np.sin(2 * np.pi * f * t) for f in TONES])
    path = tmp_path_factory.mktemp("microphone") / "tones.wav"
    soundfile.write(path, np.tile(wave, 8), RATE, "PCM_16")
    return path


@pytest.fixture
def open_page(serve, tmp_path):
    """open_page(flags) -> a page of a Chromium with these flags; nothing of it stays."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    (tmp_path / "index.html").write_text("<!doctype html><title>cell</title>")
    url, browsers = serve(tmp_path), []
    with sync_api.sync_playwright() as playwright:
        def start(*flags):
            browsers.append(playwright.chromium.launch(executable_path=chromium, headless=True,
                                                       args=[*FLAGS, *flags]))
            page = browsers[-1].new_page()
            page.set_default_timeout(20_000)
            page.goto(f"{url}/index.html")
            return page

        yield start
        for browser in browsers:
            browser.close()


def fake(path):
    return ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={path}")


def record(page, seconds):
    """What Colab's eval_js does: evaluate the code, wait for the promise, hand out its value."""
    return page.evaluate(f"(async () => {{ {as_value(own_recording.browser_code(seconds))} }})()")


def as_value(code: str) -> str:
    """The code with its last line's value handed out."""
    head, last = code.rsplit("\n", 1)
    return f"{head}\nreturn {last}"


def test_the_microphones_sound_arrives_as_wav(open_page, microphone, tmp_path):
    page = open_page(*fake(microphone))
    answer = record(page, 2.0)
    assert not answer.startswith("error"), answer
    (tmp_path / "mine.wav").write_bytes(base64.b64decode(answer))
    wave, rate = soundfile.read(tmp_path / "mine.wav")
    assert soundfile.info(tmp_path / "mine.wav").subtype == "PCM_16" and wave.ndim == 1
    assert 1.7 < len(wave) / rate < 2.8
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    hz = np.fft.rfftfreq(len(wave), 1 / rate)
    loudest = [hz[np.argmax(np.where(abs(hz - f) < 200, spectrum, 0))] for f in TONES]
    assert np.allclose(loudest, TONES, atol=2)
    near = sum((spectrum[abs(hz - f) < 30] ** 2).sum() for f in TONES)
    assert near > 0.9 * (spectrum[hz > 50] ** 2).sum()           # the tones, and little else
    assert 0.2 < np.abs(wave).max() < 0.7
    assert page.locator(".sep-record").inner_text().strip() == "recorded"


def test_stop_ends_it_early(open_page, microphone, tmp_path):
    page = open_page(*fake(microphone))
    page.evaluate(f"(() => {{ window.answer = (async () => {{ "
                  f"{as_value(own_recording.browser_code(30))} }})(); }})()")
    page.get_by_text("recording 0.").first.wait_for()
    assert page.locator(".sep-record meter").evaluate("m => m.value") > -40
    page.get_by_role("button", name="Stop").click()
    (tmp_path / "mine.wav").write_bytes(base64.b64decode(page.evaluate("window.answer")))
    assert 0.05 < soundfile.info(tmp_path / "mine.wav").duration < 10


def test_a_page_without_microphone_says_so_in_one_line(open_page):
    page = open_page("--use-fake-device-for-media-stream=device-count=0")
    answer = record(page, 1.0)
    assert answer.startswith("error: ") and "microphone" in answer and "\n" not in answer
