"""What the tests of the cluster share: the cluster, the image, a training that nothing happens to."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from experiment import REPOSITORY, Project
from shared_fixture import made_once
from slurm import PACKAGES, Slurm, missing_programs
from training_on_cluster import one_training


@pytest.fixture(scope="session")
def image() -> Path:
    """The image that `make image` builds."""
    path = REPOSITORY / "envs" / "swath.sif"
    if not path.exists():
        pytest.skip(f"needs {path}: `make image`, or tests/cluster/build-image.sh where there is no registry")
    if not shutil.which("apptainer"):
        pytest.skip("needs apptainer: tests/cluster/install-apptainer.sh")
    return path


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real SLURM cluster."""
    if missing := missing_programs():
        pytest.skip(f"needs {', '.join(missing)}: apt-get install --no-install-recommends {PACKAGES}")
    if os.geteuid() != 0:
        pytest.skip("needs root: SLURM's daemons change users, and a test mounts a small disk")
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = Slurm(Path(folder))
        cluster.control("up")
        try:
            yield cluster
        finally:
            cluster.control("down")


@pytest.fixture(scope="session")
def undisturbed(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A training on this machine, without SLURM."""

    def make(folder: Path) -> None:
        one_training(finished, folder / "swath").snakemake("--until", "train")

    return Project(made_once(tmp_path_factory, "undisturbed", make) / "swath")


@pytest.fixture
def training_to_do(finished: Project, tmp_path: Path) -> Project:
    """A clone in which the same training is still to be done."""
    return one_training(finished, tmp_path / "swath")
