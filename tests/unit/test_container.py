"""What a container is given to see."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from swath.errors import UserError
from swath.job import container
from swath.job.container import check_image, check_program, drop_host_environment, folders_to_mount, mount


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, with data elsewhere."""
    for folder in ("work/data", "shared/images/north", "shared/labels", "scratch/results"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "shared/images/north/a.tif").touch()
    (tmp_path / "work/results").symlink_to(tmp_path / "scratch/results")
    (tmp_path / "work/a.tif").symlink_to(tmp_path / "shared/images/north/a.tif")
    monkeypatch.chdir(tmp_path / "work")
    for variable in container.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "work"


def names(folders: list[str], here: Path) -> list[str]:
    return [str(Path(folder).relative_to(here.parent)) for folder in folders]


def test_what_lies_in_the_working_directory_is_there_anyway(here: Path) -> None:
    assert folders_to_mount(["data", here / "data", "config.yaml", "resnet50"], here) == []


def test_folders_of_files_elsewhere_are_mounted_once(here: Path) -> None:
    shared = here.parent / "shared"
    places = [
        shared / "images/north/a.tif",
        "../shared/images/north/b.tif",
        shared / "images",
        shared / "labels/a.gpkg",
    ]
    assert names(folders_to_mount(places, here), here) == ["shared/images", "shared/labels"]


def test_links_are_followed(here: Path) -> None:
    assert names(folders_to_mount(["results", "a.tif"], here), here) == ["scratch/results", "shared/images/north"]


def test_a_link_that_leads_through_another_one_leads_on_in_the_container(here: Path) -> None:
    """As where /scratch itself is a link."""
    (here.parent / "lustre").mkdir()
    (here.parent / "scratch").rename(here.parent / "lustre/scratch")
    (here.parent / "scratch").symlink_to("lustre/scratch")
    both = ["lustre/scratch/results", "scratch/results"]
    assert names(folders_to_mount(["results"], here), here) == both
    assert names(folders_to_mount(["results/models/a.zip"], here), here) == []  # it is not there
    (here / "results/a.zip").touch()
    assert names(folders_to_mount(["results/a.zip"], here), here) == both


def test_links_in_a_circle_lead_nowhere(here: Path) -> None:
    (here.parent / "one").symlink_to("two")
    (here.parent / "two").symlink_to("one")
    assert folders_to_mount(["../one/a.tif", here.parent / "two"], here) == [str(here.parent)]


def test_what_is_not_there_is_left_out(here: Path) -> None:
    assert folders_to_mount(["/nowhere/at/all.tif", "/x", "../gone/a.tif"], here) == []


def test_the_users_own_mounts_stay(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPTAINER_BIND", "/reference:/data:ro")
    mount(here, [here.parent / "shared"])
    mount(here, [here.parent / "shared"])
    assert os.environ["APPTAINER_BIND"] == f"/reference:/data:ro,{here.parent}/shared"
    assert os.environ["SINGULARITY_BIND"] == os.environ["APPTAINER_BIND"]  # Apptainer reads one of the two


@pytest.mark.parametrize("name", ["a,b", "a:b"])
def test_a_name_that_apptainer_cannot_be_told(name: str, here: Path) -> None:
    (here.parent / name).mkdir()
    with pytest.raises(UserError, match="a colon or comma in its name"):
        mount(here, [here.parent / name])


def test_a_missing_image(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make image"):
        check_image(tmp_path / "swath.sif")


def test_packages_and_coordinate_systems_of_the_host_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/a", "/mnt/snakemake_searchpaths/item_0", "/b"])
    monkeypatch.setenv("PROJ_DATA", "/opt/conda/share/proj")
    drop_host_environment()
    assert sys.path == ["/a", "/b"]
    assert "PROJ_DATA" not in os.environ


@pytest.mark.parametrize(
    ("variable", "cure"), [("MODULEPATH", "`module load apptainer`"), ("NOTHING", "use this Python")]
)
def test_without_apptainer_the_cure_is_the_one_that_fits(
    variable: str, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MODULEPATH", "MODULESHOME", "LMOD_CMD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(variable, "/modules")
    with pytest.raises(UserError) as caught:
        check_program()
    (problem,) = caught.value.problems
    assert problem.code == "apptainer_missing"
    assert problem.cure.startswith(cure)
    (tmp_path / "apptainer").touch(0o755)
    check_program()


def test_a_repository_whose_name_snakemake_cannot_say_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unmountable_folder[\s\S]*a space in its name"):
        mount(tmp_path / "my swath", [])
