"""The listening tests in JupyterLab: sounds play, clicks and sliders end in the CSV."""

import csv

import pytest

SOURCE = """import torch
from sep_helpers import listening
from sep_helpers.listening_widgets import AbxTest, MushraTest
g = torch.Generator().manual_seed(0)
names = ["net", "mask", "reference", "anchor"]
material = {{("m_0", 0): {{name: 0.1 * torch.randn(4000, generator=g) for name in names}}}}
plan = listening.plan_abx(list(material), ("net", "mask"), 2, seed=0)
display(AbxTest(plan, material, 8000, {folder!r} + "/abx.csv", "ann"))
plan = listening.plan_mushra(list(material), ["net", "mask"], seed=0)
display(MushraTest(plan, material, 8000, {folder!r} + "/mushra.csv", "ann"))"""


@pytest.fixture
def lab(run_all, jupyterlab, tmp_path):
    """A JupyterLab page with both tests, run."""
    nbformat = pytest.importorskip("nbformat")
    source = SOURCE.format(folder=str(tmp_path))
    cells = [nbformat.v4.new_code_cell(text) for text in (source, "print('ALL', 'DONE')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "ears.ipynb")
    page = run_all(jupyterlab(tmp_path), "ears.ipynb", "ALL DONE", seconds=60)
    page.get_by_text("Trial 1 of 1").wait_for()
    return page


def lines(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_both_are_answered_to_the_end(lab, tmp_path):
    played = lab.locator("audio").first.evaluate(
        "async a => { await a.play(); await new Promise(r => setTimeout(r, 300)); "
        "return a.currentTime }")
    assert played > 0.1

    lab.get_by_role("button", name="X is A").click()
    lab.get_by_text("Trial 2 of 2").wait_for()
    assert len(lines(tmp_path / "abx.csv")) == 1, "written before the next one is shown"
    lab.get_by_role("button", name="X is B").click()
    lab.get_by_text("of 2 right").wait_for()
    answers = lines(tmp_path / "abx.csv")
    assert [answer["answer"] for answer in answers] == [answers[0]["a"], answers[1]["b"]]
    assert not lab.get_by_role("button", name="X is A").is_visible()

    save = lab.get_by_role("button", name="Save, next trial")
    save.click()
    lab.get_by_text("not rated yet: 1, 2, 3, 4").wait_for()
    assert not (tmp_path / "mushra.csv").exists()
    handles = lab.locator(".noUi-handle")
    for number in range(handles.count()):
        handles.nth(number).focus()
        for _ in range(number + 1):
            lab.keyboard.press("ArrowRight")
    lab.get_by_text("54", exact=True).wait_for()
    save.click()
    lab.get_by_text("Thank you").wait_for()
    assert [float(line["rating"]) for line in lines(tmp_path / "mushra.csv")] == [51, 52, 53, 54]
