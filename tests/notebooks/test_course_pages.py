"""The runner and the pages: a toy course runs, a failing one stops with one line and its pages."""

import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import build
import course as runner
import nbformat
import pages
import pytest
import render
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(toy):
    """The toy course with the commands in it: run it, the arguments as given."""
    for name in ("build.py", "course.py", "kernel.py", "pages.py", "render.py"):
        shutil.copy(ROOT / "notebooks" / name, toy.root / "notebooks")
    shutil.copytree(ROOT / "notebooks/frame", toy.root / "notebooks/frame")

    def run(*arguments, before=""):
        built = build.build_all(toy)
        for path, text in built.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        env = {key: value for key, value in os.environ.items() if not key.startswith("SEP_")}
        command = [sys.executable, str(toy.root / "notebooks/course.py"), *arguments]
        done = subprocess.run(["bash", "-c", before + shlex.join(command)],
                              env=env, capture_output=True, text=True)
        changed = [path.name for path, text in built.items() if path.read_text() != text]
        assert not changed, "nothing is written into the notebooks"
        return done

    return run


FAR = re.compile(r"""(?:url\(|@import|fetch\(|import\()\s*['"]?\s*(?:https?:)?//[^)\s]*""")


class Loads(HTMLParser):
    """What a browser would fetch for a page, but for links that people follow."""

    def __init__(self, text):
        super().__init__()
        self.found = FAR.findall(text)
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            loads = name in ("src", "srcset", "poster", "data") or (tag, name) == ("link", "href")
            if loads and re.match(r"\s*(https?:)?//", value or ""):
                self.found.append(f"<{tag} {name}={value}>")


def fetched_by_a_browser(pages):
    """The addresses that Chromium asks for when it shows the pages, but for those in the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"),
                                             args=["--no-sandbox"])
        tab, asked = browser.new_page(), []
        tab.on("request", lambda request: asked.append(request.url))
        for path in pages:
            tab.goto(path.as_uri())
        browser.close()
    return {url for url in asked if not url.startswith(("data:", "blob:"))}


def test_a_course_runs_and_its_pages_need_nothing_from_elsewhere(run, toy):
    done = run("--preset", "smoke", "--record")
    assert done.returncode == 0, done.stderr + done.stdout
    assert re.search(r"^02 · World: \d+:\d\d$", done.stdout, re.MULTILINE)
    site = toy.root / "site"
    assert sorted(path.name for path in site.iterdir()) == [
        "01_hello.html", "02_world.html", "index.html", "results.csv", "results.md", "style.css"]
    for path in site.iterdir():
        assert not Loads(path.read_text()).found, path.name
    if shutil.which("chromium"):
        shown = [site / "index.html", site / "02_world.html"]
        assert fetched_by_a_browser(shown) == {
            path.as_uri() for path in [*shown, site / "style.css"]}

    page = (site / "02_world.html").read_text()
    assert page.count('src="data:image/png;base64,') == 1 and "<audio" in page
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in page
    assert "turned to 4" in page, "a widget is shown as it stood"
    assert 'href="01_hello.html"' in page and '<li><a href="#A-picture">A picture</a></li>' in page
    index = (site / "index.html").read_text()
    assert "You plot, listen and move a slider." in index and "6.31 [5.90, 6.70]" in index
    with open(site / "results.csv") as file:
        assert next(csv.DictReader(file))["system"] == "toy net"
    assert "| toy net | test | SI-SDRi, dB | 6.31 [5.90, 6.70] | 60 | smoke | yours |" in (
        site / "results.md").read_text()

    assert set(toy.minutes["smoke"]["minutes"]) == {"01_hello", "02_world"}
    expected = runner.expected_seconds(toy, toy.root / "notebooks/02_world.ipynb", "smoke",
                                       toy.root / "work/course")
    assert sum(expected.values()) > 0.5, "the next run knows what the cells took"

    shutil.rmtree(site)
    assert run("--pages-only").returncode == 0
    assert (site / "02_world.html").read_text() == page


def said(done) -> str:
    """What a course said of its end, without a word of libzmq's own when a kernel goes."""
    return "\n".join(line for line in done.stderr.splitlines()
                     if "(src/signaler.cpp" not in line)


def test_a_failing_cell_ends_the_run_with_one_line_and_the_pages_so_far(run, toy):
    source = toy.root / "notebooks/src/02_world.py"
    source.write_text(source.read_text().replace("import numpy as np", "1 / 0"))
    done = run("--preset", "smoke")
    assert done.returncode == 1
    assert said(done) == "course: 02_world.ipynb, cell 2/4: ZeroDivisionError: division by zero"
    site = toy.root / "site"
    assert "ZeroDivisionError" in (site / "02_world.html").read_text()
    assert (site / "01_hello.html").is_file()
    assert "stopped: cell 2/4: ZeroDivisionError" in (site / "index.html").read_text()


def test_a_failing_widget_ends_the_run_too(run, toy):
    (toy.root / "notebooks/src/01_hello.py").unlink()
    source = toy.root / "notebooks/src/02_world.py"
    source.write_text(source.read_text().replace('print("turned to", gain)', "1 / (gain - 4)"))
    done = run("--preset", "smoke")
    assert done.returncode == 1
    assert said(done) == "course: 02_world.ipynb, a widget: ZeroDivisionError: division by zero"


def test_interrupting_keeps_the_pages_so_far(run, toy, tmp_path):
    running = tmp_path / "running"
    source = toy.root / "notebooks/src/02_world.py"
    source.write_text(source.read_text().replace(
        "import numpy as np", f"import time; open('{running}', 'w').close(); time.sleep(600)"))
    with ThreadPoolExecutor() as pool:
        pool.submit(interrupt_when, running, toy.root / "pid")
        done = run("--preset", "smoke", before=f"echo $$ > {toy.root / 'pid'}; exec ")
    assert done.returncode == 1
    assert said(done) == "course: interrupted; the pages so far are in site/"
    assert (toy.root / "site/01_hello.html").is_file()


def interrupt_when(marker, pid):
    for _ in range(1200):
        if marker.exists():
            break
        time.sleep(0.1)
    os.kill(int(pid.read_text()), signal.SIGINT)


def test_an_unknown_preset_is_one_line_and_nothing_runs(run, toy):
    done = run("--preset", "huge")
    assert done.returncode == 1 and not (toy.root / "work").exists()
    assert done.stderr == ("course: unknown preset 'huge': choose one of auto, smoke, laptop, t4, "
                           "full\n")


def test_a_corpus_that_is_not_of_voices_is_one_line_and_nothing_runs(run, toy):
    sounds = ROOT / "assets" / "sounds"
    done = run("--corpus", str(sounds))
    assert done.returncode == 1 and not (toy.root / "work").exists()
    assert done.stderr == (f"course: {sounds} is sorted by category, the notebooks separate "
                           "voices: give a folder of speakers\n")


def test_nothing_to_show_and_nothing_to_run_are_said(run, toy):
    assert "nothing has been run yet: `make course`" in run("--pages-only").stderr
    for source in toy.sources:
        source.unlink()
    for notebook in toy.root.glob("notebooks/*.ipynb"):
        notebook.unlink()
    assert run("--preset", "smoke").stderr == (
        "course: no notebooks in notebooks/: run `make notebooks` first\n")


def test_progress_says_cell_elapsed_and_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(runner.time, "monotonic", lambda: now[0])
    progress = runner.Progress({"05_pit": {"a": 20.0, "b": 60.0}, "06_test": {"c": 30.0}})
    progress.end()
    progress.start_cell("05_pit", 1, 2, "a")
    assert progress.line() == "[05 · cell 1/2] 0:00 elapsed, about 1:50 left"
    now[0] += 40  # twice as slow as before
    progress.start_cell("05_pit", 2, 2, "b")
    assert progress.line() == "[05 · cell 2/2] 0:40 elapsed, about 3:00 left"
    now[0] += 500  # much longer than foreseen: what is left is the next notebook
    assert progress.line() == "[05 · cell 2/2] 9:00 elapsed, about 1:00 left"


def test_results_bear_what_is_missing(tmp_path):
    (tmp_path / "a.json").write_text('{"system": "oracle", "view": "test", "mean": 12}')
    (tmp_path / "b.json").write_text('[{"system": "net", "view": "test", "mean": 13, "low": null}]')
    assert [row["value"] for row in pages.rows(pages.results(tmp_path))] == ["13.00", "12.00"]
    assert pages.rows(pages.results(tmp_path / "nowhere")) == []


def test_a_progress_bar_leaves_its_last_line():
    assert render.settled("0%\r50%\r100%\ndone\r\n") == "100%\ndone\n"


def test_hints_and_solutions_stay_folded():
    folded = "<details><summary>Hint</summary>\n\nHalve it: $x/2$.\n\n</details>\n\nGo on."
    html = render.markdown(folded, ROOT)
    summary, hint, end, after = map(html.index, ("</summary>", "Halve", "</details>", "Go on"))
    assert summary < hint < end < after and html.count("</details>") == 1


def test_every_formula_of_the_course_is_understood():
    """latex2mathml leaves a command that it does not know as it is, with its backslash."""
    for text in build.build_all(build.Course(ROOT)).values():
        notebook = nbformat.reads(text, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                html = render.markdown(cell.source, ROOT / "notebooks")
                unknown = re.findall(r"<m[a-z]+[^>]*>(\\[A-Za-z]+)", html)
                assert not unknown, f"{cell.id}: {unknown}"
    assert re.findall(r"<m[a-z]+[^>]*>(\\[A-Za-z]+)", render.markdown(r"$\nosuchthing$", ROOT))


def test_what_a_broken_off_run_trained_is_kept_and_a_finished_one_begins_anew(
        tmp_path, monkeypatch):
    monkeypatch.delenv("SEP_CORPUS", raising=False)
    work = tmp_path / "course"
    mark = runner.begin(work, "laptop")
    trained = work / "work" / "last.pt"
    trained.write_text("epoch 3")
    runner.begin(work, "laptop")                     # it broke off: mark is still there
    assert trained.exists()
    monkeypatch.setenv("SEP_CORPUS", "/elsewhere")
    runner.begin(work, "laptop")                     # another corpus is another run
    assert not trained.exists()
    trained.write_text("epoch 3")
    mark.unlink()                                    # it finished
    runner.begin(work, "laptop")
    assert not trained.exists()
    assert (tmp_path / "course.previous/work/last.pt").read_text() == "epoch 3", "moved, not lost"
