"""Jobs that dead runs have left in the queue; squeue and scancel are planted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from swath.cluster import queue
from swath.coordination import run_registry
from swath.coordination.process_identity import this_process
from swath.errors import UserError
from swath.files import write_json

DEAD = next(pid for pid in range(2**22, 2, -1) if not psutil.pid_exists(pid))


class Slurm:
    """A queue: lines as squeue prints them; cancelled jobs go as many looks later as ``lingers`` says."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.cancelled: list[str] = []
        self.lingers = 1

    def ask(self, program: str, *arguments: str, missing: str | None = None, patience: float = 60) -> str:
        if program == "scancel":
            self.cancelled += arguments
            return ""
        assert program == "squeue"
        if self.cancelled:
            self.lingers -= 1
        if self.lingers < 0:
            for number in self.cancelled:
                self.jobs.pop(number, None)
        return "\n".join(f"{number}|{line}" for number, line in self.jobs.items())


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """A queue with a job of a dead run, one of a living run in the same folder, and a stranger's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(queue, "LOOK", 0.0)
    planted = Slurm()
    planted.jobs = {
        "1": "RUNNING|small-dead|rule_train_wildcards_a|b",
        "2": "PENDING|other-alive|rule_train_wildcards_c",
        "3": "RUNNING|small-of-another-folder|rule_train_wildcards_d",
    }
    monkeypatch.setattr(queue, "ask", planted.ask)
    living: dict[str, Any] = {
        **this_process(),
        "pid": os.getppid(),
        "started": psutil.Process(os.getppid()).create_time(),
    }
    write_json(run_registry.RUNS / "living.json", living)
    write_json(run_registry.NAMES_OF_JOBS / "other-alive.json", living)
    write_json(run_registry.NAMES_OF_JOBS / "small-dead.json", {**this_process(), "pid": DEAD})
    return planted


def test_jobs_of_a_dead_run_are_cancelled_and_no_others(slurm: Slurm, capsys: pytest.CaptureFixture[str]) -> None:
    queue.cancel_lost_jobs()
    assert slurm.cancelled == ["1"]
    assert set(slurm.jobs) == {"2", "3"}
    assert [file.stem for file in run_registry.NAMES_OF_JOBS.iterdir()] == ["other-alive"]
    assert "1 (running): rule_train_wildcards_a|b" in capsys.readouterr().err


def test_jobs_that_do_not_go_are_told_and_found_again(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PATIENCE", 0.05)
    slurm.lingers = 10**9
    with pytest.raises(UserError, match="1 still there"):
        queue.cancel_lost_jobs()
    assert run_registry.names_of_dead_runs() == {"small-dead"}


def test_jobs_that_are_ending_are_replaced(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(queue, "PATIENCE", 0.05)
    slurm.lingers = 10**9
    slurm.jobs["1"] = slurm.jobs["1"].replace("RUNNING", "COMPLETING")
    queue.cancel_lost_jobs()
    assert "replaced all the same" in capsys.readouterr().err
    assert run_registry.names_of_dead_runs() == set()


def test_who_only_looks_sees_all_of_the_users_jobs_and_does_without_a_controller(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue.shutil, "which", lambda program: "/usr/bin/squeue")
    assert [(job.id, job.state) for job in queue.my_jobs() or []] == [
        ("1", "RUNNING"),
        ("2", "PENDING"),
        ("3", "RUNNING"),
    ]
    monkeypatch.setattr(queue, "ask", lambda *command, missing, patience: missing)
    assert queue.my_jobs() is None
    monkeypatch.setattr(queue.shutil, "which", lambda program: None)
    assert queue.my_jobs() is None
