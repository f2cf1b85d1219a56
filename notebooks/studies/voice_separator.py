"""Train the small two-voice separator that stands in for the one of notebook 05.

    make studies ONLY=voice_separator        a quarter of an hour on two cores; resumable

The `laptop` network, trained twice as long and on longer mixtures of the embedded voices. Writes
assets/checkpoints/voice_separator; the study `measure` measures it.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sep_helpers import (  # noqa: E402
    checkpoints,
    corpora,
    course_views,
    joining,
    models,
    training,
    workspace,
)

LONGER = 2   # times the epochs of the preset
LAPTOP = {"segment_seconds": 2.0, "steps_per_epoch": 1000}   # longer mixtures than the preset's
SHIPPED = {"laptop": ROOT / "assets", "smoke": ROOT / "work" / "studies" / "smoke"}


def main() -> None:
    preset = workspace.choose("laptop")
    if preset.name == "laptop":
        preset = replace(preset, **LAPTOP)
    corpus = corpora.embedded()
    folder = ROOT / "work" / "studies" / f"voice_separator_{preset.name}"
    model, history = train(preset, corpus, folder)
    out = SHIPPED.get(preset.name, ROOT / "work" / "studies" / preset.name)
    file = write_model(model, out / "checkpoints" / "voice_separator", preset, corpus, history)
    print(file)


def train(preset, corpus, folder):
    """Train, or go on training; the network of the best epoch, and the history."""
    view = course_views.train_view(corpus, seconds=preset.segment_seconds, speed=preset.speed,
                                   n_mixtures=preset.steps_per_epoch * preset.batch)
    val = course_views.frozen_view("val", corpus, preset.n_val)
    settings = training.Settings(epochs=LONGER * preset.epochs, batch=preset.batch,
                                 learning_rate=preset.learning_rate, warmup=preset.warmup,
                                 clip=preset.clip)
    torch.manual_seed(0)
    model = models.build(models.complete({"name": "conv_tasnet", **preset.model, "n_sources": 2,
                                          "sample_rate": corpus.sample_rate}))
    history = training.fit(model, view, val, settings, folder, on_epoch=tell)
    model.load_state_dict(checkpoints.load(folder / "best.pt")["model"])
    return model, history


def tell(trainer) -> None:
    row, epochs = trainer.history[-1], trainer.settings.epochs
    left = row["seconds"] * (epochs - trainer.epoch) / 60
    print(f"epoch {trainer.epoch} of {epochs}: train {row['train_si_snr']:.2f} dB, validation "
          f"{row['val_si_snr']:.2f} dB, about {left:.0f} minutes left", flush=True)


def write_model(model, folder: Path, preset, corpus, history) -> Path:
    """The weights in 16 bits with their card; curve and recordings beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    heard = joining.heard(corpus, corpus.table[
        (corpus.table.split != "test") & (corpus.table.language == "en")].assign(
            corpus="voices", source=lambda rows: rows.file, licence="CC0-1.0"))
    models.save(model, folder / "model.safetensors", half=True,
                title="Conv-TasNet, synthetic voices only", tests="voices", preset=preset.name,
                seed=0, epochs=len(history), minutes=round(history["seconds"].sum() / 60, 1),
                recordings=len(heard), data="assets/voices (synthetic)", licence="CC0-1.0",
                made_by="make studies ONLY=voice_separator")
    history.round(4).to_csv(folder / "history.csv", index=False)
    heard.to_csv(folder / "heard.csv", index=False)
    return folder / "model.safetensors"


if __name__ == "__main__":
    main()
