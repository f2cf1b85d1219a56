"""assets: the embedded sounds and music are whole, honest, and what their scripts render."""
import hashlib
import importlib.util
import shutil
import subprocess
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from sep_helpers import corpora, views

ASSETS = Path(__file__).parents[1] / "assets"
SPLITS = ["train", "val", "test"]


def script(name):
    spec = importlib.util.spec_from_file_location(name, ASSETS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sounds():
    return script("render_sounds")


@pytest.fixture(scope="module")
def music():
    return script("render_music")


def table(folder):
    return pd.read_csv(ASSETS / folder / "manifest.csv")


def samples(folder, file):
    """int16 (time,) or (time, channel)."""
    return soundfile.read(ASSETS / folder / file, dtype="int16")[0]


def test_everything_embedded_stays_small():
    sizes = {name: sum(f.stat().st_size for f in (ASSETS / name).rglob("*") if f.is_file())
             for name in ("sounds", "music", "")}
    assert sizes["sounds"] + sizes["music"] < 8_000_000
    assert sizes[""] < 25_000_000


@pytest.mark.parametrize("folder, rate, channels", [("sounds", 8000, 1), ("music", 22050, 2)])
def test_the_manifests_list_what_is_there(folder, rate, channels):
    rows = table(folder)
    on_disk = {path.relative_to(ASSETS / folder).as_posix()
               for path in (ASSETS / folder).rglob("*.flac")}
    assert on_disk == set(rows.file) and set(rows.split) == set(SPLITS)
    assert not rows.sha256.duplicated().any()
    for row in rows.itertuples():
        info, x = soundfile.info(ASSETS / folder / row.file), samples(folder, row.file)
        assert (info.samplerate, info.channels, info.subtype) == (rate, channels, "PCM_16")
        assert len(x) == row.samples == round(row.seconds * rate)
        assert hashlib.sha256(x.astype("<i2").tobytes()).hexdigest() == row.sha256, row.file
        assert np.abs(x.astype(int)).max() < 0.95 * 32768, f"{row.file} is clipped"
        assert 20 * np.log10(x.std() / 32768) > -36, f"{row.file} is silent"


# --- sounds ----------------------------------------------------------------------------------


def test_the_splits_share_the_categories_and_not_the_files(sounds):
    rows = table("sounds")
    assert list(rows.category.unique()) == list(sounds.CATEGORIES) and len(sounds.CATEGORIES) >= 10
    counts = rows.groupby(["category", "split"]).size().unstack()[SPLITS]
    assert (counts == [6, 2, 2]).all(axis=None)
    assert (rows.file.str.split("/").str[0] == rows.category).all()
    assert rows.seconds.between(2, 4).all()


def test_categories_are_told_apart(sounds):
    rows = table("sounds")
    assert (sounds.classify(ASSETS / "sounds", rows) == rows.category).mean() > 0.85
    # and the classifier can fail: with shuffled names it guesses (1 in 12)
    shuffled = rows.assign(category=np.random.default_rng(0).permutation(rows.category))
    assert (sounds.classify(ASSETS / "sounds", shuffled) == shuffled.category).mean() < 0.3


def test_clips_of_a_category_differ():
    for category, rows in table("sounds").groupby("category"):
        heads = np.stack([samples("sounds", file)[:16000] for file in rows.file]).astype(float)
        likeness = np.corrcoef(heads) - np.eye(len(heads))
        assert np.abs(likeness).max() < 0.6, category


@pytest.mark.parametrize("number", [0, 9])
def test_the_script_renders_the_same_sounds_again(sounds, number):
    for category in sounds.CATEGORIES:
        again = sounds.clip(category, number).astype(int)
        stored = samples("sounds", f"{category}/{number:02d}.flac")
        # another processor's sine may differ in its last bit, which can turn a rounding
        difference = np.abs(again - stored)
        assert difference.max() <= sounds.STEP and (difference > 0).mean() < 1e-3, category


# --- music -----------------------------------------------------------------------------------


def song(music, stem):
    """The parts put together: float (time, channel)."""
    return np.concatenate([samples("music", f"{track}/{stem}.flac")
                           for track, _, _ in music.PARTS]) / 32768


def test_four_stems_for_each_part(music):
    rows = table("music")
    for (track, split, bars), (name, stems) in zip(music.PARTS, rows.groupby("track", sort=False),
                                                   strict=True):
        assert name == track and set(stems.split) == {split}
        assert sorted(stems.stem) == sorted(music.LEVELS)
        assert set(stems.samples) == {bars * music.BAR}
    assert 20 < rows.drop_duplicates("track").seconds.sum() < 30


def test_the_sum_of_the_stems_does_not_clip(music):
    mixture = sum(song(music, stem) for stem in music.LEVELS)
    assert 0.7 < np.abs(mixture).max() < 0.95
    levels = [20 * np.log10(song(music, stem).std()) for stem in music.LEVELS]
    assert max(levels) - min(levels) < 8


def test_the_stems_are_stereo_and_of_one_song(music):
    for stem in music.LEVELS:
        left, right = song(music, stem).T
        assert 10 ** (-40 / 20) < (left - right).std() / left.std() < 1, stem


def test_the_singer_is_in_tune(music):
    """The pitch that is heard in the middle of each note is the note of the score."""
    voice = song(music, "vocals").mean(1).astype(np.float32)
    pitch = librosa.yin(voice, fmin=150, fmax=700, sr=music.RATE, frame_length=2048, hop_length=512)
    beat, errors = 0.0, []
    for note, beats, _ in music.MELODY:
        if note:
            middle = round((beat + beats / 2) * music.BEAT * music.RATE / 512)
            errors.append(abs(np.median(librosa.hz_to_midi(pitch[middle - 2:middle + 3])) - note))
        beat += beats
    assert beat == 4 * music.BARS and len(errors) > 30
    assert max(errors) < 0.5, "half a semitone"


def test_the_bass_plays_the_roots(music):
    bass = song(music, "bass").mean(1)
    for bar, chord in enumerate(music.PROGRESSION):
        first = bass[bar * music.BAR + 4000:][:music.BAR // 4]
        power = np.abs(np.fft.rfft(first * np.hanning(len(first)), 2**17))**2
        hertz = np.fft.rfftfreq(2**17, 1 / music.RATE)
        expected = librosa.midi_to_hz(music.CHORDS[chord][0])
        near = sum(power[np.abs(hertz - k * expected) < 5].sum() for k in range(1, 12))
        assert near > 0.8 * power[hertz > 20].sum(), f"bar {bar + 1}, {chord}"


def test_midi_numbers_of_variable_length(music):
    # the examples of the Standard MIDI File specification
    for number, coded in {0: "00", 0x40: "40", 0x7F: "7F", 0x80: "8100", 0x2000: "C000",
                          0x3FFF: "FF7F", 0x100000: "C08000", 0x0FFFFFFF: "FFFFFF7F"}.items():
        assert music._varying(number) == bytes.fromhex(coded)


def test_the_script_renders_the_same_music_again(music):
    if not shutil.which("fluidsynth") or not music.FONT.exists():
        pytest.skip("needs fluidsynth and the FluidR3 GM sound font")
    version = subprocess.run(["fluidsynth", "--version"], text=True, capture_output=True).stdout
    if "version 2.3.1" not in version:
        pytest.skip("the music was rendered with fluidsynth 2.3.1")
    for stem, again in music.stems().items():
        stored = np.concatenate([samples("music", f"{track}/{stem}.flac")
                                 for track, _, _ in music.PARTS])
        difference = np.abs(again.T.astype(int) - stored)
        assert difference.max() <= music.STEP and (difference > 0).mean() < 1e-3, stem


def test_the_script_names_what_is_missing(music, monkeypatch):
    monkeypatch.setattr(music.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="missing fluidsynth .*: sudo apt-get install fluidsynth"):
        music.render()


# --- recipes ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded():
    """Each embedded corpus as the recipes of its folder in assets/views want it."""
    music = corpora.embedded("music", sample_rate=22050, channels=2)
    return {"voices": corpora.embedded(), "sounds": corpora.embedded("sounds"), "music": music}


RECIPES = sorted(path.relative_to(ASSETS / "views").as_posix()
                 for path in (ASSETS / "views").rglob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_draws(embedded, name):
    recipe = views.Recipe.load(ASSETS / "views" / name)
    if recipe.rt60:
        pytest.importorskip("pyroomacoustics", reason="rooms need pyroomacoustics")
    assert recipe.name == Path(name).stem
    corpus = embedded["voices" if "/" not in name else name.split("/")[0]]
    corpus = views.split_by_files(corpus, recipe.files)
    noise = embedded["sounds"] if recipe.noise_snr_db else None
    epoch = views.LiveView(corpus, recipe, noise=noise).epoch(0)
    for index in 0, 1, recipe.n_mixtures - 1:
        item = epoch[index]
        assert item["sources"].shape[0] == recipe.n_sources
        total = item["sources"].sum(0) + item.get("noise", 0)
        assert torch.allclose(item["mixture"], total, atol=1e-6)
        assert item["mixture"].isfinite().all() and item["mixture"].abs().max() > 0.01
    assert views.LiveView(corpus, recipe, noise=noise).epoch(0)[1]["cuts"] == epoch[1]["cuts"]


def test_the_recipes_are_of_all_kinds():
    recipes = [views.Recipe.load(ASSETS / "views" / name) for name in RECIPES]
    assert {recipe.n_sources for recipe in recipes} == {2, 3, 4, 5}
    for option in "categories", "files", "together", "overlap", "snr_db", "floor_db", "rt60":
        assert any(getattr(recipe, option) for recipe in recipes), option
    assert any(recipe.noise_snr_db for recipe in recipes)
    assert any(recipe.same_category for recipe in recipes)
