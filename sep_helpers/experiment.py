"""A training from one YAML file: the same on a laptop, on Colab and on a cluster.

    preset: laptop                     # fills in what is left out below; may itself be left out
    model: {name: conv_tasnet, X: 7}   # a network's config, or what differs from the preset's
    data: {corpus: my/voices, seconds: 2.0, n_mixtures: 1200, n_val: 40}
    training: {epochs: 20, learning_rate: 1e-3, schedule: plateau}

`data` holds the folder of the corpus, or `music` for the embedded stems (left out: SEP_CORPUS, else
the embedded voices), that of noises (`noise`, for mixtures with background noise), the number of
validation mixtures, `skip: true` to leave out mixtures that cannot be read, and whatever is to be
changed in the course's recipe of training mixtures. What kind of mixtures they are (CONDITIONS)
holds for validation, too. The corpus is opened in the model's form, its sample_rate and channels.
"""

import copy
import os
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
import torch
import yaml

from sep_helpers import corpora, course_views, models, training, workspace
from sep_helpers.models import ConfigError
from sep_helpers.recipes import Recipe
from sep_helpers.run_files import RECORD, read_config
from sep_helpers.settings import SITTING, Settings, nearest
from sep_helpers.views import LiveView

SECTIONS = ("model", "data", "training")
BESIDE = ("corpus", "noise", "n_val", "skip")      # in the section data, beside the recipe's keys
RECIPE = tuple(f.name for f in fields(Recipe) if f.name not in ("name", "split", "sample_rate"))
CONDITIONS = ("n_sources", "rms_db", "level_db", "categories", "files", "same_category", "in_order",
              "together", "overlap", "level_of", "snr_db", "noise_snr_db", "noise_where", "rt60",
              "target")


class ExperimentError(ValueError):
    """A training's file that cannot be used, in one line with the remedy."""


def read(source: str | Path | dict, changes: dict | None = None) -> dict:
    """The whole experiment that a YAML file or a dict describes: preset, model, data, training.

    `changes` by dotted keys, e.g. {"training.learning_rate": 1e-3, "model.R": 2}, come last.
    Raises ExperimentError, and SettingsError or ConfigError, with the nearest name.
    """
    told = _load(source)
    for key in told:
        if key not in (*SECTIONS, "preset", "search"):
            raise ExperimentError(f"unknown section {key!r}: "
                                  f"{nearest(str(key), (*SECTIONS, 'preset'))}")
    whole = _of_preset(told.get("preset"))
    for section in SECTIONS:
        part = told.get(section) or {}
        if not isinstance(part, dict):
            raise ExperimentError(f"section {section!r} must hold lines like 'key: value'")
        renamed = section == "model" and part.get("name") not in (None, whole[section].get("name"))
        whole[section] = dict(part) if renamed else whole[section] | part
    for key, value in (changes or {}).items():
        section, _, name = key.partition(".")
        if section not in SECTIONS or not name:
            raise ExperimentError(f"unknown key {key!r}: write section.key, the section one of "
                                  f"{', '.join(SECTIONS)}")
        whole[section][name] = value
    return _checked(whole)


def set_up(source: str | Path | dict) -> tuple:
    """What an experiment is made of: (model, train_view, val_view, settings)."""
    whole = read(source)
    settings, data = Settings.of(whole["training"]), dict(whole["data"])
    corpus, n_val = _corpus(data.pop("corpus", None), whole["model"]), data.pop("n_val", None)
    noise, skip = _noise(data.pop("noise", None), corpus), data.pop("skip", False)
    train_view = course_views.train_view(corpus, noise, **data)
    val_view = _val_view(corpus, train_view, n_val)
    train_view.skip = val_view.skip = skip
    torch.manual_seed(settings.seed)
    return models.build(whole["model"]), train_view, val_view, settings


def train(source: str | Path | dict, folder: str | Path, *, changes: dict | None = None,
          device: str | torch.device | None = None, facts: dict | None = None,
          **options) -> pd.DataFrame:
    """Train what a file describes, or go on with it, in a run folder; returns the history.

    `options` are those of `training.fit`: resume, on_step, on_epoch, say. Every process of an
    `accelerate launch` calls this; `device` None lets accelerate choose.
    """
    whole = read(source, changes)
    noted = {"corpus": _name(whole["data"].get("corpus")), "n_val": whole["data"].get("n_val"),
             "noise": whole["data"].get("noise"), "skip": whole["data"].get("skip", False),
             "preset": whole.get("preset"), **(facts or {})}
    model, train_view, val_view, settings = set_up(whole)
    return training.fit(model, train_view, val_view, settings, folder, device, facts=noted,
                        **options)


def resume(folder: str | Path, *, changes: dict | None = None,
           device: str | torch.device | None = None, **options) -> pd.DataFrame:
    """Go on with the run in a folder, from what its config.yaml says; returns the history.

    `changes` to the training section, e.g. {"training.learning_rate": 1e-3}, are taken over and
    recorded; those that change nothing in the outcome (workers, max_minutes ...) are just used.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise ExperimentError(f"{folder}: holds no run: give the folder with its config.yaml")
    saved = read_config(folder / "config.yaml")
    facts = saved.get("facts") or {}
    if "corpus" not in facts:
        raise ExperimentError(f"{folder}: was begun by a notebook, which alone knows its corpus: "
                              "run the notebook's cell again")
    new = {key.removeprefix("training."): value for key, value in (changes or {}).items()}
    settings = Settings.of((saved.get("training") or {}) | new)
    corpus = _corpus(facts["corpus"], saved["model"])
    model = models.build(saved["model"])
    if set(new) - set(SITTING):
        options.setdefault("resume", "settings")
    train_view = LiveView(corpus, Recipe(**saved["data"]), _noise(facts.get("noise"), corpus))
    val_view = _val_view(corpus, train_view, facts.get("n_val"))
    train_view.skip = val_view.skip = facts.get("skip", False)
    return training.fit(model, train_view, val_view, settings, folder, device, **options)


def of_run(folder: str | Path) -> dict:
    """The config of a run without its record: sections model, data (a whole recipe), training."""
    saved = read_config(Path(folder) / "config.yaml")
    return {key: value for key, value in saved.items() if key not in RECORD}


def _load(source: str | Path | dict) -> dict:
    if isinstance(source, dict):
        return copy.deepcopy(source)
    try:
        told = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())
        raise ExperimentError(f"{source}: cannot be read as YAML ({what}): see "
                              "assets/trainings/train.yaml for an example") from error
    if not isinstance(told, dict):
        raise ExperimentError(f"{source}: is no training: write sections {', '.join(SECTIONS)}, "
                              "as in assets/trainings/train.yaml")
    return told


def _of_preset(name: str | None) -> dict:
    """The three sections that a preset fills; empty ones without."""
    if name is None:
        return {"preset": None, **{section: {} for section in SECTIONS}}
    if name not in workspace.PRESETS:
        raise ExperimentError(f"unknown preset {name!r}: {nearest(str(name), workspace.PRESETS)}")
    p = asdict(workspace.PRESETS[name])
    keys = ("epochs", "batch", "learning_rate", "warmup", "clip", "max_minutes")
    return {"preset": name, "model": {"name": "conv_tasnet", **p["model"]},
            "data": {"seconds": p["segment_seconds"], "speed": p["speed"], "n_val": p["n_val"],
                     "n_mixtures": p["steps_per_epoch"] * p["batch"]},
            "training": {key: p[key] for key in keys}}


def _checked(whole: dict) -> dict:
    if not whole["model"]:
        raise ConfigError("the experiment has no model: write a section, or name a preset")
    for key in whole["data"]:
        if key not in (*RECIPE, *BESIDE):
            raise ExperimentError(f"unknown key {key!r} in data: "
                                  f"{nearest(str(key), (*RECIPE, *BESIDE))}")
    if not isinstance(whole["data"].get("skip", False), bool):
        raise ExperimentError(f"data.skip={whole['data']['skip']!r} must be true or false")
    Settings.of(whole["training"])
    pool = whole["data"].get("categories")      # stems: as many as there are names
    of_pool = len(pool) if isinstance(pool, list) and "together" in whole["data"] else 2
    sources = {"n_sources": whole["data"].get("n_sources", of_pool)}
    return whole | {"model": models.complete(sources | whole["model"])}


def _name(corpus: str | None) -> str | None:
    """The corpus as the run remembers it: a whole path, or the name of an embedded one."""
    own = corpus or os.environ.get("SEP_CORPUS") or "embedded"
    embedded = own == "embedded" or own in corpora.EMBEDDED and not Path(own).is_dir()
    return own if embedded else str(Path(own).expanduser().resolve())


def _corpus(name: str | None, model: dict) -> corpora.Corpus:
    """The corpus, in the form that the model reads."""
    name, form = _name(name), (model["sample_rate"], model.get("channels", 1))
    if name == "embedded":
        return corpora.embedded("voices", sample_rate=form[0], channels=form[1])
    if name in corpora.EMBEDDED:
        return corpora.embedded(name, sample_rate=form[0], channels=form[1])
    return corpora.open_corpus(name, *form)


def _noise(name: str | None, corpus: corpora.Corpus) -> corpora.Corpus | None:
    form = corpus.sample_rate, corpus.channels
    return corpora.open_corpus(name, *form, alone=True) if name else None


def _val_view(corpus: corpora.Corpus, train_view: LiveView, n_val: int | None):
    """What validates: other voices or sounds in the same conditions, or other songs."""
    if corpus.kind == "stem":
        return course_views.stems_view("val", corpus, train_view.recipe, n_val)
    plain, data = Recipe(name="plain", split="val"), train_view.recipe
    conditions = {key: getattr(data, key) for key in CONDITIONS
                  if getattr(data, key) != getattr(plain, key)}
    return course_views.frozen_view("val", corpus, n_val, train_view.noise, **conditions)
