"""The course's own views, of the embedded voices or of the learner's corpus.

`assets/views` holds a recipe for each: `train` is live; `val`, `seen` (new sentences of voices
that train) and `unseen` (voices that don't) are frozen, their CSVs beside the recipes. On another
corpus the same recipes are drawn again, without the conditions that it has no columns for.
"""

from dataclasses import replace
from pathlib import Path

from sep_helpers.corpora import Corpus
from sep_helpers.views import (
    FrozenView,
    LiveView,
    Recipe,
    ViewError,
    freeze,
    read_csv,
    write_csv,
)

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "views"
EMBEDDED = FOLDER.parent / "voices"
N_EXCERPTS, STEMS_SEED = 100, 33        # of a frozen view of stems


def recipe(name: str, corpus: Corpus, **changes) -> Recipe:
    """A recipe of `assets/views`, for this corpus, with changes such as n_mixtures=20."""
    asked = Recipe.load(FOLDER / f"{name}.yaml")
    where = {column: value for column, value in asked.where.items() if column in corpus.table}
    return replace(asked, where=where, sample_rate=corpus.sample_rate, **changes)


def train_view(corpus: Corpus, noise: Corpus | None = None, **changes) -> LiveView:
    """Mixtures of the training voices, or of stems from one song, drawn afresh each epoch."""
    name = "music/stems" if corpus.kind == "stem" else "train"
    if isinstance(pool := changes.get("categories"), list) and corpus.kind == "stem":
        changes.setdefault("n_sources", len(pool))
    return LiveView(corpus, recipe(name, corpus, **changes), noise)


def stems_view(split: str, corpus: Corpus, like: Recipe, n_mixtures: int | None = None
               ) -> FrozenView:
    """Excerpts of the songs of another split, by the training view's recipe, but all stems of one
    song at one place and at fixed levels, and nothing augmented."""
    asked = replace(like, name=split, split=split, together="track", overlap=None, speed=0.0,
                    augment=None, level_db=0.0, n_mixtures=n_mixtures or N_EXCERPTS,
                    seed=STEMS_SEED)
    return FrozenView(corpus, freeze(corpus, asked))


def frozen_view(name: str, corpus: Corpus, n_mixtures: int | None = None,
                noise: Corpus | None = None, **changes) -> FrozenView:
    """The first `n_mixtures` of val, seen or unseen; with `changes` to its recipe, drawn anew.

    With another number of sources its mixtures are called so, `seen3_00000` for instance.
    Raises ViewError if the corpus has no such view.
    """
    if changes.get("n_sources") == 2:
        del changes["n_sources"]                         # that is what it has
    if corpus.folder == EMBEDDED and not changes:
        table = read_csv(FOLDER / f"{name}.csv", corpus)
    else:
        asked = recipe(name, corpus, **changes)
        if "n_sources" in changes:
            asked = replace(asked, name=f"{name}{asked.n_sources}")
        table = freeze(corpus, _that_it_can_serve(asked, corpus), noise)
    chosen = table["mixture_id"].unique()[:n_mixtures]
    return FrozenView(corpus, table[table["mixture_id"].isin(chosen)], noise)


def _that_it_can_serve(asked: Recipe, corpus: Corpus) -> Recipe:
    """The recipe; a small corpus without voices of its own for validation takes training voices,
    and one without so many voices at all may take two recordings of one."""
    if asked.split != "val":
        return asked
    what = "voices" if corpus.kind == "speaker" else "kinds of sound"
    there = {heard: corpus.select(split="val", heard=heard, **asked.where)["category"].nunique()
             for heard in (False, None)}
    if there[False] >= asked.n_sources:
        return asked
    if there[None] >= asked.n_sources or asked.n_sources == 2:
        print(f"few {what}: validation takes kept-out recordings of {what} that train")
        return replace(asked, heard=None)
    print(f"few {what}: one may meet itself in the validation of {asked.n_sources} sources")
    return replace(asked, heard=None, same_category=True)


def test_views(corpus: Corpus, n_mixtures: int | None = None, n_sources: int = 2
               ) -> dict[str, FrozenView]:
    """`seen` and `unseen`, or the one of them that this corpus can serve; says what it leaves out.
    """
    views = {}
    for name in ("seen", "unseen"):
        try:
            views[name] = frozen_view(name, corpus, n_mixtures, n_sources=n_sources)
        except ViewError as error:
            print(f"no {name!r} view: {error}")
    if not views:
        raise ViewError(f"{corpus.folder} has no {n_sources} voices for testing: add recordings")
    return views


def write_frozen(corpus: Corpus) -> None:
    """Draw the embedded corpus' frozen views again, into `assets/views`."""
    for name in ("val", "seen", "unseen"):
        write_csv(freeze(corpus, recipe(name, corpus)), FOLDER / f"{name}.csv")
