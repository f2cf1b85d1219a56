"""Networks that the course ships: trained by a file of `assets/trainings/shipped`, then put away.

Such a file is a training like any other (see `experiment`) with one section more:

    ship:
      title: Conv-TasNet, noise and rooms      # in tables
      corpora:                                 # joined into one; embedded ones, or real ones
        voices: {where: {split: train, language: en}, licence: CC0-1.0}
        speech_real: {}
      noise: {sounds: {licence: CC0-1.0}}      # likewise, for background noise
      start: two_voices                        # begin with the weights of another one
      step: true                               # on the way to another one: not put away itself
      tests: voices                            # which of the standard views it takes: see there

What is written are the weights in 16 bits, the curve of the training, and the recordings it heard.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from torch.utils.data import Subset

from sep_helpers import checkpoints, corpora, experiment, joining, models, trained, training
from sep_helpers.run_files import history as read_history
from sep_helpers.run_files import read_config
from sep_helpers.views import LiveView

ROOT = Path(__file__).resolve().parents[1]
PLANS = ROOT / "assets" / "trainings" / "shipped"
MOST_BYTES = 2 * 10**6          # of one network
KEYS = ("title", "tests", "corpora", "noise", "start", "step")
STEPS = 15                      # that a step's time is measured over


class ShippingError(ValueError):
    """A network that cannot be trained or put away, in one line with the remedy."""


@dataclass(frozen=True)
class Plan:
    """One network of the course: how it is trained, and on what."""

    name: str                   # of the file, of the folder in assets/checkpoints, for --model
    title: str
    tests: str                  # voices or sounds, as in standard_views
    corpora: dict               # name -> options of joining.Part
    noise: dict
    start: str | None
    step: bool
    experiment: dict            # sections model, data, training


def names() -> list[str]:
    """All plans, those that begin with another's weights after that one."""
    found = [path.stem for path in PLANS.glob("*.yaml")]
    return sorted(found, key=lambda name: (_depth(name), name))


def _depth(name: str) -> int:
    start = read(name).start
    return 1 + _depth(start) if start else 0


def read(name: str) -> Plan:
    """The plan of that name. Raises ShippingError, or what `experiment.read` raises."""
    path = PLANS / f"{name}.yaml"
    if not path.is_file():
        raise ShippingError(f"no network {name!r} in {PLANS}: there are {', '.join(names())}")
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    ship = told.pop("ship", None) or {}
    wrong = [key for key in ship if key not in KEYS] or [
        key for key in ("title", "tests", "corpora") if not ship.get(key)]
    if wrong:
        raise ShippingError(f"{path}: section ship: {wrong[0]!r} is unknown or missing: it has "
                            f"{', '.join(KEYS)}")
    return Plan(name, ship["title"], ship["tests"], ship["corpora"], ship.get("noise") or {},
                ship.get("start"), bool(ship.get("step")), experiment.read(told))


def gather(plan: Plan, work: Path, real: Path | None = None) -> tuple[corpora.Corpus, ...]:
    """The plan's corpora, joined below `work`: (corpus, noise corpus or None).

    Raises CorpusError where one of them is not on this machine.
    """
    def join(kind: str, parts: dict) -> corpora.Corpus:
        return joining.join(work / plan.name / kind, {
            name: joining.Part(corpora.locate(name, real), **options)
            for name, options in parts.items()})

    return (join("corpus", plan.corpora), join("noise", plan.noise) if plan.noise else None)


def set_up(plan: Plan, work: Path, real: Path | None = None, start: Path | None = None) -> tuple:
    """(model, train_view, val_view, settings) of a plan; `start`: where its `start` lies."""
    corpus, noise = gather(plan, work, real)
    data = plan.experiment["data"] | {"corpus": str(corpus.folder)}
    if noise is not None:
        data["noise"] = str(noise.folder)
    parts = experiment.set_up(plan.experiment | {"data": data})
    if plan.start:
        parts[0].load_state_dict(trained.load(start or plan.start).state_dict())
    return parts


def train(plan: Plan, folder: Path, work: Path, real: Path | None = None,
          start: Path | None = None, **options) -> pd.DataFrame:
    """Train a plan, or go on with it, in a run's folder; its history. `options`: of `fit`."""
    model, train_view, val_view, settings = set_up(plan, work, real, start)
    facts = {"origin": "shipped", "plan": plan.name}
    return training.fit(model, train_view, val_view, settings, folder, facts=facts, **options)


def put_away(plan: Plan, run: Path, work: Path, real: Path | None = None,
             out: Path = trained.SHIPPED) -> Path:
    """Write what is shipped of a run: <out>/<name>/ with model.safetensors (weights of its best
    epoch in 16 bits, config, card), history.csv and heard.csv; the path of the weights.

    Raises ShippingError for a run that another plan describes, and for weights of over 2 MB.
    """
    past, told = _past(plan, run), experiment.of_run(run)
    model, train_view, val_view, settings = set_up(plan, work, real, run)
    wrong = checkpoints.difference(told, training.run_config(model, train_view, settings))
    if wrong:
        raise ShippingError(f"{run}: is not what {plan.name}.yaml describes ({'; '.join(wrong)}): "
                            "train it again, or correct the file")
    heard = pd.concat([joining.heard(view, view.table[view.table.split != "test"])
                       for view in (train_view.corpus, train_view.noise) if view is not None])
    folder, seconds = out / plan.name, seconds_of(past, pace_of(model, train_view, val_view,
                                                                settings))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.safetensors"
    models.save(trained.load(run), file, half=True, title=plan.title, tests=plan.tests,
                epochs=len(past), steps=int(past["steps"].sum()), seed=settings.seed,
                best_epoch=int(past["val_si_snr"].idxmax()) + 1,
                val_si_snr=round(float(past["val_si_snr"].max()), 2),
                preset="shipped", minutes=round(seconds / 60, 1),
                started_from=plan.start, recordings=len(heard),
                attribution=attribution(plan), training=told,
                changes=_changes(plan, run),
                made_by=f'make studies ONLY=shipped ARGS="{plan.name}"')
    if file.stat().st_size > MOST_BYTES:
        raise ShippingError(f"{file}: {file.stat().st_size:,} bytes are more than {MOST_BYTES:,}: "
                            "make the network smaller")
    past = past.assign(epoch=range(len(past)))
    past.round(4).to_csv(folder / "history.csv", index=False)
    heard.to_csv(folder / "heard.csv", index=False)
    return file


def _past(plan: Plan, run: Path) -> pd.DataFrame:
    """The history of a run, after that of the step it began with, if that lies beside it."""
    past = read_history(run).assign(plan=plan.name)
    if plan.start and read(plan.start).step:
        before = _past(read(plan.start), run.with_name(plan.start))
        past = pd.concat([before, past], ignore_index=True)
    return past


def _changes(plan: Plan, run: Path) -> list:
    """What the settings of a run went through, and those of the step it began with."""
    own = read_config(run / "config.yaml").get("changes", [])
    if plan.start and read(plan.start).step and run.with_name(plan.start).is_dir():
        before = _changes(read(plan.start), run.with_name(plan.start))
        own = [{plan.start: change} for change in before] + own
    return own


def seconds_of(past: pd.DataFrame, pace: float) -> float:
    """What a training takes on a quiet core: its steps at the pace of each part's fastest epoch,
    or at `pace` (of the last part, seconds a step) where that is faster."""
    total = 0.0
    for name, part in past.groupby("plan", sort=False):
        fastest = (part["seconds"] / part["steps"]).min()
        last = name == past["plan"].iloc[-1]
        total += part["steps"].sum() * (min(fastest, pace) if last else fastest)
    return float(total)


def attribution(plan: Plan) -> list[str]:
    """Whose recordings a network heard, as their licences want it said."""
    texts = yaml.safe_load((PLANS.parent / "attributions.yaml").read_text(encoding="utf-8"))
    return [texts[name] for name in (*plan.corpora, *plan.noise)]


def pace_of(model, train_view, val_view, settings) -> float:
    """Seconds that a training step takes on one thread: the median of some, drawing included.

    Of the process, not of the clock: a busy machine is not the training's fault.
    """
    marks = [time.process_time()]
    few = LiveView(train_view.corpus, replace(train_view.recipe, n_mixtures=STEPS * settings.batch),
                   train_view.noise)
    with tempfile.TemporaryDirectory() as folder:
        training.fit(model, few, Subset(val_view, [0]), replace(settings, epochs=1), folder,
                     on_step=lambda trainer: marks.append(time.process_time()), resume=False,
                     say=lambda line: None)
    return float(np.median(np.diff(marks)))
