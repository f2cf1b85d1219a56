"""Every mask network on recorded sounds of two categories (ESC-10), with floors and ceilings.

    make studies ONLY=mask_esc PRESET=laptop           resumable; five minutes

The recordings are not part of the course: SEP_REAL_DATA names the folder of `environment_real`. The
sweep is assets/studies/mask_esc.yaml; the laptop's tables are kept beside it, for notebook 03.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import sweeps, workspace  # noqa: E402

NAME = "mask_esc"


def main() -> None:
    ws = workspace.start("laptop")
    folder = ROOT / "work" / "studies" / f"{NAME}_{ws.preset.name}"
    print(sweeps.study(NAME, ws.preset.name, folder, ws.device, machine=workspace.machine()))


if __name__ == "__main__":
    main()
