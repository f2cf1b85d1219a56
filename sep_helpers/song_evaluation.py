"""Songs measured as music separation is: whole tracks, and museval's protocol.

museval's protocol: a figure for every window of one second, the median over a song's windows, then
the median over the songs, stem by stem. Medians, since a window that is nearly silent may have any
figure at all. SDR, SIR, SAR, ISR: higher is better, and 0 dB is an error as loud as the stem.

A system is a separator, or a function (mixture (channel, time), sources (source, channel, time)) ->
estimates like the sources, which may peek, as the oracles do.
"""
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from torch import Tensor, nn
from tqdm import tqdm

from sep_helpers import masks
from sep_helpers.bss_images import FIGURES, TAPS, distortion, images
from sep_helpers.conversion import SILENCE_DB
from sep_helpers.corpora import Corpus
from sep_helpers.evaluation import EvaluationError
from sep_helpers.song_separation import separate_song
from sep_helpers.stems import STEMS
from sep_helpers.views import COLUMNS, FrozenView

System = Callable[[Tensor, Tensor], Tensor]
SECONDS = 1.0           # of a window, and from one to the next
N_FFT, HOP = 2048, 512  # of the oracles' spectrograms at 22 or 44 kHz
FLOOR = "mixture"
CEILINGS = ("ideal IBM", "ideal IRM", "ideal WFM", "ideal PSM")


def song_view(corpus: Corpus, split: str, names: Sequence[str] = STEMS,
              rms_db: float | None = None) -> FrozenView:
    """Every song of a split once, whole, its stems in the order of `names`.

    `rms_db`: bring every stem that sounds to this level (a stem 20 dB under the others is hardly
    there, to the ear and to a figure); None: as it was mixed. Songs that lack a stem are left out,
    and named. Raises EvaluationError if none is left.
    """
    lines, lost = [], []
    for track, rows in corpus.select(split=split).groupby("track", sort=False):
        files = dict(zip(rows.stem, zip(rows.file, rows.samples, strict=True), strict=True))
        if missing := [name for name in names if name not in files]:
            lost.append(f"{track} has no {missing[0]}")
            continue
        length = min(files[name][1] for name in names)
        lines += [(track, split, length, source, name, files[name][0], 0, length, 0,
                   _gain(corpus, files[name][0], rms_db)) for source, name in enumerate(names)]
    if lost:
        print(f"left out {len(lost)} songs of {split}:", *lost, sep="\n  ")
    if not lines:
        raise EvaluationError(f"{corpus.folder} has no whole song for {split} with "
                              f"{', '.join(names)}: ask for another split, or fewer stems")
    return FrozenView(corpus, pd.DataFrame(lines, columns=COLUMNS))


def _gain(corpus: Corpus, file: str, rms_db: float | None) -> float:
    if rms_db is None or corpus.rms_db(file) <= SILENCE_DB:
        return 0.0
    return round(rms_db - corpus.rms_db(file), 2)


# --- floors and ceilings

def floors_and_ceilings(n_fft: int = N_FFT, hop: int = HOP) -> dict[str, System]:
    """The mixture as every stem, the ideal masks, and "equal parts", a mask of 1 / n."""
    systems = {FLOOR: lambda mixture, sources: mixture.expand_as(sources),
               "equal parts": lambda mixture, sources: (mixture / len(sources)).expand_as(sources)}
    for name in CEILINGS:
        mask = name.split()[-1].lower()
        systems[name] = lambda mixture, sources, mask=mask: oracle(mask, mixture, sources, n_fft,
                                                                   hop)
    return systems


def oracle(mask: str, mixture: Tensor, sources: Tensor, n_fft: int = N_FFT, hop: int = HOP
           ) -> Tensor:
    """`masks.oracle` of stems, each channel with masks of its own: shapes as of the sources."""
    return masks.oracle(mask, mixture, sources.transpose(0, 1), n_fft, hop).transpose(0, 1)


# --- measuring

def evaluate_songs(system: nn.Module | System, view: FrozenView, name: str,
                   seconds: float = SECONDS, filters: bool = True, taps: int = TAPS
                   ) -> pd.DataFrame:
    """Measure a system on whole songs; one row a (song, stem).

    Columns: system, song, stem; sdr, isr, sir, sar, the medians over the song's windows of
    `seconds`; windows, and silent, how many of them have no figure because a stem that the song has
    is silent there (museval's rule); sdr_own, the median SDR over all windows in which this stem
    sounds; song_sdr over the whole song at once; consistency (dB, what the stems miss to the
    mixture); seconds, real_time (seconds of computing a second). A stem that is silent throughout
    has a row without figures. `filters=False` leaves out isr, sir and sar, which take their time;
    `taps`: how long their filters are.
    """
    rows = []
    for index in tqdm(range(len(view)), name, unit=" songs", delay=2, leave=False,
                      file=sys.stdout):
        item = view[index]
        started = time.perf_counter()
        if isinstance(system, nn.Module):
            estimates = _separated(system, view, item["mixture"])
        else:
            estimates = system(item["mixture"], item["sources"])
        took = time.perf_counter() - started
        if estimates.shape != item["sources"].shape:
            raise EvaluationError(f"{item['id']}: the system gave {tuple(estimates.shape)} for "
                                  f"stems {tuple(item['sources'].shape)}: take one made for them")
        window = round(seconds * view.corpus.sample_rate)
        rows += _measure(item, estimates, window, taps if filters else 0, took,
                         took * view.corpus.sample_rate / item["mixture"].shape[-1])
    return pd.DataFrame(rows).assign(system=name)[["system", *rows[0]]]


def _separated(model: nn.Module, view: FrozenView, mixture: Tensor) -> Tensor:
    if model.sample_rate != view.corpus.sample_rate:
        raise EvaluationError(f"a network for {model.sample_rate} Hz on songs at "
                              f"{view.corpus.sample_rate}: open the corpus at its rate")
    if mixture.dim() == 1:
        return separate_song(model, mixture[None])[:, 0]
    return separate_song(model, mixture)


def _measure(item: dict, estimates: Tensor, window: int, taps: int, took: float,
             real_time: float) -> list[dict]:
    sources, mixture = item["sources"], item["mixture"]
    stereo = sources.dim() == 3
    e, s = (x.double().numpy() if stereo else x[:, None].double().numpy()
            for x in (estimates, sources))
    sounding = [k for k in range(len(s)) if s[k].any()]
    own, song = distortion(e, s, window), distortion(e, s)
    if taps and sounding:
        figures = images(e[sounding], s[sounding], window, taps=taps)
    else:
        joint = np.isnan(own[sounding]).any(0)
        figures = {"sdr": np.where(joint, np.nan, own[sounding])}
    missing = (estimates.sum(0) - mixture).square().sum() / mixture.square().sum().clamp(min=1e-20)
    rows = []
    for k, cut in enumerate(item["cuts"]):
        row = {"song": item["id"], "stem": cut.category, "windows": own.shape[1], "silent": 0,
               **dict.fromkeys(FIGURES, np.nan), "sdr_own": np.nan, "song_sdr": np.nan}
        if k in sounding:
            place = sounding.index(k)
            row |= {key: _median(values[place]) for key, values in figures.items()}
            row |= {"silent": int(np.isnan(figures["sdr"][place]).sum()),
                    "sdr_own": _median(own[k]), "song_sdr": float(song[k, 0])}
        row |= {"consistency": float(10 * missing.clamp(min=1e-20).log10()), "seconds": took,
                "real_time": real_time}
        rows.append(row)
    return rows


def _median(values: np.ndarray) -> float:
    heard = values[~np.isnan(values)]
    return float(np.median(heard)) if len(heard) else float("nan")


def summary(table: pd.DataFrame, figures: Sequence[str] = ("sdr", "isr", "sir", "sar")
            ) -> pd.DataFrame:
    """One row a (system, stem): the median over songs of each figure, song_sdr's mean, and over
    how many songs; a stem counts in the songs in which it sounds."""
    rows = []
    for (system, stem), group in table.groupby(["system", "stem"], sort=False):
        row = {"system": system, "stem": stem, "songs": int(group.song_sdr.notna().sum()),
               "windows": int(group.windows.sum() - group.silent.sum())}
        row |= {name: _median(group[name].to_numpy()) for name in (*figures, "sdr_own")}
        finite = group.song_sdr[np.isfinite(group.song_sdr)]
        rows.append({**row, "song_sdr": finite.mean(),
                     "consistency": group.consistency.max()})
    return pd.DataFrame(rows)
