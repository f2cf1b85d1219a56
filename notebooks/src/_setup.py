# @title Set-up: run this cell first
PRESET = "auto"  # @param ["auto", "smoke", "laptop", "t4", "full"]
KEEP_ON_DRIVE = False  # @param {type: "boolean"}

import subprocess
import sys
from pathlib import Path

def run(*command):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout, end="")
    return done.returncode == 0

REPO, here, colab = "{{repo}}", Path.cwd(), "google.colab" in sys.modules
places = [*map(Path, sys.path), here, *here.parents, *Path("/content").glob("*"),
          *Path("/content/drive/MyDrive").glob("*")]  # a clone, an unzipped upload, Drive
root = next((place for place in places if (place / "sep_helpers/workspace.py").is_file()), None)
if root is None and colab:
    clone = Path("/content", REPO.split("/")[1])
    root = clone if run("git", "clone", "-q", "--depth=1", f"https://github.com/{REPO}", clone) else None
if root is None:
    sys.exit(f"The course is not here, nor to be cloned from github.com/{REPO}: on Colab, upload its "
             "zip and unzip it in /content; elsewhere, open this notebook in the course's folder.")
if colab and not run("bash", root / "colab_setup.sh", sys.executable):
    sys.exit("The set-up did not finish: the last line above says why.")
sys.path.insert(0, str(root.resolve()))

from sep_helpers import workspace

ws = workspace.start(PRESET, drive=KEEP_ON_DRIVE)
