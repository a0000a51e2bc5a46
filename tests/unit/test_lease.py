"""A folder belongs to one writer. Owners here are real processes, stopped and killed for real."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from experiment import REPOSITORY

from swath import files
from swath.coordination.fencing import VARIABLE, FencingToken, TokenLostError
from swath.coordination.lease import Lease, LeaseLostError, newest_claim
from swath.errors import UserError
from swath.files import read_json, write_json
from swath.training.stopping import StopRequest

OWNER = """
import sys, time
from pathlib import Path
from swath.errors import UserError
from swath.coordination.lease import Lease
folder = Path(sys.argv[1])
ownership = Lease(folder, heartbeat=0.1, silence=1.0)
try:
    ownership.acquire()
    print("owner", flush=True)
    for line in sys.stdin:  # one line: write, if this process still may
        ownership.check()
        (folder / "written").write_text(line)
        print("written", flush=True)
except UserError as error:
    print(f"left: {error}".replace("\\n", " "), flush=True)
"""


@contextlib.contextmanager
def owner(folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that wants the folder, writes into it when told, and says what it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts"), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def tell_to_write(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("something\n")
    process.stdin.flush()


def test_a_second_writer_leaves_with_a_clear_word(tmp_path: Path) -> None:
    with owner(tmp_path, SLURM_JOB_ID="4711") as first:
        assert says(first) == "owner"
        with owner(tmp_path) as second:
            word = says(second)
    assert word.startswith("left:")
    assert f"already in use by process {first.pid}" in word
    assert "SLURM job 4711" in word
    assert "wait until it is done" in word


def test_of_several_that_come_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        words = [says(process) for process in [stack.enter_context(owner(tmp_path)) for _ in range(5)]]
    assert sorted(word.split(":")[0] for word in words) == ["left"] * 4 + ["owner"]


def test_the_folder_of_a_dead_process_is_taken_at_once(tmp_path: Path) -> None:
    with owner(tmp_path) as first:
        assert says(first) == "owner"
    started = time.monotonic()
    ownership = Lease(tmp_path, heartbeat=30, silence=600)
    ownership.acquire()
    assert time.monotonic() - started < 60
    ownership.release()


def test_a_released_folder_is_taken_at_once(tmp_path: Path) -> None:
    for _ in range(2):
        ownership = Lease(tmp_path, heartbeat=30, silence=600)
        ownership.acquire()
        ownership.check()
        ownership.release()
    assert newest_claim(tmp_path) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_a_stopped_owner_loses_the_folder_and_writes_nothing_when_it_goes_on(tmp_path: Path) -> None:
    with owner(tmp_path) as first:
        assert says(first) == "owner"
        os.kill(first.pid, signal.SIGSTOP)
        with owner(tmp_path) as second:
            assert says(second) == "owner"
            os.kill(first.pid, signal.SIGCONT)
            tell_to_write(first)
            word = says(first)
            assert word.startswith("left:")
            assert f"taken over by process {second.pid}" in word
            assert not (tmp_path / "written").exists()
            tell_to_write(second)
            assert says(second) == "written"


def test_an_owner_on_another_machine_counts_as_dead_only_after_its_silence(tmp_path: Path) -> None:
    claim = {"host": "another", "pid": 1, "started": 0.0, "beats": 5, "released": False, "slurm_job": None}
    write_json(tmp_path / "owner-000001.json", claim)
    started = time.monotonic()
    ownership = Lease(tmp_path, heartbeat=0.1, silence=1.0)
    ownership.acquire()
    assert time.monotonic() - started >= 1.0
    ownership.release()


def test_the_owner_gives_signs_of_life(tmp_path: Path) -> None:
    ownership = Lease(tmp_path, heartbeat=0.05, silence=1.0)
    ownership.acquire()
    deadline = time.monotonic() + 20
    while read_json(ownership.claim)["beats"] < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ownership.release()
    assert read_json(ownership.claim)["released"] is True


def test_an_owner_that_was_replaced_neither_passes_the_check_nor_releases_what_is_not_its_own(tmp_path: Path) -> None:
    first = Lease(tmp_path, heartbeat=30, silence=600)
    first.acquire()
    claim = {**read_json(first.claim), "host": "another"}
    write_json(tmp_path / "owner-000002.json", claim)
    with pytest.raises(LeaseLostError, match="on another"):
        first.check()
    first.release()
    assert read_json(tmp_path / "owner-000002.json") == claim
    assert isinstance(LeaseLostError([]), UserError)


def test_an_owner_whose_job_runs_anew_falls_silent_stops_and_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster lost its job, which lives: the one that has taken over need not wait for its silence."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_may_publish", [])
    monkeypatch.setenv(VARIABLE, "")
    job = FencingToken(["model.zip"])
    job.acquire()
    ownership = Lease(tmp_path / "checkpoints", heartbeat=0.05, silence=600)
    ownership.acquire()
    stop = StopRequest(ownership=ownership)
    assert stop.reason() is None
    write_json(job.path, {**read_json(job.path), "token": "another"})
    deadline = time.monotonic() + 20
    while not stop.reason():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    beats = read_json(ownership.claim)["beats"]
    with pytest.raises(TokenLostError, match="works on it by now"):
        ownership.check()
    ownership.release()
    assert read_json(ownership.claim)["released"] is True
    assert read_json(ownership.claim)["beats"] == beats
