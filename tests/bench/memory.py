"""Memory that training steps of the paper's best Conv-TasNet need, each in a process of its own.

The peak over two steps beyond what the process held before the first; goal: 0.7 of torchaudio's.
"""

import os
import subprocess
import sys
from pathlib import Path

import _ratio
from _conv_tasnets import peers

CHILD = Path(__file__).with_name("_conv_tasnets.py")
CALM = {**os.environ, "OMP_WAIT_POLICY": "passive"}    # no matter how long it takes


def megabytes(package: str) -> float:
    ran = subprocess.run([sys.executable, str(CHILD), package], capture_output=True, text=True,
                         env=CALM)
    if ran.returncode:
        raise SystemExit(f"memory: {package} failed: {ran.stderr.strip().splitlines()[-1]}")
    return float(ran.stdout.split()[-1])


for peer in peers("memory"):
    found = [(megabytes("ours"), megabytes(peer)) for _ in range(2)]
    name = "memory" if peer == "torchaudio" else f"memory_{peer}"
    _ratio.report(name, [theirs / own for own, theirs in found], f"{peer}, in memory", 1 / 0.7,
                  megabytes={"ours": [round(a) for a, _ in found],
                             peer: [round(b) for _, b in found]})
