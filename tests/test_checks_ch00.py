"""Chapter 00's judge: one answer passes, the likely slips get their own diagnosis."""

import pytest

from sep_helpers.checks import diagnose


@pytest.mark.parametrize("answer, said", [
    (20000, "pass"), (2.5 * 8000, "pass"), (..., "not attempted"), (None, "not attempted"),
    (8000 / 2.5, "you divided"), (2.5 * 8, "that is thousands"), (16000, "that is two seconds"),
    (2 * 2.5 * 8000, "bytes of a 16-bit file"), (20001, "20001 it is not: seconds × Hz"),
    ("many", "put in a number, not 'many'"), (lambda: 20000, "put in a number"),
])
def test_verdict(answer, said):
    verdict = diagnose("00.1", answer)
    assert said in verdict and (verdict == "pass") == (said == "pass")
