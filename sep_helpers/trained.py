"""A trained separator, wherever it lies: a file, a run's folder, an artifact, the shipped one."""

from pathlib import Path

import pandas as pd

from sep_helpers import cards, checkpoints, models

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "checkpoints"
CARDS = SHIPPED.parent / "cards"


class TrainedError(ValueError):
    """Nothing to open, in one line with the remedy."""


def find(what: str | Path) -> Path:
    """The model file that is meant by a path or by the name of a shipped network.

    A .safetensors file, a folder with one in it, a checkpoint .pt, a run's folder (its best
    epoch, or its last where no epoch is over). Raises TrainedError for anything else.
    """
    path = Path(what).expanduser()
    if not path.exists() and (SHIPPED / path).is_dir():
        path = SHIPPED / path
    if path.is_file():
        return path
    if path.is_dir():
        for name in ("best.pt", "last.pt"):
            if checkpoints.exists(path / name):
                return path / name
        files = sorted(path.glob("*.safetensors"))
        if len(files) == 1:
            return files[0]
        if files:
            raise TrainedError(f"{path} holds {len(files)} networks ({files[0].name}, ...): name "
                               "one of them")
    raise TrainedError(f"{what}: no network there: give a .safetensors file, the folder of a run, "
                       f"or one that is shipped ({', '.join(shipped())})")


def shipped(folder: Path = SHIPPED) -> list[str]:
    """The networks that come with the course, by name."""
    return sorted(path.parent.name for path in folder.glob("*/model.safetensors"))


def shelf(folder: Path = SHIPPED, results: Path = CARDS) -> pd.DataFrame:
    """The networks that come with the course, a line each: network, what it is, parameters, MB,
    and the SI-SNRi in dB of each test that it took, from the stored result cards."""
    found = [card for card in cards.read_all(results) if card.metric == "si_sdri"]
    rows = []
    for name in shipped(folder):
        file = folder / name / "model.safetensors"
        figures = {card.view: f"{card.mean:.1f}" for card in found
                   if card.name.startswith(f"{name}_") and card.kind == "network"}
        rows.append({"network": name, "what it is": models.read_card(file).get("title", ""),
                     "parameters": f"{models.count_parameters(models.load(file)) / 1e6:.2f} M",
                     "MB": f"{file.stat().st_size / 1e6:.1f}", **figures})
    return pd.DataFrame(rows).fillna("")


def load(what: str | Path):
    """The separator that `find` finds, with its weights, on the CPU, in evaluation mode."""
    path = find(what)
    if path.suffix == ".safetensors":
        return models.load(path)
    state = checkpoints.load(path)
    try:
        separator = models.build(state["config"]["model"])
        separator.load_state_dict(state["model"])
        separator.names = names_in(state["config"].get("data"))
    except (KeyError, TypeError, RuntimeError) as error:
        raise TrainedError(f"{path}: is no run of a separator ({first_line(error)}): give the "
                           "folder of a run that `train` made") from error
    return separator.eval()


def names_in(recipe: dict | None) -> list[str] | None:
    """What a run's outputs are called, where its recipe puts the sources into a fixed order."""
    recipe = recipe or {}
    names = recipe.get("categories")
    fixed = recipe.get("together") or recipe.get("in_order")
    whole = isinstance(names, list) and len(names) == recipe.get("n_sources")
    return names if fixed and whole else None


def first_line(error: Exception) -> str:
    """An error's first line, for a message that has to stay one."""
    return (str(error).splitlines() or [type(error).__name__])[0]
