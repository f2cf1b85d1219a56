"""Judges of chapter 01's exercises: levels, cuts, mixtures, random numbers, splits."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sep_helpers import audio
from sep_helpers.checks.ch01_lengths import judge_padding, judge_segments

RATE = 8000


def judge_level(set_level) -> str | None:
    """01.1: set_level(x (time,), db) -> x at an RMS of db."""
    x = torch.randn(4000, generator=torch.Generator().manual_seed(1)) * torch.linspace(0, 0.1, 4000)
    before, level = x.clone(), audio.rms_db(x).item()
    for db in (-25.0, -40.0):
        y = set_level(x, db)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            return f"return a waveform like x, shape {tuple(x.shape)}"
        if not torch.equal(x, before):
            return ("you changed the recording itself, and every mixture shares it: return a new "
                    "tensor (x * factor, not x *= factor)")
        if abs(audio.rms_db(y).item() - db) > 0.01:
            return _wrong_level(x, y, db, level)
    return None


def _wrong_level(x: Tensor, y: Tensor, db: float, level: float) -> str:
    peak = 20 * y.abs().max().log10().item()
    change = (audio.rms_db(y) - level).item()
    if abs(peak - db) < 0.01:
        return f"the peak stands at {db:.0f} dB, not the RMS: measure sqrt(mean(x²))"
    if abs(change - db) < 0.01:
        return (f"you changed the level BY {db:.0f} dB: subtract the level the recording has, and "
                "apply the difference")
    if abs(change - (level - db)) < 0.01:
        return "you went the wrong way: the change is what you want minus what there is"
    if abs(change - 2 * (db - level)) < 0.01:
        return "you changed it twice as far as asked: for amplitudes it is 10 ** (change / 20)"
    if abs(change - (db - level / 2)) < 0.01:
        return "your level is half of what it is in dB: 10 log10 of the power, 20 log10 of the RMS"
    return f"the RMS came out at {level + change:.1f} dB, not at {db:.1f}"


def judge_cut(cut) -> str | None:
    """01.2: cut(x (time,), start in s, seconds, sample_rate) -> (round(seconds * rate),)."""
    x = torch.arange(1, 24001, dtype=torch.float32)
    got = cut(x, 0.5, 1.0, RATE)
    if not isinstance(got, Tensor) or got.dim() != 1:
        return "return a waveform, shape (time,)"
    if len(got) == 8001:
        return "one sample too many: x[start:stop] should not contain the sample number `stop`"
    if len(got) == 4000:
        return "the second number is how long the cut is, not where it ends: stop = start + length"
    if len(got) != 8000:
        return f"one second at {RATE} Hz came out as {len(got)} samples"
    if got[0] != 4001:
        return f"it begins at sample {int(got[0]) - 1} of the recording, not at 4000"
    if len(cut(x, 0.0, 2.01, RATE)) == 16079 or cut(x, 2.01, 0.5, RATE)[0] == 16080:
        return (f"2.01 s came out as 16079 samples, not 16080: 2.01 * {RATE} is {2.01 * RATE} to "
                "Python, so round(), do not int()")
    odd = 0.4 / RATE
    if len(cut(x, 0.1 + odd, 0.2 + odd, RATE)) != 1600:
        return ("the length changes with the start, and such cuts do not stack to a batch: round "
                "the length, and add it to the rounded start")
    return _judge_padding(x[:16000], cut(x[:16000], 1.5, 1.0, RATE))


def _judge_padding(x: Tensor, got: Tensor) -> str | None:
    if len(got) == 4000:
        return "a cut that outlasts its recording came out too short: pad it with zeros"
    if len(got) != 8000:
        return f"a cut of 1 s that outlasts its recording came out as {len(got)} samples"
    if torch.equal(got[-4000:], x[12000:]) and not got[:4000].any():
        return "you padded before the recording: the zeros go behind it"
    if not torch.equal(got, audio.fit(x[12000:], 8000)):
        return "a cut that outlasts its recording should be its samples, then zeros"
    return None


def judge_mix(mix) -> str | None:
    """01.4: mix(sources (source, time), levels) -> (mixture (time,), sources (source, time))."""
    given = torch.randn(2, 4000, generator=torch.Generator().manual_seed(3)) * 0.1
    answer = mix(given, [-4.0, -9.0])       # so loud that the sum is beyond full scale
    if not isinstance(answer, tuple) or len(answer) != 2:
        return "return two things: the mixture and the sources"
    mixture, sources = answer
    if mixture.shape != (4000,) or sources.shape != (2, 4000):
        return (f"shapes {tuple(mixture.shape)} and {tuple(sources.shape)}: the mixture is (time,),"
                " the sources are (source, time)")
    if torch.equal(sources, given):
        return ("you returned the sources as they came: return them at their new levels, they are "
                "what the network will be asked for")
    levels = audio.rms_db(sources).tolist()
    if any(abs(a - b) > 0.01 for a, b in zip(levels, (-4.0, -9.0), strict=True)):
        swapped = abs(levels[0] - levels[1]) < 0.01
        return (f"the sources stand at {levels[0]:.1f} and {levels[1]:.1f} dB, not at -4 and -9"
                + (": each has a level of its own" if swapped else ""))
    return _judge_sum(mixture, sources.sum(0))


def _judge_sum(mixture: Tensor, total: Tensor) -> str | None:
    if torch.allclose(mixture, total, atol=1e-5):
        return None
    if torch.allclose(mixture, total.clamp(-1, 1), atol=1e-5):
        return "you cut off what is beyond ±1, so the mixture is no longer the sum of its sources"
    factor = (mixture @ total / (total @ total)).item()
    if torch.allclose(mixture, factor * total, atol=1e-4):
        kind = "the mean of" if abs(factor - 0.5) < 1e-3 else f"{factor:.2f} times"
        return (f"the mixture is {kind} the sum: whatever scales the mixture has to scale its "
                "sources too")
    return "the mixture is not the sum of the sources that you returned"


def judge_random(number) -> str | None:
    """01.5: number(seed, epoch, index) -> a float in [0, 1), of these three alone."""
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = float(number(1, 2, 3))
    if not np.array_equal(states[0], np.random.get_state()[1]) or not torch.equal(
            states[1], torch.get_rng_state()):
        return ("you used or seeded the generator that everybody shares: make one of your own, "
                "np.random.default_rng(...)")
    if any(float(number(1, 2, 3)) != first for _ in range(3)):
        return "asked again for the same mixture, it answers with another number"
    for name, other in (("seed", (2, 2, 3)), ("epoch", (1, 3, 3)), ("index", (1, 2, 4))):
        if float(number(*other)) == first:
            return f"the {name} makes no difference: all three have to"
    triples = [(s, e, i) for s in range(3) for e in (0, 1, 2, 10, 100, 1000)
               for i in (0, 1, 2, 10, 100, 1000)]
    seen = {}
    for triple in triples:
        same = seen.setdefault(float(number(*triple)), triple)
        if same != triple:
            return (f"(seed, epoch, index) = {same} and {triple} give the same number: do not add "
                    "them up, give the generator all three")
    values = np.array([*seen, *(float(number(0, 0, i)) for i in range(3, 500))])
    if values.min() < 0 or values.max() >= 1 or not 0.4 < values.mean() < 0.6 or (
            not 0.25 < values.std() < 0.33):
        return "the numbers are not spread evenly between 0 and 1: ask the generator for .random()"
    return None


TRAINING = pd.DataFrame({"mixture_id": ["t0", "t0", "t1", "t1"],
                         "category": ["ann", "bob", "bob", "cat"],
                         "file": ["ann/0", "bob/0", "bob/1", "cat/0"]})
TEST = pd.DataFrame([
    ("fine", "dan", "dan/0"), ("fine", "eve", "eve/0"),
    ("fine again", "dan", "dan/0"), ("fine again", "fay", "fay/0"),
    ("leaked file", "dan", "dan/1"), ("leaked file", "ann", "ann/0"),
    ("leaked voice", "cat", "cat/9"), ("leaked voice", "eve", "eve/1"),
    ("one recording", "eve", "eve/0"), ("one recording", "eve", "eve/0"),
    ("one voice", "fay", "fay/0"), ("one voice", "fay", "fay/1"),
], columns=["mixture_id", "category", "file"])
DIAGNOSES = {   # mixture -> (what it says of a learner who lets it pass)
    "one recording": "a recording is mixed with itself, and nobody can part the two: look for a "
                     "category that occurs twice in one mixture",
    "leaked file": "a recording of the training is in the test: compare the two tables",
    "leaked voice": "a voice of the training is in the test, with a new sentence: compare the "
                    "categories, not the files",
    "one voice": "a voice is mixed with another recording of its own: compare the categories "
                 "within a mixture, not the files",
}


def judge_audit(unfit) -> str | None:
    """01.7: unfit(test table, training table) -> the mixture_ids that must not be tested on."""
    answer = unfit(TEST.copy(), TRAINING.copy())
    if isinstance(answer, pd.DataFrame):
        return "return the mixture_ids, not the lines"
    found = set(answer)
    if strange := found - set(TEST.mixture_id):
        return f"return mixture_ids such as 'fine again': {strange.pop()!r} is none"
    for mixture_id, diagnosis in DIAGNOSES.items():
        if mixture_id not in found:
            return f"{mixture_id!r} got through: {diagnosis}"
    if "fine" in found and "fine again" in found:
        return ("you refused sound mixtures: a voice may occur in several mixtures, only not twice "
                "in one")
    return f"you refused {(found - set(DIAGNOSES)).pop()!r}, a sound mixture" if (
        found - set(DIAGNOSES)) else None


JUDGES = {"01.1": judge_level, "01.2": judge_cut, "01.3": judge_segments, "01.4": judge_mix,
          "01.5": judge_random, "01.6": judge_padding, "01.7": judge_audit}
