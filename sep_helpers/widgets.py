"""To look at and play with: view inspector, mixing desk, sorted tables (ipywidgets 7.7 and 8).

Pictures and sounds stand in one HTML widget, which JupyterLab, Colab and the course's pages show
alike. A mistake in the input is said there in its one line; an error of the code ends in `faults`,
an Output widget, where it is seen.
"""

import base64
import html
import io

import ipywidgets
import numpy as np
import pandas as pd
import soundfile
from matplotlib.figure import Figure
from torch import Tensor

from sep_helpers import audio, plots
from sep_helpers.corpora import Corpus
from sep_helpers.plots_mixtures import voices
from sep_helpers.views import COLUMNS, OPTIONAL, Cut, FrozenView, ViewError, read_csv, write_csv

CEILING = 0.999     # louder mixtures are turned down for listening
LEVELS = (-50.0, -5.0)      # dB, of the desk's faders


def picture(fig: Figure) -> str:
    """A figure as an <img>."""
    png = io.BytesIO()
    fig.savefig(png, format="png", dpi=100)
    return f'<img style="max-width:100%" src="data:image/png;base64,{_base64(png.getvalue())}">'


def sound(name: str, x: Tensor, sample_rate: int, scale: float = 1.0) -> str:
    """A waveform (time,) or (channel, time) as a labelled <audio> element, 16 bits."""
    wav = io.BytesIO()
    samples = np.round(x.numpy(force=True).T * scale * 32767).clip(-32768, 32767)
    soundfile.write(wav, samples.astype(np.int16), sample_rate, "PCM_16", format="WAV")
    return (f'<div style="display:flex;align-items:center;gap:8px"><span style="width:14em">'
            f'{html.escape(name)}</span><audio controls preload="auto" style="height:32px" '
            f'src="data:audio/wav;base64,{_base64(wav.getvalue())}"></audio></div>')


def sounds(tracks: dict[str, Tensor], sample_rate: int) -> str:
    """Several of them at one common scale: what would clip turns all of them down, and says so."""
    peak = max(x.abs().max().item() for x in tracks.values())
    scale = min(1.0, CEILING / max(peak, 1e-9))
    down = f"<div>turned down by {-20 * np.log10(scale):.1f} dB to be heard without clipping</div>"
    return "".join(sound(name, x, sample_rate, scale) for name, x in tracks.items()) + (
        down if scale < 1 else "")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


class Panel:
    """Controls above one HTML widget that `body()` fills, anew whenever a control changes."""

    def __init__(self, controls: list):
        self.shown, self.faults = ipywidgets.HTML(), ipywidgets.Output()
        self.widget = ipywidgets.VBox([*controls, self.shown, self.faults])

    def body(self) -> str:
        """The HTML to show; may raise ValueError (ViewError, CorpusError, AudioError)."""
        raise NotImplementedError

    def refresh(self, *_) -> None:
        """Show what the controls say now."""
        with self.faults:
            try:
                self.shown.value = self.body()
            except ValueError as error:
                self.shown.value = f'<p style="color:#B00020">{html.escape(str(error))}</p>'

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)


class ViewInspector(Panel):
    """A view's mixtures one by one: where each cut comes from and lands, levels, overlap, sound.

    `view` is a FrozenView, a LiveView (its first epoch) or an epoch of one; `corpus` is the one it
    is drawn from. (The lines of a live view that changes the speed do not tell it.)
    """

    def __init__(self, view, corpus: Corpus):
        view = view.epoch(0) if hasattr(view, "epoch") else view
        self.view, self.corpus = view, corpus
        self.index = ipywidgets.BoundedIntText(0, min=0, max=len(view) - 1, description="mixture")
        super().__init__([self.index])
        self.index.observe(self.refresh, "value")
        self.refresh()

    def body(self) -> str:
        item = self.view[self.index.value]
        tracks = {"mixture": item["mixture"]}
        for cut, x in zip(voices(item), item["sources"], strict=True):
            tracks[f"source {cut.source + 1}: {cut.category}"] = x
        if "noise" in item:
            tracks["noise"] = item["noise"]
        return (picture(plots.mixture_map(self.corpus, item))
                + sounds(tracks, self.corpus.sample_rate) + _lines(_table(item["cuts"])))


class SortedTable(Panel):
    """A table, sorted by the column that is chosen, the largest first or last; NaN at the end."""

    def __init__(self, table: pd.DataFrame, by: str | None = None, descending: bool = True):
        self.table = table
        self.column = ipywidgets.Dropdown(options=list(table.columns), description="sort by",
                                          value=by if by is not None else table.columns[0])
        self.descending = ipywidgets.Checkbox(descending, description="largest first")
        super().__init__([ipywidgets.HBox([self.column, self.descending])])
        for control in (self.column, self.descending):
            control.observe(self.refresh, "value")
        self.refresh()

    def body(self) -> str:
        ordered = self.table.sort_values(self.column.value, ascending=not self.descending.value,
                                         kind="stable", na_position="last")
        lines = ordered.to_html(index=False, na_rep="", float_format=lambda x: f"{x:.4g}")
        return f'<div style="overflow:auto;max-height:32em">{lines}</div>'


class MixingDesk(Panel):
    """Pick recordings, levels and places; hear the mixture, see it, and see the lines it means.

    The lines are the truth: what sounds is read back from them, as a view is. `table` holds them,
    `item()` is the mixture, `save(path)` writes the view.
    """

    def __init__(self, corpus: Corpus, n_sources: int = 2, split: str = "train",
                 mixture_id: str = "desk_0"):
        self.corpus, self.split, self.mixture_id = corpus, split, mixture_id
        self.recordings = corpus.select(split=split)
        categories = sorted(self.recordings.category.unique())
        if len(categories) < n_sources:
            raise ViewError(f"{n_sources} sources need as many categories: {corpus.folder} has "
                            f"{len(categories)} in split {split!r}")
        picks = [categories[i * len(categories) // n_sources] for i in range(n_sources)]
        self.strips = [self._strip(i, pick, categories) for i, pick in enumerate(picks)]
        super().__init__([ipywidgets.HBox(list(strip.values()), layout={"flex_flow": "row wrap"})
                          for strip in self.strips])
        self.refresh()

    def _strip(self, number: int, pick: str, categories: list[str]) -> dict:
        """The controls of one source."""
        slim = {"description_width": "70px"}
        strip = {
            "category": ipywidgets.Dropdown(options=categories, value=pick,
                                            description=f"source {number + 1}", style=slim),
            "file": ipywidgets.Dropdown(options=self._files(pick), description="file", style=slim),
            "level": ipywidgets.FloatSlider(-25.0, min=LEVELS[0], max=LEVELS[1], step=0.5,
                                            description="level (dB)", style=slim,
                                            continuous_update=False),
            "offset": ipywidgets.FloatSlider(0.0, min=0.0, max=5.0, step=0.05,
                                             description="offset (s)", style=slim,
                                             continuous_update=False)}

        def choose(change):
            with self.faults:       # the new options set the file, which refreshes
                strip["file"].options = self._files(change["new"])

        strip["category"].observe(choose, "value")
        for name in ("file", "level", "offset"):
            strip[name].observe(self.refresh, "value")
        return strip

    def _files(self, category: str) -> list[str]:
        return list(self.recordings.file[self.recordings.category == category])

    @property
    def table(self) -> pd.DataFrame:
        """The view's lines, as the controls stand: whole recordings at their levels and places."""
        samples = self.corpus.table.set_index("file").samples
        rate, cuts = self.corpus.sample_rate, []
        offsets = [round(strip["offset"].value * rate) for strip in self.strips]
        files = [strip["file"].value for strip in self.strips]
        length = max(at + int(samples[file]) for at, file in zip(offsets, files, strict=True))
        for source, (strip, at, file) in enumerate(zip(self.strips, offsets, files, strict=True)):
            gain_db = round(strip["level"].value - self.corpus.rms_db(file), 2)
            cuts.append(Cut(self.mixture_id, self.split, length, source, strip["category"].value,
                            file, 0, int(samples[file]), at, gain_db))
        return _table(cuts)

    def item(self) -> dict:
        """The mixture that the lines describe: a view's item. Raises ViewError, as a view does."""
        return FrozenView(self.corpus, self.table)[0]

    def save(self, path) -> None:
        """Write the lines as a view, and read them once to be sure."""
        write_csv(self.table, path)
        read_csv(path, self.corpus)

    def body(self) -> str:
        item = self.item()
        tracks = {"mixture": item["mixture"]}
        for cut, x in zip(item["cuts"], item["sources"], strict=True):
            tracks[f"source {cut.source + 1}: {cut.category}"] = x
        level = audio.rms_db(item["mixture"].flatten()).item()
        return (picture(plots.mixture_map(self.corpus, item, f"The mixture, at {level:.1f} dB"))
                + sounds(tracks, self.corpus.sample_rate) + _lines(self.table))


def _table(cuts: list[Cut]) -> pd.DataFrame:
    table = pd.DataFrame([vars(cut) for cut in cuts])
    return table[COLUMNS + [name for name in OPTIONAL if table[name].any()]]


def _lines(table: pd.DataFrame) -> str:
    """The lines of the CSV, to be copied."""
    text = html.escape(table.to_csv(index=False, lineterminator="\n"))
    return f'<pre class="view-lines" style="overflow-x:auto;line-height:1.3">{text}</pre>'
