"""A training killed again and again, in the middle of saves, too, against one left in peace.

Each story is one training that has two workers, accumulation and averaged weights: 20 SIGKILLs, ten
of them while a checkpoint is being written; a disk that fills up ten times; a Drive that vanishes,
fills up or hangs ten times, with SIGKILLs and, every third time, the machine's own disk lost. A
resume counts when its position is no more than the checkpoint interval behind; the story, when it
ends with the bits of the unbroken run and no temporary file is left.
"""

import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import _ratio
import torch

sys.path.insert(0, str(_ratio.ROOT / "tests"))
torch.set_num_threads(1)
import accelerate  # noqa: E402, F401  (imported once here, not in every child)
from toy_training import setting, tones  # noqa: E402

from sep_helpers import checkpoints, drive_mirror, runs  # noqa: E402
from sep_helpers.training import Settings, fit  # noqa: E402

SETTINGS = Settings(epochs=12, batch=2, accumulate=2, learning_rate=1e-2, warmup=4, save_every=4,
                    save_share=1.0, average="ema", ema_decay=0.9, workers=2)
INTERVAL = 4 + 2                    # steps between two saves, and the rest of a group
MIXTURES = 32                       # an epoch of 16 steps


def train(corpus: Path, folder: Path, progress: Path, harm=None) -> None:
    """In a child: train; `harm(trainer)` does something bad at some moment."""
    model, *data = setting(corpus, n_mixtures=MIXTURES)

    def on_step(trainer):
        progress.write_text(str(trainer.number))
        if harm:
            harm(trainer)
    fit(model, *data, SETTINGS, folder, on_step=on_step, say=lambda line: None)


def child(*arguments, **named) -> int:
    """Train in a process of its own; its number."""
    number = os.fork()
    if number:
        return number
    os.setpgid(0, 0)
    sys.stdout = sys.stderr = open(os.devnull, "w")
    try:
        train(*arguments, **named)
    except Exception:
        os._exit(1)
    os._exit(0)


def ended(number: int) -> int | None:
    """How the child ended, or None while it lives."""
    done, status = os.waitpid(number, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def kill(number: int) -> None:
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)


def position(folder: Path) -> int:
    return checkpoints.load(folder / "last.pt")["number"]


def same_end(folder: Path, unbroken: Path) -> bool:
    a, b = (checkpoints.load(place / "last.pt") for place in (folder, unbroken))
    rows = [[{k: v for k, v in row.items() if "seconds" not in k and k != "swapped"}
             for row in state["history"]] for state in (a, b)]
    tensors = all(torch.equal(a[part][key], b[part][key])
                  for part in ("model", "averaged") for key in b[part])
    return rows[0] == rows[1] and tensors and not list(folder.glob(".*.tmp"))


def killed(corpus, folder, unbroken, rng, times=20) -> list[float]:
    """SIGKILL at random moments, every second one while a checkpoint is being written."""
    good, progress, halves = [], folder.with_suffix(".step"), 0
    for number in range(times):
        before = position(folder) if (folder / "last.pt").exists() else 0
        process = child(corpus, folder, progress)
        wanted = min(before + rng.randint(3, 12), 12 * 16 - 2)
        while not progress.exists() or int(progress.read_text() or 0) < wanted:
            time.sleep(0.001)
        if number % 2:
            until = time.monotonic() + 5
            while not list(folder.glob(".last.pt.*.tmp")) and time.monotonic() < until:
                pass
        time.sleep(rng.uniform(0, 0.01))
        kill(process)
        halves += bool(list(folder.glob(".last.pt.*.tmp")))
        reached = int(progress.read_text() or 0)
        good.append(float(position(folder) >= reached - INTERVAL))
    print(f"{halves} of {times} kills left a checkpoint half written")
    process = child(corpus, folder, progress)
    while (code := ended(process)) is None:
        time.sleep(0.02)
    return [g * float(code == 0 and same_end(folder, unbroken)) for g in good]


def full_disk(corpus, folder, unbroken, rng, times=10) -> list[float]:
    """The disk fills up in the middle of a save; the training stops, space is made, it goes on."""
    good, progress, whole = [], folder.with_suffix(".step"), torch.save
    for _ in range(times):
        before = position(folder) if (folder / "last.pt").exists() else 0
        at = before + rng.randint(4, 16)

        def save(state, file, at=at):
            if state.get("number", 0) >= at:
                file.write(os.urandom(5000))
                raise OSError(errno.ENOSPC, "No space left on device")
            whole(state, file)
        torch.save = save
        process = child(corpus, folder, progress)
        while (code := ended(process)) is None:
            time.sleep(0.02)
        reached = int(progress.read_text())
        good.append(float(code == 1 and position(folder) >= reached - INTERVAL - 1))
        torch.save = whole
    process = child(corpus, folder, progress)
    while (code := ended(process)) is None:
        time.sleep(0.02)
    return [g * float(code == 0 and same_end(folder, unbroken)) for g in good]


def bad_drive(corpus, folder, unbroken, rng, times=10) -> list[float]:
    """Drive refuses, hangs or is gone, now and then, and the machine dies; sometimes for good."""
    good, progress, whole = [], folder.with_suffix(".step"), drive_mirror.write
    root = folder.with_name("drive")
    root.mkdir()
    for number in range(times):
        trouble = rng.choice((errno.ENOTCONN, errno.ENOSPC, errno.EIO, "hangs"))
        folder.mkdir(exist_ok=True)
        drive_mirror.mark(folder, root / "run", root)
        before = position(folder) if (folder / "last.pt").exists() else 0
        on_drive = [int(p.name[5:14]) for p in (root / "run").glob("last-*")]
        before = max([before, *on_drive])

        dice = random.Random(number)

        def write(path, content, trouble=trouble, dice=dice):
            if path.parent.name == "run" and dice.random() < 0.5:
                path.write_bytes(content[: len(content) // 2])
                time.sleep(30) if trouble == "hangs" else None
                raise OSError(errno.EIO if trouble == "hangs" else trouble, "trouble")
            whole(path, content)
        drive_mirror.write = write
        process = child(corpus, folder, progress)
        progress.unlink(missing_ok=True)
        while not progress.exists() or int(progress.read_text() or 0) < min(
                before + rng.randint(10, 20), 12 * 16 - 2):
            time.sleep(0.001)
        kill(process)
        reached = int(progress.read_text() or 0)
        good.append(float(position(folder) >= reached - INTERVAL))
        drive_mirror.write = whole
        if number % 3 == 2:
            shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    drive_mirror.mark(folder, root / "run", root)
    process = child(corpus, folder, progress)
    while (code := ended(process)) is None:
        time.sleep(0.02)
    kept = {p.name[:4] for p in (root / "run").iterdir()}
    ends = code == 0 and same_end(folder, unbroken) and kept == {"last", "best"}
    return [g * float(ends) for g in good]


def main(seed: int = 7) -> None:
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        corpus, ratios = tones(place / "tones"), []
        process = child(corpus, place / "unbroken", place / "unbroken.step")
        while ended(process) is None:
            time.sleep(0.02)
        for story in (killed, full_disk, bad_drive):
            results = story(corpus, place / story.__name__, place / "unbroken",
                            random.Random(seed))
            print(f"{story.__name__}: {sum(results):.0f} of {len(results)}", flush=True)
            ratios += results
        assert len(runs.history(place / "unbroken")) == SETTINGS.epochs
    _ratio.report("survival", ratios, "an unbroken run, to the bit", goal=1.0)


if __name__ == "__main__":
    main()
