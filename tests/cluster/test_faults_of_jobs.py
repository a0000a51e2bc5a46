"""What a cluster does to jobs, done to a training: each ends with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from experiment import Project
from slurm import Slurm, wait_until
from training_on_cluster import (
    ON_GPUS,
    QUICK,
    ends_well,
    has_the_bytes,
    history,
    said,
    states,
    submitted,
    trainer,
    training,
    trainings,
    type_it,
    wait_for,
)

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]


def test_scancel_of_a_training(training_to_do: Project, undisturbed: Project, slurm: Slurm, image: Path) -> None:
    """In the container, which the signal has to reach."""
    (training_to_do.folder / "envs" / "swath.sif").symlink_to(image)
    with training(training_to_do, slurm, "--software-deployment-method", "apptainer") as process:
        job = trainings(slurm, training_to_do)[0]["id"]
        slurm.ask("scancel", job)
        ends_well(process, training_to_do, undisturbed)
    assert "stopped by SIGTERM" in history(training_to_do)
    assert [state.split()[0] for state in states(slurm, job)] == ["CANCELLED"]


def test_a_training_runs_into_its_time_limit(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(training_to_do, slurm) as process:
        job = trainings(slurm, training_to_do)[0]["id"]
        slurm.ask("scontrol", "update", f"JobId={job}", "TimeLimit=1")  # the training was told another one
        os.kill(trainer(training_to_do), signal.SIGSTOP)
        looked = wait_for(["snakemake", "status", "--profile", "slurm", *QUICK], training_to_do, slurm).stdout
        assert re.search(rf"learning_rate=0.002,seed=0  training .* job {job} on ", looked), looked
        ends_well(process, training_to_do, undisturbed)
    assert states(slurm, job) == ["TIMEOUT"]


def test_a_training_that_does_not_fit_goes_on_in_the_next_job(
    training_to_do: Project, undisturbed: Project, slurm: Slurm
) -> None:
    with training(training_to_do, slurm, *ON_GPUS, "train:runtime=3 if attempt == 1 else 60") as process:
        job = trainings(slurm, training_to_do)[0]["id"]
        stopped = trainer(training_to_do)
        os.kill(stopped, signal.SIGSTOP)
        begun = pd.Timestamp(slurm.ask("squeue", "--noheader", "--jobs", job, "--format", "%S").strip())
        wait_until(lambda: pd.Timestamp.now() > begun + pd.Timedelta(seconds=125))  # of three minutes, one is left
        os.kill(stopped, signal.SIGCONT)
        ends_well(process, training_to_do, undisturbed)
    assert states(slurm, job) == ["FAILED"]
    assert "stopped by time limit" in history(training_to_do)


def test_a_training_needs_more_memory_than_it_asked_for(
    training_to_do: Project, undisturbed: Project, slurm: Slurm
) -> None:
    with training(training_to_do, slurm, *ON_GPUS, "train:mem_mb=400*attempt*attempt") as process:
        assert process.wait(timeout=600) == 0, said(training_to_do)
    has_the_bytes(training_to_do, undisturbed)
    asked = [job["ReqMem"] for job in submitted(slurm, training_to_do, "ReqMem")]
    assert asked[:2] == ["400M", "1600M"]
    first = min(training_to_do.results.glob("logs/slurm/rule_train/*/*.log"))  # SLURM's own word for it varies
    assert "SIGKILL" in first.read_text() or "OUT_OF_MEMORY" in said(training_to_do)


def test_a_training_is_preempted(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(training_to_do, slurm, "--set-resources", "train:slurm_partition=scavenge") as process:
        job = trainings(slurm, training_to_do)[0]["id"]
        os.kill(trainer(training_to_do), signal.SIGSTOP)  # so that it is not done before
        urgent = ("sbatch", "--parsable", "-p", "gpu", "-N2", "--gpus-per-node=2", "--mem=100", "--wrap", "sleep 10")
        slurm.ask(*urgent, "--output", "/dev/null")
        ends_well(process, training_to_do, undisturbed)
    assert states(slurm, job) == ["PREEMPTED"]


@pytest.fixture
def small_disk(training_to_do: Project) -> Iterator[Path]:
    """A disk of its own for models, nearly full."""
    models = training_to_do.results / "models"
    models.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", models], check=True)
    filler = models / "filler"
    filler.write_bytes(bytes(500 * 2**20))
    try:
        yield filler
    finally:
        subprocess.run(["umount", "--lazy", models], check=True)


def test_the_disk_is_full(training_to_do: Project, undisturbed: Project, slurm: Slurm, small_disk: Path) -> None:
    done = type_it(training_to_do, slurm, "--retries", "0")
    assert done.returncode != 0
    assert "No space left on device" in done.stdout
    small_disk.unlink()
    done = type_it(training_to_do, slurm)
    assert done.returncode == 0, done.stdout
    has_the_bytes(training_to_do, undisturbed)
