"""`runs FOLDER`: the board of all runs below a folder, and their curves."""

from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
# one line a training, the best first
python -m sep_helpers runs work/runs --sort "best val SI-SNR (dB)"
# their curves over each other, from the folders alone, also while they are trained
python -m sep_helpers runs work/runs --plot curves.png
"""


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "runs", "the table of all trainings in a folder",
        "One line for every training below a folder, with the settings in which they differ.",
        EXAMPLES)
    parser.add_argument("folder", type=Path,
                        help="the folder that holds the run folders, e.g. work/runs")
    parser.add_argument("--sort", metavar="COLUMN", help="the largest of this column first")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves: .png or .svg")
    parser.set_defaults(run=run)


def run(args) -> None:
    """Print the board."""
    from sep_helpers import runs

    table = runs.board(args.folder)
    if not len(table) and not args.folder.is_dir():
        raise common.CommandError(f"{args.folder} is not a folder: give the one that holds the "
                                  "runs, e.g. work/runs")
    if not len(table):
        print(f"no runs in {args.folder}")
        return
    if args.sort:
        if args.sort not in table:
            raise common.CommandError(f"no column {args.sort!r}: there are {', '.join(table)}")
        table = table.sort_values(args.sort, ascending=False)
    print(table.round(4).to_string(index=False))
    if args.plot:
        from sep_helpers import plots_training

        folders = [args.folder / name for name in table["run"]]
        plots_training.from_folders(*folders).savefig(args.plot)
        print(f"{len(folders)} runs in {args.plot}")
