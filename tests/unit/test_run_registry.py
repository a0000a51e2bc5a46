"""Snakemake's lock after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from experiment import REPOSITORY
from slurm import wait_until

from swath.coordination import heartbeat, run_registry
from swath.coordination.process_identity import this_process
from swath.files import write_json

DEAD = next(pid for pid in range(2**22, 2, -1) if not psutil.pid_exists(pid))


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(heartbeat, "SILENCE", 1.0)
    run_registry.LOCKS.mkdir(parents=True)
    (run_registry.LOCKS / "0.input.lock").touch()
    time.sleep(0.01)
    return run_registry.LOCKS / "0.input.lock"


def run_by(pid: int, **more: Any) -> Path:
    """Note a run of another process."""
    started = psutil.Process(pid).create_time() if psutil.pid_exists(pid) else 1.0
    file = run_registry.RUNS / f"run-{pid}.json"
    write_json(file, {**this_process(), "pid": pid, "started": started, **more})
    return file


def test_the_lock_of_a_living_run_stays(locked: Path) -> None:
    run_by(os.getppid())
    run_registry.release_lock_of_dead_run(is_job=False)
    assert locked.exists()


def test_the_lock_of_a_dead_run_is_released(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run_by(DEAD)
    run_registry.release_lock_of_dead_run(is_job=False)
    assert not locked.exists()
    assert not file.exists()
    assert "was killed" in capsys.readouterr().err


def test_a_process_that_only_has_the_dead_ones_number_does_not_count(locked: Path) -> None:
    run_by(os.getppid(), started=1.0)
    run_registry.release_lock_of_dead_run(is_job=False)
    assert not locked.exists()


def test_one_of_two_runs_lives(locked: Path) -> None:
    run_by(DEAD)
    run_by(os.getppid())
    run_registry.release_lock_of_dead_run(is_job=False)
    assert locked.exists()
    assert [run["pid"] for run in run_registry.live_runs()] == [os.getppid()]


def test_the_lock_of_a_run_that_has_just_begun_stays(locked: Path) -> None:
    """It has locked, and not yet noted that it is there; before it, another was killed."""
    run_by(DEAD)
    time.sleep(0.01)
    locked.unlink()
    locked.touch()
    run_registry.release_lock_of_dead_run(is_job=False)
    assert locked.exists()


def test_the_lock_of_a_run_on_another_machine_stays_while_it_lives(locked: Path) -> None:
    file = run_by(DEAD, host="elsewhere")
    threading.Timer(0.3, os.utime, [file]).start()
    run_registry.release_lock_of_dead_run(is_job=False)
    assert locked.exists()


def test_the_lock_of_a_run_on_another_machine_that_is_silent_is_released(locked: Path) -> None:
    run_by(DEAD, host="elsewhere")
    run_registry.release_lock_of_dead_run(is_job=False)
    assert not locked.exists()


def test_a_job_of_a_run_leaves_the_lock_alone(locked: Path) -> None:
    run_by(DEAD)
    run_registry.release_lock_of_dead_run(is_job=True)
    assert locked.exists()


def test_a_lock_nobody_claimed_stays(locked: Path) -> None:
    run_registry.release_lock_of_dead_run(is_job=False)
    assert locked.exists()


# --- a run's own file ------------------------------------------------------------------------------

CLAIM = """
import atexit, sys, time
sys.path.insert(0, {scripts!r})
from swath.coordination import heartbeat, run_registry
heartbeat.HEARTBEAT = {seconds}
atexit.register(time.sleep, 1)  # the last that is done
run_registry.register_run()
print("claimed", flush=True)
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
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[str]:
    monkeypatch.chdir(tmp_path)
    return registered(seconds=0.05)


def test_a_run_gives_signs_of_life_until_it_ends(run: subprocess.Popen[str]) -> None:
    (file,) = run_registry.RUNS.glob("*.json")
    first = file.stat().st_mtime_ns
    wait_until(lambda: file.stat().st_mtime_ns > first)
    _, said = run.communicate()
    assert not file.exists()
    assert run.returncode == 0, said


def test_a_run_that_was_taken_over_ends(run: subprocess.Popen[str]) -> None:
    (file,) = run_registry.RUNS.glob("*.json")
    file.unlink()
    assert run.wait(timeout=20) == 1
    assert run.stderr
    assert "Another run has taken over" in run.stderr.read()


def test_a_run_that_was_taken_over_does_not_act_before_its_next_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = registered(seconds=1000)
    (file,) = run_registry.RUNS.glob("*.json")
    file.unlink()
    _, said = run.communicate(timeout=20)
    assert run.returncode == 1
    assert "Another run has taken over" in said
