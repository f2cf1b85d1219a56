"""Pictures of trainings from their folders; the curves themselves are tested in test_plots."""

import pandas as pd
import pytest

from sep_helpers import plots_training


def write_run(folder, epochs, wanted=10, swapped=True):
    folder.mkdir(parents=True)
    rows = pd.DataFrame({"epoch": range(epochs), "train_si_snr": 1.0, "val_si_snr": 2.0,
                         "learning_rate": 1e-3, "grad_norm": 1.0, "seconds": 60.0, "steps": 5})
    if swapped:
        rows["swapped"] = [float("nan"), *[0.25] * (epochs - 1)][:epochs]
    rows.to_csv(folder / "history.csv", index=False)
    (folder / "config.yaml").write_text(f"training: {{epochs: {wanted}}}\n")
    return folder


@pytest.mark.parametrize("epochs, words", [
    (4, "mine: 4 of 10 epochs, about 6 min left at this pace"),
    (10, "mine: 10 of 10 epochs"), (0, "mine: 0 of 10 epochs")])
def test_a_runs_folder_is_enough_and_says_what_is_left(tmp_path, epochs, words):
    fig = plots_training.from_folders(write_run(tmp_path / "mine", epochs))
    assert fig._suptitle.get_text() == words


def test_a_folder_without_a_config_still_gives_its_curve(tmp_path):
    folder = write_run(tmp_path / "mine", 3)
    (folder / "config.yaml").write_text("training: [")
    assert plots_training.from_folders(folder)._suptitle.get_text() == "mine: 3 epochs"


def test_several_runs_lie_over_each_other_also_of_one_name(tmp_path):
    folders = [write_run(tmp_path / place / "mine", 3) for place in "ab"]
    fig = plots_training.from_folders(*folders)
    labels = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert len(labels) == 2 and "a/mine" in labels[0] and "b/mine" in labels[1]
    assert fig._suptitle.get_text() == "2 runs"


def test_the_changed_orders_have_a_panel_where_they_are_known(tmp_path):
    fig = plots_training.from_folders(write_run(tmp_path / "new", 3))
    panel = next(ax for ax in fig.axes if ax.get_title(loc="left") == "order changed")
    assert panel.lines[0].get_ydata()[-1] == pytest.approx(25)
    for folder in (write_run(tmp_path / "old", 3, swapped=False), write_run(tmp_path / "one", 1)):
        fig = plots_training.from_folders(folder)
        assert "order changed" not in [ax.get_title(loc="left") for ax in fig.axes]
