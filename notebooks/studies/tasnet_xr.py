"""What X, R, L, the norm, the mask and the skip path are worth, with the spread over seeds.

    make studies ONLY=tasnet_xr PRESET=laptop      resumable; half an hour of one quiet core

The sweep is assets/studies/tasnet_xr.yaml; the laptop's tables are kept beside it, for notebook
04 to show. Other presets' tables and all runs lie in work/studies.
"""

from _sweep import run

if __name__ == "__main__":
    board = run("tasnet_xr")
    print(board.groupby("variant", sort=False)[["ms_per_step", "seen", "unseen"]].mean().round(2))
