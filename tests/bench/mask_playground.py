"""A slider moved in the mask playground, against the same three pictures drawn by matplotlib."""

import statistics

import _ratio
import torch

from sep_helpers import corpora, plots, widgets
from sep_helpers.mask_playground import MaskPlayground

corpus = corpora.embedded()
rate = corpus.sample_rate
voices = corpus.table.drop_duplicates("speaker").iloc[:2]
sources = {name: corpus.waveform(file).repeat(3)[:4 * rate]
           for name, file in zip(voices.speaker, voices.file, strict=True)}
playground = MaskPlayground(sources, rate)
thresholds = iter(range(10**6))
answers = []


def move():
    playground.knobs["threshold"].value = next(thresholds) % 19 * 0.05
    answers.append(playground.milliseconds)


def redraw():
    made = playground.estimate()
    tracks = {name: made[name] for name in ("mixture", "estimate")}
    (widgets.picture(plots.spectrograms(tracks, rate)),
     widgets.picture(plots.masks(made["M"][None], rate)), playground._sounds(made))


with torch.inference_mode():
    ratios = _ratio.pairs(move, redraw)
milliseconds = statistics.median(answers)
print(f"an answer took {milliseconds:.0f} ms, {max(answers):.0f} at most (goal 300)")
_ratio.report("mask_playground", ratios, "matplotlib", goal=3, milliseconds=round(milliseconds, 1))
