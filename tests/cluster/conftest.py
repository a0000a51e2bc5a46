"""One cluster for all tests of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import REPOSITORY
from slurm import PACKAGES, Slurm, missing_programs


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
