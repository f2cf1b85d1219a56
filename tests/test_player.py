import base64
import json
import re

import numpy as np
import pytest
import torch
from IPython.display import HTML

from sep_helpers import player as module
from sep_helpers.player import PlayerError, loudness_db, matching_gains_db, player

RATE = 8000


def tone(hertz=440.0, seconds=1.0, amplitude=0.5, rate=RATE):
    time = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def spec_of(shown: HTML) -> dict:
    """What the browser is handed: the first argument of the call at the script's end."""
    start = shown.data.index("...", shown.data.rindex("\nsepPlayer({")) + 3
    return json.JSONDecoder().raw_decode(shown.data, start)[0]


def samples(track: dict) -> np.ndarray:
    words = [np.frombuffer(base64.b64decode(text), "<i2") for text in track["pcm"]]
    return np.stack(words) / 32767 * track["peak"]


def test_audio_survives_as_16_bit_whatever_its_scale():
    waves = {"unit": tone(), "tiny": 1e-4 * tone(300), "estimate": torch.tensor(7.5 * tone(500))}
    for track, wave in zip(spec_of(player(waves, RATE))["tracks"], waves.values(), strict=True):
        wave = np.asarray(wave)
        assert np.abs(samples(track)[0] - wave).max() <= 0.51 / 32767 * np.abs(wave).max()


def test_tensors_with_gradients_and_stereo_are_taken():
    stereo = torch.tensor(np.stack([tone(300), tone(400)]), requires_grad=True)
    track, = spec_of(player({"stereo": stereo}, RATE))["tracks"]
    np.testing.assert_allclose(samples(track), stereo.detach().numpy(), atol=2e-5)


def test_same_input_gives_the_same_html_and_other_input_another_id():
    first, again = (player({"a": tone()}, RATE, "title").data for _ in range(2))
    other = player({"a": tone(441)}, RATE, "title").data
    ids = [re.search(r'data-sep-player="(\w+)"', text)[1] for text in (first, again, other)]
    assert first == again and isinstance(player({"a": tone()}, RATE), HTML)
    assert ids[0] == ids[1] != ids[2]


def test_code_of_a_player_is_at_most_25_kb():
    shown = player({"a": tone(), "b": tone(300)}, RATE, "")
    audio = sum(len(text) for track in spec_of(shown)["tracks"] for text in track["pcm"])
    assert len(shown.data.encode()) - audio <= 25_000


def test_nothing_is_fetched():
    code = player({"a": tone()}, RATE).data
    for word in ("http:", "https:", "fetch(", "import(", "<audio", "blob:", "Worker(", "src="):
        assert word not in code.replace('"http://www.w3.org/"', ""), word


def test_names_and_titles_cannot_break_out():
    nasty = '</script><img src=x onerror="alert(1)">'
    data = player({nasty: tone()}, RATE, nasty).data
    assert data.count("</script>") == 1 and data.endswith("</script>")
    assert "<img" not in data
    assert spec_of(player({nasty: tone()}, RATE, nasty))["tracks"][0]["name"] == nasty


def test_without_scripts_a_table_lists_the_tracks():
    shown = player({"mixture": tone(), "estimate": 2 * tone()}, RATE, "Pair")
    before = shown.data.split("<script")[0]
    assert "Pair" in before and "1.0 s" in before
    assert "<td>mixture</td><td>+0.0 dB</td>" in before
    assert "<td>estimate</td><td>-6.0 dB</td>" in before


def test_shorter_tracks_are_padded_and_the_player_says_so():
    spec = spec_of(player({"long": tone(seconds=2), "short": tone(seconds=1.5)}, RATE))
    assert spec["samples"] == 2 * RATE
    assert spec["notes"] == ["short is 0.50 s shorter than the longest track: padded with silence."]
    assert not samples(spec["tracks"][1])[0, int(1.5 * RATE):].any()


def test_loudness_of_a_steady_sine_is_its_power():
    expected = 10 * np.log10(0.5**2 / 2)
    assert loudness_db(tone(seconds=3)[None], RATE) == pytest.approx(expected, abs=0.01)
    assert loudness_db(np.zeros((1, RATE)), RATE) == -np.inf


def test_loudness_leaves_pauses_out_and_follows_gain():
    speech = tone(seconds=2)[None]
    paused = np.pad(speech, ((0, 0), (0, 6 * RATE)))
    level = loudness_db(paused, RATE)
    assert level == pytest.approx(loudness_db(speech, RATE), abs=0.6)
    assert level - 10 * np.log10(np.mean(paused**2)) > 5  # plain RMS is 6 dB too low
    assert loudness_db(1e-4 * paused, RATE) == pytest.approx(level - 80)


def test_gains_match_the_first_audible_track_and_spare_silence():
    waves = [np.zeros((1, RATE), np.float32), 0.1 * tone()[None], 0.2 * tone(700)[None]]
    np.testing.assert_allclose(matching_gains_db(waves, RATE), [0, 0, -6.02], atol=0.01)


def test_no_gain_carries_a_peak_over_full_scale():
    rng = np.random.default_rng(0)
    clicks = np.where(rng.random(RATE) < 0.01, 0.3, 0.003).astype(np.float32)
    waves = [tone(amplitude=0.9)[None], clicks[None]]
    gains = matching_gains_db(waves, RATE)
    loud = [10 ** (gain / 20) * wave for gain, wave in zip(gains, waves, strict=True)]
    assert max(np.abs(wave).max() for wave in loud) == pytest.approx(1, abs=1e-4)
    levels = [loudness_db(wave, RATE) for wave in loud]
    assert levels[0] == pytest.approx(levels[1], abs=1e-6)


def test_unmatched_tracks_keep_their_levels_unless_one_exceeds_full_scale():
    assert spec_of(player({"a": tone()}, RATE))["plain"] == 0
    assert spec_of(player({"a": tone(), "b": 8 * tone()}, RATE))["plain"] == pytest.approx(-12.04)


@pytest.mark.parametrize("tracks, rate, message", [
    ({}, RATE, "nothing to play: give a dict"),
    ([tone()], RATE, "nothing to play: give a dict"),
    ({"a": tone()}, 4000, r"sample rate 4000 Hz: browsers play 8000 to 96000 Hz, resample"),
    ({"a": np.zeros((3, RATE))}, RATE, r"track 'a' has shape \(3, 8000\): expected \(time,\)"),
    ({"a": tone()[:, None]}, RATE, r"track 'a' has shape \(8000, 1\)"),
    ({"a": np.float32(1)}, RATE, r"track 'a' has shape \(\)"),
    ({"a": np.zeros((1, 2, RATE))}, RATE, "pass one source at a time"),
    ({"a": tone()[:0]}, RATE, "track 'a' is empty"),
    ({"a": tone(), "b": np.where(np.arange(9) == 5, np.nan, 0)}, RATE,
     "track 'b' is NaN or infinite at 1 of 9 samples, the first is 5"),
    ({"a": np.array([0, np.inf])}, RATE, "NaN or infinite at 1 of 2 samples"),
    ({"long": np.zeros(61 * RATE)}, RATE,
     r"track 'long' lasts 61 s, a player holds 60 s: cut it with waveform\[..., :60 \* "),
    ({str(i): np.zeros(60 * 48000) for i in range(5)}, 48000,
     "5 tracks of 60 s make 29 MB, a player holds 24 MB: cut them"),
])
def test_bad_input_is_named_in_one_line(tracks, rate, message):
    with pytest.raises(PlayerError, match=message) as error:
        player(tracks, rate)
    assert "\n" not in str(error.value)


def test_colours_grow_lighter_evenly():
    stops = re.search(r'STOPS = "([^"]+)"', module._read("player_pictures.js"))[1].split()
    rgb = np.array([[int(stop[i:i + 2], 16) / 255 for i in (0, 2, 4)] for stop in stops])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)
    assert lightness[0] < 5 and lightness[-1] > 95
    assert np.diff(lightness).min() > 5 and np.diff(lightness).max() < 20
