"""What several commands share: how they describe themselves, open a corpus, and show progress."""

import argparse
import os
import sys

from tqdm import tqdm


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
