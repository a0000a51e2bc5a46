"""Imagery and labels of other kinds than the demo's, from the scene table to the maps."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from experiment import CUTS, SMALL, Project, raster_vision
from rasterio.features import rasterize

from swath.files import read_json

pytestmark = pytest.mark.workflow
SIDE = 96
NUMBERS = {"farmland": 1, "grassland": 1, "forest": 2, "residential": 3, "water": 4, "wetland": 9}


@pytest.fixture(scope="module")
def small_scenes(cut_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The upper left quarters of the small real scenes."""
    folder = tmp_path_factory.mktemp("quarters")
    for scene in CUTS:
        shutil.copy(cut_scenes / f"{scene}.geojson", folder)
        with rasterio.open(cut_scenes / f"{scene}.tif") as image:
            profile = image.profile | {"width": SIDE, "height": SIDE, "blockxsize": 32, "blockysize": 32}
            with rasterio.open(folder / f"{scene}.tif", "w", **profile) as quarter:
                quarter.write(image.read(window=((0, SIDE), (0, SIDE))))
                quarter.descriptions = image.descriptions
    return folder


def project(folder: Path, name: str, rows: list[str], **sections: Any) -> Project:
    """A tiny experiment of one epoch."""
    (folder / "data" / "scenes.csv").write_text("\n".join(["scene,image,labels,split", *rows]) + "\n")
    config = deepcopy(SMALL) | {"experiment": name, "scenes": {"table": "data/scenes.csv"}, "sweep": {}} | sections
    config["chips"] = {"size": 32, "per_scene": 4}
    config["train"] = {"epochs": 1, "batch_size": 4, "threads": 1}
    config["predict"] = {"stride": 16, "smooth": True, "scores": True, "uncertainty": "margin"}
    return Project(folder, config)


def rewrite(source: Path, target: Path, bands: list[int], dtype: str, scale: float = 1.0, **profile: Any) -> None:
    """Write some bands of a scene as another type."""
    with rasterio.open(source) as image:
        pixels = (image.read(bands) * scale).astype(dtype)
        options = image.profile | {"dtype": dtype, "count": len(bands), "predictor": 1} | profile
        if options.get("nodata") is not None:
            pixels[:, :5] = options["nodata"]
        with rasterio.open(target, "w", **options) as written:
            written.write(pixels)
            written.descriptions = [image.descriptions[band - 1] for band in bands]


def label_pixels(scenes: Path, scene: str) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """Burn a scene's labels as numbers; 0 where there are none."""
    with rasterio.open(scenes / f"{scene}.tif") as image:
        labels = gpd.read_file(scenes / f"{scene}.geojson").to_crs(image.crs)
        shapes = zip(labels.geometry, labels["class_name"].map(NUMBERS), strict=True)
        burned = rasterize(shapes, (SIDE, SIDE), transform=image.transform, dtype="uint8")
        return burned, {"crs": image.crs, "transform": image.transform}


def maps_of(done: Project) -> dict[str, np.ndarray[Any, Any]]:
    maps = {}
    for path in done.results.glob("predictions/*/*/prediction.tif"):
        with rasterio.open(path) as dataset:
            maps[path.parent.name.rpartition("-")[0]] = dataset.read(1)  # the rest is a hash of the image's name
    return maps


def test_four_bands_of_float32_with_nan(small_scenes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for scene in CUTS:
        rewrite(small_scenes / f"{scene}.tif", data / f"{scene}.tif", [3, 4, 8, 12], "float32", 1e-4, nodata=np.nan)
        shutil.copy(small_scenes / f"{scene}.geojson", data)
    rows = [f"{scene},{scene}.tif,{scene}.geojson,{cut[0]}" for scene, cut in CUTS.items()]
    model = {"encoder": "resnet18", "arguments": {"encoder_depth": 3, "decoder_channels": [32, 16, 8]}}
    done = project(tmp_path, "float", rows, imagery={"normalize": "min_max"}, model=model)
    done.snakemake()
    maps = maps_of(done)
    assert set(maps) == {"d", "e"}
    for labels in maps.values():
        assert not labels[:5].any() and labels[5:].all()  # no data, no class
    for folder in done.results.glob("predictions/*/*/"):
        with rasterio.open(folder / "prediction.tif") as dataset:
            classes, labels = [dataset.tags(1)[f"class_{index}"] for index in range(1, 5)], dataset.read(1)
        with rasterio.open(folder / "scores.tif") as dataset:
            assert list(dataset.descriptions) == classes
            scores = dataset.read(masked=True)
        with rasterio.open(folder / "uncertainty.tif") as dataset:
            uncertain = dataset.read(1, masked=True)
        for values in (*scores, uncertain):
            assert np.array_equal(np.ma.getmaskarray(values), labels == 0)
        highest = np.take_along_axis(scores, labels[None].clip(1).astype(int) - 1, axis=0)[0]
        assert (highest[5:] == scores.max(axis=0)[5:]).all()
        assert uncertain[5:].std() > 0
    bundle = next(done.results.glob("bundles/*/model-bundle.zip"))
    raster_vision("predict", str(bundle), "data/d.tif", str(tmp_path / "own"), folder=tmp_path)
    with rasterio.open(tmp_path / "own" / "labels.tif") as dataset:
        assert np.array_equal(dataset.read(1)[5:], maps["d"][5:])


def test_one_band_of_uint16_and_label_rasters_of_numbers(small_scenes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for scene in CUTS:
        rewrite(small_scenes / f"{scene}.tif", data / f"{scene}.tif", [8], "uint16", nodata=65535)
        numbers, place = label_pixels(small_scenes, scene)
        profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 1, "dtype": "uint8", "nodata": 0}
        with rasterio.open(data / f"{scene}-labels.tif", "w", **profile, **place) as written:
            written.write(numbers, 1)
    rows = [f"{scene},{scene}.tif,{scene}-labels.tif,{cut[0]}" for scene, cut in CUTS.items()]
    mapping = {1: "open land", 2: "forest", 3: "residential", 4: "water", 9: None}
    done = project(tmp_path, "numbers", rows, imagery={}, labels={"mapping": mapping})
    done.snakemake()
    metrics = read_json(next(done.results.glob("evals/*/validation.json")))
    numbers, _ = label_pixels(small_scenes, "d")
    assert metrics["overall"]["labelled"] == int(np.isin(numbers[5:], (1, 2, 3, 4)).sum())  # above is no data
    assert set(maps_of(done)) == {"d", "e"}


def test_bands_in_files_of_their_own_one_file_of_labels_and_a_test_scene_without(
    small_scenes: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for scene in CUTS:
        for band, name in ((3, "B03"), (8, "B08")):
            rewrite(small_scenes / f"{scene}.tif", data / f"{scene}_2017_{name}.tif", [band], "uint16")
        with rasterio.open(small_scenes / f"{scene}.tif") as image:
            pixels, place = image.read(12)[::2, ::2], image.transform * image.transform.scale(2)
            profile = image.profile | {"width": SIDE // 2, "height": SIDE // 2, "count": 1, "transform": place}
            with rasterio.open(data / f"{scene}_2017_B11.tif", "w", **profile) as written:
                written.write(pixels, 1)
                written.descriptions = ("B11",)
    everything = [gpd.read_file(small_scenes / f"{scene}.geojson") for scene in CUTS if scene != "e"]
    pd.concat(everything).to_file(data / "labels.gpkg", layer="land use")
    labels = {**SMALL["labels"], "layer": "land use"}
    rows = [f"{scene},{scene}_2017_*.tif,labels.gpkg,{cut[0]}" for scene, cut in CUTS.items() if scene != "e"]
    rows.append("e,e_2017_B03.tif;e_2017_B08.tif;e_2017_B11.tif,,test")
    imagery = {"files": "bands", "bands": ["B11", "B03", "B08"], "normalize": {"min": 0, "max": [9000, 4000, 4000]}}
    done = project(tmp_path, "files", rows, imagery=imagery, labels=labels)
    done.snakemake()
    assert set(maps_of(done)) == {"d", "e"}
    assert not list(done.results.glob("evals/*/test.json"))
    summary = (done.results / "experiments" / "files" / "summary.txt").read_text()
    assert "Test scenes without labels, predicted but not evaluated: 1" in summary
    assert (done.results / "experiments" / "files" / "winner" / "predictions-test" / "e" / "prediction.tif").is_file()
    again = done.jobs()
    assert not again
