"""Pictures of mixtures: where their cuts come from in the files, and where they land."""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sep_helpers import audio
from sep_helpers.corpora import Corpus
from sep_helpers.plots_style import COLOURS, GREY, figure


def shares(item: dict) -> pd.DataFrame:
    """What to know of each source of a view's item: file, level and overlap, one line a source.

    `rms_db` is the level of the cut as it stands in the mixture, `over_rest_db` how far it lies
    above the sum of the other sources, `overlap` the share of it (0 to 1) during which another
    source has its cut.
    """
    cuts = voices(item)
    spans = np.zeros((len(cuts), item["mixture"].shape[-1]), bool)
    for span, cut in zip(spans, cuts, strict=True):
        span[cut.offset:cut.offset + cut.stop - cut.start] = True
    rows = []
    for i, (cut, source) in enumerate(zip(cuts, item["sources"], strict=True)):
        here = spans[i]
        rest = (item["mixture"] - source)[..., here]
        level = audio.rms_db(source[..., here].flatten()).item() if here.any() else -np.inf
        others = np.delete(spans, i, axis=0).any(0)
        rows.append({"source": cut.source, "category": cut.category, "file": cut.file,
                     "rms_db": level,
                     "over_rest_db": level - audio.rms_db(rest.flatten()).item(),
                     "overlap": (here & others).sum() / max(1, here.sum())})
    return pd.DataFrame(rows)


def voices(item: dict) -> list:
    """The cuts of an item's sources: all but the background noise, which has no source number."""
    return [cut for cut in item["cuts"] if cut.source >= 0]


@figure
def mixture_map(corpus: Corpus, item: dict, title: str = "") -> Figure:
    """Left: each file and the cut taken from it. Right: where that lands, and the mixture."""
    sources, rate = item["sources"], corpus.sample_rate
    facts = shares(item)
    fig, axes = plt.subplots(len(sources) + 1, 2, figsize=(9, 0.7 + 1.15 * (len(sources) + 1)),
                             sharex="col", squeeze=False, width_ratios=(2, 3))
    longest = max(_mono(corpus.waveform(f)).shape[0] for f in facts.file) / rate
    peak = 1.05 * max(item["mixture"].abs().max().item(), 1e-6)
    for row, cut, source, fact, colour in zip(axes, voices(item), sources, facts.itertuples(),
                                              cycle(COLOURS), strict=False):
        _file_with_cut(row[0], _mono(corpus.waveform(cut.file)), cut, rate, colour)
        _landing(row[1], _mono(source), cut, rate, colour)
        row[1].set_ylim(-peak, peak)
        row[1].set_title(f"{fact.rms_db:.1f} dB, {fact.over_rest_db:+.1f} dB against the rest, "
                         f"{fact.overlap:.0%} under another", fontsize=9, fontweight="normal")
    _wave(axes[-1, 1], _mono(item["mixture"]), rate, 0, "black")
    axes[-1, 1].set(ylim=(-peak, peak), xlabel="time in the mixture (s)",
                    xlim=(0, item["mixture"].shape[-1] / rate))
    axes[-1, 1].set_title("mixture = the sum" + (" and noise" if "noise" in item else ""),
                          fontsize=9, fontweight="normal")
    axes[-1, 0].axis("off")
    axes[-2, 0].set_xlim(0, longest)
    axes[-2, 0].tick_params(labelbottom=True)
    axes[-1, 0].text(0.5, 1, "time in the file (s)", ha="center", va="top", color="#333333",
                     transform=axes[-1, 0].transAxes)
    fig.suptitle(title or item["id"], x=0.01, ha="left")
    return fig


def _mono(x) -> np.ndarray:
    return (x if x.ndim == 1 else x.mean(0)).numpy(force=True)


def _wave(ax, x: np.ndarray, rate: int, begin: float, colour: str) -> None:
    ax.plot(begin + np.arange(len(x)) / rate, x, "-", color=colour, linewidth=0.5)
    ax.set_yticks([])
    ax.grid(False)


def _file_with_cut(ax, x: np.ndarray, cut, rate: int, colour: str) -> None:
    _wave(ax, x, rate, 0, GREY)
    _wave(ax, x[cut.start:cut.stop], rate, cut.start / rate, colour)
    ax.axvspan(cut.start / rate, cut.stop / rate, color=colour, alpha=0.12, linewidth=0)
    ax.set_title(f"{cut.file} [{cut.start}:{cut.stop}]", fontsize=9, fontweight="normal")


def _landing(ax, x: np.ndarray, cut, rate: int, colour: str) -> None:
    _wave(ax, x, rate, 0, colour)
    ax.axvspan(cut.offset / rate, (cut.offset + cut.stop - cut.start) / rate, color=colour,
               alpha=0.12, linewidth=0)
