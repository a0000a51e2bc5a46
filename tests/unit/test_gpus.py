"""A GPU of its own for every job; the GPUs are lines of a planted nvidia-smi."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from experiment import REPOSITORY

TAKE = """
import os, pathlib, sys, time
sys.path.insert(0, {scripts!r})
from swath.job import gpus
gpus.WAIT = 0.1
gpus.LOCKS = pathlib.Path(os.environ["LOCKS"])
gpus.take_gpus({number})
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine with four GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n2\\n3\\n'\n")
    program.chmod(0o755)
    known = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")}
    return {**known, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOCKS": str(tmp_path)}


def start(number: int, environment: dict[str, str]) -> subprocess.Popen[str]:
    code = TAKE.format(scripts=str(REPOSITORY / "scripts"), number=number)
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=pipe, stdout=pipe, text=True)


def given(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def test_no_gpu_is_given_twice(environment: dict[str, str]) -> None:
    jobs = [start(1, environment) for _ in range(4)]
    assert sorted(map(given, jobs)) == ["0", "1", "2", "3"]
    end(*jobs)


def test_a_killed_jobs_gpu_is_free_again(environment: dict[str, str]) -> None:
    first = start(3, environment)
    assert given(first) == "0,1,2"
    second = start(1, environment)
    assert given(second) == "3"
    late = start(2, environment)
    end(first)
    assert given(late) == "0,1"
    end(second, late)


def test_what_the_user_leaves_visible_counts(environment: dict[str, str]) -> None:
    jobs = [start(1, {**environment, "CUDA_VISIBLE_DEVICES": "1,3"}) for _ in range(2)]
    assert sorted(map(given, jobs)) == ["1", "3"]
    end(*jobs)


@pytest.mark.parametrize(("visible", "number"), [("0", 1), ("0,1", 2)])
def test_who_needs_all_gpus_waits_for_them(visible: str, number: int, environment: dict[str, str]) -> None:
    """Two runs, say: Snakemake does not know of both."""
    first, second = (start(number, {**environment, "CUDA_VISIBLE_DEVICES": visible}) for _ in range(2))
    ready, _, _ = select.select([first.stdout, second.stdout], [], [], 20)
    assert len(ready) == 1
    winner, waiting = (first, second) if ready == [first.stdout] else (second, first)
    assert given(winner) == visible
    assert not select.select([waiting.stdout], [], [], 1)[0]
    end(winner)
    assert given(waiting) == visible
    end(waiting)


@pytest.mark.parametrize(
    ("visible", "number"), [("2", 1), ("MIG-GPU-8932/1/0", 1), ("", 1), ("0,1", 2), ("0,1", 0), ("0", 2)]
)
def test_what_slurm_gave_is_left_alone(visible: str, number: int, environment: dict[str, str]) -> None:
    """Two jobs on one node, both of which count their GPUs from 0."""
    jobs = [start(number, {**environment, "CUDA_VISIBLE_DEVICES": visible, "SLURM_JOB_ID": job}) for job in "12"]
    assert list(map(given, jobs)) == [visible] * 2
    end(*jobs)


def test_a_machine_without_gpus(environment: dict[str, str]) -> None:
    job = start(1, {**environment, "PATH": str(Path(sys.executable).parent)})
    assert given(job) == "None"
    end(job)
