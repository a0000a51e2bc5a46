"""Labels at the right place, of the right size, and only where there is something to see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
import tiny
from looking import Looked, ids_of, look
from rasterio.enums import ColorInterp
from shapely.geometry import MultiPolygon, Polygon, box
from tiny import SIDE, TINY, grid, halves, pixels, square, write_image, write_label_raster, write_labels, write_tiny

from swath.errors import UserError
from swath.metrics.average_precision import average_precision
from swath.metrics.boxes import Boxes
from swath.rv.label_sources import label_source
from swath.rv.pipeline import class_config, scene_config, scene_options
from swath.scenes.facts import SceneFacts

DATA = Path("data")
RASTERS = {"labels": {"mapping": {"1": "field", "2": "forest"}}}
TREES: dict[str, Any] = {
    "task": "object_detection",
    "classes": {"tree": "green"},
    "chips": {"size": 40, "per_scene": 4},
}
CELLS: dict[str, Any] = {"task": "chip_classification", "chips": {"size": 16}}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenes as they are, written once."""
    folder = tmp_path_factory.mktemp("plain") / "data"
    write_tiny(folder)
    return folder


@pytest.fixture(autouse=True)
def scenes_here(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(plain, DATA)


def config_with(changes: dict[str, Any]) -> dict[str, Any]:
    return {**deepcopy(TINY), **changes}


def use_labels(suffix: str) -> None:
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace(".gpkg", suffix))


# --- where there is no data ---------------------------------------------------------------------------------------


def empty_west(scene: str) -> np.ndarray:
    values = pixels(scene)
    values[:, :, :40] = 0
    return values


def by_value(scene: str) -> None:
    write_image(DATA, scene, empty_west(scene), nodata=0)


def by_mask(scene: str) -> None:
    write_image(DATA, scene)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(DATA / f"{scene}.tif", "r+") as image:
        image.write_mask(np.arange(SIDE)[None, :].repeat(SIDE, 0) >= 40)


def by_transparency(scene: str) -> None:
    opaque = np.where(np.arange(SIDE)[None, :].repeat(SIDE, 0) >= 40, 65535, 0).astype(np.uint16)[None]
    path = write_image(DATA, scene, np.concatenate([pixels(scene), opaque]), bands=(*tiny.BANDS, None))
    with rasterio.open(path, "r+") as image:
        image.colorinterp = [*[ColorInterp.undefined] * 3, ColorInterp.alpha]


def by_not_a_number(scene: str) -> None:
    values = pixels(scene).astype(np.float32)
    values[:, :, :40] = np.nan
    write_image(DATA, scene, values)


@pytest.mark.parametrize("hide", [by_value, by_mask, by_transparency, by_not_a_number])
@pytest.mark.parametrize("unlabelled", ["ignore", "field"])
def test_nothing_is_labelled_where_the_image_has_no_data(hide: Callable[[str], None], unlabelled: str) -> None:
    for scene in "abcd":
        hide(scene)
    looked = look(config_with({"labels": {"attribute": "kind", "unlabelled": unlabelled}}))
    for facts in looked.facts().values():
        assert facts.labelled_pixels == {"null": 3200, "field": 1600, "forest": 1600}
        assert (ids_of(facts)[:, :40] == 0).all() and (ids_of(facts)[:, 40:] != 0).all()
        evaluated = gpd.read_file(str(facts.evaluated)).to_crs(facts.crs)
        assert evaluated.area.sum() == pytest.approx(3200 * 100, rel=1e-3)
    assert "50.0% of the labelled pixels lie where data/a.tif has no data" in looked.told("labels_over_nodata")[0]


def test_label_rasters_hold_nothing_either_where_there_is_no_data() -> None:
    for scene in "abcd":
        by_value(scene)
        write_label_raster(DATA, scene)
    use_labels("-labels.tif")
    facts = look(config_with(RASTERS)).facts("a")["a"]
    assert facts.labelled_pixels == {"null": 3200, "field": 1600, "forest": 1600}


def test_only_the_bands_that_the_model_sees_decide() -> None:
    """The third band has data everywhere, as an elevation model has; it is not among those that are seen."""
    for scene in "abcd":
        values = empty_west(scene)
        values[2] = pixels(scene)[2]
        write_image(DATA, scene, values, nodata=0)
    assert look(config_with({})).facts("a")["a"].labelled_pixels == {"null": 0, "field": 3200, "forest": 3200}
    seen = look(config_with({"imagery": {"bands": ["red", "green"]}})).facts("a")["a"]
    assert seen.labelled_pixels == {"null": 3200, "field": 1600, "forest": 1600}


def test_large_images_are_counted_without_what_has_no_data() -> None:
    """The preflight counts on a coarser grid, and estimates from a few windows what lies over no data."""
    side = 1200
    for number, scene in enumerate("abcd"):
        place = rasterio.transform.from_origin(330_000 + number * 10 * (side + 1), 5_820_000, 10, 10)
        values = pixels(scene, side=side)
        values[:, :, : side // 2] = 0
        write_image(DATA, scene, values, transform=place, nodata=0, compress="deflate")
        west, north = place.c, place.f
        shapes = [box(west, north - 10 * side, west + 10 * side, north)]
        write_labels(DATA, scene, shapes, ["field"])
    looked = look(config_with({"classes": {"field": "red"}}))
    assert "50.0% of the labelled pixels" in looked.told("labels_over_nodata")[0]


def test_labels_that_lie_over_no_data_alone_are_an_error() -> None:
    by_value("a")
    write_labels(DATA, "a", [square("a", 0, 0, 30, 30)], ["field"])
    looked = look(config_with({}))
    assert "labels_without_data" in looked.codes
    with pytest.raises(UserError, match="all of them lie where the image has no data"):
        looked.facts("a")


def test_a_tile_that_is_not_there_is_no_data() -> None:
    """A mosaic's gap."""
    write_image(DATA, "a-west", pixels("a")[:, :, :40])
    write_image(DATA, "a-east", pixels("a")[:, :40, 40:], transform=grid("a") @ rasterio.Affine.translation(40, 0))
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace("a.tif", "a-west.tif;a-east.tif"))
    facts = look(config_with({"imagery": {"files": "mosaic"}})).facts("a")["a"]
    assert facts.labelled_pixels == {"null": 1600, "field": 3200, "forest": 1600}


@pytest.mark.parametrize("unlabelled", ["ignore", "field"])
def test_cells_that_are_mostly_without_data_have_no_class(unlabelled: str) -> None:
    for scene in "abcd":
        values = pixels(scene)
        values[:, :, :30] = 0  # the first column of cells, and most of the second
        write_image(DATA, scene, values, nodata=0)
    looked = look(config_with({**CELLS, "labels": {"attribute": "kind", "unlabelled": unlabelled}}))
    source = built(looked, looked.facts("a")["a"]).label_source
    cells = source.get_labels()
    found = {(cell.xmin, cell.ymin): cells.get_cell_class_id(cell) for cell in cells.get_cells()}
    assert len(found) == 25
    assert {column for (column, _), index in found.items() if index == 0} == {0, 16}


# --- places -------------------------------------------------------------------------------------------------------


def test_grids_are_compared_in_pixels() -> None:
    """Pixels of 5 cm in degrees: a label raster that lies ten of them further south is no neighbour."""
    fine = 5e-7
    for number, scene in enumerate("abcd"):
        place = rasterio.transform.from_origin(12.5 + number * 100 * fine, 52.5, fine, fine)
        write_image(DATA, scene, crs="EPSG:4326", transform=place)
        south = place @ rasterio.Affine.translation(0, 10)
        write_label_raster(DATA, scene, crs="EPSG:4326", transform=south)
    use_labels("-labels.tif")
    facts = look(config_with(RASTERS)).facts("a")["a"]
    assert facts.labelled_pixels == {"null": 800, "field": 3200, "forest": 2400}
    assert ids_of(facts)[[9, 10, 49, 50], 0].tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("size", [0.3, 30.0])
def test_a_grid_half_a_pixel_off_is_another_and_one_rounded_in_the_last_digit_is_not(size: float) -> None:
    for scene, shift in (("a", 0.5001), ("b", 1e-6)):
        place = rasterio.transform.from_origin(330_000 + ord(scene) * 1000 * size, 5_820_000, size, size)
        write_image(DATA, scene, transform=place)
        moved = place @ rasterio.Affine.translation(shift, shift)
        write_label_raster(DATA, scene, transform=moved, nodata=0)
    use_labels("-labels.tif")
    for scene in "cd":
        write_label_raster(DATA, scene)
    facts = look(config_with(RASTERS)).facts("a", "b")
    assert facts["a"].labelled_pixels == {"null": 159, "field": 79 * 40, "forest": 79 * 39}
    assert facts["b"].labelled_pixels == {"null": 0, "field": 3200, "forest": 3200}


@pytest.mark.parametrize("inside", [True, False])
def test_the_mask_of_a_label_raster_on_another_grid_counts(inside: bool) -> None:
    """In the file itself, and beside it as .msk."""
    for scene in "abcd":
        coarse = halves().repeat(1, 0)
        write_label_raster(DATA, scene, coarse, transform=grid(scene) @ rasterio.Affine.translation(0.0, 0.2))
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside),
            rasterio.open(DATA / f"{scene}-labels.tif", "r+") as raster,
        ):
            mask = np.ones((SIDE, SIDE), bool)
            mask[:, :10] = False
            values = raster.read(1)
            values[:, :10] = 0
            raster.write(values, 1)
            raster.write_mask(mask)
        assert Path(f"data/{scene}-labels.tif.msk").exists() != inside
    use_labels("-labels.tif")
    looked = look(config_with(RASTERS))
    assert looked.facts("a")["a"].labelled_pixels == {"null": 800, "field": 2800, "forest": 2800}
    assert "unknown_class" not in looked.codes


# --- the antimeridian ---------------------------------------------------------------------------------------------

FIJI = "EPSG:32760"


def across(monkeypatch: pytest.MonkeyPatch) -> None:
    """Move the four scenes to Fiji, so that 180° runs through scene b."""
    onto = pyproj.Transformer.from_crs("EPSG:4326", FIJI, always_xy=True)
    east, north = onto.transform(179.99, -16.8)
    for name, value in (("EAST", round(east, -1)), ("NORTH", round(north, -1)), ("CRS", FIJI)):
        monkeypatch.setattr(tiny, name, value)
    for scene in "abcd":
        write_image(DATA, scene, crs=FIJI, transform=grid(scene))


def in_degrees(shape: Polygon, cut: bool) -> MultiPolygon:
    """A polygon of Fiji's in EPSG:4326: cut at 180° as RFC 7946 has it, or going on beyond."""
    back = pyproj.Transformer.from_crs(FIJI, "EPSG:4326", always_xy=True)

    def turned(xy: np.ndarray) -> np.ndarray:
        x, y = back.transform(xy[:, 0], xy[:, 1])
        return np.column_stack([np.where(x < 0, x + 360, x), y])

    whole = shapely.transform(shapely.segmentize(shape, 50), turned)
    if not cut:
        return MultiPolygon([whole])
    west, east = whole.intersection(box(0, -90, 180, 90)), whole.intersection(box(180, -90, 360, 90))
    parts = [west, shapely.transform(east, lambda xy: xy - [360, 0])]
    return MultiPolygon([piece for part in parts for piece in getattr(part, "geoms", [part]) if not piece.is_empty])


@pytest.mark.parametrize("form", ["cut", "beyond", "projected", "parquet"])
def test_labels_across_the_antimeridian_are_whole(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    across(monkeypatch)
    for scene in "abcd":
        shapes = [square(scene, 0, 0, SIDE, SIDE / 2), square(scene, 0, SIDE / 2, SIDE, SIDE / 2)]
        if form == "projected":
            write_labels(DATA, scene, shapes, crs=FIJI)
        else:
            write_labels(DATA, scene, [in_degrees(one, form != "beyond") for one in shapes], crs="EPSG:4326")
        if form == "parquet":
            gpd.read_file(DATA / f"{scene}.gpkg").to_parquet(DATA / f"{scene}.parquet")
    if form == "parquet":
        use_labels(".parquet")
    looked = look(config_with({}))
    assert looked.codes == []
    for name, facts in looked.facts().items():
        assert facts.bounds[0] > facts.bounds[2] if name == "b" else facts.bounds[0] < facts.bounds[2]
        assert facts.labelled_pixels == {
            "null": pytest.approx(0, abs=80),
            "field": pytest.approx(3200, abs=80),
            "forest": pytest.approx(3200, abs=80),
        }


def test_an_area_of_interest_across_the_antimeridian(monkeypatch: pytest.MonkeyPatch) -> None:
    across(monkeypatch)
    rows = ["scene,image,labels,aoi,split"]
    for scene, (split, _) in tiny.PLACES.items():
        write_labels(DATA, scene, crs=FIJI)
        area = in_degrees(square(scene, 10, 10, 60, 60), cut=True)
        gpd.GeoDataFrame(geometry=[area], crs="EPSG:4326").to_file(DATA / f"{scene}-aoi.geojson")
        rows.append(f"{scene},{scene}.tif,{scene}.gpkg,{scene}-aoi.geojson,{split}")
    (DATA / "scenes.csv").write_text("\n".join(rows) + "\n")
    facts = look(config_with({})).facts("b")["b"]
    assert gpd.read_file(str(facts.evaluated)).to_crs(FIJI).area.sum() == pytest.approx(3600 * 100, rel=0.03)


def test_scenes_that_overlap_across_the_antimeridian_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scene c validates, and lies half over b: one of them begins east of 180°, the other west of it."""
    across(monkeypatch)
    for scene in "abcd":
        write_labels(DATA, scene, crs=FIJI)
    write_image(DATA, "c", crs=FIJI, transform=grid("b") @ rasterio.Affine.translation(40, 0))
    write_labels(DATA, "c", [square("b", 40, 0, 40, SIDE), square("b", 80, 0, 40, SIDE)], crs=FIJI)
    assert "50%" in look(config_with({})).told("spatial_overlap")[0]
    onto = pyproj.Transformer.from_crs(FIJI, "EPSG:3460", always_xy=True)  # the same place in another CRS
    place = rasterio.transform.from_origin(*onto.transform(*(grid("b") * (40, 0))), 10, 10)
    write_image(DATA, "c", crs="EPSG:3460", transform=place)
    shares = [int(text.split("%")[0].split()[-1]) for text in look(config_with({})).told("spatial_overlap")]
    assert shares == [pytest.approx(50, abs=5)]


def test_an_image_whose_longitudes_go_on_beyond_180() -> None:
    step = 1e-4
    for number, scene in enumerate("abcd"):
        place = rasterio.transform.from_origin(179.996 + number * 90 * step, -16.8, step, step)
        write_image(DATA, scene, crs="EPSG:4326", transform=place)
        west, north = place.c, place.f
        shapes = [
            box(west, north - 40 * step, 180, north) if west < 180 else box(west, north - 40 * step, west, north),
            box(-180, north - 40 * step, west + 80 * step - 360, north),
        ]
        write_labels(DATA, scene, [MultiPolygon([one for one in shapes if one.area > 0])], ["field"], crs="EPSG:4326")
    facts = look(config_with({"classes": {"field": "red"}})).facts("a")["a"]
    assert facts.labelled_pixels == {"null": 3200, "field": 3200}


# --- boxes --------------------------------------------------------------------------------------------------------


def built(looked: Looked, facts: SceneFacts) -> Any:
    """A scene as Raster Vision builds it, for chips and for evaluation."""
    classes = ["null", *looked.plan.experiment.classes]
    options = scene_options(looked.stage_settings(), [], classes)
    config = scene_config(facts, options, labels=label_source(facts, options))
    return config.build(class_config(classes, ["black"] * len(classes)), "work")


def boxes(looked: Looked, scene: str) -> np.ndarray:
    """Top, left, bottom, right of a scene's boxes, in the order of their corners."""
    found = built(looked, looked.facts(scene)[scene]).label_source.get_labels().get_npboxes()
    return np.array(sorted(found.tolist()))


@pytest.mark.parametrize("crs", [tiny.CRS, "EPSG:4326", "EPSG:25832"])
def test_boxes_have_exact_edges(crs: str) -> None:
    rng = np.random.default_rng(1)
    corners = [(10 * i + 1 + rng.random(), 10 * j + 1 + rng.random()) for i in range(7) for j in range(7)]
    frame = gpd.GeoDataFrame(
        {"kind": "tree"}, geometry=[square("c", x, y, 6, 6) for x, y in corners], index=range(49), crs=tiny.CRS
    )
    frame.to_file(DATA / "c.gpkg")
    if crs == tiny.CRS:
        expected = sorted([y, x, y + 6, x + 6] for x, y in corners)
        assert np.abs(boxes(look(config_with(TREES)), "c") - expected).max() < 1e-3
    else:  # squares that another CRS has turned by a little
        frame.to_crs(crs).to_file(DATA / "c.gpkg")
        found = boxes(look(config_with(TREES)), "c")
        assert np.abs(found - sorted([y, x, y + 6, x + 6] for x, y in corners)).max() < 0.02


def test_boxes_on_whole_pixels_stay_there() -> None:
    write_labels(DATA, "c", [square("c", 10, 20, 10, 7)], ["tree"])
    assert boxes(look(config_with(TREES)), "c").tolist() == [[20, 10, 27, 20]]


def test_a_feature_of_several_parts_is_one_box() -> None:
    parts = MultiPolygon([square("c", 10, 10, 8, 8), square("c", 20, 10, 8, 8)])
    write_labels(DATA, "c", [parts, square("c", 50, 50, 12, 12)], ["tree", "tree"])
    assert boxes(look(config_with(TREES)), "c").tolist() == [[10, 10, 18, 28], [50, 50, 62, 62]]


def test_two_files_number_their_features_apart() -> None:
    write_labels(DATA, "c", [square("c", 10, 10, 8, 8)], ["tree"])
    write_labels(DATA, "c-more", [square("c", 40, 40, 8, 8)], ["tree"])
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace("c.gpkg", "c.gpkg;c-more.gpkg"))
    assert boxes(look(config_with(TREES)), "c").tolist() == [[10, 10, 18, 18], [40, 40, 48, 48]]


def test_equal_features_count_once_and_are_told() -> None:
    for scene in "abcd":
        shapes = [square(scene, 10, 10, 12, 12)] * 3 + [square(scene, 50, 50, 12, 12)]
        write_labels(DATA, scene, shapes, ["tree"] * 4)
    looked = look(config_with(TREES))
    assert "2 of 4 boxes equal another one" in looked.told("duplicate_boxes")[0]
    truth = boxes(looked, "c")
    found = np.array([[10, 10, 22, 22], [50, 50, 62, 62]])
    ids = np.ones(2, int)
    assert average_precision([Boxes(truth, ids, found, ids, np.ones(2))], ["null", "tree"]).ap50["tree"] == 1


def test_one_place_with_two_classes_is_no_duplicate() -> None:
    write_labels(DATA, "c", [square("c", 10, 10, 12, 12)] * 2, ["tree", "shrub"])
    for scene in "abd":
        write_labels(DATA, scene, [square(scene, 10, 10, 12, 12)], ["tree"])
    looked = look(config_with({**TREES, "classes": {"tree": "green", "shrub": "red"}}))
    assert looked.told("duplicate_boxes") == []
    assert len(boxes(looked, "c")) == 2


@pytest.mark.parametrize(("least", "count"), [(0.8, 1), (0.3, 2), (0.0, 2)])
def test_boxes_over_the_edge_count_from_the_share_that_is_asked_for(least: float, count: int) -> None:
    """A third of the first one lies inside."""
    for scene in "abcd":
        write_labels(DATA, scene, [square(scene, -8, 10, 12, 12), square(scene, 30, 30, 12, 12)], ["tree", "tree"])
    looked = look(config_with({**TREES, "chips": {**TREES["chips"], "min_box_overlap": least}}))
    found = boxes(looked, "c")
    assert len(found) == count
    assert len(found) == 1 or found[0].tolist() == [10, 0, 22, 4]
    told = looked.told("boxes_over_edge")
    assert len(told) == (4 if count == 1 else 0)
    assert not told or "1 box reaches over the edge of data/a.tif, with less than 80% inside" in told[0]


def test_boxes_over_no_data_do_not_count_and_are_told() -> None:
    """One lies there wholly, one by half."""
    for scene in "abcd":
        by_value(scene)
        shapes = [square(scene, 10, 10, 12, 12), square(scene, 34, 34, 12, 12), square(scene, 60, 60, 5, 5)]
        write_labels(DATA, scene, shapes, ["tree"] * 3)
    looked = look(config_with(TREES))
    assert "1 of 3 boxes lie wholly where data/a.tif has no data" in looked.told("boxes_without_data")[0]
    assert boxes(looked, "c").tolist() == [[34, 34, 46, 46], [60, 60, 65, 65]]


def test_a_box_as_large_as_a_chip_is_not_larger_and_one_that_is_larger_is_told() -> None:
    for scene in "abcd":
        write_labels(DATA, scene, [square(scene, 10.3, 10.3, 40, 40)], ["tree"])
    drawn = {**TREES, "chips": {**TREES["chips"], "negative_ratio": 1}}
    assert "box_larger_than_chip" not in look(config_with(drawn)).codes
    assert boxes(look(config_with(drawn)), "a").tolist() == [[10.3, 10.3, 50.3, 50.3]]
    for scene in "ab":
        write_labels(DATA, scene, [square(scene, 10.3, 10.3, 40.4, 40)], ["tree"])
    assert "box_larger_than_chip" in look(config_with(drawn)).codes


# --- files of any kind --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "suffix", "crs", "attribute"),
    [
        ("KML", ".kml", "EPSG:4326", "Name"),
        ("GML", ".gml", tiny.CRS, "kind"),
        ("OpenFileGDB", ".gdb", tiny.CRS, "kind"),
        ("GeoJSONSeq", ".geojsonl", "EPSG:4326", "kind"),
        ("MapInfo File", ".tab", tiny.CRS, "kind"),
        ("SQLite", ".sqlite", tiny.CRS, "kind"),
    ],
)
def test_labels_of_less_common_formats_are_read(driver: str, suffix: str, crs: str, attribute: str) -> None:
    for scene in "abcd":
        frame = gpd.read_file(DATA / f"{scene}.gpkg").to_crs(crs).rename(columns={"kind": attribute})
        frame.to_file(DATA / f"{scene}{suffix}", driver=driver)
    use_labels(suffix)
    looked = look(config_with({"labels": {"attribute": attribute}}))
    assert looked.codes == []
    assert looked.facts("a")["a"].labelled_pixels == {
        "null": pytest.approx(0, abs=80),
        "field": pytest.approx(3200, abs=80),
        "forest": pytest.approx(3200, abs=80),
    }


def test_classes_of_a_shapefile_in_another_encoding_are_read() -> None:
    for scene in "abcd":
        frame = gpd.read_file(DATA / f"{scene}.gpkg").assign(kind=["Äcker", "Gehölz"])
        frame.to_file(DATA / f"{scene}.shp", encoding="ISO-8859-1")
    use_labels(".shp")
    looked = look(config_with({"labels": {"attribute": "kind", "mapping": {"Äcker": "field", "Gehölz": "forest"}}}))
    assert looked.codes == []


@pytest.mark.parametrize("changes", [{"bigtiff": "yes"}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_label_rasters_of_any_build_are_read(changes: dict[str, Any], dtype: str) -> None:
    for scene in "abcd":
        write_label_raster(DATA, scene, halves().astype(dtype), **changes)
    use_labels("-labels.tif")
    assert look(config_with(RASTERS)).codes == []


@pytest.mark.parametrize("crs", ["EPSG:3031", "EPSG:3413"])
def test_scenes_at_a_pole_are_labelled_from_degrees(crs: str) -> None:
    """Scene b holds the pole itself, where all longitudes meet."""
    for number, scene in enumerate("abcd"):
        place = rasterio.transform.from_origin(-1205 + (number - 1) * 8100, 405, 10, 10)
        write_image(DATA, scene, crs=crs, transform=place)
        west, north = place.c, place.f
        shapes = [box(west, north - 400, west + 800, north), box(west, north - 800, west + 800, north - 400)]
        write_labels(DATA, scene, shapes, crs=crs)
    looked = look(config_with({}))
    assert looked.codes == []
    assert looked.facts("b")["b"].labelled_pixels == {"null": 0, "field": 3200, "forest": 3200}
