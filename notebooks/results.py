"""Write the README's tables from what is stored: result cards and bench figures.

    python notebooks/results.py        assets/cards and assets/figures/bench into README.md
"""

import json
import re
from pathlib import Path

import pages

ROOT = Path(__file__).resolve().parents[1]


def results_table(root: Path) -> str:
    """The stored result cards as a Markdown table."""
    return pages.as_markdown(pages.results(root / "assets" / "cards"))


def bench_table(root: Path) -> str:
    """The stored bench figures as a Markdown table, with the machine they come from."""
    found = [json.loads(path.read_text(encoding="utf-8"))
             for path in sorted((root / "assets" / "figures" / "bench").glob("*.json"))]
    lines = ["| bench | times as fast as | ratio | goal | machine |", "|" + " --- |" * 5]
    lines += [f"| {b['name']} | {b['peer']} | {b['median']:.2f} | {b['goal']:g} | {b['machine']} |"
              for b in found]
    return "\n".join(lines) + "\n"


def filled(readme: str, root: Path = ROOT) -> str:
    """The README with both tables between their marks."""
    for name, table in (("results", results_table(root)), ("bench", bench_table(root))):
        marks = re.compile(f"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        if not marks.search(readme):
            raise SystemExit(f"README.md: the marks of the table {name!r} are missing")
        before, after = marks.search(readme).groups()
        readme = marks.sub(lambda _, whole=before + table + after: whole, readme)
    return readme


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
