"""What the studies share that are sweeps: run one at the preset that SEP_PRESET names."""

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import sweeps, workspace  # noqa: E402


def run(name: str) -> pd.DataFrame:
    """Train and measure what is missing of the sweep assets/studies/<name>.yaml; its board."""
    ws = workspace.start("laptop")
    folder = ROOT / "work" / "studies" / f"{name}_{ws.preset.name}"
    return sweeps.study(name, ws.preset.name, folder, ws.device, machine=workspace.machine())
