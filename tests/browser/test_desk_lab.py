"""The mixing desk in JupyterLab: what is moved moves the picture, the sound and the lines."""

import base64
import io
from pathlib import Path

import pytest
import soundfile

SOURCE = """import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from toy_corpus import make_corpus
from sep_helpers.widgets import MixingDesk
desk = MixingDesk(make_corpus(Path({corpus!r})))
desk"""


@pytest.fixture
def lab(run_all, jupyterlab, tmp_path):
    """A JupyterLab page with a desk, run."""
    nbformat = pytest.importorskip("nbformat")
    tests = str(Path(__file__).parents[1])
    source = SOURCE.format(tests=tests, corpus=str(tmp_path / "corpus"))
    cells = [nbformat.v4.new_code_cell(text) for text in (source, "print('ALL', 'DONE')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "desk.ipynb")
    page = run_all(jupyterlab(tmp_path), "desk.ipynb", "ALL DONE", seconds=60)
    page.locator("pre.view-lines").wait_for()
    return page


def lines(page) -> list[list[str]]:
    return [line.split(",") for line in page.locator("pre.view-lines").inner_text().split()]


def wait_for(page, change, before) -> list:
    """The lines, once they differ."""
    change()
    differ = "before => document.querySelector('pre.view-lines').innerText !== before"
    page.wait_for_function(differ, arg=before)
    return lines(page)


def test_the_desk_is_driven_by_mouse_and_keyboard(lab):
    text = lab.locator("pre.view-lines").inner_text
    header, one, two = lines(lab)
    assert [one[4], two[4]] == ["ann", "bob"]
    sound = lab.locator("audio").first.get_attribute("src")
    picture = lab.locator(".jp-OutputArea img").first.get_attribute("src")
    assert lab.locator("audio").count() == 3

    # another voice for the first source
    choices = lab.locator(".widget-dropdown select")
    _, one, _ = wait_for(lab, lambda: choices.first.select_option("cat"), text())
    assert one[4:6] == ["cat", "cat/0.flac"]
    files = choices.nth(1).locator("option").all_inner_texts()
    assert files == [f"cat/{i}.flac" for i in range(3)]

    # a second later for the second one, typed into the slider's field
    def later():
        field = lab.locator(".widget-readout").nth(3)
        field.click()
        lab.keyboard.press("Control+A")
        lab.keyboard.type("1.00")
        lab.keyboard.press("Enter")

    _, _, two = wait_for(lab, later, text())
    assert dict(zip(header, two, strict=True))["offset"] == "8000"

    # what is heard is as long as the lines say, and it plays
    assert lab.locator("audio").first.get_attribute("src") != sound
    assert lab.locator(".jp-OutputArea img").first.get_attribute("src") != picture
    data = lab.locator("audio").first.get_attribute("src").split(",")[1]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate == 8000 and len(samples) == int(dict(zip(header, two, strict=True))["length"])
    seconds = lab.locator("audio").first.evaluate(
        "async a => { await a.play(); await new Promise(r => setTimeout(r, 400)); "
        "return a.currentTime }")
    assert seconds > 0.1
