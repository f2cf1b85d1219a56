"""Write the README's tables from what is stored: notebooks, presets, result cards, bench figures.

    python notebooks/results.py        fills README.md between its marks
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd
from build import BADGE, Course, summary_of, title_of

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from sep_helpers import __main__ as command_line  # noqa: E402
from sep_helpers import cards, models, standard_views  # noqa: E402
from sep_helpers.stems import STEMS  # noqa: E402
from sep_helpers.workspace import PRESETS  # noqa: E402

MEASURES = {"si_sdri": "SI-SNRi", "sdri": "SDRi", "sdr": "SDR"}
TITLES = {s.name: s.title for s in standard_views.STANDARDS.values()} | {
    "songs_test": "real songs in four stems, the test song, mean over stems",
    "songs_val": "real songs in four stems, the validation song, mean over stems"}


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
    """The stored result cards: a table for each test, the best system first."""
    tests, order = {}, list(TITLES)
    for card in cards.read_all(root / "assets" / "cards"):
        tests.setdefault((card.view, card.data), []).append(card)
    tables = []
    for view, data in sorted(tests, key=lambda test: (
            order.index(test[0]) if test[0] in order else len(order), test)):
        head = f"**{TITLES.get(view, view)}** (`{view}`, recordings `{data}`)\n\n"
        tables.append(head + one_test(tests[view, data]))
    return "\n".join(tables)


def one_test(found: list) -> str:
    """One test's table: a line a system, its measures side by side."""
    known = list(MEASURES)
    measures = sorted({card.metric for card in found},
                      key=lambda m: (known.index(m) if m in known else len(known), m))
    systems = {}
    for card in found:
        systems.setdefault((card.system, card.preset), {})[card.metric] = card
    first, rows = measures[0], []
    for of in sorted(systems.values(), reverse=True,
                     key=lambda of: of[first].mean if first in of else float("-inf")):
        card = next(iter(of.values()))
        rows.append([
            named(card),
            *(figure(of[metric]) if metric in of else "" for metric in measures), card.n,
            f"{card.parameters / 1e6:.2f} M" if card.parameters else "",
            f"{card.seconds:.0f}" if card.kind == "network" else "",
            f"{card.real_time:.4f}" if card.real_time == card.real_time else ""])
    return markdown(["system", *(f"{MEASURES.get(m, m)}, dB" for m in measures), "mixtures",
                     "parameters", "training, s", "real-time factor"], rows)


def named(card) -> str:
    """A system's name, with its preset, and the shipped network it is."""
    name = f"{card.system} ({card.preset})" if card.preset else card.system
    folder = Path(card.checkpoint)
    shipped = card.checkpoint and (ROOT / folder / "heard.csv").is_file()
    return f"{name}, [{folder.name}]({folder})" if shipped else name


def slices_table(root: Path) -> str:
    """The slices of the real readers' test: what the network of two voices gains in each, beside
    the floor and a ceiling."""
    table = pd.read_csv(root / "assets" / "studies" / "slices_speech_real_test.csv")
    shown = ["random mask", "Conv-TasNet", "ideal IRM"]
    wide = {(r.slice, r.value, r.system): r for r in table.itertuples()}
    rows = []
    for name, value in dict.fromkeys(zip(table["slice"], table["value"], strict=True)):
        found = [wide[name, value, system] for system in shown if (name, value, system) in wide]
        rows.append([name.replace("_", " "), value, found[0].n, *map(figure, found)])
    return markdown(["slice", "", "mixtures", *(f"{name}, dB" for name in shown)], rows)


def figure(card) -> str:
    """A mean with its interval; one mixture alone has none."""
    interval = f" [{card.low:.2f}, {card.high:.2f}]" if card.low == card.low else ""
    return f"{card.mean:.2f}{interval}"


def masks_table(root: Path) -> str:
    """The mask networks' studies: two, three and five voices, and two recorded sounds."""
    studies = root / "assets" / "studies"
    voices, sounds = (pd.read_csv(studies / f"mask_{name}.csv") for name in ("voices", "esc"))
    esc = dict(zip(sounds.variant, sounds.test, strict=True))
    rows = [[r.variant.partition(",")[0], r.n_sources, f"{r.seen:.2f}", f"{r.unseen:.2f}",
             f"{esc[r.variant]:.2f}" if r.n_sources == 2 and r.variant in esc else "",
             f"{r.parameters / 1e6:.2f} M" if r.steps == r.steps else "",
             f"{r.cpu_seconds:.0f}" if r.steps == r.steps else ""] for r in voices.itertuples()]
    return markdown(["system", "sources", "seen, dB", "unseen, dB", "recorded sounds, dB",
                     "parameters", "training on voices, s"], rows)


def music_table(root: Path) -> str:
    """The music study's SDR, stem by stem, on test and validation songs, with the bounds."""
    found = pd.read_csv(root / "assets" / "studies" / "music.csv")
    columns = [(view, stem) for view in ("test", "val") for stem in STEMS]
    medians = found.pivot_table(index="system", columns=["view", "stem"], values="sdr",
                                aggfunc="median", sort=False)[columns]
    rows = [[system, *(f"{value:.1f}" for value in line)]
            for system, line in zip(medians.index, medians.to_numpy(), strict=True)]
    return markdown(["SDR, dB", *(f"{view}: {stem}" for view, stem in columns)], rows)


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
          "slices": slices_table, "masks": masks_table, "music": music_table,
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
