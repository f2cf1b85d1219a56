"""The judges of chapter 5: right answers pass, each wrong one gets its own diagnosis."""

import math
import os
from itertools import permutations
from pathlib import Path

import pytest
import torch

from sep_helpers.checks import check, compare, diagnose
from sep_helpers.losses import si_snr
from sep_helpers.permutation import pit


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


def accumulating(divisor=None, last=True, every_batch=False):
    def my_epoch(batches, accumulate, loss_of, update):
        for i, batch in enumerate(batches):
            group = min(accumulate, len(batches) - i // accumulate * accumulate)
            by = group if divisor is None else divisor(accumulate, len(batches))
            (loss_of(batch) / by).backward()
            ends = (i + 1) % accumulate == 0 or (last and i + 1 == len(batches))
            if ends or every_batch:
                update()
    return my_epoch


def validating(eval=True, grad=False, back="before", sign=1, by_batch=False, fixed=False):
    def my_validate(model, batches):
        was, values = model.training, []
        if eval:
            model.eval()
        with torch.set_grad_enabled(grad):
            for batch in batches:
                estimates, sources = model(batch["mixture"]), batch["sources"]
                value = (si_snr(estimates, sources).mean(-1) if fixed
                         else pit(estimates, sources)[0])
                values.append(value.mean()[None] if by_batch else value)
        model.train(was if back == "before" else back)
        return sign * torch.cat(values).mean().item()
    return my_validate


def wrong_dropout(model, batches):
    """Puts the whole back, but not the part that it switched off."""
    was = model.training
    value = validating()(model, batches)
    model.dropout.eval()
    model.training = was
    return value


@pytest.mark.parametrize("exercise, answer, verdict", [
    ("05.3", accumulating(), "pass"),
    ("05.3", stub, "not attempted"),
    ("05.3", accumulating(divisor=lambda a, n: 1), "added up, not averaged"),
    ("05.3", accumulating(divisor=lambda a, n: a), "half as long"),
    ("05.3", accumulating(divisor=lambda a, n: n), "the whole epoch"),
    ("05.3", accumulating(last=False), "thrown away"),
    ("05.3", accumulating(divisor=lambda a, n: 1, last=False), "thrown away"),
    ("05.3", accumulating(every_batch=True), "after every batch"),
    ("05.3", lambda *_: None, "never called"),
    ("05.3", accumulating(divisor=lambda a, n: 3), "they should be"),
    ("05.5", lambda v, n: sum(a * b for a, b in zip(v, n, strict=True)) / sum(n), "pass"),
    ("05.5", stub, "not attempted"),
    ("05.5", lambda v, n: sum(v) / len(v), "mean of the batches' means"),
    ("05.5", lambda v, n: sum(v), "sum over the batches"),
    ("05.5", lambda v, n: sum(a * b for a, b in zip(v, n, strict=True)), "sum over the mixtures"),
    ("05.5", lambda v, n: sum(a * b for a, b in zip(v, n, strict=True)) / len(v),
     "divided by the number of batches"),
    ("05.5", lambda v, n: sum(a * b for a, b in zip(v, n, strict=True)) / (len(v) * n[0]),
     "as if every batch were full"),
    ("05.5", lambda v, n: sum(v[:-1]) / len(v[:-1]), "was dropped"),
    ("05.5", lambda v, n: 0.0, "it gives 0.00, not"),
    ("05.6", validating(), "pass"),
    ("05.6", stub, "not attempted"),
    ("05.6", validating(eval=False), "in training mode"),
    ("05.6", validating(grad=True), "a graph for the gradient"),
    ("05.6", validating(back=False), "training=True and was left with False"),
    ("05.6", validating(back=True), "training=False and was left with True"),
    ("05.6", wrong_dropout, "put back the mode it had"),
    ("05.6", validating(sign=-1), "sign is wrong"),
    ("05.6", validating(by_batch=True), "smaller batch counts too much"),
    ("05.6", validating(fixed=True), "fixed order"),
    ("05.6", lambda model, batches: 0.0, "never called"),
    ("05.6", lambda model, batches: validating()(model, batches) + 1, "over the mixtures is"),
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
    ("05.4", climb, "pass"),
    ("05.4", stub, "not attempted"),
    ("05.4", lambda s, w, t: s / w if s < w else climb(s, w, t), "very first step"),
    ("05.4", lambda s, w, t: climb(s, 2 * w, t), "straight line"),
    ("05.4", lambda s, w, t: (s + 1) / w if s < w else 0.5 * (1 + math.cos(math.pi * s / t)),
     "count the steps"),
    ("05.4", lambda s, w, t: (s + 1) / w if s < w else 1 - (s - w) / (t - w), "not a cosine"),
    ("05.7", atomic, "pass"),
    ("05.7", stub, "not attempted"),
    ("05.7", lambda path, data, write: write(path, data), "half a checkpoint"),
    ("05.7", delete_first, "already deleted"),
    ("05.7", copying, "left beside it"),
    ("05.7", swallowing, "save hid it"),
    ("05.7", lambda path, data, write: None, "does not hold it"),
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
