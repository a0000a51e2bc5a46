"""Every step in a container: the same bytes, data from anywhere, nothing from the host."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_clone import AS_FINISHED, add_chips, clone, keep_the_winner, same_bytes
from experiment import REPOSITORY, Project

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that Apptainer does not mount by itself."""
    with tempfile.TemporaryDirectory(dir="/srv", prefix="swath-") as folder:
        yield Path(folder)


def in_container(project: Project, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return project.snakemake("--software-deployment-method", "apptainer", *arguments, check=check)


def test_a_folder_elsewhere_gives_the_same_bytes(
    finished: Project, elsewhere: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither program, data nor results lie where Apptainer looks by itself; the host has coordinate systems, too."""
    monkeypatch.setenv("PROJ_DATA", "/opt/conda/share/proj")
    project = clone(elsewhere / "work", finished, image)
    keep_the_winner(project, finished)
    shutil.move(project.folder / "data", elsewhere / "data")
    (project.folder / "data").symlink_to(elsewhere / "data")
    (elsewhere / "large-disk" / "results").mkdir(parents=True)
    (elsewhere / "scratch").symlink_to("large-disk")
    (project.folder / "results").symlink_to(elsewhere / "scratch" / "results")
    in_container(project, "--until", "predict")
    same_bytes(project, finished, ("models/*/m*", "predictions/*/*/*"))


def test_data_may_lie_anywhere(finished: Project, elsewhere: Path, tmp_path: Path, image: Path) -> None:
    """The config names the place, nobody types it twice."""
    shutil.copytree(finished.folder / "data", elsewhere / "data")
    project = clone(tmp_path / "work", finished, image)
    shutil.rmtree(project.folder / "data")
    project.config["scenes"]["table"] = str(elsewhere / "data" / "scenes.csv")
    in_container(project, "--until", "scenes")
    assert list(project.results.glob("scenes/*/*.json"))


def test_nothing_is_taken_from_the_host(finished: Project, tmp_path: Path, image: Path) -> None:
    planted = Path(sysconfig.get_path("purelib")) / "planted_on_the_host.py"
    planted.write_text("here = True\n")
    try:
        project = Project(tmp_path, {"experiment": "mine", "pipeline": "mine/config.py", "arguments": {"data": "data"}})
        shutil.copytree(finished.folder / "data", tmp_path / "data")
        shutil.copytree(REPOSITORY / "config" / "examples" / "own-pipeline", tmp_path / "mine")
        module = tmp_path / "mine" / "config.py"
        module.write_text("import planted_on_the_host\n" + module.read_text())
        project.snakemake("--until", "configure")  # the host has it
        done = in_container(project, "--until", "configure", "--forcerun", "configure", check=False)
    finally:
        planted.unlink()
    assert done.returncode != 0
    assert "No module named 'planted_on_the_host'" in done.stdout


def test_the_image_by_hand(finished: Project, tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Swath itself is in the image, too."""
    monkeypatch.setenv("PROJ_DATA", "/opt/conda/share/proj")
    project = clone(tmp_path / "work", finished, image)
    add_chips(project, finished)
    keep_the_winner(project, finished)
    for name in ("Snakefile", "rules", "scripts"):
        path = project.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    command = ["apptainer", "run", str(image), "--cores", "2", *AS_FINISHED, "--until", "train"]
    done = subprocess.run(
        [*command, "--configfile", "config/config.yaml"],
        cwd=project.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    same_bytes(project, finished, ("models/*/m*",))


def test_without_an_image(finished: Project, tmp_path: Path) -> None:
    project = clone(tmp_path / "work", finished)
    command = ["snakemake", "--cores", "2", "--software-deployment-method", "apptainer"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "make image" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.folder / "results" / "scenes").exists()
