"""Clones of the repository, in which a user types `snakemake --profile slurm`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import pandas as pd
from experiment import REPOSITORY, Project

from swath.files import sha256

PROGRAM = ("Makefile", "Snakefile", "rules", "scripts", "profiles", "slurm", "envs", "config")
"""What a clone needs to run."""
RESULTS = ("bundles/*/*", "models/*/m*", "predictions/*/*/*", "evals/*/validation.json", "evals/*/test.json")
"""Results that are the same everywhere."""
AS_FINISHED = ("--set-scatter", "scenes=2", "chip=2", "predict=2")


def copy_program(folder: Path) -> None:
    """Copy what a clone needs to run into a new folder."""
    folder.mkdir(parents=True)
    for name in PROGRAM:
        source = REPOSITORY / name
        if source.is_dir() and not source.is_symlink():
            shutil.copytree(source, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.sif"))
        else:
            shutil.copy(source, folder / name, follow_symlinks=False)


def clone(folder: Path, finished: Project, image: Path | None = None) -> Project:
    """A clone whose config and data are those of the finished experiment, with an image for its steps."""
    copy_program(folder)
    if image:
        (folder / "envs" / "swath.sif").symlink_to(image)
    shutil.copytree(finished.folder / "data", folder / "data")
    shutil.copy(finished.folder / "config.yaml", folder / "config" / "config.yaml")
    return Project(folder, deepcopy(finished.config))


def keep_the_winner(project: Project, finished: Project) -> None:
    """Leave the trial alone that wins: a third less to do."""
    leaderboard = pd.read_csv(finished.results / "experiments" / "small" / "leaderboard.csv")
    project.config["sweep"] = {"grid": {"train.learning_rate": [float(leaderboard["train.learning_rate"][0])]}}
    project.write().replace(project.folder / "config" / "config.yaml")


def add_chips(project: Project, finished: Project) -> None:
    """Copy everything but the models; it counts as done with as many shards as it was made with (``AS_FINISHED``)."""
    ignored = shutil.ignore_patterns("models")
    shutil.copytree(finished.results, project.results, symlinks=True, ignore=ignored)


def same_bytes(one: Project, other: Project, patterns: Sequence[str] = RESULTS) -> None:
    """All results of one project are in the other, to the byte; only ``libraries.yaml`` may name another Python."""
    for pattern in patterns:
        files = [path for path in one.results.glob(pattern) if path.is_file() and path.name != "libraries.yaml"]
        assert files, pattern
        for path in files:
            assert sha256(path) == sha256(other.results / path.relative_to(one.results)), path
