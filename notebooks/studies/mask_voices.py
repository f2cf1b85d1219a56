"""Every mask network on two, on three and on five voices.

    make studies ONLY=mask_voices PRESET=laptop        resumable; three quarters of an hour

The sweep is assets/studies/mask_voices.yaml; the laptop's tables are kept beside it, for notebook
03 to show. Other presets' tables and all runs lie in work/studies.
"""

from _sweep import run

if __name__ == "__main__":
    print(run("mask_voices"))
