"""What a sweep's file says: variants or a grid, a network's keys and a training's."""

from itertools import product

import pytest
import yaml

from sep_helpers import models, sweep_plan, workspace
from sep_helpers.settings import Settings, SettingsError

STUDIES = ["mask_esc", "mask_networks", "mask_voices", "tasnet_xr"]
SIZE = {"seeds": 1, "epochs": 1, "steps": 1, "batch": 1, "seconds": 0.5, "learning_rate": 1e-3,
        "warmup": 0, "n_val": 1, "n_test": 1}


def plan(tmp_path, **told):
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    return sweep_plan.load("plan", "laptop", tmp_path)


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("preset", workspace.PRESETS)
def test_every_preset_has_its_sweep_and_every_run_its_own_network_or_training(name, preset):
    sweep = sweep_plan.load(name, preset)
    assert len(sweep.runs) == len(set(sweep.runs)) == len(sweep.configs) * sweep.seeds > 0
    told = [str((config, sweep.own.get(variant))) for variant, config in sweep.configs.items()]
    assert len(set(told)) == len(told)
    for variant in sweep.configs:
        assert isinstance(sweep.settings(variant), Settings)


def test_no_key_means_something_to_a_network_and_to_a_training():
    for network in models.NETWORKS.values():
        assert not sweep_plan.SETTINGS & {*network.DEFAULTS, *network.EXTRAS, "name"}


def test_a_grid_is_every_combination_or_the_parts_that_a_preset_takes(tmp_path):
    grid = {"n": {2: {"n_sources": 2}, 3: {"n_sources": 3}},
            "network": {"LSTM": {"name": "lstm_masks"}, "VTF": {"name": "vtf"}},
            "loss": {"mse": {"objective": "mse", "assignment": "fixed"},
                     "SI-SNR": {"learning_rate": 2e-3}}}
    whole = plan(tmp_path, grid=grid, presets={"laptop": SIZE})
    places = [tuple(place.values()) for place in whole.places.values()]
    assert places == list(product(*grid.values()))
    assert whole.configs["3 VTF mse"]["name"] == "vtf" and whole.n_sources("3 VTF mse") == 3
    assert whole.settings("3 VTF mse").assignment == "fixed"
    assert whole.settings("3 VTF SI-SNR").learning_rate == 2e-3
    parts = [{"n": [3], "loss": ["mse"]}, {"network": ["VTF"], "loss": ["mse"]}]
    some = plan(tmp_path, grid=grid, presets={"laptop": SIZE | {"grid": parts}})
    assert list(some.configs) == ["3 LSTM mse", "3 VTF mse", "2 VTF mse"]      # each once


def test_a_preset_may_change_the_base_and_pick_variants(tmp_path):
    sweep = plan(tmp_path, base={"name": "vtf", "layers": 2}, variants={
        "a": {}, "b": {"width": 64}, "c": {"layers": 1}}, presets={
            "laptop": SIZE | {"variants": ["c", "a"], "base": {"heads": 2}}})
    assert {v: (c["layers"], c["heads"]) for v, c in sweep.configs.items()} == {
        "c": (1, 2), "a": (2, 2)}


def test_what_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(sweep_plan.SweepError, match="no sweep for preset 'night'") as caught:
        sweep_plan.load("tasnet_xr", "night")
    assert "\n" not in str(caught.value)
    with pytest.raises(models.ConfigError, match="unknown key 'Q'"):
        plan(tmp_path, base={"name": "conv_tasnet", "Q": 3}, variants={"a": {}},
             presets={"laptop": SIZE})
    with pytest.raises(sweep_plan.SweepError, match="keep='first' must be best or last"):
        plan(tmp_path, base={"name": "vtf"}, variants={"a": {}},
             presets={"laptop": SIZE | {"keep": "first"}})
    with pytest.raises(sweep_plan.SweepError, match="KeyError"):
        plan(tmp_path, grid={"network": {"VTF": {"name": "vtf"}}},
             presets={"laptop": SIZE | {"grid": [{"network": ["LSTM"]}]}})
    wrong = plan(tmp_path, base={"name": "vtf", "objective": "sisnr"}, variants={"a": {}},
                 presets={"laptop": SIZE})
    with pytest.raises(SettingsError, match="did you mean 'si_snr'"):
        wrong.settings("a")
