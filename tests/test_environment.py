"""The commands and their environments: pins, Makefile, Colab's set-up, torchaudio's stand-in."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import types
from importlib import metadata
from pathlib import Path

import pytest

from sep_helpers import _torchaudio
from sep_helpers.workspace import PRESETS

ROOT = Path(__file__).parents[1]


def lines_of(file):
    """The requirements of a file, without comments."""
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return [line for line in lines if line]


def needed():
    """The names of what the package needs, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.match(r"[\w-]+", need)[0] for need in project["dependencies"]}


# --- pins

@pytest.mark.parametrize("file", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_is_an_exact_pin_of_what_is_installed(file):
    for line in lines_of(file):
        name, equals, version = line.partition("==")
        assert equals, f"{file}: {line} is no exact pin"
        assert metadata.version(name).split("+")[0] == version, f"{file}: {line}"


def test_what_the_package_needs_is_pinned():
    pinned = {line.partition("==")[0] for line in lines_of("requirements.txt")}
    assert needed() <= pinned


def test_the_code_is_clean():
    found = subprocess.run([sys.executable, "-m", "ruff", "check", "--quiet", "."], cwd=ROOT,
                           capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


# --- make

FROM_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES",
             "PRESET", "CORPUS", "ONLY", "ARGS", "REPO", "PYTHON")


def make(*arguments, cwd=ROOT, **env):
    """make as at a prompt, also where `make test` runs this: nothing of the outer one comes in."""
    outside = {key: value for key, value in os.environ.items() if key not in FROM_MAKE}
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True,
                          env=outside | env)


@pytest.fixture
def tree(tmp_path):
    """A folder with the Makefile and the requirements alone."""
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_make_lists_its_commands():
    listed = make("help").stdout
    for target in ("course", "test", "lab", "notebooks", "site", "bench", "studies", "voices"):
        assert f"make {target} " in listed


def test_makefile_and_workspace_know_the_same_presets():
    presets = re.search(r"^PRESETS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert presets.split() == ["auto", *PRESETS]


def test_an_unknown_preset_stops_before_anything_is_made(tree):
    done = make("course", "PRESET=huge", cwd=tree)
    assert done.returncode != 0 and not (tree / ".venv").exists()
    assert done.stderr.count("\n") == 1
    assert "unknown preset 'huge': choose one of auto smoke laptop t4 full" in done.stderr


def test_a_corpus_that_is_not_there_stops_before_anything_is_made(tree):
    done = make("course", "CORPUS=no such folder", cwd=tree)
    assert done.returncode != 0 and not (tree / ".venv").exists()
    assert "no folder 'no such folder'" in done.stderr


def test_a_python_that_only_looks_like_one_is_passed_over(tree):
    bin, real = tree / "bin", tree / "real"
    write_script(bin / "python3.11", "echo 'pyenv: command not found' >&2; exit 127")
    write_script(real / "python", f'exec "{sys.executable}" "$@"')
    only = {"PATH": f"{bin}:/bin:/usr/bin", "HOME": str(tree)}
    done = make(".venv/bin/python", f"PYTHON={bin}/python3.11 {real}/python", cwd=tree, **only)
    assert done.returncode == 0 and done.stdout.startswith("making .venv with Python 3.1")
    assert (tree / ".venv/bin/python").exists()


def test_without_a_fitting_python_one_line_says_so(tree):
    bin = tree / "bin"
    for name in ("python3.11", "python3.12", "python3.13", "python3"):
        write_script(bin / name, "exit 1")
    done = make(".venv/bin/python", cwd=tree, PATH=f"{bin}:/bin:/usr/bin", HOME=str(tree))
    assert done.returncode != 0
    assert done.stdout.startswith("no Python 3.11, 3.12 or 3.13") and done.stdout.count("\n") == 1


@pytest.mark.parametrize("target", ["bench", "studies"])
def test_an_unknown_bench_or_study_is_named_with_the_choices(tree, target):
    folder = tree / {"bench": "tests/bench", "studies": "notebooks/studies"}[target]
    write_script(folder / "pit.py", "print('ran pit')")
    venv = tree / ".venv"
    write_script(venv / "bin/python", f'exec "{sys.executable}" "$@"')
    (tree / "tests").mkdir(exist_ok=True)
    for name in ("requirements.txt", "requirements-optional.txt"):
        (tree / "tests" / name).write_text("")
    for stamp in ("installed", "installed-tests"):
        (venv / stamp).write_text("")
    assert make(target, "ONLY=pit", cwd=tree).stdout == "ran pit\n"
    unknown = make(target, "ONLY=pot", cwd=tree)
    assert unknown.returncode != 0 and unknown.stdout.strip().endswith("ONLY is one of pit")


def write_script(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body if path.suffix == ".py" else f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("script", ["colab_setup.sh", ".ci/run"])
def test_shell_scripts_parse_and_are_executable(script):
    assert subprocess.run(["bash", "-n", ROOT / script]).returncode == 0
    assert os.access(ROOT / script, os.X_OK)


# --- Colab's set-up, with a stand-in for its Python and pip

FAKE_PIP = """
if [ "$1 $2 $3" = "-m pip list" ]; then cat "$STATE"; exit; fi
if [ "$1 $2 $3" = "-m pip install" ]; then
  while [ $# -gt 0 ]; do [ "$1" = -c ] && cp "$2" "$STATE.constraints"; last=$1; shift; done
  echo "$last" >> "$STATE.asked"
  {effect}
  exit
fi
exec "{python}" "$@"
"""
INSTALLED = """torch==2.11.0+cu128
torchaudio==2.11.0+cu128
numpy==2.1.3
scipy==1.16.3
ipython==7.34.0
ipywidgets==7.7.1
"""


@pytest.fixture
def colab(tmp_path):
    """Run colab_setup.sh of a read-only copy of the course; `effect` is what pip install does."""
    course, state = tmp_path / "course", tmp_path / "state"
    course.mkdir()
    for name in ("colab_setup.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, course)
    others = needed() - {"pyroomacoustics", "torch", "numpy", "scipy"}
    state.write_text(INSTALLED + "".join(f"{name}==1.0\n" for name in sorted(others)))

    def run(effect='echo "pyroomacoustics==0.10.1" >> "$STATE"', gpu=False):
        write_script(tmp_path / "bin/python3",
                     FAKE_PIP.replace("{effect}", effect).replace("{python}", sys.executable))
        write_script(tmp_path / "bin/nvidia-smi", "echo GPU 0: Tesla T4" if gpu else "exit 9")
        before = sorted(course.rglob("*"))
        course.chmod(0o555)
        done = subprocess.run(["bash", course / "colab_setup.sh"], capture_output=True, text=True,
                              cwd="/", env={"PATH": f"{tmp_path}/bin:/bin:/usr/bin",
                                            "STATE": str(state)})
        course.chmod(0o755)
        assert sorted(course.rglob("*")) == before
        return done

    run.state = state
    return run


def test_only_what_is_missing_is_installed_under_constraints(colab):
    done = colab()
    assert done.returncode == 0, done.stdout + done.stderr
    assert Path(f"{colab.state}.asked").read_text() == "pyroomacoustics\n"
    constraints = Path(f"{colab.state}.constraints").read_text()
    assert "torch==2.11.0+cu128\n" in constraints and "numpy==2.1.3\n" in constraints
    shown = re.sub(r" +", " ", done.stdout)
    for name in ("torch", "torchaudio"):
        assert f"{name} 2.11.0+cu128 -> 2.11.0+cu128" in shown
    for line in ("numpy 2.1.3 -> 2.1.3", "ipython 7.34.0 -> 7.34.0", "ipywidgets 7.7.1 -> 7.7.1"):
        assert line in shown


def test_a_second_time_nothing_is_installed(colab):
    colab()
    assert colab("echo never; exit 1").returncode == 0
    assert Path(f"{colab.state}.asked").read_text().count("\n") == 1


def test_a_changed_torch_is_one_clear_failure(colab):
    done = colab('sed -i "s/^numpy==.*/numpy==2.4.6/" "$STATE"; '
                 'echo "pyroomacoustics==0.10.1" >> "$STATE"')
    assert done.returncode != 0
    assert done.stdout.splitlines()[-1] == (
        "colab_setup: the runtime's own packages changed (numpy==2.1.3 ): restart the runtime from "
        "the menu and report this")


def test_without_a_network_the_last_line_says_what_to_do(colab):
    done = colab("echo 'ERROR: no matching distribution'; exit 1")
    assert done.returncode != 0
    assert done.stdout.splitlines()[-1] == (
        "colab_setup: pip could not install pyroomacoustics: is the runtime online? Run this cell "
        "again")


@pytest.mark.parametrize("gpu, line", [
    (True, "GPU 0: Tesla T4"),
    (False, "no GPU: the laptop preset works here; for a GPU choose Runtime > Change runtime type "
            "> T4 GPU"),
])
def test_the_gpu_is_named_or_its_absence_explained(colab, gpu, line):
    assert line in colab(gpu=gpu).stdout.splitlines()


# --- torchaudio

@pytest.fixture
def forgotten(monkeypatch):
    """torchaudio not imported yet, and forgotten again afterwards."""
    before = dict(sys.modules)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items()
                        if name.split(".")[0] == "torchaudio"})


def test_torchaudio_loads_whatever_it_was_built_for(forgotten):
    import torch

    torchaudio = _torchaudio.load()
    spectrogram = torchaudio.transforms.Spectrogram(n_fft=64)(torch.ones(1, 640))
    assert spectrogram.shape[:2] == (1, 33)


def test_the_stand_in_is_used_only_when_the_libraries_fail(forgotten, monkeypatch):
    real, tries = importlib.import_module, []

    def fails_once(name, *rest):
        tries.append(name)
        if len(tries) == 1:
            raise OSError("libc10_cuda.so: cannot open shared object file")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", fails_once)
    torchaudio = _torchaudio.load()
    assert torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE is False
    assert tries == ["torchaudio", "torchaudio"]

    monkeypatch.setattr(importlib, "import_module", lambda name: types.SimpleNamespace(real=name))
    assert _torchaudio.load().real == "torchaudio"


def test_a_missing_torchaudio_is_one_line(forgotten, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(ImportError, match="torchaudio is not installed: pip install torchaudio=="):
        _torchaudio.load()
