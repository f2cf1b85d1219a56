"""The frozen views that every network of the course is measured on.

Each is a CSV and a recipe in `assets/views`. Those of real recordings need the recordings, which
are not part of the course: `corpora.locate` says where they are looked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sep_helpers import corpora, course_views
from sep_helpers.views import FrozenView, Recipe, ViewError, freeze, read_csv, write_csv


@dataclass(frozen=True)
class Standard:
    """A test, and what it is made of."""

    name: str               # of the files in assets/views
    title: str              # in tables
    kind: str               # voices or sounds: which networks take the test
    corpus: str             # as `corpora.locate` knows it
    noise: str | None = None


STANDARDS = {standard.name: standard for standard in (
    Standard("speech_real_test", "real readers, never heard", "voices", "speech_real"),
    Standard("unseen", "synthetic voices, never heard", "voices", "voices"),
    Standard("seen", "synthetic voices, new sentences", "voices", "voices"),
    Standard("speech_real_noisy", "real readers in rooms with noise", "voices",
             "speech_real", "environment_real"),
    Standard("environment_real_test", "real sounds, new recordings", "sounds", "environment_real"),
    Standard("sounds_test", "synthetic sounds, new recordings", "sounds", "sounds"),
)}


def open_view(name: str, real: str | Path | None = None, n_mixtures: int | None = None,
              ) -> FrozenView:
    """The first `n_mixtures` of a standard view. Raises ViewError for another name, CorpusError
    where its recordings are not on this machine."""
    corpus, noise = _corpora(name, real)
    table = read_csv(course_views.FOLDER / f"{name}.csv", corpus, noise)
    chosen = table["mixture_id"].unique()[:n_mixtures]
    return FrozenView(corpus, table[table["mixture_id"].isin(chosen)], noise)


def draw(names: Iterable[str] = tuple(STANDARDS), real: str | Path | None = None) -> None:
    """Draw standard views again from their recipes, into `assets/views`: the same, if nothing has
    changed."""
    for name in names:
        corpus, noise = _corpora(name, real)
        recipe = Recipe.load(course_views.FOLDER / f"{name}.yaml")
        write_csv(freeze(corpus, recipe, noise), course_views.FOLDER / f"{name}.csv")


def _corpora(name: str, real: str | Path | None) -> tuple:
    if name not in STANDARDS:
        raise ViewError(f"no standard view {name!r}: there are {', '.join(STANDARDS)}")
    standard = STANDARDS[name]
    return tuple(corpora.open_corpus(corpora.locate(part, real), alone=True) if part else None
                 for part in (standard.corpus, standard.noise))
