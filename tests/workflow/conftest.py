"""One real run of a small experiment, shared by every test that looks at results or at what would run again."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from project import SMALL, Project
from workshop import Workshop


@pytest.fixture(scope="session")
def finished(cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small experiment, run to the end. Tests that change anything take `project`."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(cut_scenes, folder / "data")
    project = Project(folder, {**deepcopy(SMALL), "scenes": {"table": "data/scenes.csv"}})
    project.snakemake()
    return project


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
