"""listening_widgets: what is clicked is in the file, what is left is gone on with, X stays blind.
"""

import base64
import io
import re

import pytest
import soundfile
import torch

from sep_helpers import listening, listening_scores
from sep_helpers.listening import ANCHOR, REFERENCE, ListeningError
from sep_helpers.listening_widgets import AbxTest, MushraTest

RATE = 8000
STIMULI = [("m_0", 0), ("m_1", 1)]
SYSTEMS = ["net", "mixture"]


@pytest.fixture(scope="module")
def material():
    g = torch.Generator().manual_seed(0)
    names = [*SYSTEMS, REFERENCE, ANCHOR]
    return {stimulus: {name: 10.0 ** -n * torch.randn(2000, generator=g)
                       for n, name in enumerate(names)} for stimulus in STIMULI}


@pytest.fixture
def abx(material, tmp_path):
    trials = listening.plan_abx(STIMULI, ("net", "mixture"), 6, seed=0)
    return lambda **options: AbxTest(trials, material, RATE, tmp_path / "abx.csv", **options)


@pytest.fixture
def mushra(material, tmp_path):
    trials = listening.plan_mushra(STIMULI, SYSTEMS, seed=0)
    return lambda **options: MushraTest(trials, material, RATE, tmp_path / "m.csv", **options)


def heard(*widgets) -> list:
    found = re.findall(r"data:audio/wav;base64,([^\"]+)", "".join(w.value for w in widgets))
    return [torch.from_numpy(soundfile.read(io.BytesIO(base64.b64decode(text)))[0]).float()
            for text in found]


def is_same(x, y):
    return torch.cosine_similarity(x, y, dim=0) > 0.999


# --- ABX

def test_abx_plays_what_the_plan_says_equally_loud(abx, material):
    test = abx()
    for trial in test.trials:
        a, b, x = heard(test.sounds)
        of = material[trial.stimulus]
        assert is_same(a, of[trial.a]) and is_same(b, of[trial.b]) and is_same(x, of[trial.x])
        assert a.norm() / b.norm() == pytest.approx(1, rel=0.15)
        assert max(y.abs().max() for y in (a, b, x)) <= 1
        test.buttons[0].click()
    assert test.finished and test.controls[0].layout.display == "none"


def test_abx_answers_are_written_one_by_one_and_scored_at_the_end_only(abx):
    test = abx(listener=" ann ")
    for number, trial in enumerate(list(test.trials)):
        assert "right" not in test.note.value and "coin" not in test.note.value
        test.buttons["ab".index("a" if trial.x == trial.a else "b") ^ (number == 0)].click()
        assert len(test.answers()) == number + 1
    assert "5 of 6 right" in test.note.value and "10.9%" in test.note.value
    assert test.answers().right.tolist() == [0, 1, 1, 1, 1, 1]
    assert set(test.answers().listener) == {"ann"}
    test.answer("a")                        # a late click
    assert len(test.answers()) == 6
    assert listening_scores.abx_scores(test.answers()).p[0] == pytest.approx(7 / 64)


def test_a_test_that_was_left_is_gone_on_with(abx):
    first = abx()
    for _ in range(4):
        first.buttons[1].click()
    again = abx()
    assert again.number == 4 and "Trial 5 of 6" in again.heading.value
    assert abx(listener="bob").number == 0
    assert abx(sounds="trained anew").number == 0 and abx(sounds="trained anew").answers().empty
    for _ in range(2):
        again.buttons[0].click()
    assert abx().finished and "of 6 right" in abx().note.value


def test_nothing_on_the_screen_names_the_systems(abx, mushra):
    test = abx()
    shown = re.sub(r"data:[^\"]+", "", test.heading.value + test.sounds.value + test.note.value)
    assert not any(system in shown for system in SYSTEMS)
    rated = mushra()
    rows = "".join(re.sub(r"data:[^\"]+", "", row.children[0].value) for row in rated.rows)
    assert not any(name in rows for name in [*SYSTEMS, REFERENCE, ANCHOR])


# --- MUSHRA

def move_all(test, value=70):
    for number, row in enumerate(test.rows):
        row.children[1].value = value + number


def test_mushra_plays_reference_and_all_conditions(mushra, material):
    test = mushra()
    of = material[test.trial.stimulus]
    open_reference, *conditions = heard(test.reference, *(row.children[0] for row in test.rows))
    assert is_same(open_reference, of[REFERENCE])
    assert all(is_same(x, of[name]) for x, name in zip(conditions, test.trial.order, strict=True))


def test_mushra_keeps_what_the_sliders_say_under_the_right_names(mushra):
    test = mushra()
    orders = [trial.order for trial in test.trials]
    move_all(test)
    test.save.click()
    assert test.answers().system.tolist() == list(orders[0])
    assert test.answers().rating.tolist() == [70, 71, 72, 73]
    assert [row.children[1].value for row in test.rows] == [50] * 4 and test.number == 1
    move_all(test, 20)
    test.save.click()
    assert test.finished and "hidden reference got" in test.note.value
    assert len(test.answers()) == 8 and mushra().finished


def test_a_slider_that_nobody_touched_is_no_rating(mushra):
    test = mushra()
    test.rows[1].children[1].value = 80
    test.rows[1].children[1].value = 50       # touched, and back in the middle: that is a rating
    test.save.click()
    assert "not rated yet: 1, 3, 4." in test.note.value and test.answers().empty
    move_all(test)
    test.save.click()
    assert len(test.answers()) == 4 and "not rated" not in test.note.value


# --- what goes wrong

def test_mistakes_are_said_and_errors_of_the_code_are_seen(abx, monkeypatch, tmp_path):
    test = abx()
    (tmp_path / "abx.csv").write_text("something else\n")
    test.buttons[0].click()
    assert "has other columns" in test.note.value and test.number == 0

    def full(*_):
        raise OSError("No space left on device")
    monkeypatch.setattr(listening, "append", full)
    test.buttons[0].click()
    assert "No space left" in test.note.value and test.number == 0
    monkeypatch.setattr(listening, "append", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):      # in a notebook the Output widget shows it
        test.guarded(lambda: test.answer("a"))


def test_missing_sounds_and_nobody_are_refused(abx, material, tmp_path):
    trials = listening.plan_abx([("m_9", 0)], ("net", "mixture"), 1, seed=0)
    with pytest.raises(ListeningError, match=r"no sound of \('m_9', 0\) for \['mixture', 'net'\]"):
        AbxTest(trials, material, RATE, tmp_path / "abx.csv")
    with pytest.raises(ListeningError, match="who is listening"):
        abx(listener=" ")


def test_a_listeners_name_is_text(abx):
    assert "<b onclick" not in abx(listener="<b onclick=x>").heading.value


def test_the_tests_show_themselves(abx, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    test = abx()
    test._ipython_display_()
    assert shown == [test.widget] and test.faults in test.widget.children
