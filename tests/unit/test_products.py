"""Maps that open anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from swath.products.maps import label_polygons, write_label_raster
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
    path = tmp_path / "labels.tif"
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


def test_pixels_without_data_in_any_band_are_found(image: str) -> None:
    assert without_data(image, [0, 1])[:5].all()
    assert not without_data(image, [0, 1])[5:].any()
    assert without_data(image, [0])[:10].all()
