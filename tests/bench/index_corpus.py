"""Opening a 30-hour corpus of 100,000 files, against asking soundfile about each of them.

Goals: in under 10 s and under 500 MB, all of Python and torch included, in a process of its own.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _ratio
import numpy as np
import soundfile

from sep_helpers.corpora import open_corpus

SPEAKERS, RECORDINGS, SAMPLES, RATE = 250, 400, 8640, 8000      # 100,000 x 1.08 s = 30 hours
CHILD = """
import resource, sys, time
from sep_helpers.corpora import open_corpus
started = time.perf_counter()
corpus = open_corpus(sys.argv[1])
seconds = time.perf_counter() - started
assert len(corpus.table) == int(sys.argv[2]) and corpus.table.samples.sum() > 29 * 3600 * 8000
unit = 1 if sys.platform == "darwin" else 1024
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)
"""


def make(folder: Path) -> Path:
    """The corpus: each file a hard link to one of ten recordings (a file has few links at most)."""
    rng = np.random.default_rng(0)
    rows = ["file,speaker,split,samples"]
    for speaker in range(SPEAKERS):
        (folder / f"s{speaker:03d}").mkdir()
        split = "train" if speaker < 200 else "val" if speaker < 225 else "test"
        for number in range(RECORDINGS):
            file = f"s{speaker:03d}/{number:03d}.wav"
            if speaker % (SPEAKERS // 10) == number == 0:
                first = folder / file
                soundfile.write(first, 0.1 * rng.standard_normal(SAMPLES), RATE)
            else:
                os.link(first, folder / file)
            rows.append(f"{file},s{speaker:03d},{split},{SAMPLES}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


def ask_each(folder: Path) -> int:
    """What a data set without a manifest does: walk, and open every file."""
    return sum(soundfile.info(Path(root) / name).frames
               for root, _, names in os.walk(folder) for name in names if name.endswith(".wav"))


with tempfile.TemporaryDirectory() as temporary:
    corpus = make(Path(temporary))
    child = subprocess.run([sys.executable, "-c", CHILD, str(corpus), str(SPEAKERS * RECORDINGS)],
                           cwd=_ratio.ROOT, capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, child.stdout.split())
    print(f"index_corpus: {SPEAKERS * RECORDINGS:,} files in {seconds:.2f} s (goal 10), "
          f"{megabytes:.0f} MB at most (goal 500)")
    ratios = _ratio.pairs(lambda: open_corpus(corpus), lambda: ask_each(corpus), 3, warmup=1)
    _ratio.report("index_corpus", ratios, "soundfile.info on each file", goal=5,
                  seconds=round(seconds, 2), megabytes=round(megabytes))
