"""rooms: the sound of a shoebox is what acoustics says, and the same every time."""

import builtins

import numpy as np
import pytest

from sep_helpers import rooms
from sep_helpers.views import ViewError

ROOM = "51x42x28 0.31 25,21,15 11,30,16"
RATE = 8000


def noise(seconds=1.0):
    return np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32)


def test_rooms_are_drawn_from_the_generator_alone_and_are_rooms():
    drawn = [rooms.draw(np.random.default_rng(seed), (0.15, 0.6), 3, "direct")
             for seed in (*range(200), 0)]
    assert drawn[0] == drawn[200] and len(set(map(tuple, drawn))) == 200
    for texts in drawn:
        assert len({text.rsplit(" ", 2)[0] for text in texts}) == 1        # one room and microphone
        assert len(set(texts)) == 3
        assert all(rooms.is_room(text) and rooms.wants_direct(text) for text in texts)


@pytest.mark.parametrize("text", [
    "", "a hall", "51x42x28", ROOM.replace("11,30", "11,50"), ROOM.replace("11,30,16", "25,21,15"),
    ROOM.replace("0.31", "0.05"), ROOM.replace("0.31", "9"), ROOM + " wet", ROOM.replace("28", "0"),
    ROOM.replace("51x42", "9999x9999"),
])
def test_what_is_no_room(text):
    assert not rooms.is_room(text) and rooms.is_room(ROOM)
    with pytest.raises(ViewError, match="is no room: it has size, RT60"):
        rooms.responses(text, RATE)


def test_the_direct_sound_keeps_level_and_place():
    x = noise() * 0.1
    _, direct = rooms.play(x, ROOM, RATE)
    lag = np.correlate(direct[:RATE], x, "full").argmax() - (RATE - 1)
    assert lag == 0
    assert np.std(direct) == pytest.approx(np.std(x), rel=0.05)


def test_reflections_decay_as_fast_as_asked():
    for rt60 in (0.2, 0.35, 0.5):
        (response, begin), _ = rooms.responses(ROOM.replace("0.31", str(rt60)), RATE)
        energy = np.cumsum(response[::-1].astype(float) ** 2)[::-1]      # Schroeder (1965)
        level = 10 * np.log10(energy / energy[0])
        t20 = (np.argmax(level < -25) - np.argmax(level < -5)) / RATE
        assert 3 * t20 == pytest.approx(rt60, rel=0.3)      # Sabine's formula is that exact


def test_a_room_adds_reflections_to_the_direct_sound():
    x = np.zeros(800, np.float32)
    x[0] = 1
    wet, direct = rooms.play(x, ROOM, RATE)
    early = 8        # samples after the direct sound in which no reflection can have arrived
    # (the library takes away what is below 10 Hz, which moves all samples a little)
    np.testing.assert_allclose(wet[:early], direct[:early], atol=0.05)
    assert np.square(wet[200:]).sum() > 0.01 and len(direct) < 1000 < len(wet)
    assert np.array_equal(wet, rooms.play(x, ROOM, RATE)[0])


def test_without_the_library_one_line_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "pyroomacoustics":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    rooms.responses.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ViewError, match="pip install pyroomacoustics, or leave rt60 out"):
        rooms.responses(ROOM, RATE)
