"""Where a notebook stands: its preset, its device, its folder, and what the others left for it.

    ws = workspace.start("auto")
    corpus = ws.corpus()
    ws.save_artifact("voice_separator", {"model.pt": ws.run_folder("pit") / "best.pt"}, seed=0)
    model_file = ws.load_artifact("voice_separator") / "model.pt"
"""

import errno
import os
import platform
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sep_helpers import artifacts, drive_mirror

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "assets" / "checkpoints"
DRIVE = Path("/content/drive")
FOLDER_ON_DRIVE = "source_separation_course"


class WorkspaceError(ValueError):
    """An unknown preset, a folder that cannot be written, an artifact nobody has made yet."""


@dataclass(frozen=True)
class Preset:
    """How big everything is: one value of each kind, for every notebook that trains."""

    name: str  # smoke, laptop, t4 or full
    note: str  # who it is for, in a few words
    model: dict = field(repr=False)  # what it changes in a Conv-TasNet config (the paper's letters)
    segment_seconds: float = 1.5  # length of a training mixture: short ones leave time for many
    batch: int = 1  # mixtures a step: on a CPU, many small steps learn more in the same time
    steps_per_epoch: int = 1200  # steps between two validations
    epochs: int = 10  # validations in the whole training
    learning_rate: float = 1e-3  # of Adam, after the warm-up
    warmup: int = 200  # steps in which the learning rate climbs from 0
    clip: float = 5.0  # largest norm of the gradient
    speed: float = 0.16  # training voices are sped up or slowed down by up to this part
    n_val: int = 40  # mixtures of the validation view
    n_test: int = 100  # mixtures of the test view
    max_minutes: float = 20.0  # a training stops here, wherever it is


TINY = dict(N=32, L=32, B=16, H=32, Sc=16, P=3, X=3, R=1, norm="gLN", mask="relu")
SMALL = dict(N=256, L=32, B=128, H=256, Sc=128, P=3, X=6, R=1, norm="gLN", mask="relu")
PAPER = dict(N=512, L=16, B=128, H=512, Sc=128, P=3, X=8, R=3, norm="gLN", mask="relu")

PRESETS = {preset.name: preset for preset in (
    Preset("smoke", "seconds a training, only to show that everything runs", TINY,
           segment_seconds=1.0, batch=2, steps_per_epoch=3, epochs=2, warmup=2,
           n_val=4, n_test=4, max_minutes=0.3),
    Preset("laptop", "minutes a training, on a CPU", SMALL),
    Preset("t4", "Colab's free GPU", PAPER,
           segment_seconds=2.0, batch=8, steps_per_epoch=250, epochs=20, warmup=500,
           n_val=100, n_test=200, max_minutes=45.0),
    Preset("full", "a night on a big GPU", PAPER,
           segment_seconds=3.0, batch=16, steps_per_epoch=1000, epochs=100, warmup=2000,
           n_val=300, n_test=500, max_minutes=600.0),
)}


def choose(name: str = "auto") -> Preset:
    """The preset of that name; SEP_PRESET overrides it; auto is t4 where CUDA is, else laptop."""
    name = os.environ.get("SEP_PRESET") or name
    if name == "auto":
        name = "t4" if torch.cuda.is_available() else "laptop"
    if name not in PRESETS:
        raise WorkspaceError(f"unknown preset {name!r}: choose one of auto, {', '.join(PRESETS)}")
    return PRESETS[name]


@dataclass(frozen=True)
class Workspace:
    """What `start` found: `preset`, `device`, and `folder`, where runs, artifacts and cards go."""

    preset: Preset
    device: torch.device
    folder: Path
    drive: Path | None = None  # where Drive is mounted, when `folder` lies on it

    def corpus(self):
        """The embedded corpus, or the learner's own in the folder that SEP_CORPUS names.

        Raises WorkspaceError for one that is not of voices, which are what the notebooks separate.
        """
        from sep_helpers import corpora

        own = os.environ.get("SEP_CORPUS")
        corpus = corpora.open_corpus(own) if own else corpora.embedded()
        if corpus.kind != "speaker":
            raise WorkspaceError(
                f"SEP_CORPUS={own}: holds recordings by {corpus.kind}, the notebooks take voices, "
                f"a folder a speaker: open these with corpora.open_corpus({own!r}) instead")
        return corpus

    def run_folder(self, name: str) -> Path:
        """The folder of one training run, made when it is not there yet.

        With Drive it lies on this machine's disk all the same, and `training.fit` copies its
        checkpoints to Drive: writing there at every step would be slow, and could fail.
        """
        if self.drive is None:
            return _make_folder(self.folder / "runs" / name)
        folder = _make_folder(ROOT / "work" / "runs" / name)
        drive_mirror.mark(folder, self.folder / "runs" / name, self.drive)
        return folder

    @property
    def cards(self) -> Path:
        """The folder of the result cards (JSON) that the results table is made from."""
        return _make_folder(self.folder / "cards")

    def save_artifact(self, name: str, content: artifacts.Content, **facts) -> Path:
        """Keep something for a later notebook, as the learner's own; return its folder.

        `content` is {file name: bytes, or a file to copy}, or a function that writes into the
        folder it is given; `facts` (seed=..., config=...) go into its manifest.
        """
        shelf = _make_folder(self.folder / "artifacts" / name)
        facts = facts | {"name": name, "preset": self.preset.name, "origin": "yours"}
        with _explained(shelf):
            return artifacts.save(shelf, content, facts)

    def load_artifact(self, name: str) -> Path:
        """The folder of an artifact, the learner's newest sound one, else the shipped one.

        Prints one line saying whose it is. With neither, the error names the notebook to run.
        """
        for own in reversed(artifacts.saves(self.folder / "artifacts" / name)):
            fault = artifacts.fault(own)
            if fault is None:
                manifest = artifacts.read_manifest(own)
                print(f"{name}: yours, preset {manifest['preset']}, made {manifest['made']}")
                return own
            print(f"{name}: yours in {own} is unusable ({fault}), passed over")
        maker, shipped = _maker(name), SHIPPED / name
        if shipped.exists():
            print(f"{name}: shipped with the course, not yours; {maker} makes yours")
            return shipped
        raise WorkspaceError(f"no artifact {name!r} in {self.folder}, none shipped: run {maker}")


def start(preset: str = "auto", drive: bool = False) -> Workspace:
    """Choose preset, device and folder; print three lines that say which.

    `drive=True` mounts Google Drive first, on Colab, so that the work outlives the runtime: what
    is finished lies there, trainings run on the local disk and are copied there.
    """
    if drive and on_colab():
        _mount_drive()
    chosen = choose(preset)
    cuda = torch.cuda.is_available()
    folder = _make_folder(work_folder())
    drive_root = DRIVE / "MyDrive" if folder.is_relative_to(DRIVE / "MyDrive") else None
    ws = Workspace(chosen, torch.device("cuda" if cuda else "cpu"), folder, drive_root)
    hardware = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    print(f"Python {platform.python_version()} · torch {torch.__version__} · {hardware}")
    print(f"preset {chosen.name}: {chosen.note}")
    print(f"your work is kept in {ws.folder}"
          + ("; trainings run on this machine and are copied there" if drive_root else ""))
    return ws


def on_colab() -> bool:
    """Is this kernel one of Colab's?"""
    return "google.colab" in sys.modules


def machine() -> str:
    """The machine in one line, for result cards, benches and the course's pages."""
    try:
        cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):  # no such file, or no such line
        cpu = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return (f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GB{gpu}; {platform.system()}, "
            f"Python {platform.python_version()}, torch {torch.__version__}")


def work_folder() -> Path:
    """$SEP_WORK, else Drive where it is mounted, else `work` beside the package."""
    if os.environ.get("SEP_WORK"):
        return Path(os.environ["SEP_WORK"]).expanduser().resolve()
    if (DRIVE / "MyDrive").is_dir():
        return DRIVE / "MyDrive" / FOLDER_ON_DRIVE
    return ROOT / "work"


def _mount_drive() -> None:
    from google.colab import drive

    try:
        drive.mount(str(DRIVE))
    except Exception as error:  # whatever Colab raises, the learner can go on without Drive
        print(f"Drive was not mounted ({error}): your work stays on this runtime and ends with it")


def _make_folder(folder: Path) -> Path:
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


REMEDIES = {
    errno.ENOSPC: "the disk is full: delete old runs",
    errno.ENOTCONN: "Drive was disconnected: mount it again",
    errno.EACCES: "it cannot be written: change its permissions",
    errno.EROFS: "it cannot be written",
}


@contextmanager
def _explained(folder: Path):
    """An operating system's error about a folder becomes one line with the remedy."""
    try:
        yield
    except OSError as error:
        why = REMEDIES.get(error.errno, str(error))
        raise WorkspaceError(f"{folder}: {why}, or set SEP_WORK to another folder") from error


def _maker(name: str) -> str:
    """The notebook that saves an artifact of that name, as the notebooks themselves tell."""
    call = f'save_artifact(\\"{name}\\"'  # as it stands in a notebook's JSON
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if call in notebook.read_text(encoding="utf-8"):
            return f"notebooks/{notebook.name}"
    return "the notebook that saves it"
