"""One cluster for all tests of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm import PACKAGES, Slurm, missing_programs


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real SLURM cluster."""
    if missing := missing_programs():
        pytest.skip(f"needs {', '.join(missing)}: apt-get install --no-install-recommends {PACKAGES}")
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = Slurm(Path(folder))
        cluster.control("up")
        try:
            yield cluster
        finally:
            cluster.control("down")
