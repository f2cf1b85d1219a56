"""A sweep trains every network with every seed, goes on where it broke off, and adds up."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
import yaml

from sep_helpers import corpora, evaluation, models, runs, sweeps
from sep_helpers.checkpoints import CheckpointError

CERTAIN = ["variant", "seed", "parameters", "steps", "val", "seen", "unseen"]   # not the seconds


class Interrupted(Exception):
    """Somebody stops the sweep."""


@pytest.fixture(scope="module")
def corpus():
    return corpora.embedded()


@pytest.fixture
def sweep():
    smoke = sweeps.load("tasnet_xr", "smoke")
    return replace(smoke, configs=dict(list(smoke.configs.items())[:2]))


def quiet(_):
    pass


def test_both_tables_tell_every_run(sweep, corpus, tmp_path):
    board, mixtures = sweeps.run(sweep, corpus, tmp_path, tell=quiet)
    assert list(zip(board["variant"], board["seed"], strict=True)) == sweep.runs
    assert mixtures.shape == (2 * sweep.n_test, len(sweep.runs))
    for line in board.to_dict("records"):
        column = mixtures[f"{line['variant']}, seed {line['seed']}"]
        for view in ("seen", "unseen"):
            assert column[view].mean() == pytest.approx(line[view], abs=2e-3)
        with torch.device("meta"):
            network = models.build(sweep.configs[line["variant"]])
        assert line["parameters"] == models.count_parameters(network)
        assert line["steps"] == sweep.epochs * sweep.steps
    assert board["seen"].nunique() == len(board)         # other weights, other data: other figures
    again = sweeps.stored(sweep.name, tmp_path)
    pd.testing.assert_frame_equal(again[0], board)
    pd.testing.assert_frame_equal(again[1], mixtures)


def test_a_sweep_that_broke_off_goes_on_and_ends_alike(sweep, corpus, tmp_path, monkeypatch):
    unbroken, _ = sweeps.run(sweep, corpus, tmp_path / "unbroken", tell=quiet)
    measured, evaluate = [], evaluation.evaluate
    monkeypatch.setattr(evaluation, "evaluate",
                        lambda *a, **k: measured.append(a[2]) or evaluate(*a, **k))

    def stop_after_three(line):
        if "run 3" in line:
            raise Interrupted

    with pytest.raises(Interrupted):
        sweeps.run(sweep, corpus, tmp_path / "broken", tell=stop_after_three)
    assert len(sweeps.stored(sweep.name, tmp_path / "broken")[0]) == 3     # what there is, is told
    resumed, _ = sweeps.run(sweep, corpus, tmp_path / "broken", tell=quiet)
    assert len(measured) == 2 * len(sweep.runs)          # two views a run, and nothing twice
    pd.testing.assert_frame_equal(resumed[CERTAIN], unbroken[CERTAIN])


@pytest.mark.parametrize("assignment", ["fixed", "pit"])
def test_outputs_tied_to_slots_answer_for_them(sweep, corpus, tmp_path, monkeypatch, assignment):
    """Ideal estimates in the wrong slots: all there is to gain under PIT, a loss where tied."""
    def swapped(model, view, *args, **options):
        return evaluate(lambda x, sources: sources.flip(0), view, *args, **options)

    evaluate = evaluation.evaluate
    monkeypatch.setattr(evaluation, "evaluate", swapped)
    one = replace(sweep, seeds=1, configs=dict(list(sweep.configs.items())[:1]))
    variant = next(iter(one.configs))
    board, _ = sweeps.run(replace(one, own={variant: {"assignment": assignment}}), corpus, tmp_path,
                          tell=quiet)
    found = board.loc[board["variant"] == variant, "seen"].item()
    assert found > 60 if assignment == "pit" else found < -5


def test_another_sweep_is_not_mixed_into_a_folder(sweep, corpus, tmp_path):
    sweeps.run(replace(sweep, seeds=1), corpus, tmp_path, tell=quiet)
    with pytest.raises(CheckpointError, match="learning_rate"):
        sweeps.run(replace(sweep, seeds=1, learning_rate=1.0), corpus, tmp_path, tell=quiet)


def test_more_mixtures_are_measured_on_runs_that_are_done(sweep, corpus, tmp_path):
    before, _ = sweeps.run(replace(sweep, seeds=1), corpus, tmp_path, tell=quiet)
    more = replace(sweep, seeds=1, n_test=sweep.n_test + 2)
    board, mixtures = sweeps.run(more, corpus, tmp_path, tell=quiet)
    assert len(mixtures) == 2 * more.n_test and mixtures.notna().all(axis=None)
    assert (board["val"] == before["val"]).all()                  # and nothing was trained again


def test_a_grid_trains_each_place_with_its_own_loss_and_number_of_sources(tmp_path):
    """On categories, with floors and ceilings beside the networks."""
    sounds, grid = corpora.embedded("sounds"), sweeps.load("mask_networks", "smoke")
    board, mixtures = sweeps.run(grid, sounds, tmp_path, tell=quiet)
    networks = board[board["seed"].notna()]
    assert networks["variant"].tolist() == list(grid.configs)
    for line in networks.to_dict("records"):
        saved = yaml.safe_load((tmp_path / f"{line['variant'].replace(' ', '_')}_seed0"
                                / "config.yaml").read_text())
        assert saved["facts"] | grid.places[line["variant"]] == saved["facts"]
        for key, value in grid.own[line["variant"]].items():
            assert saved["training"].get(key, value) == value == line[key]
        assert saved["data"]["n_sources"] == line["n_sources"] == int(line["sources"])
        assert saved["data"]["in_order"] and line["model"] in models.NETWORKS
    floors = board[board["seed"].isna()].set_index(["n_sources", "variant"])["test"]
    for n in networks["n_sources"].unique():
        assert floors[n, "mixture"] == 0 > floors[n, "random"]
        assert floors[n, "wfm"] > 5
        both = mixtures[[f"mixture, {n} sources", f"wfm, {n} sources"]].dropna()
        assert len(both) == grid.n_test


def test_runs_of_a_sweep_stand_in_the_board_of_runs_with_what_they_gained(sweep, corpus, tmp_path):
    told, _ = sweeps.run(replace(sweep, seeds=1), corpus, tmp_path, tell=quiet)
    table = runs.board(tmp_path, sort="seen SI-SNRi (dB)")
    assert table["seen SI-SNRi (dB)"].is_monotonic_decreasing
    for line in table.to_dict("records"):
        row = told.set_index("variant").loc[line["run"].removesuffix("_seed0").replace("_", " ")]
        assert line["unseen SI-SNRi (dB)"] == pytest.approx(row["unseen"], abs=2e-3)
        assert line["parameters"] == row["parameters"]


def test_voices_can_be_three(corpus, tmp_path):
    smoke = sweeps.load("mask_voices", "smoke")
    three = [variant for variant in smoke.configs if smoke.n_sources(variant) == 3]
    assert three
    chosen = replace(smoke, configs={v: smoke.configs[v] for v in three[:1]}, seeds=1)
    board, mixtures = sweeps.run(chosen, corpus, tmp_path, tell=quiet)
    assert set(board["n_sources"]) == {3} and mixtures.notna().all(axis=None)
    assert len(board) == 1 + len(smoke.references)


def test_the_pace_is_of_a_step_of_every_variant(sweep, corpus):
    paces = sweeps.pace(sweep, corpus, rounds=2)
    assert list(paces) == list(sweep.configs) and all(0 < ms < 1e4 for ms in paces.values())


def test_the_stored_study_is_the_one_the_file_describes_with_several_seeds_and_equal_steps():
    sweep = sweeps.load("tasnet_xr", "laptop")
    board, mixtures = sweeps.stored("tasnet_xr")
    assert list(zip(board["variant"], board["seed"], strict=True)) == sweep.runs
    assert len(sweep.configs) >= 4 and sweep.seeds >= 2
    assert (board["steps"] == sweep.epochs * sweep.steps).all()
    assert mixtures.shape == (2 * sweep.n_test, len(sweep.runs)) and mixtures.notna().all(axis=None)
    for line in board.to_dict("records"):
        config = sweep.configs[line["variant"]]
        assert all(config[key] == line[key] for key in ("N", "L", "B", "H", "Sc", "X", "R", "norm"))
        with torch.device("meta"):
            assert line["parameters"] == models.count_parameters(models.build(config))
        assert line["receptive_field_s"] == pytest.approx(models.receptive_field(config) / 8000)
        for view in ("seen", "unseen"):
            column = mixtures.loc[view][f"{line['variant']}, seed {line['seed']}"]
            assert column.mean() == pytest.approx(line[view], abs=2e-3)


@pytest.mark.parametrize("name", ["mask_voices", "mask_networks", "mask_esc"])
def test_the_stored_tables_of_masks_are_what_their_files_describe(name):
    sweep = sweeps.load(name, "laptop")
    board, mixtures = sweeps.stored(name)
    trained = board.dropna(subset=["seed"])
    assert list(zip(trained["variant"], trained["seed"], strict=True)) == sweep.runs
    views = [v for v in ("seen", "unseen", "test") if v in board]
    for line in trained.to_dict("records"):
        config, settings = sweep.configs[line["variant"]], sweep.settings(line["variant"])
        assert line["steps"] == settings.epochs * sweep.steps and line["cpu_seconds"] > 0
        assert line["n_sources"] == config["n_sources"]
        with torch.device("meta"):
            assert line["parameters"] == models.count_parameters(models.build(config))
        column = mixtures[f"{line['variant']}, seed {line['seed']:.0f}"].dropna()
        assert len(column) == len(views) * sweep.n_test
        for view in views:
            assert column[view].mean() == pytest.approx(line[view], abs=2e-3)
    floors = board[board["seed"].isna()].set_index(["n_sources", "variant"])
    for (n, what), line in floors.iterrows():
        best = trained[trained["n_sources"] == n][views[-1]].max()
        assert line[views[-1]] > best if what in ("wfm", "psm") else line[views[-1]] <= 0 \
            if what in ("mixture", "random") else True


def test_what_masks_reach_on_voices_in_minutes():
    board, mixtures = sweeps.stored("mask_voices")
    trained = board[board["seed"].notna()]
    two = trained[trained["n_sources"] == 2].set_index("variant")
    assert two.loc["BLSTM", "seen"] >= 5 and (two["seen"] >= 2).all() and (two["unseen"] >= 2).all()
    assert (trained["cpu_seconds"] <= 240).all() and len(mixtures.loc["seen"]) >= 100
    assert trained.groupby("n_sources").size().to_dict() == {2: 7, 3: 7, 5: 7}


def test_a_slot_that_is_a_category_may_be_tied():
    """What notebook 03 says of the experiment table: with five sources of five categories the tied
    loss is ahead in nearly all networks, with two and three MinLoss in most."""
    board, _ = sweeps.stored("mask_networks")
    cells = board.dropna(subset=["seed"]).set_index(["sources", "loss", "network"]).sort_index()
    dB = cells["test"]
    ahead = {n: (dB[n, "euclidean"] > dB[n, "MinLoss"]).mean() for n in (2, 3, 5)}
    assert ahead[5] > 0.8 and ahead[2] < 0.5 and ahead[3] < 0.5

