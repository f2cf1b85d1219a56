# %% [markdown]
# {{header}}
#
# # 06 · Evaluation
#
# How good is a separator, how sure can you be, and how easily could you have fooled yourself?
#
# **You will hear** the ten worst mixtures of a whole test, five sounds on which three respected
# figures disagree, and five ruins of one voice that SI-SDR cannot tell apart.
#
# **Goals** · read SI-SDR as an angle · put a network between its floors and its ceilings, on
# voices it has met and on strangers · draw a confidence interval by hand, over the right things ·
# find where a system fails · recognise eight ways to a fine figure that is worth nothing · test
# your own ears blind, and count.
#
# It is enough for two sittings: the first half asks what a figure is worth, the second how it
# deceives, and what ears say.
#
# **Needs** · 02 (masks, SI-SNR), 05 (PIT, and the network that you trained there).
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# ## The network under test
#
# It is yours, from notebook 05. If you have none yet, the one that comes with the course takes its
# place, and every figure below says so.

# %%
import copy
import hashlib
import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from sep_helpers import (audio, cards, course_views, evaluation, listening, listening_scores,
                         losses, metrics, models, perceptual, permutation, plots, slices, stft,
                         workspace)
from sep_helpers import views as views_of
from sep_helpers.checks import check, compare
from sep_helpers.listening_widgets import AbxTest, MushraTest
from sep_helpers.player import player
from sep_helpers.worst_cases import worst_cases

preset, corpus = ws.preset, ws.corpus()
folder = ws.load_artifact("voice_separator")
model = models.load(folder / "model.safetensors").to(ws.device)
trained = models.read_card(folder / "model.safetensors")
origin = "yours" if folder.is_relative_to(ws.folder) else "shipped"

print(f"{models.count_parameters(model):,} parameters, {origin}. What it says of its training:")
pd.Series(trained).to_frame("")

# %% [markdown]
# Two test sets are waiting, and training has touched no recording of either. `seen` has new
# sentences of voices that train, `unseen` has voices that never do. Every mixture in them was drawn
# once and written down, so you, your colleague and next year's network all get the same ones.
#
# (Testing on a corpus of your own? Then the network may have met none of these voices, whatever the
# view is called. Compare what it was trained on, above, with the folder named below.)

# %%
views = course_views.test_views(corpus, preset.n_test)
test = list(views)[-1]                      # strangers, if this corpus has any: the harder test
print("recordings:", corpus.folder.name)
pd.DataFrame([{"view": name, "mixtures": len(view),
               "voices": len({cut.category for cuts in view.mixtures for cut in cuts}),
               "seconds": round(sum(len(item["mixture"]) for item in view) / corpus.sample_rate)}
              for name, view in views.items()]).set_index("view")

# %% [markdown]
# ## Floors and ceilings
#
# A figure says little on its own. So the network stands between systems that we know:
#
# - **floors**, which have learnt nothing: the *mixture* handed out twice, and a *random mask*,
#   which deals out every bin of the spectrogram by chance;
# - **ceilings**, which have seen the answer: the *ideal* masks of notebook 02, computed from the
#   true sources. No system that masks the mixture's STFT in the same way can do much better. (The
#   complex mask turns phases as well and simply undoes the mixing. It stands in the tables to show
#   where the scale ends: what is better than 100 dB counts as 100, worse than −60 as −60, so that
#   one perfect or one silent estimate does not decide a mean.)

# %%
systems = {"Conv-TasNet": model, **evaluation.floors_and_ceilings()}
floors, ideal = evaluation.FLOORS, evaluation.CEILINGS
pictured = [name for name in systems if name != "ideal complex"]


def in_order(estimates, item):
    """Estimates (source, time) in the order of the mixture's sources."""
    order = permutation.pit(estimates[None], item["sources"][None])[1]
    return permutation.reorder(estimates[None], order)[0]


item = views[test][0]
outputs = {name: in_order(evaluation.separate(model, item["mixture"]) if system is model
                          else system(item["mixture"], item["sources"]), item)
           for name, system in systems.items()}
for name, estimates in outputs.items():
    print(f"{name:13} {tuple(estimates.shape)} = source, time")

# %%
voice = item["cuts"][0].category
tracks = {"mixture": item["mixture"], f"{voice}, true": item["sources"][0]}
tracks |= {name: outputs[name][0] for name in ("random mask", "Conv-TasNet", "ideal IRM")}
player(tracks, corpus.sample_rate, f"{item['id']}: everybody's attempt at {voice}")

# %% [markdown]
# ## A figure is an angle
#
# One source $s$ and one estimate $e$ are two arrows in a space with one axis per sample. That is a
# lot of axes, but two arrows always lie in one plane, so the plane can be drawn and nothing is
# lost. Let $e$ cast its shadow on $s$: the shadow $\alpha s$ is what was recovered, the rest is
# error.
#
# $$\alpha = \frac{\langle e, s \rangle}{\|s\|^2} \qquad
# \text{SI-SDR} = 20 \log_{10} \frac{\|\alpha s\|}{\|e - \alpha s\|} = -20 \log_{10} \tan \theta$$
#
# Only the angle $\theta$ between the arrows is left. Make $e$ longer or shorter, even turn it
# round: SI-SDR stays. (SI-SNR is the same figure under its older name.)

# %%
def angle(estimate, source):
    """Between the lines along two signals (..., time), in radians: 0 to pi / 2."""
    e, s = losses.zero_mean(estimate.double()), losses.zero_mean(source.double())
    cosine = (e * s).sum(-1) / (e.norm(dim=-1) * s.norm(dim=-1))
    return torch.arccos(cosine.abs())


def si_sdr_from_angle(estimate, source):
    return -20 * torch.log10(torch.tan(angle(estimate, source)))


compare("SI-SDR", si_sdr_from_angle, metrics.si_sdr, outputs["Conv-TasNet"], item["sources"])

# %% cellView="form"
# @title Picture: estimates as arrows
@plots.figure
def angles(names, source=0):
    fig, ax = plt.subplots(figsize=(7.5, 5.2))
    for decibels in (-10, 0, 5, 10, 20):
        ray = np.arctan(10 ** (-decibels / 20))
        ax.plot([0, 1.03 * np.cos(ray)], [0, 1.03 * np.sin(ray)], "-", color="#DDDDDD", linewidth=1)
        ax.text(1.05 * np.cos(ray), 1.05 * np.sin(ray), f"{decibels} dB", color="#777777")
    for name, colour, style in zip(names, plots.COLOURS, plots.LINESTYLES, strict=False):
        theta = angle(outputs[name][source], item["sources"][source]).item()
        x, y = np.cos(theta), np.sin(theta)
        ax.plot([0, x], [0, y], color=colour, linestyle=style,
                label=f"{name}: {np.degrees(theta):.0f}°, {-20 * np.log10(np.tan(theta)):.1f} dB")
        ax.plot([x, x], [0, y], color=colour, linestyle=":", linewidth=1)   # the error
        ax.plot(x, y, "o", color=colour)
    ax.set(aspect="equal", xlim=(0, 1.2), ylim=(0, 1.1), xlabel="along the source",
           ylabel="everything else", title="Estimates of equal length, and their errors")
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return fig


angles(["mixture", "random mask", "Conv-TasNet", "ideal IRM"])

# %% [markdown]
# 45° means as much error as source: 0 dB. The closer to the axis, the more each further dB costs:
# from 10 to 20 dB the angle shrinks by only twelve degrees.
#
# The mixture has an angle too. What it had before anybody did anything must not be credited to the
# system; what counts is the **improvement**, SI-SDRi.
#
# ### Exercise 06.1 · Improvement (★, 4 min)
#
# Write `improvement(estimates, sources, mixture)`: the SI-SDRi in dB of each source. Estimates and
# sources are `(source, time)` and in the same order, the mixture is `(time,)`. `metrics.si_sdr` (or
# your own angle) measures.
#
# <details><summary>Hint</summary>
#
# The mixture is an estimate as well, the same one for every source: `mixture.expand_as(sources)`.
#
# </details>

# %% tags=["exercise"]
def improvement(estimates, sources, mixture):
    raise NotImplementedError

# %% tags=["solution"]
def improvement(estimates, sources, mixture):
    before = metrics.si_sdr(mixture.expand_as(sources), sources)
    return metrics.si_sdr(estimates, sources) - before

# %%
check("06.1", improvement)

# %% [markdown]
# ## The whole test
#
# Every system on every mixture, each mixture with its own best permutation. One row is one source.

# %%
table = evaluation.evaluate_all(systems, views, bss=False)
print(f"{len(table)} rows: {table.system.nunique()} systems, "
      f"{table.groupby('view').mixture_id.nunique().to_dict()} mixtures")
one = table[(table.mixture_id == item["id"]) & (table.view == test)]
one[["system", "mixture_id", "speaker", "si_sdr", "si_sdri", "seconds"]].round(2)

# %% [markdown]
# **Predict first**: the random mask gives each voice about half of everything. Will it come out
# above the mixture, at it, or below? And what do you expect the network to lose on voices it has
# never met?

# %%
summary = evaluation.summary(table)
plots.comparison(summary[summary.system.isin(pictured)], ideal, floors,
                 "Gain over the mixture: mean, 95 % interval")

# %%
evaluation.overview(table)

# %% [markdown]
# Hatched bars have looked at the answer. On its own test set of English newspaper readers
# (WSJ0-2mix) the Conv-TasNet paper reports 13.0 dB for the binary mask, 12.2 for the ratio mask,
# 13.4 for the Wiener-like one, and 15.3 dB for its best network, after 30 hours of mixtures: with a
# learned encoder a network can rise above the ceiling of STFT masks.
#
# The first columns of the table are as important as the figures. Every mixture of the view is
# either in `n` or in `failed`; `silent` counts sources that have no figure, because nothing could be
# like a silence, and `capped` those at an end of the scale. An evaluation that skips what it cannot
# measure, and does not say so, can be made as good as you like.
#
# Did the strangers cost the network anything? Look at the ceilings before you answer: an ideal mask
# knows no voices, so where *it* differs between `seen` and `unseen`, the mixtures are not equally
# hard. The same holds between the tests of two papers.
#
# And the black lines on the bars? What are they?
#
# ## How sure?
#
# Another draw of mixtures would have given another mean. How different? We have no other draw, but
# we have this one, and it looks like what it came from. So we draw from *it*, with replacement, as
# many as it has, and see how the mean moves: the **bootstrap** (Efron, 1979).

# %%
def my_interval(values, level=0.95, seed=0, resamples=2000):
    """Values (utterance,) -> mean, low, high."""
    values = np.asarray(values)
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    means = values[draws].mean(1)                                    # (resamples,)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return values.mean(), low, high


def rows(system, view=test):
    return table[(table.system == system) & (table.view == view)]


gain = evaluation.per_utterance(rows("Conv-TasNet"))                 # one figure a mixture
compare("interval", my_interval, evaluation.confidence_interval, gain)
mean, low, high = my_interval(gain)
print(f"mean of {len(gain)} mixtures {mean:.2f} dB, 95 % interval {low:.2f} to {high:.2f} dB")

# %% cellView="form"
# @title Picture: the mixtures and their mean
@plots.figure
def spread_and_interval(values):
    draws = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    mean, low, high = evaluation.confidence_interval(values)
    fig, axes = plt.subplots(2, 1, figsize=(9, 4.4), sharex=True)
    bins = np.linspace(values.min() - 0.5, values.max() + 0.5, 61)
    axes[0].hist(values, bins, color=plots.COLOURS[0])
    axes[0].set(title=f"The {len(values)} mixtures: how different they are", ylabel="mixtures")
    axes[1].hist(values[draws].mean(1), bins, color=plots.COLOURS[1])
    axes[1].set(title="The mean of 2000 draws from them: how uncertain it is", ylabel="draws",
                xlabel="SI-SDR improvement (dB)")
    for ax in axes:
        ax.axvspan(low, high, color="#DDDDDD", linewidth=0, zorder=0)
    return fig


spread_and_interval(gain.to_numpy())

# %% [markdown]
# Two very different widths, and in grey the 95 % interval of the mean. The upper picture is a fact
# about your mixtures: some are hard. The lower one is your ignorance of the mean, and more mixtures
# would shrink it.
#
# **Predict first**: with four times as many mixtures, how much narrower is the interval?

# %%
for n in (max(2, len(gain) // 4), len(gain)):
    mean, low, high = evaluation.confidence_interval(gain[:n])
    print(f"{n:4} mixtures: {mean:.2f} dB, {low:.2f} to {high:.2f}, so {high - low:.2f} dB wide")

# %% cellView="form"
# @title Picture: what fewer mixtures would have told you
@plots.figure
def narrowing(sizes):
    mean, low, high = np.transpose([evaluation.confidence_interval(gain[:n]) for n in sizes])
    fig, ax = plt.subplots(figsize=(9, 3.2))
    ax.fill_between(sizes, low, high, color=plots.COLOURS[0], alpha=0.25, label="95 % interval")
    ax.plot(sizes, mean, "o-", label="mean so far")
    ax.set(xlabel="mixtures", ylabel="SI-SDR improvement (dB)", title="The first n mixtures alone")
    ax.legend()
    return fig


narrowing(np.unique(np.geomspace(2, len(gain), 16).astype(int)))

# %% [markdown]
# Half as wide, give or take: the width falls like $1/\sqrt{n}$. Nobody can measure a tenth of a
# decibel on ten mixtures. Believe no one who says so.
#
# ### Intervals over *what*?
#
# A bootstrap assumes that it draws things that have nothing to do with each other. The two sources
# of one mixture are not such things: they were pulled apart by the same stroke. So the course draws
# **mixtures**, each with both of its sources.
#
# ### Exercise 06.2 · Draw the right thing (★★, 8 min)
#
# Write `interval(values, seed=0)` for an array of improvements `(utterance, source)`: the two ends
# of the 95 % bootstrap interval of the mean, drawn over utterances, with at least 1000 draws.
#
# <details><summary>Hint</summary>
#
# Average over the sources first; what remains is one value an utterance, as in `my_interval`. The
# generator is made inside the function, from the seed.
#
# </details>

# %% tags=["exercise"]
def interval(values, seed=0):
    raise NotImplementedError

# %% tags=["solution"]
def interval(values, seed=0):
    each = values.mean(1)
    draws = np.random.default_rng(seed).integers(len(each), size=(2000, len(each)))
    return np.quantile(each[draws].mean(1), [0.025, 0.975])

# %%
check("06.2", interval)

# %% [markdown]
# Mixtures share voices, though. The interval above speaks of *new mixtures of these voices*.
# Whether the network would do as well for **other people** is another question, and there the
# independent things are the voices:

# %%
by_voice = rows("Conv-TasNet").groupby("speaker").si_sdri.agg(["count", "mean"]).sort_values("mean")
for what, values in (("mixtures", gain), ("voices", by_voice["mean"])):
    mean, low, high = evaluation.confidence_interval(values)
    print(f"over {len(values):3} {what:9}{mean:5.1f} dB, from {low:.1f} to {high:.1f}")
by_voice.round(1).rename(columns={"count": "sources", "mean": "SI-SDRi (dB)"})

# %% [markdown]
# Say what your interval is over. A hundred mixtures sound like a lot, until somebody asks how many
# people.
#
# ## Every mixture, not only the mean

# %%
two = table[table.system.isin(["Conv-TasNet", "ideal IRM"]) & (table.view == test)]
plots.improvement_histogram(two, title=f"Every source of the view {test!r}")

# %% [markdown]
# **Predict first**: in a mixture one voice is often softer than the other. Which of the two gains
# more?

# %%
shown = ["random mask", "Conv-TasNet", "ideal IRM"]
plots.input_vs_improvement(table[table.system.isin(shown) & (table.view == test)])

# %% [markdown]
# The softer a voice is in the mixture (left), the more there is to gain. So a system's mean
# improvement also depends on the levels in the test set, and two test sets with different levels
# cannot be compared.
#
# Now hear the two ends of the histogram. First the ten mixtures on which your network did worst,
# with what is known of each: how far apart the pitches are (in semitones) and the levels (in dB),
# and in what part of the time both speak (0 to 1). A click on a line opens it.

# %%
items = {item["id"]: item for item in views[test]}


def tracks_of(name):
    """One mixture, its sources and the network's estimates of them, by name."""
    item = items[name]
    estimates = in_order(evaluation.separate(model, item["mixture"]), item)
    tracks = {"mixture": item["mixture"]}
    for cut, source, estimate in zip(item["cuts"], item["sources"], estimates, strict=True):
        tracks |= {f"{cut.category}, true": source, f"{cut.category}, estimate": estimate}
    return tracks


known = slices.facts(views[test])
told = known[["pitch_distance", "level_difference", "overlap", "sexes"]]
worst = evaluation.worst(slices.join(rows("Conv-TasNet"), told)).drop(columns="note")
worst = worst.rename(columns={"si_sdri": "SI-SDRi", "pitch_distance": "semitones apart",
                              "level_difference": "dB apart"})
worst_cases(worst, tracks_of, corpus.sample_rate)

# %% [markdown]
# What do they have in common? Two voices that are alike? One that hardly speaks? And the best one:

# %%
best_one = gain.idxmax()
player(tracks_of(best_one), corpus.sample_rate,
       f"The best, {best_one}: {gain[best_one]:.1f} dB gained")

# %% [markdown]
# Try the player's **Blind test** on both: can you tell the estimate from the truth when nobody says
# which is which? A listening test is a measurement too, if you keep count.
#
# ## Where does it fail?
#
# Cut the test into slices by something you know about each mixture, and compare the slices.
#
# **Predict first**: two women, or a woman and a man? Equal levels, or one voice softer? Who talks
# over whom all the time, or in turns? Where will the network do worst?

# %%
asked = ["sex_pair", "pitch_distance", "level_difference", "overlap", "language"]
by = [name for name in asked if known[name].nunique() > 1]
print("all mixtures of this test are alike in:", ", ".join(set(asked) - set(by)) or "nothing")
sliced = slices.summary(table[(table.view == test) & table.system.isin(shown)], known, by)
plots.slices(sliced, title=f"Slices of the view {test!r}")

# %%
wide = sliced.pivot(index=["slice", "value", "n"], columns="system", values="text")
wide.loc[sliced.set_index(["slice", "value", "n"]).index.unique(), shown]

# %% [markdown]
# The ideal mask is there to tell *hard for everybody* from *hard for this network*. If a slice is
# low for both, blame the mixtures; if only the network drops, that is where more training data, or
# a better idea, would pay. Intervals get wide here. Slice often enough, and one slice will look bad
# by chance alone.
#
# ## Is one system better than another?
#
# **Predict first**: the intervals of the ideal binary mask and the Wiener-like mask overlap. So we
# can't say which one is better?

# %%
a, b = "ideal WFM", "ideal IBM"
mean, low, high = evaluation.paired_difference(rows(a), rows(b))
own = {name: "{:.1f} ({:.1f} to {:.1f})".format(*evaluation.confidence_interval(
    evaluation.per_utterance(rows(name)))) for name in (a, b)}
pairs = pd.DataFrame({name: evaluation.per_utterance(rows(name)) for name in (a, b)})
print(f"{a} is ahead on {(pairs[a] > pairs[b]).sum()} of {len(pairs)} mixtures")
own[f"{a} − {b}, paired"] = f"{mean:.2f} ({low:.2f} to {high:.2f})"
pd.Series(own).to_frame("SI-SDRi (dB)")

# %% cellView="form"
# @title Picture: one mask against the other
@plots.figure
def against(pairs):
    fig, ax = plt.subplots(figsize=(5.2, 5))
    ends = [pairs.min().min() - 0.5, pairs.max().max() + 0.5]
    ax.plot(ends, ends, "-", color="#999999", linewidth=1, label="equally good")
    ax.plot(pairs[b], pairs[a], "o", markersize=5, alpha=0.7, label="one mixture")
    ax.set(aspect="equal", xlabel=f"{b}, SI-SDRi (dB)", ylabel=f"{a}, SI-SDRi (dB)",
           title="The same mixtures, twice")
    ax.legend()
    return fig


against(pairs)

# %% [markdown]
# We can. What spreads the intervals is that some mixtures are hard, and they are hard for both. The
# **paired** difference compares on each mixture and keeps only what the systems do. Whenever two
# systems ran on the same mixtures, report this one. Here is everybody against the network:

# %%
ahead = evaluation.differences(table[(table.view == test) & table.system.isin(pictured)],
                               "Conv-TasNet")
plots.differences(ahead, title=f"Better or worse than the network, on {test!r}")

# %% [markdown]
# ### Exercise 06.3 · Pair them (★★, 6 min)
#
# Write `paired(a, b)`. Both are a `pd.Series` of improvements whose index names the mixture, and
# two scripts wrote them in two different orders. Return the mean of a − b and the two ends of its
# 95 % interval. `evaluation.confidence_interval(values)` draws the interval.
#
# **Predict first**: pair them in the wrong order, as they happen to stand. Does the mean change?
# Does the interval?
#
# <details><summary>Hint</summary>
#
# Subtract one Series from the other: pandas looks at the index, numpy at the place.
#
# </details>

# %% tags=["exercise"]
def paired(a, b):
    raise NotImplementedError

# %% tags=["solution"]
def paired(a, b):
    return evaluation.confidence_interval(a - b)

# %%
check("06.3", paired)

# %% [markdown]
# ## Three figures, three opinions
#
# SI-SDR is not the only figure in use. **SNR** does not forgive a wrong level. **SDR** of
# *BSS-eval* (Vincent et al., 2006) forgives not only the level but any filter of up to 512 samples,
# so also a short delay or a dull sound.
#
# **Predict first**: which of the three will complain about each of these?

# %%
clean = item["sources"][0]
generator = torch.Generator().manual_seed(0)
noise = torch.randn(clean.shape, generator=generator) * clean.std()
treated = {
    "10 dB softer": 10 ** (-10 / 20) * clean,
    "upside down": -clean,
    "2.5 ms late": torch.cat([torch.zeros(20), clean[:-20]]),
    "dull": torch.nn.functional.avg_pool1d(clean[None], 5, 1, padding=2)[0],
    "with noise": clean + 10 ** (-10 / 20) * noise,
}
figures = {"SNR": losses.snr, "SI-SDR": metrics.si_sdr, "SDR": metrics.sdr}
pd.DataFrame({label: {name: figure(x, clean).item() for name, x in treated.items()}
              for label, figure in figures.items()}).round(1)

# %%
player({"the source": clean, **treated}, corpus.sample_rate, "The same voice, five ways")

# %% [markdown]
# (100 dB is the end of the scale: nothing but rounding is left.) Nobody hears a delay of a 400th of
# a second, and SI-SDR calls it a catastrophe. A figure is a choice of what to forgive.
#
# BSS-eval also says *what kind* of error it was: **SIR** counts only the other voice, **SAR** only
# artefacts. `mir_eval` is the reference for it, but is to drop it (from version 0.9 on); so the
# course measures by itself, and is held against mir_eval as long as that is there.

# %%
import warnings

estimates = outputs["Conv-TasNet"]
bss = metrics.bss_eval(estimates, item["sources"])
try:
    from mir_eval.separation import bss_eval_sources
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = bss_eval_sources(item["sources"].numpy(), estimates.numpy(), False)
    off = max(np.abs(mine - his).max() for mine, his in zip(
        (bss["sdr"], bss["sir"], bss["sar"]), theirs, strict=False))
    print(f"mir_eval and the course differ by {off:.1g} dB at most")
except ImportError:
    print("no bss_eval in mir_eval here: nothing to compare with")
pd.DataFrame({name: bss[name] for name in ("sdr", "sir", "sar")},
             index=[cut.category for cut in item["cuts"]]).round(1)

# %% [markdown]
# Two more figures try to foretell listeners. **STOI** (Taal et al., 2011) goes from 0 to 1, how much
# of it would be understood; the *extended* one copes better with a voice that comes and goes. **PESQ**
# (ITU-T P.862) goes from 1 to 4.6, how good a telephone line would sound; its narrow band takes
# 8 kHz, its wide band wants 16. All of it takes time, so it is measured on a **part** of the view,
# and whoever reads the table is told how many mixtures that is, and what is missing and why:

# %%
n_part = min(20, len(views[test]))
part = {test: course_views.frozen_view(test, corpus, n_part)}
table_part = evaluation.evaluate_all({name: systems[name] for name in ("mixture", *shown)}, part,
                                     perceptual=perceptual.NAMES)
figures_of_part = evaluation.overview(table_part).droplevel("view")
print(f"{n_part} of the {len(views[test])} mixtures of {test!r}")
figures_of_part.drop(columns=["silent", "capped", "unmeasured"], errors="ignore").T

# %% [markdown]
# SDRi is usually a few tenths higher, since it forgives more. Never hold one paper's SI-SDRi
# against another's SDRi.
#
# ## Half-time
#
# So much for what a figure is worth. A good place to stop for today; when you come back, *Run all
# above* this line brings everything to where it was.
#
# ## Eight ways to fool yourself
#
# Most of these were found in real projects. None of them crashes.
#
# ### 1 · The level that nobody checks
#
# The network was trained with SI-SNR, which is blind to scale and sign. So it may put out what it
# likes:

# %%
with torch.inference_mode():
    put_out = in_order(model(item["mixture"][None].to(ws.device))[0].cpu(), item)
versions = {"as the network gives it": put_out, "× 1000": 1000 * put_out,
            "× 0.01": 0.01 * put_out, "× −1": -put_out,
            "gains restored": evaluation.match_level(put_out, item["mixture"])}
pd.DataFrame({name: {"level (dB)": audio.rms_db(x).mean().item(),
                     "SI-SDR (dB)": losses.si_snr(x, item["sources"]).mean().item(),
                     "SNR (dB)": losses.snr(x, item["sources"]).mean().item()}
              for name, x in versions.items()}).T.round(1)

# %% [markdown]
# One SI-SDR, and files that range from silence to a blown speaker. The popular repair brings each
# estimate to the *peak* of the mixture; but then they no longer add up to it. The right gains are
# those with which the estimates together come **closest to the mixture**: $\min_g \| x - \sum_i g_i
# e_i \|^2$.
#
# ### Exercise 06.4 · Give the level back (★★★, 10 min)
#
# Write `restore(estimates, mixture)`: every estimate `(source, time)` times its own gain, so that
# their sum is as close to the mixture `(time,)` as it gets. Some networks give one estimate a
# hundred thousand times softer than the other, and that one must survive.
#
# <details><summary>Hint</summary>
#
# `torch.linalg.lstsq(A, b).solution` minimises $\|A g - b\|$; the estimates are the columns of $A$.
# Bring them to unit norm and to `double()` first, or the soft one is taken for zero.
#
# </details>

# %% tags=["exercise"]
def restore(estimates, mixture):
    raise NotImplementedError

# %% tags=["solution"]
def restore(estimates, mixture):
    e = estimates.double()
    e = e / e.norm(dim=-1, keepdim=True)
    gains = torch.linalg.lstsq(e.T, mixture.double()[:, None]).solution      # (source, 1)
    return (gains * e).float()

# %%
check("06.4", restore)

# %% [markdown]
# ### 2 · Old acquaintances
#
# Every training mixture is drawn afresh, so none of them ever comes twice. Then why not test on
# new mixtures of the *same recordings*? Here are such mixtures, drawn by the recipe of the view
# `seen` from the recordings that train, beside the honest views.
#
# **Predict first**: on which of them does the network come closest to the ideal mask?

# %%
recipe = course_views.recipe("seen", corpus, split="train", heard=None, n_mixtures=preset.n_test)
trained_on = views_of.FrozenView(corpus, views_of.freeze(corpus, recipe))
pair = ("Conv-TasNet", "ideal IRM")
both = pd.concat([table[table.system.isin(pair)],
                  *(evaluation.evaluate(systems[name], trained_on, name, "recordings that train",
                                        bss=False) for name in pair)])
short = {view: evaluation.paired_difference(*(rows_of[rows_of.system == name] for name in pair))
         for view, rows_of in both.groupby("view", sort=False)}
pd.Series({view: "{:.1f} ({:.1f} to {:.1f})".format(*gap) for view, gap in short.items()},
          name="Conv-TasNet − ideal IRM, paired (dB)").to_frame()

# %% [markdown]
# The gap to the ideal mask says how well the network did with what it was given; the gain alone
# would also say how hard the mixtures are. A training that draws afresh from many voices learns
# little by heart, so the rows may lie close together. But then somebody adds "a few more
# recordings", and among them, unnoticed, are the speakers of the test. Let it happen to a copy:

# %%
leaky = copy.deepcopy(model).train()
steps = preset.steps_per_epoch // 10 + 1
slipped_in = course_views.recipe(test, corpus, seconds=2.0, seed=99, n_mixtures=steps)
optimiser = torch.optim.Adam(leaky.parameters(), 5e-4)
for one in tqdm(views_of.LiveView(corpus, slipped_in).epoch(0), "a few more recordings"):
    output = leaky(one["mixture"][None].to(ws.device))
    loss = -permutation.pit(output, one["sources"][None].to(ws.device))[0].mean()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(leaky.parameters(), preset.clip)
    optimiser.step()

# %%
small = course_views.test_views(corpus, min(40, preset.n_test))
leak = {(view, name): evaluation.summary(evaluation.evaluate(net, mixtures, name, view, bss=False))
        .text[0] for view, mixtures in small.items()
        for name, net in (("before", model), ("after", leaky))}
pd.Series(leak, name="SI-SDRi (dB)").unstack()[["before", "after"]]

# %% [markdown]
# Seconds of training, not one mixture of the test among them, only its voices. If the figure of
# the test rose and that of the other view did not, nothing was learnt about separating. Who sees
# the test alone writes it into the abstract.
#
# ### Exercise 06.5 · Strangers only (★★, 8 min)
#
# Write `strangers(used, test)`. Both are tables as views have them, one line a source: `used` with
# the columns `split, category, file` (the category is the voice), `test` with `mixture_id,
# category, file`. Return the ids of those test mixtures in which *nobody* was met before. `used`
# has the lines of training *and* of validation.
#
# <details><summary>Hint</summary>
#
# One known voice spoils the whole mixture. `test.groupby("mixture_id")` gives each mixture its
# lines. Did validation have an influence on the network that you test? It chose the checkpoint.
#
# </details>

# %% tags=["exercise"]
def strangers(used, test):
    raise NotImplementedError

# %% tags=["solution"]
def strangers(used, test):
    met = set(used.category)
    return [name for name, lines in test.groupby("mixture_id") if not met & set(lines.category)]

# %%
check("06.5", strangers)

# %% [markdown]
# ### 3 · One permutation for everybody
#
# Outputs have no names (notebook 05), and that is as true in a test as in training. What if a
# script finds out once which output is which, and keeps to it? Or lets every source pick the
# estimate it likes best?

# %%
few = list(items)[:20]
raw = {name: evaluation.separate(model, items[name]["mixture"]) for name in few}     # in any order
useless = {name: torch.stack([items[name]["mixture"], torch.randn(len(items[name]["mixture"]),
                              generator=generator)]) for name in few}


def three_ways(estimates):
    scores = torch.cat([permutation.pairwise(estimates[name][None], items[name]["sources"][None])
                        for name in few])                            # (utterance, estimate, source)
    straight, crossed = scores[:, [0, 1], [0, 1]].mean(-1), scores[:, [1, 0], [0, 1]].mean(-1)
    return {"mixtures that come out crossed": f"{(crossed > straight).sum()} of {len(few)}",
            "each its own order (right)": f"{torch.maximum(straight, crossed).mean():.1f} dB",
            "one order for all": f"{max(straight.mean(), crossed.mean()):.1f} dB",
            "each source its favourite": f"{scores.amax(1).mean():.1f} dB"}


pd.DataFrame({"Conv-TasNet": three_ways(raw), "the mixture, and noise": three_ways(useless)})

# %% [markdown]
# One order for all throws good work away. Favourites look harmless, until a system comes along
# whose second output is useless: both sources choose the first, and nobody finds out.
#
# There is a finer form of it. Choose the order that suits SI-SDR, then *another* one that suits
# SDR, and each figure is flattered in its own way, of two different separations.
#
# ### Exercise 06.6 · One order, two figures (★★, 8 min)
#
# Write `score(si_sdr, sdr)`. Both are `(utterance, estimate, source)` in dB: every estimate
# measured against every source. Return the mean SI-SDR and the mean SDR over everything, each
# utterance in the order that is best for its SI-SDR. The number of sources can be any.
#
# <details><summary>Hint</summary>
#
# `permutation.best_permutation(si_sdr)` gives `(utterance, source)`: the estimate for each source.
# For an utterance `u`, `si_sdr[u, order[u], range(n)]` are its figures.
#
# </details>

# %% tags=["exercise"]
def score(si_sdr, sdr):
    raise NotImplementedError

# %% tags=["solution"]
def score(si_sdr, sdr):
    order = permutation.best_permutation(si_sdr)[:, None]                # (utterance, 1, source)
    return si_sdr.gather(1, order).mean(), sdr.gather(1, order).mean()

# %%
check("06.6", score)

# %% [markdown]
# ### 4 · The tail that nobody counts
#
# Suppose a system works on whole seconds, and drops what remains. Estimate and source then differ
# in length, and somebody cuts both to the shorter one, so that the script runs.

# %%
gains = {"cut to fit": [], "as it was delivered": []}
missing = 0
for name in few:
    x, s, e = items[name]["mixture"], items[name]["sources"], in_order(raw[name], items[name])
    kept = len(x) // corpus.sample_rate * corpus.sample_rate or len(x)        # whole seconds
    missing += len(x) - kept
    cut = metrics.si_sdr_improvement(e[:, :kept], s[:, :kept], x[:kept])
    delivered = metrics.si_sdr_improvement(audio.fit(e[:, :kept], len(x)), s, x)
    gains["cut to fit"].append(cut.mean().item())
    gains["as it was delivered"].append(delivered.mean().item())
total = sum(len(items[name]["mixture"]) for name in few)
print(f"{missing:,} of {total:,} samples are missing: {missing / total:.0%}")
pd.DataFrame(gains).mean().to_frame("mean SI-SDRi (dB)").round(1)

# %% [markdown]
# Cut to fit, the loss is invisible. So the course's measures refuse what does not fit; whoever cuts
# has to do it in full view, and count:

# %%
try:
    metrics.si_sdr(e[:, :-1], s)
except metrics.MetricError as error:
    print(error)

# %% [markdown]
# ### Exercise 06.7 · Every sample (★★, 8 min)
#
# Write `whole(separate, mixture, block)`. `separate` takes exactly `block` samples `(block,)` and
# returns `(source, block)`; anything else it refuses. The mixture `(time,)` has any length, it may
# even be shorter than a block. Return `(source, time)`: every sample of the mixture, separated, and
# not one more.
#
# <details><summary>Hint</summary>
#
# `torch.nn.functional.pad(x, (0, n))` adds n zeros behind; `-len(x) % block` is how many are
# missing. `x.split(block)` cuts, `torch.cat(parts, 1)` joins.
#
# </details>

# %% tags=["exercise"]
def whole(separate, mixture, block):
    raise NotImplementedError

# %% tags=["solution"]
def whole(separate, mixture, block):
    padded = torch.nn.functional.pad(mixture, (0, -len(mixture) % block))
    parts = [separate(part) for part in padded.split(block)]
    return torch.cat(parts, 1)[:, :len(mixture)]

# %%
check("06.7", whole)

# %% [markdown]
# ### 5 · Which way is up, and who comes first?
#
# One project's notes on SDR said "better closer to zero". Take them at their word and rank our
# systems:

# %%
mean_sdr = table[table.view == test].groupby("system").si_sdr.mean()
ranked = pd.DataFrame({"SI-SDR (dB)": mean_sdr.round(2),
                       "place, closest to zero": mean_sdr.abs().rank().astype(int),
                       "place, highest": mean_sdr.rank(ascending=False).astype(int)})
ranked.sort_values("place, closest to zero")

# %% [markdown]
# The winner does nothing. An SDR is a ratio of wanted to unwanted in dB: **higher is better**, 0 dB
# means as much of one as of the other, and a negative one that there is more that does not belong.
#
# The other way to get it backwards is in the call. mir_eval takes the reference first and the
# estimate second, torchmetrics and this course the other way round. **Predict first**: which of
# these figures change when the two change places?

# %%
swapped = {}
for name, x in {"10 dB softer": treated["10 dB softer"], "dull": treated["dull"],
                "with noise": treated["with noise"],
                "Conv-TasNet": outputs["Conv-TasNet"][0]}.items():
    swapped[name] = {(label, way): figure(*pair).item() for label, figure in figures.items()
                     for way, pair in (("right", (x, clean)), ("swapped", (clean, x)))}
pd.DataFrame(swapped).T.round(1)

# %% [markdown]
# SI-SDR is an angle, and an angle looks the same from both sides. The others do not, and nothing in
# their results tells you: the figures remain figures of a decent size. So ask a measure that you do
# not know a question whose answer you know.
#
# ### Exercise 06.8 · Who comes first? (★★★, 12 min)
#
# Write `estimate_first(measure)`. The measure takes two waveforms `(time,)` and returns dB, higher
# is better: an SNR, BSS-eval's SDR or SI-SDR, and you can't see which. Return `True` if it wants the
# estimate first, `False` if the reference, and `None` if the order makes no difference (within a
# hundredth of a dB).
#
# <details><summary>Hint</summary>
#
# Make a source of noise and one estimate of it; measure both ways round. SNR punishes an estimate
# that is too *soft* less than one that is too loud. BSS-eval forgives an estimate every filter of
# past samples, so `s[t] + s[t-1]` is perfect; but to get `s` back from it is hard. One estimate can
# be both.
#
# </details>

# %% tags=["exercise"]
def estimate_first(measure):
    raise NotImplementedError

# %% tags=["solution"]
def estimate_first(measure):
    s = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    soft_and_dull = 0.25 * (s + torch.cat([torch.zeros(1), s[:-1]]))
    one, other = measure(soft_and_dull, s), measure(s, soft_and_dull)
    return None if abs(one - other) < 0.01 else one > other

# %%
check("06.8", estimate_first)

# %% [markdown]
# ### 6 · The mean of what?
#
# Decibels are logarithms of ratios. Average the ratios first and take the logarithm last, and a
# different number comes out. **Predict first**: a higher or a lower one?

# %%
decibels = rows("Conv-TasNet").si_sdr.to_numpy()
ratios = np.sort(10 ** (decibels / 10))[::-1]
best = int(np.ceil(len(ratios) / 10))
print(f"mean of the decibels       {decibels.mean():6.2f} dB")
print(f"decibels of the mean ratio {10 * np.log10(ratios.mean()):6.2f} dB")
share = ratios[:best].sum() / ratios.sum()
print(f"the best {best} of {len(ratios)} sources make up {share:.0%} of the mean ratio")

# %% [markdown]
# A source at 20 dB weighs as much as a hundred at 0 dB: the mean ratio listens to a lucky few. The
# mean of the decibels lets each mixture count once. Papers report that one.
#
# ### Exercise 06.9 · And the winner is (★, 5 min)
#
# Write `winner(ratios)`. It gets `{system: array (utterance,)}` of energy ratios, wanted to
# unwanted, **not** in decibels. Return the name of the best system and its mean in dB.
#
# <details><summary>Hint</summary>
#
# The ratios are ratios of *energies*, so ten times the logarithm. First the logarithm, then the
# mean.
#
# </details>

# %% tags=["exercise"]
def winner(ratios):
    raise NotImplementedError

# %% tags=["solution"]
def winner(ratios):
    means = {name: 10 * np.log10(values).mean() for name, values in ratios.items()}
    return max(means.items(), key=lambda pair: pair[1])

# %%
check("06.9", winner)

# %% [markdown]
# ### 7 · The file is not the tensor
#
# A figure measures the tensor; people hear the file. Take an estimate that is a little too hot,
# write it in three ways, and read it back.

# %%
import tempfile
from pathlib import Path

import soundfile

hot = 1.8 * estimates[0] / estimates[0].abs().max()
wrapped = (32768 * hot).round().long().numpy().astype(np.int16)     # keeps the lowest 16 bits
written = {}
with tempfile.TemporaryDirectory() as out, warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    soundfile.write(f"{out}/wrapped.wav", wrapped, corpus.sample_rate, "PCM_16")
    soundfile.write(f"{out}/float.wav", hot.numpy(), corpus.sample_rate, "FLOAT")
    audio.write(f"{out}/guarded.wav", hot, corpus.sample_rate)
    for file in sorted(Path(out).iterdir()):
        written[file.name] = (soundfile.info(file).subtype, file.stat().st_size, audio.read(file))
print(*(str(warning.message).split("/")[-1] for warning in said))
pd.DataFrame({name: {"samples stored as": kind, "bytes": size, "peak": x.abs().max().item(),
                     "SI-SDR to the tensor (dB)": round(losses.si_snr(x, hot).item(), 1)}
              for name, (kind, size, x) in written.items()}).T

# %%
player({"the tensor": hot, **{name: x for name, (_, _, x) in written.items()}},
       corpus.sample_rate, "What was written")

# %% [markdown]
# The wrapped file is what a bare cast to 16 bits does to a loud estimate. The float file is right,
# twice as large, and too loud for any player that expects ±1. The guarded one has been turned down
# and says so; SI-SDR does not even notice.
#
# ### Exercise 06.10 · Sixteen bits (★★, 8 min)
#
# Write `to_pcm(estimates)`: float estimates `(source, time)` as 16-bit integers, full scale 32767.
# Nothing may clip or wrap round, the estimates must still add up to a multiple of the mixture, and
# what fits already stays as it is.
#
# <details><summary>Hint</summary>
#
# One gain for all sources, from the largest peak among them, and never above 1. `.short()` is the
# 16-bit integer of torch; round before it.
#
# </details>

# %% tags=["exercise"]
def to_pcm(estimates):
    raise NotImplementedError

# %% tags=["solution"]
def to_pcm(estimates):
    gain = 1 / max(1.0, estimates.abs().max().item())
    return (32767 * gain * estimates).round().short()

# %%
check("06.10", to_pcm)

# %% [markdown]
# ### 8 · Equal figures, unequal sound
#
# The last one is no mistake in a script. Here is one voice, spoilt in five ways, and each time just
# as much as makes 10 dB of SI-SDR: by trial, the error is turned up until the figure falls to 10.

# %%
def spoil(source, error, decibels=10.0):
    """The source with as much of the error as brings its SI-SDR down to that figure."""
    low, high = 0.0, 100 * source.norm() / error.norm()
    for _ in range(60):
        middle = (low + high) / 2
        good = metrics.si_sdr(source + middle * error, source) > decibels
        low, high = (middle, high) if good else (low, middle)
    return source + low * error


time_axis = torch.arange(len(clean)) / corpus.sample_rate
late = round(0.15 * corpus.sample_rate)
bins = stft.stft(noise)
blips = stft.istft(bins * (torch.rand(bins.shape, generator=generator) < 0.03), len(clean))
errors = {"hiss": noise, "the other voice": item["sources"][1],
          "hum": torch.sin(2 * torch.pi * 100 * time_axis), "blips": blips,
          "echo": torch.nn.functional.pad(clean, (late, 0))[:-late]}
spoilt = {name: spoil(clean, error) for name, error in errors.items()}
player({"the source": clean, **spoilt}, corpus.sample_rate, "Five times 10 dB")

# %% [markdown]
# **Predict first**, with your ears: which would you rather listen to for an hour, and which would
# you understand best? Then look at what the figures say:

# %%
rate = corpus.sample_rate
absent = perceptual.missing(perceptual.NAMES, rate)
opinions = {label: {name: figure(x, clean).item() for name, x in spoilt.items()}
            for label, figure in figures.items()}
opinions |= {label: {name: perceptual.measure(label, x, clean, rate).item()
                     for name, x in spoilt.items()}
             for label in perceptual.NAMES if label not in absent}
print(*(f"{label} not measured: {why}" for label, why in absent.items()), sep="\n")
pd.DataFrame(opinions).round(2)

# %% [markdown]
# An error of a certain energy is an error of that energy, whether it hides below the voice, talks
# across it or rings on after it. Ears are not made like that. STOI and PESQ, where they are
# installed, were made after ears and tell the five apart, but do they rank them as you did? PESQ
# listens through a telephone, and a telephone lets no low hum pass. Does that make it a smaller
# error?
#
# ### Exercise 06.11 · Ten decibels exactly (★★★, 10 min)
#
# Write `at_si_sdr(source, error, decibels)` without trial: the source `(time,)` plus just so much
# of the error that its SI-SDR is that many dB. The error may well contain some of the source.
#
# <details><summary>Hint</summary>
#
# What part of the error lies along the source counts as source: take it out, as in the picture of
# the arrows. Then SI-SDR is $20 \log_{10}$ of the ratio of two norms, and you know all but one
# number.
#
# </details>

# %% tags=["exercise"]
def at_si_sdr(source, error, decibels):
    raise NotImplementedError

# %% tags=["solution"]
def at_si_sdr(source, error, decibels):
    source = source - source.mean()
    rest = error - error.mean()
    rest = rest - (rest @ source) / source.square().sum() * source       # upright on the source
    return source + 10 ** (-decibels / 20) * source.norm() / rest.norm() * rest

# %%
check("06.11", at_si_sdr)

# %% [markdown]
# ## Ask your ears
#
# Figures foretell what people hear, more or less. To know it, ask people, and don't tell them what
# they are listening to: whoever knows which one is the expensive system, hears it.
#
# ### A, B or X?
#
# Two versions, A and B, and X is one of them. Which? Above, the paired difference told two ideal
# masks apart beyond doubt. Can you? All versions are equally loud, the order and X come from the
# seed, and every answer goes into a file at once, so you can stop and go on another day.

# %% cellView="form"
# @title Who is listening?
LISTENER = "me"  # @param {type: "string"}
SEED = 1  # @param {type: "integer"}

answers_in = ws.folder / "listening"
weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
sounds_of = f"{corpus.folder.name} {test} {weights}"     # another network: the test begins anew
material = {}
for name in list(items)[:4]:                     # the first voice of four mixtures
    x, s = items[name]["mixture"], items[name]["sources"]
    material[name, 0] = {
        "reference": s[0], "anchor": listening.anchor(s[0], corpus.sample_rate), "mixture": x,
        **{system: in_order(evaluation.separate(model, x) if system == "Conv-TasNet"
                            else systems[system](x, s), items[name])[0]
           for system in ("random mask", "Conv-TasNet", "ideal IRM", "ideal IBM", "ideal WFM")}}

# %%
trials = listening.plan_abx(list(material), (a, b), n=12, seed=SEED)
abx = AbxTest(trials, material, corpus.sample_rate, answers_in / "abx.csv", LISTENER, sounds_of)
abx

# %% [markdown]
# When you are through, run the next cell. Half of the answers would be right by tossing a coin; so
# the question is how often a coin does as well as you.

# %%
heard = listening_scores.abx_scores(abx.answers())           # everybody's, not only yours
plots.abx(heard) if len(heard) else print("nobody has listened yet: this picture waits for you")

# %% [markdown]
# Can't tell them apart? Then you have *not* shown that there is no difference. You have shown that
# twelve trials did not find one; that is how much the interval says.
#
# ### Exercise 06.12 · Or was it luck? (★★, 6 min)
#
# Write `guessing(right, n)`: the chance that somebody who tosses a coin gets `right` **or more** of
# `n` answers right.
#
# <details><summary>Hint</summary>
#
# Of the $2^n$ ways in which n coins can fall, `math.comb(n, k)` have exactly k right. Which k count?
#
# </details>

# %% tags=["exercise"]
def guessing(right, n):
    raise NotImplementedError

# %% tags=["solution"]
def guessing(right, n):
    return sum(math.comb(n, k) for k in range(right, n + 1)) / 2**n

# %%
check("06.12", guessing)

# %% [markdown]
# ### How good, from 0 to 100?
#
# **MUSHRA** (ITU-R BS.1534-3) asks that. You hear the reference openly, and below it six versions
# without names. Move every slider: 100 means "just like the reference", and one of them *is* the
# reference. Who doesn't find it did not hear, or did not listen, and is left out afterwards. Another
# one is the **anchor**, which is there to be bad, so that everybody's scale has a bottom. The
# standard takes the sound below 3.5 kHz; of our recordings, which end at 4 kHz, that would be nearly
# all, so the course cuts at 1 kHz: a voice through a wall.

# %%
rated = ["mixture", "random mask", "Conv-TasNet", "ideal IRM"]
mushra_trials = listening.plan_mushra(list(material), rated, seed=SEED)
mushra = MushraTest(mushra_trials, material, corpus.sample_rate, answers_in / "mushra.csv",
                    LISTENER, sounds_of)
mushra

# %%
ratings = mushra.answers()
whose = f"{ratings.listener.nunique()} listeners"
if ratings.empty:                                # so that there is a picture before anyone listened
    measured = table[(table.view == test) & table.system.isin(rated)]
    level = {(row.mixture_id, row.source, row.system): np.clip(20 + 4 * row.si_sdr, 0, 95)
             for row in measured.itertuples()}
    ratings = listening_scores.simulated_ratings(mushra_trials, level)
    whose = "SIMULATED listeners, made from SI-SDR and noise"
kept, left_out = listening_scores.screen(ratings)
print(f"{len(left_out)} left out for missing the hidden reference")
plots.ratings(listening_scores.mushra_scores(kept), f"Ratings by {whose}")

# %% [markdown]
# The intervals are drawn over the sounds. With several listeners, `over="listener"` asks the other
# question: what would *other people* say?
#
# And do the figures foretell it? One dot is one estimate, its SI-SDR and what ears said of it:

# %%
both_ways = listening_scores.with_metric(kept, table[table.view == test])
agreement = listening_scores.rank_correlation(both_ways.si_sdr, both_ways.rating)
print(f"rank correlation {agreement:.2f} over {len(both_ways)} estimates")
plots.ratings_against(both_ways, title=f"SI-SDR against ratings by {whose}")

# %% [markdown]
# If the listeners are simulated, this agreement is a matter of course: their ratings were made from
# SI-SDR. Make them yours, delete nothing, and run the two cells again. Which system do you like
# better, or less, than its figure says?
#
# ## How fast?
#
# A separator that needs an hour for a minute is of little use, whatever its figures. The
# **real-time factor** is compute seconds per second of audio: below 1 keeps up.

# %%
import time

some = torch.cat([items[name]["mixture"] for name in few[:8]]).repeat(8)
ten = some[:10 * corpus.sample_rate]
seconds = []
for _ in range(3):
    started = time.perf_counter()
    evaluation.separate(model, ten)
    seconds.append(time.perf_counter() - started)
length = len(ten) / corpus.sample_rate
factor = min(seconds) / length
print(f"{length:.0f} s of audio in {min(seconds):.2f} s, the best of {len(seconds)} runs")
print(f"real-time factor {factor:.3f}: {1 / factor:.0f} times as fast as the sound")
print(workspace.machine())

# %% [markdown]
# Fast is not the same as *live*: this network listens to the whole recording before it says
# anything.
#
# ## Keep the results
#
# Each mean becomes a **result card**: the figure, its interval, and all it takes to judge it, in a
# file. What a shipped network achieved is never called yours.

# %%
checkpoint = (f"voice_separator {folder.name}, made by notebook 05" if origin == "yours" else
              f"voice_separator, shipped, made by {trained.get('made_by', 'the course')}")


def keep(row):
    is_net = row["system"].startswith("Conv-TasNet")
    measured = rows(row["system"], row["view"]).drop_duplicates("mixture_id").seconds.sum()
    name = "_".join(["06", row["system"], row["metric"], row["view"]])
    facts = dict(parameters=models.count_parameters(model), real_time=factor, origin=origin,
                 seconds=float(trained.get("seconds", 60 * trained.get("minutes", math.nan))),
                 seed=trained.get("seed", 0), preset=str(trained.get("preset", "its own file")),
                 checkpoint=checkpoint) if is_net else dict(
                 kind="bound", seconds=measured, seed=0, preset=preset.name, origin="yours")
    cards.ResultCard.of(row, name=re.sub(r"\W+", "_", name).lower(), data=corpus.folder.name,
                        machine=workspace.machine(), **facts).write(ws.cards)


of_slices = sliced.assign(view=test + ", " + sliced["slice"] + ": " + sliced["value"].astype(str))
for kept_rows in (summary[summary.system != "mixture"], evaluation.summary(table_part, "sdri"),
                  of_slices[of_slices.system == "Conv-TasNet"]):
    for row in kept_rows[kept_rows["n"] > 0].to_dict("records"):
        keep(row)
print(len(list(ws.cards.glob("06_*.json"))), "cards in", ws.cards)
print("all of them on one page:", cards.write_page(ws.cards, "Results of this course, so far"))
cards.read(ws.cards / f"06_conv_tasnet_si_sdri_{test}.json")

# %% [markdown]
# And this is the results table of everything you have measured so far, in this notebook and before:

# %%
board = pd.DataFrame([vars(card) for card in cards.read_all(ws.cards) if ": " not in card.view])
board = board.sort_values(["metric", "data", "view", "mean"], ascending=[False, True, True, False])
board["dB (95 % interval)"] = [f"{card.mean:.1f} ({card.low:.1f} to {card.high:.1f})"
                               for card in board.itertuples()]
board["metric"] = board["metric"].replace({"si_sdri": "SI-SDRi", "sdri": "SDRi"})
columns = ["dB (95 % interval)", "n", "preset", "origin"]
board.set_index(["metric", "data", "view", "system"])[columns]

# %% [markdown]
# ## Your own recording
#
# Two people at your kitchen table, one microphone. There is no true source to measure against, so
# only your ears can judge, and they will be stricter than you expect. These networks come with the
# course; the columns to the right are what they gain on its tests, in dB:

# %%
from sep_helpers import corpora, long_audio, own_recording
from sep_helpers.trained import load, shelf

shelf().set_index("network")

# %% [markdown]
# On Colab, `microphone` records with your browser, `upload` opens the file dialogue; elsewhere the
# microphone is this machine's (`pip install sounddevice`), and a path leads to anything, a phone's
# `.m4a` too. Until you have a recording, this one is made up, and wrong in every way that recordings
# are wrong: stereo, at another rate, in the rain, too loud for its microphone.

# %% cellView="form"
# @title A recording
SOURCE = "made up"  # @param ["made up", "microphone", "upload", "path"]
PATH = ""  # @param {type: "string"}
SECONDS = 10  # @param {type: "integer"}


def made_up(path, rate=44100):
    mixture, sounds = views[test][0]["mixture"], corpora.embedded("sounds")
    rain = sounds.waveform(sounds.select(split="test", category="rain").file.iloc[0])
    outdoors = mixture + 0.3 * rain.repeat(60)[:len(mixture)]
    loud = audio.resample(2 * outdoors / outdoors.abs().max(), corpus.sample_rate, rate)
    audio.write(path, torch.stack([loud, 0.8 * loud]).clamp(-1, 1), rate)
    return path


recording = {"made up": lambda: made_up(ws.folder / "made_up.wav"),
             "microphone": lambda: own_recording.microphone(SECONDS, ws.folder / "own.wav"),
             "upload": lambda: own_recording.upload(ws.folder), "path": lambda: Path(PATH)}[SOURCE]()
print(recording)

# %% [markdown]
# **Predict first.** `two_voices` has only ever heard clean voices. `noisy_voices` went on from there
# in simulated rooms, with rain, dogs and chainsaws behind the voices. Where will the first one put
# the rain?

# %%
for name in ("two_voices", "noisy_voices"):
    separated = own_recording.separate(load(name), recording, ws.folder / "own" / name)
    print(name)
    display(separated.player())
print("\n".join(separated.notes))

# %% [markdown]
# The notes say what was mended and what nobody can mend. A network that has never met noise has
# nowhere to put it but on the voices: compare the two in the table above, on `speech_real_test`,
# which is clean, and on `speech_real_noisy`. And look what a network that has heard synthetic voices
# only makes of real ones: what it has *heard* decides more than how it is built.
#
# ### Minutes
#
# A long recording is cut into chunks, and a network's outputs have no names: in the next chunk the
# same voice may leave by the other door. To see it happen every time, this one throws a coin for
# each chunk. Chunks of 4 s simply put together, and chunks that overlap by a second, joined by what
# they share:

# %%
class Coin(torch.nn.Module):
    """A separator whose outputs change places by chance, from one call to the next."""

    def __init__(self, network):
        super().__init__()
        self.network, self.coin = network, np.random.default_rng(3)
        self.sample_rate, self.n_sources = network.sample_rate, network.n_sources

    def forward(self, mixture):
        estimates = self.network(mixture)
        return estimates.flip(1) if self.coin.random() < 0.5 else estimates


pair = [cut.category for cut in views[test].mixtures[0]]
talk = [torch.cat([corpus.waveform(file) for file in corpus.select(category=voice).file])
        for voice in pair]
length = min(32 * corpus.sample_rate, *map(len, talk))
talk = torch.stack([0.05 * voice[:length] / voice.std() for voice in talk])

coin = Coin(model)
parts = talk.sum(0).split(4 * corpus.sample_rate)
found = {"put together": torch.cat([evaluation.separate(coin, part) for part in parts], 1),
         "joined": long_audio.separate_long(coin, talk.sum(0), chunk_seconds=4, overlap_seconds=1)}

# %%
def first_output(estimates):
    """Second by second: 0 where the first output is the first voice, else 1."""
    second = corpus.sample_rate
    seconds = zip(estimates[0].split(second), *(x.split(second) for x in talk), strict=True)
    return [float((out @ a).abs() < (out @ b).abs()) for out, a, b in seconds]


fig, ax = plt.subplots(figsize=(9, 1.8))
ax.imshow([first_output(x) for x in found.values()], aspect="auto", cmap="cividis", vmin=0, vmax=1,
          extent=(0, len(talk[0]) / corpus.sample_rate, 1.5, -0.5))
ax.set(yticks=[0, 1], yticklabels=found, xlabel="time (s)",
       title="which voice is in the first output: one is dark, the other bright")
plt.show()

# %% [markdown]
# The command line does the same: `python -m sep_helpers separate hour.mp3 --model noisy_voices`.
#
# ### To Audacity
#
# Each voice is a 16-bit WAV of the recording's own rate and length. In Audacity choose *File >
# Import > Audio* and take all of them: they lie below each other, in time to the sample. Mute,
# listen, mix.

# %%
print("recording and voices:", separated.mixture.parent)
print("all in one file:", separated.download())

# %% [markdown]
# ## What to remember
#
# - Higher is better. SI-SDR is the angle between estimate and source; report the improvement over
#   the mixture.
# - A figure needs neighbours: a floor that has learnt nothing, a ceiling that has seen the answer,
#   an interval, and the number it was drawn over. Mixtures are independent, the sources in them are
#   not, and if you mean "other people", the voices are your sample.
# - Two systems on the same mixtures: report the paired difference.
# - Each utterance has its own permutation, one for all figures. Average decibels. Measure every
#   sample, or count what is missing. Listen to the file, not to the tensor.
# - Look at the worst mixture before you look at the mean.
# - Test voices are strangers, every sample is separated, estimates and references stand where the
#   measure wants them. Equal figures can sound unequal: ask ears, blind, and count.
#
# {{nav}}
