"""Snakemake's lock after a kill."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil
import pytest
from slurm import wait_until

from swath import lock
from swath.files import read_json, write_json


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lock.LOCKS.mkdir(parents=True)
    (lock.LOCKS / "0.input.lock").touch()
    lock.claim_lock()
    return lock.LOCKS / "0.input.lock"


def test_the_lock_of_a_living_run_stays(locked: Path) -> None:
    lock.release_lock_of_dead_run(is_job=False)
    assert locked.exists()


def test_the_lock_of_a_dead_run_is_released(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = next(pid for pid in range(2**22, 2, -1) if not psutil.pid_exists(pid))
    write_json(lock.OWNER, {**read_json(lock.OWNER), "pid": dead})
    lock.release_lock_of_dead_run(is_job=False)
    assert not locked.exists()
    assert "was killed" in capsys.readouterr().err


def test_a_process_that_only_has_the_dead_ones_number_does_not_count(locked: Path) -> None:
    write_json(lock.OWNER, {**read_json(lock.OWNER), "pid": os.getpid(), "started": 1.0})
    lock.release_lock_of_dead_run(is_job=False)
    assert not locked.exists()


@pytest.fixture
def elsewhere(locked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run that holds the lock is on another machine."""
    write_json(lock.OWNER, {**read_json(lock.OWNER), "host": "elsewhere", "started": 1.0})
    monkeypatch.setattr(lock, "SILENCE", 1.0)
    return locked


def test_the_lock_of_a_run_on_another_machine_stays_while_it_lives(elsewhere: Path) -> None:
    threading.Timer(0.3, os.utime, [lock.OWNER]).start()
    lock.release_lock_of_dead_run(is_job=False)
    assert elsewhere.exists()


def test_the_lock_of_a_run_on_another_machine_that_is_silent_is_released(elsewhere: Path) -> None:
    lock.release_lock_of_dead_run(is_job=False)
    assert not elsewhere.exists()


def test_a_job_of_a_run_leaves_the_lock_alone(elsewhere: Path) -> None:
    lock.release_lock_of_dead_run(is_job=True)
    assert elsewhere.exists()


def test_a_run_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "HEARTBEAT", 0.05)
    lock.claim_lock()
    first = lock.OWNER.stat().st_mtime_ns
    wait_until(lambda: lock.OWNER.stat().st_mtime_ns > first)


def test_a_lock_nobody_claimed_stays(locked: Path) -> None:
    lock.OWNER.unlink()
    lock.release_lock_of_dead_run(is_job=False)
    assert locked.exists()
