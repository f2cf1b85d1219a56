"""Train the networks that the course ships, and put them into assets/checkpoints.

    make studies ONLY=shipped ARGS="two_voices"      all of them without ARGS; resumable

Each is described by a file in assets/trainings/shipped. Real recordings come from SEP_REAL_DATA
(or ../shared/data); a network whose recordings are not there is named, and left as it is.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import corpora, shipping, trained  # noqa: E402

WORK = ROOT / "work" / "studies" / "shipped"


def main() -> None:
    args = parser().parse_args()
    for name in args.names or shipping.names():
        plan = shipping.read(name)
        try:
            if not args.so_far and not train(plan, args):
                return
            if plan.step or args.no_put_away:
                continue
            file = shipping.put_away(plan, args.runs / name, WORK / "corpora", out=args.out)
        except corpora.CorpusError as error:
            print(f"{name}: left as it is: {error}")
            continue
        print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")


def train(plan: shipping.Plan, args) -> bool:
    """Train, or go on; is it over?"""
    history = shipping.train(plan, args.runs / plan.name, WORK / "corpora",
                             start=start_of(plan, args.runs), on_epoch=tell,
                             resume="settings" if args.changed else True)
    return history.attrs["finished"]


def parser() -> argparse.ArgumentParser:
    """The study's options."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", help=f"of {', '.join(shipping.names())}")
    options.add_argument("--runs", type=Path, default=WORK / "runs", help="where the runs lie")
    options.add_argument("--out", type=Path, default=trained.SHIPPED, help="where networks go")
    options.add_argument("--so-far", action="store_true",
                         help="do not train: put away the best epoch there is")
    options.add_argument("--no-put-away", action="store_true", help="only train")
    options.add_argument("--changed", action="store_true",
                         help="go on with a run although its file has other settings now")
    return options


def start_of(plan: shipping.Plan, runs: Path) -> Path | None:
    """The run whose weights a plan begins with; None: the shipped ones, or nobody's."""
    run = runs / plan.start if plan.start else None
    return run if run and run.is_dir() else None


def tell(trainer) -> None:
    row = trainer.history[-1]
    print(f"epoch {trainer.epoch} of {trainer.settings.epochs}: train {row['train_si_snr']:.2f} dB,"
          f" validation {row['val_si_snr']:.2f} dB, {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
