"""One training in a folder: refused while another lives, free again however it ended."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sep_helpers import run_lock
from sep_helpers.run_lock import LockError, held

ROOT = Path(__file__).resolve().parents[1]
HOLDER = """
import sys, time
sys.path.insert(0, {root!r})
from sep_helpers.run_lock import held
with held({folder!r}):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(root=str(ROOT), folder=str(tmp_path))],
        stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_another_process_is_named_and_its_death_frees_the_folder(tmp_path, holder):
    with pytest.raises(LockError, match=f"process {holder.pid} on {socket.gethostname()}") as error:
        with held(tmp_path):
            pass
    assert "\n" not in str(error.value)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with held(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_the_same_process_is_refused_too_and_an_error_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with held(tmp_path):
            with pytest.raises(LockError, match="this process is training there already"):
                with held(tmp_path / "x" / ".."):
                    pass
            raise ZeroDivisionError
    with held(tmp_path):
        pass


def test_a_child_of_the_holder_does_not_keep_the_lock(tmp_path):
    """DataLoader's workers outlive a killed training by seconds."""
    code = HOLDER.format(root=str(ROOT), folder=str(tmp_path)).replace(
        "    print", "    import os\n    if os.fork() == 0:\n        time.sleep(60)\n    print")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        assert process.stdout.readline() == "held\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with held(tmp_path):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def without_locks(monkeypatch):
    def lockf(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")
    monkeypatch.setattr(run_lock.fcntl, "lockf", lockf)


@pytest.mark.parametrize("words, refused", [
    (dict(pid=os.getpid(), host=socket.gethostname()), "another training is writing"),
    (dict(pid=2**22 + 1, host=socket.gethostname()), None),       # no such process any more
    (dict(pid=1, host="far-away"), "on far-away.*if that job is dead, delete"),
    ("half a wor", None),
])
def test_where_there_are_no_locks_the_files_words_are_believed(tmp_path, without_locks, words,
                                                               refused):
    (tmp_path / ".lock").write_text(json.dumps(words) if isinstance(words, dict) else words)
    if refused is None:
        with held(tmp_path):
            pass
        return
    with pytest.raises(LockError, match=refused):
        with held(tmp_path):
            pass
