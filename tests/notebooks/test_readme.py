"""The README says what was measured, names what is there, and its commands exist."""

import re
from pathlib import Path

import pytest
import results

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_stored_figures():
    assert results.filled(README) == README, "run `python notebooks/results.py`"
    assert README.count("| shipped |") >= 2


def test_a_changed_figure_is_noticed():
    figure = re.search(r"\| (\d+\.\d\d) \[", README)[1]
    assert results.filled(README.replace(figure, "99.99")) == README


def test_every_notebook_is_on_the_map():
    for notebook in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        assert README.count(f"notebooks/{notebook.name}") == 2, f"{notebook.name}: page and badge"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`?make ([a-z]+)", README))))
def test_every_command_is_in_the_makefile(command):
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
