"""What sites ask for in ways of their own: several GPUs, GRES strings, arrays of equal trials."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cluster_clone import AS_FINISHED, add_chips, clone, same_bytes
from experiment import Project
from slurm import HOST, Slurm

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]


def test_two_gpus_are_two_processes(slurm: Slurm, finished: Project, tmp_path: Path) -> None:
    """`train.gpus: 2` is given two GPUs on one node, and trains on exactly two processors."""
    project = clone(tmp_path / "swath", finished)
    add_chips(project, finished)
    project.config["train"]["gpus"] = 2
    project.config["sweep"] = {"grid": {"train.learning_rate": [0.002]}}
    project.config["experiment"] = "two"
    project.write().replace(project.folder / "config" / "config.yaml")
    subprocess.run(
        ["snakemake", "--profile", "slurm", *HOST, *AS_FINISHED, "--until", "train"],
        cwd=project.folder,
        env=slurm.environment,
        check=True,
    )
    (job,) = (job for job in slurm.accounting("JobName", "AllocTRES", "NNodes") if job["JobName"].startswith("two-"))
    assert "gres/gpu=2" in job["AllocTRES"]
    assert job["NNodes"] == "1"
    said = next(project.results.glob("models/*/train.log")).read_text()
    assert "CUDA_VISIBLE_DEVICES is 0,1" in said
    assert "training on 2 processes with" in said


SITE_OF_ONES_OWN = """\
default-resources:
  slurm_account: "lab"
  slurm_partition: "cpu"
  mem_mb: 2000
  runtime: 30
set-resources:
  train:
    slurm_partition: "gpu"
    gpu: 0
    gres: "gpu:h100:1"
  predict:
    slurm_partition: "gpu"
    gpu: 0
    gres: "gpu:h100:1"
slurm-array-jobs: "train"
jobs: 2
"""


def test_a_site_of_ones_own_with_gres_and_arrays(slurm: Slurm, finished: Project, tmp_path: Path) -> None:
    """GPUs by a GRES string; equal trials as arrays, more of them than may be queued at once."""
    project = clone(tmp_path / "swath", finished)
    add_chips(project, finished)
    project.config["experiment"] = "site"
    project.config["sweep"] = {"grid": {"train.learning_rate": [0.001, 0.003, 0.002]}}
    project.write().replace(project.folder / "config" / "config.yaml")
    (project.folder / "profiles" / "sites" / "my-site.yaml").write_text(SITE_OF_ONES_OWN)
    command = ["snakemake", "--profile", "slurm", "--profile", "profiles/sites/my-site.yaml", *HOST, *AS_FINISHED]
    subprocess.run([*command, "--until", "predict"], cwd=project.folder, env=slurm.environment, check=True)
    fields = ("JobName", "JobID", "State", "Account", "Comment", "AllocTRES")
    jobs = [job for job in slurm.accounting(*fields) if job["JobName"].startswith("site-")]
    trainings = [job for job in jobs if job["Comment"].startswith("rule_train")]
    assert sorted(job["JobID"].partition("_")[2] for job in trainings) == ["", "1", "2"]
    for job in jobs:
        assert job["Account"] == "lab"
        assert job["State"] == "COMPLETED"
        assert "gres/gpu=1" in job["AllocTRES"]
    same_bytes(finished, project, ("models/*/m*", "predictions/*/*/*"))
    assert not list(project.results.glob("logs/slurm/rule_train/**/*.log"))  # those of jobs that ended well go
