"""Pools: which recordings of a corpus a recipe draws from, looked up once."""

from dataclasses import dataclass, replace

import pandas as pd

from sep_helpers.corpora import Corpus
from sep_helpers.recipes import Recipe, ViewError
from sep_helpers.view_table import refuse_noise


@dataclass
class Pool:
    """What a recipe draws from: plain lists, since looking into a table takes far longer."""

    corpus: Corpus
    recipe: Recipe
    names: list[str]                        # the categories
    rows: list[list[tuple[str, int]]]       # of each category: its recordings (file, samples)
    tracks: list[list[int]]                 # with `together`: the row of each category, by track
    noise: "Pool | None" = None


def candidates(corpus: Corpus, recipe: Recipe, noise: Corpus | None = None) -> Pool:
    """The recordings that the recipe may use.

    Raises ViewError if they are too few, at another rate than the recipe's, or stereo in a room.
    """
    _refuse_form(corpus, recipe)
    corpus = split_by_files(corpus, recipe.files)
    table = corpus.select(split=recipe.split, heard=recipe.heard, **recipe.where)
    by_category = {str(name): rows for name, rows in table.groupby("category")}
    names = _names(recipe, corpus, sorted(by_category))
    enough = len(table) if recipe.same_category else len(names)
    if enough < recipe.n_sources:
        what = "recordings" if recipe.same_category else {
            "speaker": "speakers", "stem": "stems"}.get(corpus.kind, "categories")
        raise ViewError(
            f"recipe {recipe.name!r}: {recipe.n_sources} sources need as many {what}, but "
            f"{corpus.folder} has {enough} for split={recipe.split!r}, heard={recipe.heard}, "
            f"{recipe.where}: record more {'voices' if what == 'speakers' else 'sounds'} or relax "
            "the recipe")
    lists = [by_category[name] for name in names]
    rows = [list(zip(r["file"].tolist(), r["samples"].tolist(), strict=True)) for r in lists]
    return Pool(corpus, recipe, names, rows, _tracks(recipe, lists), _noise(corpus, recipe, noise))


def split_by_files(corpus: Corpus, files: dict | None) -> Corpus:
    """The corpus, its split decided by a recipe's `files`: a range of files of each category."""
    if files is None:
        return corpus
    rank = corpus.table.groupby("category").cumcount()
    split = pd.Series("", corpus.table.index)
    for name, (first, stop) in files.items():
        split[(rank >= first) & (rank < stop)] = name
    return corpus.with_split(split)


def _names(recipe: Recipe, corpus: Corpus, there: list[str]) -> list[str]:
    """The categories of the pool. A number takes the first by name of the whole corpus, so that
    the pool is the same for training, validation and test."""
    pool = recipe.categories
    if pool is None:
        return there
    if isinstance(pool, int):
        everywhere = sorted(set(corpus.select(**recipe.where)["category"]))
        if pool > len(everywhere):
            raise ViewError(f"recipe {recipe.name!r}: categories={pool}, but {corpus.folder} has "
                            f"{len(everywhere)}: lower it")
        pool = everywhere[:pool]
    if lost := [name for name in pool if name not in there]:
        raise ViewError(f"recipe {recipe.name!r}: no {lost[0]!r} for split={recipe.split!r}: there "
                        f"are {', '.join(there) or 'no recordings'}")
    return pool


def _tracks(recipe: Recipe, lists: list[pd.DataFrame]) -> list[list[int]]:
    """For every track that has all categories: the row of each category."""
    if not recipe.together:
        return []
    if lost := [rows for rows in lists if recipe.together not in rows]:
        raise ViewError(f"recipe {recipe.name!r}: together={recipe.together!r} is no column: there "
                        f"are {', '.join(lost[0].columns)}")
    places = [{track: row for row, track in enumerate(rows[recipe.together])} for rows in lists]
    full = [track for track in places[0] if all(track in place for place in places)]
    if not full:
        raise ViewError(f"recipe {recipe.name!r}: no {recipe.together} has all of the "
                        f"{len(lists)} categories: choose fewer in `categories`")
    return [[place[track] for place in places] for track in full]


def _noise(corpus: Corpus, recipe: Recipe, noise: Corpus | None) -> Pool | None:
    """What the noise is drawn from; of the sources' own corpus only what `noise_where` names."""
    if recipe.noise_snr_db is None:
        return None
    if noise is None and not recipe.noise_where:
        raise ViewError(f"recipe {recipe.name!r} asks for noise: give noise= a corpus of sounds, "
                        "or say with noise_where which recordings of this one are noise")
    refuse_noise(corpus, noise)
    asked = replace(recipe, name=f"noise of {recipe.name}"[:60], heard=None, n_sources=1,
                    where=recipe.noise_where, categories=None, together=None, noise_snr_db=None,
                    files=None, rt60=None)
    return candidates(noise or corpus, asked)


def _refuse_form(corpus: Corpus, recipe: Recipe) -> None:
    if recipe.sample_rate != corpus.sample_rate:
        raise ViewError(f"recipe {recipe.name!r} is for {recipe.sample_rate} Hz, {corpus.folder} "
                        f"is open at {corpus.sample_rate}: give both the same sample_rate")
    if recipe.rt60 and corpus.channels > 1:
        raise ViewError(f"recipe {recipe.name!r} asks for rooms, which are mono, but "
                        f"{corpus.folder} is open in stereo: open it with channels=1, or leave "
                        "rt60 out")
