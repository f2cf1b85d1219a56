"""Every mask network on recorded sounds of two categories (ESC-10), with floors and ceilings.

    make studies ONLY=mask_esc PRESET=laptop           resumable; ten minutes

The recordings are not part of the course: SEP_REAL_DATA names the folder of `environment_real`. The
sweep is assets/studies/mask_esc.yaml; the laptop's tables are kept beside it, for notebook 03.
"""

from _sweep import run

if __name__ == "__main__":
    print(run("mask_esc"))
