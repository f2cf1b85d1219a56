"""The study of three faults: its networks have them, and its stored curves show what they cost."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from sep_helpers import models, sweeps

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "notebooks" / "studies"))

import mask_starts  # noqa: E402

PLAN = yaml.safe_load((sweeps.FOLDER / "mask_starts.yaml").read_text(encoding="utf-8"))


def config(name):
    return models.complete(PLAN["shared"] | PLAN["networks"][name])


@pytest.mark.parametrize("name", PLAN["networks"])
def test_a_faulty_network_separates_as_long_and_wide_as_the_other(name):
    faulty, mended = mask_starts.faulty(config(name)), models.build(config(name))
    mixture = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    assert faulty(mixture).shape == mended(mixture).shape == (2, 2, 3000)


def test_each_has_its_fault():
    heard = mask_starts.faulty(config("GAB"))
    assert heard.config["centred"] is False and 0 < heard.to_masks.bias.abs().max() < 0.2
    with_biases = mask_starts.faulty(config("DeepConvSep"))
    assert with_biases.vertical.bias.abs().min() > 0
    grows = mask_starts.faulty(config("SRNN"))
    with torch.no_grad():
        for layer in grows.layers:
            layer.weight_hh_l0.copy_(1.2 * torch.eye(256))
    assert not grows.layers(torch.rand(1, 2000, 129)).isfinite().all()


def test_the_stored_curves_are_those_of_the_plan_and_show_what_a_fault_costs():
    table, size = pd.read_csv(sweeps.FOLDER / "mask_starts.csv"), PLAN["presets"]["laptop"]
    for name, steps in size["steps"].items():
        pair = table[table["network"] == name]
        for _, line in pair.groupby("training"):
            assert line["step"].tolist() == [steps * k for k in range(1, size["points"] + 1)]
        last = pair[pair["step"] == pair["step"].max()].set_index("training")["train_si_snr"]
        assert last["as it is here"] > last[PLAN["before"][name]] + 0.5


def test_it_runs_and_goes_on(tmp_path, capsys):
    first = mask_starts.main("smoke", tmp_path)
    assert list(first.columns) == mask_starts.COLUMNS and len(first) == 12
    pd.testing.assert_frame_equal(first, mask_starts.main("smoke", tmp_path))
