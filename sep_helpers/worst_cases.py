"""The mixtures a system did worst on, each a line that opens to be heard, in one piece of HTML.

Nothing runs behind it: the sounds are inside, so it works in JupyterLab, in Colab, and in a saved
page that no kernel belongs to.
"""

import base64
import html
import io
from collections.abc import Callable

import numpy as np
import pandas as pd
import soundfile
from IPython.display import HTML
from torch import Tensor

MAX_SECONDS = 10        # of each sound: ten mixtures of five make the page large enough


def worst_cases(worst: pd.DataFrame, tracks: Callable[[str], dict[str, Tensor]], sample_rate: int,
                title: str = "The worst, and how they sound") -> HTML:
    """One line a mixture, the first one open; a click opens it and shows its sounds.

    Args:
        worst: one row a mixture, the worst first, with `mixture_id`; the other columns are shown.
        tracks: mixture_id -> {name: waveform (time,)}, all at one scale.
        sample_rate: Hz.
    """
    parts = []
    for place, row in enumerate(worst.to_dict("records")):
        facts = " · ".join(f"{html.escape(str(key).replace('_', ' '))} {_shown(value)}"
                           for key, value in row.items() if key != "mixture_id")
        parts.append(f'<details{" open" if place == 0 else ""}><summary style="cursor:pointer">'
                     f"{place + 1}. <b>{html.escape(row['mixture_id'])}</b> {facts}</summary>"
                     f"{_sounds(tracks(row['mixture_id']), sample_rate)}</details>")
    return HTML(f'<div class="worst-cases"><p><b>{html.escape(title)}</b>: click a line, then '
                f"play.</p>{''.join(parts) or '<p>none</p>'}</div>")


def _shown(value) -> str:
    return f"{value:.1f}" if isinstance(value, float) else html.escape(str(value))


def _sounds(tracks: dict[str, Tensor], sample_rate: int) -> str:
    """The sounds as labelled <audio> elements, turned down alike if one of them would clip."""
    waves = {name: x.numpy(force=True)[: MAX_SECONDS * sample_rate] for name, x in tracks.items()}
    peak = max((np.abs(x).max() for x in waves.values()), default=1.0)
    lines = "".join(
        '<div style="display:flex;align-items:center;gap:8px;margin:2px 0 2px 1.2em">'
        f'<span style="width:16em">{html.escape(name)}</span>'
        f'<audio controls preload="none" style="height:30px" src="data:audio/flac;base64,'
        f'{_flac(x / max(1.0, peak), sample_rate)}"></audio></div>' for name, x in waves.items())
    cut = any(x.shape[-1] > MAX_SECONDS * sample_rate for x in tracks.values())
    return lines + f"<div>cut to the first {MAX_SECONDS} s</div>" * cut


def _flac(wave: np.ndarray, sample_rate: int) -> str:
    """Base64 of a waveform as 16-bit FLAC, about half as large as WAV and as exact."""
    file = io.BytesIO()
    soundfile.write(file, wave, sample_rate, "PCM_16", format="FLAC")
    return base64.b64encode(file.getvalue()).decode()
