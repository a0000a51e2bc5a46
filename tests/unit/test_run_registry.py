"""Runs in one folder: who lives, and whose files are whose."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from experiment import REPOSITORY
from slurm import wait_until

from swath.coordination import heartbeat, run_registry
from swath.coordination.process_identity import this_process
from swath.coordination.run_registry import CLAIMED, MADE
from swath.files import write_json

DEAD = next(pid for pid in range(2**22, 2, -1) if not psutil.pid_exists(pid))
MINE: tuple[set[str], set[str]] = ({"data"}, {"shared", "mine"})
"""What this run reads and makes."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(heartbeat, "SILENCE", 1.0)


def run_by(pid: int, reads: str = "data", makes: str = "shared", **more: Any) -> Path:
    """Note a run of another process, which makes something that this one makes, too."""
    started = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 1.0
    file = run_registry.RUNS / f"run-{pid}.json"
    write_json(file, {**this_process(), "pid": pid, "started": started, **more})
    write_json(file.with_suffix(CLAIMED), {"reads": [reads], "makes": [makes]})
    return file


def test_a_living_run_is_in_the_way_until_it_has_made_what_both_need() -> None:
    file = run_by(os.getppid())
    (found,) = run_registry.in_the_way(*MINE)
    assert found["pid"] == os.getppid()
    file.with_suffix(MADE).write_text("other\nshared\n")
    assert run_registry.in_the_way(*MINE) == []


@pytest.mark.parametrize(
    ("reads", "makes", "meets"), [("data", "other", 0), ("mine", "other", 1), ("other", "data", 1), ("other", "x", 0)]
)
def test_two_may_read_what_neither_makes(reads: str, makes: str, meets: int) -> None:
    run_by(os.getppid(), reads, makes)
    assert len(run_registry.in_the_way(*MINE)) == meets


def test_a_dead_run_is_not_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    run_by(DEAD)
    assert run_registry.in_the_way(*MINE) == []
    assert list(run_registry.RUNS.iterdir()) == []
    assert "was killed" in capsys.readouterr().err


def test_a_process_that_only_has_the_dead_ones_number_does_not_count() -> None:
    run_by(os.getppid(), started=1.0)
    assert run_registry.in_the_way(*MINE) == []


def test_one_of_two_runs_lives() -> None:
    run_by(DEAD)
    run_by(os.getppid())
    assert [run["pid"] for run in run_registry.live_runs()] == [os.getppid()]


def test_a_run_on_another_machine_is_in_the_way_while_it_lives() -> None:
    file = run_by(DEAD, host="elsewhere")
    threading.Timer(0.3, os.utime, [file]).start()
    assert len(run_registry.in_the_way(*MINE)) == 1


def test_a_run_on_another_machine_that_is_silent_is_not() -> None:
    run_by(DEAD, host="elsewhere")
    assert run_registry.in_the_way(*MINE) == []


# --- a run's own file ------------------------------------------------------------------------------

CLAIM = """
import atexit, sys, time
sys.path.insert(0, {scripts!r})
from swath.coordination import heartbeat, run_registry
heartbeat.HEARTBEAT = {seconds}
atexit.register(time.sleep, 1)  # the last that is done
others = run_registry.claim_files({{"data"}}, {{"shared"}})
print("claimed" if not others else others, flush=True)
sys.stdin.read()
run_registry.end_if_taken_over()
"""


def registered(seconds: float) -> subprocess.Popen[str]:
    """A run that waits for the end of its input and gives signs of life."""
    code = CLAIM.format(scripts=str(REPOSITORY / "scripts"), seconds=seconds)
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout
    assert process.stdout.readline() == "claimed\n"
    return process


@pytest.fixture
def run() -> subprocess.Popen[str]:
    return registered(seconds=0.05)


def test_a_run_gives_signs_of_life_until_it_ends(run: subprocess.Popen[str]) -> None:
    (file,) = run_registry.RUNS.glob("*.json")
    assert [found["pid"] for found in run_registry.in_the_way(*MINE)] == [run.pid]
    first = file.stat().st_mtime_ns
    wait_until(lambda: file.stat().st_mtime_ns > first)
    _, said = run.communicate()
    assert list(run_registry.RUNS.iterdir()) == []
    assert run.returncode == 0, said


def test_a_run_that_was_taken_over_ends(run: subprocess.Popen[str]) -> None:
    (file,) = run_registry.RUNS.glob("*.json")
    file.unlink()
    assert run.wait(timeout=20) == 1
    assert run.stderr
    assert "Another run has taken over" in run.stderr.read()


def test_a_run_that_was_taken_over_does_not_act_before_its_next_sign_of_life() -> None:
    run = registered(seconds=1000)
    (file,) = run_registry.RUNS.glob("*.json")
    file.unlink()
    _, said = run.communicate(timeout=20)
    assert run.returncode == 1
    assert "Another run has taken over" in said
