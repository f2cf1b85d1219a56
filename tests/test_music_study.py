"""The music study: its plan builds, its stored tables keep their promises, its network works."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from sep_helpers import corpora, models, song_evaluation
from sep_helpers.stems import STEMS
from sep_helpers.sweeps import FOLDER

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "notebooks" / "studies"))
SHIPPED = ROOT / "assets" / "checkpoints" / "music_separator" / "model.safetensors"


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(FOLDER / "music.csv")


@pytest.mark.parametrize("preset", ["smoke", "laptop", "t4", "full"])
def test_every_network_of_the_plan_is_one_for_four_stems(preset):
    import music

    plan = music.read_plan(preset)
    assert plan.shipped in plan.variants
    for variant in plan.variants:
        with torch.device("meta"):
            network = models.build(plan.network(variant))
        assert network.n_sources == len(STEMS) and network.sample_rate == music.RATE
        assert plan.steps(variant) >= 2


def test_without_recordings_the_study_says_where_they_should_be(monkeypatch, tmp_path):
    import music

    monkeypatch.setenv("SEP_REAL_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="set SEP_REAL_DATA to the folder that holds music_real"):
        music.join(tmp_path / "songs")


def test_a_silent_stem_has_no_sdr():
    import music

    stems = torch.stack([torch.ones(2, 100), torch.zeros(2, 100)])
    assert music.sdr(0.9 * stems, stems)[0] == pytest.approx(20, abs=0.01)
    assert music.sdr(0.9 * stems, stems)[1].isnan()


def test_all_that_was_trained_was_measured_on_validation_and_test_apart(table):
    import music

    plan = music.read_plan("laptop")
    measured = table.groupby("view")["system"].unique()
    for view in ("val", "test"):
        assert {*plan.variants, "mixture", "equal parts", "ideal IRM"} <= {*measured[view]}
    assert not {*table[table["view"] == "val"].song} & {*table[table["view"] == "test"].song}


def test_drums_and_bass_come_out_above_the_mixture(table):
    medians = table.groupby(["view", "system", "stem"])["sdr"].median()
    for system in table.dropna(subset="parameters")["system"].unique():
        for stem in ("drums", "bass"):
            assert medians["test", system, stem] > medians["test", "mixture", stem]


def test_the_ideal_masks_are_ceilings(table):
    medians = table.groupby(["view", "system", "stem"])["sdr"].median().unstack("system")
    networks = table.dropna(subset="parameters")["system"].unique()
    assert (medians["ideal IRM"] > medians[networks].max(axis=1)).all()


def test_the_shipped_network_is_small_knows_its_stems_and_beats_the_floor_on_the_chorus():
    assert SHIPPED.stat().st_size < 2_000_000
    network = models.load(SHIPPED)
    assert network.names == list(STEMS)
    song = corpora.embedded("music", sample_rate=22050, channels=2)
    view = song_evaluation.song_view(song, "test")
    mine = song_evaluation.evaluate_songs(network, view, "network", filters=False)
    floor = song_evaluation.floors_and_ceilings()["mixture"]
    floor = song_evaluation.evaluate_songs(floor, view, "mixture", filters=False)
    assert (mine["sdr"].to_numpy() > floor["sdr"].to_numpy()).all()
    assert (mine["consistency"] < -60).all()
