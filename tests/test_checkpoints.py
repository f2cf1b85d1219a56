"""Checkpoints: whole or not at all, exact, never code, refused when they belong elsewhere."""

import errno
import os
import pickle

import pytest
import torch

from sep_helpers import checkpoints
from sep_helpers.checkpoints import CheckpointError
from sep_helpers.runs import Run, board, history

STATE = {"config": {"a": 1}, "weights": torch.arange(1000.0), "history": [{"epoch": 0}]}


def test_what_is_saved_comes_back(tmp_path):
    checkpoints.save(tmp_path / "x.pt", STATE)
    back = checkpoints.load(tmp_path / "x.pt")
    assert torch.equal(back["weights"], STATE["weights"]) and back["history"] == STATE["history"]
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_a_truncated_newest_falls_back_to_the_one_before_and_says_so(tmp_path):
    file = tmp_path / "x.pt"
    checkpoints.save(file, {"n": 1})
    checkpoints.save(file, {"n": 2})
    file.write_bytes(file.read_bytes()[:200])
    with pytest.warns(UserWarning, match="truncated or damaged; going on from x.pt.previous"):
        assert checkpoints.load(file)["n"] == 1


@pytest.mark.parametrize("keep", [0, 1, 200, 900])
def test_a_truncated_only_checkpoint_is_one_clear_line(tmp_path, keep):
    file = tmp_path / "x.pt"
    checkpoints.save(file, STATE)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="x.pt: ") as error:
        checkpoints.load(file)
    assert "\n" not in str(error.value)


def test_no_checkpoint_names_the_remedy(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint: train first"):
        checkpoints.load(tmp_path / "x.pt")


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_that_would_run_code_is_not_opened(tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    if how == "torch":
        torch.save({"model": Bomb()}, "x.pt")
    else:
        (tmp_path / "x.pt").write_bytes(pickle.dumps({"model": Bomb()}))
    with pytest.raises(CheckpointError, match="could run code"):
        checkpoints.load("x.pt")
    assert not (tmp_path / "exploded").exists()


def test_a_full_disk_leaves_the_last_checkpoint_untouched(tmp_path, monkeypatch):
    file = tmp_path / "x.pt"
    checkpoints.save(file, {"n": 1})

    def full(state, handle):
        handle.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left on device.*free some disk space"):
        checkpoints.save(file, {"n": 2})
    assert checkpoints.load(file)["n"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_really_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "previous", lambda path: path.with_name("previous"))
    draft = tmp_path / f".x.pt.{os.getpid()}.tmp"
    draft.symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="could not be saved"):
        checkpoints.save(tmp_path / "x.pt", STATE)
    assert list(tmp_path.iterdir()) == []


def test_the_difference_is_shown_key_by_key():
    saved = {"model": {"X": 8, "R": 4}, "seed": 0}
    wanted = {"model": {"X": 8, "R": 1}, "seed": 0, "batch": 2}
    assert checkpoints.difference(saved, wanted) == [
        "batch: nothing saved, 2 wanted", "model.R: 4 saved, 1 wanted"]


def test_a_run_folder_of_another_config_is_refused(tmp_path):
    Run(tmp_path / "run", {"model": {"X": 8, "R": 4}})
    Run(tmp_path / "run", {"model": {"X": 8, "R": 4}})
    with pytest.raises(CheckpointError, match=r"another config \(model.R: 4 saved, 1 wanted\)"):
        Run(tmp_path / "run", {"model": {"X": 8, "R": 1}})


def test_a_swapped_checkpoint_is_refused(tmp_path):
    for name, depth in [("deep", 8), ("flat", 2)]:
        Run(tmp_path / name, {"X": depth}).save({"history": []})
    os.replace(tmp_path / "deep/last.pt", tmp_path / "flat/last.pt")
    with pytest.raises(CheckpointError, match="X: 8 saved, 2 wanted"):
        Run(tmp_path / "flat", {"X": 2}).load()


def test_a_killed_process_leaves_no_temporary_file_after_the_next_start(tmp_path):
    Run(tmp_path / "run", {})
    (tmp_path / "run" / ".last.pt.123.tmp").write_bytes(b"half a checkpoint")
    run = Run(tmp_path / "run", {})
    assert run.load() is None
    assert [p.name for p in run.folder.iterdir()] == ["config.yaml"]


def test_the_board_lists_every_run(tmp_path):
    for name, values in [("a", [1.0, 3.0, 2.0]), ("b", [4.0])]:
        rows = [{"epoch": i, "val_si_snr": v, "seconds": 60.0} for i, v in enumerate(values)]
        Run(tmp_path / name, {}).save({"history": rows})
    Run(tmp_path / "c", {})
    table = board(tmp_path).set_index("run")
    assert list(table["epochs"]) == [3, 1, 0]
    assert list(table["best val SI-SNR (dB)"])[:2] == [3.0, 4.0]
    assert list(history(tmp_path / "a")["val_si_snr"]) == [1.0, 3.0, 2.0]
    assert history(tmp_path / "c").empty


def test_a_truncated_newest_falls_back_wherever_it_was_cut(tmp_path):
    file = tmp_path / "x.pt"
    checkpoints.save(file, {"n": 1})
    checkpoints.save(file, {"n": 2, "weights": torch.randn(30_000)})
    whole = file.read_bytes()
    for cut in range(0, len(whole) - 1, len(whole) // 40):
        file.write_bytes(whole[:cut])
        with pytest.warns(UserWarning, match="going on from x.pt.previous"):
            assert checkpoints.load(file)["n"] == 1


def test_flipped_bytes_are_noticed(tmp_path):
    file = tmp_path / "x.pt"
    checkpoints.save(file, {"weights": torch.randn(30_000)})
    content = bytearray(file.read_bytes())
    content[60_000:60_050] = bytes(50)
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="x.pt: is "):
        checkpoints.load(file)


@pytest.mark.parametrize("text", ["", "a: [1", "- a", "\x00\x01", "just words"])
def test_a_damaged_config_of_a_run_names_the_remedy(tmp_path, text):
    config = {"model": {"X": 2}}
    Run(tmp_path / "run", config).save({"history": []})
    (tmp_path / "run" / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError, match="config.yaml: is damaged: delete it") as error:
        Run(tmp_path / "run", config)
    assert "\n" not in str(error.value)
    (tmp_path / "run" / "config.yaml").unlink()
    assert Run(tmp_path / "run", config).load() is not None
