"""Maps that open anywhere."""

from __future__ import annotations

import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from swath.products.maps import label_polygons, write_label_raster
from swath.products.tables import write_table
from swath.scenes.no_data import without_data

CLASSES, COLOURS = ["null", "field", "wood & moor"], ["#000000", "#ff0000", "#00ff00"]


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "image.tif"
    transform = rasterio.transform.from_origin(330_000, 5_820_000, 10, 10)
    profile = {"driver": "GTiff", "width": 700, "height": 600, "count": 2, "dtype": "uint16", "nodata": 9}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=transform) as dataset:
        pixels = np.ones((2, 600, 700), np.uint16)
        pixels[0, :10], pixels[:, :5] = 9, 9
        dataset.write(pixels)
    return str(path)


def labels() -> np.ndarray:
    raster = np.ones((600, 700), np.uint8)
    raster[100:200, 100:300] = 2
    raster[:50] = 0
    return raster


def test_a_label_raster_is_a_valid_cog_with_everything_on_it(tmp_path: Path, image: str) -> None:
    path = tmp_path / "prediction.tif"
    write_label_raster(labels(), image, CLASSES, COLOURS, path)
    valid, errors, _ = cog_validate(path, quiet=True)
    assert valid, errors
    with rasterio.open(path) as dataset, rasterio.open(image) as source:
        assert (dataset.crs, dataset.transform) == (source.crs, source.transform)
        assert dataset.nodata == 0
        assert dataset.colormap(1)[1] == (255, 0, 0, 255)
        assert dataset.tags(1)["class_2"] == "wood & moor"
        assert dataset.overviews(1)
        assert np.array_equal(dataset.read(1), labels())
    assert "<Category>wood &amp; moor</Category>" in Path(f"{path}.aux.xml").read_text()


def test_polygons_have_the_rasters_area_and_no_null_class(image: str) -> None:
    polygons = label_polygons(labels(), image, CLASSES, "s1")
    areas = polygons.assign(area=polygons.area).groupby("class_name")["area"].sum()
    assert areas.to_dict() == {"field": (550 * 700 - 20_000) * 100, "wood & moor": 20_000 * 100}
    assert set(polygons["scene"]) == {"s1"}


def test_polygons_leave_out_the_background(image: str) -> None:
    polygons = label_polygons(labels(), image, CLASSES, "s1", background=1)
    assert polygons["class_name"].tolist() == ["wood & moor"]
    assert polygons.area.tolist() == [20_000 * 100]


@pytest.mark.parametrize("background", [0, 1])
def test_a_geopackage_lies_beside_geoparquet_with_the_same_rows(tmp_path: Path, image: str, background: int) -> None:
    polygons = label_polygons(labels(), image, CLASSES, "s1", background)
    write_table(polygons, tmp_path / "polygons.parquet")
    assert pyogrio.list_layers(tmp_path / "polygons.gpkg").tolist() == [["polygons", "Polygon"]]
    read = [gpd.read_parquet(tmp_path / "polygons.parquet"), gpd.read_file(tmp_path / "polygons.gpkg")]
    assert read[0].equals(polygons) and read[1].crs == polygons.crs
    assert read[1].drop(columns="geometry").equals(polygons.drop(columns="geometry"))
    assert polygons.geometry.geom_equals(read[1].geometry).all()


def test_a_geopackage_has_the_same_bytes_whenever_it_is_written(tmp_path: Path, image: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_table(label_polygons(labels(), image, CLASSES, "s1"), tmp_path / name / "polygons.parquet")
        time.sleep(0.01)  # its dates are in milliseconds
    for file in ("polygons.gpkg", "polygons.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_table_without_polygons_is_written_too(tmp_path: Path, image: str) -> None:
    write_table(label_polygons(0 * labels(), image, CLASSES, "s1"), tmp_path / "polygons.parquet")
    assert gpd.read_parquet(tmp_path / "polygons.parquet").empty
    again = gpd.read_file(tmp_path / "polygons.gpkg")
    assert again.empty and again.crs.to_epsg() == 32633 and "class_name" in again


def test_pixels_without_data_in_any_band_are_found(image: str) -> None:
    assert without_data(image, [0, 1])[:5].all()
    assert not without_data(image, [0, 1])[5:].any()
    assert without_data(image, [0])[:10].all()
