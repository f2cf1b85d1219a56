"""What the tests of the notebooks share: the builder and runner, a toy course, a kernel offline."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "notebooks"))

HELLO = '''\
# %% [markdown]
# {{header}}
#
# # Hello
#
# You say hello, with $\\alpha = 1$.
#
# {{minutes}}
#
# {{nav}}

# %% tags=["setup"]
# set-up

# %% cellView="form"
gain = 3  # @param {type:"slider", min:0, max:10, step:1}

# %% tags=["exercise"]
def double(x):
    ...

# %% tags=["solution"]
def double(x):
    return 2 * x

# %%
print(ws.preset.name, double(gain))

# %% [markdown]
# {{nav}}
'''

WORLD = '''\
# %% [markdown]
# {{header}}
#
# # 02 · World
#
# You plot, listen and move a slider.
#
# ## A picture
# $$\\frac{a}{b}$$
# ![far](https://example.com/picture.png) and [back](01_hello.ipynb)

# %% tags=["setup"]
# set-up

# %%
import numpy as np
import matplotlib.pyplot as plt
from IPython.display import Audio, display
from ipywidgets import interact

plt.plot([1, 2])
plt.show()
display(Audio(np.sin(np.arange(800)), rate=8000))

# %%
@interact(gain=(0, 10))
def turn(gain=4):
    print("turned to", gain)

# %%
(ws.cards / "toy.json").write_text('{"name": "toy", "system": "toy net", "view": "test", '
                                   '"metric": "si_sdri", "mean": 6.314, "low": 5.9, "high": 6.7, '
                                   '"n": 60, "preset": "smoke", "origin": "yours"}')

# %% [markdown]
# {{nav}}
'''


@pytest.fixture(scope="session")
def offline():
    """The environment of a kernel that runs the smallest preset without a network."""
    nowhere = "http://127.0.0.1:9"  # for children that are not Python
    return os.environ | {
        "PYTHONPATH": f"{ROOT / 'tests/notebooks/offline'}:{ROOT}",
        "SEP_PRESET": "smoke",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere),
    }


@pytest.fixture
def toy(tmp_path):
    """A course of two small notebooks in a folder of its own, not built yet."""
    from build import Course

    source = tmp_path / "notebooks" / "src"
    source.mkdir(parents=True)
    shutil.copy(ROOT / "notebooks/src/_setup.py", source)
    (source / "01_hello.py").write_text(HELLO)
    (source / "02_world.py").write_text(WORLD)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndescription = "Toy."\n[tool.course]\nrepo = "someone/toy-course"\n')
    (tmp_path / "sep_helpers").symlink_to(ROOT / "sep_helpers")
    return Course(tmp_path)
