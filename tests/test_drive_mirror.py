"""A second home that may vanish, fill up or hang: every case is said, and nothing is lost."""

import errno
import os
import threading
import time

import pytest
from toy_training import assert_same_run, setting, tones

from sep_helpers import drive_mirror
from sep_helpers.checkpoints import CheckpointError
from sep_helpers.drive_mirror import Mirror
from sep_helpers.training import Settings, fit

SETTINGS = Settings(epochs=3, batch=2, learning_rate=1e-2, warmup=2, save_every=1, save_share=1.0)


class Place:
    """A run folder, a Drive, and what was said."""

    def __init__(self, tmp_path):
        self.said: list[str] = []
        self.local, self.root = tmp_path / "local", tmp_path / "drive"
        self.remote = self.root / "course" / "run"
        self.local.mkdir()
        self.root.mkdir()

    def mirror(self) -> Mirror:
        mirror = Mirror(self.local, self.remote, self.root, self.said.append)
        mirror.look()
        return mirror

    def push(self, mirror, number, content=b"state", best=b"best"):
        (self.local / "last.pt").write_bytes(content + str(number).encode())
        (self.local / "best.pt").write_bytes(best)
        mirror.push(number)
        mirror.finish()

    def names(self):
        return sorted(p.name[:14] for p in self.remote.iterdir())


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_two_newest_and_the_best_stay_under_numbers_and_checksums(place):
    mirror = place.mirror()
    for number in (5, 10, 15, 20):
        place.push(mirror, number, best=b"best" if number < 15 else b"better")
    assert place.names() == ["best-000000015", "last-000000015", "last-000000020"]
    assert place.said == []
    found = place.mirror().look()
    assert found["last"] == (20, b"state20") and found["best"] == (15, b"better")


def test_a_copy_cut_short_is_passed_over_for_the_one_before(place):
    mirror = place.mirror()
    for number in (5, 10):
        place.push(mirror, number)
    newest = max(place.remote.glob("last-*"))
    newest.write_bytes(newest.read_bytes()[:3])
    assert place.mirror().look()["last"] == (5, b"state5")
    assert any("cut short or damaged, passed over" in line for line in place.said)
    place.push(mirror, 12)
    assert place.mirror().newest()[0] == 12


def test_names_that_drive_makes_up_are_left_alone(place):
    mirror = place.mirror()
    place.push(mirror, 5)
    name = next(place.remote.glob("last-*"))
    (place.remote / name.name.replace(".pt", " (1).pt")).write_bytes(b"x")
    place.push(mirror, 6)
    assert len(list(place.remote.glob("*(1)*"))) == 1 and place.said == []


@pytest.mark.parametrize("number, reason", [
    (errno.ENOTCONN, "disconnected: mount it again"), (errno.ENOSPC, "it is full"),
    (errno.EROFS, "read-only"), (errno.EIO, "input/output errors"), (errno.EDQUOT, "quota"),
    (errno.EACCES, "permissions"), (errno.ETIMEDOUT, "does not answer"),
])
def test_each_refusal_has_its_words_once_and_the_return_is_said(place, monkeypatch, number, reason):
    mirror = place.mirror()
    place.push(mirror, 5)

    def refuse(path, content):
        path.write_bytes(content[:2])                      # half of it gets through
        raise OSError(number, "refused")
    with monkeypatch.context() as broken:
        broken.setattr(drive_mirror, "write", refuse)
        place.push(mirror, 10)
        place.push(mirror, 15)
    assert len(place.said) == 1 and reason in place.said[0]
    assert "training goes on" in place.said[0]
    assert "last safe copy there is of step 5" in place.said[0]
    assert place.mirror().look()["last"] == (5, b"state5")
    place.push(mirror, 20)
    assert place.said[-1].endswith("is back: step 20 is copied")
    assert place.names() == ["best-000000005", "last-000000005", "last-000000020"]


def test_a_drive_that_is_not_mounted_is_never_made_by_mistake(place):
    mirror = place.mirror()
    os.rmdir(place.root)
    place.push(mirror, 5)
    assert "it is not mounted" in place.said[0] and not place.root.exists()


def test_a_hanging_write_holds_up_nothing(place, monkeypatch):
    hang = threading.Event()
    monkeypatch.setattr(drive_mirror, "write", lambda path, content: hang.wait(20))
    monkeypatch.setattr(drive_mirror, "SLOW", 0.0)
    mirror = place.mirror()
    (place.local / "last.pt").write_bytes(b"x")
    started = time.monotonic()
    assert mirror.push(5) and not mirror.push(6)
    mirror.finish(0.05)
    assert time.monotonic() - started < 5
    assert any("is slow, a copy takes more than" in line for line in place.said)
    assert any("still goes on after" in line for line in place.said)
    hang.set()
    mirror.thread.join()


def test_looking_waits_for_a_while_only(place, monkeypatch):
    hang = threading.Event()
    monkeypatch.setattr(Mirror, "_names", lambda self: [] if hang.wait(20) else [])
    monkeypatch.setattr(drive_mirror, "ANSWER", 0.05)
    assert Mirror(place.local, place.remote, place.root, place.said.append).look() == {}
    assert "does not answer: going on with this machine alone" in place.said[0]
    hang.set()


def test_two_machines_do_not_write_one_home(place, tmp_path):
    ours, theirs = place.mirror(), place.mirror()
    place.push(theirs, 7)
    place.push(ours, 5)
    assert "copy of another training (last-000000007" in place.said[0]
    assert place.names() == ["best-000000007", "last-000000007"]
    assert not ours.push(6)


def test_a_home_that_comes_late_and_is_ahead_is_not_overwritten(place):
    place.push(place.mirror(), 50)
    late = Mirror(place.local, place.remote, place.root, place.said.append)     # never looked
    place.push(late, 9)
    assert "copy of another training" in place.said[0] and "last-000000050" in place.names()


# --- with a training

@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def unbroken(corpus_folder, tmp_path_factory):
    model, *data = setting(corpus_folder)
    history = fit(model, *data, SETTINGS, tmp_path_factory.mktemp("runs") / "unbroken")
    return history, model.state_dict()


def train(corpus_folder, place, **options):
    place.local.mkdir(exist_ok=True)
    drive_mirror.mark(place.local, place.remote, place.root)
    model, *data = setting(corpus_folder)
    return fit(model, *data, SETTINGS, place.local, say=place.said.append, **options), \
        model.state_dict()


class RuntimeDied(Exception):
    pass


def die(trainer):
    if trainer.number == 6:
        raise RuntimeDied


def wipe(folder):
    for path in folder.iterdir():
        path.unlink()


def test_a_new_machine_finds_the_run_on_drive(corpus_folder, place, unbroken):
    with pytest.raises(RuntimeDied):
        train(corpus_folder, place, on_step=die)
    deadline = time.monotonic() + 20
    while not place.remote.exists() or "last" not in place.mirror().look():
        assert time.monotonic() < deadline
    wipe(place.local)                                         # the runtime is gone, and its disk
    assert_same_run(*train(corpus_folder, place), unbroken)
    assert any(line.startswith("fetched step 4 of your run from") for line in place.said)
    assert any("found your run" in line and "epoch 2 of 3, going on" in line for line in place.said)
    assert (place.local / "best.pt").exists() and place.mirror().look()["last"][0] == 12


def test_the_newer_of_the_two_sides_is_taken(corpus_folder, place, unbroken):
    with pytest.raises(RuntimeDied):
        train(corpus_folder, place, on_step=die)              # here: step 6, on Drive: step 4
    assert_same_run(*train(corpus_folder, place), unbroken)
    assert not any("fetched" in line for line in place.said)
    assert any("step 2 of 4, going on" in line for line in place.said)


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ENOSPC])
def test_a_drive_that_vanishes_in_the_middle_costs_nothing(corpus_folder, place, unbroken,
                                                           monkeypatch, number):
    whole = drive_mirror.write

    def write(path, content):
        if int(path.name[5:14]) > 4:
            raise OSError(number, "gone")
        whole(path, content)
    monkeypatch.setattr(drive_mirror, "write", write)
    assert_same_run(*train(corpus_folder, place), unbroken)
    assert sum("training goes on, your run is safe on this machine" in s for s in place.said) == 1


def test_another_run_on_drive_is_not_mixed_up(corpus_folder, place, tmp_path):
    train(corpus_folder, place)
    (tmp_path / "other").mkdir()
    other = Place(tmp_path / "other")
    other.root, other.remote = place.root, place.remote
    drive_mirror.mark(other.local, place.remote, tmp_path / "nowhere")
    with pytest.raises(RuntimeDied):
        model, *data = setting(corpus_folder)
        fit(model, *data, SETTINGS, other.local, on_step=die, say=other.said.append)
    with pytest.raises(CheckpointError, match="holds another run than"):
        train(corpus_folder, other)


def test_starting_anew_is_newer_than_what_drive_holds(corpus_folder, place):
    train(corpus_folder, place)
    history, _ = train(corpus_folder, place, resume=False)
    assert len(history) == 3 and place.mirror().look()["last"][0] == 25
    assert (place.local / "earlier_1").is_dir()
