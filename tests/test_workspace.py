"""Presets, the work folder, and artifacts that pass from one notebook to the next."""

import dataclasses
import errno
import json
import sys
import types

import pytest
import torch

from sep_helpers import artifacts, drive_mirror, workspace
from sep_helpers.workspace import PRESETS, Workspace, WorkspaceError


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in ("SEP_PRESET", "SEP_WORK", "SEP_CORPUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(workspace, "DRIVE", tmp_path / "no-drive")
    monkeypatch.setattr(workspace, "SHIPPED", tmp_path / "shipped")


@pytest.fixture
def ws(tmp_path):
    return Workspace(PRESETS["smoke"], torch.device("cpu"), tmp_path / "work")


# --- presets

@pytest.mark.parametrize("cuda, name", [(True, "t4"), (False, "laptop")])
def test_auto_follows_the_hardware(monkeypatch, cuda, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert workspace.choose("auto") is PRESETS[name]


def test_the_environment_overrides_the_form(monkeypatch):
    monkeypatch.setenv("SEP_PRESET", "smoke")
    assert workspace.choose("full").name == "smoke"


@pytest.mark.parametrize("wrong", ["big", "Laptop", "auto "])
def test_unknown_preset_is_one_line_with_the_choices(wrong):
    with pytest.raises(WorkspaceError) as error:
        workspace.choose(wrong)
    assert str(error.value) == (f"unknown preset {wrong!r}: choose one of auto, smoke, laptop, t4, "
                                "full")


def test_presets_are_frozen_and_grow():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["smoke"].batch = 1
    steps = [preset.steps_per_epoch * preset.epochs * preset.batch for preset in PRESETS.values()]
    assert steps == sorted(steps) and list(PRESETS) == ["smoke", "laptop", "t4", "full"]


# --- where the work goes

def test_start_says_three_lines(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SEP_WORK", str(tmp_path / "mine"))
    ws = workspace.start("smoke")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert f"torch {torch.__version__}" in lines[0]
    assert lines[1].startswith("preset smoke: ")
    assert lines[2] == f"your work is kept in {tmp_path / 'mine'}"
    assert ws.folder == tmp_path / "mine" and ws.folder.is_dir()


def test_drive_is_used_where_it_is_mounted(monkeypatch, tmp_path, capsys):
    (tmp_path / "drive" / "MyDrive").mkdir(parents=True)
    monkeypatch.setattr(workspace, "DRIVE", tmp_path / "drive")
    assert workspace.start("smoke").folder == tmp_path / "drive/MyDrive/source_separation_course"


def test_with_drive_runs_lie_on_this_machine_and_are_copied_there(monkeypatch, tmp_path, capsys):
    (tmp_path / "drive" / "MyDrive").mkdir(parents=True)
    monkeypatch.setattr(workspace, "DRIVE", tmp_path / "drive")
    monkeypatch.setattr(workspace, "ROOT", tmp_path / "course")
    ws = workspace.start("smoke")
    assert "trainings run on this machine and are copied there" in capsys.readouterr().out
    folder = ws.run_folder("pit")
    assert folder == tmp_path / "course/work/runs/pit" and folder.is_dir()
    on_drive = tmp_path / "drive/MyDrive/source_separation_course"
    assert drive_mirror.of(folder).remote == on_drive / "runs/pit"
    assert drive_mirror.of(folder / "seed_3").remote == on_drive / "runs/pit/seed_3"
    assert drive_mirror.of(folder).root == tmp_path / "drive/MyDrive"
    assert ws.cards == on_drive / "cards"
    (tmp_path / "drive/MyDrive").rename(tmp_path / "gone")          # it vanishes
    assert ws.run_folder("other").is_dir()


def test_without_drive_a_run_has_one_home(ws):
    assert drive_mirror.of(ws.run_folder("pit")) is None


def test_start_mounts_drive_when_asked_on_colab(monkeypatch, tmp_path, capsys):
    def mount(point):
        (tmp_path / "drive" / "MyDrive").mkdir(parents=True)
        assert point == str(tmp_path / "drive")

    fake_colab(monkeypatch, mount)
    monkeypatch.setattr(workspace, "DRIVE", tmp_path / "drive")
    assert "MyDrive" in str(workspace.start("smoke", drive=True).folder)


def test_a_refused_drive_is_said_and_the_work_goes_on(monkeypatch, tmp_path, capsys):
    def mount(point):
        raise RuntimeError("Error: credential propagation was unsuccessful")

    fake_colab(monkeypatch, mount)
    monkeypatch.setattr(workspace, "ROOT", tmp_path)
    assert workspace.start("smoke", drive=True).folder == tmp_path / "work"
    assert capsys.readouterr().out.startswith("Drive was not mounted (Error: credential")


def fake_colab(monkeypatch, mount):
    colab = types.ModuleType("google.colab")
    colab.drive = types.SimpleNamespace(mount=mount)
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)


def test_a_file_in_the_way_of_the_folder_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEP_WORK", str(tmp_path / "file" / "work"))
    with pytest.raises(WorkspaceError, match="or set SEP_WORK to another folder$"):
        workspace.start("smoke")


def test_folders_of_runs_and_cards(ws):
    assert ws.run_folder("pit") == ws.folder / "runs" / "pit" and ws.run_folder("pit").is_dir()
    assert ws.cards == ws.folder / "cards" and ws.cards.is_dir()


def test_machine_is_one_line_with_cores_and_versions():
    line = workspace.machine()
    assert "\n" not in line and " cores, " in line and f"torch {torch.__version__}" in line


def test_corpus_is_the_learners_own_when_set(monkeypatch, ws):
    corpora = types.ModuleType("sep_helpers.corpora")
    def opened(folder):
        return types.SimpleNamespace(kind="stem" if "music" in folder else "speaker", folder=folder)

    corpora.embedded, corpora.open_corpus = lambda: opened("embedded"), opened
    monkeypatch.setitem(sys.modules, "sep_helpers.corpora", corpora)
    monkeypatch.setattr("sep_helpers.corpora", corpora, raising=False)
    assert ws.corpus().folder == "embedded"
    monkeypatch.setenv("SEP_CORPUS", "/my/voices")
    assert ws.corpus().folder == "/my/voices"
    monkeypatch.setenv("SEP_CORPUS", "/my/music")
    with pytest.raises(WorkspaceError, match="SEP_CORPUS=/my/music: .* by stem, .* voices") as said:
        ws.corpus()
    assert "\n" not in str(said.value)


# --- artifacts

def test_an_artifact_comes_back_with_its_manifest(ws, tmp_path, capsys):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    ws.save_artifact("net", {"model.pt": b"weights", "table.csv": tmp_path / "table.csv"}, seed=3)
    folder = ws.load_artifact("net")
    assert (folder / "model.pt").read_bytes() == b"weights"
    assert (folder / "table.csv").read_text() == "a,b\n1,2\n"
    manifest = artifacts.read_manifest(folder)
    assert (manifest["name"], manifest["seed"], manifest["preset"], manifest["origin"]) == (
        "net", 3, "smoke", "yours")
    assert manifest["versions"]["torch"] == torch.__version__
    assert capsys.readouterr().out == f"net: yours, preset smoke, made {manifest['made']}\n"


def test_a_function_may_write_the_artifact(ws):
    ws.save_artifact("net", lambda folder: torch.save({"w": torch.ones(2)}, folder / "model.pt"))
    state = torch.load(ws.load_artifact("net") / "model.pt", weights_only=True)
    assert torch.equal(state["w"], torch.ones(2))


def test_the_newest_is_loaded_and_two_are_kept(ws):
    for number in range(12):
        ws.save_artifact("net", {"model.pt": str(number).encode()})
    assert (ws.load_artifact("net") / "model.pt").read_bytes() == b"11"
    assert [path.name for path in artifacts.saves(ws.folder / "artifacts" / "net")] == [
        "0011", "0012"]


@pytest.mark.parametrize("harm, reason", [
    (lambda folder: (folder / "model.pt").write_bytes(b"wei"), "model.pt is damaged"),
    (lambda folder: (folder / "model.pt").unlink(), "model.pt is missing"),
    (lambda folder: (folder / "manifest.json").write_text("{"), "no readable manifest"),
])
def test_a_broken_newest_falls_back_to_the_one_before_and_says_so(ws, capsys, harm, reason):
    ws.save_artifact("net", {"model.pt": b"old weights"})
    harm(ws.save_artifact("net", {"model.pt": b"new weights"}))
    assert (ws.load_artifact("net") / "model.pt").read_bytes() == b"old weights"
    assert reason in capsys.readouterr().out


def test_an_interrupted_save_leaves_the_old_one_and_no_draft(ws):
    ws.save_artifact("net", {"model.pt": b"old weights"})

    def stopped(folder):
        (folder / "model.pt").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ws.save_artifact("net", stopped)
    assert (ws.load_artifact("net") / "model.pt").read_bytes() == b"old weights"
    assert [path.name for path in (ws.folder / "artifacts" / "net").iterdir()] == ["0001"]


def test_the_shipped_one_is_taken_and_announced_as_not_yours(ws, capsys):
    (workspace.SHIPPED / "net").mkdir(parents=True)
    assert ws.load_artifact("net") == workspace.SHIPPED / "net"
    assert capsys.readouterr().out.startswith("net: shipped with the course, not yours")


def test_a_missing_artifact_names_the_notebook_that_makes_it(ws, monkeypatch, tmp_path):
    monkeypatch.setattr(workspace, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    cell = {"source": ['ws.save_artifact("net", {"model.pt": weights}, seed=0)\n']}
    (tmp_path / "notebooks" / "05_train.ipynb").write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(WorkspaceError) as error:
        ws.load_artifact("net")
    assert str(error.value) == (f"no artifact 'net' in {ws.folder}, none shipped: "
                                "run notebooks/05_train.ipynb")
    with pytest.raises(WorkspaceError, match="run the notebook that saves it"):
        ws.load_artifact("other")


@pytest.mark.parametrize("number, remedy", [
    (errno.ENOSPC, "the disk is full: delete old runs"),
    (errno.ENOTCONN, "Drive was disconnected: mount it again"),
])
def test_what_the_system_refuses_is_explained_and_nothing_lost(ws, number, remedy):
    ws.save_artifact("net", {"model.pt": b"old weights"})

    def refused(folder):
        raise OSError(number, "refused")

    with pytest.raises(WorkspaceError, match=remedy):
        ws.save_artifact("net", refused)
    assert (ws.load_artifact("net") / "model.pt").read_bytes() == b"old weights"
