"""Measure the shipped networks, the floors and the ceilings on the standard views; store cards.

    make studies ONLY=measure                                   all there is, 20 minutes
    make studies ONLY=measure ARGS="two_voices --n 50"          one network, 50 mixtures a view
    make studies ONLY=measure ARGS="my/run --views speech_real_test"    a run: figures, no cards

Cards go to assets/cards (of whole views only), for notebooks/results.py to write into the README.
A view whose recordings are not on this machine is named, and its cards are left as they are.
"""

import argparse
import sys
import time
from pathlib import Path

import pandas as pd
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import (  # noqa: E402
    cards,
    corpora,
    evaluation,
    models,
    slices,
    standard_views,
    trained,
    workspace,
)

METRICS = ("si_sdri", "sdri")
SLICED = "speech_real_test"             # the view whose slices are stored, too
SLICES = ROOT / "assets" / "studies" / f"slices_{SLICED}.csv"
EDGES = {"level_difference": [2.0], "pitch_distance": [3.0, 8.0]}
BOUNDS = {     # what every network that has learnt stands above, and what no mask rises above
    name.lower().replace(" ", "_"): (name, system)
    for name, system in evaluation.floors_and_ceilings().items() if name != "mixture"}
BOUND = {"preset": "", "seconds": 0.0, "seed": 0}       # nothing is trained


def main() -> None:
    args = parser().parse_args()
    for view_name in args.views:
        try:
            view = standard_views.open_view(view_name, n_mixtures=args.n)
        except corpora.CorpusError as error:
            print(f"{view_name}: left out: {error}")
            continue
        known = slices.facts(view) if view_name == SLICED and args.n is None else None
        for name in args.systems or [*BOUNDS, *trained.shipped()]:
            system, title, facts = open_system(name, view_name)
            if system is None:
                continue
            table = evaluation.evaluate(system, view, title, view_name)
            tell(table)
            if facts is not None and args.n is None:
                store(table, name, facts, args.out)
                if known is not None:
                    store_slices(table, known)


def parser() -> argparse.ArgumentParser:
    """The study's options."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("systems", nargs="*", help="a shipped network, a run's folder, or one of "
                         f"{', '.join(BOUNDS)}")
    options.add_argument("--views", nargs="*", choices=standard_views.STANDARDS,
                         default=list(standard_views.STANDARDS))
    options.add_argument("--n", type=int, help="mixtures of each view (default: all)")
    options.add_argument("--out", type=Path, default=ROOT / "assets" / "cards")
    return options


def open_system(name: str, view_name: str) -> tuple:
    """(system, title, facts of its card); no system where this view is nothing for it, no facts
    where it is nobody's to publish."""
    if name in BOUNDS:
        title, system = BOUNDS[name]
        return system, title, {**BOUND, "kind": "bound"}
    network = trained.load(name)
    if Path(name).exists():
        return network, name, None
    card = models.read_card(trained.find(name))
    if card.get("tests", "voices") != standard_views.STANDARDS[view_name].kind:
        return None, card["title"], None
    facts = {"preset": "", "seconds": 60 * card["minutes"], "seed": card["seed"],
             "checkpoint": f"assets/checkpoints/{name}",
             "parameters": models.count_parameters(network), "real_time": real_time(network)}
    return network, card["title"], facts


def real_time(network, seconds: float = 8.0, rounds: int = 7) -> float:
    """Seconds of computing for a second of sound, on one thread: the median of some rounds.

    Of the process, not of the clock: what else the machine does is not the network's.
    """
    threads, spent = torch.get_num_threads(), []
    torch.set_num_threads(1)
    mixture = torch.randn(round(seconds * network.sample_rate),
                          generator=torch.Generator().manual_seed(0))
    for _ in range(rounds):
        began = time.process_time()
        evaluation.separate(network, mixture)
        spent.append(time.process_time() - began)
    torch.set_num_threads(threads)
    return sorted(spent)[rounds // 2] / seconds


def tell(table: pd.DataFrame) -> None:
    """Print a system's figures on a view."""
    for metric in METRICS:
        row = evaluation.summary(table, metric).iloc[0]
        print(f"{row['view']}  {row['system']}  {metric} {row['text']} dB, n = {row['n']}",
              flush=True)


def store(table: pd.DataFrame, name: str, facts: dict, folder: Path) -> None:
    """One card a metric, named by the system and the view."""
    view_name = table["view"].iloc[0]
    standard = standard_views.STANDARDS[view_name]
    for metric in METRICS:
        row = evaluation.summary(table, metric).iloc[0]
        cards.ResultCard.of(row, name=f"{name}_{view_name}_{metric}", data=standard.corpus,
                            origin="shipped", machine=workspace.machine(), **facts).write(folder)


def store_slices(table: pd.DataFrame, known: pd.DataFrame, file: Path = SLICES) -> None:
    """The means of a system's slices, in place of what was stored of it."""
    new = slices.summary(table, known, edges=EDGES).drop(columns=["text", "metric"]).round(3)
    old = pd.read_csv(file) if file.exists() else new[:0]
    kept = old[old["system"] != table["system"].iloc[0]]
    pd.concat([kept, new]).to_csv(file, index=False)


if __name__ == "__main__":
    main()
