# %% [markdown]
# {{header}}
#
# # 04 · Conv-TasNet, piece by piece
#
# You take a separator apart and build it again, every piece small enough to see whole: a learned
# encoder where the STFT used to be, masks, a stack of dilated convolutions, a learned decoder.
#
# **You will hear** what one careless `reshape` does to perfect masks, a network that has learnt two
# mixtures by heart within seconds, a soft voice made loud by mistake, and the separator that comes
# with the course.
#
# **Goals**
# - say what each letter of $N\ L\ B\ H\ S_c\ P\ X\ R$ does to the sound and to the size
# - read every tensor's shape off the paper's figure, and know why any length may come in
# - compute a receptive field, then *measure* it, and prove whether a network looks into the future
# - find classic faults by a count, a gradient or a glance at a shape
# - tell what a few runs with different seeds permit to conclude, and what not
#
# **Needs** [02](02_stft_masking.ipynb) for STFT, masks and SI-SNR; [03](03_mask_networks.ipynb) helps.
# It is enough for two sittings: sections 1 to 8 build the network, 9 to 15 ask what it is worth.
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# ## The whole thing on one line
#
# In chapter 02 you separated with three steps: STFT, multiply by a mask, inverse STFT. Conv-TasNet
# (Luo & Mesgarani, 2019) keeps the three steps and lets the network *learn* the first and the last:
#
# $$ w = \mathrm{encode}(x) \qquad m_1, m_2 = \mathrm{masks}(w) \qquad
# \hat s_i = \mathrm{decode}(m_i \odot w) $$
#
# These letters are the paper's, and this course's, from here on. Come back to the table when one
# escapes you.
#
# | letter | what it counts |
# |---|---|
# | $T$, $K$ | samples of the mixture; frames it is cut into (the paper writes $\hat T$) |
# | $L$ | samples in a frame; the next frame starts $L/2$ later |
# | $N$ | encoder filters, so numbers a frame |
# | $B$, $H$, $S_c$ | channels between blocks, inside a block, on the skip path |
# | $P$ | taps of a depthwise convolution |
# | $X$, $R$ | blocks with dilations $1, 2, 4 \dots 2^{X-1}$; repeats of those $X$ blocks |
#
# First, something to separate: a batch of two mixtures.

# %%
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import soundfile
import torch
import torch.nn.functional as F
from torch import nn

from sep_helpers import audio, course_views, downloads, evaluation, losses, models, permutation
from sep_helpers import plots, views
from sep_helpers.checks import check, compare, diagnose
from sep_helpers.player import player

corpus = ws.corpus()
rate = corpus.sample_rate
training = course_views.train_view(corpus, n_mixtures=5).epoch(0)
batch = views.collate([training[1], training[4]])
mixture, sources = batch["mixture"], batch["sources"]
print("mixture", tuple(mixture.shape), "= batch, time")
print("sources", tuple(sources.shape), "= batch, source, time")

# %%
player({"mixture": mixture[0], "source 1": sources[0, 0], "source 2": sources[0, 1]}, rate,
       "The first mixture of the batch")

# %% [markdown]
# ## 1 · The encoder: frames times filters
#
# An STFT cuts the signal into frames and compares each frame with a set of cosines and sines. Take
# the cosines away, put in $N$ rows of *any* numbers, and you have TasNet's encoder: one matrix
# product, $w = x\,U^\top$.

# %%
L, N = 32, 64
hop = L // 2
generator = torch.Generator().manual_seed(0)
filters = torch.randn(N, L, generator=generator)         # U: one filter a row

frames = mixture.unfold(-1, L, hop)                      # views of L samples, a hop apart
w = frames @ filters.T
print("frames ", tuple(frames.shape), "= batch, K, L")
print("filters", tuple(filters.shape), "= N, L")
print("w      ", tuple(w.shape), "= batch, K, N")


# %% [markdown]
# That is also exactly what a strided convolution computes. PyTorch's `nn.Conv1d` wants channels
# before time, so its $w$ is `(batch, N, K)`, and this is how the encoder is usually written.

# %%
def encode_by_hand(mixture):
    return (mixture.unfold(-1, L, hop) @ filters.T).transpose(1, 2)

def encode_by_convolution(mixture):
    return F.conv1d(mixture.unsqueeze(1), filters.unsqueeze(1), stride=hop)

difference = encode_by_hand(mixture) - encode_by_convolution(mixture)
print(f"they differ by {difference.abs().max():.0e} at most")


# %% [markdown]
# The STFT is one member of this family. Its "filters" are $L/2+1$ cosines and $L/2-1$ sines (the
# first and the last sine are zero throughout): $L$ numbers a frame, real and imaginary parts.

# %%
def fourier_filters(L):
    n, k = torch.arange(L), torch.arange(L // 2 + 1).unsqueeze(1)
    angle = 2 * torch.pi * k * n / L
    return torch.cat([angle.cos(), -angle.sin()[1:-1]])

def rfft_by_torch(frames):
    X = torch.fft.rfft(frames)
    return torch.cat([X.real, X.imag[..., 1:-1]], dim=-1)

difference = frames @ fourier_filters(L).T - rfft_by_torch(frames)
print(f"filters and FFT differ by {difference.abs().max():.0e} at most")
plots.filters(fourier_filters(L), rate, "The STFT's filters")

# %% [markdown]
# Each row on the left is a filter, each row on the right its frequency response: a neat staircase,
# every frequency served twice (cosine and sine), all equally far apart.
#
# Fresh random filters have no such order. Remember this picture: at the end of the chapter you will
# see what training makes of it.

# %%
plots.filters(filters, rate, "Random filters, as a network begins")


# %% [markdown]
# ## 2 · The decoder: overlap-add
#
# The way back: $N$ numbers a frame become $L$ samples again ($d\,V$, with $V$ of shape $N \times L$),
# and since frames overlap by half, what falls on the same sample is added up.

# %%
def overlap_add(frames):
    """(batch, K, L) -> (batch, (K + 1) * L/2): each frame lands half a frame later."""
    batch, K, L = frames.shape
    out = torch.zeros(batch, (K + 1) * L // 2)
    for k in range(K):
        start = k * L // 2
        out[:, start : start + L] += frames[:, k]
    return out

def decode_by_hand(w):
    return overlap_add(w @ filters)

def decode_by_convolution(w):
    return F.conv_transpose1d(w.transpose(1, 2), filters.unsqueeze(1), stride=hop).squeeze(1)

difference = decode_by_hand(w) - decode_by_convolution(w)
print("decoded", tuple(decode_by_hand(w).shape))
print(f"they differ by {difference.abs().max():.0e} at most")

# %% [markdown]
# So the decoder is a transposed convolution with the encoder's stride. Here $V = U$, which gives
# *something* back, not the signal. For a true round trip $V$ has to undo $U$.
#
# **Predict first.** Encode with *random* filters, decode with their pseudo-inverse. How many filters
# do you need to get the signal back: half of $L$? $L$? Or is there no hope without sines?

# %%
def round_trip(filters, mixture):
    """Encode, decode with the pseudo-inverse; each sample is in two frames, hence the half."""
    inverse = torch.linalg.pinv(filters.T) / 2                     # (N, L)
    return overlap_add(mixture.unfold(-1, L, hop) @ filters.T @ inverse)

bases = {f"random, N = {n}": torch.randn(n, L, generator=generator) for n in (16, 28, 48, 128)}
bases["Fourier, N = 32"] = fourier_filters(L)
inside = slice(L, -L)                                              # the edges come next
pd.DataFrame([
    {"basis": name, "N / L": len(basis) / L,
     "SNR after the round trip, dB": losses.snr(
         round_trip(basis, mixture)[:, inside], mixture[:, inside]).mean().item()}
    for name, basis in bases.items()
]).set_index("basis").round(1)

# %% [markdown]
# From $N = L$ on, nothing is lost, whatever the filters (the highest figure is as far as the measure
# goes). So the encoder is free to be anything, and training may choose the filters in which *masking* works
# best. An STFT is a good guess made before seeing any speech.
#
# ## 3 · Any length in, the same length out
#
# The round trip above left out the edges, and for a reason. Take a mixture whose length is not a
# whole number of hops.

# %%
length, L16, hop16 = 20_003, 16, 8
encoder = nn.Conv1d(1, 4, L16, stride=hop16, bias=False)
decoder = nn.ConvTranspose1d(4, 1, L16, stride=hop16, bias=False)
out = decoder(encoder(torch.randn(1, 1, length)))
print(f"{length} samples in, {out.shape[-1]} samples out")

identity = torch.eye(L16).unsqueeze(1)                   # w = the frame itself
ones = torch.ones(1, 1, 40)
back = F.conv_transpose1d(F.conv1d(ones, identity, stride=hop16), identity, stride=hop16) / 2
print("a constant 1 comes back as\n", back.flatten().tolist())


# %% [markdown]
# Two faults in one. The tail that fills no frame disappears, and then a loss, a metric or a file
# next door breaks, because two signals differ by three samples. And the first and last hop lie in a
# single frame, so they come back at half their level.
#
# One remedy for both: zeros in front (one hop) and behind (up to whole hops, and one more), and both
# cut off again after decoding.

# %%
def pad(x, hop):
    """(..., time) -> (..., padded): whole hops, and every sample in two frames."""
    to_whole_hops = -x.shape[-1] % hop
    return F.pad(x, (hop, to_whole_hops + hop))

def trim(x, hop, time):
    return x[..., hop : hop + time]

for length in (1, 7, 8, 9, 20_000, 20_003):
    x = torch.randn(1, 1, length)
    w16 = F.conv1d(pad(x, hop16), identity, stride=hop16)
    back = trim(F.conv_transpose1d(w16, identity, stride=hop16) / 2, hop16, length)
    print(f"{length:6} in, {w16.shape[-1]:5} frames, {back.shape[-1]:6} out, "
          f"largest error {(back - x).abs().max():.1e}")

# %% [markdown]
# ### Exercise 04.1 · A network that is choosy about lengths (★, 5 min)
#
# Many networks one meets accept only certain lengths, for instance multiples of 1,024 samples, and
# raise an error for others. Write the wrapper that makes any of them accept everything:
# `any_length(network, mixture, multiple)` with `mixture` `(batch, time)` returns `(batch, source,
# time)`, not a sample more or less, and nothing shifted.
#
# <details><summary>Hint</summary>
#
# `-time % multiple` is how many samples are missing to the next multiple; it is 0 where none are.
# Append that many zeros at the END, and cut the same end off again.
#
# </details>

# %% tags=["exercise"]
def any_length(network, mixture, multiple):
    raise NotImplementedError

# %% tags=["solution"]
def any_length(network, mixture, multiple):
    time = mixture.shape[-1]
    padded = F.pad(mixture, (0, -time % multiple))
    return network(padded)[..., :time]

# %%
check("04.1", any_length)


# %% [markdown]
# ## 4 · Masks, one number for every filter and frame
#
# Between encoder and decoder each source gets a mask of the shape of $w$. To see the machinery work
# before any network exists, cheat as in chapter 02: let the true sources tell the masks. The
# encoder is Fourier's for now, with a sine window on both sides so that frames fade into each other.

# %%
window = torch.sin(torch.pi * (torch.arange(L) + 0.5) / L)     # squared halves add up to 1
U = (fourier_filters(L) * window).unsqueeze(1)                 # (N, 1, L) with N = L
V = (torch.linalg.pinv(fourier_filters(L).T) * window).unsqueeze(1)

def encode(x):
    """(batch, time) -> (batch, N, K)"""
    return F.conv1d(pad(x, hop).unsqueeze(1), U, stride=hop)

def decode(d, time):
    """(batch, N, K) -> (batch, time)"""
    return trim(F.conv_transpose1d(d, V, stride=hop).squeeze(1), hop, time)

T = mixture.shape[-1]
w = encode(mixture)
print("w", tuple(w.shape), "= batch, N, K")
print(f"round trip {losses.snr(decode(w, T), mixture).mean():.0f} dB")

# %%
each = encode(sources.flatten(0, 1)).unflatten(0, (-1, 2))       # (batch, source, N, K)
ideal = each.abs() / each.abs().sum(1, keepdim=True).clamp(min=1e-8)
d = ideal * w.unsqueeze(1)                                       # the same w for both sources
estimates = decode(d.flatten(0, 1), T).unflatten(0, (-1, 2))

for name, x in {"masks m": ideal, "masked d": d, "estimates": estimates}.items():
    print(f"{name:10}", tuple(x.shape))
print(f"SI-SNR with ideal masks {losses.si_snr(estimates, sources).mean():.1f} dB, without "
      f"{losses.si_snr(mixture.unsqueeze(1), sources).mean():.1f} dB")

# %% [markdown]
# ### What a mask may be
#
# A network's last layer gives any number; the *activation* decides what a mask can do. Here four of
# them get the same random numbers.

# %%
raw = 2 * torch.randn(2, 2, 64, 100, generator=generator)     # batch, source, N, K
activations = {"sigmoid": torch.sigmoid, "relu": torch.relu, "linear": lambda x: x,
               "softmax": lambda x: torch.softmax(x, dim=1)}   # dim 1: over the SOURCES
pd.DataFrame([
    {"activation": name, "lowest": m.min().item(), "highest": m.max().item(),
     "masks sum to one": torch.allclose(m.sum(1), torch.ones(())),
     "can amplify": m.max().item() > 1, "can flip the sign": m.min().item() < 0}
    for name, m in ((name, activate(raw)) for name, activate in activations.items())
]).set_index("activation").round(2)

# %% [markdown]
# With `softmax` the estimates always add up to the (re-synthesised) mixture, because nothing may be
# thrown away: fine for two voices, awkward with noise in the room. `sigmoid` gave the paper's best
# result (its Table III); many trained models, this course's own among them, use `relu`. More depends
# on *which axis* is the source.
#
# ### One careless reshape
#
# The last layer of a network has $S \cdot N$ channels, `(batch, S * N, K)`. They become masks by
# splitting that axis into `(S, N)`: first all filters of source 1, then all of source 2. Suppose
# someone splits it as `(N, S)` on the one side and decodes by halves on the other.
#
# **Predict first.** The masks are perfect. What do the two outputs sound like?

# %%
channels = d.transpose(1, 2).flatten(1, 2)       # filter 1 of both sources, filter 2 of both ...
halves = channels.unflatten(1, (2, L))           # ... read as: all of source 1, all of source 2
print("channels", tuple(channels.shape))
print("halves  ", tuple(halves.shape), "and the shape looks right")
wrong = torch.zeros_like(sources)
for source in range(2):
    wrong[:, source] = decode(halves[:, source], T)
print(f"SI-SNR right {losses.si_snr(estimates, sources).mean():6.1f} dB")
print(f"SI-SNR wrong {losses.si_snr(wrong, sources).mean():6.1f} dB")
player({"mixture": mixture[0], "right, 1": estimates[0, 0], "right, 2": estimates[0, 1],
        "wrong, 1": wrong[0, 0], "wrong, 2": wrong[0, 1]}, rate,
       "Perfect masks, one reshape apart")

# %% [markdown]
# Nothing crashed. Both outputs hold *both* voices, each built from half of the filters and with
# frequencies landing where they do not belong. A network that trains through such a reshape does
# what it can with half of its filters, and nobody sees why it stays poor.
#
# ### Exercise 04.2 · From channels to masks (★, 5 min)
#
# Write `to_masks(channels, n_sources)`: `(batch, n_sources * N, K)` to `(batch, n_sources, N, K)`,
# all filters of the first source first, with a softmax so that the masks of all sources sum to one.
#
# <details><summary>Hint</summary>
#
# `x.unflatten(1, (a, b))` splits axis 1 and keeps the order: `a` blocks of `b` neighbours. Then ask
# which axis is the source's.
#
# </details>

# %% tags=["exercise"]
def to_masks(channels, n_sources):
    raise NotImplementedError

# %% tags=["solution"]
def to_masks(channels, n_sources):
    masks = channels.unflatten(1, (n_sources, -1))
    return torch.softmax(masks, dim=1)

# %%
check("04.2", to_masks)

# %% [markdown]
# ## 5 · The block that does the work
#
# Who makes the masks? A *temporal convolutional network* (TCN): one small block, many times. Its
# convolutions come in two kinds, and a sum shows why.
#
# A **1×1 convolution** mixes channels and sees one frame: a matrix, applied to every frame. A
# **depthwise convolution** sees several frames and mixes nothing: each channel has its own $P$ taps.
# Together they do the work of a full convolution for a fraction of its weights.

# %%
B, H, P = 128, 512, 3
kinds = {
    "full, P taps": nn.Conv1d(H, H, P),
    "depthwise, P taps": nn.Conv1d(H, H, P, groups=H),
    "1×1": nn.Conv1d(H, H, 1),
}
x = torch.randn(1, H, 100)
pd.DataFrame([{"convolution": name, "weight": tuple(layer.weight.shape),
               "parameters": f"{models.count_parameters(layer):,}",
               "output": tuple(layer(x).shape)}
              for name, layer in kinds.items()]).set_index("convolution")

# %% [markdown]
# `groups=H` is what makes it depthwise: with as many groups as channels, every filter sees one
# channel. And it came out two frames shorter, so it wants padding: $(P-1)\cdot$`dilation` frames in
# all, half on either side; or, if the network must not see the future, all of it on the left.
#
# **Dilation** spreads the $P$ taps: with dilation $d$ they sit $d$ frames apart. The reach grows,
# the weights don't.
#
# ### Exercise 04.3 · Depthwise convolution by hand (★★, 10 min)
#
# Write `depthwise(x, weight, dilation)` without calling a convolution. `x` is `(batch, H, K)`,
# `weight` is `(H, 1, 3)`, and the result has $K$ frames again: zeros beyond both ends, the middle
# tap on the frame itself. As everywhere in deep learning the filter is *not* turned round:
# $y_k = w_0\,x_{k-d} + w_1\,x_k + w_2\,x_{k+d}$, for each channel on its own.
#
# <details><summary>Hint</summary>
#
# Pad $x$ with $d$ zeros on each side. Then three slices of it, $d$ apart and all $K$ long, are
# $x_{k-d}$, $x_k$ and $x_{k+d}$. `weight[:, 0, p]` has shape `(H,)`; to multiply channels it needs
# an axis for time: `weight[:, :, p]`.
#
# </details>

# %% tags=["exercise"]
def depthwise(x, weight, dilation):
    raise NotImplementedError

# %% tags=["solution"]
def depthwise(x, weight, dilation):
    K = x.shape[-1]
    padded = F.pad(x, (dilation, dilation))
    return sum(weight[:, :, p] * padded[..., p * dilation : p * dilation + K] for p in range(3))

# %%
check("04.3", depthwise)


# %% [markdown]
# ### The block
#
# 1×1 up to $H$ channels, PReLU, normalise; depthwise over time, PReLU, normalise; 1×1 down, twice:
# a *residual* that is added to the block's input, and a *skip* that goes straight to the masks.
#
# ```
#      ┌───────────────────────────────────────────────────────────┐
#   x ─┴─ 1×1 ─ PReLU ─ norm ─ depthwise ─ PReLU ─ norm ─┬─ 1×1 ─ (+) ─ next x
#         B→H                     H→H                    │  H→B
#                                                        └─ 1×1 ─ skip, to the sum
#                                                           H→Sc
# ```
#
# Two 1×1 convolutions of the same input are one convolution with both outputs, so in the code one
# layer makes both.
#
# Which normalisation, we leave open for a moment: `norm` is whatever the caller passes in.

# %%
class TCNBlock(nn.Module):
    """(batch, B, K) -> residual (batch, B, K), skip (batch, Sc, K)"""

    def __init__(self, B, H, Sc, P, dilation, norm, causal):
        super().__init__()
        reach = (P - 1) * dilation
        self.padding = (reach, 0) if causal else (reach // 2, reach // 2)
        self.expand = nn.Conv1d(B, H, 1)
        self.act1, self.norm1 = nn.PReLU(), norm(H)
        self.depthwise = nn.Conv1d(H, H, P, dilation=dilation, groups=H)
        self.act2, self.norm2 = nn.PReLU(), norm(H)
        self.contract = nn.Conv1d(H, B + Sc, 1)
        self.sizes = (B, Sc)

    def forward(self, x):
        y = self.norm1(self.act1(self.expand(x)))
        y = self.depthwise(F.pad(y, self.padding))
        y = self.norm2(self.act2(y))
        return self.contract(y).split(self.sizes, dim=1)


# %% [markdown]
# And the stack: dilations $1, 2, 4 \dots 2^{X-1}$, the whole series $R$ times. Residuals chain the
# blocks; the skips of all of them are summed, and that sum is the stack's output.

# %%
class TCN(nn.Module):
    """(batch, B, K) -> (batch, Sc, K)"""

    def __init__(self, B, H, Sc, P, X, R, norm, causal=False):
        super().__init__()
        self.blocks = nn.ModuleList(
            TCNBlock(B, H, Sc, P, 2**x, norm, causal) for r in range(R) for x in range(X))

    def forward(self, x):
        total = 0
        for block in self.blocks:
            residual, skip = block(x)
            x, total = x + residual, total + skip
        return total

no_norm = lambda channels: nn.Identity()
tcn = TCN(B=8, H=16, Sc=8, P=3, X=4, R=2, norm=no_norm)
print("dilations", [block.depthwise.dilation[0] for block in tcn.blocks])
print("in", (2, 8, 100), "out", tuple(tcn(torch.randn(2, 8, 100)).shape))

# %% [markdown]
# ## 6 · The receptive field
#
# How much of the input can one output frame see? Follow the lines down from the orange dot: each
# block reaches its dilation further to both sides, and doubling dilations make that reach grow like
# $2^X$ while the number of blocks grows like $X$.

# %%
plots.receptive_field(X=4, R=2, P=3, L=L, sample_rate=rate)

# %% [markdown]
# A drawing may lie; a gradient cannot. Ask autograd: *which input samples change the middle frame at
# all?* Those are the ones with a gradient.

# %%
class Listener(nn.Module):
    """Encoder and TCN, to ask what one frame has seen: (batch, time) -> (batch, Sc, K)"""

    def __init__(self, X, R, L, norm, causal=False):
        super().__init__()
        self.encoder = nn.Conv1d(1, 8, L, stride=L // 2, bias=False)
        self.tcn = TCN(8, 16, 8, 3, X, R, norm, causal)

    def forward(self, x):
        return self.tcn(self.encoder(x.unsqueeze(1)))

def influence(network, length=4000):
    """|gradient| of the middle output frame with respect to every input sample, (length,)"""
    x = torch.randn(1, length, generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = network(x)
    y[0, :, y.shape[-1] // 2].sum().backward()
    return x.grad[0].abs()

torch.manual_seed(0)
seen = influence(Listener(X=4, R=2, L=L, norm=no_norm)).nonzero()
print(f"measured: {len(seen)} samples, from {seen.min().item()} to {seen.max().item()}")

# %% [markdown]
# ### Exercise 04.4 · The formula (★, 5 min)
#
# Write `samples_seen(X, R, P, L)`: how many *samples* one output frame sees. Count frames first: one
# block with dilation $d$ adds $(P-1)\,d$ of them. Then turn frames into samples: each further frame
# brings a hop, and the first one a whole $L$.
#
# <details><summary>Hint</summary>
#
# $1 + 2 + 4 + \dots + 2^{X-1} = 2^X - 1$. So the frames *beyond the first* are
# $R\,(P-1)\,(2^X-1)$.
#
# </details>

# %% tags=["exercise"]
def samples_seen(X, R, P, L):
    raise NotImplementedError

# %% tags=["solution"]
def samples_seen(X, R, P, L):
    further_frames = R * (P - 1) * (2**X - 1)
    return further_frames * L // 2 + L

# %%
check("04.4", samples_seen)


# %% [markdown]
# The package has the formula too. Hold it against the measurement, for several stacks:

# %%
def measured(X, R, L):
    return len(influence(Listener(X, R, L, no_norm)).nonzero())

rows = [(4, 1, 16), (3, 4, 16), (4, 3, 16), (6, 2, 16), (4, 2, 32)]
pd.DataFrame([
    {"X": X, "R": R, "L": L_, "blocks": X * R, "measured": measured(X, R, L_),
     "formula": models.receptive_field(dict(name="conv_tasnet", X=X, R=R, P=3, L=L_))}
    for X, R, L_ in rows
]).set_index(["X", "R", "L"])


# %% [markdown]
# The three rows with twelve blocks cost the same and see very different stretches: $X$ is the cheap
# way to see far, $R$ the way to think longer about what is seen.
#
# **Predict first.** So far the blocks did not normalise. Put a *global layer norm* in, which divides
# by the standard deviation of the whole utterance: how long is the receptive field now?

# %%
class GlobalNorm(nn.Module):
    """gLN (eq. 7-8), (batch, C, K): one mean, one variance for all channels and frames."""

    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, x):
        mean = x.mean((1, 2), keepdim=True)
        variance = x.var((1, 2), keepdim=True, correction=0)
        return self.gain * (x - mean) / (variance + 1e-8).sqrt() + self.shift

def package_norm(x):
    """The package keeps channels last: turn, normalise, turn back."""
    return models.blocks.GlobalNorm(x.shape[1])(x.transpose(1, 2)).transpose(1, 2)

compare("gLN", lambda x: GlobalNorm(x.shape[1])(x), package_norm, torch.randn(2, 16, 50) + 3)

# %%
@plots.figure
def influence_plot(measured):
    figure, ax = plt.subplots(figsize=(9, 3.2))
    for (name, gradient), colour in zip(measured.items(), plots.COLOURS, strict=False):
        share = gradient.clamp(min=1e-12) / gradient.max()
        ax.semilogy(torch.arange(len(share)) / rate, share, "-", linewidth=0.7, color=colour,
                    label=name)
    ax.set(xlabel="time of the input sample (s)", ylabel="influence on the middle frame",
           title="What one output frame depends on", ylim=(1e-9, 2))
    ax.margins(x=0)
    ax.legend(loc="upper right")
    return figure

torch.manual_seed(0)
measured_influence = {"with gLN": influence(Listener(4, 2, L, GlobalNorm)),
                      "without": influence(Listener(4, 2, L, no_norm))}
for name, gradient in measured_influence.items():
    print(f"{name:9}{(gradient > 0).sum().item()} of {len(gradient)} samples count")
influence_plot(measured_influence)

# %% [markdown]
# Everything counts now, though faintly: through its mean and its variance gLN shows each frame the
# whole utterance, the future included. For a recording on disk that helps (gLN is the paper's best).
# For a hearing aid it is cheating.
#
# ## 7 · Who looks into the future?
#
# Five ways to normalise, and the frames each takes its statistics from. Row $k$ is output frame $k$;
# it is dark where an input frame matters to it.

# %%
class CumulativeNorm(models.blocks.CumulativeNorm):
    """cLN (eq. 9-10): frame k uses the statistics of frames 0 ... k. Yours follows in 04.5."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)

class FrameNorm(nn.LayerNorm):
    """Each frame by itself, often mistaken for cLN."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)

C, K = 4, 16
norms = {"gLN": GlobalNorm(C), "BN, training": nn.BatchNorm1d(C), "BN, evaluation":
         nn.BatchNorm1d(C).eval(), "per frame": FrameNorm(C), "cLN": CumulativeNorm(C)}
x = torch.randn(1, C, K, generator=generator)
reaches = {}
for name, norm in norms.items():
    jacobian = torch.autograd.functional.jacobian(norm, x)          # (1, C, K, 1, C, K)
    reaches[name] = jacobian.abs().sum((0, 1, 3, 4)) > 1e-7         # (K out, K in)
    print(f"{name:15} looks ahead: {reaches[name].triu(1).any().item()}")

# %%
@plots.figure
def reach_plot(reaches):
    figure, axes = plt.subplots(1, len(reaches), figsize=(9, 2.5), sharey=True)
    for ax, (name, reach) in zip(axes, reaches.items(), strict=True):
        ax.imshow(reach, cmap="Blues", vmin=0, vmax=1.4, aspect="equal")
        ax.plot([-0.5, K - 0.5], [-0.5, K - 0.5], "--", color=plots.COLOURS[1], linewidth=1)
        ax.set_title(name, fontsize=10)
        ax.set(xlabel="input frame", xticks=[0, K - 1], yticks=[0, K - 1])
        ax.grid(False)
    axes[0].set_ylabel("output frame")
    return figure

reach_plot(reaches)

# %% [markdown]
# Whatever lies above the dashed diagonal is the future. cLN keeps below it and yet remembers all
# that has been; the per-frame norm does not look ahead either, but it has no memory, so it removes
# every difference in level between a loud and a soft frame. That is another network than the paper's.
#
# ### Exercise 04.5 · The cumulative norm (★★, 10 min)
#
# Write `cumulative_norm(x)`, `(batch, C, K)` to the same shape, without gain and shift: frame $k$
# minus the mean, over the standard deviation, of *all channels of frames* $0 \dots k$.
#
# <details><summary>Hint</summary>
#
# Sums first: `x.sum(1).cumsum(-1)` is the sum over all channels and all frames so far, `(batch, K)`;
# how many numbers is that, in frame $k$? The variance is the mean of the squares minus the square of
# the mean, both cumulative.
#
# </details>

# %% tags=["exercise"]
def cumulative_norm(x):
    raise NotImplementedError

# %% tags=["solution"]
def cumulative_norm(x):
    count = x.shape[1] * torch.arange(1, x.shape[2] + 1)
    mean = x.sum(1).cumsum(-1) / count                              # (batch, K)
    variance = x.square().sum(1).cumsum(-1) / count - mean.square()
    return (x - mean.unsqueeze(1)) / (variance.unsqueeze(1).clamp(min=0) + 1e-8).sqrt()

# %%
check("04.5", cumulative_norm)

# %% [markdown]
# ## 8 · The separator
#
# Everything is there. First the middle, $w$ to masks: a norm, the *bottleneck* from $N$ to $B$
# channels, the stack, and a last 1×1 that makes $S \cdot N$ channels of the summed skips.

# %%
class MaskEstimator(nn.Module):
    """w (batch, N, K) -> masks (batch, S, N, K)"""

    def __init__(self, N, B, H, Sc, P, X, R, norm, causal, S):
        super().__init__()
        self.S = S
        self.norm, self.bottleneck = norm(N), nn.Conv1d(N, B, 1)
        self.tcn = TCN(B, H, Sc, P, X, R, norm, causal)
        self.activation, self.to_masks = nn.PReLU(), nn.Conv1d(Sc, S * N, 1)

    def forward(self, w):
        y = self.tcn(self.bottleneck(self.norm(w)))
        return self.to_masks(self.activation(y)).unflatten(1, (self.S, -1)).sigmoid()

# %% [markdown]
# Then encoder and decoder around it, with `pad` and `trim` from section 3. `forward` is the one line
# the chapter began with.

# %%
class ConvTasNet(nn.Module):
    """mixture (batch, time) -> estimates (batch, source, time), any length"""

    def __init__(self, N, L, B, H, Sc, P, X, R, norm=GlobalNorm, causal=False, S=2):
        super().__init__()
        self.hop = L // 2
        self.encoder = nn.Conv1d(1, N, L, stride=self.hop, bias=False)
        self.decoder = nn.ConvTranspose1d(N, 1, L, stride=self.hop, bias=False)
        self.masks = MaskEstimator(N, B, H, Sc, P, X, R, norm, causal, S)

    def encode(self, mixture):
        return self.encoder(pad(mixture, self.hop).unsqueeze(1))

    def decode(self, d, time):
        estimates = self.decoder(d.flatten(0, 1)).squeeze(1)        # batch and source as one
        return trim(estimates, self.hop, time).unflatten(0, d.shape[:2])

    def forward(self, mixture):
        w = self.encode(mixture)
        d = self.masks(w) * w.unsqueeze(1)
        return self.decode(d, mixture.shape[-1])

# %% [markdown]
# The paper's best sizes, on our batch, with every tensor on the way. The tracer follows a real batch
# through the *package's* network, which is the same one, with channels last (why, in a moment). Any
# other config will do as well.

# %%
from sep_helpers.models.trace import trace

paper = dict(N=512, L=16, B=128, H=512, Sc=128, P=3, X=8, R=3)
print(f"yours has {models.count_parameters(ConvTasNet(**paper)):,} parameters")

table = trace(models.complete(dict(name="conv_tasnet", **paper)), mixture)
print(f"{len(table)} tensors, {table['numbers'].sum() / 1e6:.0f} million numbers; without those of "
      "the blocks 2 to 24:")
table[~table["tensor"].str.contains(r"blocks\.[1-9]")].set_index("tensor")

# %% [markdown]
# ### Causal, and proof of it
#
# `causal=True` pads on the left only. Is that enough? Let two recordings agree up to sample $t$ and
# go their own ways from there on: in a causal network the outputs must agree, too, up to the last
# sample that is finished before $t$, $L-1$ earlier (a frame is known when its last sample is: the
# *latency*). Not for one $t$, but for every single one, as a batch.

# %%
small = dict(N=16, L=16, B=8, H=16, Sc=8, P=3, X=3, R=1)
length = 240

def every_future(network):
    """Row t: by how much each output sample moves when the input changes from sample t on."""
    x, other = torch.randn(2, length, generator=torch.Generator().manual_seed(2))
    time = torch.arange(length)
    changed = torch.where(time < time.unsqueeze(1), x, other)       # row t keeps 0 ... t - 1
    with torch.no_grad():
        return (network(changed) - network(x.expand_as(changed))).abs().amax(1)

def in_the_past(moved):
    """The largest change of an output sample before t - (L - 1), over every t."""
    t, sample = torch.meshgrid(torch.arange(length), torch.arange(length), indexing="ij")
    return moved[sample < t - (small["L"] - 1)].max().item()

# %% [markdown]
# **Predict first.** Which of these four are causal: left padding or not, with gLN or with cLN?

# %%
moved = {}
for name, norm in {"gLN": GlobalNorm, "cLN": CumulativeNorm}.items():
    for causal in (False, True):
        torch.manual_seed(0)
        network = ConvTasNet(**small, norm=norm, causal=causal)
        moved[f"{name}, causal={causal}"] = every_future(network)
pd.Series({name: in_the_past(change) for name, change in moved.items()},
          name="largest change in the past").to_frame()

# %%
@plots.figure
def futures_plot(moved):
    figure, axes = plt.subplots(1, len(moved), figsize=(9, 2.9), sharey=True)
    for ax, (name, change) in zip(axes, moved.items(), strict=True):
        drawn = ax.imshow((change / change.max()).log10(), cmap="magma", vmin=-5, vmax=0,
                          origin="lower", aspect="equal")
        ax.plot([0, length - small["L"]], [small["L"] - 1, length - 1], "--", linewidth=1,
                color=plots.COLOURS[5])
        ax.set_facecolor("white")
        ax.set(title=name, xlabel="output sample")
        ax.title.set_fontsize(10)
        ax.grid(False)
    axes[0].set_ylabel("input changes from t on")
    figure.colorbar(drawn, ax=axes, label="change (log10)", pad=0.01)
    return figure

futures_plot(moved)

# %% [markdown]
# White is exactly zero, and left of the dashed line is the past. Only the last network leaves it
# white. `causal=True` with gLN is a well-known trap: it *looks* causal, trains well, scores well, and
# cannot run in real time, because sample 0 waits for the last one. (Honest causality has its price:
# in the paper the best network's 15.3 dB of improvement become 10.6.)
#
# The package refuses to build the trap, and says why:

# %%
try:
    models.build(models.complete(dict(name="conv_tasnet", causal=True, norm="gLN")))
except models.ConfigError as error:
    print(error)

# %% [markdown]
# ### Exercise 04.6 · How far ahead? (★★, 10 min)
#
# Who builds a hearing aid wants a number: by how many samples does an output run ahead of its own
# time, at most? Write `looks_ahead(network, time)` for any separator, `(1, time)` to `(1, source,
# time)`: the largest $j-i$ for which input sample $j$ has an influence on output sample $i$ of any
# source; 0 if none looks ahead.
#
# <details><summary>Hint</summary>
#
# `torch.autograd.functional.jacobian(network, x)` has the shape of the output and then of the input,
# `(1, source, time, 1, time)`: every derivative there is. Whatever is not 0 is an influence, and
# `.nonzero()` says where.
#
# </details>

# %% tags=["exercise"]
def looks_ahead(network, time):
    raise NotImplementedError

# %% tags=["solution"]
def looks_ahead(network, time):
    x = torch.randn(1, time)
    influence = torch.autograd.functional.jacobian(network, x)[0, :, :, 0]   # (source, out, in)
    _, i, j = influence.nonzero(as_tuple=True)
    return max(0, (j - i).max().item())

# %%
check("04.6", looks_ahead)

# %% [markdown]
# (For the causal network above it is $L-1$. What would you change to make that smaller, and what
# would it cost?)


# %% [markdown]
# ### Against the package
#
# `sep_helpers.models` builds the same network with `(batch, time, channel)` inside. Copy its weights
# into yours, tensor by tensor in order, and both must say the same.

# %%
def copy_weights(source, target):
    for theirs, mine in zip(source.parameters(), target.parameters(), strict=True):
        mine.data = theirs.data.reshape(mine.shape).clone()      # (out, in) -> (out, in, 1)

sizes = {key: ws.preset.model[key] for key in paper}
package = models.build(models.complete(dict(name="conv_tasnet", **sizes, mask="sigmoid"))).eval()
mine = ConvTasNet(**sizes).eval()
copy_weights(package, mine)
with torch.no_grad():
    compare("conv_tasnet", mine, package, mixture)

# %% [markdown]
# Two wholes can agree while two faults cancel. So, piece by piece:

# %%
def swap(x):
    """(..., channel, frame) <-> (..., frame, channel)"""
    return x.transpose(-1, -2)

block, theirs = mine.masks.tcn.blocks[1], package.tcn.blocks[1]        # the one with dilation 2
with torch.no_grad():
    w = mine.encode(mixture)
    y = mine.masks.bottleneck(mine.masks.norm(w))
    d = mine.masks(w) * w.unsqueeze(1)
    compare("encoder", mine.encode, lambda x: swap(package.encode(x)), mixture)
    compare("depthwise", lambda y: block.depthwise(F.pad(y, block.padding)),
            lambda y: swap(theirs.depthwise(swap(y))), block.expand(y))
    compare("one block", lambda y: torch.cat(block(y), 1),
            lambda y: swap(torch.cat(theirs(swap(y)), -1)), y)
    compare("stack", mine.masks.tcn, lambda y: swap(package.tcn(swap(y))), y)
    compare("masks", mine.masks, lambda w: swap(package.masks(swap(w))), w)
    compare("decoder", lambda d: mine.decode(d, T), lambda d: package.decode(swap(d), T), d)

# %% [markdown]
# And those of your exercises that pass:

# %%
def depthwise_of_the_package(x, weight, dilation):
    layer = models.blocks.DepthwiseConv(x.shape[1], 3, dilation, causal=False)
    layer.weight.data, layer.bias.data = weight, torch.zeros(x.shape[1])
    return swap(layer(swap(x))).detach()

def compare_exercise(number, name, yours, helper, *arguments):
    if diagnose(number, yours) == "pass":
        compare(name, yours, helper, *arguments)
    else:
        print(f"{name}: exercise {number} comes first")

x = torch.randn(2, 6, 50, generator=generator)
compare_exercise("04.3", "depthwise", depthwise, depthwise_of_the_package, x, torch.rand(6, 1, 3), 4)
compare_exercise("04.4", "receptive field", samples_seen, lambda X, R, P, L: models.receptive_field(
    dict(name="conv_tasnet", X=X, R=R, P=P, L=L)), 8, 3, 3, 16)
compare_exercise("04.5", "cLN", cumulative_norm, lambda x: CumulativeNorm(6)(x).detach(), x)

# %% [markdown]
# Why another layout, then? Most of the work is 1×1 convolutions, and each of those needs all
# channels of *one* frame: with channels last they lie side by side in memory. A dilated convolution,
# in turn, becomes an undilated one over every $d$-th frame. The same sums, read in a better order:

# %%
@torch.no_grad()
def fastest(network, repeats=5):
    """Seconds of the fastest of several passes: the one least disturbed."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        network(mixture)
        times.append(time.perf_counter() - begin)
    return min(times)

ratio = fastest(mine) / fastest(package)
print(f"on this machine's CPU the package is {ratio:.1f} times as fast as yours")

# %% [markdown]
# In training it goes one step further: `sep_helpers/models/fused.py` computes the gradient of a whole
# block by hand. Autograd would keep six tensors of $H$ channels or more for each block until the way
# back; that code keeps one and computes the rest again, in less time than fresh memory takes to fill.
# The readable block stays beside it (`blocks.py`), and tests hold the two together, outputs and all
# gradients. Ask the package what either remembers of our batch until the way back:

# %%
from sep_helpers.models.calculator import kept_for_backward

by_hand = models.build(package.config)
readable = models.build(package.config)
for block in readable.tcn.blocks:                        # a hook asks for the readable form
    block.norm1.register_forward_hook(lambda *_: None)
for name, network in {"readable": readable, "by hand": by_hand, "yours": ConvTasNet(**sizes)}.items():
    print(f"{name:10}{kept_for_backward(network, tuple(mixture.shape)) / 1e6:8.1f} MB kept")

# %% [markdown]
# ## 9 · How big is it?
#
# Before a night of training it is worth a minute to ask what one is about to train: its size, how far
# it sees, how long it keeps a listener waiting, how much it computes, and whether it will fit.

# %%
from sep_helpers.models.calculator import calculate, table_ii

best = models.complete(dict(name="conv_tasnet", **paper))
calculate(best, batch=1, seconds=4.0).table()

# %% [markdown]
# **Predict first.** Where do the parameters sit: in the filters, in the 1×1 convolutions, in the
# depthwise ones? Ask your own network.

# %%
def kind(layer):
    if not isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
        return "norms and PReLUs"
    return "depthwise" if layer.groups > 1 else "1×1" if layer.kernel_size == (1,) else "filters"

share = pd.Series(dtype=float)
for layer in ConvTasNet(**paper).modules():
    own = sum(p.numel() for p in layer.parameters(recurse=False))
    share[kind(layer)] = share.get(kind(layer), 0) + own
(share / share.sum()).map("{:.2%}".format).rename("share of the parameters").to_frame()

# %% [markdown]
# Each weight of a convolution works once a frame, so the work is shared out like the weights. The
# depthwise convolutions, the only ones that look along time, cost next to nothing. Now turn the knobs.
# What makes the network larger, what makes it see further, and what does neither but doubles the work?

# %%
from IPython.display import display
from ipywidgets import Dropdown, IntSlider, SelectionSlider, interact

def knob(value, *options):
    return SelectionSlider(options=options, value=value, continuous_update=False)

@interact(N=knob(512, 64, 128, 256, 512), L=knob(16, 8, 16, 20, 32, 40), B=knob(128, 64, 128, 256),
          H=knob(512, 128, 256, 512), Sc=knob(128, 0, 64, 128, 256, 512), P=knob(3, 3, 5, 7),
          X=IntSlider(8, 1, 9, continuous_update=False), R=IntSlider(3, 1, 6, continuous_update=False),
          norm=Dropdown(options=["gLN", "cLN", "BN"]), causal=False)
def figures(**config):
    try:
        display(calculate(models.complete({"name": "conv_tasnet", **config})).table())
    except models.ConfigError as error:
        print(error)

# %% [markdown]
# ### The paper's Table II
#
# The rows of the paper's main table (WSJ0-2mix) as printed, beside what follows from the letters alone.

# %%
table = table_ii()
table.round(3)

# %% [markdown]
# Read it from the bottom up. The last row is causal, and pays for it. The five above it have the same
# size: what they gain, they gain by *seeing further* ($X$ against $R$) and by *shorter frames* ($L$ from
# 40 to 16 samples), which cost work in proportion: look along the column of multiply-adds. More channels
# buy comparatively little.
#
# One printed size does not follow from its own row. Which?

# %%
apart = (table["size M"] - table["size M, paper"]).abs() > 0.06      # more than rounding
table[apart].round(3)


# %% [markdown]
# Sizes are worth computing: a printed table can slip, and so can code. Here is how.
#
# ### Four repeats that are one
#
# In a thesis on this very network, 1, 2 and 4 repeats came out about equally good; so repeats, it
# seemed, are not worth their price. The loop that built the blocks had the flaw of this one.
#
# **Predict first.** Where is it?

# %%
class NamedStack(nn.Module):
    def __init__(self, X, R):
        super().__init__()
        for _repeat in range(R):
            for x in range(X):
                setattr(self, f"block_{x}", TCNBlock(128, 512, 128, 3, 2**x, GlobalNorm, False))

def named(R):
    return models.count_parameters(NamedStack(X=8, R=R))

def listed(R):
    return models.count_parameters(TCN(128, 512, 128, 3, X=8, R=R, norm=GlobalNorm))

pd.DataFrame([{"R": R, "by name": f"{named(R):,}", "in a list": f"{listed(R):,}"}
              for R in (1, 2, 4)]).set_index("R")

# %% [markdown]
# The name `block_3` says nothing about the repeat, so each repeat *overwrites* the one before. Every
# $R$ built the same network, and of course they scored alike. One printed parameter count, beside
# the hyper-parameter that should change it, would have told.
#
# ### Exercise 04.7 · Blocks that are all there (★, 5 min)
#
# Write `make_blocks(X, R, make_block)`: call `make_block(dilation)` for every block, in order
# ($1, 2 \dots 2^{X-1}$, and that $R$ times), and return them so that PyTorch counts, trains and saves
# every one.
#
# <details><summary>Hint</summary>
#
# A plain Python list hides its modules from PyTorch; `nn.ModuleList` shows them. And
# `[block] * 3` is one block three times.
#
# </details>

# %% tags=["exercise"]
def make_blocks(X, R, make_block):
    raise NotImplementedError

# %% tags=["solution"]
def make_blocks(X, R, make_block):
    return nn.ModuleList(make_block(2**x) for r in range(R) for x in range(X))

# %%
check("04.7", make_blocks)

# %% [markdown]
# ## 10 · What $X$ and $R$ are worth
#
# Now with repeats that are all there. One small network; in each run one thing is changed; all train
# on equally many mixtures, and each run is repeated with other seeds: other random weights to begin
# with, other mixtures to learn from. The sweep is one file, `assets/studies/tasnet_xr.yaml`, and
# `make studies ONLY=tasnet_xr` runs it. That takes longer than you would wait here, so what you see
# is stored: **the course's results, not yours**.

# %%
from sep_helpers import sweeps

if ws.preset.name == "smoke":                  # a miniature, to see how it goes; it learns nothing
    miniature = sweeps.load("tasnet_xr", "smoke")
    sweeps.run(miniature, corpus, ws.run_folder("tasnet_xr_smoke"), ws.device)

board, gains = sweeps.stored("tasnet_xr")
variants = board.drop_duplicates("variant").set_index("variant")
print(f"the course's: {len(board)} runs of {board['steps'].max():,} steps, "
      f"{board['seconds'].sum() / 60:.0f} minutes of training on {board['machine'][0]}")
variants[["N", "L", "B", "H", "Sc", "X", "R", "norm", "mask", "parameters"]].join(
    variants["receptive_field_s"].round(3))

# %% [markdown]
# **Predict first.** `X4 R4` and `X8 R2` have the same sixteen blocks, `X4 R2` and `X8 R1` the same eight.
# What will matter more: the number of blocks, or how far they see?

# %%
plots.spread(board, title="What is gained on voices heard and unheard, each run a dot")

# %% [markdown]
# Two careful students, who know that networks are compared on the *same* mixtures and with an interval
# (chapter 06), run every variant once. One happens to draw seed 0, the other seed 1. Both hold each
# variant against `X4 R2`, on voices that never trained.
#
# **Predict first.** Will they report the same?

# %%
def against(base, view, seeds, threshold=0.0):
    """Every variant minus the base: dB, 95 % interval over mixtures, and what may be said of it."""
    of = {v: gains.loc[view][[f"{v}, seed {s}" for s in seeds]].mean(axis=1)
          for v in variants.index}
    rows = []
    for variant in variants.index.drop(base):
        mean, low, high = evaluation.confidence_interval(of[variant] - of[base])
        sure = low * high > 0 and abs(mean) > threshold
        rows.append({"variant": variant, "dB": mean, "low": low, "high": high,
                     "verdict": ("better" if mean > 0 else "worse") if sure else "cannot tell"})
    return pd.DataFrame(rows).set_index("variant")

students = {f"seed {seed}": against("X4 R2", "unseen", [seed]) for seed in (0, 1)}
verdicts = pd.concat(students, axis=1).xs("verdict", axis=1, level=1)
opposed = (verdicts == "better").any(axis=1) & (verdicts == "worse").any(axis=1)
print(f"sure of themselves: {(verdicts != 'cannot tell').sum().to_dict()} of {len(verdicts)} times")
print(f"the same verdict: {(verdicts['seed 0'] == verdicts['seed 1']).sum()} times; "
      f"the opposite: {', '.join(opposed[opposed].index) or 'never'}")
pd.concat(students, axis=1).round(2)

# %% [markdown]
# Nobody made a mistake. Their intervals tell how sure one may be of *these two trained networks*. How
# sure one may be of the *variants* is another question, and the dots answer it: two dots of one colour in
# one row are the same network with another seed. From all rows together, the standard deviation
# between runs that differ in nothing else:

# %%
from scipy import stats

def luck(board, view):
    """Standard deviation (dB) between runs that differ in their seed alone, and from how many."""
    groups = board.groupby("variant")[view]
    freedom = (groups.count() - 1).sum()
    return ((groups.var() * (groups.count() - 1)).sum() / freedom) ** 0.5, freedom

def believable(board, view, level=0.95):
    """The difference of two variants' means (dB) that luck exceeds once in twenty times."""
    deviation, freedom = luck(board, view)
    runs = board.groupby("variant")[view].count().min()
    return stats.t.ppf((1 + level) / 2, freedom) * deviation * (2 / runs) ** 0.5

for view in ("seen", "unseen"):
    print(f"{view:7} a seed moves a result by {luck(board, view)[0]:.2f} dB; "
          f"believe differences from {believable(board, view):.2f} dB on")

# %% [markdown]
# So a change counts only if it survives both kinds of chance, the mixtures' and the seeds', and that on
# both views.

# %%
seeds = sorted(board["seed"].unique())
compared = {view: against("X4 R2", view, seeds, believable(board, view))
            for view in ("seen", "unseen")}
verdicts = pd.concat(compared, axis=1).xs("verdict", axis=1, level=1)
print("against X4 R2, the same on both views:")
for verdict in ("better", "worse", "cannot tell"):
    agreed = (verdicts == verdict).all(axis=1)
    print(f"  {verdict}: {', '.join(agreed[agreed].index) or 'none'}")
pd.concat(compared, axis=1).round(2)

# %% [markdown]
# That is all this study permits to say. *Cannot tell* is not *equal*: the paper, with far larger networks
# trained for far longer on real voices, does see $X$, $R$ and $L$ matter. It means that so few runs of so
# small a network cannot show it.
#
# **Predict first.** How many runs of each variant would it take to believe 0.2 dB?

# %%
pd.Series({runs: stats.t.ppf(0.975, len(variants) * (runs - 1)) * luck(board, "unseen")[0]
           * (2 / runs) ** 0.5 for runs in (2, 4, 8, 16, 32, 64)},
          name="believe differences from (dB)").round(2).rename_axis("runs of each").to_frame()

# %% [markdown]
# It falls with the square root of the runs. (`full` in the sweep's file has larger networks and five
# seeds: a night on a GPU, `make studies ONLY=tasnet_xr PRESET=full`.)
#
# And what does it all cost?

# %%
@plots.figure
def cost_plot(board):
    means = board.assign(size=board["parameters"] / 1000).groupby("variant", sort=False)[
        ["unseen", *COSTS]].mean()
    figure, axes = plt.subplots(1, len(COSTS), figsize=(9, 3.4), sharey=True)
    for ax, (column, label) in zip(axes, COSTS.items(), strict=True):
        for number, (variant, row) in enumerate(means.iterrows()):
            ax.plot(row[column], row["unseen"], "osD^vPX*h"[number % 9], markersize=7,
                    color=plots.COLOURS[number % 7], linestyle="none", label=variant)
        ax.set(xlabel=label, xscale="log" if "field" in column else "linear")
    axes[0].set_ylabel("SI-SDRi, unseen voices (dB)")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle("What is gained, and what it costs", x=0.01, ha="left")
    return figure

COSTS = {"size": "thousand parameters", "receptive_field_s": "receptive field (s)",
         "ms_per_step": "training step (ms)"}
cost_plot(board)

# %% [markdown]
# And the thesis? With blocks that overwrite each other, its $R=1$, 2 and 4 were three runs of one
# and the same network: three dots in the *same* row. Whatever differed between them was luck.


# %% [markdown]
# ## 11 · Does it learn?
#
# The first test of any new network: let it memorise *one* batch. A correct one can; a network with a
# dead branch, a wrong shape or a missing gradient usually cannot. It proves nothing about new voices;
# that is chapter 05's business, as is the question of *which* output should be which voice. Here we
# simply insist on an order.
#
# Before the first step, does a gradient reach every weight?

# %%
torch.manual_seed(0)
net = ConvTasNet(N=128, L=32, B=64, H=128, Sc=64, P=3, X=5, R=1)
untrained = net.encoder.weight.detach().clone()

loss = -losses.si_snr(net(mixture), sources).mean()        # higher is better, so minimise minus
loss.backward()
dead = {name: (p.grad == 0).float().mean().item() for name, p in net.named_parameters()}
print(f"{len(dead)} tensors; those with weights that get no gradient:")
for name, share in dead.items():
    if share > 0.01:
        print(f"   {name}: {share:.0%} of it")


# %% [markdown]
# One honest finding: half of the *last* block's `contract` makes a residual that nobody reads, since
# only the skips go on to the masks. The paper counts those weights, torchaudio's model leaves them
# out. All the rest is alive, so, off you go:

# %%
def memorise(net, steps, measure=losses.si_snr, learning_rate=5e-3):
    """SI-SNR (dB), or another measure, at each step of gradient descent on the one batch."""
    optimiser = torch.optim.Adam(net.parameters(), lr=learning_rate)
    x, target, curve = mixture.to(ws.device), sources.to(ws.device), []
    for _step in range(steps):
        loss = -measure(net(x), target).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)    # the first gradients are enormous
        optimiser.step()
        curve.append(-loss.item())
    return curve

steps = {"smoke": 3, "laptop": 100}.get(ws.preset.name, 300)
begin = time.perf_counter()
curve = memorise(net.to(ws.device), steps)
net = net.cpu()
print(f"{steps} steps in {time.perf_counter() - begin:.0f} s: "
      f"SI-SNR from {curve[0]:.1f} to {curve[-1]:.1f} dB")

# %%
@plots.figure
def curve_plot(curve):
    figure, ax = plt.subplots(figsize=(9, 3))
    untouched = losses.si_snr(mixture.unsqueeze(1), sources).mean().item()
    ax.plot(range(1, len(curve) + 1), curve, label="the network's estimates")
    ax.axhline(untouched, color=plots.COLOURS[1], linestyle="--", label="the mixture as it is")
    ax.set(title="Memorising one batch", xlabel="step", xlim=(1, len(curve)),
           ylabel="SI-SNR (dB)")
    ax.legend(loc="lower right")
    return figure

curve_plot(curve)

# %%
with torch.no_grad():
    raw_estimates = net(mixture)
print(f"largest sample of the sources {sources[0].abs().max():.2f}, "
      f"of the estimates {raw_estimates[0].abs().max():.2f}")
learnt = evaluation.match_level(raw_estimates[0], mixture[0])
player({"mixture": mixture[0], "estimate 1": learnt[0], "source 1": sources[0, 0],
        "estimate 2": learnt[1], "source 2": sources[0, 1]}, rate, "Learnt by heart")

# %% [markdown]
# (Curious? Take out the line that clips the gradient and train again. The first gradients are
# enormous, Adam remembers them for hundreds of steps, and the curve crawls.)
#
# And the encoder? It has begun to leave its random start.

# %%
trained = net.encoder.weight.detach()
likeness = F.cosine_similarity(trained.flatten(1), untrained.flatten(1))
print(f"filters point where they did: cosine {likeness.mean():.2f} on average, "
      f"{likeness.min():.2f} for the one that moved most")
plots.filters(trained.squeeze(1), rate, f"After {steps} steps on one batch")


# %% [markdown]
# ## 12 · A measure that does not hear the level
#
# Did you notice the largest samples above? The network's outputs are at no particular level, and
# `match_level` had to mend them before we listened. That is the loss's doing.
#
# **Predict first.** A good estimate is multiplied by 0.01, by 1000, by −1. What becomes of its SI-SNR,
# and of its plain SNR?

# %%
talk = torch.stack([sources[0, 0], 0.15 * sources[0, 1]])       # the second voice is soft
both = talk.sum(0)
noise = torch.randn(talk.shape, generator=generator)
good = talk + 0.1 * noise * talk.std(-1, keepdim=True)
pd.DataFrame([
    {"estimate times": factor,
     "SI-SNR, dB": losses.si_snr(factor * good, talk).mean().item(),
     "SNR, dB": losses.snr(factor * good, talk).mean().item()}
    for factor in (1, 0.01, 1000, -1)
]).set_index("estimate times").round(1)


# %% [markdown]
# SI-SNR sees no difference at all; a listener, and a sound file, do. So a network trained with it may
# come out a thousand times too loud or upside down, and somebody has to choose the gains afterwards.
# Two ways:
#
# - **Peak matching**, the popular one: scale each estimate until its peak is the mixture's.
# - **Least squares**: the gains whose sum comes closest to the mixture,
#   $\min_\alpha \lVert x - \sum_i \alpha_i \hat s_i \rVert^2$.

# %%
def match_peaks(estimates, mixture):
    return estimates / estimates.abs().amax(-1, keepdim=True) * mixture.abs().max()

def fit_gains(estimates, mixture):
    """(source, time), (time,) -> (source, time); the gains may differ by 1e5, hence float64."""
    unit = F.normalize(estimates.double(), dim=-1)
    gains = torch.linalg.lstsq(unit.T, mixture.double().unsqueeze(1)).solution
    return (gains * unit).float()

odd = good * torch.tensor([[1000.0], [-0.01]])                   # as a network might give them
compare("least squares", fit_gains, evaluation.match_level, odd, both)

# %% [markdown]
# ### Exercise 04.8 · Estimates that add up (★, 5 min)
#
# After the best gains a rest remains, $x - \sum_i \hat s_i$. In a recording of voices and nothing else
# it must belong to somebody. *Mixture consistency* (Wisdom et al., 2019) shares it out: the smallest
# change after which the estimates add up to the mixture gives every source an equal part. Write
# `consistent(estimates, mixture)`, `(source, time)` and `(time,)`, for any number of sources.
#
# <details><summary>Hint</summary>
#
# `estimates.sum(0)` is `(time,)`, and so is what is missing. It broadcasts over the sources.
#
# </details>

# %% tags=["exercise"]
def consistent(estimates, mixture):
    raise NotImplementedError

# %% tags=["solution"]
def consistent(estimates, mixture):
    return estimates + (mixture - estimates.sum(0)) / len(estimates)

# %%
check("04.8", consistent)

# %% [markdown]
# **Predict first.** Does sharing out the rest help the loud voice? The soft one?

# %%
fitted = fit_gains(odd, both)
rest, power = both - fitted.sum(0), fitted.square().sum(-1, keepdim=True)
mended = {"as they come": odd, "peak matching": match_peaks(odd, both), "least squares": fitted,
          "... and the rest in equal parts": fitted + rest / len(fitted),
          "... and the rest by energy": fitted + rest * power / power.sum()}
pd.DataFrame([
    {"gains": name, "loud voice, SNR dB": losses.snr(x, talk)[0].item(),
     "soft voice, SNR dB": losses.snr(x, talk)[1].item(),
     "sum against the mixture, dB": losses.snr(x.sum(0), both).item()}
    for name, x in mended.items()
]).set_index("gains").round(1)

# %% [markdown]
# Listen with the player's *Match loudness* switched off (key M): the level is what this is about.

# %%
tracks = {"mixture": both, "soft voice, as it was": talk[1],
          "soft voice, peak matching": mended["peak matching"][1],
          "soft voice, least squares": mended["least squares"][1]}
player(tracks, rate, "Who was the soft one?")

# %% [markdown]
# Peak matching makes everyone equally loud and leaves
# upside down what was upside down, so the parts no longer make a whole. Least squares brings both back;
# `evaluation.separate` does that for you from now on. And the rest: most of it came from the loud
# voice, so half of it is far too much for the soft one. Shared out by energy, it does no harm.
#
# The other way is not to need it: train with plain SNR, which does care for the level.

# %%
levels = {}
for name, measure in {"SI-SNR": losses.si_snr, "SNR": losses.snr}.items():
    torch.manual_seed(0)
    student = ConvTasNet(N=128, L=32, B=64, H=128, Sc=64, P=3, X=5, R=1).to(ws.device)
    memorise(student, steps, measure=measure)
    with torch.no_grad():
        out = student.cpu()(mixture)
    levels[name] = {"SI-SNR, dB": losses.si_snr(out, sources).mean().item(),
                    "SNR as it comes, dB": losses.snr(out, sources).mean().item(),
                    "level, dB": (audio.rms_db(out) - audio.rms_db(sources)).mean().item()}
pd.DataFrame(levels).T.rename_axis("trained with").round(1)

# %% [markdown]
# (*level*: how much louder than the true sources the outputs are.)
#
# One more way to spoil it stands at the very end: the file. Samples between −1 and 1 belong into 16-bit
# integers (`PCM_16`); written as 32-bit floats the file is twice as large as the recording it came from,
# and too loud a sample survives in it only to be clipped by the next program.

# %%
with tempfile.TemporaryDirectory() as folder:
    audio.write(f"{folder}/pcm16.wav", mended["least squares"][0], rate)
    soundfile.write(f"{folder}/float.wav", mended["least squares"][0].numpy(), rate, "FLOAT")
    for file in sorted(Path(folder).iterdir()):
        print(f"{file.name:10} {file.stat().st_size:7,} bytes, {audio.probe(file)[0]:,} samples "
              f"of {len(both):,}")

# %% [markdown]
# ## 13 · What a trained encoder looks like
#
# Now the picture you have been waiting for. The separator that comes with the course was trained as
# you will train yours in chapter 05; if you have already been there, this is your own.

# %%
shipped = models.load(ws.load_artifact("voice_separator") / "model.safetensors")
print(", ".join(f"{key} {shipped.config[key]}" for key in (*paper, "norm", "mask")))
print(f"{models.count_parameters(shipped):,} parameters")
encoder_filters = shipped.encoder.weight.detach().squeeze(1)
plots.filters(encoder_filters, rate, "Learned encoder")

# %%
decoder_filters = shipped.decoder.weight.detach().squeeze(1)
plots.filters(decoder_filters, rate, "Learned decoder")

# %% [markdown]
# Part of the random start is still there, as speckle: the longer a training, the cleaner the picture.
# But look at the bright line. The STFT's staircase climbed evenly; this one lingers somewhere.
#
# **Predict first.** Where do most of the filters settle, and why there?

# %%
def peaks(filters):
    """Peak frequency of each filter in kHz, the lowest first."""
    return (torch.fft.rfft(filters, 512).abs().argmax(-1) * rate / 512 / 1000).sort().values

@plots.figure
def peak_plot(bases):
    figure, ax = plt.subplots(figsize=(9, 3.6))
    looks = zip(plots.COLOURS, plots.LINESTYLES, strict=True)
    for (name, basis), (colour, style) in zip(bases.items(), looks, strict=False):
        ax.plot(torch.linspace(0, 100, len(basis)), peaks(basis), color=colour, linestyle=style,
                label=name)
    ax.set(xlabel="share of the filters (%)", ylabel="peak frequency (kHz)", xlim=(0, 100),
           ylim=(0, rate / 2000), title="The filters' peak frequencies, sorted")
    ax.legend()
    return figure

bases = {"STFT": fourier_filters(L), "random": filters,
         "learned encoder": encoder_filters, "learned decoder": decoder_filters}
for name, basis in bases.items():
    low = (peaks(basis) < rate / 8000).float().mean()
    print(f"{name:15} {low:4.0%} of the filters peak below {rate / 8000:g} kHz")
peak_plot(bases)

# %% [markdown]
# They crowd at the bottom, where voices have their pitch and most of their energy: a close look at low
# frequencies, a coarse one at high ones, rather as in the ear. Nobody told the network so. The
# paper's filters, after far longer training, do the same.
#
# Let it separate a mixture it has never met.

# %%
name, view = next(reversed(course_views.test_views(corpus, n_mixtures=5).items()))
item = view[0]
estimates = evaluation.separate(shipped, item["mixture"])
print(f"{item['id']} of the view {name!r}")
player({"mixture": item["mixture"], "estimate 1": estimates[0], "estimate 2": estimates[1],
        "source 1": item["sources"][0], "source 2": item["sources"][1]}, rate,
       "The course's separator, on voices new to it")

# %% [markdown]
# Not perfect, and much can still be gained by training longer. Listen for *which* estimate is which
# source: nobody told the network that either. There chapter 05 begins; this one ends with a look at
# the family, and at weights that come from elsewhere.

# %% [markdown]
# ## 14 · Relatives
#
# Whoever knows one of the family knows them all: something encodes, something makes masks, something
# decodes, and what comes out is as long as what went in.
#
# | name | what is different | from |
# |---|---|---|
# | `lstm_tasnet` | frames side by side, not overlapping; a gated encoder; masks from LSTMs. Causal | Luo & Mesgarani, 2018 |
# | `blstm_tasnet` | the same, read forwards and backwards | 2018 |
# | `conv_tasnet` | what you have built | 2019 |
# | `deep_conv_tasnet` | a stack of convolutions and PReLUs after the encoder and before the decoder | Kadıoğlu et al., 2020 |
# | `dprnn_tasnet` | the frames are cut into chunks; one BLSTM runs inside the chunks, the next one across them | Luo et al., 2020 |
#
# **Predict first.** Which is the largest? Which computes the most for a second of sound?

# %%
family = ("lstm_tasnet", "blstm_tasnet", "conv_tasnet", "deep_conv_tasnet", "dprnn_tasnet")
rows = []
for name in family:
    config = models.complete({"name": name})               # each as in its own paper
    figures = calculate(config, seconds=1.0)
    rows.append({"network": name, "L": config["L"], "parameters, M": sum(figures.parameters.values()) / 1e6,
                 "multiply-adds a second, G": sum(figures.multiply_adds.values()) / 1e9,
                 "receptive field, s": figures.receptive_field / config["sample_rate"],
                 "latency, ms": 1000 * figures.latency / config["sample_rate"],
                 "training, 1 s, MB": figures.training_bytes / 1e6})
pd.DataFrame(rows).set_index("network").round(2)

# %% [markdown]
# The recurrent ones see everything there is (*inf*); those that also read backwards have to wait for
# it. DPRNN is the smallest, and pays with work and memory: its filters of two samples make eight
# times as many frames.
#
# Here are small ones of each, on our batch. They keep the same contract, so the loss, the training loop, the
# player and the evaluation never ask which of them it is.

# %%
smaller = {"lstm_tasnet": dict(N=32, H=32, layers=2), "blstm_tasnet": dict(N=32, H=32, layers=2),
           "conv_tasnet": dict(N=32, B=16, H=32, Sc=16, X=3, R=1),
           "deep_conv_tasnet": dict(N=32, B=16, H=32, Sc=16, X=3, R=1),
           "dprnn_tasnet": dict(N=32, L=16, B=16, H=16, chunk=100, R=1)}
for name, sizes in smaller.items():
    network = models.build(models.complete({"name": name, **sizes}))
    with torch.no_grad():
        out = network(mixture)
    print(f"{name:17} {tuple(mixture.shape)} -> {tuple(out.shape)}, "
          f"{'causal' if network.causal else 'not causal'}, {models.count_parameters(network):,} "
          "parameters")

# %% [markdown]
# What does *dual path* mean for the shapes? Follow the batch through: a sequence of $K$ frames becomes
# $C$ chunks, and no recurrent layer ever runs over more than a chunk, or more than the number of chunks,
# at a time.

# %%
walk = trace(models.complete({"name": "dprnn_tasnet", **smaller["dprnn_tasnet"]}), mixture)
walk[["tensor", "paper", "axes", "sizes"]].set_index("tensor")

# %% [markdown]
# ## 15 · Weights that somebody else has trained
#
# torchaudio publishes a network of this kind, trained on a great many hours of readers (Libri2Mix): the
# same architecture, but with other names in another order. `pretrained.from_torchaudio` puts such
# weights into the package's network. That all of them arrive, and in their places, can be seen offline,
# with torchaudio's own model as it is before any training:

# %%
from sep_helpers._torchaudio import load as load_torchaudio
from sep_helpers.models import pretrained

torch.manual_seed(0)
stranger = load_torchaudio().models.conv_tasnet_base().eval()
adopted = pretrained.from_torchaudio(stranger)
print({key: adopted.config[key] for key in (*paper, "norm", "mask")})
with torch.no_grad():
    compare("torchaudio's network", lambda x: stranger(x.unsqueeze(1)), adopted, mixture,
            tolerance=1e-5)

# %% [markdown]
# Now the trained ones. Tick the box on Colab, or wherever there is a connection: the weights (20 MB) and
# two readers who talk at once (from torchaudio's own tests) come down, and within a minute you hear them apart.

# %%
DOWNLOAD = False  # @param {type: "boolean"}
ADDRESS = "https://download.pytorch.org/torchaudio/test-assets/"
FILES = [f"{name}_3729-6852-0037_8463-287645-0000.wav" for name in ("mixture", "s1", "s2")]

def two_readers():
    """Separator, mixture (time,), sources (source, time), or None, having said why."""
    try:
        separator = pretrained.libri2mix()
        files = [downloads.download([ADDRESS + name], ws.folder / "readers" / name).path
                 for name in FILES]
    except (ValueError, OSError) as error:
        print(f"not this time: {error}")
        return None
    talk, *readers = (audio.load_any(file, separator.sample_rate) for file in files)
    return separator, talk, torch.stack(readers)

begin = time.perf_counter()
found = two_readers() if DOWNLOAD else None
print(f"here after {time.perf_counter() - begin:.0f} s" if found else
      "nothing was downloaded; everything else in this course works without")

# %%
if found:
    separator, talk, readers = found
    voices = evaluation.separate(separator, talk)[None]
    voices = permutation.reorder(voices, permutation.pit(voices, readers[None])[1])[0]
    gain = losses.si_snr(voices, readers).mean() - losses.si_snr(talk, readers).mean()
    print(f"{gain:.1f} dB SI-SNR gained, {time.perf_counter() - begin:.0f} s in all")
    display(player({"mixture": talk, "estimate 1": voices[0], "reader 1": readers[0],
                    "estimate 2": voices[1], "reader 2": readers[1]}, separator.sample_rate,
                   "Two readers, apart"))

# %% [markdown]
# ## What to remember
#
# - **Encoder and decoder** are a matrix product on frames and an overlap-add. With $N \ge L$ filters
#   nothing need be lost, so training is free to choose the ones that make masking easy.
# - **Pad in front and behind, trim at the end**: any length in, the same out, edges at full level.
# - **A TCN block**: 1×1 mixes channels, depthwise (`groups=H`) looks along time, dilation
#   widens the look for free. Residuals chain the blocks, skips feed the masks.
# - **Receptive field** $= R\,(P-1)\,(2^X-1)\,L/2 + L$ samples, as long as no norm looks further.
# - **gLN sees the whole utterance.** Causal means left padding *and* cLN; prove it by changing the
#   future, from every sample on.
# - **Count parameters** next to the hyper-parameter you vary. **Read shapes** with their names:
#   `(S, N)` and `(N, S)` are the same number of channels.
# - **One run is an anecdote.** Repeat it with other seeds before you believe a difference.
# - **SI-SNR is blind** to scale and sign: fit the gains before anyone listens.
#
# Next, the network gets more than one batch: permutations, the training loop, and a runtime that
# dies half-way.
#
# {{nav}}
