"""Every notebook, the learner's and the solved, runs offline from the first cell to the last."""

import signal
from pathlib import Path

import nbformat
import pytest
from kernel import execute, hidden_error
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[2]
LEARNERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLVED = sorted((ROOT / "notebooks/solutions").glob("[0-9][0-9]_*.ipynb"))


def run(notebook, folder, env):
    """Execute a notebook; whatever went wrong in it, anywhere, raises."""
    execute(notebook, folder, env | {"SEP_WORK": str(folder / "work")})
    assert hidden_error(notebook) is None, hidden_error(notebook)
    ran = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert None not in ran


@pytest.fixture(scope="module")
def learners_folder(tmp_path_factory):
    """One folder for the sequence: what a notebook saves, the next one finds."""
    return tmp_path_factory.mktemp("learner")


@pytest.fixture(scope="module")
def solved_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("solved")


@pytest.mark.parametrize("path", LEARNERS, ids=lambda path: path.stem)
def test_the_learners_notebook_runs_unsolved(path, learners_folder, offline):
    run(nbformat.read(path, as_version=4), learners_folder, offline)


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_the_solved_notebook_runs(path, solved_folder, offline):
    run(nbformat.read(path, as_version=4), solved_folder, offline)


# --- and this can fail

def small(*sources, **metadata):
    cells = [nbformat.v4.new_code_cell(source, metadata=metadata) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def test_a_sound_notebook_passes(tmp_path, offline):
    run(small("import os", "assert os.environ['SEP_PRESET'] == 'smoke'"), tmp_path, offline)


def test_a_failing_cell_fails(tmp_path, offline):
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run(small("1 / 0"), tmp_path, offline)


def test_a_failing_cell_that_is_tagged_as_allowed_fails(tmp_path, offline):
    with pytest.raises(AssertionError, match="a cell: ZeroDivisionError"):
        run(small("1 / 0", tags=["raises-exception"]), tmp_path, offline)


def test_a_widget_that_fails_when_it_is_moved_fails(tmp_path, offline):
    slider = ("import ipywidgets\n"
              "turn = ipywidgets.interactive(lambda gain: 1 / gain, gain=(0, 4))\n"
              "display(turn)")
    run(small(slider), tmp_path, offline)
    with pytest.raises(AssertionError, match="a widget: ZeroDivisionError"):
        run(small(slider, "turn.children[0].value = 0"), tmp_path, offline)


def test_a_busy_output_widget_does_not_bring_the_run_to_a_stand(tmp_path, offline):
    def stands(*_):
        raise TimeoutError("the reply to a cell went unnoticed")

    signal.signal(signal.SIGALRM, stands)
    signal.alarm(120)
    try:
        run(small("import ipywidgets\nout = ipywidgets.Output()",
                  *4 * ["for _ in range(30):\n    with out:\n        print('x' * 20_000)"]),
            tmp_path, offline)
    finally:
        signal.alarm(0)


@pytest.mark.parametrize("reach", [
    "import urllib.request; urllib.request.urlopen('http://example.com', timeout=5)",
    "import socket; socket.create_connection(('93.184.215.14', 80), timeout=5)",
    "import socket; socket.socket().connect_ex(('93.184.215.14', 80))",
])
def test_reaching_for_the_network_fails(reach, tmp_path, offline):
    offline = {key: value for key, value in offline.items() if "proxy" not in key.lower()}
    with pytest.raises(CellExecutionError, match="the network is off in this test"):
        run(small(reach), tmp_path, offline)
