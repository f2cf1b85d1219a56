# %% [markdown]
# {{header}}
#
# # 01 · Mixtures that are never stored
#
# Recordings become mixtures: their levels, their cuts, and the *view*, a small table that describes
# thousands of mixtures so exactly that nobody has to store a single one.
#
# **You will hear** two voices, alone and together; a click that turns a whole sentence down; five
# people at once, a dog in the rain, a song and its stems; and whatever you put on the mixing desk.
#
# **Goals**
# - measure and set a level in dB, cut to the sample, account for every sample
# - mix two voices so that the mixture *is* the sum of its sources
# - describe mixtures in a CSV, and measure what that saves
# - draw mixtures of every kind from recipes, and tell frozen views from live ones
# - keep the voices of the test out of the training, and prove it
#
# **Needs** [00](00_start_here.ipynb), and a little Python.
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# ## 1 · Recordings
#
# Everything begins with recordings of **one voice each**. Nobody can record a conversation and get
# the separate voices with it, so this field records voices alone and mixes them itself: then the
# right answer is known, to the last sample.
#
# A *corpus* is a folder of such recordings with a manifest, a table that says who speaks in which
# file.

# %%
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from sep_helpers import audio, corpora, course_views, plots, segments, views
from sep_helpers.checks import check, compare
from sep_helpers.corpus_statistics import statistics
from sep_helpers.player import player
from sep_helpers.plots_style import COLOURS, STYLE

plt.style.use(STYLE)
corpus = ws.corpus()
corpus.table[["file", "speaker", "split", "samples"]].head()

# %% [markdown]
# `samples` is the length. At a sample rate of 8000 Hz a second is 8000 numbers, so this is what we
# have:

# %%
by_split = corpus.table.groupby("split", sort=False)
pd.DataFrame({
    "recordings": by_split.size(),
    "voices": by_split.speaker.nunique(),
    "minutes": by_split.samples.sum() / corpus.sample_rate / 60,
    "shortest (s)": by_split.samples.min() / corpus.sample_rate,
    "longest (s)": by_split.samples.max() / corpus.sample_rate,
}).round(1)

# %%
facts = statistics(corpus, each=20)      # at most 20 recordings a voice: length, level, pitch
plots.durations(facts)

# %% [markdown]
# Let us take two voices that are easy to tell apart, and listen. In the player, a click on a track's
# name (or a number key) switches to it without a gap.

# %%
table = corpus.select(split="train")
if "sex" in table:                       # one high voice, one low
    chosen = [table[table.sex == sex].iloc[0] for sex in "FM"]
else:                                    # a corpus that does not say: just two voices
    chosen = [table.iloc[0], table[table.speaker != table.speaker.iloc[0]].iloc[-1]]
high, low = (corpus.waveform(row.file) for row in chosen)
names = [row.speaker for row in chosen]

player(dict(zip(names, (high, low), strict=True)), corpus.sample_rate, "Two voices, each alone")

# %% [markdown]
# To the computer, a recording is a row of numbers between −1 and 1. Zoomed in, you see the
# throat open and close: the pattern that comes back is one period of the voice, and the shorter it
# is, the higher the voice. (The [next notebook](02_stft_masking.ipynb) looks at pitch properly.)

# %%
print("shape", tuple(high.shape), high.dtype, f"from {high.min():.3f} to {high.max():.3f}")
print(f"{len(high)} samples / {corpus.sample_rate} Hz = {len(high) / corpus.sample_rate} s")

zoom = {}
for name, x in zip(names, (high, low), strict=True):
    loudest = x.square().unfold(0, 400, 1).sum(-1).argmax()      # the loudest 50 ms
    zoom[f"{name}, 50 ms"] = x[loudest:loudest + 400]
plots.waveforms(zoom, corpus.sample_rate, "Fifty milliseconds")

# %% [markdown]
# How high is each voice? Every dot is a recording, every dash the middle of a voice. **Predict first**: how
# many octaves lie between the lowest and the highest of them? (An octave doubles the frequency.)

# %%
pitch = facts[facts.split == "train"].groupby("category").pitch_hz.median()
print(f"{pitch.min():.0f} to {pitch.max():.0f} Hz: {np.log2(pitch.max() / pitch.min()):.1f} octaves")
plots.pitches(facts[facts.split == "train"])

# %% [markdown]
# Voices that lie far apart are easy to tell apart, for you and for a network. Two neighbours in this
# picture make the hard mixtures.
#
# ## 2 · How loud? Levels in dB
#
# How loud is a recording? Its largest sample, the **peak**, is easy to find. Our ears go rather by
# the average power, whose root is the **RMS** (root mean square). Both are given in decibels below
# full scale, the amplitude 1:
#
# $$ L_\text{peak} = 20 \log_{10} \max_t |x_t| \qquad
# L_\text{RMS} = 20 \log_{10} \sqrt{\tfrac{1}{T} \sum_t x_t^2} $$
#
# A gain of $g$ dB multiplies the amplitudes by $10^{g/20}$: 20 dB is ten times, 6 dB about twice.

# %%
def peak_db(x):
    return 20 * x.abs().max().log10()

def rms_db(x):
    return 20 * x.square().mean().sqrt().log10()

compare("rms_db", rms_db, audio.rms_db, high)
print(f"{names[0]}: peak {peak_db(high):.1f} dB, RMS {rms_db(high):.1f} dB")
print(f"half the amplitude: {20 * np.log10(0.5):.2f} dB; half the power: {10 * np.log10(0.5):.2f} dB")

# %% [markdown]
# **Predict first**: we add one single click, one sample of 0.99, to the sentence. What happens to its
# peak level, and what to its RMS?

# %%
clicked = high.clone()
clicked[len(clicked) // 2] = 0.99
pd.DataFrame({"peak (dB)": [peak_db(high).item(), peak_db(clicked).item()],
              "RMS (dB)": [rms_db(high).item(), rms_db(clicked).item()]},
             index=["the sentence", "with one click"]).round(1)

# %% [markdown]
# The peak now belongs to the click. Whoever sets levels by the peak ("normalise to −3 dB") turns the
# whole sentence down because of one sample. Listen, but switch the player's *Match loudness* off first
# (key M): it would undo just what there is to hear.

# %%
def at_peak(x, db):
    return x * audio.gain(db - peak_db(x).item())

voice_down = peak_db(clicked) - peak_db(high)
print(f"the voice is {voice_down:.1f} dB softer, though nobody spoke more softly")
player({"sentence, peak −3 dB": at_peak(high, -3), "with one click, peak −3 dB": at_peak(clicked, -3)},
       corpus.sample_rate, "One click turns the voice down")

# %% [markdown]
# No click is needed for that: here are peaks and levels of many recordings as they are. Two with the same
# RMS may differ by many dB in their peaks, which is why this course sets every level by the RMS.

# %%
apart = facts.peak_db - facts.rms_db
print(f"peak minus RMS: {apart.min():.1f} to {apart.max():.1f} dB")
plots.peaks(facts)

# %% [markdown]
# ### Exercise 01.1 · Set the level (★, 5 min)
#
# Write `set_level(x, db)`: the waveform `x`, shape `(time,)`, at an RMS of `db`.
#
# <details><summary>Hint</summary>
#
# How many dB are missing? What you want minus what there is. And a change of $g$ dB is a factor of
# $10^{g/20}$ on every sample.
#
# </details>

# %% tags=["exercise"]
def set_level(x, db):
    raise NotImplementedError

# %% tags=["solution"]
def set_level(x, db):
    missing = db - audio.rms_db(x)
    return x * 10 ** (missing / 20)

# %%
check("01.1", set_level)

# %% [markdown]
# ## 3 · Cutting
#
# A network is trained on pieces of equal length, two seconds for instance. A piece is
# `x[start:stop]`: **`start` belongs to it, `stop` does not**. So its length is `stop - start`, and the
# next piece begins where this one stops. No sample is lost, none comes twice.

# %%
first, second = high[0:4000], high[4000:8000]
print(len(first), "+", len(second), "samples")
print("put together, they are the recording again:",
      torch.equal(torch.cat([first, second]), high[0:8000]))
print("a second of", corpus.sample_rate, "samples ends at index", corpus.sample_rate - 1)

# %% [markdown]
# **Predict first**: you want 2.01 s at 8000 Hz, that is 16,080 samples. What does
# `int(2.01 * 8000)` give?

# %%
print("2.01 * 8000        =", 2.01 * 8000)
print("int(2.01 * 8000)   =", int(2.01 * 8000), "(it cuts off what is behind the point)")
print("round(2.01 * 8000) =", round(2.01 * 8000))

# %% [markdown]
# One sample is an eighth of a millisecond, and nobody hears that it is missing. But two tensors whose
# lengths differ by one do not stack to a batch. And a target that lies one sample beside its mixture is a
# wrong target. **Predict first**: how wrong?

# %%
for x, name in zip((high, low), names, strict=True):
    error = x[1:] - x[:-1]                       # the recording against itself, one sample later
    print(f"{name}: one sample late, the error is only {rms_db(x) - rms_db(error):.1f} dB below the voice")

# %% [markdown]
# A good separation leaves an error of 15 dB and more below the voice. One sample of carelessness, and
# the best network in the world cannot get there.
#
# ### Exercise 01.2 · Cut (★, 5 min)
#
# Write `cut(x, start, seconds, sample_rate)`. `start` and `seconds` are in seconds; the cut always has
# `round(seconds * sample_rate)` samples. Where the recording ends sooner, zeros follow.
#
# <details><summary>Hint</summary>
#
# Round twice: the start, and the length. `stop` is their sum. `audio.fit(waveform, length)` pads at the
# end, or cuts off.
#
# </details>

# %% tags=["exercise"]
def cut(x, start, seconds, sample_rate):
    raise NotImplementedError

# %% tags=["solution"]
def cut(x, start, seconds, sample_rate):
    begin, length = round(start * sample_rate), round(seconds * sample_rate)
    return audio.fit(x[begin:begin + length], length)

# %%
check("01.2", cut)

# %% [markdown]
# ### Where do the tails go?
#
# A recording of 2.3 s makes two pieces of 1 s. And the rest? There are three customs:
#
# - **drop** it: simple, and a part of your data is never heard;
# - **pad** it with zeros to a full piece: then the loss must not count the padding;
# - **back**: count the last piece back from the end, so that it overlaps the one before.

# %%
def pieces(samples, length, tail):
    """Where the pieces of a recording start: the full ones, and what `tail` makes of the rest."""
    starts = list(range(0, samples - length + 1, length))
    rest = samples - len(starts) * length
    if rest and tail == "pad":
        starts.append(len(starts) * length)
    if rest and tail == "back":
        starts.append(max(0, samples - length))
    return starts

example, length = len(high), corpus.sample_rate
{tail: pieces(example, length, tail) for tail in ("drop", "pad", "back")}

# %%
fig, axes = plt.subplots(3, 1, figsize=(9, 3), sharex=True)
for ax, tail in zip(axes, ("drop", "pad", "back"), strict=True):
    ax.broken_barh([(0, example / length)], (0, 1), color="#DDDDDD")
    spans = [(start / length, 1) for start in pieces(example, length, tail)]
    ax.broken_barh(spans, (0.2, 0.6), facecolor=COLOURS[:len(spans)], alpha=0.6, edgecolor="black")
    ax.set(yticks=[], ylabel=tail)
    ax.grid(False)
axes[-1].set_xlabel("time (s)")
fig.suptitle("One recording (grey) in pieces of one second, three customs", x=0.01, ha="left")
plt.show()

# %% [markdown]
# ### The dataset comes out shorter than the data
#
# Here is a loader as many people write it. Every line of it looks harmless. **Predict first**: what share
# of the training recordings does it never use?

# %%
def careless(recordings, length, batch=16):
    """How many samples a training hears: short recordings left out, heads skipped, tails lost."""
    rng, n_pieces = np.random.default_rng(0), 0
    for samples in recordings:
        if samples < 1.5 * length:                      # "too short"
            continue
        head = rng.integers(length // 4)                # "a random start is augmentation"
        n_pieces += (samples - head) // length          # "the rest does not fill a piece"
    return n_pieces // batch * batch * length           # "the last batch is not full"

lost = 1 - careless(table.samples, length) / table.samples.sum()
print(f"never used: {lost:.1%} of {table.samples.sum() / length / 60:.1f} minutes")

# %% [markdown]
# Nobody notices: the training runs, the loss falls, and a part of the data was paid for and never
# heard. The remedy is not cleverness but **book-keeping**: a ledger that accounts for every sample. *Used*
# or *dropped*, those add up to the corpus; *overlapped* (used twice) or *padded* (zeros), those come on
# top.

# %%
def ledger(recordings, length, tail):
    account = dict.fromkeys(["used", "dropped", "overlapped", "padded"], 0)
    for samples in recordings:
        starts = pieces(samples, length, tail)
        end = starts[-1] + length if starts else 0         # where the last piece ends
        account["used"] += min(samples, end)
        account["dropped"] += max(0, samples - end)
        account["overlapped"] += len(starts) * length - end
        account["padded"] += max(0, end - samples)
    return account

by_hand = pd.DataFrame({tail: ledger(table.samples, length, tail) for tail in ("drop", "pad", "back")}).T
assert (by_hand.used + by_hand.dropped == table.samples.sum()).all(), "the ledger does not add up"
(100 * by_hand / table.samples.sum()).round(1).add_suffix(" (%)")

# %% [markdown]
# The package cuts by named policies (`segments.POLICIES`), and its ledger marks what the cuts of a table
# contain, whoever wrote the table. The same figures, by another way:

# %%
recordings = segments.whole(corpus, "train")           # a table: each recording, whole
policies = {"drop": "drop_last", "pad": "pad_last", "back": "segments", "half overlapped": "half_overlap"}
ledgers = {name: views.coverage(segments.segment(recordings, length, policy), corpus)
           for name, policy in policies.items()}
compare("ledger", lambda: torch.tensor(by_hand.used.to_numpy(int)),
        lambda: torch.tensor([ledgers[tail].used.sum() for tail in by_hand.index]))
plots.ledger(ledgers, corpus.sample_rate)

# %% [markdown]
# (In the package's *back*, a recording shorter than a piece stays as short as it is, and is
# padded later, in its batch. Section 8 keeps that padding out of the loss.)
#
# What to do when, and why:
#
# | | how recordings are cut | because |
# |---|---|---|
# | **training** | mixtures that lie there: side by side, the last piece counted back | all of the data, and no padding but for the short ones |
# | | mixtures drawn live: at random places, new ones each epoch | every sample has its turn (section 7 counts it) |
# | **validation** | once and for all: side by side as above, or drawn once and frozen | the same pieces every epoch |
# | **test** | not at all: whole, one at a time | nobody listens to pieces |
#
# This course trains live, validates on a view that was drawn once, and tests whole recordings. Four
# seconds is the usual piece; the embedded recordings are shorter than that, hence the one second above.
#
# ### Exercise 01.3 · Nothing is lost (★★, 8 min)
#
# Write `segments_of(samples, length)`: the list of `(start, stop)` for a recording of so many samples.
# Segments lie side by side; where a tail is left, one more segment ends with the recording. A recording
# that is shorter than a segment is one segment, `(0, samples)`.
#
# <details><summary>Hint</summary>
#
# `range(0, samples - length + 1, length)` are the starts of the full segments. Is the last one's end
# before the end of the recording? Then one more starts at `samples - length`.
#
# </details>

# %% tags=["exercise"]
def segments_of(samples, length):
    raise NotImplementedError

# %% tags=["solution"]
def segments_of(samples, length):
    if samples <= length:
        return [(0, samples)]
    starts = list(range(0, samples - length + 1, length))
    if samples % length:
        starts.append(samples - length)
    return [(start, start + length) for start in starts]

# %%
check("01.3", segments_of)

# %% [markdown]
# ## 4 · Mixing
#
# Air adds sound pressures. So a mixture is a sum, sample by sample: $y_t = s_{1,t} + s_{2,t}$. We bring
# each voice to its level first, then add.

# %%
def to_level(x, db):
    return x * audio.gain(db - audio.rms_db(x).item())

length = min(len(high), len(low))
sources = torch.stack([to_level(high[:length], -25), to_level(low[:length], -25)])
mixture = sources.sum(0)
print("sources", tuple(sources.shape), "(source, time)    mixture", tuple(mixture.shape), "(time,)")
plots.waveforms({"mixture": mixture, names[0]: sources[0], names[1]: sources[1]}, corpus.sample_rate,
                "A mixture is the sum of its sources")

# %%
player({"mixture": mixture, names[0]: sources[0], names[1]: sources[1]}, corpus.sample_rate,
       "Two voices at once")

# %% [markdown]
# That is the whole problem of this course. From the first track, the other two.
#
# **Predict first**: both voices stand at −25 dB. At which level is the mixture of the two? And if you
# mix a voice with *itself*?

# %%
pairs = {"two voices": (sources[0], sources[1]), "a voice and itself": (sources[0], sources[0]),
         "a voice and itself, upside down": (sources[0], -sources[0])}
for name, (a, b) in pairs.items():
    likeness = torch.corrcoef(torch.stack([a, b]))[0, 1]
    print(f"{name:32} correlation {likeness:5.2f}    level of the sum {rms_db(a + b):7.2f} dB")

# %% [markdown]
# Powers add, and a cross term with them:
#
# $$ \sum_t (a_t + b_t)^2 = \sum_t a_t^2 + \sum_t b_t^2 + 2 \sum_t a_t b_t $$
#
# Two different voices have next to nothing in common, the cross term is small, and the power about doubles:
# +3 dB. A voice and itself have everything in common: the *amplitude* doubles, +6 dB. The last row is
# complete silence ($-\infty$ dB).
#
# The same file twice in one mixture is a fault of a data set, by the way: two equal sources that no
# system can tell apart. Exercise 01.7 looks for it.
#
# How hard a mixture is depends on the **difference** of the levels. Move the slider: the second voice
# sinks below the first.

# %%
from ipywidgets import IntSlider, interact

@interact(difference=IntSlider(6, 0, 30, 3, description="dB", continuous_update=False))
def show(difference):
    quiet = to_level(sources[1], -25 - difference)
    print(f"the first voice is {rms_db(sources[0]) - rms_db(quiet):.1f} dB above the second")
    return plots.waveforms({"mixture": sources[0] + quiet, names[1]: quiet}, corpus.sample_rate,
                           "A voice sinks into another")

# %% [markdown]
# And listen: at how many dB do you no longer understand the second voice?

# %%
sinking = {f"{down} dB below": sources[0] + to_level(sources[1], -25 - down) for down in (0, 10, 20)}
player(sinking, corpus.sample_rate, f"{names[1]} sinks below {names[0]}")

# %% [markdown]
# ### Leave headroom, or the sum is no longer the sum
#
# Why −25 dB and not louder? **Predict first**: at −5 dB each, both voices still fit below full scale,
# more or less. What does a file, which has no numbers beyond ±1, do with their sum?

# %%
rows = []
for db in (-25, -15, -10, -5):
    louder = torch.stack([to_level(s, db) for s in sources])
    total = louder.sum(0)
    stored = total.clamp(-1, 1)                      # what fits into a 16-bit file
    rows.append({"each at (dB)": db, "largest sample": total.abs().max().item(),
                 "samples cut off": int((total.abs() > 1).sum()),
                 "error (dB)": rms_db(stored - total).item() - rms_db(total).item()})
print("error: the level of (file − sum of the sources) against the mixture's")
pd.DataFrame(rows).round(2).replace(-np.inf, "none")

# %%
player({"sum of the sources": total / total.abs().max(), "cut off at ±1": stored}, corpus.sample_rate,
       "The same mixture with and without clipping")

# %% [markdown]
# Clipping makes a mixture that **no pair of sources adds up to**, and so does its popular remedy:
# dividing the mixture by its peak and leaving the sources as they were. If something has to be scaled,
# scale the mixture and the sources alike.
#
# ### Exercise 01.4 · Mix (★★, 8 min)
#
# Write `mix(sources, levels)`: `sources` are `(source, time)`, `levels` a list with the RMS in dB for
# each. Return `(mixture, sources)`, the sources at their levels, the mixture being their sum.
#
# <details><summary>Hint</summary>
#
# `audio.rms_db(sources)` has one level for each source, shape `(source,)`. A factor for each source needs
# the shape `(source, 1)` to multiply `(source, time)`: `factor[:, None]`.
#
# </details>

# %% tags=["exercise"]
def mix(sources, levels):
    raise NotImplementedError

# %% tags=["solution"]
def mix(sources, levels):
    missing = torch.tensor(levels) - audio.rms_db(sources)
    sources = sources * 10 ** (missing / 20)[:, None]
    return sources.sum(0), sources

# %%
check("01.4", mix)

# %% [markdown]
# ## 5 · A view: mixtures without audio
#
# To describe our mixture exactly, we need not store it. This is enough, for each source: which file,
# from which sample to which, where in the mixture, with which gain. One line a source, in a CSV:

# %%
def line(mixture_id, source, row, start, stop, gain_db):
    return (f"{mixture_id},{row.split},{stop - start},{source},{row.speaker},{row.file},"
            f"{start},{stop},0,{gain_db:.2f}")

csv = ["mixture_id,split,length,source,category,file,start,stop,offset,gain_db"]
for source, (row, x) in enumerate(zip(chosen, (high, low), strict=True)):
    csv.append(line("mine_0", source, row, 0, length, -25 - rms_db(x[:length]).item()))
csv = "\n".join(csv) + "\n"
print(csv)

# %% [markdown]
# That is a **view** of the corpus. `category` is the voice here (elsewhere the kind of sound, or the
# instrument), `offset` says where in the mixture the cut begins. And back from text to sound:

# %%
def mix_by_hand(lines):
    """lines: the rows of one mixture -> mixture (time,), sources (source, time)."""
    sources = torch.zeros(len(lines), lines[0].length)
    for source, cut in zip(sources, lines, strict=True):
        x = corpus.waveform(cut.file)[cut.start:cut.stop]
        source[cut.offset:cut.offset + len(x)] = x * 10 ** (cut.gain_db / 20)
    return sources.sum(0), sources

view = pd.read_csv(io.StringIO(csv))
again, _ = mix_by_hand(list(view.itertuples()))
print(f"largest difference from the mixture above: {(again - mixture).abs().max():.1e}")
compare("mix", lambda v: mix_by_hand(list(v.itertuples()))[0],
        lambda v: views.FrozenView(corpus, v)[0]["mixture"], view)

# %% [markdown]
# (The small difference from the mixture above is the gain, which the CSV rounds to 0.01 dB. From now on
# the CSV is the truth.)
#
# ### The mixing desk
#
# Now you. Choose voices, levels and places; hear the mixture, see where each cut lands, and read the lines
# that mean it. The sound you hear is made *from those lines*. (Choose the same recording twice, and see
# what it says.)

# %%
from sep_helpers.widgets import MixingDesk, ViewInspector

desk = MixingDesk(corpus)
desk

# %% [markdown]
# When you like it, keep it. A file of a few hundred bytes, and whoever has the recordings has your mixture:

# %%
desk.save(ws.folder / "desk.csv")
reopened = views.open_view(ws.folder / "desk.csv", corpus)
print((ws.folder / "desk.csv").read_text())
print("the same mixture, to the bit:", torch.equal(reopened[0]["mixture"], desk.item()["mixture"]))

# %% [markdown]
# The same picture for any view: step through the mixtures of this course's test. On the left, where each cut
# comes from in its file; on the right, where it lands.

# %%
test_name, test_view = next(reversed(course_views.test_views(corpus, 200).items()))
ViewInspector(test_view, corpus)

# %% [markdown]
# ### What does it save? Bytes
#
# A real project began like this: it computed the spectrograms of every mixture and of every source, and
# stored them as `.npy` files. Tens of thousands of files later it was rewritten to store no audio at all,
# only a table of cuts. **Predict first**: the test view's mixtures as spectrograms, or as 16-bit
# sound files, against the CSV that describes them. Ten times as much? A hundred?

# %%
lines = pd.DataFrame([cut for cuts in test_view.mixtures for cut in cuts])
samples = lines.groupby("mixture_id").length.first().sum()
n_sources = test_view[0]["sources"].shape[0]

csv_bytes = len(lines.to_csv(index=False).encode())
wav_bytes = 2 * samples * (1 + n_sources)                      # 16 bits a sample
npy_bytes = 4 * samples * (1 + n_sources) * 2 * 129 / 64       # real and imaginary, 129 bins, hop 64
sizes = pd.DataFrame({"MB": [csv_bytes / 1e6, wav_bytes / 1e6, npy_bytes / 1e6],
                      "files": [1, len(test_view) * (1 + n_sources), len(test_view) * (1 + n_sources)],
                      "times the view": np.array([csv_bytes, wav_bytes, npy_bytes]) / csv_bytes},
                     index=["view (CSV)", "sound files", "spectrograms (.npy)"])
print(f"{len(test_view)} mixtures of the view {test_name!r}, {csv_bytes / len(lines):.0f} bytes a line")
sizes.round(2)

# %% [markdown]
# The recordings have to be there in any case. But they are stored once, and every further data set
# (other pairs, other levels, three voices instead of two) costs one small text file that fits into
# an e-mail, can be compared line by line, and lies in git.
#
# ### What does it save? Time
#
# The disk is large, somebody says, and whoever has stored the spectrogram need not compute it. That is a
# question for a stop-watch. The same mixtures, kept in five ways: as `.npy` spectrograms, or described, their
# cuts read from WAV, from FLAC, from one file mapped into memory, from RAM. And if the network wants
# spectrograms (a [TasNet](04_tasnet.ipynb) does not), the STFT is computed in each item, or in the model for
# the whole batch at once.
#
# **Predict first**: which one gives most items a second? Which one fewest?

# %%
from sep_helpers import models, storage

tiny = ws.preset.name == "smoke"
experiment = storage.Experiment(corpus, ws.folder / "storage", n=8 if tiny else 100)
network = models.build(models.complete({"name": "conv_tasnet", **ws.preset.model}))
step = storage.step_seconds(network, round(experiment.recipe.seconds * corpus.sample_rate))
threads = torch.get_num_threads()
torch.set_num_threads(1)            # an item is made on one core, as in a worker
rates = experiment.rates(1 if tiny else 3, workers=(0,) if tiny else (0, 2), step=step)
torch.set_num_threads(threads)
plots.storage(rates)

# %%
speed = rates.set_index(["way", "stft"])["items/s"]
for place in storage.SPECTRA:
    times = speed["RAM", place] / speed[".npy spectrograms", "stored"]
    print(f"STFT {place:12}: a view from RAM gives {times:4.1f} times the items of the .npy files")
rates.set_index(["way", "stft"]).round(1)

# %% [markdown]
# Read the last column, too: the share of one item in the time that a training step of this preset's network
# takes, on this machine. (This is a quick look, and a busy machine blurs it; `make bench ONLY=storage`
# measures with care. At the preset `smoke` the network is so tiny that the share says
# little.) Where it is small, the data costs nothing, whatever the way. And before that, the examples have
# to be made and kept:

# %%
print(f"the recordings themselves, as FLAC: {experiment.corpus_bytes / 1e6:.1f} MB, either way")
making = experiment.making((1000,) if tiny else (1000, 10000))
experiment.clean()
making.round(2)

# %% [markdown]
# (What was not made is scaled up from what was: see "measured on".)
#
# And one line that cost that project more than all of its files. A batch is made from a list of arrays.
# **Predict first**: how much slower is `torch.Tensor(list)` than stacking the arrays first?

# %%
milliseconds = storage.stacking(items=8 if tiny else 32)
pd.DataFrame({"ms": milliseconds, "times the fastest": milliseconds / milliseconds.min()}).round(1)

# %% [markdown]
# `torch.Tensor(list)` goes through the arrays number by number, as Python does; `np.stack` copies memory.
#
# ### Checked before it is mixed
#
# A view can be **checked** before anything is mixed. Three faults, and what the package says:

# %%
faults = {"a cut past the end of its file": {"stop": 10 * length, "length": 10 * length},
          "a file that is not in the corpus": {"file": "nobody/00.flac"},
          "a recording of the wrong split": {"split": "test"}}
for name, change in faults.items():
    try:
        views.check(view.assign(**change), corpus, "mine.csv")
    except views.ViewError as error:
        print(f"{name}:\n    {str(error).replace(str(corpus.folder), '...')}\n")

# %% [markdown]
# ## 6 · Recipes: who writes those lines?
#
# A **recipe** says how mixtures are drawn; drawing them writes the view.

# %%
print((course_views.FOLDER / "unseen.yaml").read_text())

# %% [markdown]
# Read it as: two different voices of the test split that never train; whole recordings, cut to the
# shorter one; every recording at −25 dB, give or take 2.5 dB, so that one voice is up to 5 dB above the
# other; all of it decided by a seed.

# %%
recipe = course_views.recipe("train", corpus, n_mixtures=50, speed=0.0)
drawn = pd.DataFrame(views.draw(corpus, recipe, index=0))
drawn[["source", "category", "file", "start", "stop", "gain_db"]]

# %% [markdown]
# ### More voices, and conversations
#
# A recipe says only what differs from the defaults. Three voices, five voices? One number.
# **Predict first**: can you still follow one of five?

# %%
voices, noises = corpora.embedded(), corpora.embedded("sounds")

def first_mixture(name, corpus, noise=None, **changes):
    """The first mixture that a shipped recipe draws."""
    return views.LiveView(corpus, course_views.recipe(name, corpus, **changes), noise).epoch(0)[0]

crowd = {}
for name in ("train", "voices/three_speakers", "voices/five_speakers"):
    item = first_mixture(name, voices)
    crowd[f"{len(item['sources'])} voices"] = item["mixture"]
player(crowd, voices.sample_rate, "More and more voices")

# %% [markdown]
# People rarely speak at once from the first word to the last. With `overlap`, the next voice begins before
# the one before has ended:

# %%
print((course_views.FOLDER / "voices/overlap.yaml").read_text())
conversation = first_mixture("voices/overlap", voices)
plots.mixture_map(voices, conversation, "A conversation")

# %%
player({"mixture": conversation["mixture"]} | {cut.category: x for cut, x in zip(
    conversation["cuts"], conversation["sources"], strict=True)}, voices.sample_rate, "A conversation")

# %% [markdown]
# ### Categories of sounds
#
# Nothing in a view is about voices. The course carries twelve kinds of synthetic sounds; here is one clip
# of each. Which would you confuse?

# %%
kinds = noises.table.groupby("category", sort=False).file.first()
player({kind: noises.waveform(file)[:16000] for kind, file in kinds.items()}, noises.sample_rate,
       "Two seconds of each kind")

# %% [markdown]
# The splits share the *categories* and not the *files*: a network is to know what a dog sounds like, and
# to be tested with a dog that it has never heard. So the recipe gives each split a range of files of each
# category, and says how many categories take part:

# %%
print((course_views.FOLDER / "sounds/two_of_five.yaml").read_text())
by_files = course_views.recipe("sounds/two_of_five", noises)
pool = views.candidates(noises, by_files)
print("drawn from:", ", ".join(pool.names))
for name in ("two_of_five", "three_of_ten", "five_of_all"):
    item = first_mixture(f"sounds/{name}", noises)
    print(f"{name:13}", "+".join(cut.category for cut in item["cuts"]))
player({"mixture": item["mixture"]} | {f"{i} {cut.category}": x for i, (cut, x) in enumerate(zip(
    item["cuts"], item["sources"], strict=True), 1)}, noises.sample_rate, "Five sounds at once")

# %% [markdown]
# ### Stems of a song
#
# In music the sources belong **together**: drums, bass, keys and voice of one song, at one place. Cut them
# from anywhere, and you get four sounds that never met. **Predict first**: which of the two is the better
# training data?

# %%
music = corpora.embedded("music", sample_rate=22050, channels=2)
song, remix = first_mixture("music/stems", music), first_mixture("music/remix", music)
pd.DataFrame([{"recipe": name, "stem": cut.category, "from": cut.file, "start (s)": cut.start / 22050,
               "gain (dB)": cut.gain_db}
              for name, item in (("stems", song), ("remix", remix)) for cut in item["cuts"]]).round(2)

# %%
player({"the song": song["mixture"], "the remix": remix["mixture"]}
       | {cut.category: x for cut, x in zip(song["cuts"], song["sources"], strict=True)},
       music.sample_rate, "One song: together, remixed, and its stems (stereo)")

# %% [markdown]
# Both: real songs are what the network will be asked for, and there are few of them; remixes there are
# without end. A training takes both.
#
# ### Noise
#
# Background noise is a line of the view as well, with source −1: it belongs to the mixture and is nobody's
# target. Its level is drawn as a **signal-to-noise ratio**:

# %%
noisy = first_mixture("voices/noisy", voices, noise=noises)
snr = rms_db(noisy["sources"].sum(0)) - rms_db(noisy["noise"])
left = noisy["mixture"] - noisy["sources"].sum(0) - noisy["noise"]
print(f"the voices are {snr:.1f} dB above the noise; mixture − voices − noise: {left.abs().max():.0e}")
player({"mixture": noisy["mixture"], "the voices": noisy["sources"].sum(0), "the noise": noisy["noise"]},
       voices.sample_rate, "Two voices and " + noisy["cuts"][-1].category)

# %% [markdown]
# ### Rooms
#
# Walls answer. A simulated room (a box, a microphone, a mouth for each voice) turns a dry recording into
# one that was "made" there. Its measures stand in the CSV, in a column of their own.

# %%
in_room, dry = (first_mixture("voices/rooms", voices, rt60=rt60) for rt60 in ([0.5, 0.5], None))
print("room:", in_room["cuts"][0].room)
player({"dry": dry["mixture"], "in a room": in_room["mixture"]}, voices.sample_rate,
       "The same two voices without a room and in one")

# %% [markdown]
# What is the right answer in a room: the voice as it sounds *there*, or the dry voice? The recipe says it
# (`target: reverberant` or `direct`), because a network cannot guess it.
#
# ### All that a recipe can say
#
# | lines of a recipe | what they do |
# |---|---|
# | `split`, `heard`, `where` | which recordings: the split, voices that (don't) train, columns of the manifest |
# | `n_sources`, `n_mixtures`, `seconds`, `seed` | how many, how long (`null`: whole), decided by what |
# | `categories`, `files`, `in_order` | the pool, by names or number; files a split; sources in the pool's order |
# | `same_category` | `true`: even two recordings of one voice |
# | `together: track` | all sources from one track, at one place |
# | `rms_db`, `level_db`, `level_of` | levels, of the recording or of the very cut; `rms_db: null`: as recorded |
# | `snr_db` | instead: the first source above each other one |
# | `floor_db` | cuts this far below their recording are drawn again; `null`: silence is allowed |
# | `overlap`, `speed` | partial overlap; faster and slower voices (live views) |
# | `noise_snr_db`, `noise_where`, `rt60`, `target` | what is around: noise, a room |
#
# These recipes lie in `assets/views`, to be drawn, changed and copied:

# %%
for path in sorted(course_views.FOLDER.rglob("*.yaml")):
    name = path.relative_to(course_views.FOLDER).with_suffix("").as_posix()
    print(f"{name:22} {path.read_text().splitlines()[0].lstrip('# ')}")

# %% [markdown]
# ### Recipes that cannot be drawn
#
# A recipe can be wrong in many ways, and the earlier that is said, the cheaper. **Predict first**: what is
# wrong with each of these?

# %%
wrong = [dict(n_sources=5, categories=3), dict(level_db=-3.0), dict(overlap=[0.6, 0.2]),
         dict(files={"train": [0, 6], "val": [5, 8]}), dict(noise_snr_db=[0, 200])]
for change in wrong:
    try:
        views.Recipe(name="mine", split="train", **change)
    except views.ViewError as error:
        print(f"{change}\n    {error}\n")

# %% [markdown]
# ## 7 · Frozen or live
#
# **Validation and test views are frozen**: drawn once, and the CSV stored. Two networks can be compared
# only on the same mixtures, today and in a year.

# %%
small = views.Recipe(name="mine", split="train", n_mixtures=3, seconds=1.5, seed=5,
                     sample_rate=corpus.sample_rate)
frozen = views.freeze(corpus, small)
print("frozen twice, the same:", frozen.equals(views.freeze(corpus, small)))
item = views.FrozenView(corpus, frozen)[1]
print(item["id"], "mixture", tuple(item["mixture"].shape), "sources", tuple(item["sources"].shape))
player({"mixture": item["mixture"]} | {f"source {i + 1}": s for i, s in enumerate(item["sources"])},
       corpus.sample_rate, f"{item['id']}, drawn by the recipe")

# %% [markdown]
# **Training views are live**: every epoch draws new mixtures. There is no end of them:

# %%
of_each = table.groupby("speaker").size()
pairs = (len(table) ** 2 - (of_each**2).sum()) // 2
print(f"{pairs:,} pairs of recordings, each cut at thousands of places, mixed at any level")
epoch_minutes = ws.preset.steps_per_epoch * ws.preset.batch * ws.preset.segment_seconds / 60
stored = ws.preset.epochs * epoch_minutes * 60 * corpus.sample_rate * 2 * 3    # 16 bits, 3 files
print(f"an epoch of this preset: {epoch_minutes:.1f} minutes of mixtures; its {ws.preset.epochs} epochs "
      f"would be {stored / 1e6:,.0f} MB of files that nobody writes")

# %% [markdown]
# New, but not *arbitrary*. Each mixture is decided by the three numbers `(seed, epoch, index)` and by
# nothing else: not by who asks, how often, or in which order.
#
# **Predict first**: which of these mixtures are equal? Epoch 0, number 3, asked twice · epoch 1,
# number 3 · epoch 3, number 1.

# %%
live = views.LiveView(corpus, recipe)
asked = [(0, 3), (0, 3), (1, 3), (3, 1)]
rows = []
for epoch, index in asked:
    one, two = live.epoch(epoch)[index]["cuts"]
    rows.append((epoch, index, one.file, one.start, one.gain_db, two.file, two.start, two.gain_db))
pd.DataFrame(rows, columns=["epoch", "index", "file 1", "start 1", "gain 1",
                            "file 2", "start 2", "gain 2"])

# %% [markdown]
# By hand, the trick is one line: give the random generator all three numbers.

# %%
def draw_by_hand(seed, epoch, index):
    return np.random.default_rng((seed, epoch, index)).integers(1000, size=5)

for epoch, index in asked:
    print(f"epoch {epoch}, index {index}:", draw_by_hand(recipe.seed, epoch, index))

# %% [markdown]
# This buys three things. A training that is interrupted goes on with the mixtures it would have seen.
# A colleague gets your mixtures without your files. And the loader may use any number of worker
# processes, each mixing its part:

# %%
from torch.utils.data import DataLoader

def first_epoch(workers):
    loader = DataLoader(live.epoch(0), batch_size=10, num_workers=workers, collate_fn=views.collate)
    return torch.cat([batch["mixture"] for batch in loader])

alone, together = first_epoch(0), first_epoch(2)
print(tuple(alone.shape), "mixtures are the same with 0 and 2 workers:", torch.equal(alone, together))

# %% [markdown]
# ### Does every sample get its turn?
#
# Live cuts fall anywhere. So how much of the recordings has been heard after one epoch, after ten? The
# epochs here are short, so that you see it grow. By hand: mark what the cuts contain.

# %%
def heard(table):
    """How many samples some cut contains, each counted once."""
    marks = {file: np.zeros(len(corpus.waveform(file)), bool) for file in table.file}
    for cut in table.itertuples():
        marks[cut.file][cut.start:cut.stop] = True
    return sum(int(m.sum()) for m in marks.values())

epochs = [pd.DataFrame([cut for i in range(recipe.n_mixtures)
                        for cut in views.draw(corpus, recipe, i, epoch)]) for epoch in range(12)]
compare("coverage", heard, lambda t: views.coverage(t, corpus).used.sum(), pd.concat(epochs[:3]))

# %%
in_view = corpus.select(split="train", **recipe.where)
shares = [100 * heard(pd.concat(epochs[:n])) / in_view.samples.sum() for n in range(1, 13)]
fig, ax = plt.subplots(figsize=(9, 3))
ax.plot(range(1, 13), shares, marker="o", color=COLOURS[0])
ax.axhline(100, color="black", linewidth=1, linestyle="--")
ax.set(title="What has been heard", ylabel="% of all samples", ylim=(0, 105),
       xlabel=f"epochs of {recipe.n_mixtures} mixtures of {recipe.seconds:.0f} s")
print(f"after {len(shares)} epochs: {shares[-1]:.1f} %")

# %% [markdown]
# ### Exercise 01.5 · A number for each mixture (★★, 8 min)
#
# Write `number(seed, epoch, index)`: a random number between 0 and 1 for each mixture of each epoch. Asked
# again, it answers the same; for any other three, another one; and it leaves everybody else's random
# numbers alone.
#
# <details><summary>Hint</summary>
#
# `seed + epoch + index` gives epoch 1, index 2 and epoch 2, index 1 the same number. And
# `np.random.seed` changes what everybody draws after you.
#
# </details>

# %% tags=["exercise"]
def number(seed, epoch, index):
    raise NotImplementedError

# %% tags=["solution"]
def number(seed, epoch, index):
    return np.random.default_rng((seed, epoch, index)).random()

# %%
check("01.5", number)

# %% [markdown]
# ## 8 · Batches
#
# A network works on several mixtures at once, in one tensor `(batch, time)`. Training mixtures are all
# equally long; whole recordings are not. The shorter ones are padded with zeros, **and their lengths
# are kept**.

# %%
items = [test_view[i] for i in range(min(6, len(test_view)))]
lengths = torch.tensor([len(item["mixture"]) for item in items])
by_hand = torch.stack([audio.fit(item["mixture"], int(lengths.max())) for item in items])
compare("collate", lambda i: by_hand, lambda i: views.collate(i)["mixture"], items)

batch = views.collate(items)
print({name: tuple(batch[name].shape) for name in ("mixture", "sources", "lengths")})
padding = 1 - lengths.sum() / (len(items) * lengths.max())
print("lengths", batch["lengths"].tolist(), f"padding: {padding:.0%} of the batch")

# %%
fig, ax = plt.subplots(figsize=(9, 3))
rate, height = corpus.sample_rate, 2.2 * batch["mixture"].abs().max()
for row, (x, stop) in enumerate(zip(batch["mixture"], lengths.tolist(), strict=True)):
    ax.plot(np.arange(stop) / rate, (x[:stop] / height - row).numpy(), color=COLOURS[0], linewidth=0.5)
    ax.barh(-row, (len(x) - stop) / rate, left=stop / rate, height=0.9, color="#DDDDDD", hatch="///",
            edgecolor="white")
ax.set(title="A batch: mixtures of several lengths, and their padding (hatched)", xlabel="time (s)",
       yticks=[])
ax.grid(False)

# %% [markdown]
# **Predict first**: whoever forgets the lengths averages over the padding too. By how much is the level
# of the shortest mixture wrong then?

# %%
with_padding = audio.rms_db(batch["mixture"])
without = torch.stack([audio.rms_db(item["mixture"]) for item in items])
pd.DataFrame({"seconds": (lengths / rate).tolist(), "with padding (dB)": with_padding.tolist(),
              "without (dB)": without.tolist(), "error (dB)": (with_padding - without).tolist()},
             index=batch["id"]).round(2)

# %% [markdown]
# A level that depends on who else is in the batch. The same would happen to a loss, and that is why the
# losses of this course take `lengths`.
#
# ### Exercise 01.6 · Padding stays outside (★★, 8 min)
#
# Write `mse(estimates, targets, lengths)`: the mean squared error of each mixture, shape `(batch,)`, over
# its own samples alone. `estimates` and `targets` are `(batch, time)`, `lengths` is `(batch,)`. In the
# padding the targets are zero, and the estimates are anything.
#
# <details><summary>Hint</summary>
#
# `torch.arange(time) < lengths[:, None]` is True inside, shape `(batch, time)`. Multiply the squared errors
# by it, sum over time, and divide by what?
#
# </details>

# %% tags=["exercise"]
def mse(estimates, targets, lengths):
    raise NotImplementedError

# %% tags=["solution"]
def mse(estimates, targets, lengths):
    inside = torch.arange(targets.shape[-1]) < lengths[:, None]
    return ((estimates - targets).square() * inside).sum(-1) / lengths

# %%
check("01.6", mse)

# %% [markdown]
# ## 9 · Whom does the test test?
#
# The most expensive mistake of all makes no error message. A network is tested on what it has been
# trained on, the figures are splendid, and on the first real conversation it fails. So who may speak in
# the test?

# %%
trains = corpus.table.speaker.isin(corpus.select(split="train").speaker)
pd.crosstab([corpus.table.split], trains.map({True: "voices that train", False: "voices that don't"}),
            values=corpus.table.speaker, aggfunc="nunique"
            ).fillna(0).astype(int).rename_axis(columns=None)

# %% [markdown]
# Where a corpus has both kinds in its test split, there are two tests, and they answer two questions:
#
# - **seen**: voices of the training, with sentences that were kept out of it. How well does it work for
#   people it knows?
# - **unseen**: voices that never trained. How well does it work for *everybody else*? This is the
#   question most people mean.
#
# **Predict first**: what may the training share with each of them: recordings? voices? sentences?

# %%
training = pd.concat([pd.DataFrame([cut for i in range(live.recipe.n_mixtures)
                                    for cut in live.epoch(e)[i]["cuts"]]) for e in range(5)])
columns = {"recordings": "file", "voices": "category"}
text = corpus.table.set_index("file").get("text")          # the embedded corpus knows its sentences
shared = {}
for name, view in course_views.test_views(corpus).items():
    tested = pd.DataFrame([cut for cuts in view.mixtures for cut in cuts])
    shared[name] = {what: len(set(tested[c]) & set(training[c])) for what, c in columns.items()}
    if text is not None:
        shared[name]["sentences"] = len(set(text[tested.file]) & set(text[training.file]))
pd.DataFrame(shared).T.rename_axis("shared with five epochs of training")

# %% [markdown]
# A view of seen voices may share voices, and nothing else; a view of unseen ones, nothing at all. Nobody
# should have to trust such a sentence: the table comes from a cell that you can run on your own data.
#
# ### Exercise 01.7 · Audit a test (★★, 10 min)
#
# Somebody gives you a test view and the training it is meant for, both as tables with the columns
# `mixture_id`, `category` (the voice) and `file`. Write `unfit(test, training)`: the set of the
# `mixture_id`s that are no good for a test with unseen voices. Two faults occur:
#
# - a voice of the training takes part (maybe with another recording);
# - a voice is mixed with itself (maybe with another recording).
#
# <details><summary>Hint</summary>
#
# `test.category.isin(training.category)` finds the lines of the first kind,
# `test.duplicated(["mixture_id", "category"])` those of the second. Return the `mixture_id`s, not the
# lines.
#
# </details>

# %% tags=["exercise"]
def unfit(test, training):
    raise NotImplementedError

# %% tags=["solution"]
def unfit(test, training):
    leaked = test.category.isin(training.category)
    twice = test.duplicated(["mixture_id", "category"])
    return set(test.mixture_id[leaked | twice])

# %%
check("01.7", unfit)

# %% [markdown]
# ## 10 · Your own recordings, and everybody's
#
# A folder a speaker (or a category, or a song with a file a stem), in any format and at any rate: that is a
# corpus. It is converted once, kept, and split: by voices where there are enough of them, so that some
# never train; with few, as here, by each voice's recordings. Let us make a small one, as a telephone, a
# camera and a recorder would leave it, with a file that is none:

# %%
import tempfile
from pathlib import Path

import soundfile

own = Path(tempfile.mkdtemp()) / "my recordings"
by_voice = voices.select(split="train").groupby("speaker").file.apply(list)
for voice, rate, kind, files in zip(("mum", "dad", "me"), (44100, 16000, 48000), ("wav", "flac", "ogg"),
                                    by_voice, strict=False):
    (own / voice).mkdir(parents=True)
    for take, file in enumerate(files[:4]):
        x = audio.resample(voices.waveform(file), voices.sample_rate, rate)
        soundfile.write(own / voice / f"take {take}.{kind}", x.numpy(), rate)
(own / "me" / "notes.wav").write_text("remember to buy milk")
mine = corpora.open_corpus(own, cache=own.parent / "cache")
mine.table[["file", "speaker", "split", "samples"]].head(4)

# %% [markdown]
# What could not be used has been named, and everything in this notebook works on `mine`. In earnest you put
# your folder on the disk (or on Drive) and say `make course CORPUS=folder`, or `%env SEP_CORPUS=folder` in a
# cell before the others (these notebooks then take it instead of the embedded voices), or open it here.
# The commands of this notebook, for a terminal: `python -m sep_helpers views draw`, `views check`
# (which reads every cut of a view and names all that fails) and `views show`.
#
# ### A file that breaks on a Tuesday night
#
# A disk fills up, a copy breaks off, and in the middle of an epoch one recording cannot be read. **Predict
# first**: what should a training do: stop, or leave the mixture out?

# %%
pairs_of_mine = views.Recipe(name="mine", split="train", n_mixtures=8, seconds=1.0, seed=4)
table_of_mine = views.freeze(mine, pairs_of_mine)
broken = mine.folder / table_of_mine.file[0]
broken.write_bytes(broken.read_bytes()[:2000])
damaged = corpora.Corpus(mine.folder, mine.table, mine.sample_rate)     # with nothing in RAM yet
try:
    views.collate([item for item in views.FrozenView(damaged, table_of_mine)])
except views.ViewError as error:
    print(str(error).replace(str(own.parent), "..."), "\n")
batch = views.collate([item for item in views.FrozenView(damaged, table_of_mine, skip=True)])
print(f"{len(batch['id'])} mixtures of {pairs_of_mine.n_mixtures} are in the batch")

# %% [markdown]
# It stops, names the file, and says how to go on without it; and if you do, every mixture that is left out
# is named and counted. Never silently: that would be a dataset shorter than the data, once more.
#
# ### Other people's views
#
# LibriMix, which papers on speech separation use, is also a table that describes mixtures. Its metadata
# become a view, and a view becomes such metadata (with its cuts in columns of our own: LibriMix mixes
# whole recordings):

# %%
from sep_helpers import librimix

metadata = librimix.from_view(table_of_mine, cuts=True)
back = librimix.to_view(metadata, mine)
same = [column for column in views.COLUMNS if back[column].equals(table_of_mine[column])]
print(f"{len(table_of_mine)} lines of a view -> {len(metadata)} rows -> {len(back)} lines")
print("the same to the letter:", ", ".join(same))
print(f"gains: within {(back.gain_db - table_of_mine.gain_db).abs().max():.0e} dB")
metadata[["mixture_ID", "source_1_path", "source_1_gain", "source_2_path", "source_2_gain"]].head(3)

# %% [markdown]
# ### What there is
#
# These public corpora are fetched by one command each. A broken download goes on where it stopped, what
# arrives is checked where a checksum is published, and nothing in an archive gets outside its folder. Give
# the command a link to a shared file or folder on Google Drive instead of a name, and it fetches that.

# %%
from sep_helpers import public_corpora

with pd.option_context("display.max_colwidth", None):
    display(public_corpora.table().set_index("corpus"))

# %% [markdown]
# ## What to remember
#
# - Levels are **RMS in dB**. A gain of $g$ dB is a factor of $10^{g/20}$. One click moves a peak, not an
#   RMS.
# - `x[start:stop]` excludes `stop`; `round`, do not `int`; and account for every sample: used, dropped,
#   overlapped, padded.
# - A mixture **is the sum of its sources**, before the network and after it. Scale all of them or none.
# - A **view** describes mixtures, one line a source. It is small, exact, checkable, and yours to share.
# - A **recipe** draws views of every kind: voices, sounds, stems; overlap, noise, rooms. Seeds decide.
# - **Frozen** for validation and test; **live** for training, decided by `(seed, epoch, index)` alone.
# - A test with **unseen** voices shares no voice with the training. Check it; do not believe it.
#
# {{nav}}
