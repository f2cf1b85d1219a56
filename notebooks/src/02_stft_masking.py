# %% [markdown]
# {{header}}
#
# # 02 · Pictures of sound, and masks
#
# A recording becomes a picture, the picture is cut into two voices with a stencil, and the pieces
# become sound again. How well this works when somebody *tells* us the stencil is the most that a
# network with such stencils can ever reach.
#
# **You will hear** a voice of which nearly everything was thrown away; two voices parted by a
# stencil; a sentence in which every single phase is wrong.
#
# **Goals** · build the short-time Fourier transform (STFT) and its inverse by hand · read a
# spectrogram · choose a window, its shape and a hop · make the ideal masks IBM, IRM, WFM, PSM and the
# complex one, and know when each is wrong · see what the phase is good for · measure with SI-SNR ·
# know the ceilings, and the floors, of masking, for two voices and for five.
#
# **Needs** · 01 (levels in dB, mixtures, views).
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% [markdown]
# ## 1 · What we want
#
# Two voices that are easy to tell apart, and their sum. From the mixture we want the two others back.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from sep_helpers import audio, course_views, evaluation, losses, masks, plots
from sep_helpers.checks import check, compare
from sep_helpers.player import player
from sep_helpers.plots_style import COLOURS, STYLE
from sep_helpers.stft import STFTError, istft, stft

plt.style.use(STYLE)
corpus = ws.corpus()
rate = corpus.sample_rate

# %%
table = corpus.select(split="train")
differ_in = "sex" if "sex" in table and table.sex.nunique() > 1 else "speaker"
chosen = table.sort_values(differ_in, kind="stable").drop_duplicates(differ_in).iloc[:2]
names = chosen.speaker.tolist()
recordings = [corpus.waveform(file) for file in chosen.file]
length = min(*map(len, recordings), 4 * rate)
sources = torch.stack([x[:length] * audio.gain(-25 - audio.rms_db(x[:length])) for x in recordings])
mixture = sources.sum(0)

print("sources", tuple(sources.shape), " mixture", tuple(mixture.shape))
player({"mixture": mixture} | dict(zip(names, sources, strict=True)), rate, "One mixture, two voices")

# %% [markdown]
# Your ear does it without effort. In the samples there is little to hold on to: each of them is just
# the sum of two numbers. What does the ear do first? It sorts the sound by **pitch**: different
# places of the inner ear answer to different frequencies. We shall do the same.
#
# ## 2 · One frame, by hand
#
# Take a short piece, a **frame**, so short that the voice hardly changes in it, and ask which
# frequencies are in it. That is what the fast Fourier transform (FFT) answers.
#
# First a frame whose answer we know: a pure tone. **Predict first**: how many frequencies will the
# FFT find in a single pure tone?

# %%
n_fft = 256
time = torch.arange(n_fft) / rate
grid = torch.arange(n_fft // 2 + 1) * rate / n_fft            # the frequencies the FFT knows, in Hz
tones = {f"{hertz:.1f} Hz": torch.sin(2 * math.pi * hertz * time)
         for hertz in (grid[32], grid[32] + grid[1] / 2)}
window = torch.hann_window(n_fft)                             # rises from 0 to 1, falls back to 0

fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, (name, tone) in zip(axes, tones.items(), strict=True):
    for label, w in {"cut out": torch.ones(n_fft), "with a Hann window": window}.items():
        size = torch.fft.rfft(w * tone).abs()
        ax.plot(grid / 1000, 20 * torch.log10(size / size.max() + 1e-6), label=label)
    ax.set(title=f"A tone of {name}", xlabel="frequency (kHz)", ylim=(-100, 5))
axes[0].set_ylabel("level (dB)")
axes[1].legend()
print(f"{n_fft} samples are {1000 * n_fft / rate:.0f} ms; the FFT's frequencies lie {grid[1]:.2f} Hz "
      "apart")

# %% [markdown]
# The answer depends on luck. On the left, the tone fits into the frame a whole number of times. On
# the right it does not, and where the frame was cut out, its ends do not meet: the FFT takes the
# jump for sound, at all frequencies (*leakage*). A window that fades the frame in and out makes the
# jump disappear. The price is a wider peak.
#
# Now a frame of a voice, cut out where it is loudest. A voice is periodic: the throat opens and
# closes, and each time the same pattern comes back.

# %%
voice = sources[0]
start = int(voice.square().unfold(0, n_fft, 1).sum(-1).argmax())
frame = voice[start:start + n_fft]
likeness = [torch.corrcoef(torch.stack([frame[lag:], frame[:-lag]]))[0, 1] for lag in range(1, 128)]
lags = range(rate // 400, 128)                      # voices have a pitch of some 60 to 400 Hz
period = max(lags, key=lambda lag: likeness[lag - 1])
pitch = rate / period

fig, ax = plt.subplots(figsize=(9, 2.8))
ax.plot(1000 * time, frame, color="#999999", linestyle="-", label="frame")
ax.plot(1000 * time, window * frame, color=COLOURS[0], linestyle="-", label="windowed")
ax.plot(1000 * time, window * frame.abs().max(), color=COLOURS[1], linestyle="--", label="window")
ax.set(title=f"{1000 * n_fft / rate:.0f} ms of {names[0]}", xlabel="time (ms)", ylabel="amplitude")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
print(f"the pattern comes back after {1000 * period / rate:.1f} ms: a pitch of {pitch:.0f} Hz")

# %% [markdown]
# A pattern that comes back has a *fundamental* and its multiples, the **harmonics**, as evenly
# spaced as the teeth of a comb. Here are the teeth:

# %%
spectrum = torch.fft.rfft(window * frame)

fig, ax = plt.subplots(figsize=(9, 3))
for number in range(1, int(2000 / pitch) + 1):
    ax.axvline(number * pitch / 1000, color=COLOURS[1], linewidth=1, linestyle=":")
ax.plot(grid / 1000, 20 * torch.log10(spectrum.abs()), color=COLOURS[0], marker=".", linestyle="-")
ax.set(title=f"Its spectrum, and the multiples of {pitch:.0f} Hz (dotted)", xlim=(0, 2),
       xlabel="frequency (kHz)", ylabel="level (dB)")
loudest = int(spectrum.abs().argmax())
print(f"{n_fft} real numbers -> {len(spectrum)} complex ones, 0 to {grid[-1] / 1000:.0f} kHz; the "
      f"largest: bin {loudest}, {grid[loudest]:.0f} Hz, size {spectrum[loudest].abs():.1f}, "
      f"angle {spectrum[loudest].angle():.2f}")

# %% [markdown]
# Each complex number is one frequency **bin**: its size says how loud, its angle (the *phase*)
# where in its swing the oscillation stands. Nothing is lost: 129 complex numbers, of which the
# first and the last are real, hold just what 256 samples hold.
#
# ## 3 · All frames: the STFT
#
# The next frame begins a little later, a **hop** of 64 samples. All spectra side by side are the
# *short-time Fourier transform*: a matrix, frequency × frame. In this course, frame $k$ is centred on
# sample $64k$, and outside the recording there is silence.

# %%
hop = 64

def my_stft(x, n_fft=256, hop=64):
    """(time,) -> complex (freq, frame)."""
    half, tail = n_fft // 2, -len(x) % hop                    # so that the first and the last sample
    padded = torch.nn.functional.pad(x, (half, half + tail))  # are in the middle of a frame, too
    frames = padded.unfold(0, n_fft, hop)                     # (frame, n_fft)
    return torch.fft.rfft(torch.hann_window(n_fft) * frames).T

compare("stft", my_stft, stft, mixture)
Y = stft(mixture)
print(f"{len(mixture)} samples -> {tuple(Y.shape)} = (freq, frame), a frame every "
      f"{1000 * hop / rate:.0f} ms")
print(f"{2 * Y.numel() / len(mixture):.1f} numbers for each sample: the frames overlap, and much is "
      "said more than once")

# %% [markdown]
# As a picture, with time to the right and frequency upwards:

# %%
def show(ax, values, title, n_fft=256, hop=64, **options):
    """Draw (freq, frame) so that every bin's centre stands where it belongs, in s and kHz."""
    freqs, frames = values.shape[:2]
    dt, df = hop / rate, rate / n_fft / 1000
    edges = (-dt / 2, (frames - 0.5) * dt, -df / 2, (freqs - 0.5) * df)
    picture = ax.imshow(values, origin="lower", extent=edges, **options)
    ax.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
    ax.grid(False)
    return picture

fig, ax = plt.subplots(figsize=(9, 3))
fig.colorbar(show(ax, Y.abs(), "The size of every bin", cmap="magma"), label="size", pad=0.01)
plt.show()

# %% [markdown]
# A few bright specks in the dark. The loudest bins are a thousand times as large as others that we
# hear, too, and for that there is the decibel (notebook 01). One thing is missing: what is 0 dB? We
# take the loudest sine that fits between −1 and 1. A Hann window adds up to $N/2$, and a real sine
# divides its amplitude between a positive and a negative frequency; so its bin has the size $N/4$.
#
# $$ L = 20 \log_{10} \frac{|X|}{N/4} $$
#
# ### Exercise 02.1 · Decibels (★, 6 min)
#
# Write `decibels(X, n_fft)`: the level of each bin of a complex spectrogram `X`, made with a Hann
# window of `n_fft`. Bins more than 80 dB below the loudest one are raised to that limit: darker
# than dark is of no use, and a silent bin would be at −∞.
#
# <details><summary>Hint</summary>
#
# `X.abs()` is the size. `level.clamp(min=...)` raises what is too low, −∞ included; the limit is
# `level.max() - 80`.
#
# </details>

# %% tags=["exercise"]
def decibels(X, n_fft):
    raise NotImplementedError

# %% tags=["solution"]
def decibels(X, n_fft):
    level = 20 * torch.log10(X.abs() / (n_fft / 4))
    return level.clamp(min=level.max() - 80)

# %%
check("02.1", decibels)

# %% [markdown]
# And this is the picture that the course will show from now on:

# %%
plots.spectrograms({"mixture": mixture} | dict(zip(names, sources, strict=True)), rate, "Spectrograms")

# %% [markdown]
# Take a minute to read it. Horizontal stripes are harmonics: the wider apart, the higher the voice.
# They bend when the speaker's melody does. The broad bright bands, which the stripes fade in and
# out of, are resonances of the mouth: they make the vowel. Clouds without stripes, high up, are *s*
# and *sh*, and a bright line from bottom to top is a *t* or a *k*.
#
# In the mixture, you can still tell which stripes belong together. Hold that thought.
#
# ### The ear's own scale
#
# Our bins lie evenly, one every 31 Hz. The ear's do not: it tells 200 Hz from 260 Hz with ease, 3200
# from 3260 hardly. The **mel** scale counts pitch as listeners hear it, nearly even up to 1 kHz and
# ever coarser above. `librosa` draws both, with the decibels of exercise 02.1. **Predict first**:
# which part of the picture will grow?

# %%
import librosa
import librosa.display

even = np.abs(librosa.stft(mixture.numpy(), n_fft=n_fft, hop_length=hop, pad_mode="constant"))
mel = librosa.feature.melspectrogram(S=even ** 2, sr=rate, n_mels=40)
pictures = {"linear": librosa.amplitude_to_db(even, ref=n_fft / 4, top_db=80),
            "mel": librosa.power_to_db(mel, ref=(n_fft / 4) ** 2, top_db=80)}

fig, axes = plt.subplots(1, 2, figsize=(9, 3.2))
top = max(levels.max() for levels in pictures.values())
for ax, (scale, levels) in zip(axes, pictures.items(), strict=True):
    drawn = librosa.display.specshow(levels, sr=rate, hop_length=hop, x_axis="time", y_axis=scale,
                                     cmap="magma", vmin=top - 80, vmax=top, ax=ax)
    ax.set(title=f"{levels.shape[0]} rows, {scale}", xlabel="time (s)", ylabel="frequency (Hz)")
fig.colorbar(drawn, ax=axes, label="level (dB)")
both = min(even.shape[1], Y.shape[1])
apart = np.abs(pictures["linear"][:, :both] - plots.decibels(mixture)[:, :both].clip(
    pictures["linear"].min()))
print(f"librosa's decibels and the course's differ by {apart.max():.4f} dB at most")

# %% [markdown]
# The lower half, where the harmonics are, takes most of the room, and forty rows do where there were
# 129. For *recognising* speech that is the better picture. But several bins share a row now, and no
# inverse knows what each had: a mel picture cannot be made into sound again without guessing. Who
# wants to hear the result stays with the STFT. (Section 12 asks what that costs.)
#
# ## 4 · And back again
#
# Backwards: each column through the inverse FFT, and the frames added where they overlap
# (**overlap-add**). Every frame was faded in and out by its window; we multiply by the window once
# more, which does no harm now and will hide the seams later, when we have changed the spectra. Then
# each sample has been multiplied by the sum of all squared windows that lie over it. Divide by
# that.

# %%
def my_istft(X, length, n_fft=256, hop=64):
    """Complex (freq, frame) -> (time = length,)."""
    window = torch.hann_window(n_fft)
    x, overlap = torch.zeros(2, (X.shape[1] - 1) * hop + n_fft)
    for k, frame in enumerate(torch.fft.irfft(X.T, n_fft)):
        here = slice(k * hop, k * hop + n_fft)
        x[here] += window * frame
        overlap[here] += window ** 2
    return (x / overlap)[n_fft // 2:][:length]

compare("istft", my_istft, istft, Y, len(mixture))
print(f"there and back: largest error {(my_istft(Y, len(mixture)) - mixture).abs().max():.1e}, "
      f"the mixture's largest sample {mixture.abs().max():.2f}")

# %% [markdown]
# Exact, but for the last digits of the arithmetic. So whatever we lose from now on, we lose by
# *changing* the spectrogram, not by making it.
#
# ### Which hops work?
#
# The division needs something to divide by. Here are the squared windows of neighbouring frames and
# their sum, for four hops. **Predict first**: for which of them is the sum a flat line?

# %%
fig, axes = plt.subplots(2, 2, figsize=(9, 4.6), sharex=True, sharey=True)
for ax, one_hop in zip(axes.flat, (64, 128, 192, 256), strict=True):
    starts = range(-n_fft, 768, one_hop)
    total = torch.zeros(768 + 2 * n_fft)
    for begin in starts:
        total[begin + n_fft:begin + 2 * n_fft] += window ** 2
        ax.plot(range(begin, begin + n_fft), window ** 2, color="#999999", linewidth=1, linestyle="-")
    total = total[n_fft:-n_fft]
    ax.plot(total, color=COLOURS[0], linestyle="-", linewidth=2.5)
    ax.set(title=f"hop {one_hop}: {total.min():.2f} to {total.max():.2f}", xlim=(0, 767))
fig.supxlabel("sample", fontsize=10)
fig.suptitle("Squared Hann windows of 256 (grey) and their sum (blue)", x=0.01, ha="left")
plt.show()

# %% [markdown]
# - **Hop 64** (a quarter of the window): flat. The division only changes the scale. The field calls
#   this COLA, *constant overlap-add*.
# - **Hop 128**: wavy, and the division evens it out. For the way there and back that is enough. But
#   it also enlarges, here more and there less, whatever we do to the spectrogram in between.
# - **Hop 192**: between two frames hardly anything is left, and to divide by next to nothing makes
#   a crackle of the smallest error. **Hop 256**: some samples are in *no* frame. They are gone.
#
# The course refuses the last two, in one line:

# %%
for one_hop in (64, 128, 192, 256):
    try:
        X = stft(mixture, n_fft, one_hop)
        error = (istft(X, len(mixture), n_fft, one_hop) - mixture).abs().max()
        print(f"hop {one_hop}: {X.shape[1]} frames, error after the round trip {error:.1e}")
    except STFTError as refusal:
        print(f"hop {one_hop}: {refusal}")

# %% [markdown]
# And what would you hear without the division? The sum of the windows itself, as a change of
# loudness, many times a second:

# %%
def undivided(x, hop):
    """Each sample times what the squared windows over it add up to."""
    wave = torch.zeros(len(x) + 2 * n_fft)
    for begin in range(0, len(x) + n_fft, hop):
        wave[begin:begin + n_fft] += window ** 2
    return x * wave[n_fft:n_fft + len(x)]

print(f"with hop 192 the loudness swings {rate / 192:.0f} times a second")
player({f"hop {h}": undivided(sources[0], h) for h in (64, 128, 192)}, rate,
       "Overlap-add without the division")

# %% [markdown]
# ### Exercise 02.2 · How flat? (★★, 8 min)
#
# Write `flatness(window, hop)`: the smallest value of the summed **squared** windows, divided by
# the largest. 1 is flat, 0 means that samples get lost. Count only where as many frames overlap as
# ever will, not the ends of the recording, and let the hop be any number, also one that does not
# divide the window.
#
# <details><summary>Hint</summary>
#
# The sum repeats every `hop` samples. Sample $t$ of one such period is under the window at $t$,
# $t + \text{hop}$, $t + 2\,\text{hop}$ …: so `(window ** 2)[t::hop].sum()`.
#
# </details>

# %% tags=["exercise"]
def flatness(window, hop):
    raise NotImplementedError

# %% tags=["solution"]
def flatness(window, hop):
    total = torch.stack([(window[t::hop] ** 2).sum() for t in range(hop)])
    return total.min() / total.max()

# %%
check("02.2", flatness)

# %% [markdown]
# ## 5 · Sharp in time, or sharp in frequency
#
# A frame of 256 samples is a choice. Let us see what it decides, with a sound made for the purpose:
# two tones close together, then two clicks close together; and beside it the voices. **Predict
# first**: which window shows two tones? Which one shows two clicks?

# %%
t = torch.arange(round(0.6 * rate)) / rate
test_sound = 0.05 * (torch.sin(2 * math.pi * 1000 * t) + torch.sin(2 * math.pi * 1060 * t))
test_sound[torch.tensor([0.4 * rate, 0.42 * rate]).round().long()] += 1       # 20 ms apart

fig, axes = plt.subplots(3, 2, figsize=(9, 7))
for (left, right), size in zip(axes, (64, 256, 1024), strict=True):
    for ax, x, what in ((left, test_sound, "tones and clicks"), (right, mixture[:rate], "voices")):
        levels = plots.decibels(x, size, size // 8)
        show(ax, levels, f"{what}, window {1000 * size / rate:.0f} ms", size, size // 8,
             cmap="magma", vmin=levels.max() - 60)
    left.set_ylim(0.6, 1.5)
    right.set(ylim=(0, 2), ylabel="")
for ax in axes[:-1].flat:
    ax.set_xlabel("")

# %% [markdown]
# A short window knows *when*, a long one knows *which frequency*, and no window knows both. To the
# short one, the two tones are one tone that beats; to the long one, the two clicks are one long
# noise. Two tones $\Delta f$ apart need a window of a few times $1/\Delta f$ seconds to drift
# apart. This is not a weakness of our program. It is what "frequency" means.
#
# The same for numbers, with a hop of a quarter:

# %%
sizes = torch.tensor([32, 64, 128, 256, 512, 1024, 2048])
pd.DataFrame({
    "window (ms)": (1000 * sizes / rate).tolist(),
    "hop (ms)": (250 * sizes / rate).tolist(),
    "bins": (sizes // 2 + 1).tolist(),
    "distance of bins (Hz)": (rate / sizes).tolist(),
    "frames a second": (4 * rate / sizes).tolist(),
    "bins a second": ((sizes // 2 + 1) * 4 * rate / sizes).tolist(),
}, index=[f"n_fft {size}" for size in sizes]).round(1)

# %% [markdown]
# The last column hardly changes: the same number of bins, only cut another way, as you may cut a cake
# lengthwise or crosswise. Slide through the windows:

# %%
from ipywidgets import SelectionSlider, interact

sizes = [32, 64, 128, 256, 512, 1024, 2048]

@interact(n_fft=SelectionSlider(options=sizes, value=512, continuous_update=False))
def look(n_fft):
    return plots.spectrogram(mixture, rate, f"The mixture, window {1000 * n_fft / rate:.0f} ms",
                             n_fft, n_fft // 4)

# %% [markdown]
# ### The window's shape
#
# Length is not all. A loud tone, and beside it one that is 60 dB weaker, a thousandth of its size.
# **Predict first**: which window lets you see it: the bare cut (*boxcar*), Hamming, Hann, Blackman?

# %%
from scipy.signal import get_window

t = torch.arange(n_fft) / rate
two = torch.sin(2 * math.pi * 1010 * t) + 1e-3 * torch.sin(2 * math.pi * 1510 * t)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=(1, 2))
for shape in ("boxcar", "hamming", "hann", "blackman"):
    w = torch.tensor(get_window(shape, n_fft), dtype=torch.float32)
    level = 20 * torch.log10(torch.fft.rfft(w * two, 4096).abs() / w.sum() * 2)
    axes[0].plot(1000 * t, w, label=shape)
    axes[1].plot(torch.arange(2049) * rate / 4096 / 1000, level, label=shape, linewidth=1.2)
axes[0].set(title="Four windows", xlabel="time (ms)")
axes[1].axvline(1.51, color="#BBBBBB", linestyle=":", zorder=0)
axes[1].set(title="A loud tone, and a weak one at 1.51 kHz", xlim=(0.5, 2.2), ylim=(-110, 5),
            xlabel="frequency (kHz)", ylabel="level (dB)")
axes[1].legend(loc="upper right")

# %% [markdown]
# The boxcar's skirts bury the weak tone; Hamming's fall fast at first and then no further; Hann's
# and Blackman's keep falling. But look at the tops: the better the skirts, the *broader* the peak. A
# window is a bargain between tones that are near and tones that are faint. Section 10 lets the
# voices judge it.

# %% [markdown]
# ### And heard
#
# We keep the loudest **5 %** of one voice's bins and set the other 95 % to zero. **Predict first**:
# will you still understand the words? With which window best: 4, 32 or 256 ms?

# %%
def keep_loudest(x, share, n_fft):
    X = stft(x, n_fft, n_fft // 4)
    limit = X.abs().flatten().quantile(1 - share)
    return istft(X * (X.abs() > limit), len(x), n_fft, n_fft // 4)

kept = {f"5 %, window {1000 * size // rate} ms": keep_loudest(sources[1], 0.05, size)
        for size in (32, 256, 2048)}
for name, x in kept.items():
    lost = audio.rms_db(sources[1] - x) - audio.rms_db(sources[1])
    print(f"{name:19}: what was thrown away lies {-lost:.1f} dB below the voice")
player({names[1]: sources[1]} | kept, rate, "Five bins in a hundred")

# %% [markdown]
# All three are dull, for hisses are weak and were not chosen. Beyond that, each has its own fault:
# with the long window everything is smeared, and sounds begin *before* they begin; with the short
# one, single harmonics cannot be chosen, and what is between them stays in as roughness.
#
# But that so little carries so much is remarkable. Voices are **sparse**. How sparse, depends on
# the window; so let us ask many voices: how many bins carry 90 % of their energy?

# %%
def share_that_carries(energy, part=0.9):
    """The smallest share of all values that adds up to `part` of the sum."""
    running = energy.flatten().sort(descending=True).values.cumsum(0)
    return ((running < part * running[-1]).sum() / len(running)).item()

some = [corpus.waveform(file)[:4 * rate] for file in table.drop_duplicates("speaker").file[:15]]
windows = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
sparse = pd.DataFrame([[100 * share_that_carries(stft(x, size, size // 4).abs().square()) for x in some]
                       for size in windows], index=[1000 * size / rate for size in windows])
samples = [100 * share_that_carries(x.square()) for x in some]
print(f"of single samples, {np.mean(samples):.0f} % carry 90 % of the energy; of bins, at best "
      f"{sparse.mean(axis=1).min():.1f} %, with a window of {sparse.mean(axis=1).idxmin():.0f} ms")

# %%
def over_windows(title, ylabel):
    """Axes with a place for every window."""
    fig, ax = plt.subplots(figsize=(9, 3.4))
    ax.set(xscale="log", title=title, xlabel="window (ms)", ylabel=ylabel)
    ax.set_xticks(sparse.index, [f"{ms:g}" for ms in sparse.index])
    ax.minorticks_off()
    return ax

ax = over_windows("How sparse voices are", "bins with 90 % of the energy (%)")
ax.plot(sparse, color="#BBBBBB", linewidth=1, linestyle="-")
ax.plot(sparse.mean(axis=1), color=COLOURS[0], marker="o", linestyle="-", label="mean")
ax.set_ylim(0)
ax.legend()
plt.show()

# %% [markdown]
# Each grey line is a voice. A short window cannot tell the harmonics apart, so the empty places
# between them fill up. In a long one the melody moves, syllables come and go, and everything smears
# over time. In between, few bins say it all.
#
# ## 6 · Two voices in one picture
#
# If each voice needs only a few bins, how often do two voices need the *same* one? Here both are
# printed over each other, in blue and orange ink on white paper. Where both are loud, the inks mix
# and turn dark.

# %%
from matplotlib.colors import to_rgb

def ink(x, colour):
    """White where x is silent, the colour where it is loud: (freq, frame, 3)."""
    level = plots.decibels(x)
    strength = ((level - level.max()) / 45 + 1).clip(0, 1)
    return 1 - strength[..., None] * (1 - np.array(to_rgb(colour)))

fig, ax = plt.subplots(figsize=(9, 3.6))
show(ax, ink(sources[0], COLOURS[0]) * ink(sources[1], COLOURS[1]),
     f"{names[0]} in blue, {names[1]} in orange")
S = stft(sources)
print("S", tuple(S.shape), "= (source, freq, frame)")

# %% [markdown]
# There is little dark. For nearly every bin that matters, *one* voice is far louder than the other;
# the bin has an owner. In the field's words, voices are nearly **W-disjoint orthogonal** (Yilmaz &
# Rickard, 2004), and this is measured so: give each voice the bins in which it is the louder one.
# How much of its energy does it *keep*, and how much of the other's *leaks* in?
#
# $$ \text{WDO}_1 = \frac{\|M_1 S_1\|^2 - \|M_1 S_2\|^2}{\|S_1\|^2} $$
#
# 1 is perfectly disjoint; two voices that share every bin evenly would have 0.

# %%
def disjointness(S):
    """S (2, ...), both voices in any representation -> energy kept, leaked, and WDO, mean of both."""
    energy = S.abs().square()
    mine = energy > energy.flip(0)                            # True where this voice is the louder
    kept, leaked = ((mine * e).flatten(1).sum(1) for e in (energy, energy.flip(0)))
    total = energy.flatten(1).sum(1)
    return [x.mean().item() for x in (kept / total, leaked / total, (kept - leaked) / total)]

noise = torch.randn(sources.shape, generator=torch.Generator().manual_seed(0))
rows = {f"bins, {1000 * size // rate} ms": disjointness(stft(sources, size, size // 4))
        for size in (32, 256, 512, 2048)}
rows["single samples"] = disjointness(sources)
rows["two white noises, bins, 32 ms"] = disjointness(stft(noise))
pd.DataFrame(rows, index=["kept", "leaked", "WDO"]).T.round(3)

# %% [markdown]
# Even two noises reach a half, because of two random numbers one is mostly the larger; two voices
# do far better. But here is something odd. Even single *samples* have owners, most of the time. So
# why make pictures at all? Look at who owns what:

# %%
owns_sample = sources[0].square() > sources[1].square()
owns_bin = S[0].abs() > S[1].abs()
n = round(0.05 * rate)
both = sources.square().unfold(-1, n, 1).sum(-1).amin(0).argmax()       # where both voices speak

fig, (upper, lower) = plt.subplots(2, 1, figsize=(9, 5), height_ratios=(1, 3.4))
upper.imshow(owns_sample[None, both:both + n], extent=(0, 50, 0, 1), cmap="cividis")
upper.set(title="Who owns each sample: 50 ms of them", xlabel="time (ms)", yticks=[])
upper.grid(False)
show(lower, owns_bin, f"Who owns each bin (yellow: {names[0]})", cmap="cividis")

def changes(owner, per_second, counts):
    """How many times a second the owner is another one than before, where it counts."""
    return ((owner[..., 1:] != owner[..., :-1])[counts[..., 1:]].float().mean() * per_second).item()

audible = S.abs().amax(0) > S.abs().max() / 100                # at most 40 dB below the loudest
print(f"owners a second: of a sample {changes(owns_sample, rate, owns_sample | True):,.0f}, "
      f"of an audible bin {changes(owns_bin, rate / hop, audible):.0f}")

# %% [markdown]
# The owners of samples look like a bar code. The owners of bins form **shapes**: stripes, bands,
# clouds. What has a shape can be guessed by somebody who has seen such shapes before. That is the
# point of pictures: in them, separation is something one can *learn*.
#
# ## 7 · Masks
#
# A **mask** is a stencil: a number for each bin of the mixture, which says how much of it belongs
# to a voice. Multiply, transform back, listen.
#
# $$ \hat{S}_i = m_i \cdot Y $$
#
# An *ideal* mask is made from the true sources. That is cheating, and it is meant to be: it shows
# how far masks can go. The simplest is the lower picture above, the **ideal binary mask** (IBM):
# each bin, whole, to its loudest voice.

# %%
def my_ibm(S):
    """S (source, freq, frame) -> 1 for the loudest source of each bin, 0 for the others."""
    size = S.abs()
    return (size == size.amax(0)).float()

compare("ibm", my_ibm, masks.ibm, S)
M = my_ibm(S)
print("masks", tuple(M.shape), "· they add up to one in every bin:", bool((M.sum(0) == 1).all()))
plots.masks(M, rate, names, "Ideal binary masks")

# %%
separated = istft(M * Y, len(mixture))
tracks = {"mixture": mixture}
for name, source, estimate in zip(names, sources, separated, strict=True):
    tracks |= {name: source, f"{name}, IBM": estimate}
player(tracks, rate, "Separated with a stencil")

# %% [markdown]
# Two voices from one track, with nothing but zeros and ones. Listen closely, though: use the player's
# blind test (A/B/X) on a voice and its estimate. The twitter that is left, short tones at random, is
# called *musical noise*: lone bins that are switched on and off.
#
# ### What is the best mask?
#
# In some bin, the first voice has the size 2 and the second the size 1. The binary mask gives the
# bin to the first. A fair division by size would give it two thirds. Which comes nearer to the
# truth? **Predict first**, then let us ask twenty thousand such bins, whose phases know nothing of
# each other.

# %%
generator = torch.Generator().manual_seed(0)
S1, S2 = torch.polar(torch.tensor([[2.0], [1.0]]).expand(2, 20000).contiguous(),
                     2 * math.pi * torch.rand(2, 20000, generator=generator))
m = torch.linspace(0, 1.2, 121)
error = (S1 - m[:, None] * (S1 + S2)).abs().square().mean(1)

fig, ax = plt.subplots(figsize=(9, 3))
ax.plot(m, error, color="black", linestyle="-")
for (name, value), colour, style in zip(
        {"by size: 2/3": 2 / 3, "by energy: 4/5": 4 / 5, "winner takes all: 1": 1}.items(),
        COLOURS, ("--", "-", ":"), strict=False):
    ax.axvline(value, color=colour, linestyle=style, label=name)
ax.set(title="Mean squared error of a mask", xlabel="the mask $m_1$", ylabel="$|S_1 - m_1 Y|^2$")
ax.legend()
print(f"the smallest error is at m = {m[error.argmin()]:.2f}")

# %% [markdown]
# Neither: it is best to divide by **energy**, 4 to 1. One can see why: with phases that know
# nothing of each other, energies add up, $|Y|^2 \approx |S_1|^2 + |S_2|^2$, sizes do not. The mean
# error is
#
# $$ E\,|S_1 - m\,(S_1 + S_2)|^2 = (1 - m)^2 |S_1|^2 + m^2 |S_2|^2 $$
#
# and it is smallest at $m = |S_1|^2 / (|S_1|^2 + |S_2|^2)$. Norbert Wiener found that in the forties;
# the mask is called Wiener-filter-like, **WFM**. Division by size is the ideal *ratio* mask, **IRM**.

# %%
def my_wfm(S):
    energy = S.abs().square()
    return energy / energy.sum(0)

def my_irm(S):
    return S.abs() / S.abs().sum(0)

compare("wfm", my_wfm, masks.wfm, S)
compare("irm", my_irm, masks.irm, S)
plots.masks(torch.stack([masks.ibm(S)[0], masks.irm(S)[0], masks.wfm(S)[0]]), rate,
            ["IBM", "IRM", "WFM"], f"Three ideal masks of {names[0]}")

# %%
player({names[0]: sources[0]} | {kind: masks.oracle(kind.lower(), mixture, sources)[0]
                                 for kind in ("IBM", "IRM", "WFM")}, rate, "Three ideal masks")

# %% [markdown]
# ### Exercise 02.3 · A family of masks (★★, 10 min)
#
# Write `power_mask(S, p)`: $m_i = |S_i|^p / \sum_j |S_j|^p$ for spectrograms `S` of any number of
# sources, `(source, freq, frame)`. With $p = 1$ it is the IRM, with $p = 2$ the WFM; and towards
# which mask does it go when $p$ grows? It has to work for $p = 50$ as well, and a bin in which
# nobody sounds must not become NaN.
#
# <details><summary>Hint</summary>
#
# $0.01^{50}$ is too small for a float32. But the mask stays the same when all sources of a bin are
# first divided by the loudest of them: `size / size.amax(0)`. In a silent bin that would be 0 / 0,
# so keep the divisor above a tiny number, `.clamp(min=1e-20)`, in both divisions.
#
# </details>

# %% tags=["exercise"]
def power_mask(S, p):
    raise NotImplementedError

# %% tags=["solution"]
def power_mask(S, p):
    size = S.abs()
    power = (size / size.amax(0).clamp(min=1e-20)) ** p
    return power / power.sum(0).clamp(min=1e-20)

# %%
check("02.3", power_mask)

# %% [markdown]
# ## 8 · How good is it? SI-SNR
#
# Which of the three is best? It is hard to hear, and "sounds nice" cannot be averaged over a hundred
# mixtures. A first idea is the signal-to-noise ratio, where everything that differs from the
# source is noise:
#
# $$ \text{SNR} = 10 \log_{10} \frac{\|s\|^2}{\|\hat{s} - s\|^2} $$
#
# **Predict first**: what does it say of four estimates that all sound *exactly* like the source?
# Twice as loud · upside down (times −1) · shifted by a constant · one sample late.

# %%
s = sources[0]
breath = s + 1e-4 * torch.randn(s.shape, generator=generator)   # a breath of noise, to be measured
alike = {"nearly the source": breath, "twice as loud": 2 * breath, "upside down": -breath,
         "shifted by 0.05": breath + 0.05, "one sample late": breath.roll(1)}

def snr(estimate, target):
    return 10 * torch.log10(target.square().sum() / (estimate - target).square().sum())

for name, estimate in alike.items():
    print(f"{name:17} SNR {snr(estimate, s):6.1f} dB")
player(alike, rate, "They sound alike")

# %% [markdown]
# Loudness is a matter for the volume knob, and nobody hears a constant. So we take both out of the
# measure. The constant is easy: subtract the mean. For the loudness, ask: *which multiple of the
# source comes closest to the estimate?* It is the **projection** of the estimate onto the source.
# What is left is at a right angle to it:
#
# $$ s_\text{target} = \frac{\langle \hat{s}, s\rangle}{\|s\|^2}\, s \qquad
# e = \hat{s} - s_\text{target} \qquad
# \text{SI-SNR} = 10 \log_{10} \frac{\|s_\text{target}\|^2}{\|e\|^2} $$

# %%
def my_si_snr(estimate, target):
    """Both (time,) -> dB."""
    e, s = estimate - estimate.mean(), target - target.mean()       # blind to a constant
    projection = (e @ s) / (s @ s) * s                              # blind to the scale
    noise = e - projection
    return 10 * torch.log10((projection @ projection) / (noise @ noise))

compare("si_snr", my_si_snr, losses.si_snr, separated[0], sources[0])

judged = alike | {"IBM": separated[0], "IBM, times −1000": -1000 * separated[0],
                  "IBM, shifted by 0.05": separated[0] + 0.05}
pd.DataFrame({name: [snr(x, s).item(), my_si_snr(x, s).item()] for name, x in judged.items()},
             index=["SNR (dB)", "SI-SNR (dB)"]).T.round(1)

# %% [markdown]
# Scale, sign and constant are forgiven. *One sample late* is not, though it sounds the same: SI-SNR
# compares samples, not sounds. Remember that when somebody's figures are inexplicably bad.
#
# Geometrically: a recording is a point in a space with as many dimensions as it has samples. Only one
# direction in it is right, the source's, and SI-SNR is nothing but an **angle** to it.

# %%
def coordinates(estimate, target):
    """How far along the target, and how far away from it, in units of the target."""
    e, s = estimate - estimate.mean(), target - target.mean()
    along = (e @ s / (s @ s)).item()
    return along, ((e - along * s).norm() / s.norm()).item()

def arrow(ax, x, y, name, colour, shift=(6, -3)):
    ax.annotate("", (x, y), (0, 0), arrowprops=dict(arrowstyle="-|>", color=colour, lw=2))
    ax.annotate(name, (x, y), shift, textcoords="offset points", color=colour, weight="bold")

fig, ax = plt.subplots(figsize=(9, 4.4))
for db in (0, 5, 10, 15, 20):
    slope = 10 ** (-db / 20)
    ax.plot([0, 2.4], [0, 2.4 * slope], color="#BBBBBB", linewidth=1, linestyle=":")
    ax.annotate(f"{db} dB", (min(2.25, 1.16 / slope), min(2.25 * slope, 1.16)), color="#777777")
arrow(ax, *coordinates(mixture, s), "mixture", "black")
arrow(ax, *coordinates(2 * separated[0], s), "IBM, twice as loud", COLOURS[0], (-40, 10))
arrow(ax, *coordinates(separated[0], s), "IBM", COLOURS[1], (-20, 10))
arrow(ax, *coordinates(masks.oracle("psm", mixture, sources)[0], s), "PSM (see below)", COLOURS[2])
ax.set(xlim=(0, 2.4), ylim=(0, 1.25), aspect="equal", title="SI-SNR is an angle",
       xlabel=f"along {names[0]}", ylabel="away from it")
ax.grid(False)

# %% [markdown]
# An angle, or the cosine of it, which is the **correlation** $\rho$ of estimate and source:
# $\text{SI-SNR} = 10 \log_{10} \rho^2 / (1 - \rho^2)$. Whoever trains on correlation trains on
# SI-SNR in other units.

# %%
rho = torch.corrcoef(torch.stack([separated[0], s]))[0, 1]
print(f"the IBM's correlation is {rho:.4f}, and that is {10 * torch.log10(rho**2 / (1 - rho**2)):.2f} dB")
db = np.arange(-10, 41, 10)
pd.DataFrame([(1 + 10 ** (-db / 10)) ** -0.5], ["correlation"], [f"{x} dB" for x in db]).round(5)

# %% [markdown]
# What counts in the end is how much was *gained*: the estimate's SI-SNR minus the mixture's. That
# is the improvement, **SI-SNRi** (some write SI-SDRi and mean the same), and nearly all figures of
# this field are such improvements.

# %%
def scores(estimates):
    """Mean over both voices: SI-SNR, and the improvement over the mixture."""
    after, before = (losses.si_snr(x, sources).mean().item() for x in (estimates, mixture))
    return {"SI-SNR (dB)": after, "SI-SNRi (dB)": after - before}

ranking = {"mixture": scores(mixture)}
ranking |= {name: scores(masks.oracle(kind, mixture, sources)) for name, kind in
            {"random mask": "random", "IBM": "ibm", "IRM": "irm", "WFM": "wfm"}.items()}
pd.DataFrame(ranking).T.round(1)

# %% [markdown]
# ### Exercise 02.4 · SI-SNR for a whole stack (★★, 10 min)
#
# `my_si_snr` takes one waveform. Write `si_snr_all(estimates, targets)` for tensors of any shape
# `(..., time)`: one value for each waveform, shape `(...)`.
#
# <details><summary>Hint</summary>
#
# `@` is for vectors; here it is `(e * s).sum(-1, keepdim=True)`. `keepdim` keeps the last dimension
# (as 1), so that the factor multiplies *its* waveform.
#
# </details>

# %% tags=["exercise"]
def si_snr_all(estimates, targets):
    raise NotImplementedError

# %% tags=["solution"]
def si_snr_all(estimates, targets):
    e = estimates - estimates.mean(-1, keepdim=True)
    s = targets - targets.mean(-1, keepdim=True)
    projection = (e * s).sum(-1, keepdim=True) / s.square().sum(-1, keepdim=True) * s
    noise = e - projection
    return 10 * torch.log10(projection.square().sum(-1) / noise.square().sum(-1))

# %%
check("02.4", si_snr_all)

# %% [markdown]
# ## 9 · What the mask cannot touch: the phase
#
# A mask scales a bin. It does not turn it: every estimate has the **mixture's phase**. How bad is
# that? First, what phase looks like:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
levels = plots.decibels(s)
show(axes[0], levels, "Size: a picture of a voice", cmap="magma", vmin=levels.max() - 70)
angle = show(axes[1], S[0].angle(), "Phase: of the same voice", cmap="twilight")
axes[1].set_ylabel("")
fig.colorbar(angle, ax=axes[1], label="angle (rad)")
plt.show()

# %% [markdown]
# Nobody would recognise a voice in the picture on the right, and a network does not either. Hence the
# old habit: guess the sizes, borrow the phases.
#
# One bin under the microscope: the two voices are arrows in the complex plane, the mixture is their
# sum, and every real mask can only move along the mixture's line.

# %%
ratio = S[0] / S[1]
fit = (ratio.abs() > 1.2) & (ratio.abs() < 1.5) & (ratio.angle() > 2) & (ratio.angle() < 2.4)
f, k = divmod(int((Y.abs() * fit).argmax()), Y.shape[1])                # a loud bin, well shared
one, two = (S[i, f, k] / Y[f, k] for i in (0, 1))                       # turned so that Y lies flat

fig, ax = plt.subplots(figsize=(9, 4))
arrow(ax, 1, 0, "mixture", "black", (6, 4))
arrow(ax, one.real, one.imag, names[0], COLOURS[0])
arrow(ax, two.real, two.imag, names[1], COLOURS[1])
bin_masks = {"IBM": 1.0, "IRM": masks.irm(S)[0, f, k], "WFM": masks.wfm(S)[0, f, k], "PSM": one.real}
for marker, (name, m) in zip("sDoX", bin_masks.items(), strict=True):
    ax.plot(m, 0, marker, color=COLOURS[2], markersize=9, zorder=3,
            label=f"{name}, m = {m:.2f}: error {abs(one - m):.2f}")
ax.plot([one.real, one.real], [one.imag, 0], color=COLOURS[2], linewidth=1.2, linestyle=":")
ax.set(aspect="equal", title=f"One bin: {grid[f]:.0f} Hz at {k * hop / rate:.2f} s",
       xlabel="in phase with the mixture", ylabel="across", xlim=(-0.5, 1.8),
       ylim=(min(two.imag, 0) - 0.15, one.imag + 0.15))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# The best real mask drops a perpendicular from the voice's arrow onto the mixture's line. That is
# the **phase-sensitive mask**, $\text{PSM} = |S_i| / |Y| \cdot \cos(\angle S_i - \angle Y)$: whoever
# knows that the phase will be wrong should ask for less than the voice's full size. (From here on
# it is cut off below 0 and above 1, as most networks can only say numbers in between.) Notebook 03
# uses it as a training target.
#
# And look at the errors: in this bin they are nearly the same for all four. What lies *across* the
# mixture remains, whatever a real mask says.
#
# ### When is which mask right?
#
# It is all a matter of the angle between the two voices. Sizes 2 and 1 once more; now we turn the
# second voice around the first and ask for the best real mask at every angle. **Predict first**: at
# which angle is the IRM exactly right? And the Wiener mask?

# %%
turn = torch.linspace(0, math.pi, 181)
other = torch.polar(torch.ones(181), turn)
best_real = (2 / (2 + other)).real                           # Re(S / Y), with S = 2

fig, ax = plt.subplots(figsize=(9, 3.4))
ax.axhspan(0, 1, color="#F0F0F0", zorder=0)
ax.plot(turn.rad2deg(), best_real, color="black", linestyle="-", label="best real mask, uncut")
for (name, m), colour, style in zip({"IRM": 2 / 3, "WFM": 4 / 5, "IBM": 1}.items(), COLOURS,
                                    ("--", "-", ":"), strict=False):
    ax.axhline(m, color=colour, linestyle=style, label=name)
    hit = turn[(best_real - m).abs().argmin()].rad2deg().item()
    print(f"{name}, m = {m:.2f}: right at {hit:.0f}°")
ax.set(title="The louder of two voices in a bin (grey: what a sigmoid can say)",
       xlabel="angle between the voices (°)", ylabel="mask")
ax.legend(loc="upper left")

# %% [markdown]
# - The **IRM** is right where both voices swing together. It is too generous to the weaker one
#   everywhere else, and lets it leak.
# - The **WFM** is right at a right angle, the average of all angles: hence its fame.
# - The **IBM** is right only where the other voice already cancels a part. It errs in single bins,
#   all or nothing, and that is what twitters.
# - Where the voices **cancel**, the truth is beyond 1: the mixture is *smaller* than the voice, and a
#   mask that is cut off at 1 cannot bring back what is gone. For the weaker voice it is worse still:
#   its best mask becomes negative, and the cut makes it 0.
#
# ### A mask that turns
#
# Nobody forbids complex masks. The **complex ideal ratio mask** (Williamson, Wang & Wang, 2016)
# follows from its wish, $m_i Y = S_i$, by dividing: $\text{cIRM} = S_i / Y$. Size *and* phase are right;
# its ceiling is the sky. Where is the catch? **Predict first**: how large do such masks become, and
# what is left of the ceiling when a network can only say numbers up to a bound $K$?

# %%
Z = masks.cirm(S, Y)
loud = Y.abs() > Y.abs().max() / 1000
print("size of the mask: " + ", ".join(f"{q:.1%} of the bins below {Z.abs()[:, loud].quantile(q):.1f}"
                                      for q in (0.5, 0.9, 0.999)))

def bounded(low, high):
    return torch.complex(Z.real.clamp(low, high), Z.imag.clamp(low, high))

tamed = {f"parts within ±{K:g}": bounded(-K, K) for K in (0.5, 1, 2, 5, 10, 100)}
tamed["both parts ≥ 0, as after a ReLU"] = bounded(0, math.inf)
tamed["imaginary part 0, real part 0 to 1 (PSM)"] = masks.psm(S, Y) + 0j
pd.DataFrame({name: scores(istft(m * Y, len(mixture))) for name, m in tamed.items()}).T.round(1)

# %% [markdown]
# Bounds of a few units already cost little: masks are huge only where the voices cancel, and there
# the mixture is small. But a network that ends in a **ReLU** can turn every bin by a quarter of a
# circle at most, and only one way; look what it does to the ceiling. (Such a network exists; it waits
# in notebook 03.)
#
# ### What is the phase worth?
#
# Now let us take the phase apart from the rest. **Predict first**, from best to worst:
#
# - the voice's **true sizes**, with the mixture's phase: as if a network had guessed every size
#   perfectly;
# - the **WFM**, whose sizes are all a little wrong;
# - the WFM's sizes with the **true phase**;
# - the mixture's sizes, unmasked, with the true phase;
# - the true sizes, with **random** phases.

# %%
def with_phase_of(sizes, Z):
    return istft(sizes * torch.exp(1j * Z.angle()), len(mixture))

random_phase = torch.randn(S.shape, dtype=S.dtype, generator=generator)
trials = {
    "true sizes, mixture's phase": with_phase_of(S.abs(), Y.expand_as(S)),
    "WFM": masks.oracle("wfm", mixture, sources),
    "PSM": masks.oracle("psm", mixture, sources),
    "WFM's sizes, true phase": with_phase_of(masks.wfm(S) * Y.abs(), S),
    "mixture's sizes, true phase": with_phase_of(Y.abs().expand_as(S), S),
    "true sizes, random phase": with_phase_of(S.abs(), random_phase),
}
pd.DataFrame({name: scores(x) for name, x in trials.items()}).T.round(1)

# %%
player({names[0]: sources[0], "mixture": mixture} | {name: x[0] for name, x in trials.items()}, rate,
       "Sizes of one, phases of another")

# %% [markdown]
# Three things to take away.
#
# - With the mixture's phase, even **perfect sizes lose to the Wiener mask**. The mask is right to
#   be cautious where the phase is doubtful.
# - The true phase would be worth several decibels more. It is what the systems of the last years go
#   after: networks that put out complex masks, or learn their own transform and never speak of
#   phase at all (notebook 04).
# - Random phases score far worse than the mixture itself, and yet you can follow the words.
#   **SI-SNR is a measure of the waveform, not of intelligibility.** A figure never replaces
#   listening.
#
# ### Exercise 02.5 · Borrow a phase (★★, 6 min)
#
# Write `borrow_phase(sizes, Y)`: the complex spectrogram with the sizes `(source, freq, frame)` and
# the phase of `Y`, `(freq, frame)`. Where `Y` is 0 it has no phase; then take the angle 0.
#
# <details><summary>Hint</summary>
#
# $e^{i\varphi}$ has the size 1 and the angle $\varphi$; `Y.angle()` is the angle, `1j` is $i$.
# Or divide: $Y / |Y|$, but not by 0.
#
# </details>

# %% tags=["exercise"]
def borrow_phase(sizes, Y):
    raise NotImplementedError

# %% tags=["solution"]
def borrow_phase(sizes, Y):
    return sizes * torch.exp(1j * Y.angle())

# %%
check("02.5", borrow_phase)

# %% [markdown]
# ### Exercise 02.6 · The phase-sensitive mask from its definition (★★, 8 min)
#
# Write `phase_sensitive(S, Y)` for `S` (source, freq, frame) and `Y` (freq, frame):
# $|S_i| / |Y| \cdot \cos(\angle S_i - \angle Y)$, cut off below 0 and above 1, and 0 where the mixture
# is silent.
#
# <details><summary>Hint</summary>
#
# $\cos(\angle S - \angle Y)\,|S| / |Y|$ is the real part of $S / Y$. Divide by 1 where `Y` is 0:
# `torch.where(Y == 0, 1, Y)`; and `.clamp(0, 1)` cuts off.
#
# </details>

# %% tags=["exercise"]
def phase_sensitive(S, Y):
    raise NotImplementedError

# %% tags=["solution"]
def phase_sensitive(S, Y):
    silent = Y == 0
    m = (S / torch.where(silent, 1, Y)).real.clamp(0, 1)
    return torch.where(silent, 0, m)

# %%
check("02.6", phase_sensitive)

# %% [markdown]
# ### Exercise 02.7 · What does the mixture's phase cost? (★★★, 12 min)
#
# Write `phase_cost(mixture, sources)`, `(time,)` and `(source, time)`: for each source, how many dB of
# SI-SNR its **Wiener mask** loses by borrowing the mixture's phase; that is, the SI-SNR with the
# WFM's sizes and the source's *own* phase, minus that with the mixture's. Result: `(source,)`.
#
# <details><summary>Hint</summary>
#
# `masks.wfm(S) * Y.abs()` are the sizes, `with_phase_of(sizes, S)` and `with_phase_of(sizes,
# Y.expand_as(S))` the two signals, if the length is that of `mixture`; better call `istft` yourself,
# with `mixture.shape[-1]`. `losses.si_snr(estimates, sources)` gives all sources at once.
#
# </details>

# %% tags=["exercise"]
def phase_cost(mixture, sources):
    raise NotImplementedError

# %% tags=["solution"]
def phase_cost(mixture, sources):
    S, Y = stft(sources), stft(mixture)
    sizes = masks.wfm(S) * Y.abs()
    own, borrowed = (istft(torch.polar(sizes, Z.angle().expand_as(sizes)), mixture.shape[-1])
                     for Z in (S, Y))
    return losses.si_snr(own, sources) - losses.si_snr(borrowed, sources)

# %%
check("02.7", phase_cost)

# %% [markdown]
# ## 10 · The ceilings, and the floors
#
# One mixture is an anecdote. So, all mixtures of the test views: `seen` has voices that will train
# our networks, `unseen` has others. An oracle trains on nothing, of course; these are the figures
# to hold the networks against later. And the floors: hand out the mixture itself, or mask at
# random.

# %%
oracles = ("IRM", "IBM", "WFM", "PSM")
test_views = course_views.test_views(corpus, ws.preset.n_test)
systems = {"mixture": evaluation.mixture_system(), "random mask": evaluation.random_mask_system()}
systems |= {name: evaluation.oracle_system(name.lower()) for name in oracles}

results = pd.concat([evaluation.evaluate(system, view, name, view_name, bss=False)
                     for view_name, view in test_views.items() for name, system in systems.items()])
summary = evaluation.summary(results)
print(f"{len(results)} rows, the first of them:")
results.head(3)[["system", "view", "mixture_id", "source", "speaker", "si_sdr", "si_sdri"]].round(1)

# %%
last = summary[summary.view == summary.view.iloc[-1]]
plots.comparison(last, oracles=oracles, floors=("mixture", "random mask"),
                 title=f"Ceilings and floors, view {last.view.iloc[0]!r}, {last.n.iloc[0]} mixtures")

# %% [markdown]
# The lines on the bars are 95 % intervals over the mixtures (notebook 06 builds them). All views
# beside the published ceilings of WSJ0-2mix, two read voices at 8 kHz with the same window (Luo &
# Mesgarani, 2019):

# %%
wide = summary.pivot(index="system", columns="view", values="text").loc[list(systems), list(test_views)]
wide["WSJ0-2mix, published"] = pd.Series({"IRM": "12.2", "IBM": "13.0", "WFM": "13.4"})
wide.fillna("").rename_axis(index=None, columns="SI-SNRi (dB)")

# %% [markdown]
# Other voices, other sentences, and nearly the same ceilings: they are a property of speech, and of
# the window, more than of a corpus.
#
# ### Is a longer window better?
#
# All of that was for windows of 32 ms. **Predict first**: what happens to the ceilings with 2 ms?
# With half a second? A longer window separates harmonics more finely ...

# %%
view = list(test_views.values())[-1]
items = [view[i] for i in range(min(10, len(view)))]

def ceiling(kind, n_fft):
    gains = []
    for item in items:
        y, x = item["mixture"], item["sources"]
        estimates = masks.oracle(kind.lower(), y, x, n_fft, n_fft // 4)
        gains.append((losses.si_snr(estimates, x) - losses.si_snr(y, x)).mean())
    return torch.stack(gains).mean().item()

by_window = pd.DataFrame({kind: [ceiling(kind, size) for size in windows]
                          for kind in (*oracles, "random")}, index=sparse.index)
best = by_window[list(oracles)].mean(axis=1).idxmax()

# %%
ax = over_windows(f"Ceilings and floors by window, {len(items)} mixtures", "SI-SNRi (dB)")
for kind in by_window:
    ax.plot(by_window[kind], marker="o", label=kind)
ax.axhline(0, color="black", linewidth=1, linestyle="-", label="mixture")
ax.axvline(best, color="#BBBBBB", linestyle=":")
ax.legend()
print(f"best: {best:.0f} ms")

# %% [markdown]
# ... but from some length on, the voice does not keep still in it: harmonics glide, syllables
# change, and two voices that took turns land in one bin. Too short, and their harmonics melt
# together. In between, where voices are sparsest (section 5) and most disjoint (section 6), they
# are easiest to part.
#
# The same with your ears: the IBM with a short window, a good one, and a long one. Listen for the
# twitter, and for sounds that begin too early.

# %%
player({"mixture": mixture, names[0]: s}
       | {f"IBM, {1000 * size / rate:.0f} ms": masks.oracle("ibm", mixture, sources, size, size // 4)[0]
          for size in (32, 512, 4096)}, rate, "The same mask in three windows")

# %% [markdown]
# ### Shape and hop
#
# The same question for the other two choices: five shapes of 32 ms, three hops, the same mixtures.
# **Predict first**: is the boxcar the worst? Is a smaller hop better, and what does it cost?

# %%
shapes, hops = ("boxcar", "hamming", "hann", "sqrt_hann", "blackman"), (128, 64, 32)

def gain_of(shape, one_hop):
    gains = []
    for item in items:
        y, x = item["mixture"], item["sources"]
        estimates = masks.oracle("ibm", y, x, n_fft, one_hop, shape)
        gains.append((losses.si_snr(estimates, x) - losses.si_snr(y, x)).mean())
    return torch.stack(gains).mean().item()

by_shape = pd.DataFrame([[gain_of(shape, h) for h in hops] for shape in shapes], index=shapes,
                        columns=[f"hop {h}: {129 * rate // h:,} bins/s" for h in hops])
by_shape.rename_axis(columns="IBM, SI-SNRi (dB)").round(2)

# %%
player({names[0]: s} | {f"{shape}, hop {h}": masks.oracle("ibm", mixture, sources, n_fft, h, shape)[0]
                        for shape, h in (("boxcar", 128), ("hann", 128), ("sqrt_hann", 32))}, rate,
       "Shape and hop, heard")

# %% [markdown]
# Surprised? The boxcar is not the worst. An oracle knows what leaks where, so the skirts do not confuse
# it, and the bare cut gives all of its 32 ms full weight, where Blackman looks at the middle alone: a
# shorter window in disguise. What a frame that ends in a cliff does need is company to cover the
# seams, and with the large hop it loses most. (What a *network* makes of a smeared picture is another
# question.) Best of all is the **root of Hann**: used twice, there and back, it makes one whole Hann
# window, which adds up flat at half the window already.
#
# A smaller hop lays more frames over each sample, and their errors average out. But each halving
# doubles the work, and from a quarter on it buys little.
#
# ### More voices, and silent ones
#
# All masks are defined for any number of sources. **Predict first**: with five voices, does masking
# gain more decibels than with two, or fewer?

# %%
def company(n, groups=5):
    """Sources (n, time) at one level, other voices each time."""
    for k in range(groups):
        waves = [some[(k * n + i) % len(some)] for i in range(n)]
        shortest = min(map(len, waves))
        yield torch.stack([x[:shortest] * audio.gain(-25 - audio.rms_db(x[:shortest])) for x in waves])

kinds = {"mixture": None, "random mask": "random"} | {name: name.lower() for name in oracles}
crowd = {}
for n in (n for n in (2, 3, 5) if n <= len(some)):
    mixes = list(company(n))
    for name, kind in kinds.items():
        reached = [losses.si_snr(masks.oracle(kind, x.sum(0), x) if kind else x.sum(0), x).mean()
                   for x in mixes]
        crowd[name, n] = torch.stack(reached).mean().item()
crowd = pd.Series(crowd).unstack()

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for name in kinds:
    axes[0].plot(crowd.loc[name], marker="o", label=name)
    axes[1].plot(crowd.loc[name] - crowd.loc["mixture"], marker="o", label=name)
for ax, title in zip(axes, ("SI-SNR reached (dB)", "gained over the mixture (dB)"), strict=True):
    ax.set(title=title, xlabel="voices", xticks=list(crowd.columns))
axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# More voices, more bins in which several are loud: what is *reached* falls. What is *gained* does not
# fall nearly as much, for the mixture itself is so much worse. A gain says little without the place
# where it began.
#
# And if one of the voices says nothing at all? Then the truth is silence, and every ideal mask knows
# it. But SI-SNR does not know what to say of silence: there is nothing to project onto.

# %%
quiet = torch.cat([sources, torch.zeros(1, len(mixture))])        # the third one says nothing
fates = {name: masks.oracle(name.lower(), mixture, quiet) for name in (*oracles, "random")}
pd.DataFrame({name: {"level of the silent estimate (dB)": audio.rms_db(x[2]).item(),
                     f"SI-SNR of {names[0]} (dB)": losses.si_snr(x[0], quiet[0]).item(),
                     "SI-SNR of silence (dB)": losses.si_snr(x[2], quiet[2]).item()}
              for name, x in fates.items()}).round(1)

# %% [markdown]
# The last line is nonsense: perfect silence scores 0 dB, for of two empty energies the formula makes
# 1. So evaluations leave silent sources out and say so (notebook 06), and trainings score them
# another way (notebook 05).
#
# ## 11 · The playground
#
# All of it in one place. Choose a voice, and turn: window, exponent, threshold (shares at or below it
# become 0), a binary mask, the voice's level before the mixing. Picture, sound and decibels follow.
#
# Some games: find the best mask for a voice 15 dB *below* the other. How much threshold can you hear
# but not measure? Which exponent wins with 4 ms? And once: the true phase.

# %%
from sep_helpers.mask_playground import MaskPlayground

MaskPlayground(dict(zip(names, sources, strict=True)), rate)

# %% [markdown]
# ## 12 · What a network will have to guess
#
# The oracle peeks. A network gets the mixture's picture alone, and has to guess the stencil:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
levels = plots.decibels(mixture)
show(axes[0], levels, "Given: the mixture", cmap="magma", vmin=levels.max() - 70)
show(axes[1], masks.wfm(S)[0], f"Wanted: the share of {names[0]}", cmap="cividis", vmin=0, vmax=1)
axes[1].set_ylabel("")
print(f"{Y.numel() / len(mixture) * rate:,.0f} numbers to guess for each second and voice")

# %% [markdown]
# It will err. How much can it afford? We take the IBM and give some bins to the wrong voice: at
# random, or the quietest ones, or the loudest. **Predict first**: with one bin in ten wrong, how
# many decibels are left?

# %%
def spoil(share, which):
    """SI-SNRi of the IBM with a share of its bins turned around."""
    loudness = S.abs().square().sum(0).flatten()
    order = {"the quietest": loudness.argsort(), "the loudest": loudness.argsort(descending=True),
             "at random": torch.randperm(len(loudness), generator=generator)}[which]
    wrong = order[:round(share * len(order))]
    M = masks.ibm(S).flatten(1)
    M[:, wrong] = 1 - M[:, wrong]
    return scores(istft(M.view_as(S) * Y, len(mixture)))["SI-SNRi (dB)"]

percent = (0, 0.5, 1, 2, 5, 10, 20, 30, 50)
spoiled = pd.DataFrame({which: [spoil(p / 100, which) for p in percent]
                        for which in ("the quietest", "at random", "the loudest")}, index=percent)

# %%
fig, ax = plt.subplots(figsize=(9, 3.4))
for which in spoiled:
    ax.plot(spoiled[which], marker="o", label=which)
ax.axhline(0, color="black", linewidth=1, linestyle="-")
ax.set(title="Bins given to the wrong voice", xlabel="wrong bins (%)", ylabel="SI-SNRi (dB)")
ax.legend()
plt.show()
spoiled.loc[[0, 1, 10, 50]].rename("{:.0f} % wrong".format).round(1)

# %% [markdown]
# Half of all bins may be wrong if they are the quiet ones: nobody is there. One in a hundred, among
# the loudest, and all is lost. So "95 % of the mask is right" says nothing at all, and a network
# that is trained on masks must care more for bins in which something sounds. With that, notebook 03
# begins.
#
# ### Could it guess less?
#
# Forty mel bands instead of 129 bins: one share for each band, handed to all of its bins. It is what
# small denoisers on telephones do. **Predict first**: how much of the ceiling is left with 40 bands?
# With 10?

# %%
def banded(bands):
    """The Wiener mask in mel bands, back on the bins."""
    bank = torch.from_numpy(librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands, norm=None))
    energy = bank @ S.abs().square()                                   # (source, band, frame)
    share = energy / energy.sum(0).clamp(min=1e-12)
    return (bank / bank.sum(0).clamp(min=1e-6)).T @ share

guesses = {"129 bins": masks.wfm(S)} | {f"{b} mel bands": banded(b) for b in (40, 20, 10, 5)}
heard = {name: istft(m * Y, len(mixture)) for name, m in guesses.items()}
display(pd.DataFrame({name: scores(x) for name, x in heard.items()}).T.round(1))
player({names[0]: s} | {name: x[0] for name, x in heard.items()}, rate, "Coarser and coarser")

# %% [markdown]
# Less is lost than one fears: much of what parts two voices is *when* each of them sounds in a band,
# and bands keep the time. What they cannot do is part harmonics that lie in one band: listen to the
# other voice humming along wherever both speak at once. To tell *those* apart takes all the bins.
#
# And a riddle for notebook 04. TasNet throws away the STFT and learns its own transform, with
# windows of 2 ms. Look back at the curve: for masks on an STFT, that is nearly the *worst* choice.
# Yet the published Conv-TasNet reaches 15.3 dB on WSJ0-2mix (Luo & Mesgarani, 2019), **above** all
# three published ceilings. A ceiling holds for its own kind of mask; whoever has no STFT does not
# live under its roof.
#
# ## Result cards
#
# The ceilings go into the results table, where later networks will stand beside them.

# %%
from sep_helpers import workspace
from sep_helpers.cards import ResultCard

per_mixture = results.drop_duplicates(["system", "view", "mixture_id"])
seconds = per_mixture.groupby(["system", "view"]).seconds.sum()
for row in summary[summary.system.isin(oracles)].to_dict("records"):
    system, view_name = row["system"], row["view"]
    card = ResultCard.of(row | {"system": f"ideal {system}"},
                         name=f"02_oracle_{system.lower()}_{view_name}", preset=ws.preset.name,
                         origin="yours", seconds=round(seconds[system, view_name], 2),
                         machine=workspace.machine(), seed=0, data=corpus.folder.name)
    print(f"{card.write(ws.cards).name:28} {card.mean:.1f} dB")

# %% [markdown]
# ## What to remember
#
# - An **STFT** is a stack of windowed FFTs. It can be undone exactly wherever the windows overlap
#   enough; a hop of a quarter of the window is safe.
# - **Short windows know when, long windows know which frequency.** For two voices the best lie at
#   some tens of milliseconds, because there voices are sparse and rarely meet.
# - A **mask** says which share of a bin belongs to whom. IBM: all to the loudest. WFM: by energy.
#   IRM: by size. PSM: with an eye on the phase. Which one is right depends on the angle between the
#   voices; where they cancel, none is that stays between 0 and 1. A **complex** mask can turn a bin.
# - More voices: less is reached, and nearly as much is gained. A **silent** source has no SI-SNR.
# - **SI-SNR** is an angle: mean off, projection, ratio in dB. It forgives scale and sign, but not
#   one sample of delay.
# - The **phase** of the mixture costs several decibels, and no real mask gets them back.
# - Every result stands between a **floor** and a **ceiling**. Show both.
#
# {{nav}}
