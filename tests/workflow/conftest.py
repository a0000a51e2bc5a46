"""Copies of the finished experiment, free to be changed."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from direct_training import Workshop
from experiment import Project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished experiment, free to be changed."""
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Project(folder, deepcopy(finished.config))


@pytest.fixture
def workshop(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A working directory with the finished experiment's chips, for trainings outside Snakemake."""
    monkeypatch.chdir(tmp_path)
    return Workshop(tmp_path, finished)
