"""The command line as a whole; each command has tests of its own."""

import shlex
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from sep_helpers import commands, runs
from sep_helpers.__main__ import commands as commands_of
from sep_helpers.__main__ import examples, main, parser
from sep_helpers.views import ViewError

ROOT = Path(__file__).resolve().parents[1]


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"    {name}" in shown for name in commands.COMMANDS)


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0 and f"sep_helpers {name}" in capsys.readouterr().out


def test_an_unknown_command_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sing"])
    assert stop.value.code == 2 and "runs" in capsys.readouterr().err


def test_the_packages_own_error_is_one_line_and_exit_code_1(monkeypatch, capsys):
    class Broken(ValueError):
        __module__ = "sep_helpers.runs"

    def board(folder):
        raise Broken(f"{folder}: is damaged: delete it")

    monkeypatch.setattr(runs, "board", board)
    assert main(["runs", "x"]) == 1
    assert capsys.readouterr().err == "runs: x: is damaged: delete it\n"


class Unreadable:
    """A data set that the package refuses to read."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise ViewError(f"mixture {index}: rain/00.flac is damaged: fetch it again")


def test_an_error_in_a_loaders_worker_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr(runs, "board", lambda folder: list(DataLoader(Unreadable(), num_workers=1)))
    assert main(["runs", "x"]) == 1
    assert capsys.readouterr().err == "runs: mixture 0: rain/00.flac is damaged: fetch it again\n"


def test_an_error_of_somebody_else_is_not_hidden(monkeypatch):
    monkeypatch.setattr(runs, "board", lambda folder: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["runs", "x"])


def test_the_board_of_an_empty_folder_says_so(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no runs in {tmp_path}\n"


def test_the_parser_is_the_same_every_time():
    assert parser().format_help() == parser().format_help()


EXAMPLES = [(name, line) for name, command in commands_of().items() for line in examples(command)]


@pytest.mark.parametrize("name, line", EXAMPLES)
def test_every_example_of_every_help_is_understood(name, line):
    words = shlex.split(line.split("&&")[0])
    start = words.index("sep_helpers") + 1
    args = parser().parse_args(words[start:])
    assert args.command == name or "&&" in line
    for word in words:
        if word.startswith("assets/"):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("name", ["train", "resume", "search", "evaluate", "separate", "songs",
                                  "runs"])
def test_the_commands_teach_by_examples(name):
    assert len([line for of, line in EXAMPLES if of == name]) >= 2
