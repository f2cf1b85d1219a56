"""Reading what runs leave, however badly it was left."""

import pytest

from sep_helpers import checkpoints
from sep_helpers.runs import Run, board, history

ROWS = [{"epoch": e, "val_si_snr": v, "seconds": 2.0} for e, v in enumerate((1.0, 3.0, 2.0))]


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "a", {"model": {"X": 2}, "training": {"seed": 5, "epochs": 4}},
               facts={"origin": "study", "parameters": 7})
    made.save({"history": ROWS})
    return made


@pytest.mark.parametrize("junk", [b"", b"\x00\x01\xff", b"a,b\n1,2\n", b'"unclosed\n1',
                                  b"epoch,val_si_snr,seconds\nx,y,z\n", b"epoch,val_si_snr\n0,1\n"])
def test_junk_in_a_history_is_made_up_for_by_the_checkpoint(run, junk):
    (run.folder / "history.csv").write_bytes(junk)
    assert history(run.folder)["val_si_snr"].tolist() == [1.0, 3.0, 2.0]
    line = board(run.folder.parent).iloc[0]
    assert (line["run"], line["epochs"], line["best val SI-SNR (dB)"]) == ("a", 3, 3.0)
    assert (line["seconds"], line["origin"], line["seed"], line["of"]) == (6.0, "study", 5, 4)


def test_junk_without_a_checkpoint_is_an_empty_history(run):
    (run.folder / "history.csv").write_bytes(b"\xff\xfe")
    run.last.unlink()
    assert history(run.folder).empty and board(run.folder.parent)["epochs"].tolist() == [0]


@pytest.mark.parametrize("text", ["", "a: [1", "- a"])
def test_a_damaged_config_does_not_stop_the_board(run, tmp_path, text):
    Run(tmp_path / "b", {"model": {"X": 2}})
    (run.folder / "config.yaml").write_text(text)
    Run(tmp_path / "c", {"model": {"X": 2}})
    table = board(tmp_path)
    assert table["run"].tolist() == ["a", "b", "c"]
    assert "model.X" not in table                   # the readable ones do not differ in it


def test_the_board_is_sorted_by_any_column_and_shows_what_differs(tmp_path):
    for name, X, best in (("a", 2, 1.0), ("b", 3, 9.0), ("c", 2, 5.0)):
        Run(tmp_path / name, {"model": {"X": X, "R": 1}}).save(
            {"history": [{"epoch": 0, "val_si_snr": best, "seconds": 1.0}]})
    table = board(tmp_path, sort="best val SI-SNR (dB)")
    assert table["run"].tolist() == ["b", "c", "a"] and table["model.X"].tolist() == [3, 2, 2]
    assert "model.R" not in table and board(tmp_path / "nowhere").empty


@pytest.mark.parametrize("junk", ["", "a,b\n1,2\n", "view,mixture_id,si_sdri\nseen,x,loud\n"])
def test_a_measured_run_shows_what_it_gained_and_junk_does_not_stop_the_board(run, tmp_path, junk):
    (run.folder / "result.csv").write_text(junk)
    Run(tmp_path / "b", {"model": {"X": 2}})
    (tmp_path / "b" / "result.csv").write_text("view,mixture_id,si_sdri\nseen,a,1.0\nseen,b,4.0\n"
                                               "unseen,c,-2.0\n")
    table = board(tmp_path, sort="seen SI-SNRi (dB)").set_index("run")
    assert table.loc["b", "seen SI-SNRi (dB)"] == 2.5
    assert table.loc["b", "unseen SI-SNRi (dB)"] == -2
    assert table.loc["a", ["seen SI-SNRi (dB)", "unseen SI-SNRi (dB)"]].isna().all()


def test_a_newer_versions_run_is_not_guessed_at(run):
    file = run.folder / "config.yaml"
    file.write_text(file.read_text().replace("format: 2", "format: 3"))
    with pytest.raises(checkpoints.CheckpointError,
                       match=r"made by a newer version \(format 3, this one reads up to 2\)"):
        Run(run.folder, run.config)


def test_a_newer_versions_checkpoint_is_not_guessed_at(run):
    checkpoints.save(run.last, {**checkpoints.load(run.last), "format": 99})
    with pytest.raises(checkpoints.CheckpointError, match="newer version .format 99"):
        Run(run.folder, run.config).load()


def test_the_checkpoint_of_another_run_of_the_same_config_is_refused(run, tmp_path):
    other = Run(tmp_path / "b", run.config)
    other.save({"history": []})
    other.last.replace(run.last)
    with pytest.raises(checkpoints.CheckpointError, match=r"of another run \(same config\)"):
        Run(run.folder, run.config).load()


def test_facts_are_kept_and_never_compared(run):
    again = Run(run.folder, run.config, facts={"origin": "yours", "corpus": "x"})
    assert again.record["facts"] == {"origin": "study", "parameters": 7, "corpus": "x"}


def test_new_settings_are_written_only_once_the_checkpoint_is_known_to_be_good(run):
    before = (run.folder / "config.yaml").read_bytes()
    wanted = {**run.config, "training": {"seed": 5, "epochs": 9}}
    damaged = run.last.read_bytes()[:600]
    run.last.write_bytes(damaged)
    with pytest.raises(checkpoints.CheckpointError, match="bring back a whole copy; a training"):
        Run(run.folder, wanted, "settings")
    assert (run.folder / "config.yaml").read_bytes() == before
    anew = Run(run.folder, wanted, resume=False)           # as the message says
    assert anew.load() is None
    assert (run.folder / "earlier_1" / "last.pt").read_bytes() == damaged


def test_an_unknown_way_to_resume_is_refused(run):
    with pytest.raises(checkpoints.CheckpointError, match="'weight': choose from .*'weights'"):
        Run(run.folder, run.config, "weight")
