"""Which data sets an experiment fetches: those that its scene table names, and no other."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from experiment import SMALL, Project

pytestmark = pytest.mark.workflow

SETS = {
    "havel": {"havel"},
    "havel_chips": {"havel", "havel_chips"},
    "neon_trees": {"neon_trees"},
}
RULES = {"havel", "havel_chips", "neon_trees"}


def project_on(name: str, folder: Path) -> Project:
    """The small experiment on the scenes of a data set."""
    table = {"scenes": {"table": f"resources/{name}/scenes.csv"}, "imagery": {"bands": [1, 2, 3]}}
    return Project(folder, {**deepcopy(SMALL), **table})


@pytest.mark.parametrize(("name", "rules"), SETS.items())
def test_an_experiment_fetches_what_its_scenes_need(name: str, rules: set[str], tmp_path: Path) -> None:
    assert RULES & set(project_on(name, tmp_path).jobs()) == rules


def test_scenes_that_are_made_need_no_network(
    havel: Path, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project_on("havel_chips", tmp_path)
    shutil.copytree(havel, tmp_path / "resources" / "havel")
    shutil.copy(wheel, tmp_path / "resources" / "havel")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    table = "resources/havel_chips/scenes.csv"
    project.snakemake(table)
    assert len(list((tmp_path / "resources/havel_chips/labels").iterdir())) == 8
    for leftover in tmp_path.glob("resources/*/*.whl"):
        leftover.unlink()
    assert "Nothing to be done" in project.snakemake(table).stdout
    assert not RULES & set(project.jobs())


def test_trees_are_fetched_by_their_rule(tmp_path: Path) -> None:
    project = project_on("neon_trees", tmp_path)
    project.snakemake("resources/neon_trees/scenes.csv")
    images = tmp_path / "resources/neon_trees/images"
    assert len(list(images.iterdir())) == 7
    assert "neon_trees" not in project.jobs()
    (images / "soap_061.tif").unlink()
    assert project.jobs()["neon_trees"] == 1
