"""The commands of `python -m sep_helpers`, one module each.

A command's module has `add(commands)`, which adds its parser to argparse's sub-parsers and sets
`run=` to the function that gets the parsed arguments and returns the exit code (None: 0). What is
slow to import is imported in that function, so that --help answers at once.
"""

COMMANDS = ("train", "resume", "search", "evaluate", "separate", "songs", "models", "runs",
            "views", "corpora", "doctor")                # in the order of --help
