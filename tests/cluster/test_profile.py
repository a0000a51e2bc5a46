"""`snakemake --profile slurm`, typed in a clone, on a real cluster."""

from __future__ import annotations

import subprocess

import pytest
from clones import clone, same_bytes
from project import Project
from slurm import Slurm

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]


def snakemake(project: Project, slurm: Slurm, *arguments: str) -> str:
    """Type `snakemake --profile slurm` in a clone; what it says."""
    done = subprocess.run(
        ["snakemake", "--profile", "slurm", *arguments],
        cwd=project.folder,
        env=slurm.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def queued(slurm: Slurm, finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small experiment, run on the cluster."""
    project = clone(tmp_path_factory.mktemp("cluster") / "swath", finished)
    snakemake(project, slurm)
    return project


def test_the_cluster_gives_the_same_bytes(queued: Project, finished: Project) -> None:
    same_bytes(finished, queued)


def test_only_training_and_prediction_hold_a_gpu(queued: Project, slurm: Slurm) -> None:
    jobs = slurm.accounting("JobName", "State", "NodeList", "AllocTRES", "Comment")
    assert jobs
    for job in jobs:
        assert job["State"] == "COMPLETED"
        on_gpu = "rule_train" in job["Comment"] or "rule_predict" in job["Comment"]
        assert job["NodeList"].startswith("gpu" if on_gpu else "cpu"), job
        assert ("gres/gpu=1" in job["AllocTRES"]) == on_gpu, job
