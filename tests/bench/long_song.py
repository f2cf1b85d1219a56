"""A stereo song of four minutes at 44.1 kHz, from file to stems, each network in its own process.

Goals: faster than real time, and less than 2 GB at the peak (of the whole process, libraries and
all). The song is noise with the level of music: nothing here depends on what it plays.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _ratio

SECONDS, RATE = 240, 44_100
NETWORKS = ("unet", "deep_conv_sep_stereo", "conv_tasnet_stereo")

CHILD = """
import json, resource, sys, time
from pathlib import Path
import torch
torch.set_num_threads(2)
torch.manual_seed(0)
from sep_helpers import models, song_separation
name, folder = sys.argv[1], Path(sys.argv[2])
network = models.build(models.read_config(name)).eval()
outputs = [folder / f"{k}.wav" for k in range(4)]
wall, cpu = time.perf_counter(), time.process_time()
song_separation.separate_file(network, folder / "song.wav", outputs)
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
                  "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def write_song(path: Path) -> None:
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for _ in range(SECONDS):
            file.write(0.1 * rng.standard_normal((RATE, 2)))


def consistency(folder: Path) -> float:
    """dB of the written stems' sum against the song, a second at a time."""
    import numpy as np
    import soundfile

    files = [soundfile.blocks(folder / name, RATE) for name in
             ("song.wav", *(f"{k}.wav" for k in range(4)))]
    error = energy = 0.0
    for song, *stems in zip(*files, strict=True):
        error += np.square(sum(stems) - song).sum()
        energy += np.square(song).sum()
    return round(10 * np.log10(error / energy), 1)


with tempfile.TemporaryDirectory() as name:
    folder, found = Path(name), {}
    write_song(folder / "song.wav")
    for network in NETWORKS:
        ran = subprocess.run([sys.executable, "-c", CHILD, network, name], capture_output=True,
                             text=True, cwd=_ratio.ROOT,
                             env={**os.environ, "PYTHONPATH": str(_ratio.ROOT)})
        if ran.returncode:
            raise SystemExit(f"long_song: {network}: {ran.stderr.strip().splitlines()[-1]}")
        found[network] = json.loads(ran.stdout.splitlines()[-1]) | {
            "consistency_db": consistency(folder)}
    slowest = [SECONDS / figures["wall"] for figures in found.values()]
    memory = [2000 / figures["megabytes"] for figures in found.values()]
    _ratio.report("long_song", slowest, "real time, 4 min of stereo at 44.1 kHz", 1, each=found)
    _ratio.report("long_song_memory", memory, "less than 2 GB, the same song", 1, each=found)
