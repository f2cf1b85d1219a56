"""plots: what is drawn is the data, on axes with units, in a figure that is shown once."""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.image import AxesImage

from sep_helpers import masks, plots
from sep_helpers.stft import stft

matplotlib.use("agg")
RATE = 8000
TONE = 0.5 * torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
TRACKS = {"mixture": TONE, "half": 0.5 * TONE[:4000]}


def history_of(values) -> pd.DataFrame:
    n = len(values)
    return pd.DataFrame({"epoch": range(n), "train_si_snr": np.array(values) + 1.0,
                         "val_si_snr": values, "learning_rate": np.full(n, 1e-3),
                         "grad_norm": np.full(n, 4.0), "seconds": np.full(n, 30.0),
                         "steps": np.full(n, 100)})


def results(**systems) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"system": name, "view": "test", "si_sdr": np.array(gain) + 1.0,
                                    "si_sdri": gain}) for name, gain in systems.items()])


SUMMARY = pd.DataFrame({"system": ["mixture", "net", "IRM"], "view": "test", "metric": "si_sdri",
                        "mean": [0.0, 5.0, 12.0], "low": [0.0, 4.5, np.nan],
                        "high": [0.0, 6.0, np.nan], "text": ["0.0", "5.0 (4.5 to 6.0)", "12.0"]})
RESULTS = results(one=[1.0, 2.0, 2.5, 9.0], two=[4.0, 4.0, 4.0, 4.0])
BOARD = pd.DataFrame({"variant": ["X4", "X4", "X8"], "seed": [0, 1, 0], "seen": [1.0, 3.0, 4.0],
                      "unseen": [0.5, 1.5, 3.0]})
SCORES = torch.tensor([[-3.0, 12.0], [9.0, -7.5]])
EVERY = {
    "waveforms": lambda: plots.waveforms(TRACKS, RATE),
    "spectrogram": lambda: plots.spectrogram(TONE, RATE),
    "spectrograms": lambda: plots.spectrograms(TRACKS, RATE),
    "masks": lambda: plots.masks(torch.rand(2, 129, 9), RATE),
    "history": lambda: plots.history(history_of([1.0, 3.0, 2.0])),
    "histories": lambda: plots.history({"a": history_of([1.0]), "b": history_of([2.0, 3.0])}),
    "filters": lambda: plots.filters(torch.randn(8, 16), RATE),
    "receptive_field": lambda: plots.receptive_field(3, 2),
    "comparison": lambda: plots.comparison(SUMMARY, oracles=("IRM",)),
    "improvement_histogram": lambda: plots.improvement_histogram(RESULTS),
    "input_vs_improvement": lambda: plots.input_vs_improvement(RESULTS),
    "spread": lambda: plots.spread(BOARD),
    "matrix": lambda: plots.matrix(SCORES, chosen=torch.tensor([1, 0])),
}


def panels(fig):
    """The axes that are no colour bars."""
    return [ax for ax in fig.axes if ax.get_label() != "<colorbar>"]


def colour_bars(fig):
    return [ax for ax in fig.axes if ax.get_label() == "<colorbar>"]


def picture(ax) -> AxesImage:
    return ax.get_images()[0]


@pytest.mark.parametrize("name", EVERY)
def test_every_picture_is_titled_labelled_closed_and_fits(name, recwarn):
    fig = EVERY[name]()
    assert not plt.get_fignums()                                    # closed: shown once
    title = fig.get_suptitle() or fig.axes[0].get_title(loc="left")
    assert title and title[0].isupper()
    bottom = panels(fig)[-1]
    assert bottom.get_xlabel() or [t.get_text() for t in bottom.get_xticklabels()][0]
    assert all(ax.get_ylabel() for ax in colour_bars(fig))
    fig.draw_without_rendering()
    box, (width, height) = fig.get_tightbbox(), fig.get_size_inches()
    assert min(box.x0, box.y0) > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01
    assert not [w.message for w in recwarn if "glyph" in str(w.message).lower()]


def test_waveforms_draw_the_samples_in_seconds_on_one_scale():
    fig = plots.waveforms(TRACKS, RATE)
    for ax, (name, x) in zip(fig.axes, TRACKS.items(), strict=True):
        t, y = ax.lines[0].get_data()
        assert np.allclose(y, x.numpy()) and np.allclose(t * RATE, np.arange(len(x)))
        assert ax.get_title(loc="left") == name
        assert ax.get_xlim() == (0, 1) and ax.get_ylim() == pytest.approx((-0.525, 0.525))
    assert fig.axes[-1].get_xlabel() == "time (s)" and fig.get_supylabel() == "amplitude"


def test_a_silent_track_has_a_scale_too():
    assert plots.waveforms({"silence": torch.zeros(100)}, RATE).axes[0].get_ylim() == (-1.05, 1.05)


def test_a_full_scale_tone_is_at_0_db_and_at_its_frequency():
    fig = plots.spectrogram(2 * TONE, RATE)
    ax, image = fig.axes[0], picture(fig.axes[0])
    values, (left, right, bottom, top) = image.get_array(), image.get_extent()
    middle = values[:, values.shape[1] // 2]
    assert middle.max() == pytest.approx(0, abs=0.01)
    height = (top - bottom) / len(middle)
    assert bottom + (middle.argmax() + 0.5) * height == pytest.approx(1.0)       # kHz
    assert (left, top) == pytest.approx((-0.004, 4 + height / 2)) and right == pytest.approx(1.004)
    assert ax.get_xlabel() == "time (s)" and ax.get_ylabel() == "frequency (kHz)"
    assert colour_bars(fig)[0].get_ylabel() == "level (dB)"
    low, high = image.get_clim()
    assert high - low == pytest.approx(plots.RANGE_DB) and high == values.max()


def test_spectrograms_share_one_colour_scale():
    fig = plots.spectrograms(TRACKS, RATE)
    images = [picture(ax) for ax in panels(fig)]
    assert images[0].get_clim() == images[1].get_clim() and len(colour_bars(fig)) == 1
    louder, softer = (im.get_array()[32, 20] for im in images)
    assert louder - softer == pytest.approx(20 * np.log10(2), abs=0.01)
    assert fig.get_supylabel() == "frequency (kHz)"


def test_masks_are_drawn_as_they_are_from_0_to_1():
    stack = masks.irm(stft(torch.stack([TONE, TONE.flip(0) * 0.3 + 0.1])))
    fig = plots.masks(stack, RATE, names=["a", "b"])
    for ax, name, mask in zip(panels(fig), "ab", stack, strict=True):
        assert np.allclose(picture(ax).get_array(), mask) and picture(ax).get_clim() == (0, 1)
        assert ax.get_title(loc="left") == name
    assert picture(panels(fig)[0]).get_extent()[3] == pytest.approx(4, abs=0.02)
    complex_ones = plots.masks(torch.full((1, 129, 3), 0.3 + 0.4j), RATE)
    assert np.allclose(picture(panels(complex_ones)[0]).get_array(), 0.5)


def test_history_lays_train_and_validation_over_each_other():
    fig = plots.history(history_of([1.0, 3.0, 2.0]), "A run")
    snr, *small = fig.axes
    train, val, star = snr.lines
    assert train.get_ydata().tolist() == [2, 4, 3] and val.get_ydata().tolist() == [1, 3, 2]
    assert val.get_xdata().tolist() == [1, 2, 3]                    # epochs are counted from 1
    assert (star.get_xdata().item(), star.get_ydata().item()) == (2, 3)
    assert train.get_color() != val.get_color() and train.get_linestyle() != val.get_linestyle()
    labels = [text.get_text() for text in snr.get_legend().get_texts()]
    assert labels == ["train", "validation, best 3.0 dB in epoch 2"]
    assert "dB" in snr.get_ylabel() and [ax.get_title(loc="left") for ax in small] == [
        "learning rate", "gradient norm", "time an epoch"]
    for ax, key in zip(small, ("learning_rate", "grad_norm", "seconds"), strict=True):
        top = history_of([1.0])[key].item()
        assert ax.lines[0].get_ydata().tolist() == [top] * 3
        assert ax.get_ylim() == pytest.approx((0, 1.1 * top))


def test_histories_give_every_run_a_colour():
    fig = plots.history({"a": history_of([1.0, 2.0]), "b": history_of([3.0]), "c": pd.DataFrame()})
    labels = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert labels == ["a, best 2.0 dB in epoch 2", "b, best 3.0 dB in epoch 1", "c, no epoch yet"]
    shown = [line.get_color() for line in fig.axes[1].lines]
    assert shown == plots.COLOURS[:2]
    assert plots.history(pd.DataFrame()).axes[1].get_ylim() == (0, 1)


def test_filters_are_sorted_by_their_peak_frequency():
    hertz = [3000, 500, 2000, 1000]
    t = torch.arange(64) / RATE
    weights = torch.stack([torch.hann_window(64) * torch.cos(2 * torch.pi * f * t) for f in hertz])
    left, right = panels(plots.filters(0.01 * weights, RATE))
    order = [1, 3, 2, 0]
    peak = weights.abs().amax(1, keepdim=True)
    assert np.allclose(picture(left).get_array(), (weights / peak)[order], atol=1e-6)
    levels = picture(right).get_array()
    assert np.allclose(levels.max(1), 0, atol=0.01)
    bins = levels.argmax(1) / (levels.shape[1] - 1) * picture(right).get_extent()[1]
    assert bins.tolist() == pytest.approx([0.5, 1, 2, 3], abs=0.03)
    assert left.get_xlabel() == "time (ms)" and picture(left).get_extent()[1] == 8
    assert right.get_xlabel() == "frequency (kHz)"


def test_a_dead_filter_is_drawn_too():
    fig = plots.filters(torch.zeros(3, 16), RATE)
    assert np.isfinite(picture(fig.axes[0]).get_array()).all()


@pytest.mark.parametrize("X, R, L, frames, seconds", [
    (8, 3, 16, 1531, "1.53"), (7, 2, 40, 509, "1.27"), (6, 4, 40, 505, "1.26"),
    (3, 1, 16, 15, "0.016"),
])
def test_receptive_field_is_the_papers_and_the_drawing_shows_it(X, R, L, frames, seconds):
    fig = plots.receptive_field(X, R, L=L)
    ax = fig.axes[0]
    assert f"{frames} frames = {seconds}" in ax.get_title(loc="left")
    rows = [line.get_xdata() for line in ax.lines[: R * X + 1]]
    ms = 1e3 * L / 2 / RATE
    assert len(rows[0]) == frames and rows[-1].tolist() == [0]
    assert np.ptp(rows[0]) == pytest.approx((frames - 1) * ms)
    assert rows[0].min() == -rows[0].max()
    assert ax.get_yticklabels()[1].get_text() == "dilation 1"
    assert ax.get_yticklabels()[-1].get_text() == f"dilation {2 ** (X - 1)}"


def test_receptive_field_is_what_a_network_of_ones_responds_to():
    """An impulse through dilated convolutions of ones lights exactly the drawn frames."""
    x = torch.zeros(1, 1, 101)
    x[..., 50] = 1
    for dilation in (1, 2, 4, 8):
        x = torch.nn.functional.conv1d(x, torch.ones(1, 1, 3), padding=dilation, dilation=dilation)
    lit = (x[0, 0].nonzero().flatten() - 50).tolist()
    drawn = plots.receptive_field(4, 1).axes[0].lines[0].get_xdata()        # 1 ms a frame
    assert drawn.tolist() == lit


def test_a_causal_network_is_drawn_without_a_future():
    ax = plots.receptive_field(3, 2, causal=True).axes[0]
    assert max(line.get_xdata().max() for line in ax.lines) == 0
    assert min(line.get_xdata().min() for line in ax.lines) == -28
    assert ", causal" in ax.get_title(loc="left")


def test_comparison_draws_means_intervals_and_kinds():
    ax = plots.comparison(SUMMARY, oracles=("IRM",)).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [0, 5, 12]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["mixture", "net", "IRM"]
    assert ax.yaxis_inverted() and ax.get_xlabel() == "SI-SDR improvement (dB)"
    assert {"5.0 (4.5 to 6.0)", "12.0"} <= {t.get_text() for t in ax.texts}
    ends = ax.containers[3].lines[2][0].get_segments()[0][:, 0]
    assert ends.tolist() == [4.5, 6.0]
    assert ax.patches[2].get_hatch() and not ax.patches[1].get_hatch()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["floor", "system", "oracle"]
    two_views = pd.concat([SUMMARY, SUMMARY.assign(view="heard")])
    ax = plots.comparison(two_views).axes[0]
    assert ax.get_yticklabels()[4].get_text() == "net, heard"


def test_histogram_counts_every_source_once():
    ax = plots.improvement_histogram(RESULTS).axes[0]
    steps = ax.patches[1].get_xy()
    counts = {round(x, 6): y for x, y in steps if y}
    assert counts == {1: 1, 2: 2, 3: 2, 9: 1, 10: 1} and steps[:, 1].max() == 2
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["one, mean 3.6 dB", "two, mean 4.0 dB"]
    assert ax.get_xlabel() == "SI-SDR improvement (dB)" and ax.get_ylabel() == "sources"


def test_no_system_is_left_out_for_want_of_colours():
    many = results(**{f"net{i}": [1.0, 2.0] for i in range(9)})
    for plot in (plots.improvement_histogram, plots.input_vs_improvement):
        assert len(plot(many).axes[0].get_legend().get_texts()) == 9


def test_improvement_is_drawn_over_the_input_level():
    table = pd.DataFrame({"system": "net", "si_sdr": [5.0, 6.0, 7.0, np.nan],
                          "si_sdri": [10.0, 6.0, 2.0, np.nan]})
    ax = plots.input_vs_improvement(table).axes[0]
    dots, line = ax.lines[0], ax.lines[1]
    assert dots.get_xdata().tolist() == [-5, 0, 5] and dots.get_ydata().tolist() == [10, 6, 2]
    assert line.get_xdata().tolist() == [-5, 5]
    assert line.get_ydata().tolist() == pytest.approx([10, 2])
    assert ax.get_xlabel() == "input SI-SDR (dB)"


def test_matrix_writes_every_score_and_frames_the_chosen():
    ax = panels(plots.matrix(SCORES, chosen=torch.tensor([1, 0])))[0]
    written = {t.get_position(): t.get_text() for t in ax.texts}
    assert written == {(0, 0): "-3.0", (1, 0): "12.0", (0, 1): "9.0", (1, 1): "-7.5"}
    centres = [(p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in ax.patches]
    assert np.allclose(centres, [(0, 1), (1, 0)])       # source 0 by estimate 1, 1 by 0
    assert [t.get_text() for t in ax.get_yticklabels()] == ["estimate 1", "estimate 2"]
    assert picture(ax).get_clim() == (-12, 12)


def contrast(a: str, b: str) -> float:
    def luminance(colour):
        c = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_palette_is_told_apart_without_red_green_vision():
    """Through a simulated deuteranopia (Machado et al., 2009), colours stay distinct."""
    assert len(set(plots.COLOURS)) == len(plots.COLOURS) == len(plots.LINESTYLES)
    simulate = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    seen = [simulate @ matplotlib.colors.to_rgb(c) for c in plots.COLOURS]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 0.12
    assert all(contrast(c, "white") > 2 for c in plots.COLOURS)
    assert to_hex(plots.COLOURS[0]) == "#0072b2"


def test_drawing_into_a_given_axes_leaves_the_figure_open():
    fig, axes = plt.subplots(1, 2)
    assert plots.spectrogram(TONE, RATE, ax=axes[1], title="Mine") is None
    assert axes[1].get_title(loc="left") == "Mine" and not axes[0].has_data()
    assert plt.get_fignums() == [fig.number]
    plt.close(fig)


def test_the_style_stays_inside():
    before = dict(plt.rcParams)
    plots.spectrogram(TONE, RATE)
    assert dict(plt.rcParams) == before


def test_a_notebook_shows_every_figure_once():
    """Also a figure of the learner's own, after the first of ours has loaded the backend."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = ["import torch\nfrom sep_helpers import plots\n"
             "plots.waveforms({'noise': torch.randn(80)}, 8000)",
             "fig = plots.matrix(torch.eye(2))",
             "import matplotlib.pyplot as plt\n_, ax = plt.subplots()\n"
             "plots.spectrogram(torch.randn(800), 8000, ax=ax)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    root = {"metadata": {"path": str(Path(__file__).parents[1])}}
    nbclient.NotebookClient(notebook, kernel_name="python3", resources=root).execute()
    pictures = [sum("image/png" in output.get("data", {}) for output in cell["outputs"])
                for cell in notebook["cells"]]
    assert pictures == [1, 0, 1]


def test_spread_shows_every_run_and_every_mean():
    ax = plots.spread(BOARD).axes[0]
    drawn = [sorted(line.get_xdata()) for line in ax.lines]
    assert drawn == [[1.0, 3.0], [2.0], [4.0], [4.0], [0.5, 1.5], [1.0], [3.0], [3.0]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["X4", "X8"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]                       # the first one on top
