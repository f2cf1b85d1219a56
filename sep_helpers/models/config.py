"""Checking a network's configuration before anything is built from it."""

from difflib import get_close_matches

from sep_helpers.models.blocks import NORMS
from sep_helpers.models.conv_tasnet import DEFAULTS, MASKS

NETWORK_DEFAULTS = {"conv_tasnet": DEFAULTS}
ALIASES = {"num_spks": "n_sources", "activate": "mask"}      # the older notes' names
CHOICES = {"norm": NORMS, "mask": MASKS}


class ConfigError(ValueError):
    """A network configuration that cannot be built, in one line with the remedy."""


def _nearest(word: str, valid) -> str:
    close = get_close_matches(word.lower(), {v.lower(): v for v in valid}, n=1, cutoff=0.4)
    match = next((v for v in valid if close and v.lower() == close[0]), None)
    return f"did you mean {match!r}?" if match else f"choose from {', '.join(sorted(valid))}"


def _named(word, valid, what: str) -> str:
    """The valid name equal to `word` but for case."""
    for name in valid:
        if isinstance(word, str) and word.lower() == name.lower():
            return name
    raise ConfigError(f"unknown {what} {word!r}: {_nearest(str(word), valid)}")


def _check_value(key: str, value, default):
    if key in CHOICES:
        return _named(value, CHOICES[key], key)
    if type(value) is not type(default):
        raise ConfigError(f"{key}={value!r} must be {type(default).__name__}, as in {default!r}")
    smallest = 0 if key == "Sc" else 1
    if isinstance(value, int) and not isinstance(value, bool) and value < smallest:
        raise ConfigError(f"{key}={value} must be at least {smallest}")
    return value


def complete(config: dict) -> dict:
    """The config with every key, its aliases resolved and its values checked.

    Raises ConfigError with the nearest valid name.
    """
    if "name" not in config:
        raise ConfigError(f"the config has no 'name': choose from {', '.join(NETWORK_DEFAULTS)}")
    name = _named(config["name"], NETWORK_DEFAULTS, "network")
    full = {"name": name, **NETWORK_DEFAULTS[name]}
    for key, value in config.items():
        key = ALIASES.get(key, key)
        if key not in full:
            raise ConfigError(f"unknown key {key!r} for {name}: {_nearest(key, full)}")
        full[key] = name if key == "name" else _check_value(key, value, full[key])
    return _check_together(full)


def _check_together(c: dict) -> dict:
    if c["L"] % 2:
        raise ConfigError(f"L={c['L']} must be even: the hop is L / 2")
    if c["P"] % 2 == 0 and not c["causal"]:
        raise ConfigError(f"P={c['P']} must be odd unless causal: an even filter has no middle tap")
    if c["causal"] and c["norm"] == "gLN":
        raise ConfigError(
            "causal=True with norm='gLN' would look into the future: gLN's mean and variance "
            "run over the whole utterance; use norm='cLN'"
        )
    return c
