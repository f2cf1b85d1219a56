"""Drawing: from a recipe and a corpus to the lines of a view.

A mixture is decided by (seed, epoch, index) and nothing else. Its generator is
`np.random.default_rng((seed, epoch, index))`; options have streams of their own, with one number
more, so that switching one on leaves the rest of the mixture as it was. Only `choice`, `integers`
and `uniform` are used; golden tests hold what they give, whatever the version of numpy.
"""

import numpy as np
import pandas as pd

from sep_helpers import audio, rooms
from sep_helpers.conversion import SILENCE_DB
from sep_helpers.corpora import Corpus
from sep_helpers.pools import Pool, candidates
from sep_helpers.recipes import Recipe, ViewError
from sep_helpers.view_table import COLUMNS, NOISE, Cut

# the last number of each option's stream; (seed, epoch, index, 1) draws the speeds of live views
OVERLAP, NOISY, ROOM, AGAIN, SNR = 2, 3, 4, 5, 6
TRIES = 200         # times that a recipe with floor_db draws again before it gives up
N_ROOMS = 100       # rooms of a recipe: their responses are computed once, and kept


def draw(corpus: Corpus, recipe: Recipe, index: int, epoch: int = 0,
         pool: Pool | None = None, noise: Corpus | None = None) -> list[Cut]:
    """The cuts of one mixture, decided by (recipe.seed, epoch, index) and nothing else.

    `pool` is `candidates(corpus, recipe, noise)`, to be passed when many mixtures are drawn. Noise
    comes last, as cuts with source -1.
    """
    pool = candidates(corpus, recipe, noise) if pool is None else pool
    return [Cut(*line) for line in lines(pool, index, epoch)]


def freeze(corpus: Corpus, recipe: Recipe, noise: Corpus | None = None) -> pd.DataFrame:
    """The whole view as a table with the columns of `Cut`; `room` only where there are rooms."""
    if recipe.speed:
        raise ViewError(f"recipe {recipe.name!r}: speed={recipe.speed} changes samples, so it is "
                        "for live views only: set speed to 0 before freezing")
    if recipe.augment:
        raise ViewError(f"recipe {recipe.name!r}: augment changes samples, so it is for live views "
                        "only: leave it out before freezing")
    pool = candidates(corpus, recipe, noise)
    drawn = [line for index in range(recipe.n_mixtures) for line in lines(pool, index, 0)]
    return pd.DataFrame(drawn, columns=COLUMNS + (["room"] if recipe.rt60 else []))


def lines(pool: Pool, index: int, epoch: int) -> list[tuple]:
    """The lines of one mixture, as tuples in the order of `Cut`."""
    recipe, key = pool.recipe, (pool.recipe.seed, epoch, index)
    rng = np.random.default_rng(key)
    picked = _pick(pool, rng)
    length, sizes, offsets = _place(pool, picked, key)
    cuts, levels = [], []
    for (category, row), size in zip(picked, sizes, strict=True):
        file, samples = pool.rows[category][row]
        if recipe.together:
            start = cuts[0][2] if cuts else _common_start(pool, picked, size, rng)
        else:
            start = int(rng.integers(max(0, samples - size) + 1))
        cuts.append((category, file, start, min(start + size, samples)))
        levels.append(rng.uniform(-recipe.level_db, recipe.level_db))
    if recipe.floor_db is not None:
        cuts = _loud_enough(pool, cuts, sizes[0], key)
    gains, total = _gains(pool, cuts, levels, key)
    name, split = f"{recipe.name}_{index:05d}", recipe.split
    found = [(name, split, length, source, pool.names[category], file, start, stop, offset, gain)
             for source, ((category, file, start, stop), offset, gain)
             in enumerate(zip(cuts, offsets, gains, strict=True))]
    if recipe.rt60:
        found = [line + (room,) for line, room in zip(found, _room(recipe, key), strict=True)]
    if pool.noise:
        found += [(name, split, length, NOISE, *line) for line in _noisy(pool, length, total, key)]
    return found


def cut_db(corpus: Corpus, file: str, start: int, stop: int) -> float:
    """The level of a cut: its RMS over all channels, in dB re full scale."""
    x = corpus.waveform(file)[..., start:stop].double()
    return 10 * float(x.square().mean().clamp_min(10 ** (audio.FLOOR_DB / 10)).log10())


def _pick(pool: Pool, rng: np.random.Generator) -> list[tuple[int, int]]:
    """The sources' recordings: (number of the category, row in it), no recording twice."""
    recipe = pool.recipe
    if recipe.same_category:
        flat = [(category, row) for category, rows in enumerate(pool.rows)
                for row in range(len(rows))]
        picked = [flat[n] for n in rng.choice(len(flat), recipe.n_sources, replace=False)]
        return sorted(picked) if recipe.in_order else picked
    chosen = rng.choice(len(pool.names), recipe.n_sources, replace=False).tolist()
    if recipe.in_order or recipe.together:
        chosen.sort()
    if recipe.together:
        track = pool.tracks[rng.integers(len(pool.tracks))]
        return [(category, track[category]) for category in chosen]
    return [(category, int(rng.integers(len(pool.rows[category])))) for category in chosen]


def _place(pool: Pool, picked: list, key: tuple) -> tuple[int, list[int], list[int]]:
    """(length of the mixture, longest cut of each source, where each begins).

    Source 0 begins first. Neighbours overlap by a share of the shorter of the two; with `seconds`
    all sources get the same time, so much that the last one ends with the mixture.
    """
    recipe, n = pool.recipe, len(picked)
    whole = [pool.rows[category][row][1] for category, row in picked]
    length = min(whole) if recipe.seconds is None else round(recipe.seconds * recipe.sample_rate)
    if recipe.overlap is None:
        return length, [length] * n, [0] * n
    share = np.random.default_rng((*key, OVERLAP)).uniform(*recipe.overlap)
    if recipe.seconds is not None:
        size = int(length / (1 + (n - 1) * (1 - share)))
        return length, [size] * n, [round(k * (length - size) / max(1, n - 1)) for k in range(n)]
    offsets = [0]
    for one, two in zip(whole, whole[1:], strict=False):
        offsets.append(offsets[-1] + one - round(share * min(one, two)))
    return max(o + w for o, w in zip(offsets, whole, strict=True)), whole, offsets


def _common_start(pool: Pool, picked: list, size: int, rng: np.random.Generator) -> int:
    """With `together`: where all sources are cut, so that the shortest has what is asked."""
    shortest = min(pool.rows[category][row][1] for category, row in picked)
    return int(rng.integers(max(0, shortest - size) + 1))


def _loud_enough(pool: Pool, cuts: list, size: int, key: tuple) -> list[tuple]:
    """The cuts; those that are nearly silent are drawn again, from other recordings too, or with
    `together` all of them are."""
    recipe, rng = pool.recipe, np.random.default_rng((*key, AGAIN))
    for _ in range(TRIES):
        low = [k for k, cut in enumerate(cuts) if not _is_loud(pool, cut)]
        if not low:
            return cuts
        if recipe.together:
            picked = _pick(pool, rng)
            start = _common_start(pool, picked, size, rng)
            cuts = [(c, pool.rows[c][row][0], start, min(start + size, pool.rows[c][row][1]))
                    for c, row in picked]
            continue
        for k in low:
            category, file, start, stop = cuts[k]
            others = {cut[1] for cut in cuts} - {file}
            wide = [row for row in pool.rows[category]
                    if row[0] not in others and row[1] >= stop - start]
            file, samples = wide[rng.integers(len(wide))]
            begin = int(rng.integers(samples - (stop - start) + 1))
            cuts[k] = (category, file, begin, begin + stop - start)
    raise ViewError(f"recipe {recipe.name!r}: {TRIES} draws of mixture {key[2]} gave no cut of "
                    f"{pool.names[cuts[low[0]][0]]} within {recipe.floor_db} dB of its recording: "
                    "raise floor_db, or leave silent recordings out")


def _is_loud(pool: Pool, cut: tuple) -> bool:
    _, file, start, stop = cut
    level = pool.corpus.rms_db(file)
    return level > SILENCE_DB and cut_db(pool.corpus, file, start, stop) >= (
        level - pool.recipe.floor_db)


def _gains(pool: Pool, cuts: list, levels: list, key: tuple) -> tuple[list[float], float]:
    """(gain of each source in dB, the level of all together), silence left as it is."""
    recipe, corpus = pool.recipe, pool.corpus
    if recipe.snr_db:
        below = np.random.default_rng((*key, SNR)).uniform(*recipe.snr_db, len(cuts)).tolist()
        levels = [levels[0], *(levels[0] - snr for snr in below[1:])]
    measured = [corpus.rms_db(file) if recipe.level_of == "recording"
                else cut_db(corpus, file, start, stop) for _, file, start, stop in cuts]
    if recipe.rms_db is None:
        gains = [round(level, 2) for level in levels]
    else:       # in this order: another one would round some gains of older views otherwise
        gains = [round(recipe.rms_db + level - now, 2) if now > SILENCE_DB else 0.0
                 for level, now in zip(levels, measured, strict=True)]
    power = sum(10 ** ((gain + now) / 10) for gain, now in zip(gains, measured, strict=True))
    return gains, 10 * float(np.log10(power))


def _room(recipe: Recipe, key: tuple) -> list[str]:
    number = int(np.random.default_rng((*key, ROOM)).integers(N_ROOMS))
    rng = np.random.default_rng((recipe.seed, number, ROOM))
    return rooms.draw(rng, recipe.rt60, recipe.n_sources, recipe.target)


def _noisy(pool: Pool, length: int, total: float, key: tuple) -> list[tuple]:
    """Noise for the whole mixture: (category, file, start, stop, offset, gain_db), back to back."""
    recipe, noise = pool.recipe, pool.noise
    rng = np.random.default_rng((*key, NOISY))
    level = total - rng.uniform(*recipe.noise_snr_db)
    found, offset = [], 0
    while offset < length:
        category = int(rng.integers(len(noise.names)))
        file, samples = noise.rows[category][rng.integers(len(noise.rows[category]))]
        size = min(samples, length - offset)
        start = int(rng.integers(samples - size + 1))
        now = (noise.corpus.rms_db(file) if recipe.level_of == "recording"
               else cut_db(noise.corpus, file, start, start + size))
        gain = round(level - now, 2) if now > SILENCE_DB else 0.0
        line = (noise.names[category], file, start, start + size, offset, gain)
        found.append(line + ("",) if recipe.rt60 else line)
        offset += size
    return found
