"""`train CONFIG FOLDER`: a training from a YAML file, begun or gone on with, in a run folder."""

import tempfile
from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
# begin, or go on with what is in the folder: the same line after every interruption
python -m sep_helpers train assets/trainings/train.yaml work/runs/mine
# does it run at all? three steps and a validation, nothing kept
python -m sep_helpers train assets/trainings/train.yaml --smoke
# the largest batch that fits into this machine's memory
python -m sep_helpers train assets/trainings/train.yaml --find-batch
# other values than the file's; two GPUs; stop in good order after four hours
python -m sep_helpers train config.yaml work/runs/x8 --set model.X=8 --set training.epochs=40
accelerate launch --multi_gpu --num_processes 2 -m sep_helpers train config.yaml work/runs/mine
python -m sep_helpers train config.yaml work/runs/mine --set training.max_minutes=240
# two processes without a GPU (with --cpu, accelerate would start a single one)
torchrun --standalone --nproc-per-node 2 -m sep_helpers train config.yaml work/runs/mine
"""
RESUME = {"exact": True, "settings": "settings", "weights": "weights", "anew": False}


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "train", "train a separator, or go on with it",
        "Train what a YAML file describes. A run that is in the folder already is gone on with, to "
        "the bit;\na folder that holds another config is refused, with the difference. Ctrl-C is "
        "safe. What is\nprinted is in run.log, too; `runs` and TensorBoard show the curves.",
        EXAMPLES)
    parser.add_argument("config", type=Path, help="a YAML file as assets/trainings/train.yaml")
    parser.add_argument("folder", type=Path, nargs="?", help="the run folder")
    parser.add_argument("--preset", help="instead of the file's: fills in what the file leaves out")
    common.add_set(parser)
    parser.add_argument("--resume", choices=RESUME, default="exact",
                        help="what becomes of a run of another config: refused (exact, the "
                             "default), continued with the new training settings, taken as first "
                             "weights, or moved aside")
    parser.add_argument("--smoke", action="store_true", help="three steps, in a temporary folder")
    parser.add_argument("--find-batch", action="store_true", help="only look for the largest batch")
    parser.set_defaults(run=run)


def run(args) -> int:
    """Train; 0 also when time was over before the end, since nothing is lost."""
    from sep_helpers import experiment

    changes = common.changes(args.set)
    told = common.read_yaml(args.config)
    if args.preset:
        told["preset"] = args.preset
    whole = experiment.read(told, changes)
    if args.find_batch:
        return _find_batch(whole)
    if args.smoke:
        batch = whole["training"].get("batch", 4)
        small = {"training.epochs": 1, "data.n_mixtures": 3 * batch, "data.n_val": 4}
        with tempfile.TemporaryDirectory() as folder:
            common.train_with_reports(Path(folder), lambda **reports: experiment.train(
                experiment.read(whole, small), folder, **reports), events=False)
        print("it runs: three steps and a validation, nothing kept")
        return 0
    if not args.folder:
        raise common.CommandError("no run folder: name one, e.g. work/runs/mine; --smoke and "
                                  "--find-batch need none")
    common.train_with_reports(args.folder, lambda **reports: experiment.train(
        whole, args.folder, resume=RESUME[args.resume], **reports))
    return 0


def _find_batch(whole: dict) -> int:
    from sep_helpers import experiment, training

    model, train_view, _, settings = experiment.set_up(whole)
    most = training.find_batch(model, train_view, settings, common.device())
    print(f"batches of {most} fit; the file asks for {settings.batch}" + (
        "" if settings.batch <= most else
        f": --set training.batch={most} --set training.accumulate={-(-settings.batch // most)} "
        "makes the same updates"))
    return 0
