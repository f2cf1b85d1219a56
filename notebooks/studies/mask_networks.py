"""The experiment table: 2, 3 and 5 categories, seven networks, eight losses, as one sweep.

    make studies ONLY=mask_networks PRESET=laptop      a part of it; resumable; ten minutes

The sweep is assets/studies/mask_networks.yaml; the laptop's tables are kept beside it, for notebook
03 to show. Other presets' tables and all runs lie in work/studies.
"""

from _sweep import run

if __name__ == "__main__":
    print(run("mask_networks"))
