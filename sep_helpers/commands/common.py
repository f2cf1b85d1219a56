"""What several commands share: how they describe themselves, open a corpus, and show progress."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

NETWORK = "two_voices"           # that separates where no other is named


class CommandError(ValueError):
    """What was asked for cannot be done, in one line with the remedy."""


def parser(commands, name: str, summary: str, description: str, examples: str):
    """A command's parser whose --help ends in examples; `examples` is '# what' above 'line'."""
    lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    return commands.add_parser(name, help=summary, description=description,
                               epilog=f"examples:\n{lines}",
                               formatter_class=argparse.RawDescriptionHelpFormatter)


def add_corpus(parser) -> None:
    """Add --corpus."""
    parser.add_argument("--corpus", metavar="FOLDER", default=os.environ.get("SEP_CORPUS"),
                        help="a folder of recordings (default: $SEP_CORPUS, else the embedded "
                             "voices)")


def open_corpus(folder: str | None, sample_rate: int = 8000):
    """The corpus that --corpus names, at a network's rate."""
    from sep_helpers import corpora

    if folder or sample_rate != 8000:
        return corpora.open_corpus(folder or corpora.embedded().folder, sample_rate)
    return corpora.embedded()


def progress(total: int, unit: str, label: str = "") -> tqdm:
    """A bar with what is left, on a terminal; nothing where output goes into a file."""
    return tqdm(total=total, desc=label or None, unit=f" {unit}", leave=False, delay=1,
                file=sys.stderr, disable=not sys.stderr.isatty())


def add_set(parser) -> None:
    """Add --set."""
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="a value that counts instead of the file's; may be repeated")


def changes(pairs: list[str]) -> dict:
    """What --set says, {"training.epochs": 40}. Raises CommandError."""
    import yaml

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or "." not in key:
            raise CommandError(f"--set {pair}: write it as section.key=value, for instance "
                               "training.epochs=40")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise CommandError(f"--set {pair}: the value is no YAML: put it in quotes") from None
    return found


def read_yaml(path: Path) -> dict:
    """A config as plain values. Raises CommandError for what is none."""
    import yaml

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CommandError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})"
                           ": see assets/trainings/train.yaml for an example") from error
    if not isinstance(told, dict):
        raise CommandError(f"{path}: holds no lines like 'key: value': see "
                           "assets/trainings/train.yaml for an example")
    return told


def device() -> str:
    """Where one process trains: on the first GPU, else on the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def train_with_reports(folder: Path, train: Callable, events: bool = True) -> None:
    """Call train(on_step=, on_epoch=, say=): the terminal, run.log and TensorBoard see it."""
    from contextlib import ExitStack

    from sep_helpers import logs
    from sep_helpers.events import EventLog
    from sep_helpers.progress import TerminalReport, Together

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder}: cannot be a run folder ({error.strerror}): choose another "
                           "one") from error
    report = TerminalReport()
    with ExitStack() as stack:
        stack.enter_context(logs.into(folder))
        stack.callback(report.close)
        both = Together(report, *([stack.enter_context(EventLog(folder))] if events else []))
        history = train(on_step=both.on_step, on_epoch=both.on_epoch, say=logs.LOG.info)
        if len(history) and history.attrs.get("finished", True):
            best = history["val_si_snr"].max()
            logs.LOG.info("done: best validation %.2f dB, in %s", best, folder)


def prepare_csv(path: Path) -> None:
    """Refuse a file that cannot be written, before hours are spent on what goes into it."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder: name a file in it, {path / 'figures.csv'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.tmp")
        draft.touch()
        draft.unlink()
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error}): check the folder and the space "
                           "on its disk") from error


def write_csv(table, path: Path) -> None:
    """Write a table, whole or not at all, and say so."""
    if path.exists():
        print(f"{path} is replaced")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.tmp")
        table.to_csv(draft, index=False)
        draft.replace(path)
    except OSError as error:
        raise CommandError(f"{path} could not be written ({error}): check the folder and the "
                           "space on its disk") from error
    print(f"{len(table)} lines in {path}")
