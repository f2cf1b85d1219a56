"""`models [NAME]`: the networks that come with the course, and what is to be known of one."""

from sep_helpers.commands import common

EXAMPLES = """
# all of them: how large they are, and what they gain on the course's tests
python -m sep_helpers models
# how one was trained, on whose recordings, under which licence
python -m sep_helpers models two_voices
"""


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "models", "the networks that come with the course",
        "The networks that `separate --model NAME` knows by name, their sizes, and what they gain "
        "on the\ncourse's frozen tests (SI-SNRi in dB); of one of them, its card.", EXAMPLES)
    parser.add_argument("name", nargs="?", help="show this one's card")
    parser.set_defaults(run=run)


def run(args) -> None:
    """Print the shelf, or a card."""
    from sep_helpers import models, trained

    if args.name is None:
        print(trained.shelf().to_string(index=False))
        return
    import yaml

    file = trained.find(args.name)
    if file.suffix != ".safetensors":
        raise common.CommandError(f"{args.name}: is a run, which has no card: `runs` shows runs")
    card = {"file": str(file), **models.read_card(file)}
    print(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100).rstrip())
