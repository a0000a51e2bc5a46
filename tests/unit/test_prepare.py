"""Labels of every kind become polygons with classes; what cannot be right is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from made_facts import as_image
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.errors import UserError
from swath.files import read_json
from swath.scenes import vectors
from swath.scenes.facts import ImageHeader, ScenesSpec
from swath.scenes.images import read_header
from swath.scenes.manifest import channel_order, check_imagery, read_manifests
from swath.scenes.prepare import prepare_scenes
from swath.scenes.scene import Scene

CRS = "EPSG:32633"
ORIGIN = (330_000.0, 5_820_000.0)
CLASSES = ["null", "field", "forest", "water"]


def write_image(path: Path, **changes: Any) -> Path:
    """An image of 40 × 30 pixels of 10 m, two bands."""
    profile = {
        "driver": "GTiff",
        "width": 40,
        "height": 30,
        "count": 2,
        "dtype": "uint16",
        "crs": CRS,
        "transform": rasterio.transform.from_origin(*ORIGIN, 10, 10),
    } | changes
    with rasterio.open(path, "w", **profile) as image:
        image.write(np.ones((profile["count"], 30, 40), profile["dtype"]))
        image.descriptions = ("red", "nir")[: profile["count"]]
    return path


def square(column: int, row: int, size: int) -> Polygon:
    """A square of pixels."""
    x, y = ORIGIN[0] + 10 * column, ORIGIN[1] - 10 * row
    return box(x, y - 10 * size, x + 10 * size, y)


def write_labels(path: Path, geometry: list[Any], crs: str = CRS, **columns: Any) -> str:
    gpd.GeoDataFrame(columns, geometry=geometry, crs=CRS).to_crs(crs).to_file(path)
    return str(path)


def spec(**labels: Any) -> ScenesSpec:
    return ScenesSpec("semantic_segmentation", CLASSES, Imagery(), Labels(**{"attribute": "kind", **labels}))


@pytest.fixture
def header(tmp_path: Path) -> ImageHeader:
    return read_header(str(write_image(tmp_path / "image.tif")))


def read_labels(paths: str | list[str], specification: ScenesSpec, header: ImageHeader) -> gpd.GeoDataFrame:
    """The polygons of labels."""
    return vectors.read_labels(paths, specification, header).frame


def told(path: str, specification: ScenesSpec, header: ImageHeader) -> str:
    with pytest.raises(UserError) as caught:
        read_labels(path, specification, header)
    return str(caught.value)


def test_a_header_says_what_the_image_is(tmp_path: Path) -> None:
    header = read_header(str(write_image(tmp_path / "image.tif", nodata=0)))
    assert (header.width, header.height, header.count, header.dtype) == (40, 30, 2, "uint16")
    assert header.bands == ("red", "nir")
    assert header.nodata == 0


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp", "fgb"])
@pytest.mark.parametrize("crs", [CRS, "EPSG:4326", "EPSG:3857"])
def test_any_format_and_crs_becomes_polygons_with_ids(
    tmp_path: Path, header: ImageHeader, suffix: str, crs: str
) -> None:
    path = write_labels(
        tmp_path / f"labels.{suffix}", [square(0, 0, 2), square(5, 5, 9)], crs, kind=["forest", "field"]
    )
    labels = read_labels(path, spec(), header)
    assert labels.crs.to_epsg() == 4326
    assert list(labels["class_name"]) == ["field", "forest"]  # the largest first
    assert list(labels["class_id"]) == [1, 2]


def test_mapping_default_and_numbers(tmp_path: Path, header: ImageHeader) -> None:
    path = write_labels(tmp_path / "l.gpkg", [square(0, 0, s) for s in (4, 3, 2, 1)], kind=[311, 312, 512, None])
    labels = read_labels(
        path, spec(mapping={"311": "forest", "312": None, "512": "water"}, default_class="field"), header
    )
    assert list(labels["class_name"]) == ["forest", "null", "water", "field"]


def test_one_class_for_everything(tmp_path: Path, header: ImageHeader) -> None:
    path = write_labels(tmp_path / "l.gpkg", [square(0, 0, 2)])
    labels = read_labels(path, spec(attribute=None, default_class="water"), header)
    assert list(labels["class_id"]) == [3]


def test_lines_and_points_are_widened_by_metres(tmp_path: Path, header: ImageHeader) -> None:
    x, y = ORIGIN
    lines = [LineString([(x + 50, y - 50), (x + 150, y - 50)]), Point(x + 200, y - 200)]
    path = write_labels(tmp_path / "l.gpkg", lines, kind=["water", "forest"])
    areas = read_labels(path, spec(buffer=10), header).to_crs(CRS).area
    assert areas[0] == pytest.approx(100 * 20 + np.pi * 100, rel=0.02)
    assert areas[1] == pytest.approx(np.pi * 100, rel=0.02)
    assert "set `labels.buffer`" in told(path, spec(), header)


def test_invalid_and_multiple_polygons_are_repaired(tmp_path: Path, header: ImageHeader) -> None:
    x, y = ORIGIN
    bow_tie = Polygon([(x, y), (x + 100, y - 100), (x + 100, y), (x, y - 100)])
    several = MultiPolygon([square(12, 12, 2), square(20, 20, 2)])
    labels = read_labels(write_labels(tmp_path / "l.gpkg", [bow_tie, several], kind=["water", "field"]), spec(), header)
    assert labels.geometry.is_valid.all()
    assert set(labels.geom_type) == {"Polygon"}
    assert len(labels) == 4


def test_an_unknown_class_is_told_with_a_cure(tmp_path: Path, header: ImageHeader) -> None:
    message = told(write_labels(tmp_path / "l.gpkg", [square(0, 0, 2)], kind=["forrest"]), spec(), header)
    assert "unknown class 'forrest'" in message
    assert "one of field, forest, water" in message
    assert "forrest: null to ignore it" in message
    assert "did you mean 'forest'?" in message


def test_a_wrong_attribute_is_told_with_the_attributes_there_are(tmp_path: Path, header: ImageHeader) -> None:
    message = told(
        write_labels(tmp_path / "l.gpkg", [square(0, 0, 2)], kind=["x"], height=[2]), spec(attribute="kin"), header
    )
    assert "attributes kind, height" in message
    assert "did you mean 'kind'?" in message


def test_labels_outside_the_image_are_told_with_both_bounds(tmp_path: Path, header: ImageHeader) -> None:
    message = told(write_labels(tmp_path / "l.gpkg", [square(1000, 0, 2)], kind=["water"]), spec(), header)
    assert "all outside the image" in message
    assert "EPSG:4326" in message


def test_no_labels_are_fine_where_unlabelled_is_a_class(tmp_path: Path, header: ImageHeader) -> None:
    path = tmp_path / "l.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    assert len(read_labels(str(path), spec(unlabelled="field"), header)) == 0
    assert "no features" in told(str(path), spec(), header)


def test_an_unreadable_label_file_is_told(tmp_path: Path, header: ImageHeader) -> None:
    (tmp_path / "l.geojson").write_text("nonsense")
    assert "a vector file that GDAL reads" in told(str(tmp_path / "l.geojson"), spec(), header)


@pytest.mark.parametrize(("content", "words"), [(b"nonsense", "a raster that GDAL reads"), (None, "no such file")])
def test_an_unreadable_image_is_told(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "i.tif"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words if content else "No such file"):
        read_header(str(path))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_an_image_without_georeference_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a CRS and a geotransform"):
        read_header(str(write_image(tmp_path / "i.tif", crs=None)))


def scene(folder: Path, name: str, labels: str, aoi: str | None = None) -> Scene:
    return Scene(name, "train", str(write_image(folder / f"{name}.tif")), labels, aoi)


def test_a_shard_of_scenes_is_published_with_its_facts(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "l.gpkg", [square(0, 0, 10), square(0, 0, 2)], kind=["field", "water"])
    aoi = write_labels(tmp_path / "aoi.gpkg", [square(0, 0, 5)])
    scenes = [scene(tmp_path, "a", labels), scene(tmp_path, "b", labels, aoi)]
    prepare_scenes(scenes, spec(), tmp_path / "out", tmp_path / "out.json")
    a, b = read_manifests([tmp_path / "out.json"])
    assert a.labelled_pixels == {"null": 40 * 30 - 100, "field": 96, "forest": 0, "water": 4}
    assert a.aoi is None
    areas = {name: gpd.read_file(facts.evaluated).to_crs(CRS).area.sum() for name, facts in (("a", a), ("b", b))}
    assert areas["a"] == pytest.approx(100 * 100, rel=0.01)
    assert areas["b"] == pytest.approx(25 * 100, rel=0.01)
    assert set(read_json(tmp_path / "out.json")["scenes"]) == {"a", "b"}
    assert read_manifests([tmp_path / "out.json"], ["b"]) == [b]


def test_all_bad_scenes_of_a_shard_are_told_and_nothing_is_written(tmp_path: Path) -> None:
    bad = write_labels(tmp_path / "l.gpkg", [square(0, 0, 2)], kind=["wood"])
    with pytest.raises(UserError) as caught:
        prepare_scenes(
            [scene(tmp_path, "a", bad), scene(tmp_path, "b", "nowhere.gpkg")],
            spec(),
            tmp_path / "out",
            tmp_path / "o.json",
        )
    assert len(caught.value.problems) == 2
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "o.json").exists()


def test_bands_are_found_by_name_and_number(header: ImageHeader) -> None:
    image = as_image(header, "image.tif")
    assert channel_order(image, None) == [0, 1]
    assert channel_order(image, ["nir", 1]) == [1, 0]
    with pytest.raises(UserError, match=r"2 bands named red, nir[\s\S]*did you mean 'nir'"):
        channel_order(image, ["nirr"])
    with pytest.raises(UserError, match="2 bands"):
        channel_order(image, [3])


def test_values_beyond_eight_bits_need_normalisation(header: ImageHeader) -> None:
    image = as_image(header, "image.tif")
    with pytest.raises(UserError, match="set `normalize: statistics`"):
        check_imagery([image], Imagery(normalize="none"))
    assert check_imagery([image], Imagery()) == 2


def test_scenes_with_other_numbers_of_bands_do_not_go_together(header: ImageHeader) -> None:
    other = as_image(header, "other.tif", count=1, bands=("red",))
    with pytest.raises(UserError, match="equal numbers of bands"):
        check_imagery([as_image(header, "image.tif"), other], Imagery())


@pytest.mark.parametrize("name", ["tile b (2)", "Wald-süd", "{west}", "北" * 100, "x" * 255])
def test_a_scene_of_any_name_has_a_folder(name: str, tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.tif")
    labels = write_labels(tmp_path / "labels.gpkg", [square(0, 0, 9)], kind=["field"])
    prepare_scenes([Scene(name, "train", str(image), labels)], spec(), tmp_path / "out", tmp_path / "manifest.json")
    (facts,) = read_manifests([tmp_path / "manifest.json"])
    assert facts.id == name
    assert Path(str(facts.label_raster)).exists()
    assert len(facts.maps.encode()) <= 110
