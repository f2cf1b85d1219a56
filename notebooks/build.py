"""Build the notebooks from their sources, the same bytes every time.

    python notebooks/build.py                    every notebooks/src/NN_name.py
    python notebooks/build.py --repo owner/name  and stamp another repository everywhere

A source is a jupytext percent script. `# %% tags=["setup"]` becomes the one set-up cell of
src/_setup.py. `# %% tags=["exercise"]` is a stub and the `# %% tags=["solution"]` after it its
solution: the learner's notebook gets the stub and a folded solution, notebooks/solutions/ gets
the solution in the stub's place. In markdown, {{header}} is the Colab badge, {{nav}} the links
to the neighbours, {{map}} a table of all notebooks, {{minutes}} the measured minutes, {{repo}} the
repository.
"""

import argparse
import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[1]
METADATA = {
    "accelerator": "GPU",
    "colab": {"provenance": [], "toc_visible": True},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
FOLDED = "<details><summary>Solution</summary>\n\n```python\n{}\n```\n\n</details>"
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({})"


class BuildError(ValueError):
    """A source that breaks a convention; the message names the file and the cell."""


@dataclass(frozen=True)
class Course:
    """Where the course lies, and what its notebooks share."""

    root: Path

    @property
    def project(self) -> dict:
        """pyproject.toml, the one home of the repository's name and the course's title."""
        return tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def repo(self) -> str:
        """owner/name"""
        return self.project["tool"]["course"]["repo"]

    @property
    def title(self) -> str:
        return self.project["tool"]["course"].get("title", "Audio source separation")

    @property
    def summary(self) -> str:
        return self.project["tool"]["course"].get("summary", self.project["project"]["description"])

    @property
    def sources(self) -> list[Path]:
        """The notebooks' sources, in the order of the course."""
        return sorted((self.root / "notebooks" / "src").glob("[0-9][0-9]_*.py"))

    @property
    def setup(self) -> str:
        text = (self.root / "notebooks" / "src" / "_setup.py").read_text(encoding="utf-8")
        return text.strip().replace("{{repo}}", self.repo)

    @property
    def minutes_file(self) -> Path:
        return self.root / "assets" / "figures" / "minutes.json"

    @property
    def minutes(self) -> dict:
        """{preset: {"machine": ..., "minutes": {notebook: minutes}}}, as course.py measured."""
        file = self.minutes_file
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def minutes_line(self, name: str) -> str:
        """What a notebook's header says of its minutes."""
        parts = [f"{figures['minutes'][name]} ({preset}, {figures['machine']})"
                 for preset, figures in self.minutes.items() if name in figures["minutes"]]
        return "Minutes: " + ("; ".join(parts) or "not yet measured")

    def colab(self, name: str, folder: str) -> str:
        """The address that opens a notebook in Colab."""
        return f"https://colab.research.google.com/github/{self.repo}/blob/main/{folder}/{name}.ipynb"

    def nav(self, name: str, folder: str) -> str:
        """Links to the notebook before and the one after; each also in Colab."""
        at = [path.stem for path in self.sources].index(name)
        parts = []
        for arrow, other in (("← {}", at - 1), ("{} →", at + 1)):
            if 0 <= other < len(self.sources):
                parts.append(arrow.format(self.link(self.sources[other], folder)))
        return " · ".join(parts)

    def map(self, folder: str) -> str:
        """A table of all notebooks: the title, which is a link, and what stands below it."""
        rows = [f"| {self.link(path, folder)} | {summary_of(path)} |" for path in self.sources]
        return "\n".join(["| notebook | what it is about |", "|---|---|", *rows])

    def link(self, source: Path, folder: str) -> str:
        """A notebook's title as a link to it, and another one to Colab."""
        name = source.stem
        return f"[{title_of(source)}]({name}.ipynb) ([Colab]({self.colab(name, folder)}))"


def title_of(source: Path) -> str:
    """The first heading of a source, after its number when it does not say it itself."""
    heading = re.search(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
    number, _, words = source.stem.partition("_")
    title = heading[1].strip() if heading else words.replace("_", " ")
    return title if title.startswith(number) else f"{number} · {title}"


def summary_of(source: Path) -> str:
    """The paragraph below the first heading of a source, in one line."""
    text = source.read_text(encoding="utf-8")
    paragraph = re.search(r"^# # .+\n#\n((?:# .+\n)+)", text, re.MULTILINE)
    return " ".join(line[2:] for line in paragraph[1].splitlines()) if paragraph else ""


def build(course: Course, source: Path, solved: bool) -> str:
    """The text of one notebook: the learner's, or with the solutions in."""
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    folder = "notebooks/solutions" if solved else "notebooks"
    fill = {
        "{{header}}": BADGE.format(course.colab(source.stem, folder)),
        "{{nav}}": course.nav(source.stem, folder),
        "{{minutes}}": course.minutes_line(source.stem),
        "{{map}}": course.map(folder),
        "{{repo}}": course.repo,
    }
    cells = []
    for cell in pair_exercises(notebook.cells, source.name, solved):
        if "setup" in tags(cell):
            cell.source = course.setup
            cell.metadata["cellView"] = "form"
        elif cell.cell_type == "markdown":
            for placeholder, text in fill.items():
                cell.source = cell.source.replace(placeholder, text)
        cells.append(cell)
    return serialise(cells, notebook.metadata, source.stem)


def pair_exercises(cells: list, file: str, solved: bool) -> list:
    """Each exercise with the solution that must follow it: stub + folded text, or the solution."""
    out, stub = [], None
    for number, cell in enumerate(cells):
        if (stub is not None) != ("solution" in tags(cell)):
            missing = "a solution without its exercise" if stub is None else "no solution after"
            raise BuildError(f"{file}, cell {number}: {missing} the exercise cell before it")
        if "exercise" in tags(cell):
            stub = cell
        elif stub is None:
            out.append(cell)
        else:
            folded = nbformat.v4.new_markdown_cell(FOLDED.format(cell.source))
            out += [cell] if solved else [stub, folded]
            stub = None
    if stub is not None:
        raise BuildError(f"{file}, last cell: an exercise without its solution")
    return out


def tags(cell) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def serialise(cells: list, metadata: dict, name: str) -> str:
    """nbformat 4.5, no outputs, cell ids from the file name and the cell's number."""
    for number, cell in enumerate(cells):
        cell.id = f"{name}-{number:03d}"
        cell.metadata.pop("lines_to_next_cell", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    own = {key: value for key, value in metadata.items() if key not in ("jupytext", "kernelspec")}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA | own)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def build_all(course: Course) -> dict[Path, str]:
    """Every notebook of the course: {where it belongs: its text}."""
    folder = course.root / "notebooks"
    return {
        where / f"{source.stem}.ipynb": build(course, source, solved)
        for source in course.sources
        for where, solved in ((folder, False), (folder / "solutions", True))
    }


def stamp(course: Course, repo: str) -> None:
    """Write another repository into pyproject.toml and README.md; the build does the notebooks."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise BuildError(f"{repo!r} is not a repository: give it as owner/name")
    old = course.repo
    for file in (course.root / "pyproject.toml", course.root / "README.md"):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(old, repo), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the notebooks from notebooks/src.")
    parser.add_argument("--repo", help="owner/name to stamp into pyproject, README and notebooks")
    repo = parser.parse_args().repo
    course = Course(ROOT)
    try:
        if repo:
            stamp(course, repo)
        built = build_all(course)
    except BuildError as error:
        sys.exit(f"build.py: {error}")
    for path, text in built.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(built)} notebooks from {len(course.sources)} sources, for {course.repo}")


if __name__ == "__main__":
    main()
