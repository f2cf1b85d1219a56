"""The judges of chapter 6's ways to fool oneself: right answers pass, wrong ones are named."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sep_helpers import metrics
from sep_helpers.checks import diagnose


def stub(*_, **__):
    raise NotImplementedError


# --- 06.5

def right_strangers(used, test):
    met = set(used.category)
    return [m for m, lines in test.groupby("mixture_id") if not met & set(lines.category)]


def by_lines(used, test):
    return test[~test.category.isin(used.category)].mixture_id.unique()


def by_files(used, test):
    return test[~test.file.isin(used.file)].mixture_id.unique()


def without_validation(used, test):
    return right_strangers(used[used.split == "train"], test)


def each_line(used, test):
    return test[test.mixture_id.isin(right_strangers(used, test))].mixture_id


# --- 06.7

def right_whole(separate, x, block):
    parts = F.pad(x, (0, -len(x) % block)).split(block)
    return torch.cat([separate(part) for part in parts], 1)[:, : len(x)]


def last_from_the_end(separate, x, block):
    """The last block is counted back from the end and overlaps the one before."""
    if len(x) < block:
        return right_whole(separate, x, block)
    out = torch.empty(2, len(x))
    for at in [*range(0, len(x) - block + 1, block), len(x) - block]:
        out[:, at : at + block] = separate(x[at : at + block])
    return out


def whole_blocks_only(separate, x, block):
    full = [separate(part) for part in x.split(block) if len(part) == block]
    return torch.cat(full, 1) if full else torch.zeros(2, 0)


def filled_up(separate, x, block):
    out = whole_blocks_only(separate, x, block)
    return F.pad(out, (0, len(x) - out.shape[1]))


def untrimmed(separate, x, block):
    parts = F.pad(x, (0, -len(x) % block)).split(block)
    return torch.cat([separate(part) for part in parts], 1)


def shifted(separate, x, block):
    return right_whole(separate, x, block).roll(len(x) % block, 1)


# --- 06.8

def probe(gain=0.25, treble=False, seed=0):
    s = torch.randn(8000, generator=torch.Generator().manual_seed(seed))
    return gain * (s if treble else s + torch.cat([s.new_zeros(1), s[:-1]])), s


def by(estimate, source, none_below=0.01):
    def estimate_first(measure):
        one, other = measure(estimate, source), measure(source, estimate)
        return None if abs(one - other) < none_below else bool(one > other)
    return estimate_first


# --- 06.10

def right_pcm(x):
    x = x / max(1, x.abs().max())
    return (32767 * x).round().short()


# --- 06.11

def right_at(source, error, decibels):
    rest = error - (error @ source) / source.square().sum() * source
    return source + 10 ** (-decibels / 20) * source.norm() / rest.norm() * rest


def zero_mean_at(source, error, decibels):
    return right_at(source - source.mean(), error - error.mean(), decibels)


def at_snr(source, error, decibels):
    return source + 10 ** (-decibels / 20) * source.norm() / error.norm() * error


def rest_of(source, error):
    rest = error - (error @ source) / source.square().sum() * source
    return source.norm() / rest.norm() * rest


@pytest.mark.parametrize("exercise, answer, verdict", [
    ("06.5", right_strangers, "pass"),
    ("06.5", lambda u, t: set(right_strangers(u, t)), "pass"),
    ("06.5", lambda u, t: np.array(right_strangers(u, t)), "pass"),
    ("06.5", stub, "not attempted"),
    ("06.5", by_lines, "throw out the whole mixture"),
    ("06.5", by_files, "compare the voices, not the files"),
    ("06.5", without_validation, "validation has been used"),
    ("06.5", each_line, "each mixture's id once"),
    ("06.5", lambda u, t: [], "m_0 is left out"),
    ("06.7", right_whole, "pass"),
    ("06.7", last_from_the_end, "pass"),
    ("06.7", stub, "not attempted"),
    ("06.7", whole_blocks_only, "50 samples at the end are missing of 250"),
    ("06.7", filled_up, "silent"),
    ("06.7", untrimmed, "300 samples come out of 250"),
    ("06.7", shifted, "not in their places"),
    ("06.7", lambda f, x, n: right_whole(f, x, n)[0], "(source, time) is asked"),
    ("06.7", lambda f, x, n: right_whole(f, x, n).flip(0), "something else comes out"),
    ("06.7", lambda f, x, n: f(x), "this separator takes (100,), and got (250,)"),
    ("06.8", by(*probe()), "pass"),
    ("06.8", by(*probe(0.1, seed=4)), "pass"),
    ("06.8", stub, "not attempted"),
    ("06.8", lambda measure: True, "whatever the measure is"),
    ("06.8", by(*probe()[::-1]), "exactly the wrong way round"),
    ("06.8", by(*probe(), none_below=-1), "of SI-SDR it says"),
    ("06.8", by(*probe(0.5, treble=True)), "lacks something, such as its treble"),
    ("06.8", by(*probe(2.0)), "take an estimate that is softer"),
    ("06.10", right_pcm, "pass"),
    ("06.10", lambda x: right_pcm(0.99 * x / max(1, x.abs().max())).numpy(), "pass"),
    ("06.10", stub, "not attempted"),
    ("06.10", lambda x: x, "int16, twice as small"),
    ("06.10", lambda x: (32768 * x).long().short(), "wrapped round"),
    ("06.10", lambda x: (32767 * x.clamp(-1, 1)).short(), "clipped?"),
    ("06.10", lambda x: right_pcm(x / x.abs().amax(1, True).clamp(min=1)), "gain of its own"),
    ("06.10", lambda x: right_pcm(x / x.abs().amax(1, keepdim=True)), "gain of its own"),
    ("06.10", lambda x: right_pcm(x / x.abs().max()), "made louder"),
    ("06.10", lambda x: right_pcm(x / 4), "at 0.25 of their level, 0.56 was right"),
    ("06.10", lambda x: (x / max(1, x.abs().max())).short(), "changed its shape"),
    ("06.10", lambda x: right_pcm(x[0]), "it returns (4000,)"),
    ("06.11", right_at, "pass"),
    ("06.11", zero_mean_at, "pass"),
    ("06.11", lambda s, e, d: -3 * right_at(s, e, d), "pass"),
    ("06.11", stub, "not attempted"),
    ("06.11", at_snr, "part of the error lies along the source"),
    ("06.11", lambda s, e, d: e, "the error alone"),
    ("06.11", lambda s, e, d: s + 10 ** (-d / 10) * rest_of(s, e), "square root is missing"),
    ("06.11", lambda s, e, d: s + 10 ** (d / 20) * rest_of(s, e), "more dB, less error"),
    ("06.11", lambda s, e, d: s + rest_of(s, e), "it makes 0.00 dB of 10"),
    ("06.11", lambda s, e, d: right_at(s, e.flip(0), d), "only source and error"),
    ("06.11", lambda s, e, d: s[:9], "as long as the source"),
])
def test_each_answer_gets_its_verdict(exercise, answer, verdict):
    found = diagnose(exercise, answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found, found
    assert "\n" not in found


def test_the_measures_that_06_8_asks_about_do_what_their_names_say():
    estimate, source = probe()
    assert metrics.sdr(estimate, source) > metrics.sdr(source, estimate) + 10
