"""Simulated rooms: a shoebox, a microphone, a source in it, and how it sounds (image sources).

A room is one text in the view's CSV, lengths in decimetres, the reverberation time in seconds:

    51x42x28 0.31 25,21,15 11,30,16          size, RT60, microphone, source
    51x42x28 0.31 25,21,15 11,30,16 direct   the source to be separated is the direct sound alone

Allen and Berkley, "Image method for efficiently simulating small-room acoustics" (1979), as
pyroomacoustics does it. That library is optional: `pip install pyroomacoustics`.
"""

import re
from functools import lru_cache

import numpy as np
from scipy.signal import fftconvolve

from sep_helpers.recipes import ViewError

SIZE = ((40, 80), (35, 60), (26, 35))   # dm: length, width, height of the rooms that are drawn
WALL, APART = 5, 5                      # dm: nothing stands nearer to a wall, or to the microphone
EAR = (10, 19)                          # dm: heights of mouths and microphones
TEXT = re.compile(r"(\d+)x(\d+)x(\d+) (\d?\.\d+|\d) (\d+),(\d+),(\d+) (\d+),(\d+),(\d+)( direct)?")


def draw(rng: np.random.Generator, rt60: tuple[float, float], n: int, target: str) -> list[str]:
    """One room with a microphone and `n` sources: the text of each source."""
    size = [int(rng.integers(low, high + 1)) for low, high in SIZE]
    time = round(rng.uniform(*rt60), 2)
    microphone, places = _place(rng, size), []
    while len(places) < n:
        place = _place(rng, size)
        if np.linalg.norm(np.subtract(place, microphone)) >= APART and place not in places:
            places.append(place)
    head = f"{'x'.join(map(str, size))} {time:g} {','.join(map(str, microphone))}"
    tail = " direct" if target == "direct" else ""
    return [f"{head} {','.join(map(str, place))}{tail}" for place in places]


def _place(rng: np.random.Generator, size: list[int]) -> list[int]:
    flat = [int(rng.integers(WALL, side - WALL + 1)) for side in size[:2]]
    return [*flat, int(rng.integers(EAR[0], EAR[1] + 1))]


def is_room(text: str) -> bool:
    """Is this the text of a room in which source and microphone stand apart, inside?"""
    match = TEXT.fullmatch(text)
    if not match:
        return False
    *size, rt60, mx, my, mz, sx, sy, sz = map(float, match.groups()[:-1])
    places = np.array([[mx, my, mz], [sx, sy, sz]])
    inside = (places > 0).all() and (places < size).all() and max(size) <= 500
    dull = 0.161 * np.prod(size) / 10 / (2 * (size[0] * size[1] + size[0] * size[2]
                                              + size[1] * size[2]))      # RT60 if walls took all
    return bool(inside and (places[0] != places[1]).any() and dull <= rt60 <= 1)


def wants_direct(text: str) -> bool:
    """Is the source to be separated the direct sound alone?"""
    return text.endswith(" direct")


def play(x: np.ndarray, text: str, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """A dry source (time,) at the microphone: (with all reflections, its direct sound alone).

    Both (time + tail of the room). The direct sound has the level and the beginning of `x`: the
    way to the microphone takes no time and no energy, so a recipe's levels hold for it.
    """
    return tuple(fftconvolve(x, response)[begin:].astype(np.float32) for response, begin
                 in responses(text, sample_rate))


@lru_cache(maxsize=1024)
def responses(text: str, sample_rate: int) -> tuple:
    """((impulse response, its sample 0) of the room, the same of its direct sound)."""
    if not is_room(text):
        raise ViewError(f"room {text!r} is no room: it has size, RT60, microphone and source, as in"
                        " '51x42x28 0.31 25,21,15 11,30,16'")
    pra = _library()
    values = [float(value) for value in TEXT.fullmatch(text).groups()[:-1]]
    size, rt60 = np.array(values[:3]) / 10, values[3]
    microphone, source = np.array(values[4:7]) / 10, np.array(values[7:]) / 10
    absorption, order = pra.inverse_sabine(rt60, size)
    distance = float(np.linalg.norm(source - microphone))
    half = pra.constants.get("frac_delay_length") // 2      # the filters look ahead by that much
    begin = half + round(distance / pra.constants.get("c") * sample_rate)
    found = []
    for reflections in (order, 0):
        room = pra.ShoeBox(size, fs=sample_rate, materials=pra.Material(absorption),
                           max_order=reflections)
        room.add_source(source)
        room.add_microphone(microphone)
        room.compute_rir()
        direct = 1 / distance                   # what is left of the amplitude on the way
        found.append((np.asarray(room.rir[0][0], np.float32) / np.float32(direct), begin))
    return tuple(found)


def _library():
    try:
        import pyroomacoustics
    except ImportError:
        raise ViewError("rooms need the library pyroomacoustics: pip install pyroomacoustics, or "
                        "leave rt60 out of the recipe") from None
    return pyroomacoustics
