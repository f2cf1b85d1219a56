"""What held three mask networks back on voices: each trained with its fault and without it.

    make studies ONLY=mask_starts PRESET=laptop        resumable; seven minutes of one quiet core

The plan is assets/studies/mask_starts.yaml; the laptop's curves are kept beside it, for notebook 03
to show. Another preset's, and all runs, lie in work/studies.
"""

import sys
from pathlib import Path

import pandas as pd
import torch
import yaml
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import corpora, course_views, models, sweeps, training, workspace  # noqa: E402

COLUMNS = ["network", "training", "step", "train_si_snr", "machine"]


def faulty(config: dict) -> nn.Module:
    """The network as it was: with the start of PyTorch's layers, unbounded and not centred."""
    without = {key: False for key in ("bounded", "centred") if key in config}
    network = models.build(config | without)
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            layer.reset_parameters()
    return network


def curve(network: nn.Module, corpus, size: dict, steps: int, rate: float, folder: Path
          ) -> pd.Series:
    """Train, or go on; SI-SNR in dB of the training mixtures between two points, by step."""
    view = course_views.train_view(corpus, seconds=size["seconds"], speed=0.0,
                                   n_mixtures=steps * size["batch"])
    val = course_views.frozen_view("val", corpus, 4)
    settings = training.Settings(epochs=size["points"], batch=size["batch"], learning_rate=rate)
    history = training.fit(network, view, val, settings, folder, say=lambda line: None)
    return pd.Series(history["train_si_snr"].to_numpy(), history["steps"].cumsum(), name="curve")


def main(preset: str, work: Path) -> pd.DataFrame:
    """All the curves, one line a point."""
    plan = yaml.safe_load((sweeps.FOLDER / "mask_starts.yaml").read_text(encoding="utf-8"))
    corpus, size, lines = corpora.embedded(), plan["presets"][preset], []
    for name, keys in plan["networks"].items():
        config = models.complete(plan["shared"] | keys)
        for label, build in ((plan["before"][name], faulty), ("as it is here", models.build)):
            torch.manual_seed(0)
            found = curve(build(config), corpus, size, size["steps"][name],
                          plan["learning_rate"][name],
                          work / f"{name}_{'now' if build is models.build else 'before'}")
            lines += [(name, label, step, round(dB, 3), workspace.machine())
                      for step, dB in found.items()]
            print(f"{name}, {label}: {found.iloc[-1]:.2f} dB", flush=True)
    return pd.DataFrame(lines, columns=COLUMNS)


if __name__ == "__main__":
    ws = workspace.start("laptop")
    work = ROOT / "work" / "studies" / f"mask_starts_{ws.preset.name}"
    table = main(ws.preset.name, work)
    table.to_csv((sweeps.FOLDER if ws.preset.name == "laptop" else work) / "mask_starts.csv",
                 index=False)
