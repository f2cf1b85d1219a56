"""The judges of chapter 6: right answers pass, each wrong one gets its own diagnosis."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from sep_helpers import evaluation, losses, metrics, permutation
from sep_helpers.checks import diagnose
from sep_helpers.listening_scores import guessing


def stub(*_, **__):
    raise NotImplementedError


# --- 06.1

def before(sources, mixture):
    return metrics.si_sdr(mixture.expand_as(sources), sources)


def by_hand(e, s, x):
    return losses.si_snr(e, s) - losses.si_snr(x, s)


def snr_improvement(e, s, x):
    return losses.snr(e, s) - losses.snr(x.expand_as(s), s)


# --- 06.2

def bootstrap(each, seed, level=0.95, resamples=1000):
    draws = np.random.default_rng(seed).integers(len(each), size=(resamples, len(each)))
    return np.quantile(each[draws].mean(1), [(1 - level) / 2, (1 + level) / 2])


def right_interval(values, seed=0):
    return bootstrap(values.mean(1), seed)


def by_the_formula(values, seed=0):
    each = values.mean(1)
    half = 1.96 * each.std(ddof=1) / len(each) ** 0.5
    return each.mean() - half, each.mean() + half


def of_sums(values, seed=0):
    return bootstrap(values.sum(1), seed)


def unseeded(values, seed=0):
    each = values.mean(1)
    draws = np.random.default_rng().integers(len(each), size=(1000, len(each)))
    return np.quantile(each[draws].mean(1), [0.025, 0.975])


# --- 06.3

def by_place(a, b):
    return evaluation.confidence_interval(a.to_numpy() - b.to_numpy())


def unpaired(a, b):
    rng = np.random.default_rng(0)
    draws = [x.to_numpy()[rng.integers(len(x), size=(2000, len(x)))].mean(1) for x in (a, b)]
    low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    return a.mean() - b.mean(), low, high


# --- 06.4

def unit(e):
    return e.double() / e.double().norm(dim=-1, keepdim=True)


def gains_of(e, x):
    return torch.linalg.lstsq(unit(e).T, x.double()[:, None]).solution


def right_restore(e, x):
    return (gains_of(e, x) * unit(e)).float()


def loses_the_soft_one(e, x):
    return torch.from_numpy(np.linalg.lstsq(e.T.numpy(), x.numpy(), rcond=1e-6)[0])[:, None] * e


def alone(e, x):
    return (unit(e) @ x.double())[:, None] * unit(e)


def sums_up(e, x):
    out = right_restore(e, x)
    return out + (x - out.sum(0)) / 2


# --- 06.6

def means(si_sdr, sdr, order, order_of_sdr=None):
    order_of_sdr = order if order_of_sdr is None else order_of_sdr
    return si_sdr.gather(1, order[:, None]).mean(), sdr.gather(1, order_of_sdr[:, None]).mean()


best = permutation.best_permutation


def right_score(si_sdr, sdr):
    return means(si_sdr, sdr, best(si_sdr))


def for_everybody(si_sdr, sdr):
    return means(si_sdr, sdr, best(si_sdr.sum(0, keepdim=True)).expand(len(si_sdr), -1))


def by_loop(si_sdr, sdr):
    columns = range(si_sdr.shape[-1])
    pairs = [(a[o, columns].mean(), b[o, columns].mean())
             for a, b, o in zip(si_sdr, sdr, best(si_sdr), strict=True)]
    return np.mean(pairs, axis=0)


# --- 06.9

def decibels(ratios):
    return {name: 10 * np.log10(values).mean() for name, values in ratios.items()}


def highest(means):
    name = max(means, key=means.get)
    return name, means[name]


@pytest.mark.parametrize("exercise, answer, verdict", [
    ("06.1", metrics.si_sdr_improvement, "pass"),
    ("06.1", by_hand, "pass"),
    ("06.1", stub, "not attempted"),
    ("06.1", lambda e, s, x: metrics.si_sdr(e, s), "already had"),
    ("06.1", lambda e, s, x: -by_hand(e, s, x), "the sign is wrong"),
    ("06.1", lambda e, s, x: metrics.si_sdr(e, s) / before(s, x), "you divided"),
    ("06.1", snr_improvement, "scale changes your result"),
    ("06.1", lambda e, s, x: metrics.si_sdr(e, s) - losses.si_snr(x, e), "against the estimates"),
    ("06.1", lambda e, s, x: by_hand(e, s, x).mean(), "give each source its own figure"),
    ("06.1", lambda e, s, x: torch.zeros(2), "it gives"),
    ("06.2", right_interval, "pass"),
    ("06.2", by_the_formula, "pass"),
    ("06.2", stub, "not attempted"),
    ("06.2", lambda v, seed=0: bootstrap(v.reshape(-1), seed), "you drew sources"),
    ("06.2", lambda v, seed=0: np.quantile(v.mean(1), [0.025, 0.975]), "not how uncertain"),
    ("06.2", lambda v, seed=0: bootstrap(v.mean(1), seed, 0.9), "90 % interval"),
    ("06.2", lambda v, seed=0: bootstrap(v.mean(1), seed, 0.68), "times as wide"),
    ("06.2", lambda v, seed=0: right_interval(v)[::-1], "wrong way round"),
    ("06.2", unseeded, "two calls"),
    ("06.2", of_sums, "is not around it"),
    ("06.2", lambda v, seed=0: v.mean(), "not the two ends"),
    ("06.3", lambda a, b: evaluation.confidence_interval(a - b), "pass"),
    ("06.3", lambda a, b: by_place(a, b[a.index]), "pass"),
    ("06.3", stub, "not attempted"),
    ("06.3", by_place, "pair the mixtures by name"),
    ("06.3", unpaired, "hard for both, and cancels"),
    ("06.3", lambda a, b: evaluation.confidence_interval(b - a), "the sign is wrong"),
    ("06.3", lambda a, b: (a - b).mean(), "not (mean, low, high)"),
    ("06.3", lambda a, b: evaluation.confidence_interval(a), "subtract, then average"),
    ("06.3", lambda a, b: np.roll(evaluation.confidence_interval(a - b), 1), "the mean is"),
    ("06.3", lambda a, b: (np.mean(a - b), 5, 6), "no interval around"),
    ("06.3", lambda a, b: evaluation.confidence_interval(a - b, 0.5), "times as wide"),
    ("06.4", evaluation.match_level, "pass"),
    ("06.4", right_restore, "pass"),
    ("06.4", stub, "not attempted"),
    ("06.4", lambda e, x: gains_of(e, x)[:, 0], "not the gains"),
    ("06.4", lambda e, x: gains_of(e, x).abs() * unit(e), "upside down"),
    ("06.4", loses_the_soft_one, "the soft estimate was lost"),
    ("06.4", lambda e, x: e / e.abs().amax(-1, keepdim=True) * x.abs().max(), "mixture's peak"),
    ("06.4", alone, "each gain was found alone"),
    ("06.4", sums_up, "changed its shape"),
    ("06.4", lambda e, x: e / 0, "NaN or infinity"),
    ("06.4", lambda e, x: unit(e) * x.norm() / 2, "is off by"),
    ("06.6", right_score, "pass"),
    ("06.6", by_loop, "pass"),
    ("06.6", stub, "not attempted"),
    ("06.6", for_everybody, "for all utterances"),
    ("06.6", lambda a, b: (a.amax(1).mean(), b.amax(1).mean()), "its favourite estimate"),
    ("06.6", lambda a, b: means(a, b, a.argmax(1)), "its favourite estimate"),
    ("06.6", lambda a, b: means(a, b, best(a), best(b)), "an order of its own"),
    ("06.6", lambda a, b: means(a, b, best(b)), "chosen by SDR"),
    ("06.6", lambda a, b: means(a, b, torch.arange(3).expand(8, 3)), "no order was chosen"),
    ("06.6", lambda a, b: means(a, b, best(a).argsort(-1)), "wrong way round"),
    ("06.6", lambda a, b: means(a, b, best(-a)), "the worst order"),
    ("06.6", lambda a, b: (1.0, 2.0), "no order explains"),
    ("06.6", lambda a, b: (1.0, 2.0, 3.0), "3 figures"),
    ("06.9", lambda r: highest(decibels(r)), "pass"),
    ("06.9", stub, "not attempted"),
    ("06.9", lambda r: min(decibels(r).items(), key=lambda p: abs(p[1])), "closest to 0 dB"),
    ("06.9", lambda r: min(decibels(r).items(), key=lambda p: p[1]), "the worst system"),
    ("06.9", lambda r: highest({k: 10 * np.log10(v.mean()) for k, v in r.items()}), "lucky"),
    ("06.9", lambda r: ("steady", 20 * np.log10(r["steady"]).mean()), "20 log10"),
    ("06.9", lambda r: ("steady", r["steady"].mean()), "still a ratio"),
    ("06.9", lambda r: ("steady", 10 * np.log10(r["steady"].mean())), "logarithm last"),
    ("06.9", lambda r: ("steady", 3), "you give 3.00"),
    ("06.9", lambda r: ("nobody", 3), "no system 'nobody'"),
    ("06.9", lambda r: r["none"], "stopped with KeyError"),
    ("06.12", guessing, "pass"),
    ("06.12", lambda k, n: binomtest(k, n, alternative="greater").pvalue, "pass"),
    ("06.12", stub, "not attempted"),
    ("06.12", lambda k, n: 100 * guessing(k, n), "in per cent"),
    ("06.12", lambda k, n: guessing(k, n) - guessing(k + 1, n), "exactly 9 of 12"),
    ("06.12", lambda k, n: guessing(k + 1, n), "9 itself counts"),
    ("06.12", lambda k, n: 1 - guessing(k + 1, n), "9 or fewer"),
    ("06.12", lambda k, n: 1 - guessing(k, n), "fewer than 9"),
    ("06.12", lambda k, n: k / n, "the share of right answers"),
    ("06.12", lambda k, n: binomtest(k, n).pvalue, "twice too much"),
    ("06.12", lambda k, n: 0.05, "it gives 0.0500, not 0.0730"),
])
def test_each_answer_gets_its_verdict(exercise, answer, verdict):
    found = diagnose(exercise, answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found, found
    assert "\n" not in found
