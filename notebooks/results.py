"""Write the README's tables from what is stored: notebooks, presets, result cards, bench figures.

    python notebooks/results.py        fills README.md between its marks
"""

import json
import re
import sys
from pathlib import Path

from build import BADGE, Course, summary_of, title_of

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from sep_helpers import __main__ as command_line  # noqa: E402
from sep_helpers import cards, models  # noqa: E402
from sep_helpers.workspace import PRESETS  # noqa: E402

MEASURES = {"si_sdri": "SI-SDRi", "sdri": "SDRi"}


def map_table(root: Path) -> str:
    """The notebooks with what stands below their titles, and a button that opens each in Colab."""
    course = Course(root)
    rows = [[f"[{title_of(path)}](notebooks/{path.stem}.ipynb)", summary_of(path),
             BADGE.format(course.colab(path.stem, "notebooks"))] for path in course.sources]
    return markdown(["notebook", "what happens in it", "in Colab"], rows)


def presets_table(root: Path) -> str:
    """What each preset is for, and how big it makes things."""
    rows = []
    for name, preset in PRESETS.items():
        network = models.build(models.complete({"name": "conv_tasnet", **preset.model}))
        rows.append([f"`{name}`", preset.note, f"{models.count_parameters(network) / 1e6:.2g} M",
                     f"{preset.max_minutes:g}", preset.n_test])
    return markdown(["preset", "for", "parameters", "minutes a training, at most",
                     "mixtures a test"], rows)


def results_table(root: Path) -> str:
    """The stored result cards, the best first within each measure and test."""
    found = sorted(cards.read_all(root / "assets" / "cards"),
                   key=lambda card: (card.metric != "si_sdri", card.data, card.view, -card.mean))
    rows = [[card.system, card.data, card.view, f"{MEASURES.get(card.metric, card.metric)}, dB",
             f"{card.mean:.2f} [{card.low:.2f}, {card.high:.2f}]", card.n, card.preset,
             f"{card.seconds / 60:.0f}", card.origin] for card in found]
    return markdown(["system", "recordings", "test", "measure", "mean [95 % interval]", "mixtures",
                     "preset", "minutes", "origin"], rows)


def bench_table(root: Path) -> str:
    """The stored bench figures, a table for each machine they come from."""
    found = [json.loads(path.read_text(encoding="utf-8"))
             for path in sorted((root / "assets" / "figures" / "bench").glob("*.json"))]
    tables = []
    for machine in dict.fromkeys(b["machine"] for b in found):
        rows = [[b["name"], b["peer"], f"{b['median']:.2f}",
                 f"{min(b['ratios']):.2f} to {max(b['ratios']):.2f}", f"{b['goal']:.3g}"]
                for b in found if b["machine"] == machine]
        tables.append(markdown(["bench", "against", "ratio", "rounds", "goal"], rows)
                      + f"\nMeasured on: {machine}.\n")
    return "\n".join(tables)


def commands_table(root: Path) -> str:
    """The command line's commands, as its own --help has them, with the first example of each."""
    rows = []
    for name, command in command_line.commands().items():
        examples = command_line.examples(command)
        example = [*examples, f"{name} --help"][0].removeprefix("python -m sep_helpers ")
        rows.append([f"`{name}`", command_line.summary(name), f"`{example}`"])
    return markdown(["command", "what it does", "for instance"], rows)


def markdown(head: list[str], rows: list[list]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


TABLES = {"map": map_table, "presets": presets_table, "results": results_table,
          "bench": bench_table, "commands": commands_table}


def filled(readme: str, root: Path = ROOT) -> str:
    """The README with all tables between their marks."""
    for name, table in TABLES.items():
        marks = re.compile(f"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        found = marks.search(readme)
        if not found:
            raise SystemExit(f"README.md: the marks of the table {name!r} are missing")
        readme = readme[:found.end(1)] + table(root) + readme[found.start(2):]
    return readme


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
