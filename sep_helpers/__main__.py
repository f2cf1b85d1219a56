"""The command line: `python -m sep_helpers COMMAND ...`; `--help` lists the commands.

Each command is a module of `sep_helpers.commands`. Exit codes: 0 done, 1 something is wrong with
what was given (one line says what), 2 the command was not understood, 130 interrupted.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from sep_helpers import __version__
from sep_helpers.commands import COMMANDS
from sep_helpers.logs import LOG


def parser() -> argparse.ArgumentParser:
    """The parser of every command, made of what each command's module adds to it."""
    top = argparse.ArgumentParser(prog="python -m sep_helpers", description=(
        "Separate sounds, train separators, and look at what came of it."))
    top.add_argument("--version", action="version", version=f"sep_helpers {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"sep_helpers.commands.{name}").add(commands)
    return top


def commands() -> dict[str, argparse.ArgumentParser]:
    """Each command's own parser, by its name."""
    return _actions().choices


def summary(name: str) -> str:
    """What --help says of a command, in one line."""
    return next(action.help for action in _actions()._choices_actions if action.dest == name)


def examples(command: argparse.ArgumentParser) -> list[str]:
    """The lines to type that a command's --help ends in."""
    return [line.strip() for line in (command.epilog or "").splitlines()
            if line.startswith("  ") and not line.strip().startswith("#")]


def _actions():
    return next(action for action in parser()._actions if action.dest == "command")


@contextmanager
def _own_warnings_as_lines() -> Iterator[None]:
    """Log the package's own warnings as they are worded, without Python's file and source line."""
    here = Path(__file__).parent
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message, category, filename, *more):
            if Path(filename).is_relative_to(here):
                LOG.warning("%s", message)
            else:
                others(message, category, filename, *more)
        warnings.showwarning = show
        yield


def main(argv: list[str] | None = None) -> int:
    """Run one command; the package's own errors become one line on stderr and exit code 1."""
    args = parser().parse_args(argv)
    try:
        with _own_warnings_as_lines():
            return args.run(args) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not type(error).__module__.startswith("sep_helpers."):
            raise
        print(f"{args.command}: {_said(error)}", file=sys.stderr)
        return 1


def _said(error: Exception) -> str:
    """What an error says; of one that a loader's worker process passed on, without its traceback.
    """
    said = str(error).strip()
    passed_on = said.startswith(f"Caught {type(error).__name__} in DataLoader worker")
    return said.splitlines()[-1].partition(": ")[2] if passed_on else said


if __name__ == "__main__":
    sys.exit(main())
