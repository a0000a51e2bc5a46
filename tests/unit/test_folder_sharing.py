"""Two runs in one folder, in a workflow of a few rules; tests/workflow sees it with an experiment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from experiment import REPOSITORY
from slurm import wait_until
from snakemake.exceptions import LockException
from snakemake.persistence import PersistenceBase
from snakemake.persistence.file import FilePersistence

from swath.coordination.run_registry import RUNS

SNAKEFILE = f"""
import sys
from pathlib import Path

sys.path.insert(0, {str(REPOSITORY / "scripts")!r})

from swath.smk import hooks

hooks.before_planning(workflow)

NAME = config["name"]
CONTEXT = hooks.RunContext(
    name=NAME, folder=NAME, repository=Path("."), image="none.sif", examples={{}}, later={{}}
)
hooks.after_planning(workflow, CONTEXT)

rule all:
    input: f"{{NAME}}.txt"

rule shared:
    output: "shared.txt"
    shell: "echo made >> made.txt; touch begun; while [ ! -e go-on ]; do sleep 0.05; done; touch {{output}}"

rule own:
    input: "shared.txt"
    output: f"{{NAME}}.txt"
    shell: "sleep 1; cp {{input}} {{output}}; echo {{output}} >> made.txt"

rule apart:
    output: f"apart-{{NAME}}.txt"
    shell: "touch {{output}}"

onstart:
    hooks.on_start(workflow, CONTEXT)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def start(folder: Path, name: str, *more: str) -> subprocess.Popen[str]:
    """Begin a run in `work`, from the folder above: what is typed holds paths from there."""
    words = ["--cores", "1", "--directory", "work", "--rerun-incomplete", *more, "--config", f"name={name}"]
    said = (folder / f"{name}.log").open("a")
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("snakemake")), *words], cwd=folder, stdout=said, stderr=said, text=True
    )


def said(folder: Path, name: str) -> str:
    return (folder / f"{name}.log").read_text()


def test_of_two_runs_one_makes_what_both_need_and_the_other_waits_for_that_alone(folder: Path) -> None:
    first = start(folder, "first")
    wait_until((folder / "work" / "begun").exists)
    second = start(folder, "second")
    wait_until(lambda: "waiting until that is there" in said(folder, "second"))
    assert f"process {first.pid} on" in said(folder, "second")
    assert start(folder, "third", "apart").wait(60) == 0  # nothing of this is another run's
    (folder / "work" / "go-on").touch()
    assert (first.wait(60), second.wait(60)) == (0, 0), said(folder, "second")
    made = (folder / "work" / "made.txt").read_text().split()
    assert sorted(made) == ["first.txt", "made", "second.txt"]
    assert "LockException" not in said(folder, "second")
    assert list((folder / "work" / RUNS).iterdir()) == []


def test_neither_ctrl_c_while_waiting_nor_a_kill_leaves_anything_to_unlock(folder: Path) -> None:
    first = start(folder, "first")
    wait_until((folder / "work" / "begun").exists)
    waiting = start(folder, "second")
    wait_until(lambda: "waiting until that is there" in said(folder, "second"))
    time.sleep(0.2)
    os.kill(waiting.pid, signal.SIGINT)
    assert waiting.wait(60) == 130
    assert said(folder, "second").endswith("Stopped while waiting: nothing was begun.\n")
    first.kill()
    first.wait()
    (folder / "work" / "go-on").touch()
    again = start(folder, "first")
    assert again.wait(60) == 0, said(folder, "first")
    assert "its lock is released" in said(folder, "first")


# --- Snakemake's own lock: where a test here fails, `lock_with` can go ------------------------------


class Persistence(FilePersistence):
    """Snakemake's, with the files of a run given."""

    def __init__(self, makes: str, path: Path):
        super().__init__(path=path)
        self.makes = makes

    def all_outputfiles(self) -> list[str]:
        return [self.makes]

    def all_inputfiles(self) -> list[str]:
        return []


def test_snakemake_still_ends_the_second_of_two_runs(tmp_path: Path) -> None:
    lock = PersistenceBase.lock
    with lock(Persistence("a", tmp_path)), pytest.raises(LockException), lock(Persistence("a", tmp_path)):
        pass


def test_snakemake_still_removes_the_locks_of_others(tmp_path: Path) -> None:
    lock = PersistenceBase.lock
    with lock(Persistence("a", tmp_path)):
        with lock(Persistence("b", tmp_path)):
            pass
        assert not Persistence("a", tmp_path).locked
