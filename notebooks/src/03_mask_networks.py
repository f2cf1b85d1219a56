# %% [markdown]
# {{header}}
#
# # 03 · Networks that guess the mask
#
# The ideal masks peeked at the answer. Now a network has to guess, from the mixture alone: first one
# frame at a time, then with a memory, then with a view of the whole sentence.
#
# **You will hear** rain without the dog, and the dog without the rain; the same network when it is
# asked for something that has no answer; a voice from a mask that is not allowed to turn around.
#
# **Goals** · build a mask network by hand and train it in seconds · give it a memory (LSTM, DRNN,
# SRNN), attention (a transformer), eyes for the whole picture (convolutions) · know the losses on
# spectrograms, and what each is blind to · tell when an output slot means something and when it
# cannot · read an experiment table without fooling yourself.
#
# **Needs** · 02 (STFT, masks, SI-SNR).
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# ## 1 · A dog in the rain
#
# Voices are hard. We begin with two sounds that nobody confuses: **categories**, each with its own
# kind of file. The recipe asks for one dog and one rain, always in this order (`in_order`), from
# recordings that are for training.

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

from sep_helpers import corpora, losses, masks, models, plots, views
from sep_helpers.checks import check, compare
from sep_helpers.permutation import pit
from sep_helpers.player import player
from sep_helpers.plots_style import COLOURS, STYLE
from sep_helpers.stft import istft, stft

plt.style.use(STYLE)

# %%
sounds = corpora.embedded("sounds")
rate = sounds.sample_rate

def of_two(split, n_mixtures, seed):
    return views.Recipe(name=f"dog_and_rain_{split}", split=split, n_mixtures=n_mixtures, seed=seed,
                        where={"category": ["dog", "rain"]}, in_order=True, seconds=2.0)

training = views.LiveView(sounds, of_two("train", 64, seed=1))
test = views.FrozenView(sounds, views.freeze(sounds, of_two("test", 8, seed=2)))
item = test[0]
names = [cut.category for cut in item["cuts"]]
player({"mixture": item["mixture"]} | dict(zip(names, item["sources"], strict=True)), rate,
       "A mixture of two categories")

# %%
plots.spectrograms({"mixture": item["mixture"]} | dict(zip(names, item["sources"], strict=True)), rate,
                   "What the network is given, and what it is asked for")

# %% [markdown]
# ## 2 · What goes in, what comes out
#
# A **mask network** is a function from a picture to masks:
#
# $$ \text{mixture} \xrightarrow{\text{STFT}} Y \xrightarrow{\text{features}} x
#    \xrightarrow{\text{network}} m_1 \ldots m_N \qquad \hat{S}_i = m_i\,Y
#    \xrightarrow{\text{inverse STFT}} \hat{s}_i $$
#
# The STFT and its inverse have no weights, but gradients flow through them: the loss can be
# measured on the *waveform*, and everything is trained at once. Two things remain to be chosen.
#
# **Features.** Sizes of spectrograms span many powers of ten; a network wants numbers around 1. So
# one takes the logarithm, or leaves the numbers complex and compresses them.

# %%
from sep_helpers.models.mask_network import complex_features, log_magnitude, normalised

Y = stft(item["mixture"] / item["mixture"].square().mean().sqrt())
pd.DataFrame({name: {"values a frame": x.shape[-1], "smallest": x.min().item(),
                     "largest": x.max().item(), "standard deviation": x.std().item()}
              for name, x in {"|Y|": Y.abs().T, "log |Y|": log_magnitude(Y[None])[0],
                              "log |Y|, normalised": normalised(Y[None])[0],
                              "Re, Im of Y": torch.cat([Y.real, Y.imag]).T,
                              "Re, Im, compressed": complex_features(Y[None])[0]}.items()}).round(2)

# %% [markdown]
# The plain sizes reach far beyond their standard deviation: a few loud bins would drown all others.
# *Normalised* takes out of the logarithm what a frequency always has, its mean over the utterance, and
# scales the rest to size 1. It looks like a detail. Section 12 shows what it is worth to two voices.
#
# **Masks.** A sigmoid keeps each between 0 and 1. Let us build the smallest network that deserves
# the name. It looks at *one frame*, 129 numbers, and says two masks for it.

# %%
class FrameNetwork(nn.Module):
    """Mixture (batch, time) -> estimates (batch, 2, time), every frame for itself."""

    def __init__(self, n_freqs=129, hidden=128, n_sources=2):
        super().__init__()
        self.n_sources = n_sources
        self.layers = nn.Sequential(nn.Linear(n_freqs, hidden), nn.ReLU(),
                                    nn.Linear(hidden, n_sources * n_freqs))

    def forward(self, mixture):
        level = mixture.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-8)
        Y = stft(mixture / level)                                       # (batch, freq, frame)
        m = torch.sigmoid(self.layers(log_magnitude(Y)))                # (batch, frame, 2 freq)
        m = m.unflatten(-1, (self.n_sources, -1)).permute(0, 2, 3, 1)   # (batch, 2, freq, frame)
        return level.unsqueeze(1) * istft(m * Y.unsqueeze(1), mixture.shape[-1])

torch.manual_seed(0)
network = FrameNetwork()
print(f"{models.count_parameters(network):,} parameters")
print("in", tuple(item["mixture"][None].shape), " out", tuple(network(item["mixture"][None]).shape))

# %% [markdown]
# The training loop fits on a screen. The loss is minus the SI-SNR, output 1 against the dog, output
# 2 against the rain. **Predict first**: how far can a network come that has no idea what sounded a
# moment ago?

# %%
def train(network, view, steps, lr=3e-3, batch=4, loss=lambda e, s: -losses.si_snr(e, s).mean()):
    """Train by hand; the loss of every step."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    history, epoch = [], 0
    while len(history) < steps:
        loader = torch.utils.data.DataLoader(view.epoch(epoch), batch, collate_fn=views.collate)
        for items in loader:
            value = loss(network(items["mixture"]), items["sources"])
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5)
            optimizer.step()
            history.append(value.item())
        epoch += 1
    return history[:steps]

steps = 8 if ws.preset.name == "smoke" else 160
history = train(network, training, steps)

# %%
fig, ax = plt.subplots(figsize=(9, 2.8))
ax.plot([-v for v in history], color=COLOURS[0])
ax.set(title="A network of one frame, dog and rain", xlabel="step", ylabel="SI-SNR (dB)")
plt.show()

# %%
def gain(network, view):
    """Mean SI-SNR improvement over a view, outputs in their order, in dB."""
    values = []
    for x in view:
        with torch.no_grad():
            estimates = network.eval()(x["mixture"][None])[0]
        values.append((losses.si_snr(estimates, x["sources"])
                       - losses.si_snr(x["mixture"], x["sources"])).mean())
    return torch.stack(values).mean().item()

ideal = torch.stack([(losses.si_snr(masks.oracle("wfm", x["mixture"], x["sources"]), x["sources"])
                      - losses.si_snr(x["mixture"], x["sources"])).mean() for x in test]).mean()
print(f"on files it never met: {gain(network, test):.1f} dB better than the mixture")
print(f"an ideal mask (WFM):   {ideal:.1f} dB")

# %%
with torch.no_grad():
    estimates = network(item["mixture"][None])[0]
player({"mixture": item["mixture"]} | {f"{name}, estimated": e
                                       for name, e in zip(names, estimates, strict=True)}
       | dict(zip(names, item["sources"], strict=True)), rate, "Dog and rain, parted by a network")

# %% [markdown]
# Rain and dog look different in *every* frame, so one frame is enough for much of it. For two voices
# it is not: a single frame of a voice says little about whose it is.
#
# ## 3 · A slot has to mean something
#
# Output 1 was the dog because we said so, and a network can learn what we say if the *input* shows
# which is which. What if it does not? Take the same two sounds, but let chance decide, mixture by
# mixture, which of them is "source 1". **Predict first**: what is the best that the network can do?

# %%
def shuffled(estimates, sources):
    """The same loss, with the sources in a random order for every mixture."""
    order = torch.rand(sources.shape[:2], generator=dice).argsort(1)
    return -losses.si_snr(estimates, sources.gather(1, order[..., None].expand_as(sources))).mean()

def free_order(estimates, sources):
    return -pit(estimates, sources)[0].mean()

dice = torch.Generator().manual_seed(0)
curves = {"the slot means something": history}
for title, loss in {"the slot means nothing": shuffled,
                    "the slot means nothing, PIT": free_order}.items():
    torch.manual_seed(0)
    other = FrameNetwork()
    curves[title] = train(other, training, steps, loss=loss)

# %%
fig, ax = plt.subplots(figsize=(9, 3))
for (title, values), style in zip(curves.items(), ("-", ":", "--"), strict=True):
    ax.plot(pd.Series(values).rolling(8, 1).mean().mul(-1), style, label=title)
ax.set(title="Three trainings of the same network", xlabel="step", ylabel="SI-SNR (dB)")
ax.legend()
plt.show()

# %% [markdown]
# With a meaningless slot the network is punished for every decision it takes, half of the time. The
# least bad answer is to take none: both outputs become the mixture, at 0 dB. **Permutation-invariant
# training** (PIT) asks for the two sounds in *any* order and leaves the order to the network.
#
# So before you design a separator, ask what its outputs are *called*:
#
# | outputs | can a slot be tied? |
# | --- | --- |
# | vocals, drums, bass, other | yes: every song has them, and the sound shows which is which |
# | rain, dog | yes, if every mixture has just these two categories |
# | two of thirty categories | not two slots; thirty slots, most of them silent, would do |
# | speech, noise | yes |
# | speaker 1, speaker 2 | **no**: nothing in the sound says who is first |
#
# For speakers, PIT is not a trick but the only question that has an answer. How it works from the
# inside is the subject of [notebook 05](05_pit_training.ipynb).
#
# ## 4 · Which matching?
#
# PIT tries all orders. A *greedy* matching is cheaper: each estimate in turn takes the source, of
# those left, that is nearest. With numbers in place of sounds, here is a mixture where this goes wrong:

# %%
from sep_helpers.permutation import best_permutation, discriminative, greedy

scores = torch.tensor([[[10.0, 9.0],      # SI-SNR of estimate 1 with source 1, with source 2
                        [9.5, 0.0]]])     # of estimate 2
for kind, choose in {"greedy": greedy, "PIT": best_permutation}.items():
    order = choose(scores)
    print(f"{kind:7} sources 1, 2 are served by estimates {(order[0] + 1).tolist()}: "
          f"{discriminative(scores, order, 0).item():.2f} dB on average")

# %% [markdown]
# Two faults that were found in a real project. The first: the matching was chosen **once for the
# whole batch**. Nobody notices while all mixtures of a batch happen to agree. Let us swap the sources
# of half of them, which must not change a thing:

# %%
def per_batch(estimates, sources):
    """The fault: one order for all, the one that is best on average."""
    pairs = losses.si_snr(estimates.unsqueeze(2), sources.unsqueeze(1))
    straight, crossed = pairs.diagonal(dim1=1, dim2=2).mean(), pairs.flip(2).diagonal(
        dim1=1, dim2=2).mean()
    return -torch.maximum(straight, crossed)

generator = torch.Generator().manual_seed(0)
sources = torch.randn(8, 2, 4000, generator=generator)
guesses = sources + 0.7 * torch.randn(sources.shape, generator=generator)
swapped = sources.clone()
swapped[:4] = sources[:4].flip(1)
pd.DataFrame({"as they are": [per_batch(guesses, sources), -pit(guesses, sources)[0].mean()],
              "half of them swapped": [per_batch(guesses, swapped),
                                       -pit(guesses, swapped)[0].mean()]},
             index=["one order a batch (the fault)", "one order a mixture (PIT)"]).astype(float).round(2)

# %% [markdown]
# The second: a greedy matching that takes the *largest* number is right for a likeness. The project
# handed it a **negated** correlation, a loss, where small is good; so it took the worst match, every
# time. Before a loss meets `argmax`, say aloud which way is up.
#
# ### Exercise 03.1 · One order each (★★, 10 min)
#
# Write `min_loss(D)`: for distances `D`, `(batch, estimate, source)`, the mean distance of the best
# matching *of each mixture*, `(batch,)`. It has to work for any number of sources.
#
# <details><summary>Hint</summary>
#
# `itertools.permutations(range(n))` lists all orders; for one of them, `D[:, range(n), order]` is
# `(batch, n)`.
#
# </details>

# %% tags=["exercise"]
def min_loss(D):
    raise NotImplementedError

# %% tags=["solution"]
def min_loss(D):
    from itertools import permutations

    n = D.shape[-1]
    means = [D[:, range(n), list(order)].mean(1) for order in permutations(range(n))]
    return torch.stack(means).amin(0)

# %%
check("03.1", min_loss)

# %% [markdown]
# ## 5 · Losses on spectrograms
#
# SI-SNR compares waveforms. Older systems compare spectrograms, and it is worth knowing how:
#
# | loss | formula | blind to |
# | --- | --- | --- |
# | euclidean | $\sqrt{\operatorname{mean} \lvert E - S \rvert^2}$ | nothing |
# | correlation | $1 - \rho$ of all real and imaginary parts | the level |
# | magnitude | $\operatorname{mean} (\lvert E \rvert - \lvert S \rvert)^2$ | the phase, and with it the sign |
# | phase-sensitive | $\operatorname{mean} (\lvert E \rvert - \lvert S \rvert \cos \angle(S, E))^2$ | what no real mask can reach |
#
# All have one form here, `f(estimate, target, lengths)`, larger is better, so that PIT works over
# each of them. We do four things to a perfect estimate. **Predict first**: which loss minds what?

# %%
from sep_helpers.spectral_losses import DISTANCES, Spectral

dog, rain = item["sources"][:1], item["sources"][1:]
late = torch.nn.functional.pad(dog, (1, 0))[:, :-1]
done = {"nothing": dog, "twice as loud": 2 * dog, "upside down": -dog, "one sample late": late,
        "with rain at 0 dB": dog + rain * dog.norm() / rain.norm()}
unrelated = rain * dog.norm() / rain.norm()
pd.DataFrame({name: {what: (Spectral(distance)(e, dog) / Spectral(distance)(unrelated, dog)).item()
                     for what, e in done.items()}
              for name, distance in DISTANCES.items()}).abs().round(3)

# %% [markdown]
# (1 is what rain *instead* of the dog would cost.) The magnitude loss does not notice a sign, and
# hardly a delay: kind to a network that only masks, but it does not tell you what you hear.
#
# In a training all of this is one function, `objectives.score`, and two words: the *objective* and the
# *assignment* (`pit`, `greedy`, or `fixed` for slots that mean something). We hide the order of noisy
# estimates of 2, 3 and 5 sources, and ask each objective, with PIT, to find it again.

# %%
from sep_helpers import objectives

def found(objective, n, noise=1.0, batch=8):
    """Share of the mixtures whose order the objective finds again, n sources each."""
    generator = torch.Generator().manual_seed(n)
    sources = torch.randn(batch, n, 2000, generator=generator)
    guesses = sources + noise * torch.randn(sources.shape, generator=generator)
    hidden = torch.stack([torch.randperm(n, generator=generator) for _ in range(batch)])
    guesses = guesses.gather(1, hidden[..., None].expand_as(guesses))
    _, order = objectives.score(guesses, sources, objective=objective, assignment="pit")
    return (hidden.gather(1, order) == torch.arange(n)).all(1).float().mean().item()

pd.DataFrame({f"{n} sources": {name: found(name, n) for name in ("si_snr", *DISTANCES)}
              for n in (2, 3, 5)}).style.format("{:.0%}")

# %% [markdown]
# ### Exercise 03.2 · What a mask can reach (★★, 8 min)
#
# A real mask makes $Y$ longer or shorter and cannot turn it. So the fairest target for $m\,|Y|$ is
# the part of $S$ that lies *along* $Y$. Write `phase_target(S, Y)`: $|S| \cos(\angle S - \angle Y)$ for
# complex pictures `(freq, frame)`, without NaN in silent bins.
#
# <details><summary>Hint</summary>
#
# For complex numbers, $S \bar{Y}$ has the angle $\angle S - \angle Y$ and the size $|S|\,|Y|$.
#
# </details>

# %% tags=["exercise"]
def phase_target(S, Y):
    raise NotImplementedError

# %% tags=["solution"]
def phase_target(S, Y):
    return (S * Y.conj()).real / Y.abs().clamp(min=1e-8)

# %%
check("03.2", phase_target)

# %% [markdown]
# ### Exercise 03.3 · Correlation as a loss (★★, 8 min)
#
# Write `correlation(estimate, source)`: $1 - \rho$ for each row of two batches `(batch, time)`.
# Pearson's $\rho$ is the cosine of the angle between the two, once their means are subtracted. Silence
# must not give NaN.
#
# <details><summary>Hint</summary>
#
# `x - x.mean(-1, keepdim=True)`, then the sum of products over the product of norms, the latter with
# `.clamp(min=1e-8)`.
#
# </details>

# %% tags=["exercise"]
def correlation(estimate, source):
    raise NotImplementedError

# %% tags=["solution"]
def correlation(estimate, source):
    e = estimate - estimate.mean(-1, keepdim=True)
    s = source - source.mean(-1, keepdim=True)
    return 1 - (e * s).sum(-1) / (e.norm(dim=-1) * s.norm(dim=-1)).clamp(min=1e-8)

# %%
check("03.3", correlation)

# %% [markdown]
# ## 6 · A memory: LSTM and BLSTM
#
# A frame alone cannot know that this voice began to speak a second ago. A **recurrent** network
# carries a state from frame to frame; two of them, one in each direction, see the whole sentence.
# Ours begins with a *residual* input, $x + W_0 x$, so that a first layer can sharpen the picture and
# starts from the picture as it is.

# %%
class MyBLSTM(nn.Module):
    """Features (batch, frame, feature) -> values for the masks (batch, frame, output)."""

    def __init__(self, features, hidden, layers, outputs):
        super().__init__()
        self.residual = nn.Linear(features, features, bias=False)
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True, bidirectional=True)
        self.to_masks = nn.Linear(2 * hidden, outputs)

    def forward(self, x):
        y, _ = self.lstm(x + self.residual(x))
        return self.to_masks(torch.relu(y))

config = models.complete({"name": "blstm_masks", "hidden": 32, "layers": 1})
theirs = models.build(config)
mine = MyBLSTM(theirs.n_features, 32, 1, theirs.n_outputs)
mine.load_state_dict(theirs.state_dict())
x = torch.rand(1, 50, theirs.n_features)
compare("BLSTM", mine, theirs.estimate, x)

# %% [markdown]
# The package's network holds the STFT, the features and the masks around it, and is a *separator* as
# every other in this course: mixture in, estimates out, the same length, whatever the length.
#
# How far does it look? We change one frame of the input and see which frames of the output move.

# %%
def moved(network, frames=60, at=30):
    x = torch.rand(1, frames, network.n_features, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, at] += 1
    with torch.no_grad():
        return (network.eval().estimate(changed) - network.estimate(x)).abs().mean((0, 2))

torch.manual_seed(0)
fig, ax = plt.subplots(figsize=(9, 3))
for (label, config), style in zip({
        "RNN": {"name": "drnn", "layers": 1, "recurrent": 1, "hidden": 64},
        "LSTM": {"name": "lstm_masks", "hidden": 64}, "BLSTM": {"name": "blstm_masks", "hidden": 64},
        "transformer": {"name": "vtf", "width": 64}}.items(), ("-", "--", "-.", ":"), strict=True):
    ax.semilogy(moved(models.build(models.complete(config))).clamp(min=1e-9), style,
                label=label)
ax.set(title="Which frames of the masks notice a change of frame 30", xlabel="frame",
       ylabel="mean change", ylim=(1e-9, None))
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# RNN and LSTM look back only, the BLSTM both ways, with a memory that fades. The transformer sees
# every frame as clearly as every other: it has no notion of "near" but what it learns of positions.
#
# ## 7 · Joint masks, and a loss that tells apart: DRNN and SRNN
#
# Huang and his colleagues (2015) let a deep recurrent network say *sizes* $y_1, y_2$ and built
# the sharing into the network, as its last layer, with no weights:
#
# $$ m_i = \frac{|y_i|}{\sum_j |y_j|} $$
#
# Then the masks add up to 1 by construction and the estimates to the mixture, exactly. A **DRNN** is
# recurrent at one of its layers, an **SRNN** (stacked) at all.
#
# A recurrent layer feeds itself, $h_t = \mathrm{relu}(W x_t + U h_{t-1})$, and a ReLU has no upper
# end. **Predict first**: let every unit remember itself, $U = u I$, with $u$ a little below 1, 1, and a
# little above. How large is the state after a second or two, as long as a training mixture, and after half a
# minute?

# %%
frames = torch.rand(1900, 64, generator=torch.Generator().manual_seed(0))     # 30 s, 63 a second
fig, ax = plt.subplots(figsize=(9, 3))
for u, style in ((0.9, "-"), (1.0, "--"), (1.05, ":")):
    state, sizes = torch.zeros(64), []
    for x in frames:
        state = torch.relu(x + u * state)
        sizes.append(state.norm().item())
    ax.semilogy(torch.arange(len(sizes)) / 63, sizes, style, label=f"u = {u}")
ax.axvline(1.5, color="0.4", linewidth=1, linestyle="-.", label="as long as a training mixture")
ax.set(title="A recurrent ReLU layer and the length of a recording", xlabel="time (s)",
       ylabel="size of the state")
ax.legend()
plt.show()

# %% [markdown]
# Where a training mixture ends, 1.05 has made a large number and no more, and nothing in the loss minds. On
# a long recording it goes to infinity, and then comes NaN. So our recurrent layers (`bounded: true` in their
# config) divide $U$ by its largest singular value, the most that it can stretch anything: the state is then
# never larger than all that came in, added up. It may grow as a sum does, not as a power. We treat $U$
# as badly as a training could:

# %%
from sep_helpers.models.recurrent_masks import ReLURecurrence

torch.manual_seed(0)
memory = ReLURecurrence(64, 64).eval()
raw = memory.memory.weight
with torch.no_grad():
    raw.mul_(3).add_(0.1)                               # what a bad step could do
    states = memory(frames[None])
    stretch = {"U as trained": raw, "U as used": memory.bounded()}
print({name: round(torch.linalg.matrix_norm(U, 2).item(), 3) for name, U in stretch.items()})
print(f"after 30 s all finite: {states.isfinite().all().item()}")

# %% [markdown]
# ### Exercise 03.4 · The joint mask layer (★, 6 min)
#
# Write `joint_mask(y)` for `y` of shape `(source, freq, frame)`. A bin in which every $y$ is 0 must not
# become NaN.
#
# <details><summary>Hint</summary>
#
# Sizes first, then the sum over dim 0, kept above a tiny number with `.clamp(min=1e-8)`.
#
# </details>

# %% tags=["exercise"]
def joint_mask(y):
    raise NotImplementedError

# %% tags=["solution"]
def joint_mask(y):
    size = y.abs()
    return size / size.sum(0).clamp(min=1e-8)

# %%
check("03.4", joint_mask)

# %%
drnn = models.build(models.complete({"name": "drnn", "hidden": 64}))
with torch.no_grad():
    parts = drnn(item["mixture"][None])[0]
print(f"untrained, and yet the parts add up: largest error {(parts.sum(0) - item['mixture']).abs().max():.1e}")

# %% [markdown]
# Their loss is **discriminative**: be like your own source, and be *unlike* the others,
#
# $$ \sum_i \|\hat{y}_i - y_i\|^2 - \gamma \sum_{i \neq j} \|\hat{y}_i - y_j\|^2 $$
#
# ### Exercise 03.5 · Own and others (★, 6 min)
#
# Write `discriminative(D, gamma)` for a matrix of squared distances `D`, `(estimate, source)`, in the
# right order already.

# %% tags=["exercise"]
def own_and_others(D, gamma):
    raise NotImplementedError

# %% tags=["solution"]
def own_and_others(D, gamma):
    own = D.diagonal().sum()
    return own - gamma * (D.sum() - own)

# %%
check("03.5", own_and_others)

# %% [markdown]
# What does $\gamma$ do? Let an estimate of the dog be $a \cdot \text{dog} + b \cdot \text{rain}$ and look
# for the $b$ that the loss likes best.

# %%
dog, rain = item["sources"]
leak = torch.linspace(-1.2, 1.0, 111)
fig, ax = plt.subplots(figsize=(9, 3))
for gamma, style in ((0, "-"), (0.1, "--"), (0.3, ":")):
    E = dog + leak[:, None] * rain
    value = (E - dog).square().sum(1) - gamma * (E - rain).square().sum(1)
    ax.plot(leak, value / rain.square().sum(), style,
            label=f"$\\gamma$ = {gamma}: best at b = {leak[value.argmin()]:.2f}")
ax.set(title="How much rain the loss likes in the dog", xlabel="b, rain in the estimate",
       ylabel="loss / energy of the rain")
ax.legend()
plt.show()

# %% [markdown]
# A larger $\gamma$ pulls the best answer *below* zero: the loss asks for upside-down rain in the dog.
# So $\gamma$ has to stay small, and from 1 on there is no best answer at all. (In a training's settings it
# is `gamma`, and it makes any of the objectives discriminative, with a fixed order or with PIT.)
#
# ## 8 · Attention: a transformer, without its decoder
#
# The first project that tried a transformer here took the whole thing, encoder *and* decoder, and
# trained it with **teacher forcing**: while it estimates frame $k$ of a source, the decoder is shown
# the true frames before $k$. It learned beautifully. Then it was given a mixture without the answers.
#
# Masks need no decoder: each frame of the mask belongs to one frame of the mixture. So ours (`vtf`)
# is an encoder only, and looks at the same thing in training and in use.

# %%
vtf = models.build(models.complete({"name": "vtf"}))
table = [{"part": name, "parameters": models.count_parameters(part)}
         for name, part in vtf.named_children()]
pd.DataFrame(table).set_index("part")

# %% [markdown]
# ## 9 · Seeing the picture: the audio branch of "Looking to listen"
#
# Ephrat and his colleagues (2018) treat the spectrogram as a picture: seven layers of 2-D convolutions,
# wider and wider apart (*dilated*), then a BLSTM. Real and imaginary part go in, and a mask for
# real and imaginary part comes out, so that the *phase* can change, too. How much of the picture
# does one place of the last convolution see?

# %%
gab = models.build(models.complete({"name": "gab", "channels": 8, "hidden": 16, "dense": 32})).eval()
image = torch.randn(1, 2, 129, 120, requires_grad=True)
gab.convolutions(image)[0, :, 64, 60].sum().backward()
seen = image.grad[0].abs().sum(0)

fig, ax = plt.subplots(figsize=(9, 3))
ax.imshow((seen > 0).float(), origin="lower", aspect="auto", cmap="cividis")
ax.plot(60, 64, "x", color="red")
ax.grid(False)
ax.set(title="What one place of the last convolution sees", xlabel="frame", ylabel="frequency bin")
plt.show()
print(f"{(seen.sum(0) > 0).sum()} frames, {(seen.sum(1) > 0).sum()} of 129 frequencies")

# %% [markdown]
# Two things are ours and not in the paper (section 12 shows why). What a frequency *always* has, over the
# utterance, is taken out before the BLSTM, as in the features of the other networks; and the last layer
# begins with an equal share of the mixture for every source.
#
# A much-copied version of this network ends in a **ReLU**: no value of the mask can be negative. It
# looks harmless. But then no real part and no imaginary part can change its sign, and half of the
# reason for a complex mask is gone.
#
# ### Exercise 03.6 · What a ReLU forbids (★★, 8 min)
#
# Write `forbidden(S, Y)`: of all real and imaginary parts of a source `S`, the share that no mask
# $\geq 0$ can make out of the mixture's part, because the signs differ.
#
# <details><summary>Hint</summary>
#
# `torch.view_as_real(S)` has both parts in its last dimension. Two numbers differ in sign where their
# product is negative.
#
# </details>

# %% tags=["exercise"]
def forbidden(S, Y):
    raise NotImplementedError

# %% tags=["solution"]
def forbidden(S, Y):
    return (torch.view_as_real(S) * torch.view_as_real(Y) < 0).float().mean()

# %%
check("03.6", forbidden)

# %% [markdown]
# What does it cost? We give both kinds of mask the *best* values there are, and cut them at 10, so
# that bins in which nearly nothing is left of the mixture do not decide.

# %%
S, Y = stft(item["sources"]), stft(item["mixture"])
best = torch.view_as_real(S) / torch.view_as_real(Y).abs().clamp(min=1e-6) \
    * torch.view_as_real(Y).sign()
heard = {}
for title, mask in {"any sign": best.clamp(-10, 10), "ReLU": best.clamp(0, 10),
                    "real, 0 to 1 (PSM)": None}.items():
    E = torch.view_as_complex(mask * torch.view_as_real(Y)) if mask is not None else \
        masks.psm(S, Y) * Y
    heard[title] = istft(E, item["mixture"].shape[-1])
pd.DataFrame({title: losses.si_snr(e, item["sources"]).tolist() for title, e in heard.items()},
             index=names).round(1).rename_axis("SI-SNR (dB)")

# %%
player({"dog": item["sources"][0]} | {title: e[0] for title, e in heard.items()}, rate,
       "The best that each kind of mask can do")

# %% [markdown]
# ## 10 · A narrow code: DeepConvSep
#
# Chandna and his colleagues (2017) built their network for music. It reads **blocks** of 30 frames. A
# *vertical* convolution runs over all frequencies (which spectrum?), a *horizontal* one along time
# (how does it move?), then everything has to pass through a code of 128 numbers, and each source has
# a decoder of its own, back to the size of the block.

# %%
network = models.build(models.complete({"name": "deep_conv_sep", "n_sources": 2}))
print(f"a block has {network.block} x {network.n_freqs} = {network.block * network.n_freqs:,} numbers, "
      f"the code {network.code.out_features}")
pd.DataFrame([{"part": name, "parameters": models.count_parameters(part)}
              for name, part in network.named_children()]).set_index("part")

# %% [markdown]
# Six layers stand behind one another here, with ReLUs between them, and a deep network has to *begin* well.
# **Predict first**: two different blocks go in. PyTorch's own starting weights make a signal a little smaller in each
# layer. How different is what comes out?

# %%
def differences(network):
    """How much of each layer's output depends on what went in: |y1 - y2| / |y1|."""
    found = {"input": torch.randn(2, 1, network.block, network.n_freqs)}
    spots = {"vertical": network.vertical, "horizontal": network.horizontal, "code": network.code}
    spots |= {f"decoder {k}": layer for k, layer in enumerate(network.decoders[0])
              if isinstance(layer, (nn.Linear, nn.ConvTranspose2d))}
    for name, layer in spots.items():
        layer.register_forward_hook(lambda _, x, y, name=name: found.update({name: y}))
    with torch.no_grad():
        network.estimate(found["input"].flatten(0, 1).reshape(2, network.block, -1))
    return {name: ((y[0] - y[1]).norm() / y[0].norm()).item() for name, y in found.items()}

# %%
torch.manual_seed(0)
starts = {"He's start, ours": differences(network)}
plain = models.build(models.complete({"name": "deep_conv_sep", "n_sources": 2}))
plain.apply(lambda layer: getattr(layer, "reset_parameters", bool)())
starts["PyTorch's start"] = differences(plain)

fig, ax = plt.subplots(figsize=(9, 3))
for (title, values), style in zip(starts.items(), ("o-", "s--"), strict=True):
    ax.semilogy(list(values), list(values.values()), style, label=title)
ax.set(title="What still tells two inputs apart", ylabel="difference / size")
ax.legend()
plt.show()

# %% [markdown]
# With PyTorch's start the last layer says nearly the same whatever went in: its biases. For dog and rain
# one answer for all is a good part of the way, for two voices it is worth nothing, and such a network first
# has to learn to listen. With weights of variance 2 / (inputs of a unit) a signal keeps its size through layers
# of ReLUs (He and his colleagues, 2015): our deep ReLU networks begin so. Section 12 shows what it is worth.
#
# A song does not consist of whole blocks. The published code dropped what was left over, so every song
# came out a little short.
#
# ### Exercise 03.7 · The last block (★★, 8 min)
#
# Write `in_blocks(network, x, size)`: cut `x`, `(frame, freq)`, into blocks, hand them to `network` as one
# batch `(blocks, size, freq)`, and put its answer together again, exactly as long as `x`.
#
# <details><summary>Hint</summary>
#
# `torch.nn.functional.pad(x, (0, 0, 0, -len(x) % size))` fills up the last block; do not forget to cut
# off in the end what you added.
#
# </details>

# %% tags=["exercise"]
def in_blocks(network, x, size):
    raise NotImplementedError

# %% tags=["solution"]
def in_blocks(network, x, size):
    padded = torch.nn.functional.pad(x, (0, 0, 0, -len(x) % size))
    blocks = network(padded.reshape(-1, size, x.shape[1]))
    return blocks.reshape(padded.shape)[:len(x)]

# %%
check("03.7", in_blocks)

# %% [markdown]
# ## 11 · A small race
#
# All of them on the dog in the rain, each a few hundred thousand weights at most, the same steps, the
# same seed, the same loss. This is **one** seed on **one** pair of sounds and a training of seconds:
# enough to see that they learn, and not enough to say which is best. **Predict first**: does a memory
# help, when one frame shows so well what sounds?

# %%
import time

SMALL = {
    "frame": None,
    "LSTM": {"name": "lstm_masks", "hidden": 64, "layers": 1},
    "BLSTM": {"name": "blstm_masks", "hidden": 64, "layers": 1},
    "DRNN": {"name": "drnn", "hidden": 128},
    "SRNN": {"name": "srnn", "hidden": 64},
    "transformer": {"name": "vtf", "width": 64, "layers": 2, "feedforward": 128},
    "Looking to listen": {"name": "gab", "channels": 4, "hidden": 32, "dense": 64},
    "DeepConvSep": {"name": "deep_conv_sep", "n_fft": 256, "hop": 64, "vertical": 20,
                    "horizontal": 20, "code": 64},
}

# %%
def contest(config, steps):
    """Build, train, measure: one line of the table."""
    torch.manual_seed(0)
    network = FrameNetwork() if config is None else models.build(models.complete(config))
    began = time.perf_counter()
    curve = train(network, training, steps)
    return curve, {"parameters": models.count_parameters(network),
                   "seconds": time.perf_counter() - began, "SI-SNRi (dB)": gain(network, test)}

# %%
from tqdm.auto import tqdm

race = {}
race_steps = 3 if ws.preset.name == "smoke" else 60
for title, config in tqdm(SMALL.items(), desc="networks"):
    race[title] = contest(config, race_steps)

pd.DataFrame({title: line for title, (_, line) in race.items()}).T.round(1).style.format(
    {"parameters": "{:,.0f}", "seconds": "{:.1f}", "SI-SNRi (dB)": "{:.1f}"})

# %%
fig, ax = plt.subplots(figsize=(9, 3.6))
styles = ("-", "--", ":", "-.")
for k, (title, (curve, _)) in enumerate(race.items()):
    ax.plot(pd.Series(curve).rolling(6, 1).mean().mul(-1), styles[k % 4], label=title)
ax.set(title="Learning the same pair of sounds", xlabel="step", ylabel="training SI-SNR (dB)",
       ylim=(-6, None))
ax.legend(ncols=2, fontsize="small")
plt.show()

# %% [markdown]
# Write down what you would have to do before you may say "A is better than B": more seeds, more sounds,
# files that nobody chose, training to the end, and an interval. The next three sections go some of that
# way. They rest on **studies** that take longer than you would wait here; what you see is stored: the
# course's results, not yours. Each is one file in `assets/studies` and one command.
#
# ## 12 · Two voices
#
# Now what this course is about: two speakers, no slot that means anything, so PIT. First live: a small
# BLSTM, once with the logarithm as it is and once normalised, on the same mixtures from the same weights.
# **Predict first**: both get the same information. Will they learn alike?

# %%
from sep_helpers import course_views

voices = corpora.embedded()
talk = course_views.train_view(voices, seconds=1.0, n_mixtures=400)
talk_steps = 2 if ws.preset.name == "smoke" else 300
live = {}
for features in ("log_magnitude", "normalised"):
    torch.manual_seed(0)
    blstm = models.build(models.complete({"name": "blstm_masks", "hidden": 64, "hop": 128,
                                          "mask": "softmax", "features": features}))
    live[features] = train(blstm, talk, talk_steps, lr=2e-3, batch=2, loss=free_order)

# %%
fig, ax = plt.subplots(figsize=(9, 3))
for (features, values), style in zip(live.items(), ("--", "-"), strict=True):
    ax.plot(pd.Series(values).rolling(40, 1).mean().mul(-1), style, label=features)
ax.axhline(0, color="0.4", linewidth=1, linestyle="-")
ax.set(title="Two voices, the first steps of a BLSTM", xlabel="step",
       ylabel="training SI-SNR (dB)\nmean of 40 steps")
ax.legend()
plt.show()

# %% [markdown]
# Seconds are not enough for voices. The stored study goes on for some minutes a network
# (`make studies ONLY=mask_voices`). `seen` are new sentences of voices that trained, `unseen` are voices
# that never did. The hatched bars are ideal masks: what they reach, no mask of their kind can beat.

# %%
from sep_helpers import sweeps

board, gains = sweeps.stored("mask_voices")
trained = board.dropna(subset=["seed"])
print(f"the course's: {len(trained)} networks, {trained['cpu_seconds'].sum() / 60:.0f} minutes of one "
      f"core, {board['machine'][0]}")
trained[["variant", "n_sources", "parameters", "steps", "cpu_seconds", "seen", "unseen"]].style.format(
    {"parameters": "{:,.0f}", "steps": "{:,.0f}", "cpu_seconds": "{:.0f}", "seen": "{:.1f}",
     "unseen": "{:.1f}"}).hide(axis="index")

# %% [markdown]
# Mind the steps and the seconds: they differ, so a place in this table says little about the
# *network*. And mind the last two columns: minutes with a few dozen voices teach much about these voices
# and less about others. DeepConvSep has the hardest task: it cuts the sentence into blocks, and has to
# find out anew in each which voice belongs into which output.
#
# Three of these networks learned next to nothing about voices at first. What held them back was the
# subject of section 7 (a recurrence that may grow), 9 (what a frequency always has) and 10 (a start that
# drowns the input). Here they learn once more, as they were and as they are, the same mixtures in the same
# order (`make studies ONLY=mask_starts`). **Predict first**: which fault cost most?

# %%
starts = pd.read_csv(sweeps.FOLDER / "mask_starts.csv")
fig, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True)
for ax, (title, lines) in zip(axes, starts.groupby("network", sort=False), strict=True):
    for (training_as, line), style in zip(lines.groupby("training"), ("o-", "s--"), strict=True):
        ax.plot(line["step"], line["train_si_snr"], style, markersize=4, label=training_as)
    ax.set(title=title, xlabel="step")
    ax.legend(fontsize="x-small", loc="upper left")
axes[0].set(ylabel="training SI-SNR (dB)", ylim=(None, 1.25 * starts["train_si_snr"].max()))
fig.suptitle("Two voices: three networks, with a fault and without")
plt.show()

# %% [markdown]
# Nothing about these curves says *why* they are flat: the loss was right, the gradients were there, nothing was
# NaN. What found the faults was to look at what arrives at each layer, with pictures like those of
# sections 7 and 10. (And a fault need not show everywhere: this DeepConvSep is narrower than the one in the
# table and learns at twice its rate. The wider one, at the gentler rate, finds its way from either start.)

# %%
def of(n, gains=gains, board=board):
    """The columns for n sources, without the seed and the number in their names."""
    names = {f"{v}, seed {s:.0f}" if s == s else f"{v}, {n} sources": v.split(",")[0]
             for v, s, k in zip(board["variant"], board["seed"], board["n_sources"], strict=True)
             if k == n}
    return gains[list(names)].rename(columns=names)

IDEAL, FLOORS = ("ibm", "irm", "wfm", "psm"), ("mixture", "random")
plots.comparison(sweeps.summary(of(2), "unseen"), IDEAL, FLOORS, "Two voices nobody has heard before")

# %% [markdown]
# **Predict first.** The same networks on three voices and on five, trained for less long: PIT has
# 6 and 120 orders to choose from, and the mixture is worse to begin with. An *improvement* counts from there.

# %%
fig, ax = plt.subplots(figsize=(9, 3))
for n, marker in ((2, "o"), (3, "s"), (5, "^")):
    part = sweeps.summary(of(n), "unseen").iloc[::-1]
    ax.errorbar(part["mean"], part["system"], xerr=[part["mean"] - part["low"],
                part["high"] - part["mean"]], fmt=marker, linestyle="none", capsize=3,
                label=f"{n} voices")
ax.set(title="What is gained with more voices (unseen)", xlabel="SI-SNR improvement (dB)")
ax.legend()
plt.show()

# %% [markdown]
# ## 13 · Sounds that were recorded
#
# Rain and dogs of section 1 are synthetic. Here are recorded ones, ESC-10: ten categories, 318 clips of
# five seconds, some of which hold a third of a second of sound and silence around it. A cut that falls
# into the silence would be a mixture of one; so the recipe draws again what lies 20 dB below its
# recording (`floor_db`), and gives the *cut* its level (`level_of: cut`). The recordings are not part
# of the course (`make studies ONLY=mask_esc` wants `SEP_REAL_DATA`), the figures are.

# %%
board, gains = sweeps.stored("mask_esc")
trained = board.dropna(subset=["seed"])
print(f"the course's, on {board['data'][0]}: two of ten categories, test clips that never trained")
trained[["variant", "parameters", "steps", "cpu_seconds", "test"]].style.format(
    {"parameters": "{:,.0f}", "steps": "{:,.0f}", "cpu_seconds": "{:.0f}", "test": "{:.1f}"}).hide(
    axis="index")

# %%
plots.comparison(sweeps.summary(of(2, gains, board), "test"), IDEAL, FLOORS,
                 "Two categories of recorded sound")

# %% [markdown]
# Hold it against the column `unseen` of section 12: new recordings in both cases, but kinds of sound differ
# more than voices do. What an ideal mask would still gain is the room that is left.
#
# ## 14 · The experiment table
#
# An early project on this subject asked one question in one large table: {2, 3, 5 sources} × networks ×
# losses. Its results lay in several files, the losses chose one order a batch, and nobody could say
# afterwards which figure belonged to which settings. Ours is one sweep, one file, one command:
# `make studies ONLY=mask_networks`. It can be interrupted; every cell is a run folder of its own. Here is
# a miniature of it, two steps a network, to see how it goes:

# %%
miniature = sweeps.load("mask_networks", "smoke")
folder = ws.run_folder("mask_networks_smoke")
small_board, small_gains = sweeps.run(miniature, sounds, folder, "cpu")
small_board[["variant", "n_sources", "steps", "parameters", "test"]].dropna()

# %%
from sep_helpers import runs

runs.board(folder, sort="test SI-SNRi (dB)")

# %% [markdown]
# Run the first of these two cells again, and nothing is trained: the runs are there. Now the course's own
# (`laptop`). Five categories in a fixed order; **euclidean** and **correlation** tie output 1 to
# whichever of the mixture's categories comes first in that order, output 2 to the next; **MinLoss** leaves
# the order free, mixture by mixture.

# %%
from sep_helpers.widgets import SortedTable

board, gains = sweeps.stored("mask_networks")
cells = board.dropna(subset=["seed"]).astype({"sources": int})
print(f"the course's: {len(cells)} runs, {cells['cpu_seconds'].sum() / 60:.0f} minutes of one core")
SortedTable(cells[["sources", "network", "loss", "seed", "epochs", "steps", "test", "cpu_seconds",
                   "parameters", "config"]], by="test")

# %% [markdown]
# **Predict first.** With *five* sources of five categories each output is one category. With two of
# five, output 1 is a dog in one mixture and, beside a bird, the dog is output 2. Which loss will do better
# where, the tied one or MinLoss?

# %%
plots.heat_map(cells, "test", title="SI-SNRi on new recordings: network x loss, by number of sources")

# %%
free = cells[cells["loss"] == "MinLoss"].set_index(["sources", "network"])["test"]
tied = cells[cells["loss"] == "euclidean"].set_index(["sources", "network"])["test"]
difference = (free - tied).dropna().rename("MinLoss - euclidean (dB)")
difference.groupby("sources").agg(["mean", "min", "max", "count"]).round(2)

# %% [markdown]
# The same loss, once with tied slots and once without. In section 3 chance decided which sound was
# "source 1", and a tied slot was worth nothing. Here a *rule* decides. With five sources the rule is the
# simplest there is, output 3 is the dog, and the tied loss is ahead in nearly all networks. With two or three of
# the five, the rule needs to know what else there is: it can be heard and learned, but it is one more thing
# to learn, and MinLoss is ahead in most. For two speakers there is no rule, and that is the whole difference.
#
# Each cell is one run of seconds. For a claim about two cells you would want several seeds, and what
# [notebook 06](06_evaluation.ipynb) is about.
#
# ## What to remember
#
# - A **mask network** is features, a network, masks; STFT and inverse are part of it, so that the loss
#   can be measured on the sound.
# - A **slot** can be tied to an output where the input shows which is which: a category, a stem. For
#   speakers it cannot; then every order has to count (PIT), for **each mixture on its own**.
# - Every loss is **blind** to something. Say aloud to what, and which way is up.
# - A memory reaches as far as its state lasts, a convolution as far as its kernels, attention
#   everywhere.
# - A harmless last **ReLU** can forbid half of what a complex mask is for.
# - One seed on one pair of sounds is an anecdote; a table is worth what its worst-trained cell is.
#
# {{nav}}
