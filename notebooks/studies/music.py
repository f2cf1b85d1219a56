"""Four stems from real songs: stereo against mono, with and without augmentation, three networks.

    make studies ONLY=music PRESET=laptop       about 9 minutes of one quiet core; resumable
    python notebooks/studies/music.py U-Net     only that variant is trained now

Trained on the training excerpts of music_real (in the folder that SEP_REAL_DATA names) and on the
verse of the embedded song; validation and test are songs of their own. Stems that sound are brought
to one level, since the raw ones lie up to 20 dB apart; silent ones stay silent. The plan is
assets/studies/music.yaml; the laptop's tables are kept beside it, the network that is shipped in
assets/checkpoints/music_separator.
"""

import argparse
import math
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import (  # noqa: E402
    cards,
    checkpoints,
    corpora,
    models,
    song_evaluation,
    sweeps,
    training,
    views,
    workspace,
)
from sep_helpers.song_separation import separate_song  # noqa: E402
from sep_helpers.stems import STEMS  # noqa: E402

RATE, LEVEL_DB = 22050, -25.0      # Hz; RMS of every stem that sounds
SILENCE_DB = -90.0                 # a stem below is silent, whatever its last bits say
COLUMNS = ["system", "song", "stem", "sdr", "song_sdr", "windows", "silent", "consistency",
           "real_time", "parameters", "cpu_seconds"]


@dataclass(frozen=True)
class Plan:
    """assets/studies/music.yaml at one preset."""

    preset: str
    networks: dict
    augmentation: dict
    speed: float
    variants: dict
    shipped: str
    epochs: int
    share: float
    batch: int
    seconds: float
    warmup: int
    learning_rate: float
    n_val: int

    def network(self, variant: str) -> dict:
        """The full config of a variant's network."""
        config = self.networks[self.variants[variant]["network"]]
        return models.complete(config | {"n_sources": len(STEMS), "sample_rate": RATE})

    def steps(self, variant: str) -> int:
        return max(2, round(self.share * self.variants[variant]["steps"]))


def read_plan(preset: str) -> Plan:
    told = yaml.safe_load((sweeps.FOLDER / "music.yaml").read_text(encoding="utf-8"))
    return Plan(preset, **told.pop("presets")[preset], **told)


def join(folder: Path) -> Path:
    """A folder with all songs: music_real as it is split, and the embedded verse to train on."""
    real = Path(os.environ.get("SEP_REAL_DATA", ROOT.parent / "shared" / "data")) / "music_real"
    if not (real / "manifest.csv").is_file():
        sys.exit(f"music: no recordings in {real}: set SEP_REAL_DATA to the folder that holds "
                 "music_real, or open songs of your own as notebook 07 does")
    tables = []
    for source, kept in ((real, ("train", "val", "test")), (ROOT / "assets" / "music", ("train",))):
        table = pd.read_csv(source / "manifest.csv")[["file", "track", "stem", "split"]]
        table = table[table["split"].isin(kept)]
        for file in table["file"]:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / file).is_file():
                shutil.copyfile(source / file, folder / file)
        tables.append(table)
    pd.concat(tables).to_csv(folder / "manifest.csv", index=False)
    return folder


def recipe(split: str, **changes) -> views.Recipe:
    """Four stems of one song, cut at one place, each at LEVEL_DB if it sounds at all."""
    return views.Recipe(name=f"songs_{split}", split=split, n_sources=len(STEMS), sample_rate=RATE,
                        categories=list(STEMS), together="track", rms_db=LEVEL_DB, level_db=0.0,
                        **changes)


def train(plan: Plan, variant: str, folder: Path, out: Path, minutes: float) -> pd.DataFrame:
    """Train a variant, or go on with it, for at most so many minutes; its history."""
    config, told = plan.network(variant), plan.variants[variant]
    corpus = corpora.open_corpus(folder, RATE, config.get("channels", 1), kind="stem")
    augment = plan.augmentation
    if config.get("channels", 1) == 1:
        augment = {name: value for name, value in augment.items() if name != "swap"}
    changed = {"augment": augment, "speed": plan.speed} if told["augmented"] else {}
    view = views.LiveView(corpus, recipe("train", seconds=plan.seconds, seed=7, floor_db=20.0,
                                         n_mixtures=plan.steps(variant) * plan.batch, **changed))
    val = views.FrozenView(corpus, views.freeze(
        corpus, recipe("val", seconds=3.0, n_mixtures=plan.n_val, seed=8)))
    settings = training.Settings(epochs=plan.epochs, batch=plan.batch, warmup=plan.warmup,
                                 learning_rate=plan.learning_rate, assignment="fixed",
                                 objective=told.get("objective", "snr"), max_minutes=minutes)
    torch.manual_seed(0)
    return training.fit(models.build(config), view, val, settings, out, on_epoch=Watch(folder, out))


class Watch:
    """After every epoch: the SDR of each stem of the validation songs, kept in curve.csv."""

    def __init__(self, folder: Path, out: Path):
        self.view = song_evaluation.song_view(
            corpora.open_corpus(folder, RATE, 2, kind="stem"), "val", rms_db=LEVEL_DB)
        self.file, self.began = out / "curve.csv", time.process_time()

    def __call__(self, trainer) -> None:
        row = {"epoch": trainer.epoch, "cpu_seconds": round(time.process_time() - self.began),
               "train": round(trainer.history[-1]["train_si_snr"], 2)}
        rows = [row | {"song": item["id"], "stem": stem, "sdr": round(float(figure), 2)}
                for item in self.view for stem, figure in zip(
                    STEMS, sdr(separate_song(trainer.model, item["mixture"]), item["sources"]),
                    strict=True)]
        lines = pd.DataFrame(rows).dropna()
        if self.file.is_file():
            before = pd.read_csv(self.file)
            lines = pd.concat([before[before["epoch"] < trainer.epoch], lines])
        lines.to_csv(self.file, index=False)
        print(f"epoch {trainer.epoch}, {row['cpu_seconds']} s of CPU: {lines['sdr'].mean():.2f} dB",
              flush=True)


def sdr(estimates: torch.Tensor, stems: torch.Tensor) -> torch.Tensor:
    """10 log10 |s|^2 / |s - e|^2 over both channels, in dB, NaN for a stem that is silent."""
    power = stems.square().sum((1, 2))
    ratio = power / (stems - estimates).square().sum((1, 2)).clamp(min=1e-9)
    return torch.where(power > 1e-6 * stems.numel() / len(stems), 10 * ratio.log10(), torch.nan)


def measure(plan: Plan, folder: Path, work: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(what all that is trained reaches on whole songs, stem by stem; the curves on the way)."""
    corpus = corpora.open_corpus(folder, RATE, 2, kind="stem")
    tables = [on_songs(corpus, song_evaluation.floors_and_ceilings(), work / "bounds.csv")]
    curves = []
    for variant in plan.variants:
        run = place(work, variant)
        if not (run / "finished").is_file():
            print(f"{variant}: not trained yet, left out")
            continue
        network = trained(plan, variant, run)
        curves.append(pd.read_csv(run / "curve.csv").assign(variant=variant))
        tables.append(on_songs(corpus, {variant: network}, run / "songs.csv").assign(
            cpu_seconds=curves[-1]["cpu_seconds"].max(),
            parameters=models.count_parameters(network)))
    table = pd.concat(tables)
    loud = {file.removesuffix(".flac"): corpus.rms_db(file) > SILENCE_DB
            for file in corpus.table["file"]}
    heard = [loud[f"{row.song}/{row.stem}"] for row in table.itertuples()]
    return table.loc[heard, ["view", *COLUMNS]].round(3), pd.concat(curves)


def on_songs(corpus, systems: dict, kept: Path) -> pd.DataFrame:
    """Systems on the validation and the test songs; what was measured before is kept in a file."""
    if not kept.is_file():
        songs = {split: song_evaluation.song_view(corpus, split, rms_db=LEVEL_DB)
                 for split in ("val", "test")}
        found = [song_evaluation.evaluate_songs(system, view, name, filters=False)
                 .assign(view=split)
                 for split, view in songs.items() for name, system in systems.items()]
        pd.concat(found).to_csv(kept, index=False)
    return pd.read_csv(kept)


def write_cards(plan: Plan, table: pd.DataFrame, folder: Path) -> None:
    """A card for every network on every view: the mean over the stems of its medians over songs."""
    for (view, system), rows in table.dropna(subset="parameters").groupby(["view", "system"]):
        medians = rows.groupby("stem")["sdr"].median()
        name = "_".join(["music", place(Path(), system).name, view])
        cards.ResultCard(
            name=name, system=system, view=f"songs_{view}", metric="sdr", mean=medians.mean(),
            low=math.nan, high=math.nan, n=rows["song"].nunique(), preset=plan.preset,
            origin="shipped", seconds=rows["cpu_seconds"].max(), machine=workspace.machine(),
            seed=0, data="music_real", parameters=int(rows["parameters"].max())).write(folder)


def place(work: Path, variant: str) -> Path:
    return work / variant.replace(", ", "_").replace(" ", "_")


def trained(plan: Plan, variant: str, run: Path) -> torch.nn.Module:
    """The network at the end of its training: the schedule has come to rest there."""
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["model"]
    if config != plan.network(variant):
        sys.exit(f"{run} was trained with another network than the plan's: move it away")
    model = models.build(config)
    model.load_state_dict(checkpoints.load(run / "last.pt")["model"])
    return model.eval()


def ship(plan: Plan, work: Path, out: Path) -> None:
    """The chosen variant's weights in 16 bits, and its curve."""
    run = place(work, plan.shipped)
    if not (run / "finished").is_file():
        print(f"{plan.shipped}: not trained yet, nothing is shipped")
        return
    out.mkdir(parents=True, exist_ok=True)
    models.save(trained(plan, plan.shipped, run), out / "model.safetensors", half=True,
                title=f"{plan.shipped}, four stems of stereo music", names=list(STEMS), seed=0,
                preset=plan.preset, licence="CC0-1.0",
                data="music_real (train excerpts, CC0: Software-Entwicklungskit, 'Everything is "
                     "Free'), embedded verse (CC0)", made_by="make studies ONLY=music")
    pd.read_csv(run / "curve.csv").to_csv(out / "history.csv", index=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and measure separators of stems.")
    parser.add_argument("variants", nargs="*", help="train these only, and measure nothing")
    parser.add_argument("--measure", action="store_true", help="what is there, train nothing")
    parser.add_argument("--minutes", type=float, default=600, help="of this sitting; it resumes")
    asked = parser.parse_args()
    plan = read_plan(workspace.start("laptop").preset.name)
    work = ROOT / "work" / "studies" / f"music_{plan.preset}"
    folder = join(ROOT / "work" / "studies" / "songs")
    for variant in [] if asked.measure else asked.variants or plan.variants:
        print(variant, flush=True)
        train(plan, variant, folder, place(work, variant), asked.minutes)
    if asked.variants:
        return
    table, curves = measure(plan, folder, work)
    kept = plan.preset == "laptop"
    write_cards(plan, table, ROOT / "assets" / "cards" if kept else work / "cards")
    for name, rows in {"music.csv": table, "music_curves.csv": curves}.items():
        rows.to_csv((sweeps.FOLDER if kept else work) / name, index=False)
    ship(plan, work, (ROOT / "assets" if kept else work) / "checkpoints" / "music_separator")
    print(table.pivot_table(index=["view", "system"], columns="stem", values="sdr", sort=False,
                            aggfunc="median").round(2))


if __name__ == "__main__":
    main()
