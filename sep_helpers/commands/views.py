"""`views draw|check|show`: write a view from its recipe, read all of it, say what it holds."""

import os
import sys
from pathlib import Path

from sep_helpers.commands import common

KINDS = ("speaker", "category", "stem")     # as manifests.KINDS, which is slow to import
EXAMPLES = """
# draw the mixtures of a recipe, out of your own recordings
python -m sep_helpers views draw recipe.yaml mine/test.csv --corpus recordings
# read every cut of two views, and see that they share no voice
python -m sep_helpers views check mine/val.csv mine/test.csv --corpus recordings --apart category
# what the course's own test view holds
python -m sep_helpers views show assets/views/unseen.csv
"""


def add(commands) -> None:
    """Add the command's parser, with a parser for each of its three tasks."""
    parser = common.parser(commands, "views", "draw, check and show views of mixtures",
                           "Views are CSV tables that describe mixtures, a line a source.",
                           EXAMPLES)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name, text in (("draw", "draw a recipe's mixtures into a CSV, the recipe beside it"),
                       ("check", "read every cut of every mixture and name what fails"),
                       ("show", "what a view holds, in numbers")):
        task = tasks.add_parser(name, help=text, description=text.capitalize() + ".")
        if name == "draw":
            task.add_argument("recipe", help="the recipe, a YAML file")
            task.add_argument("out", help="the CSV to write")
            task.add_argument("--mixtures", type=int, help="so many, instead of the recipe's")
        else:
            task.add_argument("views", nargs="+", metavar="view",
                              help="a CSV, or a recipe (YAML), whose first epoch is drawn")
            task.add_argument("--apart", choices=("file", "category"), default="file",
                              help="what views of different splits must not share")
        task.add_argument("--corpus", metavar="FOLDER",
                          default=os.environ.get("SEP_CORPUS") or "voices",
                          help="recordings; or voices, sounds, music, the embedded ones (default: "
                               "$SEP_CORPUS, else voices)")
        task.add_argument("--kind", choices=KINDS, help="what a folder without manifest.csv holds "
                          "a folder of (default: speakers; or stems, told by their names)")
        task.add_argument("--noise", metavar="FOLDER", help="the same for background noise")
        task.add_argument("--stereo", action="store_true", help="keep two channels")
        task.add_argument("--rate", type=int, help="sample rate of a view without its recipe")
        task.set_defaults(run={"draw": draw, "check": check, "show": show}[name])


def draw(args) -> None:
    """Write the view and its recipe."""
    from dataclasses import replace

    from sep_helpers.views import Recipe, ViewError, write_view

    recipe = Recipe.load(args.recipe)
    asked = recipe
    if args.mixtures is not None:
        recipe = replace(recipe, n_mixtures=args.mixtures)
    if recipe.speed:
        print(f"speed={recipe.speed} is for live views: drawn without")
        recipe = replace(recipe, speed=0.0)
    beside = Path(args.out).with_suffix(".yaml")
    if recipe != asked and beside.exists() and beside.samefile(args.recipe):
        raise ViewError(f"{beside} would be overwritten with what was drawn: give the view another "
                        "name than its recipe")
    _make_folder(Path(args.out).parent)
    table = write_view(args.out, *_corpora(args, recipe.sample_rate, recipe))
    print(f"{args.out}: {table['mixture_id'].nunique()} mixtures, {len(table)} lines, "
          f"{Path(args.out).stat().st_size / len(table):.0f} bytes a line")


def check(args) -> int:
    """Name everything that fails; exit code 1 if anything does."""
    from functools import partial

    from tqdm import tqdm

    from sep_helpers.view_check import leaks, walk

    tables, bad = {}, False
    for path in args.views:
        corpus, noise, table = _open(args, path)
        tables[path] = table
        progress = partial(tqdm, desc=f"reading {path}", unit=" recordings", leave=False, delay=1,
                           disable=not sys.stderr.isatty())
        problems = walk(table, corpus, noise, progress)
        for row in problems.itertuples():
            print(f"{path}, line {row.line}, {row.mixture_id}: {row.fault}")
        mixtures = table["mixture_id"].nunique()
        print(f"{path}: {problems['mixture_id'].nunique()} of {mixtures} mixtures "
              f"({len(problems)} of {len(table)} lines) cannot be used" if len(problems) else
              f"{path}: {mixtures} mixtures, {len(table)} lines, every cut read: sound")
        bad |= len(problems) > 0
    shared = leaks(tables, args.apart)
    print(*shared, sep="\n", end="\n" if shared else "")
    return int(bad or bool(shared))


def show(args) -> None:
    """Print what each view holds, and its ledger."""
    from sep_helpers.view_check import summary
    from sep_helpers.views import account, coverage

    for path in args.views:
        corpus, noise, table = _open(args, path)
        print(path)
        for name, value in summary(table, corpus.sample_rate).items():
            print(f"  {name:40} {value:.1f}" if isinstance(value, float) else
                  f"  {name:40} {value}")
        for name, samples in account(coverage(table, corpus)).items():
            print(f"  {'minutes ' + ('in the splits' if name == 'samples' else name):40} "
                  f"{samples / corpus.sample_rate / 60:.1f}")


def _corpora(args, sample_rate: int, recipe) -> tuple:
    """(corpus, recipe, noise), the corpora opened at the rate of the recipe."""
    channels = 2 if args.stereo else 1
    return (_corpus(args.corpus, sample_rate, channels, args.kind), recipe,
            _corpus(args.noise, sample_rate, channels, "category", alone=True))


def _corpus(given: str | None, sample_rate: int, channels: int, kind: str | None, **more):
    from sep_helpers import corpora

    if given is None:
        return None
    if given in corpora.EMBEDDED and not Path(given).exists():
        return corpora.embedded(given, sample_rate=sample_rate, channels=channels)
    return corpora.open_corpus(given, sample_rate, channels, kind=kind, **more)


def _open(args, path: str) -> tuple:
    """(corpus, noise, table) of a CSV, or of a recipe's first epoch; faults are left in."""
    from dataclasses import replace

    from sep_helpers.views import Recipe, freeze, parse_csv, split_by_files

    is_recipe = Path(path).suffix in (".yaml", ".yml")
    beside = Path(path) if is_recipe else Path(path).with_suffix(".yaml")
    recipe = Recipe.load(beside) if is_recipe or beside.exists() else None
    rate = recipe.sample_rate if recipe else 8000 if args.rate is None else args.rate
    corpus, _, noise = _corpora(args, rate, recipe)
    if recipe:
        corpus = split_by_files(corpus, recipe.files)
    table = freeze(corpus, replace(recipe, speed=0.0), noise) if is_recipe else parse_csv(path)
    return corpus, noise, table


def _make_folder(folder: Path) -> None:
    from sep_helpers.views import ViewError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ViewError(f"{folder} cannot be made ({error.strerror}): choose another") from None
