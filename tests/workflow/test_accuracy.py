"""From a map to areas with intervals, as a user types it: points are drawn, labelled, and compared."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from experiment import Project

from swath.products.maps import Place, label_raster_writer

pytestmark = pytest.mark.workflow

NAMES, COLOURS = ["null", "water", "field", "forest"], ["#000000", "#2b6cb0", "#e3c567", "#2f6b3a"]
EAST, NORTH, METRES = 450_000.0, 40_000.0, 10.0


@pytest.fixture
def truth() -> np.ndarray:
    """Class ids in stripes: 100, 300 and 200 hectares, or nearly so."""
    return np.repeat([1, 2, 3], [50, 150, 100])[None].repeat(200, axis=0)


@pytest.fixture
def project(tmp_path: Path, truth: np.ndarray) -> Project:
    """A map on which a part of the forest is field, and a config that compares it."""
    ids = truth.astype(np.uint8)
    ids[:60, 200:] = 2
    place = Place("EPSG:32636", tuple(rasterio.transform.from_origin(EAST, NORTH, METRES, METRES))[:6], *ids.shape)
    with label_raster_writer(place, NAMES, COLOURS, tmp_path / "map.tif") as write:
        write(0, ids)
    accuracy = {"map": "map.tif", "reference": "labelled.gpkg", "sample": {"points": 200, "least": 30}}
    return Project(tmp_path, {"experiment": "kampala", "accuracy": accuracy})


def label(project: Project, truth: np.ndarray) -> gpd.GeoDataFrame:
    """Fill in the classes of the points that were drawn, and save them under another name."""
    points = gpd.read_file(project.results / "experiments/kampala/accuracy/sample.gpkg", engine="pyogrio")
    columns, rows = ((points["x"] - EAST) / METRES).astype(int), ((NORTH - points["y"]) / METRES).astype(int)
    points["class"] = [NAMES[index] for index in truth[rows, columns]]
    points.to_file(project.folder / "labelled.gpkg", layer="points", engine="pyogrio")
    return points


def test_points_are_drawn_labelled_and_compared(project: Project, truth: np.ndarray) -> None:
    said = project.snakemake("sample").stdout
    assert "200 points to be labelled (water 3" in said
    folder = project.results / "experiments/kampala/accuracy"
    points = label(project, truth)
    assert {path.name for path in folder.iterdir()} == {"sample.csv", "sample.gpkg", "sample.qml"}
    said = project.snakemake("accuracy").stdout
    assert "overall accuracy" in said and "forest: " in said
    found = json.loads((folder / "accuracy.json").read_text())
    for row, hectares in zip(found["classes"], (100, 300, 200), strict=True):
        assert abs(row["estimated_hectares"] - hectares) <= row["estimated_margin"] + 0.01 * hectares
    assert found["classes"][1]["mapped_hectares"] > 355 and found["points"] == 200
    assert (folder / "accuracy.html").stat().st_size > 3_000

    # nothing is left to do; points that are labelled where they were drawn are not taken for damage, nor drawn over
    points.to_file(folder / "sample.gpkg", layer="points", engine="pyogrio", mode="w")
    assert project.jobs("accuracy", "sample") == {}
    project.config["accuracy"]["sample"]["seed"] = 1
    assert "ERROR sample_labelled" in project.snakemake("sample", check=False).stdout
    assert len(gpd.read_file(folder / "sample.gpkg", engine="pyogrio")) == 200
