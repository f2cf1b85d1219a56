# %% [markdown]
# {{header}}
#
# # 05 · Training with PIT
#
# A network that separates voices is trained here, by you, from nothing: which output belongs to
# which voice, how the loss decides, and how a training survives a runtime that dies.
#
# **You will hear** two voices your own network has pulled apart.
#
# **Goals** · see why a separator needs permutation-invariant training (PIT) · write the loss and
# the loop once by hand · train, be interrupted, resume · keep the best network for notebook 06.
#
# **Needs** · 01 (views), 02 (SI-SNR), 04 (Conv-TasNet).
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# ## The mixtures we train on
#
# A live view draws every epoch afresh from `(seed, epoch, index)`. Nothing is stored, and nothing
# is ever shown to the network twice in quite the same way.

# %%
from itertools import permutations

import pandas as pd
import torch
from torch.utils.data import DataLoader

from sep_helpers import course_views, losses, permutation, plots_results, plots_training
from sep_helpers.checks import check, compare
from sep_helpers.player import player
from sep_helpers.views import collate

preset, corpus = ws.preset, ws.corpus()
train_view = course_views.train_view(corpus, seconds=preset.segment_seconds, speed=preset.speed,
                                     n_mixtures=preset.steps_per_epoch * preset.batch)
val_view = course_views.frozen_view("val", corpus, preset.n_val)

batch = next(iter(DataLoader(train_view.epoch(0), batch_size=4, collate_fn=collate)))
print({name: tuple(value.shape) for name, value in batch.items() if name != "id"})

# %%
first = {"mixture": batch["mixture"][0]}
first |= {f"source {s + 1}": wave for s, wave in enumerate(batch["sources"][0])}
player(first, corpus.sample_rate, "One training mixture and what it is made of")

# %% [markdown]
# ## Which output is which voice?
#
# The network has two outputs. Nobody told it which of the two voices belongs on the first: both
# are just voices. Suppose it separates quite well, but in one mixture of the batch the two come
# out the other way round.
#
# **Predict first**: what will a loss say that compares output 1 with source 1 and output 2 with
# source 2?

# %%
generator = torch.Generator().manual_seed(0)
sources = batch["sources"]
noise = sources.std() * torch.randn(sources.shape, generator=generator)
estimates = sources + 0.2 * noise                       # a decent separation ...
estimates[0] = estimates[0].flip(0)                     # ... swapped in the first mixture

fixed = losses.si_snr(estimates, sources)               # (batch, source)
pd.DataFrame(fixed.numpy(), batch["id"], ["source 1", "source 2"]).astype(float).round(1)

# %% [markdown]
# The first mixture is separated as well as the others, and the loss calls it a disaster. A network
# trained like that is punished for good work, at random, and learns to do nothing.
#
# So first compare **every** estimate with **every** source:
# $M_{es} = \text{SI-SNR}(\hat{x}_e, x_s)$.

# %%
def my_pairwise(estimates, sources):
    """(batch, source, time) twice -> (batch, estimate, source), in dB."""
    return losses.si_snr(estimates[:, :, None], sources[:, None, :])


compare("pairwise", my_pairwise, permutation.pairwise, estimates, sources)
scores = my_pairwise(estimates, sources)
print("scores:", tuple(scores.shape), "= (batch, estimate, source)")

# %%
chosen = permutation.best_permutation(scores)
print("the first mixture's estimates, in the order of its sources:", chosen[0].tolist())
plots_results.matrix(scores[0], chosen=chosen[0], title="The swapped mixture")

# %% [markdown]
# Then try every assignment $\pi$ of estimates to sources, and keep the best one **of each
# utterance** (Kolbæk et al., 2017, eq. 6):
#
# $$\text{PIT} = \max_\pi \frac{1}{S} \sum_s M_{\pi(s)\,s}$$

# %%
def my_pit(estimates, sources):
    """The best mean SI-SNR over all permutations, for each utterance: (batch,)."""
    scores, n = my_pairwise(estimates, sources), sources.shape[1]
    totals = [scores[:, list(order), range(n)].mean(-1) for order in permutations(range(n))]
    return torch.stack(totals, -1).amax(-1)


compare("PIT", my_pit, lambda e, s: permutation.pit(e, s)[0], estimates, sources)
both = {"fixed order (dB)": fixed.mean(-1), "PIT (dB)": my_pit(estimates, sources)}
pd.DataFrame(both, index=batch["id"]).astype(float).round(1)

# %% [markdown]
# ### A fault to remember: one permutation for the whole batch
#
# An older project took the maximum **after** averaging over the batch. That is one line moved, and
# nothing crashes. Swap half of a batch and look at what the two say.

# %%
half = sources + 0.2 * noise
half[: len(half) // 2] = half[: len(half) // 2].flip(1)
scores = my_pairwise(half, sources)
both = torch.stack([scores[:, [0, 1], [0, 1]].mean(-1), scores[:, [1, 0], [0, 1]].mean(-1)])

print(f"per utterance (right): {both.amax(0).mean():6.2f} dB")
print(f"per batch (the fault): {both.mean(1).amax():6.2f} dB")

# %% [markdown]
# ### Exercise 05.1 · The loss (★★, 8 min)
#
# Write `pit_loss(estimates, sources)`: **one number to minimise**, for any number of sources.
#
# <details><summary>Hint</summary>
#
# SI-SNR is better when it is higher, a loss when it is lower. Average over the sources, choose the
# permutation, and only then average over the batch.
#
# </details>

# %% tags=["exercise"]
def pit_loss(estimates, sources):
    raise NotImplementedError

# %% tags=["solution"]
def pit_loss(estimates, sources):
    scores, n = losses.si_snr(estimates[:, :, None], sources[:, None, :]), sources.shape[1]
    totals = [scores[:, list(order), range(n)].mean(-1) for order in permutations(range(n))]
    return -torch.stack(totals, -1).amax(-1).mean()

# %%
check("05.1", pit_loss)

# %% [markdown]
# ### Exercise 05.2 · A permutation or its inverse (★★, 5 min)
#
# `permutation[b, s]` is the number of the estimate that serves source `s` of utterance `b`. Write
# `my_reorder(estimates, permutation)`, which puts the estimates into the order of the sources.
#
# <details><summary>Hint</summary>
#
# `out[s] = estimates[permutation[s]]` and `out[permutation[s]] = estimates[s]` are not the same.
# `torch.gather` does the first for a whole batch.
#
# </details>

# %% tags=["exercise"]
def my_reorder(estimates, permutation):
    raise NotImplementedError

# %% tags=["solution"]
def my_reorder(estimates, permutation):
    return estimates.gather(1, permutation[..., None].expand_as(estimates))

# %%
check("05.2", my_reorder)

# %% [markdown]
# ## The loop, by hand
#
# Forward, loss, backward, clip, step. That is all there is; the rest of this notebook is about not
# losing what it learns. We overfit a small network on the one batch we have: if the loss does not
# fall here, it never will.

# %%
from sep_helpers import models

torch.manual_seed(0)
config = {"name": "conv_tasnet", "N": 64, "L": 32, "B": 32, "H": 64, "Sc": 32, "X": 4, "R": 1,
          "mask": "relu", "n_sources": 2, "sample_rate": corpus.sample_rate}
toy = models.build(models.complete(config))    # what is left out is the paper's
optimizer = torch.optim.Adam(toy.parameters(), lr=3e-3)
curve = []
for _ in range(5 if preset.name == "smoke" else 100):
    loss = -my_pit(toy(batch["mixture"]), batch["sources"]).mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(toy.parameters(), preset.clip)
    optimizer.step()
    curve.append(loss.item())
print(f"loss in the first step {curve[0]:.2f} dB, in step {len(curve)} {curve[-1]:.2f} dB")

# %% [markdown]
# *Why is my loss negative?* Because it is minus a ratio in decibels. Zero is the mixture itself,
# more or less; −10 means that each estimate carries ten times more of its source than of the rest.

# %%
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(9, 3), layout="constrained")
ax.plot(curve)
ax.set(xlabel="step", ylabel="loss = −SI-SNR (dB)", title="Overfitting one batch: the loop works")
plt.close(fig)
fig

# %% [markdown]
# ### Exercise 05.3 · The learning rate (★, 5 min)
#
# Adam's first steps are its least informed. So the rate climbs in a straight line over the first
# `warmup` steps, `(step + 1) / warmup`, and then falls along half a cosine, to zero at `total`.
# Write `factor(step, warmup, total)`, the share of the full rate.
#
# <details><summary>Hint</summary>
#
# Half a cosine from 1 to 0 over $p$ from 0 to 1 is $(1 + \cos \pi p) / 2$, and $p$ counts from the
# end of the warm-up.
#
# </details>

# %% tags=["exercise"]
def factor(step, warmup, total):
    raise NotImplementedError

# %% tags=["solution"]
def factor(step, warmup, total):
    import math
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))

# %%
check("05.3", factor)

# %% [markdown]
# ## Training that survives
#
# A free GPU can vanish at any moment. `training.fit` is the loop above, with validation and a
# checkpoint: not only the weights, but the optimiser, the schedule, the random numbers, the
# position inside the epoch, and the history. A checkpoint is written to a temporary name, read
# back, and only then renamed over the last one.
#
# First a proof on a small scale. The same tiny run twice: once undisturbed, once killed in the
# middle of an epoch and started again. **Predict first**: how different will the two loss
# histories be?

# %%
import tempfile

from sep_helpers import training


class RuntimeDied(Exception):
    """What we do to a training on purpose."""


def die_at(epoch, step):
    def on_step(trainer):
        if (trainer.epoch, trainer.step) == (epoch, step):
            raise RuntimeDied
    return on_step


def tiny_run(folder, on_step=None):
    torch.manual_seed(1)
    model = models.build(toy.config)
    few = course_views.train_view(corpus, seconds=0.5, n_mixtures=16)
    settings = training.Settings(epochs=3, batch=2, warmup=4, save_every=3)
    return training.fit(model, few, val_view, settings, folder, on_step=on_step)

# %%
with tempfile.TemporaryDirectory() as folder:
    unbroken = tiny_run(f"{folder}/unbroken")
    try:
        tiny_run(f"{folder}/killed", die_at(epoch=1, step=5))
    except RuntimeDied:
        print("the runtime died in epoch 2, step 5 of 8")
    resumed = tiny_run(f"{folder}/killed")

figures = ["train_si_snr", "val_si_snr", "grad_norm"]
print("equal to the last bit:", unbroken[figures].equals(resumed[figures]))
unbroken[figures].rename(columns=lambda c: f"{c}, unbroken").join(resumed[figures])

# %% [markdown]
# ### Exercise 05.4 · A checkpoint that is never half there (★★, 8 min)
#
# `write(path, data)` writes bytes to a file, and the runtime may die in the middle of it. Write
# `save(path, data, write)` so that `path` always holds a whole checkpoint: the old one or the new.
#
# <details><summary>Hint</summary>
#
# `os.replace(a, b)` moves a file over another in one step.
#
# </details>

# %% tags=["exercise"]
def save(path, data, write):
    raise NotImplementedError

# %% tags=["solution"]
def save(path, data, write):
    import os
    draft = f"{path}.tmp"
    write(draft, data)
    os.replace(draft, path)

# %%
check("05.4", save)

# %% [markdown]
# ## The real thing
#
# A Conv-TasNet from nothing, on the mixtures above. The preset says how large it is and how long
# it trains; `fit` finds an earlier run in its folder and goes on from there.

# %%
torch.manual_seed(0)
config = {"name": "conv_tasnet", **preset.model, "sample_rate": corpus.sample_rate}
model = models.build(models.complete(config))
settings = training.Settings(epochs=preset.epochs, batch=preset.batch, warmup=preset.warmup,
                             learning_rate=preset.learning_rate, clip=preset.clip,
                             max_minutes=preset.max_minutes)
folder = ws.run_folder(f"voices_{preset.name}_{corpus.folder.name}")
print(f"{models.count_parameters(model):,} parameters, "
      f"{models.receptive_field(model.config) / corpus.sample_rate:.2f} s receptive field")
print(f"{settings.epochs} epochs of {preset.steps_per_epoch} steps, into {folder}")

# %% [markdown]
# In the middle of the second epoch, our runtime "dies".

# %%
from sep_helpers.progress import LiveReport

report = LiveReport(preset.steps_per_epoch, "Until the runtime died")
dies = die_at(epoch=1, step=preset.steps_per_epoch // 2)


def on_step(trainer):
    report.on_step(trainer)
    dies(trainer)


try:
    training.fit(model, train_view, val_view, settings, folder, ws.device, on_step, report.on_epoch)
except RuntimeDied:
    print("the runtime died")

# %% [markdown]
# Everything in memory is gone: `model` is built anew, with fresh random weights. Then the very same
# call. It says where it goes on.

# %%
torch.manual_seed(0)
model = models.build(model.config)
report = LiveReport(preset.steps_per_epoch, "Resumed")
history = training.fit(model, train_view, val_view, settings, folder, ws.device, report.on_step,
                       report.on_epoch)

# %% [markdown]
# The curve goes on as if nothing had happened. It can be drawn at any time from the run's folder
# alone, also while another kernel is training into it:

# %%
from sep_helpers import runs

plots_training.history(runs.history(folder), title=f"Your network, preset {preset.name}")

# %% [markdown]
# To train on, raise `epochs` and start a new folder; to start over, delete the folder. A folder
# that holds another network's run is refused, with the difference shown:

# %%
from sep_helpers.checkpoints import CheckpointError

other = models.build({**model.config, "R": model.config["R"] + 1})
try:
    training.fit(other, train_view, val_view, settings, folder)
except CheckpointError as error:
    print(error)

# %% [markdown]
# ## Listen
#
# The best epoch, not the last one, is the network we keep.

# %%
from sep_helpers import checkpoints, evaluation

best = checkpoints.load(folder / "best.pt")
model.load_state_dict(best["model"])
model.to("cpu")
test_views = course_views.test_views(corpus, preset.n_test)
item = next(iter(test_views.values()))[0]
estimates = evaluation.separate(model, item["mixture"])
value, order = permutation.pit(estimates[None], item["sources"][None])
before, _ = permutation.pit(item["mixture"].expand_as(estimates)[None], item["sources"][None])
print(f"mean SI-SNR of {item['id']}: {before.item():.1f} dB in the mixture, "
      f"{value.item():.1f} dB separated")

# %%
ordered = permutation.reorder(estimates[None], order)[0]
tracks = {"mixture": item["mixture"]}
for s, (source, estimate) in enumerate(zip(item["sources"], ordered, strict=True), start=1):
    tracks |= {f"source {s}": source, f"estimate {s}": estimate}
player(tracks, corpus.sample_rate, "A mixture it has never heard, and what your network makes of it")

# %% [markdown]
# One mixture is an anecdote. Here is the mean over each test view: `seen` has new sentences of
# voices it trained on, `unseen` has voices it has never met.

# %%
tables = [evaluation.evaluate(model, view, "Conv-TasNet", name, bss=False)
          for name, view in test_views.items()]
summary = evaluation.summary(pd.concat(tables))
plots_results.comparison(summary, title="What your network gains over the mixture")

# %% [markdown]
# ## Keep it
#
# The network goes to the next notebook as an artifact, with a result card that says how it came
# about. Notebook 06 takes it from there, and is less easily impressed.

# %%
from sep_helpers import workspace
from sep_helpers.cards import ResultCard

minutes = history["seconds"].sum() / 60
facts = dict(preset=preset.name, corpus=corpus.folder.name, seed=0, minutes=round(minutes, 2))
ws.save_artifact("voice_separator", lambda f: models.save(model, f / "model.safetensors", **facts),
                 **facts)
for row in summary.to_dict("records"):
    ResultCard.of(row, name=f"05_conv_tasnet_{row['view']}", preset=preset.name, origin="yours",
                  seconds=60 * minutes, machine=workspace.machine(), seed=0,
                  data=corpus.folder.name).write(ws.cards)
summary[["system", "view", "n", "text"]].rename(columns={"text": "SI-SDRi (dB), 95 % interval"})

# %% [markdown]
# ## What to remember
#
# - Outputs have no names. PIT gives each **utterance** its best assignment before the loss is
#   averaged, and the gradient flows through the chosen pairs only.
# - A loss in dB is minus the SI-SNR, so it is negative when things go well.
# - A checkpoint is everything the next step depends on, written whole or not at all. Then a resumed
#   run *is* the unbroken one.
# - Keep the epoch that validation likes best; report what test voices say.
#
# {{nav}}
