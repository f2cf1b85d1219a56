"""listening: the same seed the same test, no place betrays a system, no answer is lost."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from sep_helpers import listening
from sep_helpers.listening import ANCHOR, REFERENCE, ListeningError

STIMULI = [("m_0", 0), ("m_0", 1), ("m_1", 0)]
TRIALS = listening.plan_abx(STIMULI, ("net", "mask"), 12, seed=3)


def answer(trial, number=0, listener="me", **changes):
    return {"listener": listener, "session": listening.session(TRIALS), "trial": number,
            "mixture_id": trial.stimulus[0], "source": trial.stimulus[1], "a": trial.a,
            "b": trial.b, "x": trial.x, "answer": trial.a, "right": int(trial.x == trial.a),
            "seconds": 2.5, **changes}


# --- plans

def test_an_abx_plan_follows_its_seed_and_plays_every_stimulus_as_often():
    assert TRIALS == listening.plan_abx(STIMULI, ("net", "mask"), 12, seed=3)
    assert TRIALS != listening.plan_abx(STIMULI, ("net", "mask"), 12, seed=4)
    assert set(Counter(trial.stimulus for trial in TRIALS).values()) == {4}
    assert all({trial.a, trial.b} == {"net", "mask"} and trial.x in (trial.a, trial.b)
               for trial in TRIALS)


def test_neither_the_place_nor_x_betrays_a_system():
    trials = listening.plan_abx(STIMULI, ("net", "mask"), 2000, seed=0)
    for coin in ([trial.a == "net" for trial in trials], [trial.x == "net" for trial in trials],
                 [trial.x == trial.a for trial in trials],
                 [one.x == two.x for one, two in zip(trials, trials[1:], strict=False)]):
        assert binomtest(sum(coin), len(coin)).pvalue > 0.001


def test_a_mushra_plan_has_reference_and_anchor_in_every_trial_at_any_place():
    stimuli = [(f"m_{n}", 0) for n in range(400)]
    trials = listening.plan_mushra(stimuli, ["net", "mixture"], seed=1)
    assert trials == listening.plan_mushra(stimuli, ["net", "mixture"], seed=1)
    assert sorted(trial.stimulus for trial in trials) == sorted(stimuli)
    assert [trial.stimulus for trial in trials] != stimuli
    for condition in (REFERENCE, ANCHOR, "net", "mixture"):
        places = Counter(trial.order.index(condition) for trial in trials)
        assert min(places[n] for n in range(4)) > 60        # 100 each, but for chance


@pytest.mark.parametrize("make, message", [
    (lambda: listening.plan_abx([], ("a", "b"), 3, 0), "0 stimuli"),
    (lambda: listening.plan_abx(STIMULI, ("a", "a"), 3, 0), "compares two systems"),
    (lambda: listening.plan_abx(STIMULI, ("a", "b"), 0, 0), "0 trials"),
    (lambda: listening.plan_mushra([], ["a"], 0), "give some of both"),
    (lambda: listening.plan_mushra(STIMULI, ["a", "a"], 0), "none twice"),
    (lambda: listening.plan_mushra(STIMULI, ["anchor"], 0), "called 'reference' or 'anchor'"),
])
def test_what_is_no_test_is_refused(make, message):
    with pytest.raises(ListeningError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_session_is_the_name_of_these_very_trials():
    other = listening.plan_abx(STIMULI, ("net", "mixture"), 12, seed=3)
    assert listening.session(TRIALS) == listening.session(list(TRIALS))
    assert listening.session(TRIALS) != listening.session(other)
    assert listening.session(TRIALS) != listening.session(TRIALS, "another checkpoint")


# --- sounds

def level_at(x, hertz, rate=8000):
    spectrum = torch.fft.rfft(x.double() * torch.hann_window(len(x), dtype=torch.double)).abs()
    return 20 * torch.log10(spectrum[round(hertz * len(x) / rate)])


def test_the_anchor_cuts_at_its_frequency_and_does_not_delay():
    t = torch.arange(16000) / 8000
    tones = {hertz: torch.sin(2 * torch.pi * hertz * t) for hertz in (200, 800, 1200, 3000)}
    x = sum(tones.values())
    low = listening.anchor(x, 8000)
    assert low.shape == x.shape and low.dtype == x.dtype
    change = {hertz: (level_at(low, hertz) - level_at(x, hertz)).item() for hertz in tones}
    assert abs(change[200]) < 0.1 and abs(change[800]) < 0.1
    assert change[1200] < -50 and change[3000] < -50
    kept = tones[200] + tones[800]
    middle = slice(1000, -1000)
    assert (low - kept)[middle].abs().max() < 0.01, "in phase with what it keeps"
    with pytest.raises(ListeningError, match="4500 Hz of sound that ends at 4000 Hz"):
        listening.anchor(x, 8000, 4500)


def test_versions_become_equally_loud_and_nothing_else():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(8000, generator=g)
    loud = listening.equally_loud({"a": 0.1 * x, "b": 0.001 * x, "silent": 0 * x}, 8000)
    assert torch.allclose(loud["a"], loud["b"], rtol=1e-4) and not loud["silent"].any()
    assert torch.cosine_similarity(loud["b"], x, dim=0) > 0.9999
    assert loud["a"].abs().max() <= 1.0001


# --- answers

def test_answers_are_appended_and_come_back(tmp_path):
    path = tmp_path / "new" / "abx.csv"
    assert listening.read(path, "abx").empty
    for number, trial in enumerate(TRIALS[:3]):
        listening.append(path, "abx", [answer(trial, number)])
        assert listening.first_open(listening.read(path, "abx"), "me", TRIALS) == number + 1
    found = listening.read(path, "abx")
    assert found.trial.tolist() == [0, 1, 2] and found.seconds.tolist() == [2.5] * 3
    assert found.x.tolist() == [trial.x for trial in TRIALS[:3]]
    assert path.read_text().count("listener,") == 1


def test_another_listener_and_another_test_start_at_their_own_beginning(tmp_path):
    path = tmp_path / "abx.csv"
    listening.append(path, "abx", [answer(trial, n) for n, trial in enumerate(TRIALS)])
    answers = listening.read(path, "abx")
    assert listening.first_open(answers, "me", TRIALS) == len(TRIALS)
    assert listening.first_open(answers, "you", TRIALS) == 0
    assert listening.first_open(answers, "me", TRIALS[::-1]) == 0


def test_other_sounds_of_the_same_names_start_anew_and_lose_nothing(tmp_path):
    path = tmp_path / "abx.csv"
    listening.append(path, "abx", [answer(TRIALS[0], session=listening.session(TRIALS, "old"))])
    listening.append(path, "abx", [answer(TRIALS[0], session=listening.session(TRIALS, "new")),
                                   answer(TRIALS[0], session=listening.session(TRIALS[::-1], "new"),
                                          listener="you")])
    answers = listening.read(path, "abx")
    assert len(answers) == 3
    assert listening.of_sounds(answers, "new").listener.tolist() == ["me", "you"]
    assert listening.of_sounds(answers, "newer").empty
    assert listening.of_sounds(answers[:0], "new").empty
    assert listening.first_open(answers, "me", TRIALS, "old") == 1
    assert listening.first_open(answers, "me", TRIALS, "newer") == 0


def test_a_line_cut_short_loses_itself_alone(tmp_path, capsys):
    path = tmp_path / "abx.csv"
    listening.append(path, "abx", [answer(trial, n) for n, trial in enumerate(TRIALS[:3])])
    path.write_bytes(path.read_bytes()[:-50])                  # the machine died while it wrote
    listening.append(path, "abx", [answer(TRIALS[3], 3)])
    found = listening.read(path, "abx")
    assert found.trial.tolist() == [0, 1, 3]
    assert "1 broken line left out" in capsys.readouterr().out
    assert listening.first_open(found, "me", TRIALS) == 2


def test_of_an_answer_given_twice_the_last_counts(tmp_path):
    path = tmp_path / "abx.csv"
    for given in ("net", "mask"):
        listening.append(path, "abx", [answer(TRIALS[0], answer=given)])
    found = listening.read(path, "abx")
    assert found.answer.tolist() == ["mask"] and len(path.read_text().splitlines()) == 3


def test_mushra_keeps_one_rating_a_system(tmp_path):
    path = tmp_path / "mushra.csv"
    trials = listening.plan_mushra(STIMULI, ["net, \"causal\""], seed=0)
    lines = [{"listener": "me", "session": listening.session(trials), "trial": 0,
              "mixture_id": "m_0", "source": 0, "system": system, "rating": rating, "seconds": 9.0}
             for rating, system in enumerate(trials[0].order)]
    listening.append(path, "mushra", lines)
    listening.append(path, "mushra", lines)
    found = listening.read(path, "mushra")
    assert found.system.tolist() == list(trials[0].order)       # commas and quotes and all
    assert found.rating.tolist() == [0, 1, 2]
    assert listening.first_open(found, "me", trials) == 1


def test_a_file_of_something_else_is_not_touched(tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("my,notes\n1,2\n")
    with pytest.raises(ListeningError, match="nothing was written"):
        listening.append(path, "abx", [answer(TRIALS[0])])
    with pytest.raises(ListeningError, match="is no abx test's CSV"):
        listening.read(path, "abx")
    assert path.read_text() == "my,notes\n1,2\n"
    with pytest.raises(ValueError, match="colour"):
        listening.append(tmp_path / "abx.csv", "abx", [answer(TRIALS[0], colour="red")])


def test_plans_are_plain_python(tmp_path):
    assert all(type(trial.x) is str for trial in TRIALS)
    assert not any(isinstance(n, np.generic) for trial in TRIALS for n in trial.stimulus)
