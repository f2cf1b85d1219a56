"""Judges of chapter 6: improvement, intervals, pairs, levels, permutations, means, chance."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sep_helpers.evaluation import confidence_interval, match_level
from sep_helpers.losses import snr
from sep_helpers.metrics import si_sdr
from sep_helpers.permutation import all_permutations, best_permutation


def _leaky(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates at a wrong level, sources (source, time), mixture (time,)."""
    g = torch.Generator().manual_seed(seed)
    sources = torch.tensor([[1.0], [0.5]]) * torch.randn(2, 4000, generator=g)
    noise = 0.1 * torch.randn(sources.shape, generator=g)
    return 0.3 * (sources + 0.3 * sources.flip(0) + noise), sources, sources.sum(0)


def judge_improvement(improvement) -> str | None:
    """06.1: improvement(estimates, sources, mixture) -> SI-SDRi of each source, in dB."""
    estimates, sources, mixture = _leaky()
    each = mixture.expand_as(sources)
    after, before = si_sdr(estimates, sources), si_sdr(each, sources)
    answer = torch.as_tensor(improvement(estimates, sources, mixture)).double()
    if answer.shape != after.shape:
        return (f"it returns {tuple(answer.shape)} for 2 sources: give each source its own figure, "
                "the mean comes later")

    def is_close(figure):
        return torch.allclose(answer, figure.double(), atol=1e-2)

    if is_close(after - before):
        return None
    if is_close(after):
        return ("this is the SI-SDR of the estimates: subtract what the mixture already had, "
                "before anybody separated anything")
    if is_close(before - after):
        return "the sign is wrong: the improvement is after minus before, and higher is better"
    if is_close(after / before):
        return "you divided: decibels are logarithms already, so a gain is a difference"
    if is_close(snr(estimates, sources) - snr(each, sources)):
        return ("scale changes your result: this is the SNR, and SI-SDR projects onto the source "
                "first")
    if is_close(after - si_sdr(each, estimates)):
        return "the mixture was held against the estimates: both are measured against the SOURCES"
    found, right = answer.numpy().round(2), (after - before).numpy().round(2)
    return f"for two sources it gives {found}, not {right}"


def judge_interval(interval) -> str | None:
    """06.2: interval(values (utterance, source), seed) -> 95 % interval of the mean."""
    rng = np.random.default_rng(6)
    values = 8 + 3 * rng.standard_normal((60, 1)) + 0.3 * rng.standard_normal((60, 2))
    answer = np.asarray(interval(values.copy()), float)
    if answer.shape != (2,):
        return f"it returns {answer.shape}, not the two ends of an interval: (low, high)"
    low, high = answer
    if not np.array_equal(answer, np.asarray(interval(values.copy()), float)):
        return ("two calls on the same values give two intervals: make the generator inside the "
                "function, from the seed")
    if low > high:
        return "the ends are the wrong way round: low first, then high"
    each = values.mean(1)
    error = each.std() / np.sqrt(len(each))
    width = (high - low) / (2 * 1.96 * error)                  # 1: the right one
    naive = values.std() / np.sqrt(values.size) / error        # what drawing sources gives, 0.7
    if not low < values.mean() < high:
        return (f"the mean is {values.mean():.2f} and your interval {low:.2f} to {high:.2f} is not "
                "around it: draw as many utterances as there are, and take the MEAN of each draw")
    if abs(width - 1) < 0.1:
        return None
    if abs(width - naive) < 0.06:
        return ("too narrow: you drew sources as if they were independent, but the two of one "
                "mixture stand and fall together; average over them first, then draw utterances")
    if width > 3:
        return ("that is how much utterances differ, not how uncertain their mean is: take the "
                "mean of every draw, then the quantiles of those means")
    if abs(width - 1.645 / 1.96) < 0.06:
        return "this is the 90 % interval: for 95 %, 2.5 % lie below it and 2.5 % above"
    return (f"it is {width:.2f} times as wide as it should be: 1000 draws or more, and of their "
            "means the quantiles at 2.5 and 97.5 %")


def judge_paired(paired) -> str | None:
    """06.3: paired(a, b), Series by mixture -> mean, low, high of a - b, mixture by mixture."""
    rng = np.random.default_rng(3)
    names = [f"m_{n:03}" for n in range(50)]
    hard = 5 * rng.standard_normal(50)
    b = pd.Series(8 + hard + 0.5 * rng.standard_normal(50), names)
    a = pd.Series(9 + hard + 0.5 * rng.standard_normal(50), names)
    order = np.argsort(hard)
    a, b = a.iloc[order], b.iloc[order[::-1]]                  # hardest first, and hardest last
    answer = np.asarray(paired(a.copy(), b.copy()), float)
    if answer.shape != (3,):
        return f"it returns {answer.shape}, not (mean, low, high)"
    mean, low, high = answer
    right = confidence_interval((a - b).to_numpy())
    if abs(mean - right[0]) > 1e-6:
        return ("the sign is wrong: by how much is a ahead of b" if abs(mean + right[0]) < 1e-6 else
                f"the mean is {mean:.2f} and should be {right[0]:.2f}: subtract, then average")
    if not low < mean < high:
        return f"{low:.2f} to {high:.2f} is no interval around {mean:.2f}: (mean, low, high)"
    width = (high - low) / (right[2] - right[1])
    by_place = confidence_interval(a.to_numpy() - b.to_numpy())
    if abs(width - 1) < 0.25:
        return None
    if abs(width - (by_place[2] - by_place[1]) / (right[2] - right[1])) < 0.25 * width:
        return (f"the mean is right, the interval {width:.0f} times as wide as it should be: the "
                "two lists are in different orders, pair the mixtures by name and not by place")
    if width > 3:
        return (f"the mean is right, the interval {width:.0f} times as wide as it should be: draw "
                "over the differences; what makes a mixture hard is hard for both, and cancels")
    return f"the interval is {width:.2f} times as wide as it should be"


def judge_restore(restore) -> str | None:
    """06.4: restore(estimates (source, time), mixture (time,)) -> estimates with their gains."""
    clean, _, mixture = _leaky(1)
    estimates = torch.tensor([[1e4], [-1e-4]]) * clean         # one of them soft and upside down
    right = match_level(estimates, mixture)
    answer = torch.as_tensor(restore(estimates.clone(), mixture.clone()))
    if answer.shape != estimates.shape:
        return (f"it returns {tuple(answer.shape)} for estimates {tuple(estimates.shape)}: not the "
                "gains, but the estimates times their gains")
    answer = answer.double()
    norm = right.double().norm(dim=-1)
    error = (answer - right).norm(dim=-1) / norm
    if (error < 1e-3).all():
        return None
    if not answer.isfinite().all():
        return "there is NaN or infinity in it: bring the estimates to unit norm, in double()"
    if ((answer + right).norm(dim=-1) / norm).min() < 1e-3:
        return "an estimate is still upside down: a gain may be negative, do not take its size"
    if (answer.norm(dim=-1) / norm).min() < 0.01:
        return ("the soft estimate was lost: beside the loud one the solver took it for zero; "
                "bring both to unit norm, in double(), before it looks")
    if (torch.cosine_similarity(answer, estimates.double(), dim=-1).abs() < 0.9999).any():
        return "an estimate changed its shape: one gain each is all that it may get"
    if torch.allclose(answer.abs().amax(-1), mixture.abs().max().double(), rtol=1e-3):
        return ("every estimate was brought to the mixture's peak: then their sum is not the "
                "mixture; find the gains together")
    alone = (estimates * mixture).sum(-1, keepdim=True) / estimates.square().sum(-1, keepdim=True)
    if torch.allclose(answer, (alone * estimates).double(), rtol=1e-2, atol=1e-3):
        return ("each gain was found alone, as if the other estimate were not there: what both "
                "contain is then counted twice; solve for all gains at once")
    return f"an estimate is off by {error.max():.0%}: the sum could be closer to the mixture"


def judge_score(score) -> str | None:
    """06.6: score(si_sdr, sdr), both (utterance, estimate, source) -> mean SI-SDR, mean SDR."""
    g = torch.Generator().manual_seed(4)
    first, second = (10 * torch.randn(8, 3, 3, generator=g) for _ in range(2))
    answer = tuple(float(figure) for figure in score(first.clone(), second.clone()))
    if len(answer) != 2:
        return f"it returns {len(answer)} figures, not two: the mean SI-SDR and the mean SDR"
    source, orders = torch.arange(3), all_permutations(3)
    sums = first[:, orders, source].sum(-1)                    # (utterance, order)
    own, other = best_permutation(first), best_permutation(second)
    everybody = orders[sums.sum(0).argmax()].expand_as(own)

    def is_close(order, order_of_second=None):
        pairs = (first, order), (second, order if order_of_second is None else order_of_second)
        means = [scores.gather(1, o[:, None]).mean().item() for scores, o in pairs]
        return np.allclose(answer, means, atol=1e-3)

    faults = {
        "one order was chosen for all utterances: each has its own, so choose before you average":
            is_close(everybody),
        "every source took its favourite estimate, and some were taken twice: an order uses each "
        "estimate once": is_close(first.argmax(1)) or is_close(first.argmax(1), second.argmax(1)),
        "SDR got an order of its own: the two figures then speak of two different separations":
            is_close(own, other),
        "the order was chosen by SDR: choose it by SI-SDR": is_close(other),
        "no order was chosen: this is the one the estimates came in":
            is_close(source.expand_as(own)),
        "the order was applied the wrong way round: it names the estimate for each source, and "
        "estimates are the first of the two": is_close(own.argsort(-1)),
        "that is the worst order of each utterance": is_close(orders[sums.argmin(-1)]),
    }
    if is_close(own):
        return None
    return next((fault for fault, found in faults.items() if found),
                f"it gives {answer[0]:.2f} and {answer[1]:.2f} dB, which no order explains")


def judge_winner(winner) -> str | None:
    """06.9: winner({system: energy ratios (utterance,)}) -> name of the best, its mean in dB."""
    in_decibels = {"steady": [11, 12, 13, 12], "lucky": [26, 3, 2, 4],
                   "idle": [0.2, -0.3, 0.1, 0.3], "broken": [-9, -14, -11, -12]}
    ratios = {name: 10 ** (np.array(values) / 10) for name, values in in_decibels.items()}
    name, value = winner({key: values.copy() for key, values in ratios.items()})
    diagnoses = {
        "idle": "the system closest to 0 dB was chosen, and it does nothing: higher is better",
        "broken": "the worst system was chosen: SDR is wanted to unwanted, so higher is better",
        "lucky": "one lucky utterance decided: take the logarithm first, then the mean",
    }
    if name != "steady":
        return diagnoses.get(name, f"there is no system {name!r}: return (name, mean in dB)")
    value, right = float(value), 12.0
    if abs(value - right) < 1e-3:
        return None
    if abs(value - 2 * right) < 1e-3:
        return "20 log10 is for amplitudes, these are ratios of energies: 10 log10"
    if abs(value - ratios["steady"].mean()) < 1e-3:
        return "the name is right, but the mean is still a ratio: decibels are 10 log10 of it"
    if abs(value - 10 * np.log10(ratios["steady"].mean())) < 1e-3:
        return ("the name is right, but you averaged the ratios and took the logarithm last: that "
                "is always higher, and listens to the lucky utterances")
    return f"the name is right, its mean is {right:.2f} dB and you give {value:.2f}"


def judge_guessing(guessing) -> str | None:
    """06.12: guessing(right, n) -> how often a coin does as well or better."""
    def ways(least, most, n):
        return sum(math.comb(n, k) for k in range(least, most + 1)) / 2**n

    for right, n in ((9, 12), (12, 12), (5, 12)):
        answer, wanted = float(guessing(right, n)), ways(right, n, n)
        if abs(answer - wanted) < 1e-6:
            continue
        if abs(answer - 100 * wanted) < 1e-4:
            return "in per cent it is right: give a number from 0 to 1"
        faults = {
            f"that is exactly {right} of {n}: whoever gets more has done as well, too":
                ways(right, right, n),
            f"that is more than {right} of {n}: {right} itself counts": ways(right + 1, n, n),
            f"that is {right} or fewer of {n}: count from {right} upwards": ways(0, right, n),
            f"that is fewer than {right} of {n}: count from {right} upwards":
                ways(0, right - 1, n),
            "that is the share of right answers: a coin has about half of them right": right / n,
            "twice too much: X right too seldom is no sign of hearing": 2 * wanted,
        }
        return next((fault for fault, value in faults.items() if abs(answer - value) < 1e-6),
                    f"for {right} of {n} right it gives {answer:.4f}, not {wanted:.4f}")
    return None


JUDGES = {"06.1": judge_improvement, "06.2": judge_interval, "06.3": judge_paired,
          "06.4": judge_restore, "06.6": judge_score, "06.9": judge_winner,
          "06.12": judge_guessing}
