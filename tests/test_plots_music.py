import numpy as np
import pandas as pd
import pytest
import torch

from sep_helpers import plots_music

RATE = 8000
STEMS = ("vocals", "drums", "bass", "other")


def tone(hertz: float, seconds: float = 1.0) -> torch.Tensor:
    time = torch.arange(int(seconds * RATE)) / RATE
    return 0.5 * torch.sin(2 * torch.pi * hertz * time)


def image_of(ax) -> np.ndarray:
    return ax.images[0].get_array()


@pytest.mark.parametrize("hertz", [100, 440, 2000])
def test_a_tone_lies_where_the_scale_of_octaves_says(hertz):
    stems = {"a": tone(hertz).expand(2, -1), "b": tone(3000).expand(2, -1)}
    figure = plots_music.stem_pictures(stems, torch.rand(2, 513, 32), RATE)
    left = figure.axes[0]
    row = image_of(left)[:, 16].argmax() + 0.5
    low, high = left.get_ylim()
    octave = low + row / plots_music.ROWS * (high - low)
    assert 2**octave == pytest.approx(hertz, rel=0.05)
    ticks = {text.get_text(): place for text, place in zip(left.get_yticklabels(),
                                                           left.get_yticks(), strict=True)}
    assert 2 ** ticks["200"] == pytest.approx(200) and 2 ** ticks["1 k"] == pytest.approx(1000)


def test_levels_are_in_db_of_a_full_scale_sine_and_masks_keep_their_scale():
    stems = {"a": 2 * tone(1000).expand(2, -1), "b": torch.zeros(2, RATE)}
    figure = plots_music.stem_pictures(stems, torch.full((2, 2, 513, 32), 0.25), RATE)
    left, right = figure.axes[0], figure.axes[1]
    assert image_of(left).max() == pytest.approx(0, abs=0.5)
    assert left.images[0].get_clim() == figure.axes[2].images[0].get_clim()
    assert (image_of(right) == 0.25).all() and right.images[0].get_clim() == (0, 1)


def test_the_code_is_sorted_by_time_and_dead_units_are_counted():
    code = torch.zeros(6, 5)
    for unit, block in enumerate((4, 0, 2)):
        code[block, unit] = 7.0
    figure = plots_music.code(code, 0.5, "Verse")
    ax = figure.axes[0]
    assert ax.get_title(loc="left") == "Verse: 3 of 5 units answer"
    assert list(image_of(ax).argmax(1)) == [0, 2, 4]
    assert ax.get_xlim() == (0, 3)


def test_units_are_grouped_by_the_stem_they_go_with():
    table = pd.DataFrame([[0.1, 0.9, np.nan, 0.8], [0.7, 0.2, np.nan, 0.1]], ["vocals", "drums"])
    shown = image_of(plots_music.answers(table).axes[0])
    np.testing.assert_allclose(shown, [[0.9, 0.8, 0.1], [0.2, 0.1, 0.7]])


def test_curves_have_one_line_a_training_and_the_mean_over_songs():
    rows = [{"variant": v, "epoch": e, "song": s, "stem": stem, "sdr": e + (v == "on") + s}
            for v in ("on", "off") for e in (1, 2) for s in (0, 1) for stem in STEMS]
    figure = plots_music.curves(pd.DataFrame(rows), "variant")
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(STEMS)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[2.5, 3.5], [1.5, 2.5]]


def test_standings_show_floors_and_ceilings_apart():
    table = pd.DataFrame([[-5.0, -4], [3, 2], [9, 8]], ["mixture", "net", "ideal IRM"],
                         ["drums", "bass"])
    ax = plots_music.standings(table, ("mixture",), ("ideal IRM",)).axes[0]
    points = [line for line in ax.lines if line.get_marker() in "oD"]
    assert [line.get_marker() for line in points] == ["D", "o", "D"]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    assert any(line.get_linestyle() == "--" and line.get_xdata()[0] == -5 for line in ax.lines)
