"""A GPU of its own for every job; the GPUs are lines of a planted nvidia-smi."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import REPOSITORY

TAKE = """
import sys, time
sys.path.insert(0, {scripts!r})
from swath import gpus
gpus.WAIT = 0.1
gpus.take_gpus({number})
import os
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine with four GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n2\\n3\\n'\n")
    program.chmod(0o755)
    known = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return {**known, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}


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


@pytest.mark.parametrize(("visible", "number"), [("2", 1), ("GPU-abc", 1), ("", 1), ("0,1", 2), ("0,1", 0)])
def test_what_slurm_gave_is_left_alone(visible: str, number: int, environment: dict[str, str]) -> None:
    job = start(number, {**environment, "CUDA_VISIBLE_DEVICES": visible})
    assert given(job) == visible
    end(job)


def test_a_machine_without_gpus(environment: dict[str, str]) -> None:
    job = start(1, {**environment, "PATH": str(Path(sys.executable).parent)})
    assert given(job) == "None"
    end(job)
