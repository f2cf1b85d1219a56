"""Every mask network on two voices, two of them on three and on five voices.

    make studies ONLY=mask_voices PRESET=laptop        resumable; a quarter of an hour

The sweep is assets/studies/mask_voices.yaml; the laptop's tables are kept beside it, for notebook
03 to show. Other presets' tables and all runs lie in work/studies.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import sweeps, workspace  # noqa: E402

NAME = "mask_voices"


def main() -> None:
    ws = workspace.start("laptop")
    folder = ROOT / "work" / "studies" / f"{NAME}_{ws.preset.name}"
    print(sweeps.study(NAME, ws.preset.name, folder, ws.device, machine=workspace.machine()))


if __name__ == "__main__":
    main()
