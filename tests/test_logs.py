"""The one logger: what reaches the screen, what reaches run.log, and what a broken disk does."""

import importlib
import logging
import re

from sep_helpers import logs
from sep_helpers.logs import LOG


def test_a_message_is_on_the_screen_as_it_stands_and_dated_in_the_folder(tmp_path, capsys):
    with logs.into(tmp_path):
        LOG.info("epoch 3 of %d, %.1f dB", 8, 2.5)
    assert capsys.readouterr().out == "epoch 3 of 8, 2.5 dB\n"
    line = (tmp_path / "run.log").read_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [\d:,]+ INFO epoch 3 of 8, 2.5 dB\n", line)


def test_warnings_go_to_stderr(capsys):
    LOG.warning("careful")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("", "careful\n")


def test_a_second_sitting_goes_on_in_the_same_file_and_the_block_ends_it(tmp_path):
    for word in ("first", "second"):
        with logs.into(tmp_path):
            LOG.info(word)
    LOG.info("outside")
    text = (tmp_path / "run.log").read_text()
    assert [line.split()[-1] for line in text.splitlines()] == ["first", "second"]


def test_a_block_within_a_block_writes_every_line_once(tmp_path):
    with logs.into(tmp_path):
        with logs.into(str(tmp_path)):
            LOG.info("inner")
        LOG.info("outer")
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split()[-1] for line in lines] == ["inner", "outer"]


def test_a_folder_that_vanished_ends_the_log_and_nothing_else(tmp_path, capsys):
    handlers = list(LOG.handlers)
    with logs.into(tmp_path / "gone"):
        LOG.info("one")
        LOG.info("two")
    seen = capsys.readouterr()
    assert seen.out == "one\ntwo\n"
    assert seen.err.count("cannot be written any more") == 1 and seen.err.count("\n") == 1
    assert LOG.handlers == handlers


def test_nothing_is_said_twice(capsys, monkeypatch):
    importlib.reload(logs)
    logging.basicConfig(force=True)          # a root handler, as notebooks and other tools have it
    logs.LOG.info("once")
    logging.basicConfig(force=True, handlers=[logging.NullHandler()])
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("once\n", "")


def test_only_the_first_process_talks_of_what_all_know(capsys):
    try:
        logs.quiet_but_for_the_first(1)
        LOG.info("I am one of two")
        LOG.warning("my disk is full")
    finally:
        logs.quiet_but_for_the_first(0)
    LOG.info("we are two")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("we are two\n", "my disk is full\n")
