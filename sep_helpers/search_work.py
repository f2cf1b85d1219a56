"""The work of a search: trials taken, trained, told to Optuna, until none is left.

A search is a folder: `search.yaml`, `journal.log` (Optuna's storage) and a run folder a trial.
Which points are tried is decided by the seed alone, so any number of workers, on one machine or on
several that share the folder, make the same ones. A worker that dies leaves its trial to the next,
which goes on from the trial's checkpoint.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from sep_helpers.logs import LOG
from sep_helpers.search import Search, SearchError, begin, read

JOURNAL = "journal.log"
LIVES = 5        # workers that may die over one trial between two of its epochs
VALUE = "best val SI-SNR (dB)"

Train = Callable[..., pd.DataFrame]     # experiment.train, or a test's


def work(folder: str | Path, search: Search, train: Train) -> bool:
    """Take trials until none is left; False if the time of this sitting was over before.

    `train(settings, folder, changes=..., on_epoch=..., say=...)` is `experiment.train`.
    """
    folder = Path(folder)
    search = begin(folder, search)
    study = open_study(folder, search)
    while True:
        with _claimed(folder, study, search) as trial:
            if trial is None:
                return True
            if not _run(folder, study, search, trial, train):
                return False


def open_study(folder: str | Path, search: Search | None = None) -> optuna.Study:
    """Optuna's study of a search folder. Raises SearchError if there is none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search, path = search or read(folder), Path(folder) / JOURNAL
    pruner = optuna.pruners.NopPruner()
    if search.method == "halving":
        pruner = optuna.pruners.SuccessiveHalvingPruner(search.first, search.factor)
    with _locked(path.with_name("search.lock")):
        _drop_half_a_line(path)
        storage = JournalStorage(JournalFileBackend(str(path), _JournalLock(path)))
        return optuna.create_study(storage=storage, pruner=pruner, study_name="search",
                                   direction="maximize", load_if_exists=True)


def board(folder: str | Path) -> pd.DataFrame:
    """One line a trial, the best first: trial, state, epochs, best validation, the keys' values."""
    rows = []
    for trial in open_study(folder).get_trials(deepcopy=False):
        told = trial.intermediate_values
        rows.append({"trial": trial.number, "state": trial.state.name.lower(), "epochs": len(told),
                     VALUE: max(told.values(), default=float("nan")), **trial.params})
    table = pd.DataFrame(rows, columns=None if rows else ["trial", "state", "epochs", VALUE])
    return table.sort_values([VALUE, "trial"], ascending=[False, True], ignore_index=True)


def curves(folder: str | Path) -> dict[int, pd.Series]:
    """trial -> its validation SI-SNR in dB by epoch, counted from 1."""
    return {trial.number: pd.Series(trial.intermediate_values, dtype=float).sort_index()
            for trial in open_study(folder).get_trials(deepcopy=False)}


def importance(folder: str | Path) -> pd.Series:
    """Share of the trials' variance that each key explains (fANOVA; Hutter et al., 2014).

    Trials are compared after the last epoch that all of them reached, be it the first: a trial
    that was stopped early says something, too. -> key -> share, `.attrs` has epoch and trials.
    Raises SearchError if fewer than six trials have an epoch, or all are alike.
    """
    trials = [trial for trial in open_study(folder).get_trials(deepcopy=False)
              if trial.intermediate_values and trial.state != TrialState.FAIL]
    epoch = min((max(trial.intermediate_values) for trial in trials), default=0)
    values = [trial.intermediate_values[epoch] for trial in trials]
    if len(trials) < 6 or max(values) == min(values):
        raise SearchError(f"{folder}: {len(trials)} trials with an epoch, {len(set(values))} of "
                          "them different: importance needs six or more; raise search.trials")
    study = optuna.create_study(direction="maximize")
    study.add_trials([optuna.create_trial(params=trial.params, distributions=trial.distributions,
                                          value=value)
                      for trial, value in zip(trials, values, strict=True)])
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    shares = pd.Series(optuna.importance.get_param_importances(study, evaluator=evaluator))
    shares.attrs = {"epoch": epoch, "trials": len(trials)}
    return shares


# --- one trial

def _run(folder: Path, study, search: Search, trial: Trial, train: Train) -> bool:
    """Train one trial and tell the study; False if the sitting's time was over before its end."""
    values = {key: trial._suggest(key, _distribution(search.keys[key])) for key in
              sorted(search.keys)}
    told = _frozen(study, trial).intermediate_values
    LOG.info("trial %d of %d: %s", trial.number + 1, search.trials,
             ", ".join(f"{key} = {value}" for key, value in values.items()))

    def on_epoch(trainer) -> None:
        if trainer.epoch not in told:
            trial.report(trainer.history[-1]["val_si_snr"], trainer.epoch)
        if trainer.epoch < trainer.settings.epochs and trial.should_prune():
            raise optuna.TrialPruned         # after the last epoch there is nothing to save

    try:
        history = train(search.settings, folder / name_of(trial.number), changes=values,
                        on_epoch=on_epoch, say=LOG.info)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
        LOG.info("trial %d stops here: others are better", trial.number + 1)
    except ValueError as error:              # this point cannot be trained; others may
        _fail(study, trial, str(error))
    else:
        if not history.attrs.get("finished", True):
            return False
        study.tell(trial, history["val_si_snr"].max())
    return True


def name_of(number: int) -> str:
    """The run folder of a trial."""
    return f"trial_{number:04d}"


def _fail(study, trial: Trial, why: str) -> None:
    trial.set_user_attr("error", why)
    study.tell(trial, state=TrialState.FAIL)
    LOG.warning("trial %d failed: %s", trial.number + 1, why)


def _distribution(values) -> BaseDistribution:
    if isinstance(values, list):
        return CategoricalDistribution(values)
    whole = type(values["low"]) is int and type(values["high"]) is int
    kind = IntDistribution if whole else FloatDistribution
    return kind(values["low"], values["high"], log=bool(values.get("log")))


# --- who works at which trial

@contextmanager
def _claimed(folder: Path, study, search: Search) -> Iterator[Trial | None]:
    """A trial that is this worker's alone: one that a dead worker left, else a new one, or None."""
    with _locked(folder / "search.lock"):
        trial, lock = _left_behind(folder, study) or _next(folder, study, search)
    try:
        yield trial
    finally:
        if lock is not None:
            os.close(lock)


def _left_behind(folder: Path, study) -> tuple[Trial, int] | None:
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        lock = _try_lock(folder, frozen.number)
        if lock is None:
            continue
        trial = Trial(study, frozen._trial_id)
        starts = frozen.user_attrs.get("starts", 1)
        if starts - len(frozen.intermediate_values) > LIVES:
            _fail(study, trial, f"{starts} workers died over it")
            os.close(lock)
            continue
        trial.set_user_attr("starts", starts + 1)
        return trial, lock
    return None


def _next(folder: Path, study, search: Search) -> tuple[Trial | None, int | None]:
    trials = study.get_trials(deepcopy=False)
    if not any(trial.state == TrialState.WAITING for trial in trials):
        if len(trials) >= search.trials:
            return None, None
        study.enqueue_trial(search.point(len(trials)))
    trial = study.ask()
    return trial, _try_lock(folder, trial.number)


def _frozen(study, trial: Trial) -> FrozenTrial:
    return next(t for t in study.get_trials(deepcopy=False) if t.number == trial.number)


def _try_lock(folder: Path, number: int) -> int | None:
    """The lock of a trial, if nobody holds it; the system frees it when its holder dies."""
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    lock = os.open(locks / name_of(number), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except OSError:
        os.close(lock)
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Inside the block no other worker is."""
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield                            # closing the file frees the lock


class _JournalLock:
    """Optuna's own lock outlives a killed worker and stops the others for half a minute."""

    def __init__(self, journal: Path):
        self.path, self.file = journal.with_name("journal.lock"), None

    def acquire(self) -> bool:
        self.file = open(self.path, "a")
        fcntl.flock(self.file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        self.file.close()                # which frees the lock


def _drop_half_a_line(path: Path) -> None:
    """What a worker killed in the middle of writing left at the journal's end."""
    text = path.read_bytes() if path.exists() else b""
    if text and not text.endswith(b"\n"):
        with open(path, "r+b") as file:
            file.truncate(text.rfind(b"\n") + 1)
