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
# the loop once by hand, and look at every part of it · train, be interrupted, resume, on this
# machine, from Drive, on a cluster · search for better settings · keep the best network for 06.
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
print({name: tuple(value.shape) for name, value in batch.items() if torch.is_tensor(value)})

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
# ### When a voice is silent
#
# In a short cut, one of the two may not speak at all. SI-SNR projects onto the source, and nothing
# can be projected onto silence. **Predict first**: what does the formula say of a silent source,
# written as in the paper, and of one that speaks in the first half only?

# %%
def textbook_si_snr(estimate, target):
    """Equations 4 to 6 of the Conv-TasNet paper, and nothing else."""
    e, s = estimate - estimate.mean(-1, True), target - target.mean(-1, True)
    projection = (e * s).sum(-1, True) / s.square().sum(-1, True) * s
    return 10 * torch.log10(projection.square().sum(-1) / (e - projection).square().sum(-1))


half = sources[1, 0].clone()
half[len(half) // 2 :] = 0
targets = {"speaks": sources[1, 0], "speaks half the time": half, "silent": torch.zeros_like(half)}
leak = 0.03 * sources[1, 1]                          # what a network lets through of the other voice
pd.DataFrame({name: {"textbook": textbook_si_snr(target + leak, target).item(),
                     "helper's": losses.si_snr(target + leak, target).item()}
              for name, target in targets.items()}).T.round(1)

# %% [markdown]
# Half a voice is no problem: what counts is the energy of the whole cut. Silence is: the textbook
# formula divides zero by zero, and one NaN in a batch is a NaN in every weight one step later. The
# helper adds a floor of $10^{-8}$ to both energies, so it stays finite. But such a value says nothing
# about how good the estimate is, and in the mean of a batch it outweighs all the others. So the
# training below scores a silent source by what is still let through, from 0 dB (less than a thousandth
# of the mixture's energy) to about −30 (all of it), as Wisdom et al. (2021) do:

# %%
from sep_helpers import objectives

pair = torch.stack([sources[1, 1], torch.zeros_like(half)])[None]         # one voice and a silence
rows = {}
for name, let_through in {"nothing": 0.0, "a little": 0.03, "everything": 1.0}.items():
    guess = torch.stack([sources[1, 1], let_through * sources[1, 1]])[None].requires_grad_()
    scored = objectives.metric("si_snr", pair)(guess, pair)[0, 1]
    scored.backward()
    rows[name] = {"score of the silent source (dB)": scored.item(),
                  "its gradient is finite": bool(guess.grad.isfinite().all())}
pd.DataFrame(rows).T.rename_axis("lets through")

# %% [markdown]
# ## The loop, by hand
#
# Forward, loss, backward, clip, step. That is all there is; the rest of this notebook is about not
# losing what it learns. We overfit a small network on the one batch we have: if the loss does not
# fall here, it never will. The matrix of the first mixture is drawn again and again while it learns.
#
# **Predict first**: what will the matrix look like in the first step, and what in the last?

# %%
from IPython.display import display
from sep_helpers import models

TOY = models.complete({"name": "conv_tasnet", "N": 64, "L": 32, "B": 32, "H": 64, "Sc": 32, "X": 4,
                       "R": 1, "mask": "relu", "n_sources": 2, "sample_rate": corpus.sample_rate})


def new_toy():
    """A small network, always with the same random weights."""
    torch.manual_seed(0)
    return models.build(TOY)


def picture(scores, step):
    return plots_results.matrix(scores[0], chosen=permutation.best_permutation(scores)[0],
                                title=f"Step {step}")

# %%
toy = new_toy()
optimizer = torch.optim.Adam(toy.parameters(), lr=3e-3)
shown, curve, norms = None, [], []
for step in range(5 if preset.name == "smoke" else 101):
    estimates = toy(batch["mixture"])
    loss = -my_pit(estimates, batch["sources"]).mean()
    optimizer.zero_grad()
    loss.backward()
    norms.append(torch.nn.utils.clip_grad_norm_(toy.parameters(), preset.clip).item())
    optimizer.step()
    curve.append(loss.item())
    if step % 20 == 0:
        figure = picture(my_pairwise(estimates.detach(), batch["sources"]), step)
        shown = shown.update(figure) or shown if shown else display(figure, display_id=True)
print(f"loss in the first step {curve[0]:.2f} dB, in the last {curve[-1]:.2f} dB")

# %% [markdown]
# *Why is my loss negative?* Because it is minus a ratio in decibels. Zero is the mixture itself,
# more or less; −10 means that each estimate carries ten times more of its source than of the rest.
#
# Beside the loss: the norm of the gradient **before** clipping. `clip_grad_norm_` shortens a gradient
# that is longer than the limit and leaves its direction, so one strange batch cannot throw the weights
# across the room.

# %%
import matplotlib.pyplot as plt
from sep_helpers import plots_style

plt.rcParams.update(plots_style.STYLE)               # the course's colours and line styles
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.plot(curve)
left.set(xlabel="step", ylabel="loss = −SI-SNR (dB)", title="Overfitting one batch")
right.semilogy(norms, color="C1")
right.axhline(preset.clip, color="black", linestyle="--", label="limit")
right.set(xlabel="step", ylabel="norm", title="Gradient before clipping")
right.legend()
plt.close(fig)
fig

# %% [markdown]
# ## Gradient accumulation
#
# The paper's network at a batch of 16 does not fit into every GPU. Four batches of 4 do, one after
# the other: `backward()` **adds** to the gradients that are there, so call it four times, then step
# once. The gradient of a mean is the mean of the gradients, if each loss is divided by four.

# %%
from sep_helpers import memory


def gradient(batches):
    """The gradient of the mean loss over batches of one size, collected one by one."""
    toy.zero_grad()
    for mixture, sources in batches:
        (-my_pit(toy(mixture), sources).mean() / len(batches)).backward()
    return torch.cat([p.grad.flatten() for p in toy.parameters()])


at_once = gradient([(batch["mixture"], batch["sources"])])
one_by_one = gradient(list(zip(batch["mixture"].split(1), batch["sources"].split(1), strict=True)))
print(f"they differ by {(at_once - one_by_one).norm() / at_once.norm():.1e} of their length")
for size in (4, 1):
    kept = memory.kept_bytes(toy, batch["mixture"][:size]) / 2**20
    print(f"a batch of {size} keeps {kept:.1f} MB for its backward pass")

# %% [markdown]
# What it is worth: memory, and the same steps as with the big batch. What it is not worth: time. Four
# small passes take at least as long as one big one. And a network with **batch norm** sees four small
# batches, not a big one: there the two are *not* the same. (gLN and cLN look at one utterance at a
# time.)
#
# ### Exercise 05.3 · The right divisor (★★, 10 min)
#
# Write an epoch that collects gradients over groups of `accumulate` batches. `loss_of(batch)` gives
# the mean loss of a batch, `update()` moves the weights and clears the gradients. Each update should
# follow the mean loss of its group. Mind the end of the epoch.
#
# <details><summary>Hint</summary>
#
# Ten batches in groups of four: 4, 4 and 2. What should the losses of the last group be divided by?
#
# </details>

# %% tags=["exercise"]
def my_epoch(batches, accumulate, loss_of, update):
    raise NotImplementedError

# %% tags=["solution"]
def my_epoch(batches, accumulate, loss_of, update):
    for first in range(0, len(batches), accumulate):
        group = batches[first : first + accumulate]
        for batch in group:
            (loss_of(batch) / len(group)).backward()
        update()

# %%
check("05.3", my_epoch)

# %% [markdown]
# ## The learning rate over time
#
# The package knows four schedules. All begin with a warm-up; `plateau` depends on what validation
# says, so here it stands still from the third epoch on, and the schedule notices.

# %%
from sep_helpers import optimisers, training

fig, ax = plt.subplots(figsize=(9, 3))
for name, style in zip(("warmup_cosine", "constant", "halving", "plateau"), ("-", ":", "-.", "--"), strict=True):
    asked = training.Settings(epochs=10, learning_rate=1.0, warmup=20, schedule=name,
                              plateau_patience=1)
    weights = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    schedule, rates = optimisers.Schedule(weights, asked, updates_per_epoch=30), []
    for epoch in range(asked.epochs):
        for _ in range(30):
            rates.append(weights.param_groups[0]["lr"])
            schedule.step()
        schedule.end_epoch(float(min(epoch, 2)))
    ax.plot(torch.arange(len(rates)) / 30, rates, linestyle=style, label=name)
ax.set(xlabel="epoch", ylabel="share of the full rate", title="Four schedules")
ax.legend()
plt.close(fig)
fig

# %% [markdown]
# ### Exercise 05.4 · The learning rate (★, 5 min)
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
check("05.4", factor)


# %% [markdown]
# ## `train()`, `eval()`, `no_grad()`
#
# Three switches that are taken for one another. Batch norm and dropout behave differently in training
# and evaluation; building the graph for the gradient is a matter of its own. **Predict first**: in
# which of the four rows is the answer the same twice, and in which is memory kept for a `backward()`
# that never comes?

# %%
from torch import nn

net = nn.Sequential(nn.Conv1d(1, 8, 9), nn.BatchNorm1d(8), nn.Dropout(0.2))
x, rows = batch["mixture"][:, None], []
for mode in ("train()", "eval()"):
    for grad in ("with", "no_grad()"):
        net.train(mode == "train()")
        mean = net[1].running_mean.clone()
        with torch.set_grad_enabled(grad == "with"):
            first, second = net(x), net(x)
        rows.append({"mode": mode, "gradient": grad, "same answer twice": first.equal(second),
                     "builds a graph": first.requires_grad,
                     "changes batch norm's mean": not mean.equal(net[1].running_mean)})
pd.DataFrame(rows)

# %% [markdown]
# `eval()` does **not** replace `no_grad()`: it builds the graph all the same. `no_grad()` does not
# replace `eval()`: dropout goes on, and a validation pass changes what batch norm remembers. One thesis
# validated without `eval()`; a widely copied implementation called `eval()` once and never `train()`
# again. Neither raises an error.
#
# ### Exercise 05.5 · Averaged over what? (★, 5 min)
#
# The thesis also reported the *sum* over a batch as its loss: with twice the batch it doubles, and two
# runs cannot be compared. Here is the quieter form of the mistake. An epoch's batches had the mean
# values `values` (dB) and `sizes` mixtures each; the last is smaller.
# Write `epoch_mean(values, sizes)`, the mean over the mixtures.
#
# <details><summary>Hint</summary>
#
# The mean of the batches' means gives a mixture in a small batch more weight than one in a full batch.
#
# </details>

# %% tags=["exercise"]
def epoch_mean(values, sizes):
    raise NotImplementedError

# %% tags=["solution"]
def epoch_mean(values, sizes):
    return sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)

# %%
check("05.5", epoch_mean)

# %% [markdown]
# ### Exercise 05.6 · Validate (★★, 10 min)
#
# Write `my_validate(model, batches)`: the mean SI-SNR over all mixtures, each with its best
# permutation (`permutation.pit`); a batch is a dict with `mixture` and `sources`. Leave the model in
# the mode in which it came.
#
# <details><summary>Hint</summary>
#
# Four things: `eval()`, no graph, a mean over mixtures, and `model.train(was_training)` at the end.
#
# </details>

# %% tags=["exercise"]
def my_validate(model, batches):
    raise NotImplementedError

# %% tags=["solution"]
def my_validate(model, batches):
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        values = [permutation.pit(model(batch["mixture"]), batch["sources"])[0] for batch in batches]
    model.train(was_training)
    return torch.cat(values).mean().item()

# %%
check("05.6", my_validate)

# %% [markdown]
# ## With PIT, and without
#
# One batch proves little: even a fixed order can be learnt by heart. So now the same loop on mixtures
# that are new in every step, with a look at the same validation mixtures after each epoch: their
# SI-SNR, and which permutation each of them chose. Where that is not the one of the epoch before, the
# mixture has **swapped**.

# %%
toy_epochs, toy_steps = (2, 2) if preset.name == "smoke" else (10, 40)
toy_view = course_views.train_view(corpus, seconds=1.0, n_mixtures=4 * toy_steps)
toy_val = collate([val_view[i] for i in range(min(16, len(val_view)))])


@torch.inference_mode()
def look(model, before=None):
    """(a row of figures on the validation mixtures, the permutation of each)."""
    model.eval()
    estimates, sources = model(toy_val["mixture"]), toy_val["sources"]
    value, order = permutation.pit(estimates, sources, lengths=toy_val["lengths"])
    louder = objectives.energy(permutation.reorder(estimates, order)) / objectives.energy(sources)
    swapped = float("nan") if before is None else (order != before).any(1).float().mean().item()
    return {"SI-SNR (dB)": value.mean().item(), "swapped (%)": 100 * swapped,
            "too loud by (dB)": 10 * louder.log10().mean().item()}, order

# %%
def by_hand(loss_of, average=None):
    """Train a small network with a loss; one row an epoch. `average` gets its weights each step."""
    model, rows, order = new_toy(), [], None
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(toy_epochs):
        model.train()
        for batch in DataLoader(toy_view.epoch(epoch), batch_size=4, collate_fn=collate):
            loss = loss_of(model(batch["mixture"]), batch["sources"])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), preset.clip)
            optimizer.step()
            if average is not None:
                average.update_parameters(model)
        row, order = look(model, order)
        if average is not None:
            row["averaged"] = look(average.module)[0]["SI-SNR (dB)"]
        rows.append({"epoch": epoch + 1} | row)
    return pd.DataFrame(rows)

# %% [markdown]
# **Predict first**: the network without PIT is told to put "source 1" on its first output. Which
# voice is source 1 was drawn by lot. How often will its validation mixtures swap?
#
# (Along with the first run we keep an **average of its weights**; you will see below what it is
# worth.)

# %%
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

average = AveragedModel(new_toy(), multi_avg_fn=get_ema_multi_avg_fn(0.98))
with_pit = by_hand(lambda e, s: -permutation.pit(e, s)[0].mean(), average)
without = by_hand(lambda e, s: -losses.si_snr(e, s).mean())

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
for name, table, look_of in (("PIT", with_pit, "o-"), ("fixed order", without, "s--")):
    left.plot(table["epoch"], table["SI-SNR (dB)"], look_of, label=name)
    right.plot(table["epoch"], table["swapped (%)"], look_of, label=name)
left.axhline(0, color="grey", linestyle=":", label="the mixture itself")
left.set(xlabel="epoch", ylabel="validation SI-SNR (dB)", title="What is learnt")
right.set(xlabel="epoch", ylabel="mixtures (%)", title="Which swap their order", ylim=(0, 100),
          xticks=with_pit["epoch"])
left.legend()
plt.close(fig)
fig

# %% [markdown]
# The fixed order is measured generously, with the best permutation, and still goes nowhere: whatever
# it learns from one mixture, the next one takes back. Its outputs have no roles, so its best
# permutation is little more than a toss of a coin. With PIT the outputs take on roles of their own (a higher and a
# lower voice, often), and most mixtures keep their order.
#
# Most, not all. **PIT's critics** (Yang et al., "Interrupted and cascaded permutation invariant
# training", 2019, arXiv 1910.12706) start from the picture on the right: as long as mixtures swap, the
# network is pulled one way in one epoch and the other way in the next. They train with PIT, then keep
# the permutations that one epoch chose as fixed labels for a while, then return to PIT, and gain
# clearly. Note what that needs: a fixed set of mixtures. With mixtures drawn afresh, as here, no label
# outlives its epoch. The helper writes the swap rate of every epoch into the history, so you can
# watch it.
#
# ## An average of the weights
#
# With a constant learning rate the weights do not come to rest; they wander around a good place. Their
# exponential average (EMA) is calmer. It costs a second set of weights and no gradient. The schedules
# that end at zero do much the same, so don't expect to gain twice.

# %%
fig, ax = plt.subplots(figsize=(9, 3))
ax.plot(with_pit["epoch"], with_pit["SI-SNR (dB)"], "o--", label="weights of each epoch's end")
ax.plot(with_pit["epoch"], with_pit["averaged"], "o-", label="their average so far (EMA 0.98)")
ax.set(xlabel="epoch", ylabel="validation SI-SNR (dB)", title="One training, two sets of weights")
ax.legend()
plt.close(fig)
fig

# %% [markdown]
# ## SI-SNR, SNR or MSE?
#
# PIT works over any measure. Here is the same loop, the same data, the same first weights, with three
# objectives. **Predict first**: all three networks are judged by SI-SNR. Which one's output will be at
# the wrong level?

# %%
def mse(estimate, target, lengths=None):
    """Minus the mean squared error, so that higher is better, like the others."""
    return -(estimate - target).square().mean(-1)


tables = {"SI-SNR": with_pit}
for name, metric in (("SNR", losses.snr), ("MSE", mse)):
    tables[name] = by_hand(lambda e, s, metric=metric: -permutation.pit(e, s, metric)[0].mean())
ends = pd.DataFrame({name: table.iloc[-1] for name, table in tables.items()}).T
ends[["SI-SNR (dB)", "too loud by (dB)"]].rename_axis("trained with").round(1)

# %%
fig, ax = plt.subplots(figsize=(9, 3))
for (name, table), look_of in zip(tables.items(), ("o-", "s--", "^-."), strict=True):
    ax.plot(table["epoch"], table["SI-SNR (dB)"], look_of, label=f"trained with {name}")
ax.set(xlabel="epoch", ylabel="validation SI-SNR (dB)", title="Three objectives, one measure")
ax.legend()
plt.close(fig)
fig

# %% [markdown]
# SI-SNR does not see the level, so nothing holds the level; notebook 04 repairs that afterwards. SNR
# and MSE hold it, and so have more to learn, which shows in a training this short. MSE counts energy, not
# decibels: a loud mixture weighs more than a soft one, and near-silence weighs nothing. (A little too
# soft is no accident: what is unsure is best left out.) These are small networks and one seed each:
# differences of a few tenths of a dB mean nothing.
#
# ## Half the bits
#
# A GPU multiplies 16-bit numbers several times as fast. There are two kinds. `float16` has fine steps
# and a short range, `bfloat16` the range of `float32` and coarse steps. **Colab's T4 knows `float16`
# only**: `bfloat16` is emulated there, and slower than `float32`. On an A100 or H100 take `bfloat16`.

# %%
kinds = {kind: getattr(torch, kind) for kind in ("float32", "float16", "bfloat16")}
rows = {}
for name, kind in kinds.items():
    soft = (0.0005 * sources[1:2]).to(kind)                   # the same voices, 66 dB softer
    noisy = (soft.float() + 0.1 * soft.float().flip(1)).to(kind)
    rows[name] = {"largest": torch.finfo(kind).max, "smallest (normal)": torch.finfo(kind).tiny,
                  "step after 1": torch.finfo(kind).eps,
                  "1e-8, the floor": torch.tensor(1e-8, dtype=kind).item(),
                  "SI-SNR of soft voices (dB)": losses.si_snr(noisy, soft).mean().item()}
pd.DataFrame(rows).T.map("{:.3g}".format)

# %% [markdown]
# The true value is the one of `float32`. In `float16` the squares of soft samples vanish, and so does
# the floor. Hence the rule: **norms and the loss stay in `float32`**, only the convolutions go down.
# Gradients are small as well. So the loss is multiplied by a large **scale** before `backward()`, and
# the gradients are divided by it again in `float32`, before clipping:

# %%
gradient_value, scale = 1e-8, 2.0**16
print("as float16:           ", torch.tensor(gradient_value).half().item())
scaled = torch.tensor(gradient_value * scale).half()
print("scaled, then unscaled:", scaled.float().item() / scale)

# %% [markdown]
# If a scaled gradient overflows, the step is skipped and the scale halved. All this is
# `training.Settings(precision="auto")`: `float16` with a scaler on a T4, `bfloat16` where it is
# native, `float32` on a CPU, where 16 bits are slower.

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
import shutil
import tempfile
from pathlib import Path


class RuntimeDied(Exception):
    """What we do to a training on purpose."""


def die_at(epoch, step):
    def on_step(trainer):
        if (trainer.epoch, trainer.step) == (epoch, step):
            raise RuntimeDied
    return on_step


few_val = course_views.frozen_view("val", corpus, 8)


def tiny_run(folder, on_step=None):
    torch.manual_seed(1)
    few = course_views.train_view(corpus, seconds=0.5, n_mixtures=16)
    settings = training.Settings(epochs=3, batch=2, warmup=4, save_every=3, save_share=1.0)
    return training.fit(models.build(TOY), few, few_val, settings, folder, on_step=on_step)

# %%
place = Path(tempfile.mkdtemp())
unbroken = tiny_run(place / "unbroken")
try:
    tiny_run(place / "killed", die_at(epoch=1, step=5))
except RuntimeDied:
    print("the runtime died in epoch 2, step 5 of 8")
resumed = tiny_run(place / "killed")

figures = ["train_si_snr", "val_si_snr", "grad_norm"]
print("equal to the last bit:", unbroken[figures].equals(resumed[figures]))
unbroken[figures].rename(columns=lambda c: f"{c}, unbroken").join(resumed[figures])

# %% [markdown]
# ### Exercise 05.7 · A checkpoint that is never half there (★★, 8 min)
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
check("05.7", save)


# %% [markdown]
# ### A second home: Drive
#
# On Colab the disk dies with the runtime. Google Drive stays, but it is a network behind a folder: it
# gets full, it is slow, it disconnects in the middle ("Transport endpoint is not connected"), and a
# rename there is not atomic. So we train on the local disk, and copy. A copy gets a new name with its
# number and its checksum, is read back, and only then are older copies dropped: the last two and the
# best stay. With `KEEP_ON_DRIVE` ticked, that is what happens to your runs. Here a folder plays Drive:

# %%
from sep_helpers import drive_mirror


def with_second_home(local, drive):
    """A run folder on the local disk, to be copied to a folder on Drive."""
    local.mkdir(parents=True, exist_ok=True)
    drive_mirror.mark(local, drive / "runs" / local.name, root=drive)
    return local


def show(folder):
    for file in sorted(folder.rglob("*.pt*")):
        print(f"  {file.relative_to(place)}   {file.stat().st_size / 1024:.0f} KB")


drive = place / "drive"
drive.mkdir()
try:
    tiny_run(with_second_home(place / "runtime_1" / "run", drive), die_at(epoch=2, step=7))
except RuntimeDied:
    print("the runtime died in epoch 3, step 7 of 8; on its own disk and on Drive lie")
show(place / "runtime_1")
show(drive)

# %% [markdown]
# Now its disk is wiped. A new runtime, with an empty disk, finds the run on Drive, as it was at the end
# of the last epoch. **Predict first**: is the history still the unbroken one, to the bit?

# %%
shutil.rmtree(place / "runtime_1")
again = tiny_run(with_second_home(place / "runtime_2" / "run", drive))
print("the same history:", again[figures].equals(unbroken[figures]))

# %% [markdown]
# And when Drive itself goes away in the middle of a training? **Predict first**: does the training
# stop?

# %%
def unplug(trainer):
    if (trainer.epoch, trainer.step) == (0, 4) and drive.exists():
        drive.rename(place / "drive_is_gone")


on_without = tiny_run(with_second_home(place / "runtime_3" / "other_run", drive), unplug)
print("the same history:", on_without[figures].equals(unbroken[figures]))

# %% [markdown]
# ### One config, three places
#
# The thesis trained on Colab and on its school's cluster. Two places invite two sets of scripts, and
# then nobody knows whether like was compared with like. So here is **one** description of a training, a
# YAML file, and one loop below it. It runs on a CPU, a GPU, several GPUs, several machines (Hugging
# Face `accelerate` hands out the work), and a run folder can move between them at any checkpoint.

# %%
import yaml

from sep_helpers import experiment

config = {"model": TOY, "data": {"seconds": 0.5, "n_mixtures": 16, "n_val": 8},
          "training": {"epochs": 4, "batch": 2, "warmup": 4}}
file, moving = place / "tiny.yaml", place / "moving"
file.write_text(yaml.safe_dump(config, sort_keys=False))
print(file.read_text())
try:
    experiment.train(file, moving, device="cpu", on_step=die_at(epoch=1, step=3))
except RuntimeDied:
    print("so far in this notebook; the rest elsewhere")

# %% [markdown]
# Elsewhere is a command line: another process, on a cluster another machine. It needs the run's folder
# and nothing else.

# %%
import subprocess
import sys


def shell(*words):
    """Run the course's command line in a process of its own and print what it says."""
    done = subprocess.run([sys.executable, "-m", "sep_helpers", *map(str, words)], text=True,
                          cwd=workspace.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)


shell("resume", moving)

# %% [markdown]
# And back: the notebook finds the run finished and has its whole history.

# %%
history = experiment.train(file, moving, device="cpu")
plots_training.from_folders(moving)

# %% [markdown]
# On a cluster the same line stands in a job's script. This one asks for two GPUs, stops in time before
# the scheduler would kill it, and puts itself into the queue again until nothing is left:

# %%
print((workspace.ROOT / "assets" / "trainings" / "train.slurm").read_text())

# %% [markdown]
# Two GPUs in one notebook, as on Kaggle: restart the kernel and run this **in place of** the set-up
# cell, from the course's folder.
#
# ```
# %cd /content/source-separation-course
# from accelerate import notebook_launcher
# from sep_helpers import experiment
#
# asked = ("assets/trainings/train.yaml", "work/runs/two_gpus")
# notebook_launcher(experiment.train, asked, num_processes=2)
# ```
#
# Its processes are forked from the kernel, and a GPU that the kernel has already spoken to cannot be
# handed on like that. The set-up cell asks for its name, a training uses it: after either, the launcher
# refuses. The batch in the config is the *global* one, so two processes make the same steps as one.
# (Parameters that never get a gradient, such as the residual convolution of the last block, stop a naive
# `DistributedDataParallel`: it waits for gradients that never come. The helper leaves them out.)
#
# ## Search
#
# Which learning rate? How deep a network? A search tries points at random and stops the poor ones
# early: after its first epoch a trial goes on only if it is among the best third so far, and so on
# after the third (successive halving).
# Its storage is a journal in its folder, so several workers can share it, and one that dies loses
# nothing. At a larger scale it is `python -m sep_helpers search config.yaml`.
#
# **Predict first**: which of the two matters more here, the learning rate or the number of blocks?

# %%
from sep_helpers import plots_search, search, search_work

asked = search.Search.of({
    "model": TOY, "training": {"epochs": 3, "batch": 4, "warmup": 5},
    "data": {"seconds": 0.5, "n_mixtures": 8 if preset.name == "smoke" else 80, "n_val": 8},
    "search": {"trials": 8, "factor": 3, "keys": {
        "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "model.X": [1, 2, 4]}}})
searching = ws.run_folder(f"search_{preset.name}")
search_work.work(searching, asked, experiment.train)
board = search_work.board(searching)
board.round(4)

# %%
plots_search.parallel(board)

# %%
plots_search.halving(search_work.curves(searching), board)

# %%
plots_search.importance(search_work.importance(searching))

# %% [markdown]
# Eight trials of a few seconds prove nothing about real trainings. They prove that the search works,
# and how to read its pictures. Notice what halving assumes: that who leads early leads late. A small
# learning rate starts slowly, and is stopped for it.

# %% [markdown]
# ## The real thing
#
# A Conv-TasNet from nothing, on the mixtures above. The preset says how large it is and how long
# it trains; `fit` finds an earlier run in its folder and goes on from there.

# %%
torch.manual_seed(0)
model = models.build(models.complete({"name": "conv_tasnet", **preset.model, "n_sources": 2,
                                      "sample_rate": corpus.sample_rate}))
settings = training.Settings(epochs=preset.epochs, batch=preset.batch, warmup=preset.warmup,
                             learning_rate=preset.learning_rate, clip=preset.clip,
                             max_minutes=preset.max_minutes, precision="auto")
folder = ws.run_folder(f"voices_{preset.name}_{corpus.folder.name}")
facts = {"origin": "yours", "preset": preset.name, "corpus": str(corpus.folder),
         "n_val": preset.n_val}
print(f"{models.count_parameters(model):,} parameters, "
      f"{models.receptive_field(model.config) / corpus.sample_rate:.2f} s receptive field")
print(f"{settings.epochs} epochs of {preset.steps_per_epoch} steps, into {folder}")

# %% [markdown]
# In the middle of the second epoch, our runtime "dies". Below the line that says where it stands you
# see the pairwise matrix of the newest mixture.

# %%
from sep_helpers.events import EventLog
from sep_helpers.progress import LiveReport, Together

report = LiveReport(preset.steps_per_epoch, "Until the runtime died", matrix=True)
dies = die_at(epoch=1, step=preset.steps_per_epoch // 2)


def on_step(trainer):
    report.on_step(trainer)
    dies(trainer)


try:
    training.fit(model, train_view, val_view, settings, folder, ws.device, on_step, report.on_epoch,
                 facts=facts)
except RuntimeDied:
    print("the runtime died")

# %% [markdown]
# Everything in memory is gone: `model` is built anew, with fresh random weights. Then the very same
# call. It says where it goes on.

# %%
torch.manual_seed(0)
model = models.build(model.config)
report = LiveReport(preset.steps_per_epoch, "Resumed", matrix=True)
with EventLog(folder) as events:
    watch = Together(report, events)
    history = training.fit(model, train_view, val_view, settings, folder, ws.device, watch.on_step,
                           watch.on_epoch, facts=facts)

# %% [markdown]
# The curve goes on as if nothing had happened. It can be drawn at any time from the run's folder
# alone, also while another kernel is training into it:

# %%
plots_training.from_folders(folder)

# %% [markdown]
# The same curves in TensorBoard, if you like it, in a cell of its own:
#
# ```
# %load_ext tensorboard
# %tensorboard --logdir {folder.parent}
# ```
#
# To train on, raise `epochs` and say so: `fit(..., resume="settings")` takes the new settings, a lower
# learning rate for instance, and writes down what changed. To start over, say `resume=False`: what was
# there moves into `earlier_1`. A folder that holds **another network's** run is refused, with the
# difference shown. The thesis did not store X and R with its weights, and loaded an X8R4 into an X8R1
# without a word:

# %%
from sep_helpers.checkpoints import CheckpointError

other = models.build({**model.config, "R": model.config["R"] + 1})
try:
    training.fit(other, train_view, val_view, settings, folder)
except CheckpointError as error:
    print(error)

# %% [markdown]
# All your runs, in one table. The columns in the middle are the settings in which they differ.

# %%
from sep_helpers import runs

runs.board(folder.parent).dropna(axis=1).round(4)

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
# - A loss in dB is minus the SI-SNR, so it is negative when things go well. It needs a floor for silence.
# - Accumulate with the group's own divisor; validate with `eval()` **and** without a graph; average over
#   mixtures, not over batches.
# - A checkpoint is everything the next step depends on, written whole or not at all. Then a resumed
#   run *is* the unbroken one, here, from Drive, or on a cluster.
# - Keep the epoch that validation likes best; report what test voices say.
#
# {{nav}}
