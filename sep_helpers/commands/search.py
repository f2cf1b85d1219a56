"""`search CONFIG FOLDER`: the best settings, by random points and successive halving."""

import subprocess
import sys
from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
# the config's section `search` says what: keys, trials, method
python -m sep_helpers search assets/trainings/search.yaml work/runs/search
# two workers here; the same line on other machines with the same folder makes more
python -m sep_helpers search assets/trainings/search.yaml work/runs/search --workers 2
# how it stands, at any time, with pictures
python -m sep_helpers search work/runs/search --plots work/pictures
"""


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "search", "search the best settings of a training",
        "Try points of the space that the config's section `search` describes. Poor ones stop "
        "early, and\na search that was interrupted goes on in the middle of its trial. Which "
        "points are tried depends\non the seed alone, not on the number of workers.", EXAMPLES)
    parser.add_argument("config", type=Path, help="a YAML file with a section `search`, or the "
                                                  "folder of a search, to look at it")
    parser.add_argument("folder", type=Path, nargs="?", help="the search's folder")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)d)")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write the pictures there")
    parser.set_defaults(run=run)


def run(args) -> None:
    """Work until no trial is left, then print the board."""
    folder = args.folder or args.config
    if args.folder:
        _work(args)
    elif args.config.is_file():
        raise common.CommandError("no folder for the search: name one, e.g. work/runs/search")
    from sep_helpers import search_work

    board = search_work.board(folder)
    print(board.round(4).to_string(index=False) if len(board) else f"no trials in {folder}")
    if args.plots:
        _draw(folder, board, args.plots)


def _work(args) -> None:
    from sep_helpers import experiment, logs, search, search_work

    asked = search.Search.of(common.read_yaml(args.config))
    experiment.read(asked.settings, asked.point(0))         # a fault of the config, before all else
    if args.workers < 1:
        raise common.CommandError(f"--workers {args.workers}: take one at least")
    search.begin(args.folder, asked)
    line = [sys.executable, "-m", "sep_helpers", "search", str(args.config), str(args.folder)]
    others = [subprocess.Popen(line, stdout=subprocess.DEVNULL) for _ in range(args.workers - 1)]
    try:
        with logs.into(args.folder):
            search_work.work(args.folder, asked, experiment.train)
    finally:                             # Ctrl-C reaches the others by itself
        failed = sum(other.wait() != 0 for other in others)
    if failed:
        raise common.CommandError(f"{failed} of {args.workers} workers failed: the same line again "
                                  "goes on with what they left")


def _draw(folder: Path, board, target: Path) -> None:
    from sep_helpers import plots_search, search_work
    from sep_helpers.search import SearchError

    target.mkdir(parents=True, exist_ok=True)
    pictures = {"trials": plots_search.parallel(board),
                "halving": plots_search.halving(search_work.curves(folder), board)}
    try:
        pictures["importance"] = plots_search.importance(search_work.importance(folder))
    except SearchError as error:
        print(error)
    for name, picture in pictures.items():
        picture.savefig(target / f"{name}.png")
    print(f"{len(pictures)} pictures in {target}")
