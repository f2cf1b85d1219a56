"""Chapter 01's judges: the right answer passes, each typical wrong one gets its own diagnosis."""

import numpy as np
import pytest
import torch

from sep_helpers import audio
from sep_helpers.checks import diagnose


def stub(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("number", range(1, 8))
def test_a_stub_is_not_attempted(number):
    assert diagnose(f"01.{number}", stub) == "not attempted"


# --- 01.1


def scaled(x, db, change):
    return x * 10 ** (change / 20)


def level_of_ten(x):
    return 10 * x.square().mean().sqrt().log10()


def peak(x):
    return 20 * x.abs().max().log10()


def in_place(x, db):
    x *= audio.gain(db - audio.rms_db(x).item())
    return x


LEVELS = {
    "pass": lambda x, db: x * 10 ** ((db - audio.rms_db(x)) / 20),
    "the peak stands at -25 dB": lambda x, db: x * 10 ** ((db - peak(x)) / 20),
    "you changed the level BY -25 dB": lambda x, db: x * 10 ** (db / 20),
    "you went the wrong way": lambda x, db: x * 10 ** ((audio.rms_db(x) - db) / 20),
    "twice as far as asked": lambda x, db: x * 10 ** ((db - audio.rms_db(x)) / 10),
    "your level is half": lambda x, db: x * 10 ** ((db - level_of_ten(x)) / 20),
    "you changed the recording itself": in_place,
    "return a waveform like x": lambda x, db: audio.gain(db - audio.rms_db(x).item()),
    "the RMS came out at": lambda x, db: x * 0.3,
}


# --- 01.2


def cut(x, start, seconds, rate):
    begin = round(start * rate)
    length = round(seconds * rate)
    return audio.fit(x[begin:begin + length], length)


def cut_by_int(x, start, seconds, rate):
    return audio.fit(x[int(start * rate):int(start * rate) + int(seconds * rate)],
                     int(seconds * rate))


def cut_by_stop(x, start, seconds, rate):
    begin, stop = round(start * rate), round((start + seconds) * rate)
    return audio.fit(x[begin:stop], stop - begin)


def cut_padding_before(x, start, seconds, rate):
    got = x[round(start * rate):][:round(seconds * rate)]
    return torch.cat([torch.zeros(round(seconds * rate) - len(got)), got])


def cut_repeating(x, start, seconds, rate):
    got = x[round(start * rate):][:round(seconds * rate)]
    return torch.cat([got, got])[:round(seconds * rate)]


CUTS = {
    "pass": cut,
    "one sample too many": lambda x, t, s, r: x[round(t * r):round((t + s) * r) + 1],
    "the second number is how long": lambda x, t, s, r: x[round(t * r):round(s * r)],
    "begins at sample 4001 of the recording": lambda x, t, s, r: cut(x, t + 1 / r, s, r),
    "2.01 s came out as 16079 samples": cut_by_int,
    "the length changes with the start": cut_by_stop,
    "came out too short: pad": lambda x, t, s, r: x[round(t * r):][:round(s * r)],
    "you padded before": cut_padding_before,
    "should be its samples, then zeros": cut_repeating,
    "came out as 1 samples": lambda x, t, s, r: x[int(t):int(t + s)],
    "your code stopped with TypeError": lambda x, t, s, r: x[t:t + s],
    "return a waveform": lambda x, t, s, r: [t, s],
}


# --- 01.3


def spans(starts, length):
    return [(start, start + length) for start in starts]


def segments(samples, length):
    starts = list(range(0, samples - length + 1, length))
    if not starts:
        return [(0, samples)]
    if starts[-1] + length < samples:
        starts.append(samples - length)
    return spans(starts, length)


def back_always(samples, length):
    return spans([*range(0, samples - length + 1, length), samples - length], length)


def short_tail(samples, length):
    return [(start, min(samples, start + length)) for start in range(0, samples, length)]


def off_by_one(samples, length):
    return spans([*range(0, samples - length + 1, length + 1), max(0, samples - length)], length)


def spread(samples, length):
    count = -(-samples // length)
    return spans(np.linspace(0, samples - length, count).round().astype(int), length)


SEGMENTS = {
    "pass": segments,
    "the tail is lost: the samples from 32 on":
        lambda n, length: spans(range(0, n - length + 1, length), length),
    "a segment runs past the end": lambda n, length: spans(range(0, n, length), length),
    "a segment comes twice": back_always,
    "a segment is not 16 long": short_tail,
    "sample 16 is never used": off_by_one,
    "segments overlap that need not": spread,
    "a segment begins before":
        lambda n, length: spans(range(n - length, -length, -length), length),
    "shorter than a segment is lost":
        lambda n, length: segments(n, length) if n >= length else [],
    "it is one segment, (0, 10)":
        lambda n, length: segments(n, length) if n >= length else [(0, length)],
    "return a list of pairs": lambda n, length: [start for start, _ in segments(n, length)],
}


# --- 01.4


def levelled(sources, levels):
    return sources * 10 ** ((torch.tensor(levels) - audio.rms_db(sources)) / 20)[:, None]


def mix(sources, levels, of=lambda sources: sources.sum(0)):
    sources = levelled(sources, levels)
    return of(sources), sources


MIXES = {
    "pass": mix,
    "return two things": lambda s, levels: mix(s, levels)[0],
    "the sources as they came": lambda s, levels: (mix(s, levels)[0], s),
    "each has a level of its own": lambda s, levels: mix(s, levels[:1] * 2),
    "not at -4 and -9": lambda s, levels: mix(s, levels[::-1]),
    "the mean of the sum": lambda s, levels: mix(s, levels, lambda s: s.mean(0)),
    "times the sum": lambda s, levels: mix(s, levels, lambda s: s.sum(0) / s.sum(0).abs().max()),
    "cut off what is beyond": lambda s, levels: mix(s, levels, lambda s: s.sum(0).clamp(-1, 1)),
    "is not the sum": lambda s, levels: mix(s, levels, lambda s: s[0] - s[1]),
    "the mixture is (time,)": lambda s, levels: mix(s, levels, lambda s: s.sum(0, keepdim=True)),
}


# --- 01.5


def shared_generator(seed, epoch, index):
    np.random.seed((seed, epoch, index))
    return np.random.rand()


GENERATOR = np.random.default_rng(0)
RANDOMS = {
    "pass": lambda s, e, i: np.random.default_rng((s, e, i)).random(),
    "the generator that everybody shares": shared_generator,
    "you used or seeded": lambda s, e, i: torch.rand(1).item(),
    "answers with another number": lambda s, e, i: GENERATOR.random(),
    "the seed makes no difference": lambda s, e, i: np.random.default_rng((e, i)).random(),
    "the epoch makes no difference": lambda s, e, i: np.random.default_rng((s, i)).random(),
    "the index makes no difference": lambda s, e, i: np.random.default_rng((s, e)).random(),
    "do not add them up": lambda s, e, i: np.random.default_rng(s + e + i).random(),
    "give the same number": lambda s, e, i: np.random.default_rng((s, 1000 * e + i)).random(),
    "not spread evenly": lambda s, e, i: np.random.default_rng((s, e, i)).normal(),
}


# --- 01.6


def inside(lengths, time):
    return torch.arange(time) < lengths[:, None]


def mse(estimates, targets, lengths):
    errors = (estimates - targets).square() * inside(lengths, targets.shape[-1])
    return errors.sum(-1) / lengths


LOSSES = {
    "pass": mse,
    "the padding counts": lambda e, t, n: (e - t).square().mean(-1),
    "divide by the lengths, not by the batch's length":
        lambda e, t, n: mse(e, t, n) * n / t.shape[-1],
    "all are cut to the shortest": lambda e, t, n: (e - t)[:, :n.min()].square().mean(-1),
    "that is the sum of the squares": lambda e, t, n: mse(e, t, n) * n,
    "all three are the same": lambda e, t, n: mse(e, t, n).mean().expand(3),
    "return one number a mixture": lambda e, t, n: mse(e, t, n).mean(),
    "the first, which has no padding": lambda e, t, n: mse(e, t, n) / 2,
    "those with padding are wrong": lambda e, t, n: mse(e, t, n) * (1 + (n < 400)),
}


# --- 01.7


def repeated(test, *columns):
    return set(test[test.duplicated(list(columns), keep=False)].mixture_id)


def unfit(test, training, key="category", within="category"):
    leaked = test[test[key].isin(training[key])].mixture_id
    return {*leaked, *repeated(test, "mixture_id", within)}


AUDITS = {
    "pass": unfit,
    "'one recording' got through": lambda t, r: set(t[t.category.isin(r.category)].mixture_id),
    "'leaked file' got through": lambda t, r: repeated(t, "mixture_id", "file"),
    "'leaked voice' got through": lambda t, r: unfit(t, r, key="file"),
    "'one voice' got through": lambda t, r: unfit(t, r, within="file"),
    "you refused sound mixtures": lambda t, r: unfit(t, r) | repeated(t, "category"),
    "you refused 'fine'": lambda t, r: unfit(t, r) | {"fine"},
    "return the mixture_ids, not the lines": lambda t, r: t[t.mixture_id.isin(unfit(t, r))],
    "return mixture_ids such as": lambda t, r: range(3),
}

CASES = [(f"01.{number}", said, answer)
         for number, answers in enumerate((LEVELS, CUTS, SEGMENTS, MIXES, RANDOMS, LOSSES,
                                             AUDITS), start=1)
         for said, answer in answers.items()]


@pytest.mark.parametrize("exercise, said, answer", CASES, ids=[f"{e} {s}" for e, s, _ in CASES])
def test_verdict(exercise, said, answer):
    verdict = diagnose(exercise, answer)
    assert said in verdict and "\n" not in verdict
    assert (verdict == "pass") == (said == "pass")


def mix_in_turn(sources, levels):
    turned = [x * audio.gain(db - audio.rms_db(x).item())
              for x, db in zip(sources, levels, strict=True)]
    return sum(turned), torch.stack(turned)


def padded_first(x, start, seconds, rate):
    length = round(seconds * rate)
    return torch.nn.functional.pad(x, (0, length))[round(start * rate):][:length]


@pytest.mark.parametrize("exercise, answer", [
    ("01.1", lambda x, db: x.double() * audio.gain(db - audio.rms_db(x).item())),
    ("01.2", padded_first),
    ("01.3", lambda n, length: np.array(segments(n, length))),
    ("01.4", mix_in_turn),
    ("01.5", lambda s, e, i: torch.tensor(np.random.default_rng([i, s, e]).random())),
    ("01.6", lambda e, t, n: torch.stack([(a - b)[:m].square().mean()
                                          for a, b, m in zip(e, t, n, strict=True)])),
    ("01.7", lambda t, r: sorted(unfit(t, r))),
])
def test_other_right_answers_pass(exercise, answer):
    assert diagnose(exercise, answer) == "pass"
