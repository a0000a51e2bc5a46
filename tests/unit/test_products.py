"""Maps that open anywhere."""

from __future__ import annotations

import json
import time
from itertools import combinations, pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import shapes
from rio_cogeo.cogeo import cog_validate
from shapely.geometry import shape

from swath.products.maps import label_raster_writer, share_raster_writer, write_label_raster
from swath.products.polygons import label_polygons, polygonize
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


def polygons_of(raster: np.ndarray, image: str, background: int = 0) -> gpd.GeoDataFrame:
    path = Path(image).with_name("map.tif")
    write_label_raster(raster, image, CLASSES, COLOURS, path)
    return gpd.GeoDataFrame(pd.concat(list(label_polygons(path, CLASSES, "s1", background))))


def test_a_map_that_is_written_in_parts_has_the_same_bytes(tmp_path: Path, image: str) -> None:
    write_label_raster(labels(), image, CLASSES, COLOURS, tmp_path / "whole.tif")
    with label_raster_writer(image, CLASSES, COLOURS, tmp_path / "parts.tif") as write:
        for first, last in pairwise([0, 7, 256, 300, 599, 600]):
            write(first, labels()[first:last])
    assert (tmp_path / "whole.tif").read_bytes() == (tmp_path / "parts.tif").read_bytes()
    assert len(list(tmp_path.iterdir())) == 5, "nothing else is left"


def test_polygons_have_the_rasters_area_and_no_null_class(image: str) -> None:
    polygons = polygons_of(labels(), image)
    areas = polygons.assign(area=polygons.area).groupby("class_name")["area"].sum()
    assert areas.to_dict() == {"field": (550 * 700 - 20_000) * 100, "wood & moor": 20_000 * 100}
    assert set(polygons["scene"]) == {"s1"}


def test_polygons_leave_out_the_background(image: str) -> None:
    polygons = polygons_of(labels(), image, background=1)
    assert polygons["class_name"].tolist() == ["wood & moor"]
    assert polygons.area.tolist() == [20_000 * 100]


@pytest.mark.parametrize("background", [0, 1])
def test_a_geopackage_lies_beside_geoparquet_with_the_same_rows(tmp_path: Path, image: str, background: int) -> None:
    polygons = polygons_of(labels(), image, background)
    write_table(polygons, tmp_path / "polygons.parquet")
    assert pyogrio.list_layers(tmp_path / "polygons.gpkg").tolist() == [["polygons", "Polygon"]]
    read = [gpd.read_parquet(tmp_path / "polygons.parquet"), gpd.read_file(tmp_path / "polygons.gpkg")]
    assert read[0].equals(polygons) and read[1].crs == polygons.crs
    assert read[1].drop(columns="geometry").equals(polygons.drop(columns="geometry"))
    assert polygons.geometry.geom_equals(read[1].geometry).all()


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_a_table_that_is_written_in_parts_has_the_same_rows(tmp_path: Path, image: str, at_once: int) -> None:
    raster = labels()
    raster[300:330:3, 20:60:4] = 2
    whole = polygons_of(raster, image)
    parts = label_polygons(Path(image).with_name("map.tif"), CLASSES, "s1", at_once=at_once)
    write_table(parts, tmp_path / "polygons.parquet")
    read = gpd.read_parquet(tmp_path / "polygons.parquet")
    assert len(whole) == 102 and read.equals(whole) and read.crs == whole.crs
    said = json.loads(pq.read_metadata(tmp_path / "polygons.parquet").metadata[b"geo"])["columns"]["geometry"]
    assert said["bbox"] == whole.total_bounds.tolist() and said["geometry_types"] == ["Polygon"]
    package = gpd.read_file(tmp_path / "polygons.gpkg")
    assert package.drop(columns="geometry").equals(whole.drop(columns="geometry"))
    assert package.geometry.geom_equals(whole.geometry).all()


def test_a_geopackage_has_the_same_bytes_whenever_it_is_written(tmp_path: Path, image: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_table(polygons_of(labels(), image), tmp_path / name / "polygons.parquet")
        time.sleep(0.01)  # its dates are in milliseconds
    for file in ("polygons.gpkg", "polygons.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_table_without_polygons_is_written_too(tmp_path: Path, image: str) -> None:
    write_table(polygons_of(0 * labels(), image), tmp_path / "polygons.parquet")
    assert gpd.read_parquet(tmp_path / "polygons.parquet").empty
    again = gpd.read_file(tmp_path / "polygons.gpkg")
    assert again.empty and again.crs.to_epsg() == 32633 and "class_name" in again


def test_shares_are_a_valid_cog_of_8_bits_that_says_its_scale(tmp_path: Path, image: str) -> None:
    shares = np.stack([np.linspace(0, 1, 600 * 700), np.full(600 * 700, 0.25)]).reshape(2, 600, 700)
    shares = shares.astype(np.float32)
    shares[:, 40:90, 10:20] = np.nan
    path = tmp_path / "scores.tif"
    with share_raster_writer(image, ["field", "moor"], path) as write:
        for first, last in pairwise([0, 33, 600]):
            write(first, shares[:, first:last])
    valid, errors, _ = cog_validate(path, quiet=True)
    assert valid, errors
    with rasterio.open(path) as dataset:
        assert dataset.descriptions == ("field", "moor") and dataset.dtypes == ("uint8", "uint8")
        assert {color.name for color in dataset.colorinterp} <= {"gray", "undefined"}
        read = dataset.read(masked=True)
        assert np.array_equal(np.ma.getmaskarray(read), np.isnan(shares))
        assert np.abs(read * dataset.scales[0] - np.nan_to_num(shares)).max() <= 0.5 / 254 + 1e-6


@pytest.mark.parametrize("bands", [3, 4])
def test_shares_of_three_or_four_classes_are_no_colours(tmp_path: Path, image: str, bands: int) -> None:
    with share_raster_writer(image, list("abcd")[:bands], tmp_path / "scores.tif") as write:
        write(0, np.full((bands, 600, 700), 0.5, np.float32))
    with rasterio.open(tmp_path / "scores.tif") as dataset:
        assert {color.name for color in dataset.colorinterp} <= {"gray", "undefined"}
        assert np.array_equal(dataset.dataset_mask(), np.full((600, 700), 255))


@settings(max_examples=300, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 9)), elements=st.integers(0, 2)), st.integers(1, 6)
)
def test_polygons_have_no_trace_of_the_blocks_they_were_made_in(raster: np.ndarray, rows: int) -> None:
    def read(first: int, last: int) -> np.ndarray:
        return raster[first:last]

    whole, parts = (list(polygonize(read, len(raster), [0], rows=height)) for height in (99, rows))
    assert [(index, polygon.wkt) for index, polygon in whole] == [(index, polygon.wkt) for index, polygon in parts]
    at_once = [(int(value), shapely.normalize(shape(part)).wkt) for part, value in shapes(raster, mask=raster > 0)]
    assert sorted(at_once) == sorted((index, polygon.wkt) for index, polygon in whole)
    for index in (1, 2):
        of_class = [polygon for number, polygon in whole if number == index]
        assert sum(polygon.area for polygon in of_class) == (raster == index).sum()
        assert not any(one.intersection(other).length for one, other in combinations(of_class, 2))
    assert all(polygon.is_valid for _, polygon in whole)


def test_a_ring_a_hole_and_a_polygon_over_four_blocks_are_one_each() -> None:
    raster = np.zeros((40, 30), np.uint8)
    raster[1:39, 1:29] = 1  # over four blocks, around a hole that lies in two of them
    raster[8:12, 5:9] = 0
    raster[14:30, 4:20], raster[17:27, 7:17] = 2, 1  # a ring, and what lies in it
    raster[20:24, 10:14] = 2
    regions = polygonize(lambda first, last: raster[first:last], 40, [0], rows=10)
    assert [(index, polygon.area, len(polygon.interiors)) for index, polygon in regions] == [
        (1, 38 * 28 - 16 - 256, 2),
        (2, 256 - 100, 1),
        (1, 100 - 16, 1),
        (2, 16, 0),
    ]


def test_pixels_without_data_in_any_band_are_found(image: str) -> None:
    assert without_data(image, [0, 1])[:5].all()
    assert not without_data(image, [0, 1])[5:].any()
    assert without_data(image, [0])[:10].all()
