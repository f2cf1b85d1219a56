"""The player in JupyterLab: it plays, and its keys stay its own."""

import re

import pytest

SOURCE = """import numpy as np
from sep_helpers.player import player
time = np.arange(24000) / 8000
player({"low": 0.3 * np.sin(2500 * time), "high": 0.1 * np.sin(5000 * time)}, 8000, "Two tones")"""


@pytest.fixture
def lab(run_all, jupyterlab, tmp_path):
    """A JupyterLab page with a notebook of two cells, run."""
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(source) for source in (SOURCE, "print('ALL', 'DONE')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "two.ipynb")
    return run_all(jupyterlab(tmp_path), "two.ipynb", "ALL DONE")


def state(page) -> dict:
    return page.evaluate("sepPlayers.list.at(-1).state")


def test_plays_switches_and_keeps_its_keys_from_the_notebook(lab):
    lab.locator(".round").click()
    lab.wait_for_function("sepPlayers.list[0].state.position > 0.2 && sepPlayers.list[0].drawn")
    lab.locator(".track", has_text="high").click()
    assert state(lab)["heard"] == 1
    lab.keyboard.press("1")
    assert state(lab)["heard"] == 0
    lab.keyboard.press("x")  # in a notebook: cut the cell
    lab.keyboard.press("b")  # insert a cell below
    assert state(lab)["test"]["heard"] == "B"
    lab.keyboard.press("Escape")
    lab.keyboard.press(" ")
    assert not state(lab)["playing"]
    assert lab.locator(".jp-CodeCell").count() == 2
    # A saved notebook that is opened again shows the player from its stored output.
    lab.keyboard.press("Tab")
    lab.get_by_role("button", name=re.compile("^Save")).first.click()
    lab.wait_for_function("!document.querySelector('.jp-mod-current.jp-mod-dirty')")
    lab.reload()
    lab.locator(".round").click()
    lab.wait_for_function("sepPlayers.list.at(-1).state.position > 0.2")
