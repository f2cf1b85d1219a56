"""What X, R, L, the norm, the mask and the skip path are worth, with the spread over seeds.

    make studies ONLY=tasnet_xr PRESET=laptop      resumable; half an hour of one quiet core

The sweep is assets/studies/tasnet_xr.yaml; the laptop's tables are kept beside it, for notebook
04 to show. Other presets' tables and all runs lie in work/studies.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import sweeps, workspace  # noqa: E402

NAME = "tasnet_xr"


def main() -> None:
    ws = workspace.start("laptop")
    folder = ROOT / "work" / "studies" / f"{NAME}_{ws.preset.name}"
    board = sweeps.study(NAME, ws.preset.name, folder, ws.device, machine=workspace.machine())
    print(board.groupby("variant", sort=False)[["ms_per_step", "seen", "unseen"]].mean().round(2))


if __name__ == "__main__":
    main()
