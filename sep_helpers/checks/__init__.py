"""Exercises that check themselves.

    check("02.1", my_mask)        -> pass / not attempted / what is wrong, by name
    compare("si_snr", mine, sep_helpers.losses.si_snr, estimate, target)

A chapter's module maps exercise numbers to judges: `judge(answer)` returns None for a right
answer, else the diagnosis in a sentence. A stub raises NotImplementedError (or is `...`).
"""

from collections.abc import Callable

import torch

from sep_helpers.checks import (
    ch00,
    ch01,
    ch02,
    ch02_phase,
    ch03,
    ch04,
    ch04_outside,
    ch05,
    ch06,
    ch06_pitfalls,
    ch07,
)

JUDGES: dict[str, Callable] = {
    **ch00.JUDGES, **ch01.JUDGES, **ch02.JUDGES, **ch02_phase.JUDGES, **ch03.JUDGES,
    **ch04.JUDGES, **ch04_outside.JUDGES,
    **ch05.JUDGES, **ch06.JUDGES, **ch06_pitfalls.JUDGES, **ch07.JUDGES
}


def diagnose(exercise: str, answer) -> str:
    """'pass', 'not attempted', or the diagnosis. Raises KeyError for an unknown exercise."""
    judge = JUDGES[exercise]
    if answer is ... or answer is None:
        return "not attempted"
    try:
        return judge(answer) or "pass"
    except NotImplementedError:
        return "not attempted"
    except Exception as error:   # whatever the learner's code raises is the diagnosis
        return f"your code stopped with {type(error).__name__}: {error}"


def check(exercise: str, answer) -> None:
    """Print the verdict on an answer: a function, or a value."""
    verdict = diagnose(exercise, answer)
    mark = {"pass": "✓", "not attempted": "○"}.get(verdict, "✗")
    print(f"{mark} exercise {exercise}: {verdict}")


def compare(name: str, mine: Callable, helper: Callable, *arguments, tolerance: float = 1e-4):
    """Hold what was built by hand against the package's; raises AssertionError if they differ."""
    ours, theirs = torch.as_tensor(mine(*arguments)), torch.as_tensor(helper(*arguments))
    assert ours.shape == theirs.shape, f"{name}: shapes {ours.shape} and {theirs.shape} differ"
    difference = (ours - theirs).abs().max().item()
    assert difference <= tolerance, f"{name}: they differ by {difference:.2g}"
    print(f"{name}: yours and the package's agree within {difference:.1e}")
