"""The course's pages: a map, the results, one page a notebook; nothing loads from elsewhere."""

import json
import re
import shutil
from pathlib import Path

import jinja2
import nbformat
import pandas as pd
import render
from build import Course
from pygments.formatters import HtmlFormatter

FRAME = Path(__file__).parent / "frame"
MEASURES = {"si_sdri": "SI-SDRi, dB", "si_sdr": "SI-SDR, dB", "sdri": "SDRi, dB", "sdr": "SDR, dB"}
COLUMNS = ["system", "view", "metric", "mean", "low", "high", "n", "preset", "origin", "seconds"]


class PagesError(ValueError):
    """There is nothing to make pages of; the message says what to run."""


def write_site(course: Course, work: Path, site: Path) -> None:
    """Write site/ from work/executed (notebooks with outputs) and work/work/cards (results)."""
    executed = sorted((work / "executed").glob("*.ipynb"))
    if not executed:
        raise PagesError("nothing has been run yet: `make course` runs the notebooks")
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    (site / "style.css").write_text(style(), encoding="utf-8")
    stops = [describe(path, executed) for path in
             sorted((course.root / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
    table = results(work / "work" / "cards")
    table.to_csv(site / "results.csv", index=False)
    (site / "results.md").write_text(as_markdown(table), encoding="utf-8")
    for before, stop, after in zip([None, *stops], stops, [*stops[1:], None], strict=False):
        if stop["ran"]:
            page = template("page.html").render(
                course=course, stop=stop, before=before, after=after,
                body=render.body(stop["notebook"], course.root / "notebooks"))
            (site / f"{stop['name']}.html").write_text(with_contents(page), encoding="utf-8")
    last = facts(executed[-1])
    index = template("index.html")
    index = index.render(course=course, stops=stops, facts=last, results=rows(table))
    (site / "index.html").write_text(index, encoding="utf-8")


def describe(path: Path, executed: list[Path]) -> dict:
    """What the map says of a notebook: its name, title and summary, and how its run went."""
    ran = {copy.name: copy for copy in executed}.get(path.name)
    notebook = nbformat.read(ran or path, as_version=4)
    title, summary = title_and_summary(notebook)
    return {
        "name": path.stem,
        "title": title,
        "summary": render.markdown(summary, path.parent),
        "notebook": notebook,
        "ran": ran is not None,
        **notebook.metadata.get("course", {"seconds": None, "error": None}),
    }


def facts(path: Path) -> dict:
    """What a run noted in a notebook: preset, seconds, error, machine, corpus, when."""
    return nbformat.read(path, as_version=4).metadata["course"]


def title_and_summary(notebook) -> tuple[str, str]:
    """The first heading and the first paragraph after it."""
    text = notebook.cells[0].source if notebook.cells else ""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    if heading is None:
        return "Untitled", ""
    paragraphs = [part.strip() for part in text[heading.end():].split("\n\n") if part.strip()]
    return heading[1].strip(), paragraphs[0] if paragraphs else ""


def results(folder: Path) -> pd.DataFrame:
    """The result cards of a folder as one table, the best first within each view and metric.

    What two notebooks measured of the same system is one line: the later notebook's.
    """
    cards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    flat = [card for found in cards for card in (found if isinstance(found, list) else [found])]
    table = pd.DataFrame(flat).reindex(columns=COLUMNS)
    table = table.drop_duplicates(["system", "view", "metric", "origin"], keep="last")
    return table.sort_values(["view", "metric", "mean"], ascending=[True, True, False])


def rows(table: pd.DataFrame) -> list[dict]:
    """The table's lines as people read them: mean and interval in one, blanks where unknown."""
    lines = table.astype(object).where(table.notna(), "").to_dict("records")
    for line in lines:
        line["value"] = f"{line['mean']:.2f}" if line["mean"] != "" else ""
        if line["low"] != "":
            line["value"] += f" [{line['low']:.2f}, {line['high']:.2f}]"
        line["metric"] = MEASURES.get(line["metric"], line["metric"])
        line["n"] = int(line["n"]) if line["n"] != "" else ""
    return lines


def as_markdown(table: pd.DataFrame) -> str:
    """The results as a Markdown table."""
    keys = ["system", "view", "metric", "value", "n", "preset", "origin"]
    lines = ["| " + " | ".join(keys) + " |", "|" + " --- |" * len(keys)]
    lines += ["| " + " | ".join(str(row[key]) for key in keys) + " |" for row in rows(table)]
    return "\n".join(lines) + "\n"


def with_contents(page: str) -> str:
    """Fill in the list of the page's sections."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', page, re.DOTALL)
    links = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in found)
    return page.replace("<!-- contents -->", links)


def style() -> str:
    """The frame's own style, with the colours of code by day and by night."""
    day = HtmlFormatter(style="default").get_style_defs(".highlight")
    night = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    own = (FRAME / "style.css").read_text(encoding="utf-8")
    return f"{day}\n@media (prefers-color-scheme: dark) {{\n{night}\n}}\n{own}"


def template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(FRAME)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["clock"] = lambda seconds: f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    return environment.get_template(name)
