"""The listening tests on the screen: ABX and a small MUSHRA (ipywidgets 7.7 and 8).

Every answer is in the CSV before the next trial is shown; made again with the same trials, file
and listener, a test goes on where it was left. Nothing tells how one is doing until the end.
"""

import html
import time
from pathlib import Path

import ipywidgets
from torch import Tensor

from sep_helpers import listening
from sep_helpers.listening import REFERENCE, ListeningError, Stimulus
from sep_helpers.listening_scores import guessing
from sep_helpers.widgets import sound, sounds

Material = dict[Stimulus, dict[str, Tensor]]
WORDS = "0 to 20 bad · 20 to 40 poor · 40 to 60 fair · 60 to 80 good · 80 to 100 excellent"


class ListeningTest:
    """What both tests share: the trial under way, the file, and where mistakes are said.

    Args:
        trials: of `listening.plan_abx` or `plan_mushra`.
        material: {stimulus: {system: waveform (time,)}}, with all that the trials name.
        sample_rate: Hz.
        path: of the CSV; made when the first answer comes.
        listener: who is listening, as it shall stand in the CSV.
        sounds: whose sounds these are, a checkpoint's digest for one; when it changes, the test
            begins anew and older answers, which stay in the CSV, do not count.
    Raises ListeningError if a sound is missing, or the CSV is another test's.
    """

    kind = ""

    def __init__(self, trials: list, material: Material, sample_rate: int, path: str | Path,
                 listener: str = "me", sounds: str = ""):
        if not listener.strip():
            raise ListeningError("who is listening? Give a name or a letter as `listener`")
        self.trials, self.material, self.sample_rate = trials, material, sample_rate
        self.path, self.listener, self.sounds_of = Path(path), listener.strip(), sounds
        self.session = listening.session(trials, sounds)
        for trial in trials:
            if missing := set(self.names(trial)) - set(material.get(trial.stimulus, {})):
                raise ListeningError(f"no sound of {trial.stimulus} for {sorted(missing)}: "
                                     "put it into the material")
        self.number = listening.first_open(self.answers(), self.listener, trials, sounds)
        self.heading, self.note = ipywidgets.HTML(), ipywidgets.HTML()
        self.faults = ipywidgets.Output()
        self.controls = self.build()
        self.widget = ipywidgets.VBox([self.heading, *self.controls, self.note, self.faults])
        self.show()

    def names(self, trial) -> tuple[str, ...]:
        """The versions that a trial plays."""
        raise NotImplementedError

    def build(self) -> list:
        """The controls, made once."""
        raise NotImplementedError

    def present(self, versions: dict[str, Tensor]) -> None:
        """Put the sounds of the trial under way, equally loud by now, on the screen."""
        raise NotImplementedError

    def result(self) -> str:
        """What to say when all is answered."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        return self.number >= len(self.trials)

    @property
    def trial(self):
        return self.trials[self.number]

    def answers(self):
        """All answers to these sounds in the CSV so far, everybody's."""
        return listening.of_sounds(listening.read(self.path, self.kind), self.sounds_of)

    def mine(self):
        """The answers of this listener to these trials."""
        found = self.answers()
        return found[(found.listener == self.listener) & (found.session == self.session)]

    def show(self) -> None:
        """The trial under way; after the last one, the result."""
        if self.finished:
            for control in self.controls:
                control.layout.display = "none"
            self.heading.value = f"<b>All {len(self.trials)} trials are answered.</b>"
            self.note.value = html.escape(self.result())
            return
        self.heading.value = (f"<b>Trial {self.number + 1} of {len(self.trials)}</b>, "
                              f"{html.escape(self.listener)}")
        self.note.value = f"Answers go to {html.escape(str(self.path))}"
        versions = {name: self.material[self.trial.stimulus][name]
                    for name in self.names(self.trial)}
        self.present(listening.equally_loud(versions, self.sample_rate))
        self.began = time.monotonic()

    def keep(self, lines: list[dict]) -> None:
        """Write the answer to the trial under way, then go on to the next."""
        mixture_id, source = self.trial.stimulus
        facts = {"listener": self.listener, "session": self.session,
                 "trial": self.number, "mixture_id": mixture_id, "source": source,
                 "seconds": round(time.monotonic() - self.began, 1)}
        listening.append(self.path, self.kind, [facts | line for line in lines])
        self.number += 1
        self.show()

    def guarded(self, action) -> None:
        """Do it; a mistake is said in one line, an error of the code is seen in `faults`."""
        with self.faults:
            try:
                action()
            except (ValueError, OSError) as error:
                self.note.value = f'<span style="color:#B00020">{html.escape(str(error))}</span>'

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)


class AbxTest(ListeningTest):
    """Three sounds, A, B and X: is X the same as A, or as B? Two buttons answer."""

    kind = "abx"

    def names(self, trial):
        return trial.a, trial.b

    def build(self):
        self.sounds = ipywidgets.HTML()
        self.buttons = [ipywidgets.Button(description=f"X is {letter}") for letter in "AB"]
        for letter, button in zip("ab", self.buttons, strict=True):
            button.on_click(lambda _, letter=letter: self.guarded(lambda: self.answer(letter)))
        return [self.sounds, ipywidgets.HBox(self.buttons)]

    def present(self, versions):
        trial = self.trial
        self.sounds.value = sounds({"A": versions[trial.a], "B": versions[trial.b],
                                    "X": versions[trial.x]}, self.sample_rate)

    def answer(self, letter: str) -> None:
        """Take "a" or "b" for the answer to the trial under way."""
        if self.finished:
            return
        trial = self.trial
        said = getattr(trial, letter)
        self.keep([{"a": trial.a, "b": trial.b, "x": trial.x, "answer": said,
                    "right": int(said == trial.x)}])

    def result(self):
        right, n = int(self.mine().right.sum()), len(self.trials)
        return (f"{right} of {n} right. Somebody who tosses a coin does as well or better "
                f"{guessing(right, n):.1%} of the time.")


class MushraTest(ListeningTest):
    """An open reference, and below it all conditions without their names, each with a slider."""

    kind = "mushra"

    def names(self, trial):
        return trial.order

    def build(self):
        self.reference = ipywidgets.HTML()
        self.rows, self.moved = [], set()
        for index in range(max(len(trial.order) for trial in self.trials)):
            slider = ipywidgets.IntSlider(50, min=0, max=100, continuous_update=False)
            slider.observe(lambda _, index=index: self.moved.add(index), "value")
            self.rows.append(ipywidgets.HBox([ipywidgets.HTML(), slider],
                                             layout={"flex_flow": "row wrap"}))
        self.save = ipywidgets.Button(description="Save, next trial")
        self.save.on_click(lambda _: self.guarded(self.rate))
        return [self.reference, ipywidgets.HTML(WORDS), *self.rows, self.save]

    def present(self, versions):
        peak = max(x.abs().max().item() for x in versions.values())
        scale = min(1.0, 0.999 / max(peak, 1e-9))
        self.reference.value = sound("reference", versions[REFERENCE], self.sample_rate, scale)
        for number, (row, name) in enumerate(zip(self.rows, self.trial.order, strict=True)):
            label, slider = row.children
            label.value = sound(f"{number + 1}", versions[name], self.sample_rate, scale)
            slider.value = 50
        self.moved.clear()

    def rate(self) -> None:
        """Take the sliders for the ratings of the trial under way. Raises ListeningError if one
        has not been moved yet.
        """
        if self.finished:
            return
        still = [str(n + 1) for n in range(len(self.trial.order)) if n not in self.moved]
        if still:
            raise ListeningError(f"not rated yet: {', '.join(still)}. Move every slider, and give "
                                 "100 to the one that is the reference")
        self.keep([{"system": system, "rating": row.children[1].value}
                   for system, row in zip(self.trial.order, self.rows, strict=True)])

    def result(self):
        mine = self.mine()
        hidden = mine[mine.system == REFERENCE].rating
        return (f"Thank you. The hidden reference got {hidden.mean():.0f} of 100 on average, and "
                f"less than 90 in {(hidden < 90).sum()} of {len(hidden)} trials.")
