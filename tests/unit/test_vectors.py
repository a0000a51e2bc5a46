"""Vector labels of every format, layer, CRS and geometry: polygons that lie where they lay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.errors import UserError
from swath.scenes import vectors
from swath.scenes.facts import ImageHeader, SceneFacts, ScenesSpec
from swath.scenes.images import read_header
from swath.scenes.manifest import read_manifests
from swath.scenes.prepare import prepare_scenes
from swath.scenes.scene import Scene

CLASSES = ["null", "field", "forest", "water"]
CRS = "EPSG:32633"
ORIGIN = (330_000.0, 5_820_000.0)


def write_image(
    path: Path, crs: str = CRS, origin: tuple[float, float] = ORIGIN, resolution: float = 10.0, size: int = 40
) -> str:
    place = rasterio.transform.from_origin(*origin, resolution, resolution)
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs=crs, transform=place) as image:
        image.write(np.ones((1, size, size), np.uint8))
    return str(path)


def spec(**labels: Any) -> ScenesSpec:
    return ScenesSpec("semantic_segmentation", CLASSES, Imagery(), Labels(**{"attribute": "kind", **labels}))


@pytest.fixture
def header(tmp_path: Path) -> ImageHeader:
    return read_header(write_image(tmp_path / "image.tif"))


def square(column: float, row: float, size: float) -> Polygon:
    x, y = ORIGIN[0] + 10 * column, ORIGIN[1] - 10 * row
    return box(x, y - 10 * size, x + 10 * size, y)


def frame(geometry: list[Any], crs: str = CRS, **columns: Any) -> gpd.GeoDataFrame:
    columns.setdefault("kind", ["water"] * len(geometry))
    return gpd.GeoDataFrame(columns, geometry=geometry, crs=CRS).to_crs(crs)


def read_labels(paths: str | list[str], specification: ScenesSpec, header: ImageHeader) -> gpd.GeoDataFrame:
    """The polygons of labels."""
    return vectors.read_labels(paths, specification, header).frame


def told(path: Path, specification: ScenesSpec, header: ImageHeader) -> str:
    with pytest.raises(UserError) as caught:
        read_labels(str(path), specification, header)
    return str(caught.value)


# --- position ----------------------------------------------------------------------------------------

PLACES = [
    ("EPSG:32633", (330_000.0, 5_820_000.0)),
    ("EPSG:3035", (4_500_000.0, 3_300_000.0)),
    ("EPSG:3857", (1_400_000.0, 6_900_000.0)),
    ("EPSG:32733", (500_000.0, 7_000_000.0)),
    ("EPSG:3413", (-200_000.0, -1_500_000.0)),
    ("EPSG:3031", (900_000.0, 1_200_000.0)),
]
OTHERS = ["EPSG:4326", "EPSG:3857", "EPSG:8857", "EPSG:6933"]


@settings(max_examples=60, deadline=None)
@given(
    place=st.sampled_from(PLACES),
    crs=st.sampled_from([*OTHERS, None]),
    resolution=st.sampled_from([0.3, 10.0, 60.0]),
    size=st.sampled_from([200, 2000]),
    corners=st.lists(st.tuples(st.floats(0.02, 0.98), st.floats(0.02, 0.98)), min_size=3, max_size=8),
)
def test_labels_keep_area_and_position_within_half_a_pixel(
    tmp_path_factory: pytest.TempPathFactory,
    place: tuple[str, tuple[float, float]],
    crs: str | None,
    resolution: float,
    size: int,
    corners: list[tuple[float, float]],
) -> None:
    """Edges that are straight in the labels' CRS, brought to the image's exactly: ten thousand points on every one."""
    folder = tmp_path_factory.mktemp("position")
    image_crs, origin = place
    crs = crs or image_crs
    header = read_header(sparse_image(folder / "image.tif", image_crs, origin, resolution, size))
    there = Transformer.from_crs(image_crs, crs, always_xy=True)
    span = size * resolution
    in_image = [(origin[0] + u * span, origin[1] - v * span) for u, v in corners]
    drawn = shapely.convex_hull(shapely.MultiPoint([there.transform(x, y) for x, y in in_image]))
    assume(drawn.geom_type == "Polygon")
    frame_ = gpd.GeoDataFrame({"kind": ["water"]}, geometry=[drawn], crs=crs)
    frame_.to_file(folder / "l.gpkg")
    back = Transformer.from_crs(crs, image_crs, always_xy=True)
    dense = shapely.segmentize(drawn, drawn.length / 10_000)
    exact = shapely.transform(dense, lambda points: np.column_stack(back.transform(*points.T)))
    assume(exact.area > 25 * resolution**2)
    labels = read_labels(str(folder / "l.gpkg"), spec(), header).to_crs(image_crs)
    ours = shapely.union_all(labels.geometry)
    assert shapely.hausdorff_distance(ours.exterior, exact.exterior) < resolution / 2
    assert abs(ours.area - exact.area) < exact.length * resolution / 2


def sparse_image(path: Path, crs: str, origin: tuple[float, float], resolution: float, size: int) -> str:
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "uint8", "sparse_ok": True}
    place = rasterio.transform.from_origin(*origin, resolution, resolution)
    with rasterio.open(path, "w", **profile, tiled=True, crs=crs, transform=place):
        pass
    return str(path)


def test_pixels_have_the_class_at_their_centre(tmp_path: Path) -> None:
    """Raster Vision's rasteriser, which rounds corners down, would shift this by most of a pixel."""
    image = write_image(tmp_path / "image.tif")
    frame([square(5.6, 7.6, 10)]).to_file(tmp_path / "l.gpkg")
    labels = prepared(tmp_path, image, "l.gpkg")
    with rasterio.open(labels.label_raster) as dataset:
        ids = dataset.read(1)
    expected = np.zeros((40, 40), np.uint8)
    expected[8:18, 6:16] = 3
    assert np.array_equal(ids, expected)
    assert labels.labelled_pixels["water"] == 100


def prepared(
    folder: Path, image: str, labels: str | None, split: str = "train", common: bool = False, **more: Any
) -> SceneFacts:
    entry = ";".join(str(folder / part) for part in labels.split(";")) if labels else None
    scene = Scene("s", split, image, entry, common_labels=common)
    prepare_scenes([scene], spec(**more), folder / "out", folder / "out.json")
    return read_manifests([folder / "out.json"])[0]


# --- formats, layers, conditions ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp", "fgb", "parquet"])
@pytest.mark.parametrize("crs", [CRS, "EPSG:4326", "EPSG:3857"])
@pytest.mark.parametrize("where", [None, "height > 3 AND name = 'b'"])
def test_any_format_crs_and_condition(
    tmp_path: Path, header: ImageHeader, suffix: str, crs: str, where: str | None
) -> None:
    squares = [square(2, 2, 3), square(9, 9, 4), square(20, 20, 5), square(9000, 0, 9)]
    labels = frame(squares, crs, height=[1, 5, 9, 9], name=["b", "b", "a", "b"])
    path = tmp_path / f"l.{suffix}"
    if suffix == "parquet":
        labels.to_parquet(path)
    else:
        labels.to_file(path)
    found = read_labels(str(path), spec(where=where), header)
    assert len(found) == (1 if where else 3)
    assert found.to_crs(CRS).area.sum() == pytest.approx(1600 if where else 5000, rel=1e-3)


def test_only_what_touches_the_image_is_read(
    tmp_path: Path, header: ImageHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame([square(50 * i, 0, 20) for i in range(200)]).to_file(tmp_path / "l.gpkg")
    read = []
    plain = pyogrio.read_dataframe
    monkeypatch.setattr(pyogrio, "read_dataframe", lambda *a, **k: read.append(plain(*a, **k)) or read[-1])
    read_labels(str(tmp_path / "l.gpkg"), spec(), header)
    assert [len(features) for features in read] == [1]


def test_a_layer_is_named_or_told(tmp_path: Path, header: ImageHeader) -> None:
    path = tmp_path / "l.gpkg"
    frame([square(0, 0, 3)]).to_file(path, layer="roads")
    frame([square(0, 0, 5)], kind=["field"]).to_file(path, layer="land use")
    assert list(read_labels(str(path), spec(layer="land use"), header)["class_name"]) == ["field"]
    assert "labels.layer: roads" in told(path, spec(), header)
    assert "did you mean 'roads'?" in told(path, spec(layer="road"), header)


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
def test_a_wrong_condition_is_told(tmp_path: Path, header: ImageHeader, suffix: str) -> None:
    path = tmp_path / f"l.{suffix}"
    labels = frame([square(0, 0, 3)])
    labels.to_parquet(path) if suffix == "parquet" else labels.to_file(path)
    for condition in ("hight >< 3", "hight > 3"):
        message = told(path, spec(where=condition), header)
        assert f"ERROR invalid_condition\n{path}: labels.where: {condition}" in message


def test_what_is_wrong_with_a_file_is_not_laid_to_the_condition(tmp_path: Path, header: ImageHeader) -> None:
    path = tmp_path / "somewhere in SQL.gpkg"
    path.write_bytes(b"nonsense")
    assert f"ERROR labels_unreadable\n{path}: labels\n" in told(path, spec(where="height > 3"), header)


def test_several_files_are_one(tmp_path: Path, header: ImageHeader) -> None:
    frame([square(0, 0, 3)]).to_file(tmp_path / "a.gpkg")
    frame([square(9, 9, 9)], "EPSG:4326", kind=["field"]).to_file(tmp_path / "b.geojson")
    frame([square(999, 9, 9)]).to_file(tmp_path / "c.gpkg")
    found = read_labels([str(tmp_path / name) for name in ("a.gpkg", "b.geojson", "c.gpkg")], spec(), header)
    assert list(found["class_name"]) == ["field", "water"]


def test_all_unknown_classes_are_told(tmp_path: Path, header: ImageHeader) -> None:
    frame([square(0, 0, 3)] * 2, kind=["wood", "wter"]).to_file(tmp_path / "l.gpkg")
    message = told(tmp_path / "l.gpkg", spec(), header)
    assert "'wood'" in message and "did you mean 'water'?" in message


def test_a_raster_among_vector_labels_is_told(header: ImageHeader, tmp_path: Path) -> None:
    assert "a label raster needs `labels.mapping`" in told(tmp_path / "image.tif", spec(), header)


# --- one file for many scenes --------------------------------------------------------------------------


def test_a_scene_that_a_common_file_does_not_reach(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.tif")
    frame([square(900, 0, 9)]).to_file(tmp_path / "l.gpkg")
    with pytest.raises(UserError, match="all outside the image"):
        prepared(tmp_path, image, "l.gpkg", common=True)
    with pytest.raises(UserError, match="all outside the image"):
        prepared(tmp_path, image, "l.gpkg", unlabelled="field")  # a file of its own: its CRS may be wrong
    all_field = prepared(tmp_path, image, "l.gpkg", common=True, unlabelled="field")
    assert all_field.labelled_pixels["field"] == 1600
    not_evaluated = prepared(tmp_path, image, "l.gpkg", split="test", common=True)
    assert not_evaluated.label_raster is None and not_evaluated.labelled_pixels is None


def test_a_test_scene_without_labels(tmp_path: Path) -> None:
    facts = prepared(tmp_path, write_image(tmp_path / "image.tif"), None, split="test")
    assert [getattr(facts, name) for name in ("labels", "label_raster", "evaluated", "labelled_pixels")] == [None] * 4


# --- geometries ------------------------------------------------------------------------------------------


def test_geometries_with_height_holes_and_parts(tmp_path: Path, header: ImageHeader) -> None:
    with_height = shapely.force_3d(square(0, 0, 3), 100)
    with_hole = square(10, 10, 10) - square(12, 12, 3)
    several = MultiPolygon([square(30, 0, 2), square(35, 0, 2)])
    frame([with_height, with_hole, several, Polygon()]).to_file(tmp_path / "l.gpkg")
    found = read_labels(str(tmp_path / "l.gpkg"), spec(), header)
    assert found.to_crs(CRS).area.sum() == pytest.approx(100 * (9 + 91 + 8), rel=1e-3)
    assert not found.has_z.any()


def test_curves_are_followed(tmp_path: Path, header: ImageHeader) -> None:
    x, y = ORIGIN[0] + 200, ORIGIN[1] - 200
    circle = (
        f"CURVEPOLYGON (CIRCULARSTRING ({x - 100} {y}, {x} {y + 100}, {x + 100} {y}, {x} {y - 100}, {x - 100} {y}))"
    )
    (tmp_path / "l.csv").write_text(f'kind,WKT\nwater,"{circle}"\n')
    (tmp_path / "l.vrt").write_text(
        f"<OGRVRTDataSource><OGRVRTLayer name='l'><SrcDataSource>{tmp_path}/l.csv</SrcDataSource>"
        f"<GeometryField encoding='WKT' field='WKT'/><GeometryType>wkbCurvePolygon</GeometryType>"
        f"<LayerSRS>{CRS}</LayerSRS></OGRVRTLayer></OGRVRTDataSource>"
    )
    found = read_labels(str(tmp_path / "l.vrt"), spec(), header)
    assert found.to_crs(CRS).area.sum() == pytest.approx(np.pi * 100**2, rel=1e-2)


def test_repaired_geometries_are_counted(tmp_path: Path) -> None:
    x, y = ORIGIN
    bow_tie = Polygon([(x, y), (x + 100, y - 100), (x + 100, y), (x, y - 100)])
    spike = Polygon([(x + 200, y), (x + 200, y - 50), (x + 250, y - 50), (x + 200, y - 50)])
    frame([bow_tie, spike, square(30, 30, 3)]).to_file(tmp_path / "l.gpkg")
    facts = prepared(tmp_path, write_image(tmp_path / "image.tif"), "l.gpkg")
    assert facts.repaired == 2
    found = gpd.read_file(facts.labels)
    assert set(found.geom_type) == {"Polygon"} and found.geometry.is_valid.all()


@pytest.mark.parametrize(
    ("crs", "origin", "resolution"),
    [
        (CRS, ORIGIN, 10.0),
        ("EPSG:32633", (833_000.0, 5_820_000.0), 10.0),  # beyond the zone's edge
        ("EPSG:3413", (1000.0, -1000.0), 10.0),  # beside the north pole
        ("EPSG:3031", (50_000.0, 60_000.0), 10.0),
        ("EPSG:4326", (13.0, 80.0), 1e-4),
    ],
)
def test_buffers_are_metres_everywhere(
    tmp_path: Path, crs: str, origin: tuple[float, float], resolution: float
) -> None:
    header = read_header(write_image(tmp_path / "image.tif", crs, origin, resolution))
    middle = Point(origin[0] + 20 * resolution, origin[1] - 20 * resolution)
    gpd.GeoDataFrame({"kind": ["water"]}, geometry=[middle], crs=crs).to_file(tmp_path / "l.gpkg")
    found = read_labels(str(tmp_path / "l.gpkg"), spec(buffer=30), header)
    place = gpd.GeoSeries([middle], crs=crs).to_crs(4326)[0]
    metres = found.to_crs(f"+proj=aeqd +lat_0={place.y} +lon_0={place.x}")
    assert metres.area.sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    assert metres.centroid.distance(Point(0, 0)).max() < 0.5


def test_a_line_beside_the_image_reaches_into_it(tmp_path: Path, header: ImageHeader) -> None:
    x, y = ORIGIN
    frame([LineString([(x - 15, y), (x - 15, y - 300)])]).to_file(tmp_path / "l.gpkg")
    assert len(read_labels(str(tmp_path / "l.gpkg"), spec(buffer=40), header)) == 1
