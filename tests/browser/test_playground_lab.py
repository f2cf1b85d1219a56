"""The mask playground in JupyterLab: a knob is turned, and picture, figure and sound follow."""

import base64
import io

import pytest
import soundfile

SOURCE = """import torch
from sep_helpers.mask_playground import MaskPlayground
t = torch.arange(8000) / 8000
tones = {f"tone {i}": 0.1 * torch.sin(2 * torch.pi * hertz * t) * (1 + torch.sin(9 * i * t))
         for i, hertz in enumerate((500, 530))}
playground = MaskPlayground(tones, 8000)
playground"""


@pytest.fixture
def lab(run_all, jupyterlab, tmp_path):
    """A JupyterLab page with a playground, run."""
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(text) for text in (SOURCE, "print('ALL', 'DONE')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "play.ipynb")
    page = run_all(jupyterlab(tmp_path), "play.ipynb", "ALL DONE", seconds=60)
    page.locator(".gain").wait_for()
    return page


def gain(page) -> float:
    return float(page.locator(".gain").inner_text())


def after(page, change) -> float:
    """The gain, once the panel shows something new."""
    before = page.locator("audio").first.get_attribute("src")
    change()
    page.wait_for_function("src => document.querySelector('audio').src !== src", arg=before)
    return gain(page)


def test_the_playground_is_driven_by_mouse_and_keyboard(lab):
    assert lab.locator(".jp-OutputArea svg image").count() >= 6        # pictures and colour bars
    short = gain(lab)

    def longer():                       # the window's slider, four steps to the right
        lab.locator(".noUi-handle").first.focus()
        for _ in range(4):
            lab.keyboard.press("ArrowRight")

    assert after(lab, longer) > short + 3           # tones 30 Hz apart need a long window
    lab.wait_for_function("document.querySelector('.widget-readout').innerText.includes('512')")
    long = gain(lab)
    assert after(lab, lambda: lab.locator("input[type=checkbox]").first.check()) != long

    data = lab.locator("audio").first.get_attribute("src").split(",")[1]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate == 8000 and len(samples) == 8000
    seconds = lab.locator("audio").first.evaluate(
        "async a => { await a.play(); await new Promise(r => setTimeout(r, 400)); "
        "return a.currentTime }")
    assert seconds > 0.1
