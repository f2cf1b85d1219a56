"""A/B/X player: synchronised tracks, one heard at a time, in one self-contained piece of HTML."""

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

MAX_SECONDS = 60
MAX_MEGABYTES = 24  # of audio in one player; base64 adds a third
RATES = (8000, 96000)  # Hz, what every browser's AudioContext accepts


class PlayerError(ValueError):
    """Tracks that cannot be played."""


def player(tracks: dict[str, ArrayLike], sample_rate: int, title: str = "") -> HTML:
    """Player of synchronised tracks; shows itself as the last value of a cell.

    Loudness-matched on request, switched without a gap, compared blind (A/B/X). The same input
    gives the same HTML. The audio travels inside it, as 16-bit PCM.

    Args:
        tracks: name -> waveform (time,), mono, or (channel, time), stereo; tensor or array.
            Shorter tracks are padded with silence, and the player says so.
        sample_rate: Hz, of all tracks, 8000 to 96000.
    Raises:
        PlayerError: no tracks, wrong shape, NaN, empty, or longer than 60 s.
    """
    if not isinstance(tracks, dict) or not tracks:
        raise PlayerError("nothing to play: give a dict such as {'mixture': waveform}")
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise PlayerError(f"sample rate {sample_rate} Hz: browsers play {RATES[0]} to {RATES[1]} "
                          "Hz, resample first")
    waves = {str(name): waveform(str(name), track, sample_rate) for name, track in tracks.items()}
    spec = _spec(waves, sample_rate, title)
    gains = {track["name"]: f"{track['gain']:+.1f} dB" for track in spec["tracks"]}
    return HTML(document(spec, "Gain for equal loudness", gains))


def loudness_db(wave: np.ndarray, sample_rate: int) -> float:
    """Level of wave (channel, time) in dB re full scale, pauses left out; -inf for silence.

    Mean power of the 400 ms blocks (75 % overlap) that are less than 10 dB below the mean of
    all: the gate of ITU-R BS.1770-5 without its K-weighting and its absolute threshold, so
    that a gain of g dB raises the loudness by g dB.
    """
    power = np.square(wave, dtype=np.float64).sum(axis=0)
    size = min(len(power), round(0.4 * sample_rate))
    total = np.concatenate([[0.0], np.cumsum(power)])
    starts = np.arange(0, len(power) - size + 1, max(1, size // 4))
    blocks = (total[starts + size] - total[starts]) / size
    loud = blocks[blocks >= 0.1 * blocks.mean()].mean()
    return 10 * np.log10(loud) if loud > 0 else -np.inf


def matching_gains_db(waves: list[np.ndarray], sample_rate: int) -> list[float]:
    """Gains in dB that bring waves (channel, time) to the loudness of the first audible one.

    If that would carry a peak over full scale, all gains are lowered alike. Silence gets 0 dB.
    """
    levels = np.array([loudness_db(wave, sample_rate) for wave in waves])
    audible = np.isfinite(levels)
    if not audible.any():
        return [0.0] * len(waves)
    gains = np.where(audible, levels[audible][0] - np.where(audible, levels, 0.0), 0.0)
    peaks = np.array([peak_db(wave) for wave in waves]) + gains
    return list(np.where(audible, gains - max(0.0, peaks.max()), 0.0))


def waveform(name: str, track: ArrayLike, sample_rate: int) -> np.ndarray:
    """Track as float32 (channel, time), or a PlayerError that names it."""
    if hasattr(track, "detach"):  # a tensor, perhaps on a GPU or with a gradient
        track = track.detach().cpu()
    wave = np.asarray(track, dtype=np.float32)
    if wave.ndim not in (1, 2) or (wave.ndim == 2 and wave.shape[0] not in (1, 2)):
        raise PlayerError(f"track {name!r} has shape {wave.shape}: expected (time,) or "
                          "(channel, time) with 1 or 2 channels, pass one source at a time")
    wave = np.atleast_2d(wave)
    seconds = wave.shape[1] / sample_rate
    if wave.shape[1] == 0:
        raise PlayerError(f"track {name!r} is empty: check the cut that made it")
    if seconds > MAX_SECONDS:
        raise PlayerError(f"track {name!r} lasts {seconds:.0f} s, a player holds {MAX_SECONDS} s: "
                          f"cut it with waveform[..., :{MAX_SECONDS} * sample_rate]")
    bad = np.flatnonzero(~np.isfinite(wave).all(axis=0))
    if bad.size:
        raise PlayerError(f"track {name!r} is NaN or infinite at {bad.size} of {wave.shape[1]} "
                          f"samples, the first is {bad[0]}: find what produced them")
    return wave


def together(waves: dict[str, np.ndarray], sample_rate: int) -> tuple[dict, list[str]]:
    """Waves (channel, time) padded to one length, and what has to be said about it.

    Raises PlayerError where they are too much for one player.
    """
    samples = max(wave.shape[1] for wave in waves.values())
    notes = [f"{name} is {(samples - wave.shape[1]) / sample_rate:.2f} s shorter than the longest "
             "track: padded with silence." for name, wave in waves.items()
             if wave.shape[1] < samples]
    padded = {name: np.pad(wave, ((0, 0), (0, samples - wave.shape[1])))
              for name, wave in waves.items()}
    megabytes = sum(2 * wave.size for wave in padded.values()) / 1e6
    if megabytes > MAX_MEGABYTES:
        raise PlayerError(f"{len(waves)} tracks of {samples / sample_rate:.0f} s make "
                          f"{megabytes:.0f} MB, a player holds {MAX_MEGABYTES} MB: cut them or "
                          "leave some out")
    return padded, notes


def _spec(waves: dict[str, np.ndarray], sample_rate: int, title: str) -> dict:
    """All that the browser needs to know, JSON-ready; player_sound.js reads it."""
    padded, notes = together(waves, sample_rate)
    loudest = max(peak_db(wave) for wave in padded.values())
    gains = matching_gains_db(list(padded.values()), sample_rate)
    return {
        "title": title, "rate": sample_rate, "notes": notes,
        "samples": next(iter(padded.values())).shape[1],
        "plain": round(min(0.0, -loudest), 2),  # dB for all: an estimate may exceed full scale
        "tracks": [{"name": name, "gain": round(gain, 2), **pcm(wave)}
                   for (name, wave), gain in zip(padded.items(), gains, strict=True)],
    }


def pcm(wave: np.ndarray) -> dict:
    """Peak of wave (channel, time), and its channels as base64 of 16-bit PCM that spans it."""
    peak = float(np.abs(wave).max())
    words = np.round(wave / (peak or 1) * 32767).astype("<i2")
    return {"peak": float(f"{peak:.7g}"), "silent": peak == 0,
            "pcm": [base64.b64encode(channel.tobytes()).decode() for channel in words]}


def peak_db(wave: np.ndarray) -> float:
    """Of a wave (channel, time), in dB re full scale."""
    return 20 * np.log10(max(float(np.abs(wave).max()), 1e-9))


def document(spec: dict, heading: str, lines: dict[str, str], part: str = "",
             kind: str = "Player") -> str:
    """A table for where scripts do not run, and the script that puts the player in its place.

    lines: track -> what the table says of it. part: name of the files player_<part>.js and .css
    that make another `kind` of player.
    """
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{text}</td></tr>"
                   for name, text in lines.items())
    seconds = spec["samples"] / spec["rate"]
    data = json.dumps(spec, separators=(",", ":"), sort_keys=True)
    spec_id = hashlib.sha256(data.encode()).hexdigest()[:12]
    call = (f'sepPlayer({{id:"{spec_id}",...{_inside_script(data)}}},'
            f"{_inside_script(_style(part))},{kind})")
    title = html.escape(spec["title"]) or "Player"
    return (f'<div data-sep-player="{spec_id}"><p><b>{title}</b>, {seconds:.1f} s. '
            "To listen, run this cell or trust the notebook.</p><table>"
            f"<tr><th>Track</th><th>{heading}</th></tr>{rows}</table></div>\n"
            f"<script>(()=>{{\n{_code(part)}\n{call}\n}})()</script>")


def _inside_script(text: str) -> str:
    return text.replace("<", "\\u003c")  # no "</script>" may end the script from inside


@cache
def _code(part: str) -> str:
    parts = ["_sound", "_pictures", "_dom", "_blind", "", *([f"_{part}"] if part else [])]
    return "\n".join(_squeeze(_read(f"player{part}.js"), "{}()=,;:?<>&|*") for part in parts)


@cache
def _style(part: str) -> str:
    css = _read("player.css") + (_read(f"player_{part}.css") if part else "")
    return json.dumps(_squeeze(css, "{};,>").replace(": ", ":").replace("\n", ""))


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _squeeze(code: str, marks: str) -> str:
    """Code without comments, indentation, and the blanks around marks outside of literals."""
    bare = (re.sub(r"(^| )(//|/\*).*", "", line).strip() for line in code.splitlines())
    literals = re.split(r"""("[^"]*"|`[^`]*`|/\^.+?/)""", "\n".join(filter(None, bare)))
    literals[::2] = [re.sub(f" *([{marks}]) *", r"\1", text) for text in literals[::2]]
    return "".join(literals)
