"""What a map consists of: rasters of many images, areas on the ground, polygons, a style, a catalog."""

from __future__ import annotations

import hashlib
from functools import partial
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as Xml

import geopandas as gpd
import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from rastervision.core.box import Box
from shapely.geometry import box
from stac_model.schema import MLModelProperties

from swath.config.apply import Polygons
from swath.prediction.grid import Grid, Lattice
from swath.prediction.model import Ensemble
from swath.prediction.pixels import pixel_sums
from swath.products.areas import MapRasters, PixelAreas, class_areas, measure_polygons
from swath.products.catalog import MapItem, write_catalog
from swath.products.map_polygons import ground_areas, map_polygons
from swath.products.maps import FULL_SHARE, NO_SHARE, Place, plain_raster_writer
from swath.products.mosaic import ImageMap, Mosaic, common_grid, join_parts, shift_on
from swath.products.polygons import label_polygons
from swath.products.style import write_polygon_style, write_raster_style

UTM = Place("EPSG:32633", (10.0, 0.0, 330_000.0, 0.0, -10.0, 5_820_000.0), 300, 400)
DEGREES = Place("EPSG:4326", (1e-4, 0.0, 12.5, 0.0, -1e-4, 52.5), 300, 400)
CLASSES = ["null", "open land", "forest", "water"]
COLOURS = ["black", "#e3c567", "#2f6b3a", "blue"]
LABELS, SCORES = "prediction.tif", "confidence.tif"


def moved(place: Place, row: float, column: float, height: int, width: int) -> Place:
    transform = rasterio.Affine(*place.transform) @ rasterio.Affine.translation(column, row)
    return Place(place.crs, tuple(transform)[:6], height, width)


def write(folder: Path, name: str, place: Place, labels: np.ndarray, scores: np.ndarray | None = None) -> ImageMap:
    files = {LABELS: folder / f"{name}-labels.tif", SCORES: folder / f"{name}-scores.tif"}
    scores = np.where(labels > 0, 100, NO_SHARE).astype(np.uint8) if scores is None else scores
    for path, values, nodata in ((files[LABELS], labels, 0), (files[SCORES], scores, NO_SHARE)):
        with plain_raster_writer(place, ["one"], nodata, path) as put:
            put(0, values[None])
    return ImageMap(name, place, files)


def blobs(seed: int, height: int, width: int, gaps: bool = True) -> np.ndarray:
    """Regions of classes, some of them without data."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0 if gaps else 1, 4, (height // 9 + 1, width // 9 + 1))
    return np.kron(coarse, np.ones((9, 9), int))[:height, :width].astype(np.uint8)


def mosaic_of(maps: list[ImageMap], grid: Place) -> tuple[np.ndarray, np.ndarray, int]:
    with Mosaic(maps, {LABELS: 0, SCORES: NO_SHARE}, grid) as mosaic:
        blocks = [block for _, block in mosaic.blocks()]
    labels, scores = (np.concatenate([block[kind] for block in blocks], axis=1)[0] for kind in (LABELS, SCORES))
    return labels, scores, mosaic.hidden


# --- mosaics ----------------------------------------------------------------------------------------


def test_of_maps_that_overlap_the_first_with_data_is_seen(tmp_path: Path) -> None:
    one, other = moved(UTM, 0, 0, 60, 80), moved(UTM, -20, 50, 700, 40)
    first, second = blobs(1, 60, 80), blobs(2, 700, 40)
    maps = [write(tmp_path, "one", one, first), write(tmp_path, "other", other, second, second + 50)]
    grid = common_grid([one, other])
    assert (grid.height, grid.width) == (700, 90) and grid.transform[5] == 5_820_200
    labels, scores, hidden = mosaic_of(maps, grid)
    wanted, of_scores = np.zeros((700, 90), np.uint8), np.full((700, 90), NO_SHARE, np.uint8)
    wanted[:, 50:], of_scores[:, 50:] = second, np.where(second > 0, second + 50, NO_SHARE)
    below = wanted[20:80, :80].copy()
    wanted[20:80, :80] = np.where(first > 0, first, below)
    of_scores[20:80, :80] = np.where(first > 0, 100, of_scores[20:80, :80])
    assert np.array_equal(labels, wanted) and np.array_equal(scores, of_scores)
    assert hidden == ((first > 0) & (below > 0)).sum() > 0


def test_a_map_in_another_crs_is_put_on_the_grid_of_the_first(tmp_path: Path) -> None:
    values = np.full((50, 50), 2, np.uint8)
    one = write(tmp_path, "one", moved(UTM, 0, 0, 50, 50), np.full((50, 50), 1, np.uint8))
    corners = gpd.GeoSeries([box(330_400, 5_819_400, 330_900, 5_819_900)], crs=UTM.crs).to_crs("EPSG:32632")
    west, _, _, north = corners.total_bounds
    other = write(tmp_path, "other", Place("EPSG:32632", (10.0, 0.0, west, 0.0, -10.0, north), 50, 50), values)
    assert shift_on(other.place, one.place) is None
    labels, scores, _ = mosaic_of([one, other], common_grid([one.place, other.place]))
    assert set(np.unique(labels)) == {0, 1, 2} and (labels == 1).sum() == 2500
    assert (labels == 2).sum() == pytest.approx(2500 - 10 * 40, rel=0.06)  # but for what the first hides
    assert np.array_equal(labels > 0, scores != NO_SHARE)


def test_parts_of_an_image_are_one_raster(tmp_path: Path) -> None:
    place, values = moved(UTM, 0, 0, 600, 30), blobs(3, 600, 30)
    parts = []
    for first, last in ((0, 256), (256, 512), (512, 600)):
        part = write(tmp_path, str(first), place.rows(first, last), values[first:last])
        parts.append((first, last, part.files[LABELS]))
    join_parts(parts, place, 1, 0, tmp_path / "whole.vrt")
    with rasterio.open(tmp_path / "whole.vrt") as dataset:
        assert np.array_equal(dataset.read(1), values) and dataset.nodata == 0
        assert tuple(dataset.transform)[:6] == place.transform


# --- areas ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [UTM, DEGREES, Place("EPSG:3857", (10, 0, 1.4e6, 0, -10, 6.9e6), 300, 400)])
def test_pixels_are_measured_on_the_ground(place: Place) -> None:
    areas = PixelAreas(place).of_rows(7, 207)
    assert areas.shape == (200, 400)
    grid = rasterio.Affine(*place.transform)
    corners = [grid @ corner for corner in ((0, 7), (400, 7), (400, 207), (0, 207))]
    outline = gpd.GeoSeries([shapely.segmentize(shapely.Polygon(corners), abs(place.transform[0]) * 5)], crs=place.crs)
    wanted = abs(Geod(ellps="WGS84").geometry_area_perimeter(outline.to_crs("EPSG:4326").iloc[0])[0])
    assert areas.sum() == pytest.approx(wanted, rel=1e-6)
    if place.crs == "EPSG:3857":
        assert areas.mean() < 50  # a pixel of "100 m²" at 52° N


def rasters(folder: Path, values: np.ndarray, place: Place | None = None) -> MapRasters:
    place = place or moved(UTM, 0, 0, *values.shape)
    scores = np.random.default_rng(5).integers(0, FULL_SHARE, values.shape).astype(np.uint8)
    made = write(folder, "map", place, values, np.where(values > 0, scores, NO_SHARE).astype(np.uint8))
    return MapRasters(made.files[LABELS], made.files[SCORES], place)


def polygons_of(raster: MapRasters, background: int, wanted: Polygons) -> gpd.GeoDataFrame:
    parts = map_polygons(raster, CLASSES, background, wanted, "map")
    return gpd.GeoDataFrame(pd.concat(list(parts), ignore_index=True))


@given(st.integers(0, 10_000), st.sampled_from([UTM, DEGREES]))
def test_areas_of_polygons_add_up_to_those_of_the_raster(
    tmp_path_factory: pytest.TempPathFactory, seed: int, place: Place
) -> None:
    values = blobs(seed, 70, 90)
    raster = rasters(tmp_path_factory.mktemp("map"), values, moved(place, 0, 0, 70, 90))
    polygons = polygons_of(raster, 0, Polygons())
    sums = polygons.groupby("class_name")["area"].sum()
    for name, area in class_areas(raster, CLASSES)[""].items():
        assert sums.get(name, 0) == pytest.approx(area, rel=1e-9)
    assert polygons["score"].between(0, 1).all()
    assert polygons["area"].to_numpy() == pytest.approx(ground_areas(polygons), rel=1e-4)


def test_the_score_of_a_polygon_is_the_mean_of_its_pixels(tmp_path: Path) -> None:
    values = np.zeros((20, 20), np.uint8)
    values[3:7, 4:9], values[10:12, 1:19] = 2, 1
    raster = rasters(tmp_path, values)
    table = measure_polygons(polygons_of(raster, 0, Polygons())[["class_name", "geometry"]], raster)
    with rasterio.open(raster.scores) as dataset:
        scores = dataset.read(1) / FULL_SHARE
    assert list(table["class_name"]) == ["forest", "open land"]
    assert table["score"].to_numpy() == pytest.approx(
        [scores[values == 2].mean(), scores[values == 1].mean()], rel=1e-3
    )


def test_polygons_that_come_in_parts_are_measured_as_those_that_come_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raster = rasters(tmp_path, np.tile(blobs(4, 90, 90), (8, 1)))
    at_once = polygons_of(raster, 0, Polygons())
    monkeypatch.setattr("swath.products.map_polygons.label_polygons", partial(label_polygons, at_once=40))
    parts = list(map_polygons(raster, CLASSES, 0, Polygons(), "map"))
    assert len(parts) > 3 and all(len(part) <= 40 for part in parts)
    assert pd.concat(parts, ignore_index=True).equals(at_once)


def test_which_polygons_there_are_is_said(tmp_path: Path) -> None:
    values = blobs(4, 90, 90)
    raster = rasters(tmp_path, values)
    every = polygons_of(raster, 0, Polygons())
    without = polygons_of(raster, 1, Polygons())
    assert set(every["class_id"]) == {1, 2, 3} and set(without["class_id"]) == {2, 3}
    asked = polygons_of(raster, 1, Polygons(classes=["open land"]))
    assert set(asked["class_id"]) == {1} and len(asked) == (every["class_id"] == 1).sum()
    large = polygons_of(raster, 0, Polygons(min_area=20_000))
    assert len(large) == (every["area"] >= 20_000).sum() < len(every)


@given(st.integers(0, 10_000))
def test_simplified_polygons_are_valid_and_share_their_borders(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random = np.random.default_rng(seed)
    values = (1 + (random.random((40, 50)).cumsum(axis=1) + random.random((40, 1)) * 3) // 8 % 3).astype(np.uint8)
    raster = rasters(tmp_path_factory.mktemp("map"), values)
    plain = polygons_of(raster, 0, Polygons())
    simple = polygons_of(raster, 0, Polygons(simplify=25))
    assert simple.geometry.is_valid.all()
    corners = shapely.get_num_coordinates(simple.geometry.to_numpy()).sum()
    assert corners < shapely.get_num_coordinates(plain.geometry.to_numpy()).sum()
    assert shapely.coverage_is_valid(simple.geometry.to_numpy())
    whole, left = plain.geometry.union_all().area, simple.geometry.union_all().area
    assert simple.geometry.area.sum() == pytest.approx(left, rel=1e-9)  # none overlaps another
    assert left == pytest.approx(whole, rel=0.1)


# --- windows ----------------------------------------------------------------------------------------


@given(
    st.integers(1, 40), st.data(), st.integers(0, 30), st.integers(-50, 50), st.integers(60, 200), st.integers(0, 59)
)
def test_a_lattice_covers_what_is_wanted_from_places_that_depend_on_its_anchor_alone(
    size: int, data: st.DataObject, crop: int, anchor: int, length: int, start: int
) -> None:
    crop = min(crop, (size - 1) // 2)
    stride = data.draw(st.integers(1, size - 2 * crop))
    stop = data.draw(st.integers(start + 1, length))
    lattice = Lattice(length, length, size, stride, crop or None, (anchor, anchor), (start, stop), (start, stop))
    kept = [lattice.rows_kept(top) for top in lattice.tops]
    assert kept[0][0] <= start and kept[-1][1] >= stop
    assert all(one[1] >= other[0] for one, other in pairwise(kept))
    assert all((top + crop - anchor) % stride == 0 for top in lattice.tops)
    inner = [top for top in lattice.tops if stride <= top + crop <= length - size - stride]
    larger = Lattice(length + 7, length, size, stride, crop or None, (anchor + 7, 0), (start + 7, stop + 7), (0, 1))
    assert {top + 7 for top in inner} <= set(larger.tops)


def test_votes_with_scores_say_the_same_as_votes_alone() -> None:
    grid, random = Grid(30, 40, 16, 8), np.random.default_rng(0)
    plain, known = pixel_sums(False, 4, grid, 0, (0, 40)), pixel_sums(False, 4, grid, 0, (0, 40), with_scores=True)
    sums, counts = np.zeros((4, 30, 40)), np.zeros((30, 40))
    found = []
    for top in grid.tops:
        for left in grid.lefts:
            rows, columns = grid.rows_kept(top), grid.columns_kept(left)
            scores = random.random((4, rows[1] - rows[0], columns[1] - columns[0])).astype(np.float32)
            plain.add(rows, columns, scores.argmax(axis=0), (0, 0))
            known.add(rows, columns, scores, (0, 0))
            sums[:, slice(*rows), slice(*columns)] += scores
            counts[slice(*rows), slice(*columns)] += 1
        end = min(top + grid.stride, 30) if top < grid.tops[-1] else 30
        one, other = plain.finish(end), known.finish(end, with_scores=True)
        assert np.array_equal(one.labels, other.labels) and other.scores is not None
        found.append(other.scores)
    assert np.concatenate(found, axis=1) == pytest.approx(sums / counts, rel=1e-5)


class Fixed:
    """A model that always says the same."""

    def __init__(self, output: np.ndarray):
        self.output = output

    def predict(self, batch: Box) -> list[np.ndarray]:
        return [self.output, self.output[::-1]]


def test_an_ensemble_averages_scores() -> None:
    one, other = np.random.default_rng(2).random((2, 3, 4, 5)).astype(np.float32)
    pixels = Ensemble([Fixed(one), Fixed(other)], "semantic_segmentation")
    first, second = pixels.predict(None)
    assert first == pytest.approx((one + other) / 2) and second == pytest.approx((one[::-1] + other[::-1]) / 2)
    cells = Ensemble([Fixed(one[:, 0, 0]), Fixed(other[:, 0, 0])], "chip_classification")
    shares = [np.exp(logits) / np.exp(logits).sum() for logits in (one[:, 0, 0], other[:, 0, 0])]
    assert np.exp(next(iter(cells.predict(None)))) == pytest.approx(np.mean(shares, axis=0))


# --- what is beside a map ---------------------------------------------------------------------------


def test_qgis_is_told_names_and_colours(tmp_path: Path) -> None:
    write_raster_style(CLASSES, COLOURS, tmp_path / "map.qml")
    entries = Xml.parse(tmp_path / "map.qml").findall(".//paletteEntry")
    assert [(one.get("value"), one.get("label"), one.get("color")) for one in entries] == [
        ("1", "open land", "#e3c567"),
        ("2", "forest", "#2f6b3a"),
        ("3", "water", "#0000ff"),
    ]
    write_polygon_style(CLASSES, COLOURS, tmp_path / "polygons.qml")
    style = Xml.parse(tmp_path / "polygons.qml")
    assert [one.get("value") for one in style.findall(".//category")] == CLASSES[1:]
    assert style.find(".//symbol[@name='2']//Option[@name='color']").get("value") == "0,0,255,255"


MODEL = {
    "name": "model-bundle.zip",
    "network": "unet resnet18",
    "task": "semantic_segmentation",
    "classes": CLASSES,
    "colours": COLOURS,
    "bands": ["red", "nir"],
    "channels": 2,
    "window": 64,
}


@pytest.mark.parametrize("task", ["object_detection", "chip_classification"])
def test_the_catalog_says_of_any_task_what_the_extension_asks_for(task: str, tmp_path: Path) -> None:
    write_catalog(tmp_path, "havel", [MapItem("boxes", UTM, {})], {}, {**MODEL, "task": task, "bands": [None, None]})
    (item,) = pystac.Collection.from_file(str(tmp_path / "collection.json")).get_items()
    fields = {name: value for name, value in item.properties.items() if name.startswith("mlm:")}
    assert MLModelProperties.model_validate(fields).tasks == set(fields["mlm:tasks"])


def test_the_catalog_is_valid_stac(tmp_path: Path) -> None:
    write(tmp_path, "map", UTM, blobs(1, 300, 400))
    (tmp_path / "areas.csv").write_text("of\n")
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    files = {name: sums[name] for name in ("map-labels.tif", "map-scores.tif")}
    write_catalog(tmp_path, "havel", [MapItem("map", UTM, files)], {"areas.csv": sums["areas.csv"]}, MODEL)
    collection = pystac.Collection.from_file(str(tmp_path / "collection.json"))
    (item,) = collection.get_items()
    for one in (collection, item):
        bare = {**one.to_dict(), "stac_extensions": []}  # their schemas are not in the package
        pystac.validation.validate_dict(bare)
    assert item.bbox == pytest.approx([12.49, 52.48, 12.56, 52.51], abs=0.02)
    fields = item.properties
    assert (fields["proj:code"], fields["proj:shape"]) == ("EPSG:32633", [300, 400])
    assert fields["proj:transform"] == [10.0, 0.0, 330_000.0, 0.0, -10.0, 5_820_000.0, 0.0, 0.0, 1.0]
    assert fields["mlm:tasks"] == ["semantic-segmentation"] and fields["mlm:framework"] == "pytorch"
    assert fields["mlm:input"][0]["input"]["shape"] == [-1, 2, 64, 64]
    MLModelProperties.model_validate({name: value for name, value in fields.items() if name.startswith("mlm:")})
    labels = item.assets["map-labels.tif"]
    assert Path(labels.get_absolute_href() or "").samefile(tmp_path / "map-labels.tif")
    assert labels.extra_fields["file:checksum"] == "1220" + sums["map-labels.tif"]
    assert labels.extra_fields["file:size"] == (tmp_path / "map-labels.tif").stat().st_size
    classes = labels.extra_fields["classification:classes"]
    assert [(one["value"], one["name"], one["color_hint"]) for one in classes][1:] == [
        (1, "open_land", "E3C567"),
        (2, "forest", "2F6B3A"),
        (3, "water", "0000FF"),
    ]
    scores = item.assets["map-scores.tif"].extra_fields["raster:bands"]
    assert scores == [{"data_type": "uint8", "name": "one", "nodata": 255, "offset": 0, "scale": 1 / 254}]
    assert "classification:classes" not in item.assets["map-scores.tif"].extra_fields
    written = (tmp_path / "collection.json").read_text() + (tmp_path / "items" / "map.json").read_text()
    assert str(tmp_path) not in written
