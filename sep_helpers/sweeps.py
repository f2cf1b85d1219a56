"""A sweep: several networks, several seeds of each, trained alike and told in two tables.

    sweep = sweeps.load("tasnet_xr", "laptop")         of assets/studies/tasnet_xr.yaml
    board, mixtures = sweeps.run(sweep, corpus, folder)

`board` has one line a run: what it was, what it cost, what it reached. `mixtures` has one line a
test mixture and one column a run, which is what paired comparisons are made from. Every run is a
run folder of its own: a sweep that broke off goes on, and a run that is done is not done again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import yaml

from sep_helpers import checkpoints, course_views, evaluation, models, training
from sep_helpers.corpora import Corpus
from sep_helpers.permutation import pit
from sep_helpers.views import collate

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "studies"
RESULT = "result.csv"      # in a run's folder: its figures, mixture by mixture; the mark of the end
SPEED = 0.16               # training voices are sped up or slowed down by up to this part


class SweepError(ValueError):
    """A sweep that cannot be read, or has nothing stored, in one line with the remedy."""


@dataclass(frozen=True)
class Sweep:
    """Which networks are trained, how often, and how: alike for all."""

    name: str
    preset: str
    configs: dict[str, dict]   # the variant's name -> the whole config of its network
    seeds: int                 # runs of each, with fresh weights and fresh mixtures
    epochs: int                # validations
    steps: int                 # between two validations
    batch: int                 # mixtures a step
    seconds: float             # length of a training mixture
    learning_rate: float
    warmup: int                # steps
    n_val: int                 # mixtures of the view that chooses the best epoch
    n_test: int                # mixtures of each test view

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(variant, seed): two variants are comparable once a seed of both is there."""
        return [(variant, seed) for seed in range(self.seeds) for variant in self.configs]

    @property
    def settings(self) -> training.Settings:
        """The loop's settings."""
        return training.Settings(epochs=self.epochs, batch=self.batch, warmup=self.warmup,
                                 learning_rate=self.learning_rate)


def load(name: str, preset: str, folder: Path = FOLDER) -> Sweep:
    """The sweep of `<folder>/<name>.yaml`, as large as the preset has it.

    A preset may change the base network and pick some of the variants.
    """
    file = Path(folder) / f"{name}.yaml"
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        size = dict(told["presets"][preset])
        base = told["base"] | size.pop("base", {})
        chosen = size.pop("variants", list(told["variants"]))
        configs = {v: models.complete(base | told["variants"][v]) for v in chosen}
        return Sweep(name, preset, configs, **size)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise SweepError(f"{file}: no sweep for preset {preset!r} in it ({error!r}): it needs "
                         "base, variants and presets, as assets/studies/tasnet_xr.yaml") from error


def run(sweep: Sweep, corpus: Corpus, folder: str | Path, device="cpu",
        tell: Callable[[str], None] = print) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and measure what is not there yet, below `folder`; -> (board, mixtures).

    Both tables also lie in `folder`, rewritten after each run: they can be read at any time.
    """
    folder = Path(folder)
    views = course_views.test_views(corpus, sweep.n_test)
    val = course_views.frozen_view("val", corpus, sweep.n_val)
    lines, columns, began = [], [], time.monotonic()
    for number, (variant, seed) in enumerate(sweep.runs, start=1):
        place = folder / f"{variant.replace(' ', '_')}_seed{seed}"
        history, figures = _one(sweep, corpus, variant, seed, place, val, views, device)
        lines.append(_line(sweep, variant, seed, corpus, history, figures))
        columns.append(figures.set_index(["view", "mixture_id"])["si_sdri"]
                       .rename(f"{variant}, seed {seed}"))
        board, mixtures = pd.DataFrame(lines), pd.concat(columns, axis=1)
        write(board, mixtures, sweep.name, folder)
        left = (time.monotonic() - began) / number * (len(sweep.runs) - number) / 60
        tell(f"run {number} of {len(sweep.runs)}, {variant}, seed {seed}: " + ", ".join(
            f"{lines[-1][view]:.2f} dB on {view}" for view in views) + f"; {left:.0f} min left")
    return board, mixtures


def _one(sweep, corpus, variant, seed, place, val, views, device):
    """One run, or what it left when it was done: (history, figures of every test mixture)."""
    view = course_views.train_view(corpus, seconds=sweep.seconds, speed=SPEED, seed=1000 + seed,
                                   n_mixtures=sweep.steps * sweep.batch)
    torch.manual_seed(seed)
    model = models.build(sweep.configs[variant] | {"sample_rate": corpus.sample_rate})
    history = training.fit(model, view, val, sweep.settings, place, device, say=lambda line: None)
    done = place / RESULT
    if done.is_file() and len(figures := pd.read_csv(done)) == sum(map(len, views.values())):
        return history, figures        # unless it was measured on fewer or more mixtures
    model.load_state_dict(checkpoints.load(place / "best.pt")["model"])
    tables = [evaluation.evaluate(model, test, variant, name, bss=False)
              for name, test in views.items()]
    figures = pd.concat(tables).groupby(["view", "mixture_id"], sort=False)["si_sdri"].mean()
    draft = place / f".{RESULT}"
    figures.round(3).reset_index().to_csv(draft, index=False)
    draft.replace(done)
    return history, pd.read_csv(done)


def _line(sweep, variant, seed, corpus, history, figures) -> dict:
    """A run in one line of the board."""
    config, steps = sweep.configs[variant], history["steps"].sum()
    with torch.device("meta"):
        size = models.count_parameters(models.build(config))
    keys = ("N", "L", "B", "H", "Sc", "P", "X", "R", "norm", "mask")
    return {"variant": variant, "seed": seed, **{key: config[key] for key in keys},
            "parameters": size,
            "receptive_field_s": models.receptive_field(config) / corpus.sample_rate,
            "steps": steps, "seconds": round(history["seconds"].sum(), 1),
            "val": round(history["val_si_snr"].max(), 3),
            **figures.groupby("view", sort=False)["si_sdri"].mean().round(3)}


def pace(sweep: Sweep, corpus: Corpus, rounds: int = 60) -> dict[str, float]:
    """Milliseconds of a training step, variant by variant, on the CPU: what a run costs.

    The variants take turns and the fastest of the rounds counts: a machine that was busy during
    one run and idle during the next would else make one variant look dear and another cheap.
    """
    epoch = course_views.train_view(corpus, seconds=sweep.seconds, n_mixtures=sweep.batch).epoch(0)
    batch = collate([epoch[i] for i in range(sweep.batch)])
    nets = {variant: models.build(config | {"sample_rate": corpus.sample_rate})
            for variant, config in sweep.configs.items()}
    optimizers = {variant: torch.optim.Adam(net.parameters()) for variant, net in nets.items()}
    fastest = dict.fromkeys(nets, float("inf"))
    for _ in range(rounds):
        for variant, net in nets.items():
            began = time.perf_counter()
            si_snr, _ = pit(net(batch["mixture"]), batch["sources"])
            optimizers[variant].zero_grad()
            (-si_snr.mean()).backward()
            optimizers[variant].step()
            fastest[variant] = min(fastest[variant], 1e3 * (time.perf_counter() - began))
    return {variant: round(ms, 1) for variant, ms in fastest.items()}


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
