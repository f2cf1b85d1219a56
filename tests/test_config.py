"""Configs: what is built, what is refused, and that every refusal is one line with the remedy."""

import math

import numpy as np
import pytest
import torch
import yaml

from sep_helpers import models
from sep_helpers.models import ConfigError, build, check, complete, read_config
from sep_helpers.models.config import CONFIGS, NETWORKS

DESIGN = {"name": "conv_tasnet", "N": 512, "L": 16, "B": 128, "H": 512, "Sc": 128, "P": 3, "X": 8,
          "R": 3, "norm": "gLN", "causal": False, "mask": "sigmoid", "n_sources": 2,
          "sample_rate": 8000}
OLDER = """
name: Conv_TasNet
N: 16
L: 16
B: 8
H: 12
P: 3
X: 2
R: 2
norm: gln
num_spks: 3
activate: ReLU
causal: false
sample_rate: 8000
"""


def refusal(config, how=build) -> str:
    with pytest.raises(ConfigError) as error:
        how(config)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_config_says_all_and_builds(file):
    config = read_config(file)
    assert config == read_config(file.stem)
    assert set(config) == set(check(config)), "a shipped config hides nothing"
    with torch.device("meta"):
        separator = build(config)
    assert separator.config == check(config)


def test_every_network_ships_a_config():
    shipped = {read_config(file)["name"] for file in CONFIGS.glob("*.yaml")}
    assert shipped == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_declares_its_keys_choices_and_absences(name):
    network = NETWORKS[name]
    assert set(network.ABSENT) <= set(network.DEFAULTS)
    assert set(network.CHOICES) <= set(network.DEFAULTS) | set(network.EXTRAS)
    full = complete({"name": name})
    assert full == check(full) == {"name": name, **network.DEFAULTS}
    with torch.device("meta"):
        separator = build(full)
    assert (separator.config, separator.n_sources, separator.sample_rate, separator.causal) == \
        (full, full["n_sources"], full["sample_rate"], full.get("causal", False))


def test_the_designs_own_config_builds():
    assert models.count_parameters(build(DESIGN)) == 5_050_545


def test_aliases_case_and_the_missing_skip_path_of_the_older_notes():
    separator = build(yaml.safe_load(OLDER))
    full = separator.config
    assert (full["norm"], full["mask"], full["n_sources"], full["Sc"]) == ("gLN", "relu", 3, 0)
    assert set(full) == {"name", *NETWORKS["conv_tasnet"].DEFAULTS}
    assert separator(torch.randn(1, 100)).shape == (1, 3, 100)


def test_no_skip_path_is_asked_for_by_absence_and_the_papers_by_complete():
    without = {key: value for key, value in DESIGN.items() if key != "Sc"}
    assert check(without)["Sc"] == 0 and complete(without)["Sc"] == 128


@pytest.mark.parametrize("key", [key for key in DESIGN if key not in ("name", "Sc")])
def test_any_other_missing_key_is_refused_by_its_name(key):
    config = {k: v for k, v in DESIGN.items() if k != key}
    assert f"lacks {key}: {DESIGN[key]}" in refusal(config)
    assert complete(config) == complete(DESIGN)


@pytest.mark.parametrize("key", DESIGN)
def test_a_slip_in_any_key_is_met_with_the_key_that_was_meant(key):
    slip = {"N": "NN", "L": "LL", "B": "BB", "H": "HH", "P": "PP", "X": "XX", "R": "RR",
            "Sc": "Scc"}.get(key, key[:-1] + "xe"[key[-1] == "x"])
    message = refusal({slip if k == key else k: v for k, v in DESIGN.items()})
    if key == "name":
        assert "no 'name'" in message
    else:
        assert f"unknown key {slip!r} for conv_tasnet: did you mean {key!r}?" in message


@pytest.mark.parametrize("changes, message", [
    ({"name": "conv_tasnt"}, "unknown network 'conv_tasnt': did you mean 'conv_tasnet'?"),
    ({"num_speakers": 2}, "unknown key 'num_speakers' for conv_tasnet: did you mean 'n_sources'?"),
    ({7: 2}, "unknown key 7"),
    ({"num_spks": 2}, "'n_sources' is there twice"),
    ({"X": "8"}, "X='8' must be int"),
    ({"X": 8.0}, "X=8.0 must be int"),
    ({"X": math.nan}, "X=nan must be int"),
    ({"X": None}, "X=None must be int"),
    ({"X": True}, "X=True must be int"),
    ({"X": 0}, "X=0 must be at least 1"),
    ({"Sc": -1}, "Sc=-1 must be at least 0"),
    ({"n_sources": 0}, "n_sources=0 must be at least 1"),
    ({"sample_rate": -8000}, "sample_rate=-8000 must be at least 1"),
    ({"causal": 1}, "causal=1 must be bool"),
    ({"norm": "gNL"}, "did you mean 'gLN'"),
    ({"norm": None}, "unknown norm None: choose from BN, cLN, gLN"),
    ({"mask": None}, "unknown mask None: choose from linear, relu, sigmoid, softmax"),
    ({"norm": ["gLN"]}, "unknown norm ['gLN']"),
    ({"mask": "sigmod"}, "did you mean 'sigmoid'"),
    ({"encoder": "rellu"}, "did you mean 'relu'"),
    ({"L": 15}, "L=15 must be even"),
    ({"P": 4}, "P=4 must be odd"),
    ({"causal": True}, "gLN's mean and variance run over the whole utterance; use norm='cLN'"),
    ({"X": 60}, "lower X"),
    ({"sample_rate": 10**9}, "must be at most"),
])
def test_what_cannot_be_built_is_refused_in_one_line(changes, message):
    assert message in refusal({**DESIGN, **changes})


@pytest.mark.parametrize("name", NETWORKS)
def test_what_no_memory_can_hold_is_refused_before_it_is_tried(name):
    defaults = NETWORKS[name].DEFAULTS
    sizes = [k for k, v in defaults.items() if type(v) is int]
    for key in sizes:
        assert f"{key}={10**9}" in refusal({"name": name, key: 10**9}, complete)


@pytest.mark.parametrize("changes", [
    {"N": 10**6, "B": 10**6}, {"H": 10**6, "Sc": 10**6}, {"n_sources": 10**6},
    {"name": "lstm_tasnet", "H": 10**6}, {"name": "dprnn_tasnet", "H": 10**6},
    {"name": "deep_conv_tasnet", "N": 10**6},
])
def test_what_this_machines_memory_cannot_hold_is_refused_by_its_size(changes):
    message = refusal({"name": "conv_tasnet", **changes}, complete)
    assert "GB for its weights" in message and f"lower {list(changes)[-1]}" in message


@pytest.mark.parametrize("what", [None, 3, "conv_tasnet", ["conv_tasnet"]])
def test_what_is_no_dict_is_refused(what):
    assert "a config is a dict" in refusal(what)


def test_numbers_of_numpy_become_plain_ones():
    config = check({**DESIGN, "X": np.int64(4)})
    assert type(config["X"]) is int and config["X"] == 4


def test_an_option_stands_in_a_config_only_where_it_departs():
    assert check(DESIGN | {"encoder": "Linear", "ends": "padded"}) == check(DESIGN)
    assert check(DESIGN | {"encoder": "ReLU"}) == check(DESIGN) | {"encoder": "relu"}


def test_any_case_of_a_key_will_do():
    assert check({key.upper(): value for key, value in DESIGN.items() if key != "name"}
                 | {"name": "conv_tasnet"}) == check(DESIGN)


@pytest.mark.parametrize("text, message", [
    ("a: [1", "is not YAML"), ("- 1\n- 2", "holds a list"), ("", "holds a NoneType"),
    ("\x00", "is not YAML"), ("!!python/object/apply:os.getcwd []", "is not YAML"),
])
def test_a_file_that_is_no_config_is_refused(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    assert message in refusal(tmp_path / "c.yaml", read_config)


def test_a_missing_file_is_refused(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "none.yaml", read_config)
    assert "did you mean 'conv_tasnet'" in refusal("conf_tasnet", read_config)


@pytest.mark.parametrize("n_sources", [1, 6])
@pytest.mark.parametrize("name", NETWORKS)
def test_one_and_six_sources(name, n_sources):
    small = {k: v for k, v in dict(N=8, L=4, B=6, H=5, Sc=4, X=2, R=1, chunk=6, layers=3, depth=2)
             .items() if k in NETWORKS[name].DEFAULTS}
    separator = build(complete({"name": name, **small, "n_sources": n_sources}))
    assert separator(torch.randn(2, 101)).shape == (2, n_sources, 101)
