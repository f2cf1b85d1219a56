"""Model files: what goes in comes out, and nothing but tensors and a config is ever read."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from sep_helpers import models
from sep_helpers.models import ModelFileError

TINY = models.complete(
    {"name": "conv_tasnet", "N": 8, "L": 8, "B": 6, "H": 6, "Sc": 6, "X": 2, "R": 1})


@pytest.fixture
def separator():
    torch.manual_seed(0)
    return models.build(TINY).eval()


@pytest.mark.parametrize("half, tolerance", [(False, 0.0), (True, 2e-3)])
def test_a_model_comes_back_with_config_weights_and_card(separator, tmp_path, half, tolerance):
    models.save(separator, tmp_path / "m.safetensors", half=half, data="voices", seed=3)
    back = models.load(tmp_path / "m.safetensors")
    x = torch.randn(1, 300)
    assert back.config == separator.config and not back.training
    assert (back(x) - separator(x)).abs().max() <= tolerance
    assert models.read_card(tmp_path / "m.safetensors") == {"data": "voices", "seed": 3}
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_half_precision_halves_the_file(separator, tmp_path):
    for half in (False, True):
        models.save(separator, tmp_path / f"{half}", half=half)
    weights = 4 * models.count_parameters(separator)
    saved = (tmp_path / "False").stat().st_size - (tmp_path / "True").stat().st_size
    assert saved == pytest.approx(weights / 2, abs=100)


def test_bad_files_are_one_clear_line(separator, tmp_path):
    file = tmp_path / "m.safetensors"
    with pytest.raises(ModelFileError, match="no such file"):
        models.load(file)
    models.save(separator, file)
    whole = file.read_bytes()
    for damaged in (b"", whole[:100], whole[:-50], pickle.dumps({"model": 1})):
        file.write_bytes(damaged)
        with pytest.raises(ModelFileError, match="no safetensors file, or a damaged one") as error:
            models.load(file)
        assert "\n" not in str(error.value)
    save_file({"x": torch.zeros(2)}, file)
    with pytest.raises(ModelFileError, match="no config in its header"):
        models.load(file)
    other = models.build({**TINY, "R": 2})
    save_file(other.state_dict(), file, metadata={"config": json.dumps(TINY)})
    with pytest.raises(ModelFileError, match="do not fit the config"):
        models.load(file)


@pytest.mark.parametrize("config", [
    '{"name": "conv_tasnet", "R": 1}', '{"name": "other"}', "[", "3"])
def test_a_header_whose_config_cannot_be_built_is_refused(tmp_path, config):
    save_file({"a": torch.zeros(1)}, tmp_path / "m.safetensors", metadata={"config": config})
    with pytest.raises(ModelFileError, match="its header cannot be built") as error:
        models.load(tmp_path / "m.safetensors")
    assert "\n" not in str(error.value)


def test_the_outputs_names_travel_with_the_weights(separator, tmp_path):
    separator.names = ["vocals", "other"]
    models.save(separator, tmp_path / "m.safetensors", data="songs")
    back = models.load(tmp_path / "m.safetensors")
    assert back.names == ["vocals", "other"]
    models.save(back, tmp_path / "again.safetensors", half=True)
    assert models.load(tmp_path / "again.safetensors").names == ["vocals", "other"]
    assert models.read_card(tmp_path / "m.safetensors") == {"data": "songs",
                                                            "names": ["vocals", "other"]}
    del separator.names
    models.save(separator, tmp_path / "plain.safetensors")
    assert models.load(tmp_path / "plain.safetensors").names is None
