"""The judges of chapter 7: right answers pass, each wrong one gets its own diagnosis."""

import numpy as np
import pytest
import torch

from sep_helpers.checks import diagnose


def stub(*_):
    raise NotImplementedError


# --- 07.1

def desk(stems, gains_db):
    targets = 10 ** (gains_db / 20)[:, None, None] * stems
    return targets.sum(0), targets


def aliased(stems, gains_db):
    targets = desk(stems, gains_db)[1]
    mixture = targets[0]
    for target in targets[1:]:
        mixture += target
    return mixture, targets


def in_place(stems, gains_db):
    stems *= 10 ** (gains_db / 20)[:, None, None]
    return stems.sum(0), stems


# --- 07.2

def shapes(block, freqs, vertical, horizontal, taps, code):
    return [(2, block, freqs), (vertical, block, 1), (horizontal, block - taps + 1, 1), (code,)]


# --- 07.4

def augment(stems, rng):
    swap = torch.tensor(rng.uniform(size=len(stems)) < 0.5)
    return torch.where(swap[:, None, None], stems.flip(1), stems)


def swapped_in_place(stems, rng):
    for stem in stems:
        if rng.uniform() < 0.5:
            stem[:] = stem.flip(0)
    return stems


def own_dice(stems, rng):
    return augment(stems, np.random.default_rng())


# --- 07.3

def apart(D, alpha, beta, beta_vocals):
    W = torch.full((4, 4), alpha)
    W[:, 3], W[0, 3] = beta, beta_vocals
    W.fill_diagonal_(-1)
    W[3] = 0
    return -(W * D).sum()


def own(D):
    return D.diagonal()[:3].sum()


def others(D):
    return D[:3, :3].sum() - own(D)


def towards_rest(D, b, v):
    return b * D[1:3, 3].sum() + v * D[0, 3]


# --- 07.5

def median(songs):
    return np.median([np.nanmedian(song) for song in songs])


# --- 07.6

def adds_up(estimates, mixture):
    return estimates + (mixture - estimates.sum(0)) / len(estimates)


def last_takes_all(estimates, mixture):
    out = estimates.clone()
    out[-1] = mixture - estimates[:-1].sum(0)
    return out


RIGHT = {"07.1": desk, "07.2": shapes, "07.3": apart, "07.4": augment, "07.5": median,
         "07.6": adds_up}
WRONG = [
    ("07.1", lambda s, g: desk(s, g)[0], "return two things"),
    ("07.1", in_place, "changed in place"),
    ("07.1", aliased, "some target is not its stem"),
    ("07.1", lambda s, g: (desk(s, g)[0], s.clone()), "the targets were not"),
    ("07.1", lambda s, g: desk(s, 2 * g), "for powers"),
    ("07.1", lambda s, g: desk(s, g)[::-1], "targets are stems again"),
    ("07.1", lambda s, g: ((g[:, None, None] * s).sum(0), g[:, None, None] * s), "no factor"),
    ("07.1", lambda s, g: (desk(s, g)[1].mean(0), desk(s, g)[1]), "that is the mean"),
    ("07.1", lambda s, g: (desk(s, g)[1].sum(1), desk(s, g)[1]), "add up over the stems"),
    ("07.2", lambda b, f, v, h, t, c: shapes(b, f, v, h, t, c)[:3], "four shapes"),
    ("07.2", lambda b, f, v, h, t, c: [(1, b, f), *shapes(b, f, v, h, t, c)[1:]], "two channels"),
    ("07.2", lambda b, f, v, h, t, c: [(2, f, b), *shapes(b, f, v, h, t, c)[1:]],
     "channels x frames"),
    ("07.2", lambda b, f, v, h, t, c: [(2, b, f), (v, b, f), (h, b, f), (c,)], "one place for it"),
    ("07.2", lambda b, f, v, h, t, c: [(2, b, f), (v, 1, f), (h, b - t + 1, 1), (c,)],
     "leaves the frames alone"),
    ("07.2", lambda b, f, v, h, t, c: [(2, b, f), (v, b, 1), (h, b, 1), (c,)], "without padding"),
    ("07.2", lambda b, f, v, h, t, c: [(2, b, f), (v, b, 1), (h, b - t, 1), (c,)],
     "count the places"),
    ("07.2", lambda b, f, v, h, t, c: [*shapes(b, f, v, h, t, c)[:3], (h * (b - t + 1),)],
     "the code is"),
    ("07.4", swapped_in_place, "in place"),
    ("07.4", lambda s, rng: s.flip(2), "turned time round"),
    ("07.4", lambda s, rng: s.flip(1) if rng.uniform() < 0.5 else s.clone(), "swapped together"),
    ("07.4", lambda s, rng: s.flip(1), "swapped together"),
    ("07.4", lambda s, rng: torch.where(torch.tensor(rng.uniform(size=4) < 0.1)[:, None, None],
                                        s.flip(1), s), "half of the time"),
    ("07.4", lambda s, rng: 0.5 * s, "neither itself"),
    ("07.4", own_dice, "draw from `rng`"),
    ("07.4", lambda s, rng: s[0], "return stems again"),
    ("07.3", lambda D, a, b, v: own(D), "nothing keeps"),
    ("07.3", lambda D, a, b, v: own(D) + a * others(D) + towards_rest(D, b, v), "you ADD"),
    ("07.3", lambda D, a, b, v: apart(D, a, b, v) + D[3, 3], "`other`, the last stem"),
    ("07.3", lambda D, a, b, v: apart(D, a, b, b), "beta_vocals"),
    ("07.3", lambda D, a, b, v: own(D) - a * (D[:3].sum() - own(D)), "not alpha"),
    ("07.3", lambda D, a, b, v: apart(D, a, b, v) - a * D[3, :3].sum(), "last ROW"),
    ("07.3", lambda D, a, b, v: apart(D, a, b, v) - a * own(D), "own distances"),
    ("07.3", lambda D, a, b, v: apart(D, b, a, v), "for the example"),
    ("07.3", lambda D, a, b, v: D, "one number"),
    ("07.5", lambda songs: np.median([np.median(song) for song in songs]), "np.nanmedian"),
    ("07.5", lambda songs: np.nanmedian(np.concatenate(songs)), "one figure a song first"),
    ("07.5", lambda songs: np.nanmean(np.concatenate(songs)), "a mean over all seconds"),
    ("07.5", lambda songs: np.mean([np.nanmedian(song) for song in songs]), "over the songs, too"),
    ("07.5", lambda songs: np.median([np.nanmean(song) for song in songs]), "a single second"),
    ("07.5", lambda songs: 1.0, "for three songs"),
    ("07.6", lambda e, m: e.clone(), "nothing changed"),
    ("07.6", lambda e, m: e + (m - e.sum(0)), "they share it"),
    ("07.6", lambda e, m: e - (m - e.sum(0)) / 4, "the sign"),
    ("07.6", lambda e, m: e + (m - e.sum(0)) / 2, "still do not add up"),
    ("07.6", last_takes_all, "one stem took all"),
    ("07.6", lambda e, m: e * (m / e.sum(0)), "you scaled"),
    ("07.6", lambda e, m: e.add_((m - e.sum(0)) / 4), "in place"),
    ("07.6", lambda e, m: e.sum(0), "return stems again"),
]


@pytest.mark.parametrize("exercise", RIGHT)
def test_a_right_answer_passes_and_a_stub_is_not_attempted(exercise):
    assert diagnose(exercise, RIGHT[exercise]) == "pass"
    assert diagnose(exercise, stub) == "not attempted"


@pytest.mark.parametrize("exercise, answer, diagnosis", WRONG,
                         ids=[f"{number}: {words}" for number, _, words in WRONG])
def test_a_wrong_answer_is_told_what_is_wrong(exercise, answer, diagnosis):
    assert diagnosis in diagnose(exercise, answer)


def test_every_wrong_answer_of_an_exercise_has_another_diagnosis():
    for exercise in RIGHT:
        said = [diagnose(exercise, answer) for number, answer, _ in WRONG if number == exercise]
        assert "pass" not in said and len(set(said)) >= len(said) - 1
