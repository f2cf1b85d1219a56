"""Judges of chapter 6, on ways to fool oneself: strangers, tails, order, files, equal figures."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sep_helpers.losses import si_snr, snr
from sep_helpers.metrics import sdr, si_sdr


def judge_strangers(strangers) -> str | None:
    """06.5: strangers(used, test) -> ids of the test mixtures in which nobody was met before."""
    used = pd.DataFrame([("train", "ann", "ann/1"), ("train", "bob", "bob/1"),
                         ("val", "cat", "cat/1"), ("train", "ann", "ann/2")],
                        columns=["split", "category", "file"])
    mixtures = {"m_0": ["dan", "eve"], "m_1": ["ann", "bob"], "m_2": ["dan", "bob"],
                "m_3": ["eve", "cat"], "m_4": ["fay", "dan"]}
    test = pd.DataFrame([{"mixture_id": m, "category": voice, "file": f"{voice}/9"}
                         for m, voices in mixtures.items() for voice in voices])
    answer = list(strangers(used.copy(), test.copy()))
    faults = {
        "m_2": "m_2 has a voice that trained beside the new one: throw out the whole mixture, and "
               "not only that line",
        "m_3": "in m_3 somebody speaks whose recordings chose the best checkpoint: validation has "
               "been used, too",
        "m_1": "m_1 has new sentences, but of voices that trained: compare the voices, not the "
               "files"}
    if missed := {"m_0", "m_4"} - set(answer):
        return f"{sorted(missed)[0]} is left out, and nobody in it was met before"
    for mixture in ("m_1", "m_2", "m_3"):
        if mixture in answer:
            return faults[mixture]
    return None if len(answer) == 2 else f"{answer}: give each mixture's id once, and no others"


def judge_whole(whole) -> str | None:
    """06.7: whole(separate, mixture (time,), block) -> estimates (source, time), no tail lost."""
    g = torch.Generator().manual_seed(7)
    block = 100

    def separate(x: Tensor) -> Tensor:
        if x.shape != (block,):
            raise ValueError(f"this separator takes ({block},), and got {tuple(x.shape)}")
        return torch.stack([0.75 * x, 0.25 * x])

    for length in (250, 200, 30):
        x = torch.randn(length, generator=g)
        answer, right = whole(separate, x.clone(), block), torch.stack([0.75 * x, 0.25 * x])
        if (answer := torch.as_tensor(answer)).dim() != 2 or len(answer) != 2:
            return f"it returns {tuple(answer.shape)}: (source, time) is asked, here (2, {length})"
        time = answer.shape[1]
        if time == length // block * block and time < length:
            return (f"{length - time} samples at the end are missing of {length}: pad the last "
                    "block, separate it, too, then cut what is too long")
        if time > length:
            return (f"{time} samples come out of {length}: cut the padding off again, or every "
                    "later signal is as much too long")
        if time != length:
            return f"{time} samples come out of {length}"
        if torch.allclose(answer, right, atol=1e-5):
            continue
        tail = answer[:, length // block * block :]
        if not tail.any():
            return "the tail is there, but silent: it has to be separated, not only filled up"
        if torch.allclose(answer.sort(1)[0], right.sort(1)[0], atol=1e-5):
            return "all samples are there, but not in their places: pad behind, not in front"
        return f"of {length} samples something else comes out than the separator gave"
    return None


def judge_estimate_first(estimate_first) -> str | None:
    """06.8: estimate_first(measure) -> True, False, or None where the order does not matter."""
    def swapped(measure):
        return lambda a, b: measure(b, a)

    asked = [("SNR with the estimate first", snr, True),
             ("SNR with the reference first", swapped(snr), False),
             ("BSS-eval's SDR with the estimate first", sdr, True),
             ("BSS-eval's SDR with the reference first", swapped(sdr), False),
             ("SI-SDR", si_snr, None)]
    answers = [estimate_first(lambda a, b, m=m: float(m(torch.as_tensor(a), torch.as_tensor(b))))
               for _, m, _ in asked]
    wrong = [(name, answer, right) for (name, _, right), answer in zip(asked, answers, strict=True)
             if answer is not right and not (isinstance(answer, np.bool_) and answer == right)]
    if not wrong:
        return None
    if len({repr(answer) for answer in answers}) == 1:
        return f"it answers {answers[0]} whatever the measure is: try it both ways round"
    if all(answer == (not right) for (_, _, right), answer in
           zip(asked[:4], answers, strict=False)):
        return "exactly the wrong way round: which of the two orders gives the higher figure?"
    name, answer, right = wrong[0]
    if right is None:
        return (f"of SI-SDR it says {answer}, but an angle is the same from both sides: if the two "
                "orders agree within a hundredth of a dB, return None")
    if "BSS" in name:
        return (f"of {name} it says {answer}: BSS-eval forgives a wrong level and some noise alike "
                "from both sides; take an estimate that lacks something, such as its treble")
    return (f"of {name} it says {answer}, not {right}: take an estimate that is softer than its "
            "source")


def judge_to_pcm(to_pcm) -> str | None:
    """06.10: to_pcm(estimates (source, time)) -> 16-bit samples, one gain, and only if needed."""
    t = np.arange(4000) / 8000
    quiet = np.stack([0.5 * np.sin(2 * np.pi * 200 * t), 0.1 * np.sin(2 * np.pi * 330 * t)])
    for name, x in (("loud", 3.6 * quiet), ("quiet", quiet)):
        answer = np.asarray(to_pcm(torch.from_numpy(x).float()))
        if answer.dtype != np.int16:
            return f"it returns {answer.dtype}: a 16-bit file takes int16, twice as small as float"
        if answer.shape != x.shape:
            return f"it returns {answer.shape} for estimates {x.shape}"
        y = answer.astype(float)
        gains = np.abs(y).max(1) / 32767 / np.abs(x).max(1)
        shape = (x * y).sum(1) / np.sqrt((x**2).sum(1) * (y**2).sum(1) + 1e-9)
        if name == "loud" and np.any((np.sign(y) * np.sign(x) < 0) & (np.abs(x) > 0.01)):
            return "loud samples wrapped round to the other sign: bring the peak below 1 first"
        if np.any(shape < 0.999):
            return f"a {name} estimate changed its shape: clipped? Turn it down instead"
        if not np.isclose(*gains, rtol=0.02):
            return ("each estimate got a gain of its own: then they no longer add up to the "
                    "mixture; one gain for all")
        if name == "quiet" and gains[0] > 1.05:
            return "a quiet estimate was made louder: touch nothing that fits"
        wanted = 1 / np.abs(x).max() if name == "loud" else 1
        if not 0.85 * wanted <= gains[0] <= 1.01 * wanted:
            return (f"the {name} estimates came out at {gains[0]:.2g} of their level, {wanted:.2g} "
                    "was right: full scale is 32767")
    return None


def judge_at_si_sdr(at_si_sdr) -> str | None:
    """06.11: at_si_sdr(source, error, decibels) -> an estimate with exactly that SI-SDR."""
    g = torch.Generator().manual_seed(11)
    source, other = torch.randn(2, 4000, generator=g)
    error = 2 * other + 1.5 * source                           # it holds some of the source
    for decibels in (10.0, 0.0, -5.0):
        answer = torch.as_tensor(at_si_sdr(source.clone(), error.clone(), decibels))
        if answer.shape != source.shape:
            return f"it returns {tuple(answer.shape)}: an estimate as long as the source"
        found = si_sdr(answer, source).item()
        if abs(found - decibels) < 0.01:
            basis = torch.stack([source, error, torch.ones(4000)], 1).double()
            fit = torch.linalg.lstsq(basis, answer.double()[:, None]).solution
            if (basis @ fit - answer.double()[:, None]).norm() > 1e-3 * answer.norm():
                return "the figure is right, but something else came in: only source and error"
            continue
        return _why_not(answer, source, error, decibels, found)
    return None


def _why_not(answer: Tensor, source: Tensor, error: Tensor, decibels: float, found: float) -> str:
    rest = error - (error @ source) / source.square().sum() * source
    if torch.cosine_similarity(answer, error, dim=0) > 0.9999:
        return "that is the error alone: the estimate is the source plus some of it"
    if abs(snr(answer, source).item() - decibels) < 0.01:
        return (f"its SNR is {decibels:g} dB, its SI-SDR {found:.1f}: part of the error lies along "
                "the source, and SI-SDR does not count that as error; take it out first")
    size = (source.norm() / rest.norm()).item()
    for fault, g in {"the square root is missing: a gain is a ratio of amplitudes, 20 log10":
                     10 ** (-decibels / 10), "the sign in the exponent: more dB, less error":
                     10 ** (decibels / 20)}.items():
        if torch.allclose(answer, source + g * size * rest, rtol=1e-3, atol=1e-3):
            return fault
    return (f"it makes {found:.2f} dB of {decibels:g}: scale what is left of the error to "
            "10 ** (-dB / 20) times the source's norm")


JUDGES = {"06.5": judge_strangers, "06.7": judge_whole, "06.8": judge_estimate_first,
          "06.10": judge_to_pcm, "06.11": judge_at_si_sdr}
