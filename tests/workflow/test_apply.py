"""Maps of new images: the winner of the small experiment, applied to images as a user would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
from experiment import Project, run
from rasterio.merge import merge
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import box
from slurm import wait_until

from swath.files import sha256

pytestmark = pytest.mark.workflow

TWO = ["data/a.tif", "data/b.tif"]
"""Images that lie side by side."""
BUNDLES = "results/experiments/small/trials/learning_rate={},seed=0/model-bundle.zip"


def a_map(project: Project, **settings: Any) -> Project:
    """A project whose config makes a map, and trains nothing."""
    apply = {"model": {"experiment": "small"}, "images": TWO, "predict": {"smooth": "tapered"}, **settings}
    return Project(project.folder, {"experiment": "new", "apply": apply})


def folder_of(project: Project, name: str = "new") -> Path:
    return project.results / "experiments" / name / "map"


def contents(project: Project) -> dict[str, str]:
    """All files of a map with their checksums."""
    folder = folder_of(project)
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


@pytest.fixture(scope="module")
def mapped(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A mosaic of two images, in one shard. Tests that change anything take `project`."""
    folder = tmp_path_factory.mktemp("mapped") / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    project = a_map(Project(folder))
    project.snakemake("apply", "--set-scatter", "apply=1")
    return project


def test_the_winner_maps_an_image_as_the_experiment_did(project: Project) -> None:
    """`apply` in the config of a training: nothing is trained again, the map of a test scene is that of the test."""
    project.config["apply"] = {"images": "data/e.tif"}
    said = project.snakemake("apply").stdout
    assert "Checked 1 new images: nothing found" in said and "small: a map of data/e.tif by" in said
    made = pixels(folder_of(project, "small") / "map.tif")
    experiment = project.results / "experiments" / "small"
    assert np.array_equal(made, pixels(experiment / "winner" / "predictions-test" / "e" / "prediction.tif"))
    assert set(project.jobs("apply")) == {"apply"}
    assert project.jobs() == {}


def test_what_a_map_consists_of(mapped: Project) -> None:
    folder = folder_of(mapped)
    valid, errors, _ = cog_validate(folder / "map.tif", quiet=True)
    assert valid, errors
    with rasterio.open(folder / "map.tif") as dataset:
        assert dataset.shape == (192, 384) and dataset.nodata == 0 and dataset.colormap(1)[2] == (0x2F, 0x6B, 0x3A, 255)
    polygons = gpd.read_file(folder / "polygons.gpkg", engine="pyogrio")
    pd.testing.assert_frame_equal(
        polygons.drop(columns="geometry"), gpd.read_parquet(folder / "polygons.parquet").drop(columns="geometry")
    )
    areas = pd.read_csv(folder / "areas.csv")
    whole = areas[areas["of"] == "map"].set_index("class")
    assert polygons["score"].between(0, 1).all()
    for name, area in polygons.groupby("class_name")["area"].sum().items():
        assert area / 1e4 == pytest.approx(whole.loc[name, "hectares"], rel=1e-4)
    by_image = areas[areas["of"] == "image"].groupby("class")["hectares"].sum()
    assert by_image.to_dict() == pytest.approx(whole["hectares"].to_dict(), rel=1e-4)
    between = polygons.geometry.bounds
    with rasterio.open(mapped.folder / "data" / "a.tif") as image:
        border = image.bounds.right
    assert ((between["minx"] < border - 1) & (between["maxx"] > border + 1)).any()  # one polygon, in both images
    (item,) = pystac.Collection.from_file(str(folder / "collection.json")).get_items()
    assert {"map.tif", "map-confidence.tif"} <= set(item.assets)
    assert "by" in (folder / "summary.txt").read_text() and (folder / "overview.png").stat().st_size > 5_000
    assert (folder / "map.qml").exists() and (folder / "polygons.qml").exists()


def test_two_images_side_by_side_are_mapped_as_one(mapped: Project, project: Project) -> None:
    """Not a pixel tells where one of them ends, and that there are none of labels."""
    with rasterio.open(mapped.folder / "data" / "a.tif") as image:
        names = image.descriptions
    merge([str(mapped.folder / path) for path in TWO], dst_path=project.folder / "whole.tif")
    with rasterio.open(project.folder / "whole.tif", "r+") as whole:
        whole.descriptions = names
    one = a_map(project, images="whole.tif")
    one.snakemake("--set-scatter", "apply=3")
    for name in ("map.tif", "map-confidence.tif"):
        assert np.array_equal(pixels(folder_of(one) / name), pixels(folder_of(mapped) / name)), name


@pytest.mark.parametrize("shards", [2, 7])
def test_the_number_of_shards_changes_no_byte(shards: int, mapped: Project, project: Project) -> None:
    again = a_map(project)
    again.snakemake("apply", "--set-scatter", f"apply={shards}")
    assert len(list(again.results.glob("maps/new/*/*-of-*.json"))) > (shards > 2)
    assert contents(again) == contents(mapped)


@pytest.mark.long
def test_a_map_that_was_killed_goes_on(mapped: Project, project: Project) -> None:
    """Killed three times, each time after another part has been made, which is not made again."""
    again = a_map(project)
    made: dict[Path, int] = {}

    def parts() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in again.results.glob("maps/new/parts/*/*/made-from.json")}

    for number in (1, 2, 3):
        command = again.command("apply", "--cores", "1", "--set-scatter", "apply=7")
        with subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            wait_until(lambda number=number: len(list(again.results.glob("maps/new/*/*-of-*.json"))) >= number)
            os.killpg(process.pid, signal.SIGKILL)
        there = parts()
        assert len(there) >= number and {path: there[path] for path in made} == made
        made = there
    again.snakemake("apply", "--set-scatter", "apply=7")
    assert {path: parts()[path] for path in made} == made
    assert contents(again) == contents(mapped)


def test_another_image_makes_only_its_own_parts(project: Project) -> None:
    first = a_map(project, mosaic=False)
    first.snakemake("apply")
    made = {path: path.stat().st_mtime_ns for path in first.results.glob("maps/new/parts/*/*/made-from.json")}
    assert len(made) == 2
    more = a_map(project, images=[*TWO, "data/e.tif"], mosaic=False)
    assert more.jobs("apply") == {"apply_part": 1, "assemble": 1, "apply": 1}
    more.snakemake("apply")
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert sorted(path.name for path in folder_of(more).glob("maps/?.tif")) == ["a.tif", "b.tif", "e.tif"]
    assert (folder_of(more) / "maps" / "a-confidence.tif").exists()
    with rasterio.open(project.folder / "data" / "b.tif", "r+") as image:
        image.write(image.read()[:, ::-1])
    assert more.jobs("apply")["apply_part"] == 1


def test_only_what_lies_in_the_area_of_interest_is_mapped(mapped: Project, project: Project) -> None:
    with rasterio.open(project.folder / "data" / "a.tif") as image:
        west, south, east, north = image.bounds
        crs = image.crs
    area = gpd.GeoDataFrame(
        {"name": ["mine"]}, geometry=[box(west + 400, south + 500, east + 300, north - 700)], crs=crs
    )
    area.to_crs("EPSG:4326").to_file(project.folder / "aoi.geojson")
    inside = a_map(project, aoi="aoi.geojson", polygons={"classes": ["forest"], "min_area": 2000, "simplify": 15})
    inside.snakemake()
    found, whole = pixels(folder_of(inside) / "map.tif"), pixels(folder_of(mapped) / "map.tif")
    wanted = np.zeros(whole.shape, bool)
    wanted[70:142, 40:222] = True
    assert np.array_equal(found[wanted], whole[wanted]) and not found[~wanted].any()
    areas = pd.read_csv(folder_of(inside) / "areas.csv")
    mine = areas[(areas["of"] == "area of interest") & (areas["name"] == "mine")]
    assert mine["hectares"].sum() == pytest.approx(wanted.sum() / 100, rel=0.005)
    polygons = gpd.read_parquet(folder_of(inside) / "polygons.parquet")
    assert set(polygons["class_name"]) == {"forest"} and (polygons["area"] >= 2000).all()
    assert polygons.geometry.is_valid.all()


def test_models_are_averaged(mapped: Project, project: Project) -> None:
    """Two trials, with scores of all classes and a measure of doubt."""
    models = [BUNDLES.format(rate) for rate in (0.001, 0.003)]
    predict = {"smooth": "tapered", "flips": True, "scores": True, "uncertainty": "entropy"}
    several = a_map(project, model=models, images="data/b.tif", predict=predict)
    assert "2 models, averaged" in several.snakemake().stdout
    folder = folder_of(several)
    labels = pixels(folder / "map.tif")
    with rasterio.open(folder / "map-scores.tif") as dataset:
        scores, names = dataset.read(), dataset.descriptions
    assert names == ("open land", "forest", "residential", "water")
    best = scores.max(axis=0)
    assert (np.take_along_axis(scores, labels[None].astype(int) - 1, 0)[0] >= best - 1).all()
    assert np.array_equal(pixels(folder / "map-confidence.tif"), np.take_along_axis(scores, labels[None] - 1, 0)[0])
    assert pixels(folder / "map-uncertainty.tif").max() < 255
    assert not np.array_equal(labels, pixels(folder_of(mapped) / "map.tif")[:, 192:])


def test_an_image_unlike_the_training_stops_everything(project: Project) -> None:
    with rasterio.open(project.folder / "data" / "a.tif") as image:
        profile, values, names = image.profile, image.read(), image.descriptions
    coarse = profile | {"transform": profile["transform"] @ rasterio.Affine.scale(2)}
    with rasterio.open(project.folder / "coarse.tif", "w", **coarse) as other:
        other.write(values)
        other.descriptions = names
    config = a_map(project, images="coarse.tif")
    done = config.snakemake("apply", check=False)
    assert done.returncode == 1 and "WARNING other_pixel_size" in done.stdout and "20 m" in done.stdout
    assert not list(project.results.glob("maps/*"))
    config.config["checks"] = {"allow": ["other_pixel_size"]}
    assert "WARNING other_pixel_size (allowed)" in config.snakemake("apply").stdout


def test_a_map_by_hand(project: Project, mapped: Project) -> None:
    """Without a config file, as docs/maps.md says."""
    command = [*project.command("apply")]
    at = command.index("--configfile")
    bundle = os.path.realpath(project.folder / BUNDLES.format(0.001))
    settings = f'apply={{"model": "{os.path.relpath(bundle, project.folder)}", "images": "data/e.tif"}}'
    command[at : at + 2] = ["--config", settings]
    done = run(command)
    assert done.returncode == 0, done.stdout
    assert pixels(folder_of(project, "map") / "map.tif").shape == (192, 192)
    assert "map: a map of data/e.tif" in done.stdout


def test_the_same_config_in_the_training_s_file_needs_no_second_model(project: Project) -> None:
    """The winner is known once the experiment is done: the dry run says what else there is to do."""
    project.config = deepcopy(project.config)
    project.config["apply"] = {"images": TWO, "model": {"trial": "learning_rate=0.003"}}
    assert project.jobs("apply") == {"apply_part": 1, "assemble": 1, "apply": 1}
    project.config["apply"]["model"] = {"trial": "learning_rate=0.3"}
    done = project.snakemake("apply", "-n", check=False)
    assert "ERROR unknown_trial" in done.stdout and "learning_rate=0.003" in done.stdout


def test_a_map_that_is_made_by_the_same_file_is_compared(project: Project) -> None:
    """Points are drawn from the map once it is there; the maps of test scenes serve as well."""
    both = a_map(project, images="data/e.tif")
    both.config["accuracy"] = {"sample": {"points": 40, "least": 5}}
    assert set(both.jobs()) == {"all", "apply_part", "assemble"}
    assert "40 points to be labelled" in both.snakemake("sample", "--set-scatter", "apply=1").stdout
    assert both.jobs("sample", "apply", "--set-scatter", "apply=1") == {"apply": 1}
    maps = "results/experiments/small/winner/predictions-test/*/prediction.tif"
    tested = Project(project.folder, {"experiment": "small", "accuracy": {"map": maps, "sample": {"points": 40}}})
    assert tested.jobs() == {"all": 1, "sample": 1}
    project.config["accuracy"] = {"map": "not-there-yet.tif"}
    assert project.jobs() == {}
    assert "ERROR file_missing" in project.snakemake("sample", "-n", check=False).stdout
