# %% [markdown]
# {{header}}
#
# # 00 · Start here
#
# Two people speak at once. You listen, a small network pulls their voices apart, you measure how well
# it did, and you see where this course will take you.
#
# **You will hear** a mixture of two voices, a network's attempt to separate it, and the best that a
# machine which knows the answer can do in the same way.
#
# **Goals**
# - find out whether everything works on this machine
# - hear what *source separation* means, and where it fails
# - know how the notebooks, the exercises and your own results work
#
# **Needs** nothing.
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# A notebook is read from top to bottom: text, then a cell with code, then what came out. **Shift+Enter**
# runs a cell and goes on to the next. Change things and run a cell again; nothing can break, *Runtime →
# Restart* brings everything back.
#
# ## Is everything here?
#
# The cell above has found the course, chosen a *preset* (how big everything is) and a folder for your
# work. This one looks for the packages.

# %%
from importlib.metadata import PackageNotFoundError, version

needed = {"torch": "networks", "numpy": "numbers", "pandas": "tables", "matplotlib": "pictures",
          "soundfile": "sound files", "soxr": "sample rates", "librosa": "features",
          "safetensors": "models", "ipywidgets": "sliders"}
missing = []
for package, purpose in needed.items():
    try:
        print(f"{package:12} {version(package):14} {purpose}")
    except PackageNotFoundError:
        missing.append(package)
        print(f"{package:12} {'MISSING':14} {purpose}")
print()
print("missing: pip install " + " ".join(missing) if missing else "Everything is here.",
      "Networks run on the " + ("GPU." if ws.device.type == "cuda" else "CPU, which is fine."))

# %% [markdown]
# ## Two voices at once
#
# Here is a mixture from this course's test: recordings that no training ever used. Like every
# demonstration, this one is well chosen: of a dozen mixtures we take the one that the network below
# separates best. (Further down you hear the worst.)

# %%
import time

import pandas as pd

from sep_helpers import course_views, evaluation, losses, models, permutation, plots
from sep_helpers.checks import check
from sep_helpers.player import player

corpus = ws.corpus()
tests = course_views.test_views(corpus, 12)
view_name, view = list(tests.items())[-1]
folder = ws.load_artifact("voice_separator")
separator = models.load(folder / "model.safetensors").to(ws.device)

measured = evaluation.evaluate(separator, view, "network", view_name, bss=False)
ranking = measured.groupby("mixture_id").si_sdri.mean().sort_values()
items = {item["id"]: item for item in view}
example = items[ranking.index[-1]]
mixture, sources = example["mixture"], example["sources"]
player({"mixture": mixture}, corpus.sample_rate, "Two voices at once")

# %% [markdown]
# **Listen**: what do the two say? Try to write down both sentences before you go on.
#
# You can follow either voice by *attending* to it. A machine has one row of numbers, and the task of
# turning it into two:

# %%
print("mixture:", tuple(mixture.shape), "numbers,", len(mixture) / corpus.sample_rate, "seconds")
plots.waveforms({"mixture": mixture}, corpus.sample_rate, "What the machine is given")

# %% [markdown]
# ## Let a network try
#
# This network is a small **Conv-TasNet**. In notebook 04 you will take it apart, in notebook 05 you train
# your own, and from then on this notebook takes yours.

# %%
print(f"{models.count_parameters(separator):,} parameters, for {separator.sample_rate} Hz")
for name, value in models.read_card(folder / "model.safetensors").items():
    print(f"  {name}: {value}")

started = time.perf_counter()
estimates = evaluation.separate(separator, mixture)         # (source, time)
print(f"separated in {time.perf_counter() - started:.2f} s:", tuple(estimates.shape))

# %%
player({"mixture": mixture, "estimate 1": estimates[0], "estimate 2": estimates[1]},
       corpus.sample_rate, "The network's two estimates")

# %% [markdown]
# **Listen**: which one is the high voice? Where do you hear the other one leak through? Does something
# *gurgle*? Compare your sentences from above.
#
# ## What was right?
#
# We made the mixture ourselves, by adding two recordings, so the true sources are known. The network has
# no idea which of its outputs we call the first. So we put its estimates into the sources' order, the way
# that fits best (notebook 05 explains how), and listen side by side.

# %%
_, order = permutation.pit(estimates[None], sources[None])
estimates = permutation.reorder(estimates[None], order)[0]
voices = [cut.category for cut in example["cuts"]]

tracks = {}
for voice, source, estimate in zip(voices, sources, estimates, strict=True):
    tracks |= {f"{voice}, true": source, f"{voice}, estimate": estimate}
player(tracks, corpus.sample_rate, "True sources and estimates")

# %% [markdown]
# ## How good is that, in a number?
#
# This course measures in **SI-SNR** (scale-invariant signal-to-noise ratio, in dB; many papers say SI-SDR): how
# much of the wanted voice is in a signal, against everything else in it. Higher is better, and 10 dB more is a
# tenth of the disturbance. Notebook 02 builds it by hand.
#
# Three signals deserve the question: the mixture as it is (*before*), the network's estimate (*after*), and
# for scale an **oracle**: a separation that cheats. It knows the true sources, but may only turn the parts of
# the mixture's spectrogram up and down, like the networks of notebook 03.
#
# **Predict first**: what is the SI-SNR of the mixture, if you want the one voice? And if you want the other?

# %%
oracle = evaluation.oracle_system("irm")(mixture, sources)
scores = pd.DataFrame({"before": losses.si_snr(mixture, sources),
                       "after": losses.si_snr(estimates, sources),
                       "oracle": losses.si_snr(oracle, sources)}, index=voices)
scores["improvement"] = scores.after - scores.before
scores.round(1).rename_axis("SI-SNR in dB")

# %%
tracks = {"mixture": mixture}
tracks |= {f"{voices[0]}, {name}": x for name, x in
           (("network", estimates[0]), ("oracle", oracle[0]), ("true", sources[0]))}
player(tracks, corpus.sample_rate, f"{voices[0]}: from the mixture to the truth")

# %% [markdown]
# In a mixture, what the louder voice is ahead, the softer one is behind: two equal voices would have 0 dB each.
# Every dB above *before* is the network's work. Now try the player's **Blind test**: can you tell network,
# oracle and truth apart when nobody says which is playing?
#
# ## One mixture is no evidence
#
# That was the best of a dozen. Here are all of them, of each kind of test that the recordings allow: **seen**,
# voices that the network has trained with (but other sentences), and **unseen**, voices it has never met.

# %%
systems = {"network": separator, "oracle": evaluation.oracle_system("irm")}
results = pd.concat([evaluation.evaluate(system, view, name, view_name, bss=False)
                     for view_name, view in tests.items() for name, system in systems.items()])
table = evaluation.summary(results)
table[["view", "system", "n", "text"]].rename(columns={"text": "improvement in dB (95 % interval)"})

# %%
plots.comparison(table, oracles=("oracle",), title="Improvement over the mixture")

# %% [markdown]
# The bars are means, the black lines say how far a mean of so few mixtures can be trusted. Notebook 06 makes
# this rigorous, and compares with other people's results.
#
# The recordings that come with the course are **synthetic voices**: free, small, and the same for everybody.
# Real people are harder to separate. For recordings of your own, make a folder with one sub-folder for each
# voice, and run `%env SEP_CORPUS=/path/to/the/folder` in a cell of its own before the others: then every
# notebook works with those.
#
# ## The worst, and the others
#
# `rank` 0 is the mixture that the network separates worst. Listen to it, then to others. Which are hard, and
# why? (The more alike two voices are, the harder. And where the improvement is negative, the network made
# things worse.)

# %%
rank = 0  # @param {type: "slider", min: 0, max: 11}
item = items[ranking.index[min(rank, len(ranking) - 1)]]
guess = evaluation.separate(separator, item["mixture"])
voices = " and ".join(cut.category for cut in item["cuts"])
print(f"{item['id']}: {voices}, improvement {ranking[item['id']]:.1f} dB")
player({"mixture": item["mixture"], "estimate 1": guess[0], "estimate 2": guess[1]},
       corpus.sample_rate, f"{item['id']}: {voices}")

# %% [markdown]
# ## How exercises work
#
# Each exercise has a cell to fill in, a hint and a solution to unfold, and a check that knows the typical
# mistakes. Try it: run the check as it is, then with a wrong answer, then with the right one.
#
# ### Exercise 00.1 · Count (★, 1 min)
#
# A recording is a row of numbers, here 8000 a second (8 kHz). How many numbers are 2.5 seconds?
#
# <details><summary>Hint</summary>
#
# Seconds times numbers per second.
#
# </details>

# %% tags=["exercise"]
samples = ...

# %% tags=["solution"]
samples = 2.5 * 8000

# %%
check("00.1", samples)

# %% [markdown]
# ## How your work is kept
#
# The set-up cell prints where your trainings and results go. On Colab everything is gone when the runtime
# ends, unless you tick **KEEP_ON_DRIVE** in that cell: then your work lies on your own Google Drive, and a
# training that was cut off goes on where it stopped.
#
# **PRESET** chooses how big things are: `smoke` shows in seconds that everything runs, `laptop` takes minutes
# on a CPU, `t4` is for Colab's free GPU, `full` for a night on a large one. `auto` looks at the machine.
#
# ## The map
#
# {{map}}
#
# Every notebook runs on its own: what it needs from an earlier one, it takes from your work if it is there,
# else from what the course brings along, and says which.
#
# ## What to remember
#
# - Separation turns one mixture into its sources. We train and test on mixtures whose sources we know.
# - SI-SNR says in dB how much of the wanted voice there is; what counts is the **improvement** over the
#   mixture, and an **oracle** shows what is within reach.
# - Listen *and* measure. Neither alone is enough.
#
# {{nav}}
