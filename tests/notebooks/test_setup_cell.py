"""The set-up cell: finds the course, or clones it on Colab, or says in one line what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from build import Course

ROOT = Path(__file__).parents[2]
SETUP = Course(ROOT).setup
CLONE = Course(ROOT).repo.split("/")[1]
STAND_IN = "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n"


@pytest.fixture
def run(tmp_path):
    """Run the set-up cell as a script: in `here`, on Colab or not, with a git that does `git`."""

    def run(here, colab=False, git="exit 128", twice=False):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/git").write_text(f"#!/bin/bash\n{git}\n")
        (tmp_path / "bin/git").chmod(0o755)
        cell = SETUP.replace('"/content', f'"{tmp_path}/content')
        code = (STAND_IN if colab else "") + cell + ("\n" + cell if twice else "")
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        env |= {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SEP_PRESET": "smoke",
                "SEP_WORK": str(tmp_path / "kept")}
        return subprocess.run([sys.executable, "-c", code], cwd=here, env=env,
                              capture_output=True, text=True)

    (tmp_path / "content").mkdir()
    run.content = tmp_path / "content"
    return run


def a_course(folder, setup="echo set up", name="colab_setup.sh"):
    """A course's folder with the real helpers and a stand-in for colab_setup.sh."""
    folder.mkdir(parents=True)
    (folder / "sep_helpers").symlink_to(ROOT / "sep_helpers")
    (folder / name).write_text(setup)


def test_in_the_courses_folder_nothing_is_cloned(run):
    done = run(ROOT / "notebooks", twice=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("preset smoke") == 2 and "set up" not in done.stdout


def test_on_colab_the_repository_is_cloned_and_set_up(run, tmp_path):
    a_course(tmp_path / "origin")
    log = tmp_path / "log"
    done = run(tmp_path, colab=True, twice=True,
               git=f'echo "$@" >> {log}; cp -a {tmp_path}/origin "${{@: -1}}"')
    assert done.returncode == 0, done.stderr + done.stdout
    assert log.read_text() == (f"clone -q --depth=1 https://github.com/{Course(ROOT).repo} "
                               f"{run.content / CLONE}\n"), "cloned once, shallowly"
    assert done.stdout.count("set up\n") == 2


@pytest.mark.parametrize("place", ["an-unzipped-upload-main", "drive/MyDrive/my course"])
def test_an_upload_or_a_folder_on_drive_is_found_without_git(run, tmp_path, place):
    a_course(run.content / place)
    done = run(tmp_path, colab=True)
    assert done.returncode == 0, done.stderr
    assert "set up\n" in done.stdout


def test_a_failed_clone_is_one_line_with_the_remedy(run, tmp_path):
    done = run(tmp_path, colab=True, git="echo fatal: no such repository >&2; exit 128")
    assert done.returncode != 0
    assert done.stdout == "fatal: no such repository\n"
    assert done.stderr.startswith("The course is not here") and done.stderr.count("\n") == 1
    assert "upload its zip and unzip it in /content" in done.stderr.replace(str(tmp_path), "")


def test_a_failed_set_up_is_said(run, tmp_path):
    a_course(run.content / "upload", setup="echo colab_setup: no network; exit 1")
    done = run(tmp_path, colab=True)
    assert done.returncode != 0 and done.stdout == "colab_setup: no network\n"
    assert done.stderr == "The set-up did not finish: the last line above says why.\n"
