"""separation_pictures: the loudest part of what lies in files, drawn."""

import numpy as np
import pytest
import soundfile

from sep_helpers.separation_pictures import draw, excerpt

RATE = 4000


def outputs(folder, seconds, loud_at=None):
    paths = []
    for k in range(2):
        wave = 0.01 * np.random.default_rng(k).standard_normal((round(seconds * RATE), 2))
        if loud_at is not None:
            wave[loud_at * RATE:(loud_at + 2) * RATE] *= 20
        paths.append(folder / f"x_{k}.wav")
        soundfile.write(paths[-1], wave, RATE)
    return paths


def test_the_loudest_part_of_a_long_recording(tmp_path):
    paths = outputs(tmp_path, 30, loud_at=21)
    waves, rate, start = excerpt(paths, 5)
    assert waves.shape == (2, 5 * RATE) and rate == RATE and 18 <= start <= 21
    whole = soundfile.read(paths[1])[0].mean(1)
    assert np.allclose(waves[1], whole[int(start * RATE):int(start * RATE) + 5 * RATE], atol=1e-4)


@pytest.mark.parametrize("seconds", [0.01, 1, 16])
def test_pictures_of_any_length(tmp_path, seconds):
    paths = outputs(tmp_path, seconds)
    _, _, start = excerpt(paths)
    assert (start is None) == (seconds <= 15)
    drawn = draw(paths, ["a", "b"], "x")
    assert [path.name for path in drawn] == ["x_spectrograms.png", "x_masks.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_music_is_one_picture(tmp_path):
    drawn = draw(outputs(tmp_path, 1), ["drums", "bass"], "x", music=True)
    assert [path.name for path in drawn] == ["x_stems.png"] and drawn[0].stat().st_size > 10_000
