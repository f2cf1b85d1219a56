import base64
import re

import numpy as np
import pytest
import torch
from test_player import spec_of, tone

from sep_helpers.player import PlayerError
from sep_helpers.stem_player import stem_player

RATE = 8000


def stereo(left=440.0, right=550.0, **options):
    return np.stack([tone(left, **options), tone(right, **options)])


def song():
    return {"vocals": stereo(500, 510, amplitude=0.2), "drums": stereo(900, 700, amplitude=0.3),
            "bass": tone(100, amplitude=0.1)[None].repeat(2, 0), "other": tone(300)}


def spec(*args, **named) -> dict:
    shown = stem_player(*args, **named)
    shown.data = shown.data.replace("},StemPlayer)", "})")
    return spec_of(shown)


def test_the_mixture_is_left_to_the_browser_where_the_stems_add_up_to_it():
    stems = song()
    whole = sum(np.broadcast_to(stem, (2, RATE)) for stem in stems.values())
    for mixture in (None, whole, torch.tensor(whole + 1e-5)):
        said = spec(stems, RATE, mixture=mixture)
        assert said["tracks"][0]["pcm"] == [] and said["notes"] == []
        assert said["tracks"][0]["peak"] == pytest.approx(np.abs(whole).max(), rel=1e-4)


def test_a_mixture_that_the_stems_do_not_make_is_played_and_the_difference_told():
    stems = song()
    whole = sum(np.broadcast_to(stem, (2, RATE)) for stem in stems.values())
    said = spec(stems, RATE, mixture=1.1 * whole)
    assert len(said["tracks"][0]["pcm"]) == 2
    assert said["notes"] == ["The stems do not add up to the mixture: the difference is -20.8 dB "
                             "re the mixture."]


def test_stereo_stays_stereo_and_equal_channels_travel_once():
    channels = [len(track["pcm"]) for track in spec(song(), RATE)["tracks"]]
    assert channels == [0, 2, 2, 1, 1]
    words = np.frombuffer(base64.b64decode(spec(song(), RATE)["tracks"][1]["pcm"][1]), "<i2")
    np.testing.assert_allclose(words / 32767 * 0.2, song()["vocals"][1], atol=1e-5)


def test_the_levels_keep_the_mix_and_nothing_clips():
    loud = {"a": tone(amplitude=1.5), "b": tone(amplitude=0.5)}
    assert spec(loud, RATE)["plain"] == pytest.approx(-6.02, abs=0.01)
    assert spec(song(), RATE)["plain"] <= 0
    table = stem_player(song() | {"silence": np.zeros(RATE)}, RATE).data.split("<script")[0]
    assert "<td>silence</td><td>silent</td>" in table
    assert re.search(r"<td>vocals</td><td>-\d+\.\d dB</td>", table)


def test_karaoke_is_offered_where_there_are_vocals():
    assert spec(song(), RATE)["karaoke"] == 1
    assert spec({"drums": tone(), "bass": tone(90)}, RATE)["karaoke"] == 0


def test_same_input_gives_the_same_html_that_fetches_nothing():
    code = stem_player(song(), RATE, "Title").data
    assert code == stem_player(song(), RATE, "Title").data
    for word in ("http:", "https:", "fetch(", "import(", "<audio", "blob:", "Worker(", "src="):
        assert word not in code.replace('"http://www.w3.org/"', ""), word


def test_code_of_a_stem_player_is_at_most_32_kb():
    shown = stem_player(song(), RATE, "")
    audio = sum(len(text) for track in spec(song(), RATE)["tracks"] for text in track["pcm"])
    assert len(shown.data.encode()) - audio <= 32_000


@pytest.mark.parametrize("stems, options, message", [
    ({"vocals": tone()}, {}, "give two or more stems"),
    ([tone(), tone()], {}, "give two or more stems"),
    ({"a": tone(), "b": np.zeros((3, 9))}, {}, r"track 'b' has shape \(3, 9\)"),
    ({"a": tone(), "b": tone()}, {"mixture": tone(seconds=2)},
     "the mixture has 16000 samples, its stems 8000: cut them alike"),
    ({"a": tone(), "b": np.full(9, np.nan)}, {}, "track 'b' is NaN or infinite at 9 of 9"),
])
def test_bad_input_is_named_in_one_line(stems, options, message):
    with pytest.raises(PlayerError, match=message) as error:
        stem_player(stems, RATE, **options)
    assert "\n" not in str(error.value)


def test_a_rate_that_no_browser_plays_is_refused():
    with pytest.raises(PlayerError, match="sample rate 4000 Hz"):
        stem_player(song(), 4000)
