"""Separators as files to pass on: weights and config in one safetensors file, never code."""

import json
import os
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file


class ModelFileError(ValueError):
    """A model file that cannot be read or does not fit its config, in one line with the remedy."""


def save(separator, path: str | Path, half: bool = False, **card) -> None:
    """Write weights and config to `path`, whole or not at all; half=True stores 16-bit floats.

    `card` (data=..., seed=..., preset=...) goes into the file's header, see `read_card`.
    """
    path = Path(path)
    number = torch.float16 if half else torch.float32
    weights = {k: v.detach().cpu().to(number if v.is_floating_point() else v.dtype).contiguous()
               for k, v in separator.state_dict().items()}
    if names := getattr(separator, "names", None):       # of its outputs, where they have some
        card.setdefault("names", list(names))
    header = {"config": json.dumps(separator.config), "card": json.dumps(card)}
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(weights, draft, metadata=header)
        os.replace(draft, path)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: could not be saved ({error}): check the folder and "
                             "the space on its disk") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def load(path: str | Path):
    """The separator in a file, with its weights, in evaluation mode on the CPU.

    Raises ModelFileError for a missing, damaged or foreign file, or a config that is none.
    """
    from sep_helpers.models import ConfigError, build

    weights, header = _read(Path(path))
    try:
        separator = build(json.loads(header["config"]))
    except (ConfigError, ValueError) as error:
        raise ModelFileError(f"{path}: the config in its header cannot be built ({error}): fetch "
                             "the file again") from error
    try:
        separator.load_state_dict({k: v.float() if v.is_floating_point() else v
                                   for k, v in weights.items()})
    except RuntimeError as error:
        raise ModelFileError(f"{path}: the weights do not fit the config in its header: fetch the "
                             "file again") from error
    separator.names = json.loads(header["card"]).get("names")
    return separator.eval()


def read_card(path: str | Path) -> dict:
    """What `save` was told about the model: its data, seed, preset ..."""
    return json.loads(_read(Path(path))[1]["card"])


def _read(path: Path) -> tuple[dict, dict]:
    if not path.is_file():
        raise ModelFileError(f"{path}: there is no such file: train a model, or check the path")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: is no safetensors file, or a damaged one ({error}): "
                             "fetch it again") from error
    if "config" not in header:
        raise ModelFileError(f"{path}: has no config in its header: save it with models.save")
    return weights, {"card": "{}", **header}
