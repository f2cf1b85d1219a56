"""The judges of chapter 5: right answers pass, each wrong one gets its own diagnosis."""

import math
import os
from itertools import permutations
from pathlib import Path

import pytest
import torch

from sep_helpers.checks import check, compare, diagnose
from sep_helpers.losses import si_snr


def scores(e, s):
    return si_snr(e.unsqueeze(2), s.unsqueeze(1))


def pit_loss(e, s):
    m = scores(e, s)
    n = m.shape[-1]
    each = torch.stack([m[:, list(p), range(n)].mean(-1) for p in permutations(range(n))], -1)
    return -each.amax(-1).mean()


def per_batch(e, s):
    m = scores(e, s)
    return -max(m[:, list(p), range(2)].mean() for p in permutations(range(2)))


def climb(step, warmup, total):
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def atomic(path, data, write):
    draft = Path(str(path) + ".tmp")
    write(draft, data)
    os.replace(draft, path)


def delete_first(path, data, write):
    Path(path).unlink(missing_ok=True)
    atomic(path, data, write)


def copying(path, data, write):
    draft = Path(str(path) + ".tmp")
    write(draft, data)
    Path(path).write_bytes(draft.read_bytes())


def swallowing(path, data, write):
    try:
        atomic(path, data, write)
    except Exception:
        pass


def stub(*_):
    raise NotImplementedError


def inverse(e, p):
    return torch.empty_like(e).scatter_(1, p[..., None].expand_as(e), e)


@pytest.mark.parametrize("exercise, answer, verdict", [
    ("05.1", pit_loss, "pass"),
    ("05.1", stub, "not attempted"),
    ("05.1", lambda e, s: -pit_loss(e, s), "sign is wrong"),
    ("05.1", per_batch, "for the whole batch"),
    ("05.1", lambda e, s: -si_snr(e, s).mean(), "fixed order"),
    ("05.1", lambda e, s: -torch.minimum(scores(e, s).diagonal(dim1=1, dim2=2).mean(-1),
                                         scores(e, s).flip(1).diagonal(dim1=1, dim2=2).mean(-1)
                                         ).mean(), "worst permutation"),
    ("05.1", lambda e, s: 2 * pit_loss(e, s), "summed over the sources"),
    ("05.1", lambda e, s: -si_snr(e, s), "not one number"),
    ("05.1", lambda e, s: torch.tensor(3.0), "the right loss is"),
    ("05.1", lambda e, s: 1 / 0, "stopped with ZeroDivisionError"),
    ("05.2", lambda e, p: e.gather(1, p[..., None].expand_as(e)), "pass"),
    ("05.2", lambda e, p: torch.stack([x[i] for x, i in zip(e, p, strict=True)]), "pass"),
    ("05.2", stub, "not attempted"),
    ("05.2", inverse, "inverse permutation"),
    ("05.2", lambda e, p: e, "order they had"),
    ("05.2", lambda e, p: e[:, p[0]], "first utterance's"),
    ("05.2", lambda e, p: e[..., :5], "returns"),
    ("05.2", lambda e, p: e.flip(1), "not in the order"),
    ("05.3", climb, "pass"),
    ("05.3", stub, "not attempted"),
    ("05.3", lambda s, w, t: s / w if s < w else climb(s, w, t), "very first step"),
    ("05.3", lambda s, w, t: climb(s, 2 * w, t), "straight line"),
    ("05.3", lambda s, w, t: (s + 1) / w if s < w else 0.5 * (1 + math.cos(math.pi * s / t)),
     "count the steps"),
    ("05.3", lambda s, w, t: (s + 1) / w if s < w else 1 - (s - w) / (t - w), "not a cosine"),
    ("05.4", atomic, "pass"),
    ("05.4", stub, "not attempted"),
    ("05.4", lambda path, data, write: write(path, data), "half a checkpoint"),
    ("05.4", delete_first, "already deleted"),
    ("05.4", copying, "left beside it"),
    ("05.4", swallowing, "save hid it"),
    ("05.4", lambda path, data, write: None, "does not hold it"),
])
def test_each_answer_gets_its_verdict(exercise, answer, verdict):
    found = diagnose(exercise, answer)
    assert found == verdict if verdict in ("pass", "not attempted") else verdict in found
    assert "\n" not in found


def test_check_prints_one_line(capsys):
    check("05.1", ...)
    check("05.1", pit_loss)
    assert capsys.readouterr().out == "○ exercise 05.1: not attempted\n✓ exercise 05.1: pass\n"


def test_compare_fails_where_the_two_differ(capsys):
    x = torch.randn(3, 100)
    compare("si_snr", si_snr, si_snr, x, x + 1)
    assert "si_snr: yours and the package's agree" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="differ by"):
        compare("si_snr", lambda e, t: si_snr(e, t) + 1, si_snr, x, x.flip(0))
