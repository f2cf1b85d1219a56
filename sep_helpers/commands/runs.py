"""`runs FOLDER`: the board of all runs below a folder."""


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("runs", help="the table of all trainings in a folder",
                                 description="One line for every training below a folder.")
    parser.add_argument("folder", help="the folder that holds the run folders, e.g. work/runs")
    parser.set_defaults(run=run)


def run(args) -> None:
    """Print the board."""
    from sep_helpers import runs

    table = runs.board(args.folder)
    print(table.round(2).to_string(index=False) if len(table) else f"no runs in {args.folder}")
