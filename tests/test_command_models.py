"""`python -m sep_helpers models`: what is on the shelf, and the card of one."""

from sep_helpers import trained
from sep_helpers.__main__ import main


def test_the_shelf_names_every_shipped_network_with_its_size(capsys):
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert all(f"{name} " in said for name in trained.shipped())
    assert "parameters" in said and " MB " in said and "unseen" in said


def test_a_card_says_what_was_heard_and_how_it_was_made(capsys):
    name = trained.shipped()[0]
    assert main(["models", name]) == 0
    said = capsys.readouterr().out
    assert "made_by: make studies" in said and f"{name}/model.safetensors" in said


def test_what_is_not_there_is_one_line(capsys, tmp_path):
    assert main(["models", "nobody"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("models: nobody: no network there") and said.count("\n") == 1
