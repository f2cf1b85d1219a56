"""Checking a network's configuration before anything is built from it.

A network's class declares what it takes: DEFAULTS (a paper's values), ABSENT (what a key that
may be left out then stands for), EXTRAS (options that stand in a config only where they depart
from the value given there), CHOICES (names for a key), objection (what does not go together).
"""

import os
from difflib import get_close_matches
from numbers import Integral
from pathlib import Path

import yaml

from sep_helpers.models import sizes
from sep_helpers.models.conv_tasnet import ConvTasNet
from sep_helpers.models.deep_conv_sep import DeepConvSep
from sep_helpers.models.deep_conv_tasnet import DeepConvTasNet
from sep_helpers.models.dprnn_tasnet import DPRNNTasNet
from sep_helpers.models.looking_to_listen import LookingToListen
from sep_helpers.models.lstm_tasnet import BLSTMTasNet, LSTMTasNet
from sep_helpers.models.recurrent_masks import BLSTMMasks, DRNNMasks, LSTMMasks, SRNNMasks
from sep_helpers.models.transformer_masks import TransformerMasks
from sep_helpers.models.unet import UNetMasks

NETWORKS = {
    "conv_tasnet": ConvTasNet,
    "deep_conv_tasnet": DeepConvTasNet,
    "lstm_tasnet": LSTMTasNet,
    "blstm_tasnet": BLSTMTasNet,
    "dprnn_tasnet": DPRNNTasNet,
    "lstm_masks": LSTMMasks,
    "blstm_masks": BLSTMMasks,
    "drnn": DRNNMasks,
    "srnn": SRNNMasks,
    "vtf": TransformerMasks,
    "gab": LookingToListen,
    "deep_conv_sep": DeepConvSep,
    "unet": UNetMasks,
}
ALIASES = {"num_spks": "n_sources", "activate": "mask"}      # the older notes' names
CONFIGS = Path(__file__).resolve().parents[2] / "assets" / "configs"
LONGEST_VIEW = 3600      # seconds: a longer receptive field is a slip of the keyboard
HIGHEST_RATE = 1_000_000
MOST_CHANNELS = 2        # a corpus is mono or stereo
WIDEST = 10**6           # of any number in a config; memory stops most of them long before
DEEPEST = 1000           # of the numbers that count layers
DEPTHS = ("X", "R", "layers", "depth")


class ConfigError(ValueError):
    """A network configuration that cannot be built, in one line with the remedy."""


def check(config: dict) -> dict:
    """A config that says everything, with its aliases resolved and its values checked.

    Every key of the network must be there, but for those that mean something by their absence:
    no `Sc` is no skip path. Raises ConfigError with the nearest valid name.
    """
    name, given = _given(config)
    network = NETWORKS[name]
    missing = [key for key in network.DEFAULTS if key not in given and key not in network.ABSENT]
    if missing:
        example = ", ".join(f"{key}: {network.DEFAULTS[key]}" for key in missing)
        raise ConfigError(f"the config for {name} lacks {example}: write down what you want, or "
                          "take a paper's values for all that is left out, models.complete(config)")
    return _finish(name, {**network.ABSENT, **given})


def complete(config: dict) -> dict:
    """A config that says only what differs from the network's paper, filled up and checked.

    {"name": "conv_tasnet", "X": 4} -> the full config, Sc=128 and all. Raises as `check` does.
    """
    name, given = _given(config)
    return _finish(name, given)


def read_config(file: str | Path) -> dict:
    """The config in a YAML file, or the shipped one of that name: read_config("conv_tasnet").

    Not yet checked: `models.build` does that. Raises ConfigError for what is no such file.
    """
    path = Path(file)
    if not path.suffix and not path.exists():
        path = CONFIGS / f"{file}.yaml"
        if not path.is_file():
            shipped = {p.stem for p in CONFIGS.glob("*.yaml")}
            raise ConfigError(f"no shipped config {str(file)!r}: {_nearest(str(file), shipped)}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (ValueError, yaml.YAMLError) as error:
        where = str(error).replace("\n", " ")
        raise ConfigError(f"{path}: is not YAML ({where}): write lines of `key: value`") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: holds a {type(config).__name__}, not lines of `key: value`")
    return config


def _given(config: dict) -> tuple[str, dict]:
    """The network's name, and what the config says under the keys' own names."""
    if not isinstance(config, dict):
        raise ConfigError(f"a config is a dict, not a {type(config).__name__}: read a file with "
                          "models.read_config")
    if "name" not in config:
        raise ConfigError(f"the config has no 'name': choose from {', '.join(NETWORKS)}")
    name = _named(config["name"], NETWORKS, "network")
    network, given = NETWORKS[name], {}
    for word, value in config.items():
        key = _key(word, network, name)
        if key in given:
            raise ConfigError(f"{key!r} is there twice, once as {word!r}: keep one of them")
        if key != "name":
            given[key] = _check_value(key, value, network)
    return name, given


def _key(word, network, name: str) -> str:
    """The key that a word stands for: itself, in any case, or an older name."""
    keys = {key.lower(): key for key in ("name", *network.DEFAULTS, *network.EXTRAS)}
    keys |= {alias: key for alias, key in ALIASES.items() if key in network.DEFAULTS}
    if str(word).lower() in keys:
        return keys[str(word).lower()]
    close = get_close_matches(str(word).lower(), keys, n=1, cutoff=0.4)
    remedy = f"did you mean {keys[close[0]]!r}?" if close else \
        f"choose from {', '.join([*network.DEFAULTS, *network.EXTRAS])}"
    raise ConfigError(f"unknown key {word!r} for {name}: {remedy}")


def _nearest(word, valid) -> str:
    names = {v.lower(): v for v in valid}
    close = get_close_matches(word.lower(), names, n=1, cutoff=0.4) if isinstance(word, str) else []
    match = names[close[0]] if close else None
    return f"did you mean {match!r}?" if match else f"choose from {', '.join(sorted(valid))}"


def _named(word, valid, what: str) -> str:
    """The valid name equal to `word` but for case."""
    for name in valid:
        if isinstance(word, str) and word.lower() == name.lower():
            return name
    raise ConfigError(f"unknown {what} {word!r}: {_nearest(word, valid)}")


def _check_value(key: str, value, network):
    if key in network.CHOICES:
        return _named(value, network.CHOICES[key], key)
    default = {**network.EXTRAS, **network.DEFAULTS}[key]
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{key}={value!r} must be bool, as in {default!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigError(f"{key}={value!r} must be int, as in {default!r}")
    smallest = 0 if key == "Sc" else 1
    if value < smallest:
        raise ConfigError(f"{key}={value} must be at least {smallest}")
    if key == "channels" and key in network.EXTRAS and value > MOST_CHANNELS:
        raise ConfigError(f"channels={value}: networks here are mono, 1, or stereo, 2")
    return int(value)


def _finish(name: str, given: dict) -> dict:
    """The full config, in the declared order, if its values go together and it can be held."""
    network = NETWORKS[name]
    departs = {k: v for k, v in given.items() if k not in network.EXTRAS or v != network.EXTRAS[k]}
    full = {"name": name, **network.DEFAULTS, **departs}
    _refuse_giants(full)
    if objection := network.objection(full):
        raise ConfigError(objection)
    count = getattr(network, "count", sizes.parameters)
    needed, memory = 4 * sum(count(full).values()), _memory()
    if needed > memory:
        numbers = [key for key, value in network.DEFAULTS.items()
                   if not isinstance(value, bool | str) and key != "sample_rate"]
        largest = max(numbers, key=lambda key: full[key] / max(network.DEFAULTS[key], 1))
        raise ConfigError(f"{name} with {largest}={full[largest]} needs {needed / 1e9:,.0f} GB for "
                          f"its weights, this machine has {memory / 1e9:.0f}: lower {largest}")
    if "X" in full and sizes.receptive_field(full) > LONGEST_VIEW * full["sample_rate"]:
        raise ConfigError(f"X={full['X']} blocks of P={full['P']} taps, R={full['R']} times, would "
                          f"see more than {LONGEST_VIEW} s: lower X (dilations double with each)")
    return full


def _refuse_giants(full: dict) -> None:
    """Refuse what cannot even be counted: a slip of the keyboard, or seconds for samples."""
    for key, value in full.items():
        most = {"sample_rate": HIGHEST_RATE}.get(key, DEEPEST if key in DEPTHS else WIDEST)
        if isinstance(value, int) and value > most:
            raise ConfigError(f"{key}={value} must be at most {most}: lower {key}")


def _memory() -> int:
    """Bytes of memory in this machine; where the system does not tell, 64 GB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 64 * 10**9
