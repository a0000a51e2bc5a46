"""`snakemake --profile slurm`, typed in a clone, on a real cluster."""

from __future__ import annotations

import shutil
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest
from project import REPOSITORY, Project
from slurm import Slurm

from swath.files import sha256

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]

PROGRAM = ("Snakefile", "rules", "scripts", "profiles", "slurm", "envs")
"""What a clone needs to run."""
SAME_EVERYWHERE = ("bundles/*/*", "models/*/m*", "models/*/pipeline-config.json", "predictions/*/*/*", "evals/*/*.json")


def clone(folder: Path, finished: Project) -> Project:
    """A clone of the repository whose config is the small experiment's."""
    for name in PROGRAM:
        source = REPOSITORY / name
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name, follow_symlinks=False)
    shutil.copytree(finished.folder / "data", folder / "data")
    (folder / "config").mkdir()
    shutil.copy(finished.folder / "config.yaml", folder / "config" / "config.yaml")
    return Project(folder, deepcopy(finished.config))


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
    for pattern in SAME_EVERYWHERE:
        local = sorted(finished.results.glob(pattern))
        assert local
        for path in local:
            if path.is_file():
                assert sha256(path) == sha256(queued.results / path.relative_to(finished.results)), path


def test_only_training_and_prediction_hold_a_gpu(queued: Project, slurm: Slurm) -> None:
    jobs = slurm.accounting("JobName", "State", "NodeList", "AllocTRES", "Comment")
    assert jobs
    for job in jobs:
        assert job["State"] == "COMPLETED"
        on_gpu = "rule_train" in job["Comment"] or "rule_predict" in job["Comment"]
        assert job["NodeList"].startswith("gpu" if on_gpu else "cpu"), job
        assert ("gres/gpu=1" in job["AllocTRES"]) == on_gpu, job
