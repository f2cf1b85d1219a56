# %% [markdown]
# {{header}}
#
# # 07 · Music, stem by stem
#
# A song is a mixture that somebody made on purpose. You sit at the mixing desk, take the song apart
# with masks that know the answer, then with a network that does not, and learn why most of what
# helps happens before the network hears a note.
#
# **You will hear** four stems, each on a fader of its own; karaoke from 1980 and karaoke from a
# network; what a target sounds like that a single `+=` has spoiled.
#
# **Goals** · know what a stem is and what stereo adds · see DeepConvSep from the inside, one shape at
# a time · tell augmentation that augments from augmentation that lies · train on a song, and know
# why one song is not enough · read SDR the right way up, second by second and song by song.
#
# **Needs** · 02 (STFT and ideal masks), 03 (networks that guess the mask).
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# ## 1 · What is a stem?
#
# A studio records every instrument on a track of its own, then adds tracks that belong together:
# all drums become one **stem**, all that sings another. Four stems are the field's habit: *vocals,
# drums, bass, other*. Their sum is the song.
#
# The course brings a short song in stems (written for it, its vocals synthetic): the verse is for
# training, the bridge for validation, the chorus for the test. In stereo, at 22.05 kHz.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

from sep_helpers import (cards, corpora, masks, models, plots, song_evaluation, views,
                         workspace)
from sep_helpers.augmentation import Augmentation, aliasing_fault, augment
from sep_helpers.bss_images import distortion
from sep_helpers.checks import check, compare
from sep_helpers.player import player
from sep_helpers.plots_style import COLOURS, STYLE
from sep_helpers.song_separation import separate_song, share_out
from sep_helpers.stem_player import stem_player
from sep_helpers.stft import stft

plt.style.use(STYLE)

# %%
RATE, STEMS = 22050, ("vocals", "drums", "bass", "other")
song = corpora.embedded("music", sample_rate=RATE, channels=2)

def stems_of(track, seconds=None):
    """(stem, channel, time) of a track of the song."""
    whole = torch.stack([song.waveform(f"{track}/{stem}.flac") for stem in STEMS])
    return whole[..., :round(seconds * RATE)] if seconds else whole

chorus = stems_of("chorus", 4.0)
mixture = chorus.sum(0)
print("stems", tuple(chorus.shape), "= stem, channel, time;  mixture", tuple(mixture.shape))
song.table.groupby(["track", "split"], sort=False).seconds.first().to_frame()

# %% [markdown]
# Here is your desk. Each stem has a fader, **M** (mute) and **S** (solo); `0` plays the mixture
# itself. **Predict first**: which stem will you miss least when it is gone?

# %%
stem_player(dict(zip(STEMS, chorus, strict=True)), RATE, "The chorus on the desk")

# %% [markdown]
# ### Exercise 07.1 · The desk (★, 6 min)
#
# Write `desk(stems, gains_db)`: stems `(stem, channel, time)` and a gain in dB for each. Return
# **two** things: the mixture, and the targets, which are what each stem contributes to *this* mixture.
# The stems that come in belong to somebody else: leave them as they are.
#
# <details><summary>Hint</summary>
#
# An amplitude grows by $10^{g/20}$. `gains[:, None, None]` reaches over channels and time. The
# mixture is a sum over dimension 0 of the targets.
#
# </details>

# %% tags=["exercise"]
def desk(stems, gains_db):
    raise NotImplementedError

# %% tags=["solution"]
def desk(stems, gains_db):
    targets = 10 ** (gains_db / 20)[:, None, None] * stems
    return targets.sum(0), targets

# %%
check("07.1", desk)

# %% [markdown]
# ## 2 · Two channels are worth something
#
# Singers stand in the middle, guitars on the sides. What is in the middle is the *same* in both
# channels, so the difference of the channels does not have it: the karaoke machine of 1980.
#
# **Predict first**: which stems will survive left minus right, and which will not?

# %%
side = (mixture[0] - mixture[1]) / 2
left = (chorus[:, 0] - chorus[:, 1]) / 2

def db(x):
    return 10 * torch.log10(x.square().mean(-1).clamp(min=1e-12))

pd.DataFrame({"in the mixture (dB)": db(chorus.mean(1)), "in left minus right (dB)": db(left),
              "lost (dB)": db(chorus.mean(1)) - db(left)}, index=STEMS).astype(float).round(1)

# %%
player({"mixture": mixture, "left minus right": side,
        "true karaoke": mixture - chorus[0]}, RATE, "Karaoke without any network")

# %% [markdown]
# It costs no learning at all, and it does to every stem what it does to the voice: whatever stands in
# the middle goes, and in this song nearly everything stands there, the bass most of all. A network
# that reads *both* channels can use such hints stem by stem. That is what "stereo" means for a
# separator: `(batch, channel, time)` goes in, `(batch, stem, channel, time)` comes out.
#
# ## 3 · Masks that know the answer
#
# As in notebook 02, with more sources and for each channel on its own. Frames are long, 1024 samples,
# and overlap by 75 %: tones need sharp frequencies more than words do.

# %%
N_FFT, HOP = 1024, 256
S = stft(chorus, N_FFT, HOP)                                   # (stem, channel, freq, frame)
ideal = masks.irm(S.transpose(0, 1)).transpose(0, 1)           # of each channel over its stems
print("S", tuple(S.shape), " masks", tuple(ideal.shape),
      f" largest error of their sum {(ideal.sum(0) - 1).abs().max():.0e}")
plots.stem_pictures(dict(zip(STEMS, chorus, strict=True)), ideal, RATE, N_FFT, HOP,
                    "Four stems, and what an ideal ratio mask gives each")

# %% [markdown]
# Drums are columns, tones are rows, the bass lives where nobody else does. (The scale is octaves: a
# piano's keys are evenly spaced on it.) How good can masks be?

# %%
def sdr(estimates, stems):
    """10 log10 |s|^2 / |s - e|^2 over both channels, (..., channel, time) -> dB."""
    power, error = (x.square().sum((-2, -1)).clamp(min=1e-9) for x in (stems, stems - estimates))
    return 10 * torch.log10(power / error)

def with_ideal(name, mixture, stems):
    """Stems (stem, channel, time) through an ideal mask, each channel with masks of its own."""
    return masks.oracle(name, mixture, stems.transpose(0, 1), N_FFT, HOP).transpose(0, 1)

bounds = {"the mixture": mixture.expand_as(chorus), "a quarter of it": mixture.expand_as(chorus) / 4}
bounds |= {f"ideal {name.upper()}": with_ideal(name, mixture, chorus) for name in ("ibm", "irm", "wfm")}
table = pd.DataFrame({name: sdr(e, chorus) for name, e in bounds.items()}, index=STEMS).T
table.astype(float).round(1).rename_axis("SDR (dB)")

# %% [markdown]
# Look at the first two lines. *A quarter of the mixture* has separated nothing and is still several
# dB better than the mixture: this SDR pays for a lower level. So a floor is not one number. Hold
# every system against **both**, or against a measure that does not see the level.

# %%
stem_player(dict(zip(STEMS, bounds["ideal IRM"], strict=True)), RATE,
            "The best that ratio masks can do", mixture=mixture)

# %% [markdown]
# ## 4 · DeepConvSep, one shape at a time
#
# Chandna, Miron, Janer and Gómez (2017) look at a song through a window of **30 frames**, a third of
# a second, and pass what they see through a bottleneck of **128 numbers**.

# %%
torch.manual_seed(0)
network = models.build(models.complete({"name": "deep_conv_sep", "channels": 2, "n_sources": 4,
                                        "sample_rate": RATE}))
block = network.block
print(f"a block: {block} frames = {block * HOP / RATE:.2f} s, "
      f"2 x {block} x {network.n_freqs} = {2 * block * network.n_freqs:,} numbers")
pd.DataFrame([{"part": name, "parameters": models.count_parameters(part)}
              for name, part in network.named_children()]).set_index("part")

# %% [markdown]
# **Vertical.** A filter as tall as the picture and one frame wide: at every frame it asks *"is it
# this spectrum?"*. 50 filters, 50 questions. **Horizontal.** A filter over 15 frames of those
# answers: *"how does it move?"* No padding, so 15 taps fit into 30 frames 16 times. **Code.** All of
# that, 480 numbers, becomes 128. **Back.** Each stem has a decoder of its own, the same way in
# reverse.

# %%
def shapes_through(network, mixture):
    """What every layer makes of one block: name -> shape."""
    seen, hooks = {}, []
    for name, layer in network.named_modules():
        def note(layer, given, out, name=name):
            seen[name] = tuple(given[0].shape[1:]), tuple(out.shape[1:])
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)):
            hooks.append(layer.register_forward_hook(note))
    with torch.no_grad():
        network(mixture[None, :, :(block - 1) * HOP])
    for hook in hooks:
        hook.remove()
    return pd.DataFrame(seen, index=["in", "out"]).T.rename_axis("layer")

shapes_through(network, mixture).head(6)

# %% [markdown]
# (`decoders.0` is that of the vocals; the other three look the same.)
#
# ### Exercise 07.2 · Shapes on paper (★★, 8 min)
#
# Write `shapes(block, freqs, vertical, horizontal, taps, code)`: for stereo, the shapes of one block's
# input, after the vertical convolution, after the horizontal one, and of the code, as four tuples. No
# network is needed, only the two sentences above.
#
# <details><summary>Hint</summary>
#
# Channels first, then frames, then frequencies. The vertical convolution leaves one of `freqs`; the
# horizontal one leaves `block - taps + 1` frames.
#
# </details>

# %% tags=["exercise"]
def shapes(block, freqs, vertical, horizontal, taps, code):
    raise NotImplementedError

# %% tags=["solution"]
def shapes(block, freqs, vertical, horizontal, taps, code):
    return [(2, block, freqs), (vertical, block, 1), (horizontal, block - taps + 1, 1), (code,)]

# %%
check("07.2", shapes)

# %% [markdown]
# What comes out of a decoder, $y_i$, is a size for every bin. The **soft masks** share each bin of
# the mixture out among the stems, as in notebook 03, and for each channel on its own:
#
# $$ m_i = \frac{|y_i|}{\sum_j |y_j|} \qquad \hat{S}_i = m_i\,Y $$
#
# So the four estimates add up to the mixture even before anything is learned. And a song of any
# length comes out as long as it went in, the last, partial block included:

# %%
with torch.no_grad():
    for seconds in (0.1, 1.0, 3.33):
        x = mixture[:, :round(seconds * RATE)]
        parts = network.eval()(x[None])[0]
        off = 10 * torch.log10((parts.sum(0) - x).square().mean() / x.square().mean())
        print(f"{x.shape[-1]:6} samples in, {parts.shape[-1]:6} out; "
              f"the sum is off by {off:.0f} dB")

# %% [markdown]
# ## 5 · Like your own stem, unlike the others
#
# The network's own loss has a distance of spectrograms $D_{ij}$, estimate $i$ against stem $j$. Each
# estimate should be near its own stem **and far from the others**, a little ($\alpha$), and from
# *other* a little more ($\beta$; the vocals $\beta_v$). And *other* itself, keys today and violins
# tomorrow, has no term at all: it is what the masks leave over.
#
# $$ \sum_{i<4} D_{ii} \;-\; \alpha \sum_{i \neq j,\; i,j<4} D_{ij} \;-\; \beta \sum_{i=2,3} D_{i4}
#    \;-\; \beta_v D_{14} $$
#
# ### Exercise 07.3 · Near and far (★★, 10 min)
#
# Write `apart(D, alpha, beta, beta_vocals)` for a matrix `D` of distances, `(estimate, stem)`, in the
# order vocals, drums, bass, other.
#
# <details><summary>Hint</summary>
#
# `D[:3, :3]` is vocals, drums and bass among each other; its diagonal are the own distances.
#
# </details>

# %% tags=["exercise"]
def apart(D, alpha, beta, beta_vocals):
    raise NotImplementedError

# %% tags=["solution"]
def apart(D, alpha, beta, beta_vocals):
    own, square = D.diagonal()[:3].sum(), D[:3, :3].sum()
    return own - alpha * (square - own) - beta * D[1:3, 3].sum() - beta_vocals * D[0, 3]

# %%
check("07.3", apart)

# %% [markdown]
# ## 6 · Augmentation that lies
#
# One song is very little. The old trick is to make new songs from old stems: this drum track under
# that voice, louder, softer, left and right exchanged. The published code of DeepConvSep had such an
# **augmentation**. It was never switched on, and that was lucky. This is what it would have done:

# %%
targets = chorus.clone()
spoiled_mixture, spoiled = aliasing_fault(targets)
off = (spoiled.sum(0) - spoiled_mixture).square().mean() / spoiled_mixture.square().mean()
print(f"sum of the targets minus the mixture: {10 * off.log10():.1f} dB re the mixture")
print("the first target IS the mixture, in memory:",
      spoiled_mixture.data_ptr() == spoiled[0].data_ptr())
player({"vocals, the target": chorus[0], "vocals, the target after the fault": spoiled[0]}, RATE,
       "What the network would be taught to call vocals")

# %% [markdown]
# Two lines did that: `mixture = targets[0]` makes no copy, only a second *name* for the same numbers,
# and `mixture += target` writes into them. The target "vocals" ends as the whole song. Nothing
# crashes, the loss goes down, and the network learns to leave the drums in the voice.
#
# The second fault: it added **magnitudes**. But sizes of spectrograms do not add up when signals do:
# two tones may cancel. **Predict first**: by how much is the sum of sizes wrong?

# %%
sizes, size = S.abs().sum(0), S.sum(0).abs()
wrong = 10 * torch.log10((sizes - size).square().mean() / size.square().mean())
cancel = (size < 0.5 * sizes).float().mean()
print(f"|A| + |B| + ... instead of |A + B + ...|: an error of {wrong:.1f} dB re the true picture;")
print(f"in {100 * cancel:.0f} % of the bins more than half of the sum cancels")

# %% [markdown]
# Mended, augmentation works on **waveforms**, changes the *targets*, makes new tensors, and adds up
# last. Then mixture = sum of targets whatever was done, and one line can prove it:

# %%
asked = Augmentation(gain_db=(-8, 4), swap=0.5, mute_channel=0.1, mute=0.1)
item = {"sources": chorus, "mixture": mixture}
before, worst = chorus.clone(), 0.0
for seed in range(100):
    new = augment(item, asked, np.random.default_rng(seed))
    worst = max(worst, (new["mixture"] - new["sources"].sum(0)).abs().max().item())
print(f"100 augmented songs: mixture and sum of targets differ by {worst:.0e} at most")
print("the recordings in memory are untouched:", torch.equal(chorus, before))

# %% [markdown]
# ### Exercise 07.4 · Left and right (★★, 8 min)
#
# Write `my_augment(stems, rng)`: each stem's channels change places with probability one half, each
# stem decided on its own, by `rng` (a NumPy generator) and nothing else. Return new stems.
#
# <details><summary>Hint</summary>
#
# `rng.uniform(size=len(stems)) < 0.5` decides; `stems.flip(1)` are all stems with the channels
# exchanged; `torch.where` chooses.
#
# </details>

# %% tags=["exercise"]
def my_augment(stems, rng):
    raise NotImplementedError

# %% tags=["solution"]
def my_augment(stems, rng):
    swap = torch.from_numpy(rng.uniform(size=len(stems)) < 0.5)
    return torch.where(swap[:, None, None], stems.flip(1), stems)

# %%
check("07.4", my_augment)

# %% [markdown]
# In the course it is an option of the recipe. `remix` is the strongest: that share of mixtures takes
# each stem from a song, and a place, of its own. (Is music still music when the drums do not keep time
# with the bass? To a network that looks at a third of a second it is.)

# %%
def recipe(name, **changes):
    return views.Recipe(name=name, split="train", n_sources=4, sample_rate=RATE, together="track",
                        categories=list(STEMS), rms_db=-25.0, level_db=0.0, seconds=1.5,
                        n_mixtures=400, seed=5, **changes)

CHANGES = {"remix": 0.8, "gain_db": [-8, 4], "swap": 0.5, "mute": 0.05}
as_it_is = views.LiveView(song, recipe("as_it_is"))
augmented = views.LiveView(song, recipe("augmented", augment=CHANGES, speed=0.1))
for view in (as_it_is, augmented):
    cuts = view.epoch(0)[3]["cuts"]
    print(view.recipe.name.ljust(10),
          *(f"{cut.category} from {cut.start / RATE:5.2f} s" for cut in cuts), sep="  ")

# %%
heard = {f"new mixture {n + 1}": augmented.epoch(0)[n]["mixture"] for n in range(3)}
player(heard, RATE, "The verse, as nobody has played it")

# %% [markdown]
# ## 7 · Train: with and without
#
# Two trainings on the verse, the same network from the same first weights, the same number of steps;
# only one of them hears new mixtures. The network is narrow, the training a matter of seconds.
# **Predict first**: which one will be better *on the verse itself*, and which one on the chorus?

# %%
def small_network():
    torch.manual_seed(1)
    return models.build(models.complete({
        "name": "deep_conv_sep", "channels": 2, "n_sources": 4, "sample_rate": RATE,
        "vertical": 24, "horizontal": 24}))

def train(network, view, steps, watch, lr=2e-3, batch=2):
    """Maximise the SDR of every stem; what `watch(network)` says ten times on the way."""
    optimizer = torch.optim.Adam(network.parameters(), lr)
    told, step = [], 0
    while step < steps:
        epoch = view.epoch(step)
        for first in range(0, min(len(epoch), batch * (steps - step)), batch):
            items = [epoch[first + n] for n in range(batch)]
            sources = torch.stack([x["sources"] for x in items])
            loss = -sdr(network.train()(sources.sum(1)), sources).clamp(-30, 30).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % max(1, steps // 10) == 0:
                told += [line | {"step": step} for line in watch(network)]
    return pd.DataFrame(told)

# %%
verse = stems_of("verse", 5.0)

def watch(network):
    for where, stems in {"verse (heard)": verse, "chorus (new)": chorus}.items():
        for stem, value in zip(STEMS, sdr(separate_song(network, stems.sum(0)), stems), strict=True):
            yield {"where": where, "stem": stem, "sdr": value.item()}

steps = {"smoke": 4, "laptop": 160}.get(ws.preset.name, 400)
live, yours = [], {}
for name, view in {"song as it is": as_it_is, "augmented": augmented}.items():
    yours[name] = small_network()
    live.append(train(yours[name], view, steps, watch).assign(training=name))
live = pd.concat(live)
live["line"] = live.training + ", " + live["where"]
plots.curves(live, "line", x="step", title="Seconds of training, on the verse and on the chorus")

# %%
end = live[live.step == live.step.max()].pivot_table(index=["training", "where"], columns="stem",
                                                     values="sdr", sort=False)[list(STEMS)]
end.assign(mean=end.mean(axis=1)).round(2).rename_axis(columns="SDR (dB)")

# %% [markdown]
# Did augmentation disappoint you? Look at what the test is: the chorus is played by the *same band*. Who
# knows the verse by heart does well there, and a network that had to learn a hundred bands in the same
# seconds has learned each of them less well. What is worth more for a song that **nobody** has heard is
# another question, and this song cannot answer it.

# %% [markdown]
# ## 8 · The same question on real songs
#
# Ten excerpts of five real songs in stems (dedicated to the public domain by their makers, not part of
# this course): three songs and the embedded verse train, one song is for validation, one for the
# test. Stems that sound were brought to one level, since some lie 20 dB under the others. Each network
# had a minute or two of one core, as the table below says; `make studies ONLY=music` repeats it.

# %%
from sep_helpers.sweeps import FOLDER as STUDIES

study = pd.read_csv(STUDIES / "music_curves.csv")
pair = study[study.variant.isin(["DeepConvSep", "DeepConvSep, songs as they are"])]
pair = pair.replace({"variant": {"DeepConvSep": "augmented",
                                 "DeepConvSep, songs as they are": "songs as they are"}})
plots.curves(pair, "variant", title="DeepConvSep on a song it has never heard (validation)")

# %%
ends = study[study.epoch == study.epoch.max()]
on_train = ends.groupby("variant", sort=False)["train"].first()
on_val = ends.groupby("variant", sort=False)["sdr"].mean()
pd.DataFrame({"training mixtures (SI-SNR, dB)": on_train, "validation song (SDR, dB)": on_val}).round(2)

# %% [markdown]
# Compare the first two lines. Without augmentation the training mixtures are the easier ones: the same
# few bars again and again, soon known by heart, and with every epoch the network is surer of what it
# knows. What counts is the second column, and the direction in which the curves above are going.
#
# ### Stereo or mono, and which network?
#
# The comparison: a **U-Net**, a pyramid of small convolutions over the picture with bridges from the
# way down to the way up (Jansson et al., 2017), and a stereo **Conv-TasNet**, whose filters are pairs,
# one for each channel. The mono network hears the two channels one after the other.

# %%
found = pd.read_csv(STUDIES / "music.csv")

def board(split):
    """Median over the songs, a system a row, a stem a column."""
    rows = found[found["view"] == split]
    return rows.pivot_table(index="system", columns="stem", values="sdr", aggfunc="median",
                            sort=False)[list(STEMS)]

facts = found.groupby("system", sort=False)[["parameters", "cpu_seconds"]].first()
board("test").join(facts).style.format("{:.2f}", na_rep="").format(
    "{:,.0f}", subset=["parameters", "cpu_seconds"], na_rep="").set_caption("SDR on the test song (dB)")

# %%
plots.standings(board("test"), ("mixture", "equal parts"),
                tuple(song_evaluation.CEILINGS), "The test song: SDR of each stem")

# %%
board("val").style.format("{:.2f}").set_caption("SDR on the validation song (dB): other figures")

# %% [markdown]
# Read it as a sceptic. Two songs: the difference between the two tables is larger than most differences
# *inside* one of them, so no ranking of networks follows from them. What does follow: where a system
# lies below *equal parts*, it has done harm; and between every network and the ideal masks there is a
# gap that a minute of training on four songs does not close.
#
# One more thing has to be chosen, honestly: which network the course brings along. **By which table?**

# %%
networks = facts.dropna().index
means = pd.DataFrame({split: board(split).loc[networks].mean(axis=1) for split in ("val", "test")})
print("best on the validation song:", means["val"].idxmax())
print("best on the test song:      ", means["test"].idxmax())
means.round(2).rename_axis("mean over the stems (dB)")

# %% [markdown]
# By the first. The test song is there to tell what that choice is worth, and if it tells us something
# else than we hoped, that was its task. (Choose by the test, and there is nothing left that could.)
#
# ## 9 · Figures for songs
#
# Music is measured second by second. A voice that rests has no SDR in that second, a nearly silent one
# may have any, so the field's protocol (museval) takes **medians**: over the seconds of a song, then
# over the songs. And the direction, since it has been printed the wrong way round: **higher is better**.
# Not "closer to zero".

# %%
error_db = np.linspace(-20, 10, 61)
fig, ax = plt.subplots(figsize=(9, 2.6))
ax.plot(error_db, -error_db)
ax.plot([0], [0], "o", color=COLOURS[1])
ax.annotate("0 dB: the error is as loud as the stem", (0, 0), (-19, -7), color=COLOURS[1],
            arrowprops={"arrowstyle": "-", "color": COLOURS[1]})
ax.set(xlabel="level of the error, re the stem (dB)", ylabel="SDR (dB)", title="Which way is up")
plt.show()

# %% [markdown]
# The network that comes with the course has trained on the *verse* of this song, among others, so what
# it does with the chorus is no test of new music; the tables above are.

# %%
shipped = workspace.SHIPPED / "music_separator" / "model.safetensors"
separator = models.load(shipped)
estimates = separate_song(separator, mixture)
print(f"{models.count_parameters(separator):,} parameters, shipped, not yours:")
pd.Series(models.read_card(shipped)).to_frame("")

# %%
def by_second(estimates, stems, window=RATE):
    """SDR of each whole second, (stem, second)."""
    e, s = (x.double().unfold(-1, window, window) for x in (estimates, stems))
    return 10 * torch.log10(s.square().sum((1, 3)) / (s - e).square().sum((1, 3)))

compare("SDR by the second", by_second, lambda e, s, w=RATE: distortion(e.double().numpy(),
        s.double().numpy(), w), estimates[..., :4 * RATE], chorus[..., :4 * RATE], tolerance=1e-3)

# %%
whole = stems_of("chorus")
seconds = by_second(separate_song(separator, whole.sum(0)), whole)
fig, ax = plt.subplots(figsize=(9, 3))
for stem, values, colour, marker in zip(STEMS, seconds, COLOURS, "os^D", strict=False):
    ax.plot(np.arange(len(values)) + 0.5, values, marker=marker, linestyle=":", color=colour,
            label=f"{stem}: median {values.median():.1f} dB")
    ax.axhline(values.median(), color=colour, linewidth=0.8)
ax.set(title="The chorus, second by second", xlabel="time (s)", ylabel="SDR (dB)")
ax.legend(ncols=2, fontsize="small")
plt.show()

# %% [markdown]
# ### Exercise 07.5 · One figure for many songs (★, 6 min)
#
# Write `song_figure(songs)` for a list of arrays, one a song, with the SDR of each of its seconds; a
# second without a figure is NaN. Songs may be of different lengths. Return one number.
#
# <details><summary>Hint</summary>
#
# `np.nanmedian` of each array, then the median of those.
#
# </details>

# %% tags=["exercise"]
def song_figure(songs):
    raise NotImplementedError

# %% tags=["solution"]
def song_figure(songs):
    return np.median([np.nanmedian(song) for song in songs])

# %%
check("07.5", song_figure)

# %% [markdown]
# Now the embedded song as the study does it, **validation and test apart**: bridge and chorus. Whoever
# chooses a network by the chorus has no test left. (The published code validated on its test folder, and
# drew the songs to be measured *with replacement*: some counted twice, others never.)

# %%
systems = song_evaluation.floors_and_ceilings()
systems |= {"U-Net, shipped": separator} | {f"yours, {name}": net for name, net in yours.items()}
parts = {}
for split in ("val", "test"):
    view = song_evaluation.song_view(song, split)
    parts[split] = pd.concat([song_evaluation.evaluate_songs(system, view, name, filters=False)
                              for name, system in systems.items()])
embedded = pd.concat(parts, names=["part"]).pivot_table(
    index=["part", "system"], columns="stem", values="sdr", sort=False)[list(STEMS)]
embedded.round(2).rename_axis(columns="SDR (dB)")

# %% [markdown]
# ## 10 · Listen
#
# The network that knows the verse by heart, yours from section 7, on the chorus. Its stems are on the
# desk: solo the vocals and wait for the snare; mute them (`K`) and listen for what is left of the words.

# %%
mine = yours["song as it is"]
stems_by_me = separate_song(mine, mixture)
stem_player(dict(zip(STEMS, stems_by_me, strict=True)), RATE, "The chorus, taken apart by your network",
            mixture=mixture)

# %%
taken = stft(stems_by_me, N_FFT, HOP).abs()
plots.stem_pictures(dict(zip(STEMS, stems_by_me, strict=True)), taken / taken.sum(0).clamp(min=1e-9),
                    RATE, N_FFT, HOP, "What your network hears, and the shares it gives")

# %% [markdown]
# **Karaoke** is the mixture minus the vocals. With stems that add up to the mixture it is the same thing
# as drums + bass + other, to the sample. The true one, your network's, that of the U-Net which had to
# learn four songs in its minutes, and the one of 1980:

# %%
player({"mixture": mixture, "true karaoke": mixture - chorus[0],
        "your karaoke": mixture - stems_by_me[0], "the U-Net's": mixture - estimates[0],
        "left minus right": side}, RATE, "Karaoke, four ways")

# %% [markdown]
# ### Exercise 07.6 · Nothing gets lost (★★, 8 min)
#
# Masks that share out the mixture add up to it. A network that makes waveforms, such as Conv-TasNet,
# need not: something of the song is in no stem, or in two. Write `adds_up(estimates, mixture)`: give every
# stem an equal share of what is missing.
#
# <details><summary>Hint</summary>
#
# What is missing is `mixture - estimates.sum(0)`. Return new tensors.
#
# </details>

# %% tags=["exercise"]
def adds_up(estimates, mixture):
    raise NotImplementedError

# %% tags=["solution"]
def adds_up(estimates, mixture):
    return estimates + (mixture - estimates.sum(0)) / len(estimates)

# %%
check("07.6", adds_up)

# %% [markdown]
# The package shares by energy, so that a stem that rests does not get a quarter of the others' errors:

# %%
leaky = 0.9 * chorus + 0.05 * chorus.roll(1, 0)          # as a waveform network might leave them

def missing_db(estimates):
    return 10 * torch.log10((mixture - estimates.sum(0)).square().mean() / mixture.square().mean())

even, fair = leaky + (mixture - leaky.sum(0)) / 4, share_out(leaky.clone(), mixture)
pd.DataFrame({name: [missing_db(e).item(), *sdr(e, chorus).tolist()] for name, e in
              {"as they are": leaky, "equal shares": even, "shares by energy": fair}.items()},
             index=["missing from the sum (dB)", *(f"SDR of {stem}" for stem in STEMS)]).round(1)

# %% [markdown]
# ## 11 · Inside the bottleneck
#
# Once more your DeepConvSep of section 7. Whatever it knows of a third of a second has to pass through
# its code. So we listen in: the code of every block of the verse.

# %%
def code_of(network, mixture):
    """The bottleneck's values, (block, unit)."""
    caught = []
    hook = network.code.register_forward_hook(lambda _, i, o: caught.append(torch.relu(o)))
    with torch.no_grad():
        network.eval()(mixture[None])
    hook.remove()
    return caught[0]

whole_verse, size = stems_of("verse"), mine.block * HOP
code = code_of(mine, whole_verse.sum(0))[:whole_verse.shape[-1] // size]    # the whole blocks
print("blocks and units:", tuple(code.shape))
plots.code(code, size / RATE, "The verse")

# %% [markdown]
# Vertical stripes that come back are bars that come back. What do single units answer to? We hold each
# against the level of each stem in the same blocks.

# %%
levels = db(whole_verse.mean(1).unfold(-1, size, size)).clamp(min=-60)     # (stem, block)
changes = code.std(0) > 0
together = np.corrcoef(levels.numpy(), code[:, changes].T.numpy())         # all against all
plots.answers(pd.DataFrame(together[:4, 4:], STEMS))

# %% [markdown]
# And without any music: a pure tone in every block, from low to high. Which unit wakes up?

# %%
hertz = torch.tensor(np.geomspace(50, 9000, 40), dtype=torch.float32)
ticks = torch.arange(size) / RATE
tones = 0.1 * torch.sin(2 * torch.pi * hertz[:, None] * ticks) * torch.hann_window(size)
answer = code_of(mine, tones.flatten().expand(2, -1).contiguous())[:len(hertz)]
awake = answer[:, answer.max(0).values > 0]
awake = awake[:, awake.argmax(0).argsort()]

fig, ax = plt.subplots(figsize=(9, 3.2))
drawn = ax.imshow(awake.T / awake.max(0).values[:, None], aspect="auto", cmap="magma", origin="lower")
ax.set_xticks(range(0, 40, 6), [f"{f:.0f}" for f in hertz[::6]])
ax.grid(False)
ax.set(xlabel="tone (Hz)", ylabel="unit, by its best tone", title="How the units are tuned")
fig.colorbar(drawn, label="share of the unit's largest answer")
plt.show()

# %% [markdown]
# A column that is bright from top to bottom is a tone to which the whole code answers; a unit that is
# bright in one place only has found a register of its own. After seconds of training on one song, few
# have. (Units that stay dark were never woken by a tone: they may be waiting for a drum.)
#
# ## 12 · A whole song
#
# A network for songs must not hold a song in memory. Chunks of twelve seconds, faded into each other
# over one; stems have names, so no chunk can come out the other way round, as voices do.

# %%
import time

repeats = 1 if ws.preset.name == "smoke" else 4
long = whole_verse.sum(0).repeat(1, repeats)
began = time.perf_counter()
stems = separate_song(separator, long)
took, lasts = time.perf_counter() - began, long.shape[-1] / RATE
print(f"{lasts:.0f} s of stereo in {took:.1f} s, {lasts / took:.0f} times as fast as it plays")
print("length kept:", stems.shape[-1] == long.shape[-1], f" sum off by "
      f"{10 * torch.log10((stems.sum(0) - long).square().mean() / long.square().mean()):.0f} dB")

# %% [markdown]
# For a song of your own, on the command line: `python -m sep_helpers separate song.wav --model
# music_separator`. To train on songs of your own, one folder a song with `vocals.wav`, `drums.wav`,
# `bass.wav`, `other.wav` (DSD100 and MUSDB18 open as they come): put the folder into
# `assets/trainings/music.yaml` and `python -m sep_helpers train assets/trainings/music.yaml
# work/runs/music`.

# %%
row = embedded.loc[("test", "U-Net, shipped")]
card = cards.ResultCard(name="07_music", system="U-Net, 4 stems", view="embedded chorus", metric="sdr",
                        mean=row.mean(), low=float("nan"), high=float("nan"), n=1,
                        preset=ws.preset.name, origin="shipped", seconds=0, seed=0, data="music",
                        machine=workspace.machine())
print(card.write(ws.cards))

# %% [markdown]
# ## What to remember
#
# - A **stem** is part of a mixture somebody made; stereo tells stems apart before any network does.
# - Every system belongs between **floors** (the mixture, *equal parts*) and **ceilings** (ideal masks).
# - **Augment the waveforms, change the targets, add up last**, and prove that mixture = sum of targets.
#   One `+=` on a shared tensor teaches a network nonsense, silently.
# - DeepConvSep squeezes a third of a second through 128 numbers; a U-Net lets details cross by bridges.
# - **SDR: higher is better**; median over seconds, then over songs; a second of silence has no figure.
# - The test song is for one look. With one song to test on, no ranking of networks follows.
#
# {{nav}}
