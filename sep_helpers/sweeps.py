"""A sweep: several networks, several seeds of each, trained and told in two tables.

    sweep = sweeps.load("tasnet_xr", "laptop")         of assets/studies/tasnet_xr.yaml
    board, mixtures = sweeps.run(sweep, corpus, folder)

`board` has one line a run: what it was, what it cost, what it reached. `mixtures` has one line a
test mixture and one column a run, which is what paired comparisons are made from. Every run is a
run folder of its own: a sweep that broke off goes on, and a run that is done is not done again.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from sep_helpers import checkpoints, corpora, course_views, evaluation, models, training
from sep_helpers.corpora import Corpus
from sep_helpers.permutation import pit
from sep_helpers.run_files import RESULT
from sep_helpers.sweep_plan import FOLDER, Sweep, SweepError, load
from sep_helpers.views import FrozenView, LiveView, Recipe, collate, freeze

__all__ = ["FOLDER", "Sweep", "SweepError", "load", "pace", "run", "stored", "study", "summary",
           "train_view", "views", "write"]

REFERENCES = {"mixture": evaluation.mixture_system, "random": evaluation.random_mask_system}


# --- what is mixed

def train_view(sweep: Sweep, corpus: Corpus, n_sources: int, **changes) -> LiveView:
    """The training mixtures of that many sources, drawn afresh each epoch."""
    changes = {"seconds": sweep.seconds, "n_mixtures": sweep.steps * sweep.batch,
               "n_sources": n_sources} | changes
    if not sweep.recipes:
        return course_views.train_view(corpus, speed=sweep.speed, **changes)
    return LiveView(corpus, replace(_recipe(sweep, "train", corpus), **changes))


def views(sweep: Sweep, corpus: Corpus, n_sources: int) -> dict[str, FrozenView]:
    """`val`, which chooses the best epoch, and the test views: all frozen."""
    if not sweep.recipes:
        return {"val": course_views.frozen_view("val", corpus, sweep.n_val,
                                                n_sources=n_sources),
                **course_views.test_views(corpus, sweep.n_test, n_sources)}
    numbers = {name: sweep.n_val if name == "val" else sweep.n_test
               for name in sweep.recipes if name != "train"}
    return {name: FrozenView(corpus, freeze(corpus, replace(
        _recipe(sweep, name, corpus), n_sources=n_sources, n_mixtures=number)))
        for name, number in numbers.items()}


def _recipe(sweep: Sweep, name: str, corpus: Corpus) -> Recipe:
    return Recipe(name=name, sample_rate=corpus.sample_rate, **sweep.recipes[name])


# --- the runs

def run(sweep: Sweep, corpus: Corpus, folder: str | Path, device="cpu",
        tell: Callable[[str], None] = print) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and measure what is not there yet, below `folder`; -> (board, mixtures).

    Both tables also lie in `folder`, rewritten after each run: they can be read at any time.
    """
    folder, frozen = Path(folder), cache(lambda n: views(sweep, corpus, n))
    folder.mkdir(parents=True, exist_ok=True)
    lines, columns, began = [], [], time.monotonic()
    for n, name in dict.fromkeys((sweep.n_sources(v), r) for v, _ in sweep.runs
                                 for r in sweep.references):
        system = REFERENCES[name]() if name in REFERENCES else evaluation.oracle_system(name)
        figures = _measured(folder / f"{name}_{n}_sources", frozen(n), name,
                            lambda system=system: system)
        lines.append({"variant": name, "n_sources": n, **_means(figures)})
        columns.append(_column(figures, f"{name}, {n} sources"))
    for number, (variant, seed) in enumerate(sweep.runs, start=1):
        place = folder / f"{variant.replace(' ', '_')}_seed{seed}"
        history, figures = _one(sweep, corpus, variant, seed, place,
                                frozen(sweep.n_sources(variant)), device)
        lines.append(_line(sweep, variant, seed, corpus, history, figures))
        columns.append(_column(figures, f"{variant}, seed {seed}"))
        board, mixtures = pd.DataFrame(lines), pd.concat(columns, axis=1)
        write(board, mixtures, sweep.name, folder)
        left = (time.monotonic() - began) / number * (len(sweep.runs) - number) / 60
        tell(f"run {number} of {len(sweep.runs)}, {variant}, seed {seed}: " + ", ".join(
            f"{dB:.2f} dB on {view}" for view, dB in _means(figures).items())
            + f"; {left:.0f} min left")
    return board, mixtures


def _one(sweep, corpus, variant, seed, place, frozen, device):
    """One run, or what it left when it was done: (history, figures of every test mixture)."""
    view = train_view(sweep, corpus, sweep.n_sources(variant), seed=1000 + seed)
    torch.manual_seed(seed)
    model = models.build(sweep.configs[variant] | {"sample_rate": corpus.sample_rate})
    facts = {"origin": "study", "variant": variant, **sweep.places.get(variant, {})}
    history = training.fit(model, view, frozen["val"], sweep.settings(variant), place, device,
                           facts=facts, say=lambda line: None)

    def trained():
        model.load_state_dict(checkpoints.load(place / f"{sweep.keep}.pt")["model"])
        return model
    return history, _measured(place, frozen, variant, trained,
                              permute=sweep.settings(variant).assignment != "fixed")


def _measured(place: Path, frozen: dict[str, FrozenView], name: str, system,
              permute: bool = True) -> pd.DataFrame:
    """view, mixture_id, si_sdri, the mean of each mixture's sources; stored, so done only once.

    `system` makes what is to be measured. What is there of fewer or more mixtures is done again.
    `permute=False`: outputs that were tied to slots in training answer for their own slot.
    """
    tests = {view_name: view for view_name, view in frozen.items() if view_name != "val"}
    done = place / RESULT
    if done.is_file() and len(figures := pd.read_csv(done)) == sum(map(len, tests.values())):
        return figures
    tables = [evaluation.evaluate(system(), view, name, view_name, bss=False, permute=permute)
              for view_name, view in tests.items()]
    figures = pd.concat(tables).groupby(["view", "mixture_id"], sort=False)["si_sdri"].mean()
    place.mkdir(exist_ok=True)
    draft = place / f".{RESULT}"
    figures.round(3).reset_index().to_csv(draft, index=False)
    draft.replace(done)
    return pd.read_csv(done)


def _column(figures: pd.DataFrame, name: str) -> pd.Series:
    return figures.set_index(["view", "mixture_id"])["si_sdri"].rename(name)


def _means(figures: pd.DataFrame) -> dict[str, float]:
    """SI-SNRi of each test view, dB."""
    return figures.groupby("view", sort=False)["si_sdri"].mean().round(3).to_dict()


def _line(sweep, variant, seed, corpus, history, figures) -> dict:
    """A run in one line of the board: what all networks' configs say gets a column each."""
    config, configs = sweep.configs[variant], sweep.configs.values()
    shared = [key for key in config if all(key in other for other in configs)
              and key not in ("name", "sample_rate")]
    rest = ", ".join(f"{key} {value}" for key, value in config.items()
                     if key not in (*shared, "name", "sample_rate"))
    with torch.device("meta"):
        size = models.count_parameters(models.build(config))
    return {"variant": variant, "seed": seed, **sweep.places.get(variant, {}),
            "model": config["name"], **{key: config[key] for key in shared},
            **({"config": rest} if rest else {}), **sweep.own.get(variant, {}), "parameters": size,
            "receptive_field_s": models.receptive_field(config) / corpus.sample_rate,
            "epochs": len(history), "steps": history["steps"].sum(),
            "seconds": round(history["seconds"].sum(), 1),
            "val": round(history["val_si_snr"].max(), 3), **_means(figures)}


def pace(sweep: Sweep, corpus: Corpus, rounds: int = 60) -> dict[str, float]:
    """Milliseconds of CPU that a training step takes, variant by variant: what a run costs.

    The variants take turns and the fastest of the rounds counts: a machine that was busy during
    one run and idle during the next would else make one variant look dear and another cheap.
    """
    batches, nets = {}, {}
    for variant, config in sweep.configs.items():
        batch, n = sweep.settings(variant).batch, sweep.n_sources(variant)
        if (batch, n) not in batches:
            epoch = train_view(sweep, corpus, n, n_mixtures=batch).epoch(0)
            batches[batch, n] = collate([epoch[i] for i in range(batch)])
        nets[variant] = (models.build(config | {"sample_rate": corpus.sample_rate}),
                         batches[batch, n])
    optimizers = {variant: torch.optim.Adam(net.parameters()) for variant, (net, _) in nets.items()}
    fastest = dict.fromkeys(nets, float("inf"))
    for _ in range(rounds):
        for variant, (net, batch) in nets.items():
            began = time.process_time()
            si_snr, _ = pit(net(batch["mixture"]), batch["sources"])
            optimizers[variant].zero_grad()
            (-si_snr.mean()).backward()
            optimizers[variant].step()
            fastest[variant] = min(fastest[variant], 1e3 * (time.process_time() - began))
    return {variant: round(ms, 1) for variant, ms in fastest.items()}


def study(name: str, preset: str, folder: str | Path, device="cpu", **facts) -> pd.DataFrame:
    """What `make studies` does with a sweep: run what is missing, measure its pace; -> the board.

    The laptop's tables are stored beside the sweep's file, for notebooks to show as the course's;
    another preset's lie in `folder` with the runs. `facts` are told in every line.
    """
    sweep = load(name, preset)
    corpus = corpora.open_corpus(corpora.locate(sweep.corpus))
    board, mixtures = run(sweep, corpus, folder, device)
    board["ms_per_step"] = board["variant"].map(pace(sweep, corpus))
    board["cpu_seconds"] = (board["steps"] * board["ms_per_step"] / 1e3).round(1)
    board = board.assign(data=sweep.corpus, **facts)
    write(board, mixtures, name, FOLDER if preset == "laptop" else folder)
    return board


def summary(mixtures: pd.DataFrame, view: str) -> pd.DataFrame:
    """Mean SI-SNRi of each column with its 95 % interval over the mixtures, as evaluation.summary:
    what `plots.comparison` draws."""
    lines = []
    for name, values in mixtures.loc[view].items():
        if values.notna().any():
            mean, low, high = evaluation.confidence_interval(values.dropna())
            lines.append({"system": name, "view": view, "metric": "si_sdri", "n": values.count(),
                          "mean": mean, "low": low, "high": high,
                          "text": f"{mean:.1f} ({low:.1f} to {high:.1f})"})
    return pd.DataFrame(lines)


def write(board: pd.DataFrame, mixtures: pd.DataFrame, name: str, folder: str | Path) -> None:
    """Write both tables as <folder>/<name>.csv and <name>_mixtures.csv, whole or not at all."""
    for table, file, index in ((board, f"{name}.csv", False), (mixtures, f"{name}_mixtures.csv",
                                                               True)):
        draft = Path(folder) / f".{file}"
        table.to_csv(draft, index=index)
        draft.replace(Path(folder) / file)


def stored(name: str, folder: str | Path = FOLDER) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The (board, mixtures) that `write` left in a folder; the course's own by default."""
    folder = Path(folder)
    if not (folder / f"{name}_mixtures.csv").is_file():
        raise SweepError(f"{folder}: no results of {name!r}: run `make studies ONLY={name}`")
    return (pd.read_csv(folder / f"{name}.csv"),
            pd.read_csv(folder / f"{name}_mixtures.csv", index_col=["view", "mixture_id"]))
