"""The mask playground: turn an ideal mask's knobs; see, hear and measure what it does, live.

Made of the true sources, as all oracles are: what is played with is the kind of mask, not a
system. Works with ipywidgets 7.7 and 8.
"""

import html
import math
import time

import ipywidgets
import torch
from torch import Tensor

from sep_helpers import losses, masks, quick_pictures
from sep_helpers.plots_style import LEVELS, SHARES
from sep_helpers.stft import istft, stft
from sep_helpers.widgets import Panel, sounds

WINDOWS = (32, 64, 128, 256, 512, 1024, 2048, 4096)     # samples; the hop is a quarter
EXPONENTS = (0.25, 0.5, 1, 1.5, 2, 3, 4, 8, 16, math.inf)
KNOWN = {1: "1: IRM", 2: "2: WFM", math.inf: "∞: IBM"}
RANGE_DB = 70       # below the mixture's loudest bin, a picture is black
SHORTEST = 0.05     # s


class MaskPlayground(Panel):
    """Sources (source, time), named, and a mask for one of them, with its knobs.

    The mask is |S_i|^p / sum_j |S_j|^p with the exponent p (`masks.power`); what lies at the
    threshold or below is set to 0, and what is above it to 1 where the mask is binary
    (`masks.cut`); then it multiplies the mixture's spectrogram. The level makes the chosen source
    louder or softer than it came, before the mixing. `state()` is what the knobs say, `estimate()`
    what comes out. Raises ValueError for other shapes, and for less than 0.05 s.
    """

    def __init__(self, sources: dict[str, Tensor], sample_rate: int):
        self.names, self.sample_rate = list(sources), sample_rate
        shapes = {tuple(x.shape) for x in sources.values()}
        if len(sources) < 2 or len(shapes) != 1 or len(min(shapes)) != 1:
            raise ValueError(f"the playground mixes two or more waveforms (time,) of one length, "
                             f"not {', '.join(map(str, sorted(shapes))) or 'none'}: cut them first")
        if min(shapes)[0] < SHORTEST * sample_rate:
            raise ValueError(f"{min(shapes)[0]} samples are too short to see or hear: give "
                             f"{SHORTEST:g} s or more")
        self.sources = torch.stack([x.detach().float().cpu() for x in sources.values()])
        self.best = {}                  # (source, level) -> the highest SI-SDRi so far, in dB
        self.milliseconds = math.nan    # that the last picture took, sound and all
        self.knobs = self._knobs()
        knobs = list(self.knobs.values())
        super().__init__([ipywidgets.HBox(part, layout={"flex_flow": "row wrap"})
                          for part in (knobs[:3], knobs[3:5], knobs[5:])])
        self.knobs["binary"].observe(self._give_threshold, "value")
        for knob in knobs:
            knob.observe(self.refresh, "value")
        self.refresh()

    def _knobs(self) -> dict:
        slim = {"style": {"description_width": "90px"}}
        windows = [(f"{1000 * n / self.sample_rate:g} ms", n) for n in WINDOWS]
        exponents = [(KNOWN.get(p, f"{p:g}"), p) for p in EXPONENTS]
        return {
            "source": ipywidgets.Dropdown(options=[(n, i) for i, n in enumerate(self.names)],
                                          value=0, description="source", **slim),
            "window": ipywidgets.SelectionSlider(options=windows, value=256,
                                                 description="window", **slim),
            "exponent": ipywidgets.SelectionSlider(options=exponents, value=2,
                                                   description="exponent p", **slim),
            "threshold": ipywidgets.FloatSlider(0.0, min=0.0, max=0.95, step=0.05,
                                                description="threshold", **slim),
            "level": ipywidgets.FloatSlider(0.0, min=-20.0, max=20.0, step=1.0,
                                            description="level (dB)", **slim),
            "binary": ipywidgets.Checkbox(False, description="binary", indent=False),
            "true_phase": ipywidgets.Checkbox(False, description="the true phase", indent=False),
            "play": ipywidgets.Checkbox(False, description="play at once", indent=False)}

    def _give_threshold(self, change: dict) -> None:
        """A binary mask without a threshold would let everything pass: half is the IBM's."""
        if change["new"] and not self.knobs["threshold"].value:
            self.knobs["threshold"].value = 0.5

    def state(self) -> dict:
        """The knobs' values by name."""
        return {name: knob.value for name, knob in self.knobs.items()}

    def estimate(self) -> dict:
        """What the knobs make: "mixture", "source", "estimate" (time,), "Y", "M", "E" (freq,
        frame) of the mixture, mask and estimate, "si_sdr" of mixture and estimate in dB.
        """
        knobs = self.state()
        gains = torch.ones(len(self.sources), 1)
        gains[knobs["source"]] = 10 ** (knobs["level"] / 20)
        sources = gains * self.sources
        mixture, source = sources.sum(0), sources[knobs["source"]]
        n_fft, length = knobs["window"], len(mixture)
        S = stft(sources, n_fft, n_fft // 4)
        Y = S.sum(0)
        M = masks.cut(masks.power(S, knobs["exponent"]), knobs["threshold"], knobs["binary"])
        M = M[knobs["source"]]
        E = torch.polar(M * Y.abs(), S[knobs["source"]].angle()) if knobs["true_phase"] else M * Y
        estimate = istft(E, length, n_fft, n_fft // 4)
        figures = losses.si_snr(torch.stack([mixture, estimate]), source).tolist()
        return {"mixture": mixture, "source": source, "estimate": estimate, "Y": Y, "M": M, "E": E,
                "si_sdr": figures}

    def body(self) -> str:
        started = time.perf_counter()
        made = self.estimate()
        shown = self._pictures(made) + self._sounds(made)
        self.milliseconds = 1000 * (time.perf_counter() - started)
        return self._verdict(made) + shown

    def _verdict(self, made: dict) -> str:
        name = html.escape(self.names[self.knobs["source"].value])
        if not made["source"].any():
            return f"<p><b>{name} is silent</b>: of silence there is no SI-SDR.</p>"
        before, after = made["si_sdr"]
        gain = after - before
        game = self.knobs["source"].value, self.knobs["level"].value
        if not self.knobs["true_phase"].value:      # that would be cheating twice
            self.best[game] = max(self.best.get(game, gain), gain)
        best = f", the best so far {self.best[game]:+.1f} dB" if game in self.best else ""
        return (f'<p style="margin:4px 0"><b>{name}: {before:.1f} → {after:.1f} dB SI-SDR, '
                f'<span class="gain">{gain:+.1f}</span> dB gained</b>{best}</p>')

    def _pictures(self, made: dict) -> str:
        n_fft = self.knobs["window"].value
        level = {name: 20 * torch.log10(made[name].abs() / (n_fft / 4) + 1e-8) for name in "YE"}
        top = math.ceil(max(level["Y"].max().item(), RANGE_DB - 160))
        scale = (top - RANGE_DB, top)
        rate, hop = self.sample_rate, n_fft // 4
        draw = quick_pictures.spectrogram
        return (draw(level["Y"], rate, hop, "The mixture", scale, LEVELS, "dB")
                + draw(made["M"], rate, hop, "The mask", (0.0, 1.0), SHARES, "share", False)
                + draw(level["E"], rate, hop, "The masked mixture", scale, LEVELS, "dB"))

    def _sounds(self, made: dict) -> str:
        offered = sounds({name: made[name] for name in ("estimate", "source", "mixture")},
                         self.sample_rate)
        return offered.replace("<audio ", "<audio autoplay ", 1) if self.knobs["play"].value \
            else offered
