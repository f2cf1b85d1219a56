"""Draw the README's picture and write its sounds: the shipped network on an ordinary mixture.

    python notebooks/figures.py      assets/figures/separation.png and assets/demo/*.flac

Ordinary: of all test mixtures of two unheard voices, ranked by what the network gains, the middle.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sep_helpers import audio, corpora, course_views, evaluation, models, plots  # noqa: E402
from sep_helpers.permutation import pit, reorder  # noqa: E402

ASSETS = ROOT / "assets"
TITLES = {"mixture": "two voices at once", "estimate_1": "what the network makes of it: {:.1f} dB "
          "gained", "voice_1": "what was really said", "estimate_2": "", "voice_2": ""}


def ordinary(model, view) -> tuple[dict, float]:
    """The waveforms of the mixture with the median improvement, and that improvement in dB."""
    table = evaluation.evaluate(model, view, "Conv-TasNet", bss=False)
    gains = evaluation.per_utterance(table).sort_values()
    name = gains.index[len(gains) // 2]
    item = next(item for item in view if item["id"] == name)
    estimates = evaluation.separate(model, item["mixture"])[None]
    ordered = reorder(estimates, pit(estimates, item["sources"][None])[1])[0]
    return dict(mixture=item["mixture"], estimate_1=ordered[0], estimate_2=ordered[1],
                voice_1=item["sources"][0], voice_2=item["sources"][1]), gains[name]


@plots.figure
def picture(tracks: dict, rate: int, gain: float):
    """The mixture above, the estimates below it on the left, the truth on the right."""
    rows = [["mixture", "mixture"], ["estimate_1", "voice_1"], ["estimate_2", "voice_2"]]
    fig, axes = plt.subplot_mosaic(rows, figsize=(10, 6.2), sharex=True, sharey=True)
    levels = {name: plots.decibels(x) for name, x in tracks.items()}
    top, extent = levels["mixture"].max(), (0, len(tracks["mixture"]) / rate, 0, rate / 2000)
    for name, ax in axes.items():
        shown = plots.image(ax, levels[name], extent, cmap=plots.LEVELS, vmin=top - 70, vmax=top)
        ax.set_title(TITLES[name].format(gain), fontsize=11)
    fig.colorbar(shown, ax=list(axes.values()), label="level (dB)", pad=0.01)
    fig.supxlabel("time (s)", fontsize=10)
    fig.supylabel("frequency (kHz)", fontsize=10)
    return fig


if __name__ == "__main__":
    corpus = corpora.embedded()
    network = models.load(ASSETS / "checkpoints" / "voice_separator" / "model.safetensors")
    tracks, gain = ordinary(network, course_views.frozen_view("unseen", corpus))
    file = ASSETS / "figures" / "separation.png"
    picture(tracks, corpus.sample_rate, gain).savefig(file, dpi=100)
    Image.open(file).convert("RGB").quantize(256).save(file, optimize=True)    # a third of the size
    (ASSETS / "demo").mkdir(exist_ok=True)
    for name in ("mixture", "estimate_1", "estimate_2"):
        audio.write(ASSETS / "demo" / f"{name}.flac", tracks[name], corpus.sample_rate)
