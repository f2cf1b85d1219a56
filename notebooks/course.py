"""Run the whole course without a screen and write its pages: what `make course` does.

    python notebooks/course.py --preset laptop     every notebook, in order; then site/
    python notebooks/course.py --pages-only        site/ again, from the last run
    python notebooks/course.py --record            and keep the minutes for the notebooks' headers

The learner's notebooks run as they are, in copies: work/course/executed holds what came out,
work/course/work what they saved for each other. A cell that fails ends the run. A run that broke
off is gone on with: what it had trained is kept, and its training resumes.
"""

import argparse
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import nbformat
import pages
from build import Course
from kernel import execute, first_line, hidden_error
from nbclient.exceptions import CellExecutionError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from sep_helpers import corpora, workspace  # noqa: E402

DEFAULT_MINUTES = {"smoke": 0.5, "laptop": 5, "t4": 15, "full": 120}  # until one is measured


class CourseError(ValueError):
    """A notebook that failed; the message names it, the cell and the error in one line."""


class Progress:
    """Says which cell runs, for how long, and about how long still, from what cells took before."""

    def __init__(self, expected: dict[str, dict[str, float]]):
        """expected: {notebook: {cell id: seconds}}, for every notebook that will run."""
        self.expected = expected
        self.began = self.cell_began = time.monotonic()
        self.done, self.cell_expected = 0.0, 0.0  # expected seconds: of the cells done, of this one
        self.total = sum(sum(cells.values()) for cells in expected.values())
        self.label = ""
        self.in_place = sys.stdout.isatty()  # one line, rewritten; in a log, a line now and then
        self.over = threading.Event()
        threading.Thread(target=self._tick, daemon=True).start()

    def start_cell(self, name: str, number: int, count: int, cell_id: str) -> None:
        """Called as a cell starts; the one before it is done."""
        self.done += self.cell_expected
        self.cell_began = time.monotonic()
        self.cell_expected = self.expected[name].get(cell_id, 0.0)
        self.label = f"[{name[:2]} · cell {number}/{count}]"
        if self.in_place:
            self._show()

    def line(self) -> str:
        """[05 · cell 12/31] 1:32 elapsed, about 4:10 left"""
        now = time.monotonic()
        before = self.cell_began - self.began
        pace = min(4.0, max(0.5, before / self.done)) if self.done > 10 else 1.0  # of this machine
        here = max(0.0, pace * self.cell_expected - (now - self.cell_began))
        left = pace * (self.total - self.done - self.cell_expected) + here
        return f"{self.label} {clock(now - self.began)} elapsed, about {clock(left)} left"

    def say(self, text: str) -> None:
        """Print a line that stays."""
        print(("\r\033[K" if self.in_place else "") + text, flush=True)

    def end(self) -> None:
        self.label = ""
        self.over.set()

    def _show(self) -> None:
        if self.in_place:
            print(f"\r\033[K{self.line()}", end="", flush=True)
        else:
            self.say(self.line())

    def _tick(self) -> None:
        while not self.over.wait(1 if self.in_place else 20):
            if self.label:
                self._show()


def clock(seconds: float) -> str:
    """75 -> 1:15."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def run_course(course: Course, preset: str, work: Path) -> None:
    """Run every notebook in order, each copy saved with its outputs in work/executed."""
    notebooks = sorted((course.root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not notebooks:
        raise CourseError("no notebooks in notebooks/: run `make notebooks` first")
    progress = Progress({path.stem: expected_seconds(course, path, preset, work)
                         for path in notebooks})
    mark = begin(work, preset)
    env = os.environ | {"SEP_PRESET": preset, "SEP_WORK": str(work / "work"),
                        "PYTHONPATH": str(course.root), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    try:
        for path in notebooks:
            facts = run_notebook(path, work, env, progress)
            progress.say(f"{facts['title']}: {clock(facts['seconds'])}")
            if facts["error"]:
                raise CourseError(f"{path.name}, {facts['error']}")
        mark.unlink()
    finally:
        progress.end()


def begin(work: Path, preset: str) -> Path:
    """A fresh work folder, unless a run of the same kind broke off in it; returns its mark.

    What another run left there is moved aside, to <work>.previous, not deleted.
    """
    mark = work / "unfinished"
    kind = f"{preset} {os.environ.get('SEP_CORPUS', 'embedded')}"
    if mark.is_file() and mark.read_text(encoding="utf-8") == kind:
        print("the last run broke off: going on with what it had trained")
    else:
        previous = work.with_name(f"{work.name}.previous")
        if work.exists():
            shutil.rmtree(previous, ignore_errors=True)
            work.rename(previous)
    for folder in ("work", "executed"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    mark.write_text(kind, encoding="utf-8")
    return mark


def run_notebook(path: Path, work: Path, env: dict, progress: Progress) -> dict:
    """Execute a copy of one notebook; return (and store in the copy) what happened."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell.id for cell in notebook.cells if cell.cell_type == "code"]
    starts = {}

    def on_start(cell, cell_index):
        if cell.cell_type == "code":
            starts[cell.id] = time.monotonic()
            progress.start_cell(path.stem, len(starts), len(code), cell.id)

    def on_executed(cell, cell_index, execute_reply):
        cell.metadata["seconds"] = round(time.monotonic() - starts[cell.id], 2)

    began = time.monotonic()
    try:
        execute(notebook, work / "work", env, on_cell_start=on_start, on_cell_executed=on_executed)
        error = hidden_error(notebook)
    except CellExecutionError as failure:
        error = f"cell {len(starts)}/{len(code)}: {failure.ename}: {first_line(failure.evalue)}"
    except DeadKernelError:
        error = f"cell {len(starts)}/{len(code)}: the kernel died, most likely for want of memory"
    notebook.metadata["course"] = {
        "title": pages.title_and_summary(notebook)[0],
        "preset": env["SEP_PRESET"],
        "seconds": round(time.monotonic() - began, 1),
        "error": error,
        "machine": workspace.machine(),
        "corpus": env.get("SEP_CORPUS", "embedded"),
        "when": time.strftime("%Y-%m-%d %H:%M"),
    }
    nbformat.write(notebook, work / "executed" / path.name)
    return notebook.metadata["course"]


def expected_seconds(course: Course, path: Path, preset: str, work: Path) -> dict[str, float]:
    """Seconds of each code cell: of the last run with this preset, else the minutes known."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    earlier = work / "executed" / path.name
    if earlier.is_file():
        last = nbformat.read(earlier, as_version=4)
        if last.metadata.get("course", {}).get("preset") == preset:
            took = {cell.id: cell.metadata.get("seconds", 0.0) for cell in last.cells}
            return {cell.id: took.get(cell.id, 0.0) for cell in cells}
    known = course.minutes.get(preset, {"minutes": {}})["minutes"]
    seconds = 60 * known.get(path.stem, DEFAULT_MINUTES[preset])
    return {cell.id: seconds / len(cells) for cell in cells}


def record_minutes(course: Course, preset: str, work: Path) -> None:
    """Keep the minutes of the run just done for the headers of the notebooks."""
    facts = {path.stem: pages.facts(path) for path in sorted((work / "executed").glob("*.ipynb"))}
    minutes = {name: round(fact["seconds"] / 60, 1) for name, fact in facts.items()}
    machine = next(iter(facts.values()))["machine"].split(";")[0]
    measured = course.minutes | {preset: {"machine": machine, "minutes": minutes}}
    course.minutes_file.parent.mkdir(parents=True, exist_ok=True)
    course.minutes_file.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the course and write its pages into site/.")
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--corpus", help="a folder of your own recordings")
    parser.add_argument("--pages-only", action="store_true", help="only write the pages again")
    parser.add_argument("--record", action="store_true", help="keep the minutes measured")
    options = parser.parse_args()
    course, work, site = Course(ROOT), ROOT / "work" / "course", ROOT / "site"
    if options.corpus:
        os.environ["SEP_CORPUS"] = str(Path(options.corpus).expanduser().resolve())
    try:
        if not options.pages_only:
            if options.preset != "auto":
                os.environ["SEP_PRESET"] = options.preset       # what was asked for here wins
            preset = workspace.choose(options.preset).name
            if options.corpus:
                own = corpora.open_corpus(options.corpus)       # what is wrong is said before all
                if own.kind != "speaker":
                    raise CourseError(f"{own.folder} is sorted by {own.kind}, the notebooks "
                                      "separate voices: give a folder of speakers")
            try:
                run_course(course, preset, work)
            finally:
                if any((work / "executed").glob("*.ipynb")):
                    pages.write_site(course, work, site)
            if options.record:
                record_minutes(course, preset, work)
        else:
            pages.write_site(course, work, site)
    except (CourseError, pages.PagesError, corpora.CorpusError, workspace.WorkspaceError) as error:
        sys.exit(f"course: {error}")
    except KeyboardInterrupt:
        sys.exit("course: interrupted; the pages so far are in site/")
    print(f"the pages are in {site / 'index.html'}")


if __name__ == "__main__":
    main()
