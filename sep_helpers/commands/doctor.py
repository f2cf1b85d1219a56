"""`doctor`: what this machine has for the course, in one screen."""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from sep_helpers.commands import common

EXAMPLES = """
python -m sep_helpers doctor
python -m sep_helpers doctor && python -m sep_helpers train config.yaml
"""
NEEDED = ("torch", "numpy", "scipy", "pandas", "matplotlib", "librosa", "soundfile", "soxr",
          "PyYAML", "safetensors", "tqdm")
OPTIONAL = {"accelerate": "training on several devices", "tensorboard": "event logs",
            "optuna": "search", "torchaudio": "its Conv-TasNet as a peer",
            "ipywidgets": "sliders in the notebooks", "jupyterlab": "make lab", "pesq": "PESQ",
            "pystoi": "STOI"}
GB = 2**30
MARKS = {True: "ok", False: "NO", None: "--"}     # None: not there, and not needed

Line = tuple[bool | None, str, str]


def add(commands) -> None:
    """Add the command's parser."""
    parser = common.parser(
        commands, "doctor", "what this machine has, in one screen",
        "Look at Python, packages, CPU, memory, GPU, disk and folders. 'ok' is there, '--' is not "
        "there\nand optional, 'NO' has to be mended: the exit code is then 1.", EXAMPLES)
    parser.set_defaults(run=run)


def run(args) -> int:
    """Print a line for each thing looked at; 1 if one that is needed is missing."""
    lines = [*_python(), *_packages(), *_hardware(), *_folders(), *_tools()]
    for good, what, found in lines:
        print(f"{MARKS[good]}  {what:<12} {found}")
    faults = [what for good, what, _ in lines if good is False]
    print(f"to mend: {', '.join(faults)}" if faults else "all that is needed is here")
    return 1 if faults else 0


def version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _python() -> Iterator[Line]:
    found = f"{platform.python_version()} ({platform.system()} {platform.machine()}), "
    yield sys.version_info >= (3, 11), "Python", found + sys.executable


def _packages() -> Iterator[Line]:
    found = {name: version(name) for name in NEEDED}
    missing = [name for name, has in found.items() if not has]
    shown = ", ".join(f"{name} {has}" for name, has in found.items() if has)
    for number, line in enumerate(textwrap.wrap(shown, 84)):
        yield True, "packages" if number == 0 else "", line
    if missing:
        yield False, "packages", f"missing: pip install {' '.join(missing)}"
    for name, use in OPTIONAL.items():
        has = version(name)
        yield True if has else None, name, f"{has or 'not installed'}: {use}"


def _hardware() -> Iterator[Line]:
    import torch

    threads = torch.get_num_threads()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield True, "CPU", f"{cores} cores for this process, {threads} threads used by torch"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB
    yield total > 3, "memory", f"{total:.0f} GB, {_available():.0f} GB of it free"
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            bf16 = "bf16 and fp16" if card.major >= 8 else "fp16, bf16 only emulated"
            yield True, f"GPU {number}", f"{card.name}, {card.total_memory / GB:.0f} GB, {bf16}"
    elif getattr(torch.backends, "mps", None) and torch.backends.mps.is_available():
        yield True, "GPU", "Apple's, through MPS"
    else:
        yield None, "GPU", "none that torch can use: presets smoke and laptop are for the CPU"


def _available() -> float:
    """GB of memory that a new program could have."""
    try:
        text = Path("/proc/meminfo").read_text()
        return int(text.split("MemAvailable:")[1].split()[0]) * 1024 / GB
    except (OSError, IndexError, ValueError):
        return float("nan")


def _folders() -> Iterator[Line]:
    from sep_helpers import corpora, workspace

    folder = workspace.work_folder()
    yield _writable(folder), "work folder", f"{folder} ({_why(folder)})"
    free = shutil.disk_usage(_existing(folder)).free / GB
    yield free > 1, "disk", f"{free:.1f} GB free there"
    embedded = corpora.embedded()
    yield True, "voices", f"{len(embedded.table)} embedded recordings, {embedded.sample_rate} Hz"
    if os.environ.get("SEP_CORPUS"):
        own = Path(os.environ["SEP_CORPUS"]).expanduser()
        yield own.is_dir(), "own corpus", f"{own}{'' if own.is_dir() else ' is not a folder'}"
    drive = (workspace.DRIVE / "MyDrive").is_dir()
    on_colab = importlib.util.find_spec("google.colab") is not None if _has("google") else False
    yield (True if drive else None), "Drive", ("mounted" if drive else "not mounted: tick "
           "KEEP_ON_DRIVE in a set-up cell" if on_colab else "only on Colab")


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _why(folder: Path) -> str:
    return "from SEP_WORK" if os.environ.get("SEP_WORK") else "SEP_WORK chooses another"


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _writable(folder: Path) -> bool:
    """Can a file be written in the folder, or in the nearest one above it that is there?"""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            return True
    except OSError:
        return False


def _tools() -> Iterator[Line]:
    ffmpeg = shutil.which("ffmpeg")
    yield True if ffmpeg else None, "ffmpeg", ffmpeg or "not found: only the microphone needs it"
    git = shutil.which("git")
    yield True if git else None, "git", git or "not found"

