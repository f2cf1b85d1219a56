"""shipping: from a file to a network that says what it is, what it heard, and how it was made."""

import os

import pandas as pd
import pytest
import torch
import yaml
from toy_corpus import make_sound, write_manifest
from toy_training import MODEL, tones

from sep_helpers import checkpoints, experiment, models, shipping, standard_views, trained
from sep_helpers.corpora import CorpusError
from sep_helpers.shipping import ShippingError

PLAN = {
    "ship": {"title": "Toy", "tests": "voices", "corpora": {"chords": {"licence": "CC0-1.0"}}},
    "model": MODEL, "data": {"seconds": 0.25, "n_mixtures": 4, "n_val": 2},
    "training": {"epochs": 2, "batch": 2, "warmup": 1},
}


@pytest.fixture
def plans(tmp_path, monkeypatch):
    """A folder of plans with one in it, and a folder of real recordings."""
    tones(tmp_path / "real/chords")
    for name in ("hum", "hiss"):
        make_sound(tmp_path / "real/noises" / name / "0.flac")
        make_sound(tmp_path / "real/noises" / name / "1.flac")
    write_manifest(tmp_path / "real/noises",
                   ["hum/0.flac,hum,train,ann", "hum/1.flac,hum,val,bob", "hiss/0.flac,hiss,test,"],
                   "file,category,split,author")
    (tmp_path / "trainings/shipped").mkdir(parents=True)
    (tmp_path / "trainings/attributions.yaml").write_text("chords: Chords of our own.\n"
                                                          "noises: Noises of ann and bob.\n")
    monkeypatch.setattr(shipping, "PLANS", tmp_path / "trainings/shipped")
    monkeypatch.setenv("SEP_REAL_DATA", str(tmp_path / "real"))
    write(tmp_path, "toy", PLAN)
    return tmp_path


def write(folder, name, plan):
    (folder / f"trainings/shipped/{name}.yaml").write_text(yaml.safe_dump(plan))


def made(folder, name):
    plan = shipping.read(name)
    history = shipping.train(plan, folder / "runs" / name, folder / "work", say=lambda line: None,
                             start=folder / "runs" / plan.start if plan.start else None)
    return history, shipping.put_away(plan, folder / "runs" / name, folder / "work",
                                      out=folder / "out")


def test_what_is_put_away_is_the_best_epoch_in_half_with_its_papers(plans):
    history, file = made(plans, "toy")
    card, network = models.read_card(file), models.load(file)
    best = checkpoints.load(plans / "runs/toy/best.pt")["model"]
    for key, value in network.state_dict().items():
        assert torch.equal(value, best[key].half().float())
    assert len(history) == 2 == card["epochs"] and card["steps"] == 4
    assert card["minutes"] >= 0 and card["attribution"] == ["Chords of our own."]
    assert card["training"] == experiment.of_run(plans / "runs/toy")
    assert pd.read_csv(file.parent / "history.csv").val_si_snr.max() == pytest.approx(
        card["val_si_snr"], abs=0.01)
    heard = pd.read_csv(file.parent / "heard.csv")
    assert set(heard.split) == {"train", "val"} and len(heard) == 8 == card["recordings"]
    assert set(heard.licence) == {"CC0-1.0"}
    assert trained.shipped(plans / "out") == ["toy"]


def test_noise_and_another_networks_weights(plans):
    made(plans, "toy")
    noisy = {**PLAN, "ship": {**PLAN["ship"], "noise": {"noises": {}}, "start": "toy"},
             "data": {**PLAN["data"], "noise_snr_db": [0, 5]},
             "training": {**PLAN["training"], "learning_rate": 0.0}}
    write(plans, "noisy", noisy)
    assert shipping.names() == ["toy", "noisy"]          # what begins with another comes last
    _, train_view, val_view, _ = shipping.set_up(shipping.read("noisy"), plans / "work",
                                                 start=plans / "runs/toy")
    for item in (train_view.epoch(0)[0], val_view[0]):
        assert item["noise"].abs().max() > 0 and item["cuts"][-1].category == "hum"
    _, file = made(plans, "noisy")                       # a rate of 0: the weights stay
    old = trained.load(plans / "runs/toy").state_dict()
    assert all(torch.equal(value, old[key].half().float())
               for key, value in models.load(file).state_dict().items())
    heard = pd.read_csv(file.parent / "heard.csv")
    assert {"ann", "bob"} <= set(heard.author) and "hiss" not in set(heard.who)


def test_a_step_on_the_way_counts_in_what_begins_with_it(plans):
    write(plans, "first", {**PLAN, "ship": {**PLAN["ship"], "step": True}})
    write(plans, "toy", {**PLAN, "ship": {**PLAN["ship"], "start": "first"}})
    first, run = shipping.read("first"), plans / "runs/first"
    shipping.train(first, run, plans / "work", say=lambda line: None)
    write(plans, "first", {**PLAN, "ship": {**PLAN["ship"], "step": True},
                           "training": {**PLAN["training"], "epochs": 3}})
    shipping.train(shipping.read("first"), run, plans / "work", resume="settings",
                   say=lambda line: None)
    history, file = made(plans, "toy")
    card, past = models.read_card(file), pd.read_csv(file.parent / "history.csv")
    assert len(history) == 2 and card["epochs"] == len(past) == 5 and card["steps"] == 10
    assert past.plan.tolist() == ["first"] * 3 + ["toy"] * 2
    assert card["changes"] == [
        {"first": {"settings": ["training.epochs: 2 saved, 3 wanted"]}}]


def test_seconds_are_those_of_the_fastest_epoch_of_each_part():
    past = pd.DataFrame({"plan": ["a", "a", "b"], "seconds": [10.0, 30.0, 50.0],
                         "steps": [10, 10, 5]})
    assert shipping.seconds_of(past, pace=2.0) == 20 * 1.0 + 5 * 2.0
    assert shipping.seconds_of(past, pace=99.0) == 20 * 1.0 + 5 * 10.0


def test_a_run_of_another_plan_is_refused(plans):
    made(plans, "toy")
    write(plans, "toy", {**PLAN, "training": {**PLAN["training"], "epochs": 3}})
    with pytest.raises(ShippingError, match="not what toy.yaml describes .*epochs: 2 saved, 3"):
        shipping.put_away(shipping.read("toy"), plans / "runs/toy", plans / "work",
                          out=plans / "out")


def test_faults_are_one_line(plans, monkeypatch):
    with pytest.raises(ShippingError, match="no network 'tyo' in .*: there are toy"):
        shipping.read("tyo")
    write(plans, "odd", {**PLAN, "ship": {**PLAN["ship"], "titel": "x"}})
    with pytest.raises(ShippingError, match="odd.yaml: section ship: 'titel' is unknown"):
        shipping.read("odd")
    monkeypatch.setenv("SEP_REAL_DATA", str(plans / "nowhere"))
    with pytest.raises(CorpusError, match="recordings 'chords' are not in .*nowhere: set SEP_REAL"):
        shipping.gather(shipping.read("toy"), plans / "work")


@pytest.mark.parametrize("name", shipping.names())
def test_every_plan_of_the_course_can_be_read(name):
    plan = shipping.read(name)
    models.build(plan.experiment["model"])
    assert plan.tests in {standard.kind for standard in standard_views.STANDARDS.values()}
    assert shipping.attribution(plan) and (plan.start is None or plan.start in shipping.names())


def planned() -> list[str]:
    return [name for name in trained.shipped() if name in shipping.names()]


@pytest.mark.parametrize("name", planned())
def test_what_is_shipped_is_what_its_plan_describes(name):
    plan, card = shipping.read(name), models.read_card(trained.find(name))
    described, told = plan.experiment, card["training"]
    assert told["model"] == described["model"]
    assert {key: told["training"][key] for key in described["training"]} == described["training"]
    assert all(told["data"][key] == value for key, value in described["data"].items()
               if key not in ("n_val", "corpus", "noise"))
    assert card["attribution"] == shipping.attribution(plan)
    heard = pd.read_csv(trained.SHIPPED / name / "heard.csv")
    assert set(heard.corpus) == {*plan.corpora, *plan.noise}
    assert heard.notna().all()[["corpus", "source", "who", "split", "licence"]].all()
    assert len(pd.read_csv(trained.SHIPPED / name / "history.csv")) == card["epochs"]


def test_networks_are_small():
    sizes = {name: os.path.getsize(trained.find(name)) for name in trained.shipped()}
    assert max(sizes.values()) <= shipping.MOST_BYTES
    kinds = {standard.kind for standard in standard_views.STANDARDS.values()}
    assert sum(size for name, size in sizes.items()
               if models.read_card(trained.find(name)).get("tests") in kinds) <= 7 * 10**6
