"""Spectrograms as HTML in a few milliseconds, for what is drawn anew with every move of a slider.

Matplotlib lays out its axes each time. Here the picture is a PNG with a palette, written by hand
(W3C, "PNG specification", 2003), and the axes are a little SVG around it. Bins stand where they do
in `plots`: each centre at its time and frequency.
"""

import base64
import html
import math
import struct
import zlib
from functools import lru_cache

import matplotlib
import numpy as np
import torch
from torch import Tensor

WIDTH, HEIGHT = 640, 150                        # of the picture in an SVG, in its own units
LEFT, RIGHT, TOP, BOTTOM = 46, 84, 22, 34       # room for labels and the colour bar
FINEST = (256, 960)                             # rows and columns of a PNG at most


def spectrogram(values: Tensor, sample_rate: int, hop: int, title: str, scale: tuple[float, float],
                colours: str, unit: str, peaks: bool = True) -> str:
    """(freq, frame) as an SVG with axes in s and kHz, and a colour bar of the scale (low, high)."""
    freqs, frames = values.shape
    seconds, khz = max(1, frames - 1) * hop / sample_rate, sample_rate / 2000
    df = khz / max(1, freqs - 1)
    dt = hop / sample_rate
    picture = _image(png(values, *scale, colours, peaks), -dt / 2, -df / 2, frames * dt, freqs * df)
    inner = (f'<svg x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" preserveAspectRatio='
             f'"none" viewBox="0 0 {seconds:.6g} {khz:.6g}">{picture}</svg>')
    x = [(LEFT + WIDTH * t / seconds, f"{t:g}") for t in ticks(seconds)]
    y = [(TOP + HEIGHT * (1 - f / khz), f"{f:g}") for f in ticks(khz, 4)]
    return (f'<svg viewBox="0 0 {LEFT + WIDTH + RIGHT} {TOP + HEIGHT + BOTTOM}" '
            'style="max-width:860px;width:100%;display:block" font-size="11" '
            'font-family="sans-serif" fill="currentColor">'
            + _text(LEFT, TOP - 7, title, 'font-weight="bold" font-size="12"') + inner
            + "".join(_text(at, TOP + HEIGHT + 14, label, 'text-anchor="middle"')
                      + _line(at, TOP + HEIGHT, 0, 3) for at, label in x)
            + "".join(_text(LEFT - 6, at + 4, label, 'text-anchor="end"') + _line(LEFT, at, -3, 0)
                      for at, label in y)
            + _text(LEFT + WIDTH / 2, TOP + HEIGHT + 29, "time (s)", 'text-anchor="middle"')
            + _text(0, 0, "kHz", f'transform="translate(11 {TOP + HEIGHT / 2}) rotate(-90)" '
                                 'text-anchor="middle"')
            + _colour_bar(scale, colours, unit) + "</svg>")


def png(values: Tensor, low: float, high: float, colours: str, peaks: bool = True) -> bytes:
    """(freq, frame) as a PNG, the first row at the bottom; low and high end the map of colours.

    A picture finer than FINEST shows the largest value of each patch or, without `peaks`, the mean.
    """
    fine = torch.nan_to_num(values.detach().float(), low, high, low)[None]
    size = [min(n, most) for n, most in zip(values.shape, FINEST, strict=True)]
    pool = torch.nn.functional.adaptive_max_pool2d if peaks else \
        torch.nn.functional.adaptive_avg_pool2d
    fine = pool(fine, size)[0]
    index = ((fine - low) * (255 / ((high - low) or 1))).round().clamp(0, 255)
    rows, columns = size
    lines = np.zeros((rows, columns + 1), np.uint8)             # each begins with its filter: none
    lines[:, 1:] = index.flip(0).numpy(force=True)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)      # 8 bits, palette
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"PLTE", _palette(colours))
            + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 1)) + _chunk(b"IEND", b""))


def ticks(end: float, most: int = 8) -> list[float]:
    """Round numbers from 0 to `end`: steps of 1, 2 or 5 times a power of ten."""
    rough = max(end, 1e-9) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(s for s in (1, 2, 5, 10) if s * power >= rough) * power
    return [round(k * step, 9) for k in range(int(end / step + 1e-6) + 1)]


@lru_cache
def _palette(colours: str) -> bytes:
    return matplotlib.colormaps[colours](np.arange(256), bytes=True)[:, :3].tobytes()


def _chunk(name: bytes, content: bytes) -> bytes:
    return (struct.pack(">I", len(content)) + name + content
            + struct.pack(">I", zlib.crc32(name + content)))


def _image(content: bytes, x: float, y: float, width: float, height: float) -> str:
    data = base64.b64encode(content).decode()
    return (f'<image x="{x:.6g}" y="{y:.6g}" width="{width:.6g}" height="{height:.6g}" '
            f'preserveAspectRatio="none" style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/>')


def _text(x: float, y: float, text: str, how: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {how}>{html.escape(text)}</text>'


def _line(x: float, y: float, dx: float, dy: float) -> str:
    return f'<path d="M{x:.1f} {y:.1f}l{dx} {dy}" stroke="currentColor"/>'


def _colour_bar(scale: tuple[float, float], colours: str, unit: str) -> str:
    left = LEFT + WIDTH + 10
    ramp = png(torch.linspace(0, 1, 64)[:, None], 0, 1, colours)
    ends = ((TOP + 9, scale[1]), (TOP + HEIGHT / 2 + 4, sum(scale) / 2), (TOP + HEIGHT, scale[0]))
    return (_image(ramp, left, TOP, 10, HEIGHT)
            + "".join(_text(left + 15, y, f"{value:.2g}" if abs(value) < 1 else f"{value:.0f}")
                      for y, value in ends)
            + _text(left, TOP - 7, unit, 'font-size="10"'))
