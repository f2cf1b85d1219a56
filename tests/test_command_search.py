"""`search`: from a config's section to a board and pictures, alone and with a second worker."""

import yaml

from sep_helpers import experiment, search
from sep_helpers.__main__ import main
from sep_helpers.commands import common

TINY = {"name": "conv_tasnet", "N": 8, "L": 8, "B": 4, "H": 8, "Sc": 4, "P": 3, "R": 1}


def write_config(tmp_path, **asked):
    told = {"preset": "smoke", "model": TINY,
            "data": {"seconds": 0.25, "n_mixtures": 4, "n_val": 4},
            "training": {"epochs": 3, "batch": 2, "warmup": 2},
            "search": {"trials": 6, "keys": {"model.X": [1, 2], "training.learning_rate":
                                             {"low": 1e-4, "high": 1e-2, "log": True}}} | asked}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(told))
    return str(tmp_path / "config.yaml")


def test_a_search_with_two_workers_leaves_a_board_run_folders_and_pictures(tmp_path, capsys):
    config, folder = write_config(tmp_path), tmp_path / "search"
    assert main(["search", config, str(folder), "--workers", "2"]) == 0
    assert len(list(folder.glob("trial_*/config.yaml"))) == 6
    said = capsys.readouterr().out
    assert "best val SI-SNR (dB)" in said and "training.learning_rate" in said
    assert main(["search", str(folder), "--plots", str(tmp_path / "pictures")]) == 0
    assert "3 pictures in" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        "trials.png", "halving.png", "importance.png"}
    assert (folder / "run.log").read_text().count("trial ") >= 1


def test_what_is_wrong_is_one_line(tmp_path, capsys):
    config = write_config(tmp_path, keys={"training.learning_rat": [1e-3, 1e-2]})
    for arguments, words in [([config, str(tmp_path / "s")], "did you mean 'learning_rate'"),
                             ([config], "no folder for the search"),
                             ([str(tmp_path)], "there is no search")]:
        assert main(["search", *arguments]) == 1
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1


def test_the_example_is_a_search_of_a_training_that_can_be_set_up():
    told = common.read_yaml(experiment.workspace.ROOT / "assets" / "trainings" / "search.yaml")
    asked = search.Search.of(told)
    for number in range(3):
        whole = experiment.read(asked.settings, asked.point(number))
        assert whole["training"]["epochs"] == 9
