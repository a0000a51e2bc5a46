"""Clones of the repository, in which a user types `snakemake --profile slurm`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from project import REPOSITORY, Project

from swath.files import sha256

PROGRAM = ("Snakefile", "rules", "scripts", "profiles", "slurm", "envs")
"""What a clone needs to run."""
RESULTS = ("bundles/*/*", "models/*/m*", "models/*/pipeline-config.json", "predictions/*/*/*", "evals/*/*.json")
"""Results that are the same everywhere."""


def clone(folder: Path, finished: Project) -> Project:
    """A clone whose config and data are those of the finished experiment."""
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


def same_bytes(one: Project, other: Project, patterns: Sequence[str] = RESULTS) -> None:
    """All results of one project are in the other, to the byte."""
    for pattern in patterns:
        files = [path for path in one.results.glob(pattern) if path.is_file()]
        assert files, pattern
        for path in files:
            assert sha256(path) == sha256(other.results / path.relative_to(one.results)), path
