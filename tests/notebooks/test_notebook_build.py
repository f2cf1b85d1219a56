"""From sources to notebooks: the conventions, and that what is committed is what they build."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import build
import nbformat
import pytest
from build import BuildError, Course

ROOT = Path(__file__).parents[2]
COURSE = Course(ROOT)
BUILT = build.build_all(COURSE)
COMMITTED = sorted(ROOT.glob("notebooks/[0-9][0-9]_*.ipynb")) + sorted(
    ROOT.glob("notebooks/solutions/*.ipynb"))
MOST_LINES = 25


def read(course, name, solved=False):
    source = course.root / "notebooks" / "src" / f"{name}.py"
    return nbformat.reads(build.build(course, source, solved), as_version=4)


def rewrite(course, name, old, new):
    path = course.root / "notebooks" / "src" / f"{name}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


# --- the builder, on a toy course

def test_building_twice_gives_the_same_bytes(toy):
    assert build.build_all(toy) == build.build_all(toy)


def test_the_learner_gets_the_stub_and_a_folded_solution(toy):
    cells = read(toy, "01_hello").cells
    stub = next(at for at, cell in enumerate(cells) if "exercise" in build.tags(cell))
    assert cells[stub].source.endswith("...")
    assert cells[stub + 1].cell_type == "markdown"
    assert cells[stub + 1].source.startswith("<details><summary>Solution</summary>\n\n```python\n")
    assert "return 2 * x\n```\n\n</details>" in cells[stub + 1].source


def test_the_solutions_have_the_solution_in_the_stubs_place(toy):
    cells = read(toy, "01_hello", solved=True).cells
    assert not any("exercise" in build.tags(cell) or "<details>" in cell.source for cell in cells)
    assert sum("return 2 * x" in cell.source for cell in cells) == 1


def test_set_up_form_and_metadata(toy):
    notebook = read(toy, "01_hello")
    setup, form = [cell for cell in notebook.cells if cell.metadata.get("cellView") == "form"]
    assert setup.source == toy.setup and "someone/toy-course" in setup.source
    assert "# @param {type:\"slider\"" in form.source
    assert notebook.metadata["accelerator"] == "GPU" and "colab" in notebook.metadata
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)


def test_ids_are_the_files_name_and_the_cells_number(toy):
    ids = [cell.id for cell in read(toy, "01_hello").cells]
    assert ids == [f"01_hello-{number:03d}" for number in range(len(ids))]


def test_placeholders_become_badge_links_and_minutes(toy):
    first = read(toy, "01_hello").cells[0].source
    assert ("https://colab.research.google.com/github/someone/toy-course/blob/main/notebooks/"
            "01_hello.ipynb") in first
    assert "[02 · World](02_world.ipynb)" in first and "Minutes: not yet measured" in first
    assert "[01 · Hello](01_hello.ipynb)" in read(toy, "02_world").cells[-1].source
    assert "main/notebooks/solutions/01_hello.ipynb" in read(toy, "01_hello", True).cells[0].source
    toy.minutes_file.parent.mkdir(parents=True)
    toy.minutes_file.write_text(
        '{"smoke": {"machine": "2 cores", "minutes": {"01_hello": 0.3}}}')
    assert "Minutes: 0.3 (smoke, 2 cores)" in read(toy, "01_hello").cells[0].source


def test_the_map_names_every_notebook_and_what_it_is_about(toy):
    rewrite(toy, "01_hello", "{{nav}}", "{{map}}")
    first = read(toy, "01_hello").cells[0].source
    address = "https://colab.research.google.com/github/someone/toy-course/blob/main/notebooks"
    hello = f"[01 · Hello](01_hello.ipynb) ([Colab]({address}/01_hello.ipynb))"
    assert f"\n| {hello} | You say hello, with $\\alpha = 1$. |" in first
    assert f"\n| [02 · World](02_world.ipynb) ([Colab]({address}/02_world.ipynb)) |" in first
    assert "notebooks/solutions/02_world.ipynb)) |" in read(toy, "01_hello", True).cells[0].source


@pytest.mark.parametrize("old, new, fault", [
    ('# %% tags=["solution"]\ndef double(x):\n    return 2 * x', "", "no solution after"),
    ('# %% tags=["exercise"]\ndef double(x):\n    ...', "", "a solution without its exercise"),
    ('tags=["exercise"]', 'tags=["solution"]', "a solution without its exercise"),
])
def test_a_broken_pair_names_file_and_cell(toy, old, new, fault):
    rewrite(toy, "01_hello", old, new)
    with pytest.raises(BuildError, match=rf"^01_hello.py, cell \d: {fault}"):
        build.build_all(toy)


def test_another_repository_is_stamped_everywhere(toy):
    (toy.root / "README.md").write_text("open github.com/someone/toy-course here")
    build.stamp(toy, "else/where")
    assert toy.repo == "else/where" and "else/where" in toy.setup
    assert (toy.root / "README.md").read_text() == "open github.com/else/where here"
    assert not any("someone/toy-course" in text for text in build.build_all(toy).values())
    with pytest.raises(BuildError, match="give it as owner/name"):
        build.stamp(toy, "https://github.com/else/where")


# --- the course itself

def test_what_is_committed_is_what_the_sources_build():
    assert set(COMMITTED) == set(BUILT), "run `make notebooks`, and delete what has no source"
    stale = [path.name for path, text in BUILT.items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"run `make notebooks`: {stale}"


@pytest.mark.parametrize("path", BUILT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_notebook_keeps_the_conventions(path):
    notebook = nbformat.reads(BUILT[path], as_version=4)
    nbformat.validate(notebook)
    cells = notebook.cells
    assert len({cell.id for cell in cells}) == len(cells)
    setups = [cell.source for cell in cells if "setup" in build.tags(cell)]
    assert setups == [COURSE.setup], "exactly one set-up cell, the same in every notebook"
    assert cells[0].cell_type == "markdown" and "colab-badge.svg" in cells[0].source
    assert re.search(r"^# \d\d · ", cells[0].source, re.MULTILINE), "a title: # NN · words"
    assert "Minutes: " in cells[0].source
    nav = COURSE.nav(path.stem, str(path.parent.relative_to(ROOT)))
    assert nav in cells[0].source and nav in cells[-1].source, "{{nav}} at the top and the bottom"
    for cell in cells:
        assert cell.cell_type == "code" or not re.search(r"{{\w+}}", cell.source)
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
            assert "raises-exception" not in build.tags(cell)
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= MOST_LINES, f"{cell.id} has {len(lines)} lines:\n{cell.source}"


def test_every_address_names_the_one_repository():
    texts = {path.name: text for path, text in BUILT.items()}
    if (ROOT / "README.md").is_file():
        texts["README.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, text in texts.items():
        for found in re.findall(r"(?:colab\.research\.google\.com/github|git clone \S*github\.com)"
                                r"/([\w.-]+/[\w-]+)", text):
            assert found == COURSE.repo, f"{name} names {found}: run `make notebooks`"


def test_the_command_builds_and_a_fault_is_one_line(toy):
    command = shutil.copy(ROOT / "notebooks/build.py", toy.root / "notebooks")

    def run(*arguments):
        return subprocess.run([sys.executable, command, *arguments], capture_output=True, text=True)

    assert run().stdout == "4 notebooks from 2 sources, for someone/toy-course\n"
    assert (toy.root / "notebooks/solutions/02_world.ipynb").is_file()
    wrong = run("--repo", "nowhere")
    assert wrong.returncode == 1
    assert wrong.stderr == "build.py: 'nowhere' is not a repository: give it as owner/name\n"
