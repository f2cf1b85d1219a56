"""`resume FOLDER`: go on with a run, from its folder alone."""

from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
# where it stopped, as it was
python -m sep_helpers resume work/runs/mine
# until epoch 30; what changed is written into its config.yaml
python -m sep_helpers resume work/runs/mine --set training.epochs=30
"""


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "resume", "go on with a run, from its folder alone",
        "Go on with a training where it stopped: on this machine or on another one to which its "
        "folder was\ncopied. Nothing but the folder is needed. Changed settings are recorded "
        "in it.",
        EXAMPLES)
    parser.add_argument("folder", type=Path, help="the run folder")
    common.add_set(parser)
    parser.set_defaults(run=run)


def run(args) -> None:
    """Train on."""
    from sep_helpers import experiment

    changes = common.changes(args.set)
    if not (args.folder / "config.yaml").is_file():
        raise common.CommandError(f"{args.folder}: holds no run: give the folder with its "
                                  "config.yaml, or begin one with `train`")
    common.train_with_reports(args.folder, lambda **reports: experiment.resume(
        args.folder, changes=changes, **reports))
