"""A training from one YAML file, every name checked; a run folder alone is enough to go on."""

import math
import os
import subprocess
from pathlib import Path

import pytest
import soundfile
import yaml
from toy_corpus import make_sound, write_manifest
from toy_training import MODEL, tones

from sep_helpers import checkpoints, experiment
from sep_helpers.experiment import ExperimentError
from sep_helpers.models import ConfigError
from sep_helpers.runs import board, history
from sep_helpers.training import SettingsError
from sep_helpers.views import ViewError

ROOT = Path(__file__).resolve().parents[1]
TINY = {key: MODEL[key] for key in ("name", "N", "L", "B", "H", "Sc", "X", "R", "mask")}


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture
def told(corpus_folder):
    return {"model": dict(TINY),
            "data": {"corpus": str(corpus_folder), "seconds": 0.25, "n_mixtures": 8, "n_val": 3},
            "training": {"epochs": 2, "batch": 2, "warmup": 2}}


@pytest.mark.parametrize("change, error, said", [
    ({"modle": {}}, ExperimentError, "unknown section 'modle': did you mean 'model'?"),
    ({"training": {"epoch": 3}}, SettingsError, "unknown setting 'epoch': did you mean 'epochs'?"),
    ({"training": {"optimizer": "admaw"}}, SettingsError, "did you mean 'adamw'?"),
    ({"data": {"second": 2.0}}, ExperimentError, "key 'second' in data: did you mean 'seconds'?"),
    ({"data": [1]}, ExperimentError, "section 'data' must hold lines like"),
    ({"model": {"name": "conv_tasnett"}}, ConfigError, "conv_tasnet"),
    ({"preset": "labtop"}, ExperimentError, "unknown preset 'labtop': did you mean 'laptop'?"),
    ({"model": {}}, ConfigError, "has no model: write a section, or name a preset"),
])
def test_a_wrong_name_is_one_line_with_the_nearest(told, change, error, said):
    with pytest.raises(error) as caught:
        experiment.read({**told, **change})
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_conditions_hold_for_validation_too(told, tmp_path):
    for name in ("hum", "hiss"):
        make_sound(tmp_path / "noises" / name / "0.flac")
    write_manifest(tmp_path / "noises", ["hum/0.flac,hum,train", "hiss/0.flac,hiss,val"],
                   "file,category,split")
    told["data"] |= {"n_sources": 3, "noise": str(tmp_path / "noises"), "noise_snr_db": [5, 5]}
    model, train_view, val_view, _ = experiment.set_up(told)
    assert model.n_sources == 3
    for item in (train_view.epoch(0)[0], val_view[0]):
        assert item["sources"].shape[0] == 3 and item["noise"].abs().max() > 0
    half = experiment.train(told, tmp_path / "run", changes={"training.epochs": 1})
    whole = experiment.resume(tmp_path / "run", changes={"training.epochs": 2})
    assert len(half) == 1 and len(whole) == 2 and whole.val_si_snr.notna().all()


@pytest.mark.parametrize("text", ["a: [1", "just words", "", "\x00"])
def test_a_file_that_is_no_training_is_one_line(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ExperimentError, match="x.yaml: ") as error:
        experiment.read(tmp_path / "x.yaml")
    assert "\n" not in str(error.value)
    with pytest.raises(ExperimentError, match="nowhere.yaml: cannot be read"):
        experiment.read(tmp_path / "nowhere.yaml")


def test_a_preset_fills_what_is_left_out_and_changes_come_last():
    whole = experiment.read({"preset": "laptop", "model": {"X": 3}, "training": {"batch": 2}},
                            {"training.learning_rate": 5e-4, "model.R": 2, "data.seconds": 1.0})
    assert (whole["model"]["X"], whole["model"]["R"], whole["model"]["N"]) == (3, 2, 256)
    assert whole["training"]["batch"] == 2 and whole["training"]["learning_rate"] == 5e-4
    assert whole["data"]["seconds"] == 1.0
    with pytest.raises(ExperimentError, match="unknown key 'rate': write section.key"):
        experiment.read({"preset": "laptop"}, {"rate": 1})


def test_the_example_is_a_training():
    whole = experiment.read(ROOT / "assets/trainings/train.yaml")
    assert whole["model"]["name"] == "conv_tasnet" and whole["training"]["schedule"]


def test_a_run_folder_alone_is_enough_to_go_on(told, tmp_path, monkeypatch):
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump(told))
    unbroken = experiment.train(file, tmp_path / "unbroken", device="cpu")

    class RuntimeDied(Exception):
        pass

    def die(trainer):
        if trainer.number == 6:
            raise RuntimeDied
    with pytest.raises(RuntimeDied):
        experiment.train(file, tmp_path / "a", device="cpu", on_step=die)
    monkeypatch.setenv("SEP_CORPUS", "/somewhere/else")           # the run knows its corpus
    resumed = experiment.resume(tmp_path / "a", device="cpu")
    figures = ["train_si_snr", "val_si_snr", "grad_norm"]
    assert resumed[figures].equals(unbroken[figures])
    last = [checkpoints.load(tmp_path / name / "last.pt")["model"] for name in ("unbroken", "a")]
    assert all((last[0][key] == last[1][key]).all() for key in last[0])
    longer = experiment.resume(tmp_path / "a", changes={"training.epochs": 3}, device="cpu")
    assert len(longer) == 3 and experiment.of_run(tmp_path / "a")["training"]["epochs"] == 3


def test_the_board_shows_what_differs(told, tmp_path):
    for name, changes in (("a", {}), ("b", {"model.X": 3, "training.seed": 4})):
        experiment.train(told, tmp_path / "deep" / name, changes=changes, device="cpu",
                         facts={"origin": "study"})
    table = board(tmp_path, sort="seconds")
    assert set(table["run"]) == {"deep/a", "deep/b"} and set(table["origin"]) == {"study"}
    table = board(tmp_path).set_index("run")
    assert table["model.X"].tolist() == [2, 3] and table["seed"].tolist() == [0, 4]
    assert table["epochs"].tolist() == [2, 2] and table["of"].tolist() == [2, 2]
    assert table["parameters"]["deep/b"] > table["parameters"]["deep/a"] > 0
    best = history(tmp_path / "deep/a")["val_si_snr"].max()
    assert table["best val SI-SNR (dB)"]["deep/a"] == best
    assert "model.N" not in table and "data.seconds" not in table


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(ExperimentError, match="holds no run: give the folder"):
        experiment.resume(tmp_path)


# --- the cluster's script, with stand-ins for Slurm and accelerate

def slurm(tmp_path, finished, **env):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in {
        "srun": 'shift; exec "$@"', "scontrol": '[ "$1" = show ] && echo node7 || echo "again $2"',
        "accelerate": 'echo "cpu=${ACCELERATE_USE_CPU:-} accelerate $*"; '
                      + (f"touch {tmp_path}/finished" if finished else ""),
    }.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}\n")
        (tools / name).chmod(0o755)
    given = {"PATH": f"{tools}:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(tmp_path),
             "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_ID": "4242",
             "SLURM_CPUS_PER_TASK": "8", "SLURM_NODEID": "1", "SLURM_JOB_NAME": "separation", **env}
    return subprocess.run(["bash", ROOT / "assets/trainings/train.slurm", "my.yaml", str(tmp_path)],
                          env=given, capture_output=True, text=True, check=True).stdout


def test_the_slurm_script_starts_one_process_a_gpu_and_queues_again(tmp_path):
    said = slurm(tmp_path, finished=False, SLURM_GPUS_ON_NODE="2")
    for words in ("--multi_gpu --num_machines 2 --machine_rank 1 --num_processes 4",
                  "--main_process_ip node7", "-m sep_helpers train my.yaml", "again 4242"):
        assert words in said
    minutes = int(said.split("training.max_minutes=")[1].split()[0])
    assert 230 <= minutes <= 235


def test_the_slurm_script_stops_when_the_training_is_over(tmp_path):
    said = slurm(tmp_path, finished=True, SLURM_JOB_NUM_NODES="1")
    assert "--cpu --num_machines 1" in said and "again" not in said


def test_the_slurm_script_joins_machines_without_a_gpu(tmp_path):
    said = slurm(tmp_path, finished=True)                       # with --cpu each would train alone
    assert "cpu=true accelerate launch --multi_gpu --num_machines 2" in said
    assert "--num_processes 2" in said and "--cpu" not in said


# --- recordings that cannot be read

def test_a_broken_recording_stops_with_its_name_or_is_skipped_on_request(told, tmp_path, capsys):
    broken = tones(tmp_path / "tones")
    samples, rate = soundfile.read(broken / "v1/train.flac")
    samples[4000] = math.nan
    soundfile.write(broken / "v1/train.wav", samples, rate, subtype="FLOAT")
    (broken / "v1/train.flac").unlink()
    lines = (broken / "manifest.csv").read_text()
    (broken / "manifest.csv").write_text(lines.replace("v1/train.flac", "v1/train.wav"))
    told["data"] |= {"corpus": str(broken), "n_mixtures": 24}
    told["training"] |= {"batch": 8}
    with pytest.raises(ViewError, match="v1/train.wav has samples that are NaN"):
        experiment.train(told, tmp_path / "stops", device="cpu")
    skipping = {**told, "data": {**told["data"], "skip": True}}
    experiment.train(skipping, tmp_path / "goes_on", device="cpu",
                     changes={"training.max_minutes": 0.0})
    done = experiment.resume(tmp_path / "goes_on", device="cpu",
                             changes={"training.max_minutes": 10.0})
    assert done["train_si_snr"].notna().all() and len(done) == 2
    assert "v1/train.wav" in capsys.readouterr().out
    with pytest.raises(ExperimentError, match="data.skip='yes' must be true or false"):
        experiment.read({**told, "data": {"skip": "yes"}})


def test_stems_in_one_file_stereo_and_augmented(tmp_path):
    """The shipped example, shortened: the model's form opens the corpus, songs are kept apart."""
    told = yaml.safe_load((ROOT / "assets/trainings/music.yaml").read_text())
    told["model"] |= {"depth": 2, "width": 2}
    told["data"] |= {"seconds": 0.2, "n_mixtures": 4, "n_val": 2}
    told["training"] |= {"epochs": 1, "batch": 2}
    model, train_view, val_view, _ = experiment.set_up(told)
    assert (model.n_sources, model.channels, model.sample_rate) == (4, 2, 22050)
    item = train_view.epoch(0)[0]
    assert item["sources"].shape == (4, 2, 4410) and train_view.recipe.augment["remix"] == 0.5
    assert [cut.category for cut in val_view.mixtures[0]] == told["data"]["categories"]
    songs = [{cut.file.split("/")[0] for cut in cuts} for cuts in val_view.mixtures]
    assert songs == [{"bridge"}, {"bridge"}]
    assert len(experiment.train(told, tmp_path / "run")) == 1
    again = experiment.resume(tmp_path / "run", changes={"training.epochs": 2})
    assert len(again) == 2 and again.attrs["finished"]
    saved = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert saved["data"]["augment"] == told["data"]["augment"]
    assert saved["facts"]["corpus"] == "music"


def test_two_stems_make_a_network_of_two_outputs():
    data = {"corpus": "music", "categories": ["vocals", "other"], "together": "track"}
    whole = experiment.read({"model": {"name": "unet"}, "data": data})
    assert whole["model"]["n_sources"] == 2
    model, train_view, *_ = experiment.set_up(
        {"model": {"name": "unet", "sample_rate": 22050}, "data": data | {"n_val": 1}})
    assert train_view.epoch(0)[0]["sources"].shape[0] == 2 and train_view.corpus.channels == 1
