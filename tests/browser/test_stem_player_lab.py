"""The stem player in JupyterLab: faders move under the mouse, keys stay the player's own."""

import pytest

SOURCE = """import numpy as np
from sep_helpers.stem_player import stem_player
time = np.arange(240000) / 8000
stem_player({"vocals": 0.3 * np.sin(2500 * time), "drums": 0.1 * np.sin(5000 * time)}, 8000)"""


@pytest.fixture
def lab(run_all, jupyterlab, tmp_path):
    """A JupyterLab page with a notebook of two cells, run."""
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(source) for source in (SOURCE, "print('ALL', 'DONE')")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "stems.ipynb")
    return run_all(jupyterlab(tmp_path), "stems.ipynb", "ALL DONE")


def test_a_fader_is_dragged_and_keys_are_not_the_notebooks(lab):
    lab.locator(".round").click()
    lab.wait_for_function("sepPlayers.list[0].state.position > 0.2 && sepPlayers.list[0].drawn")
    box = lab.get_by_role("slider", name="Level of drums").bounding_box()
    lab.mouse.move(box["x"] + 0.83 * box["width"], box["y"] + box["height"] / 2)
    lab.mouse.down()
    lab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
    lab.mouse.up()
    state = lab.evaluate("sepPlayers.list[0].state")
    assert -24 < state["strips"][2]["level"] < -14 and state["playing"]
    lab.locator(".player").focus()
    lab.keyboard.press("k")         # in a notebook: the cell above
    lab.keyboard.press("Shift+2")
    state = lab.evaluate("sepPlayers.list[0].state")
    assert state["strips"][1]["mute"] and state["strips"][2]["solo"]
    assert lab.locator(".jp-CodeCell").count() == 2
