"""Labels mean what their owner means: what has no class, what is mapped to nothing, what only looks like a typo."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from looking import Looked, look
from shapely.geometry import GeometryCollection, LineString, Point, mapping
from tiny import CRS, TINY, grid, square, write_label_raster, write_labels, write_tiny

from swath.errors import UserError
from swath.scenes.attributes import quoted

DATA = Path("data")
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


def looked(labels: dict[str, Any] | None = None, **changes: Any) -> Looked:
    return look({**deepcopy(TINY), "labels": {"attribute": "kind", **(labels or {})}, **changes})


def with_third(scene: str, kind: Any, size: float = 20) -> None:
    """Halves of field and forest, and a square over the field."""
    halves = [square(scene, 0, 0, 80, 40), square(scene, 0, 40, 80, 40)]
    write_labels(DATA, scene, [*halves, square(scene, 10, 10, size, size)], ["field", "forest", kind])


def use_labels(suffix: str) -> None:
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace(".gpkg", suffix))


# --- what is to be left out ---------------------------------------------------------------------------------------


def test_what_is_mapped_to_null_blanks_what_lies_below() -> None:
    for scene in "abcd":
        with_third(scene, "cloud")
    facts = looked({"mapping": {"cloud": None}}).facts("a")["a"]
    assert facts.labelled_pixels == {"null": 400, "field": 2800, "forest": 3200}


def test_what_is_mapped_to_null_gives_way_to_smaller_ones() -> None:
    for scene in "abcd":
        shapes = [square(scene, 0, 0, 80, 80), square(scene, 0, 0, 80, 40), square(scene, 10, 10, 5, 5)]
        write_labels(DATA, scene, shapes, ["field", "cloud", "forest"])
    facts = looked({"mapping": {"cloud": None}}).facts("a")["a"]
    assert facts.labelled_pixels == {"null": 3200 - 25, "field": 3200, "forest": 25}


def test_what_is_mapped_to_null_is_the_class_that_unlabelled_names() -> None:
    """As with label rasters: 0 mapped to null, with a background, is background."""
    for scene in "abcd":
        with_third(scene, "nothing")
    found = looked({"mapping": {"nothing": None}, "unlabelled": "forest"}).facts("a")["a"]
    assert found.labelled_pixels == {"null": 0, "field": 2800, "forest": 3600}


def test_cells_under_what_is_mapped_to_null_have_no_class() -> None:
    from swath.rv.label_sources import label_source
    from swath.rv.pipeline import class_config, scene_config, scene_options

    for scene in "abcd":
        with_third(scene, "cloud", size=40)
    found = looked({"mapping": {"cloud": None}}, **CELLS)
    options = scene_options(found.stage_settings(), [], ["null", "field", "forest"])
    facts = found.facts("a")["a"]
    config = scene_config(facts, options, labels=label_source(facts, options))
    cells = config.build(class_config(["null", "field", "forest"], ["black"] * 3), "work").label_source.get_labels()
    assert cells.get_cell_class_id(next(c for c in cells.get_cells() if (c.xmin, c.ymin) == (16, 16))) == 0


@pytest.mark.parametrize("empty", [None, "", "  "])
@pytest.mark.parametrize("unlabelled", ["ignore", "forest"])
def test_a_feature_without_a_class_is_told_and_is_no_background(empty: str | None, unlabelled: str) -> None:
    for scene in "abcd":
        with_third(scene, empty)
    found = looked({"unlabelled": unlabelled})
    assert "1 of 3 features without a class" in found.told("classless_features")[0]
    assert len(found.told("classless_features")) == 4
    assert found.facts("a")["a"].labelled_pixels == {"null": 400, "field": 2800, "forest": 3200}


def test_numbers_that_are_missing_are_no_class_either() -> None:
    for scene in "abcd":
        shapes = [square(scene, 0, 0, 80, 40), square(scene, 0, 40, 80, 40), square(scene, 10, 10, 20, 20)]
        write_labels(DATA, scene, shapes, [1, 2, np.nan])
    found = looked({"mapping": {"1": "field", "2": "forest"}})
    assert "1 of 3 features without a class" in found.told("classless_features")[0]
    assert found.facts("a")["a"].labelled_pixels["null"] == 400


def test_nothing_but_features_without_a_class_is_an_error_where_labels_are_needed() -> None:
    write_labels(DATA, "a", [square("a", 0, 0, 80, 80)], [None])
    with pytest.raises(UserError, match="no features with a class"):
        looked().facts("a")


# --- mappings -----------------------------------------------------------------------------------------------------


def test_a_typo_that_the_default_class_hides_is_told() -> None:
    for scene in "abcd":
        with_third(scene, "deciduous")
        frame = gpd.read_file(DATA / f"{scene}.gpkg")
        frame["kind"] = ["meadow", "conifer", "deciduous"]
        frame.to_file(DATA / f"{scene}.gpkg")
    found = looked({"mapping": {"conifer": "forest", "decidous": "forest"}, "default_class": "field"})
    (typo,) = found.told("mapping_typo")
    assert "'decidous' in no file, but 'deciduous'" in typo and "config.yaml:" in typo
    (swallowed,) = found.told("default_class_used")
    assert "8 of 12 features" in swallowed and "'deciduous' (4)" in swallowed and "'meadow' (4)" in swallowed


def test_entries_that_match_nothing_are_told() -> None:
    found = looked({"mapping": {"water": "field", "moor": "forest"}})
    assert "'water', 'moor' in no file" in found.told("mapping_unmatched")[0]
    assert found.codes == ["mapping_unmatched"]


def test_an_entry_of_one_scene_alone_is_met() -> None:
    write_labels(DATA, "d", [square("d", 0, 0, 80, 80)], ["moor"])
    assert "mapping_unmatched" not in looked({"mapping": {"moor": "forest"}}).codes


def test_values_of_label_rasters_that_match_nothing_or_are_swallowed_are_told() -> None:
    for scene in "abcd":
        values = np.full((80, 80), 1, np.uint8)
        values[40:], values[:10, :10] = 2, 9
        write_label_raster(DATA, scene, values)
    use_labels("-labels.tif")
    labels = {"mapping": {"1": "field", "2": "forest", "7": "forest"}, "default_class": "field"}
    found = look({**deepcopy(TINY), "labels": labels})
    assert "'7' in no file" in found.told("mapping_unmatched")[0]
    assert "400 pixels are taken for: '9' (400)" in found.told("default_class_used")[0]


def test_colours_that_match_nothing_are_told() -> None:
    for scene in "abcd":
        values = np.zeros((3, 80, 80), np.uint8)
        values[0, :40], values[1, 40:] = 255, 255
        write_label_raster(DATA, scene, values)
    use_labels("-labels.tif")
    colours = {"#ff0000": "field", "#00ff00": "forest", "#0000ff": None}
    found = look({**deepcopy(TINY), "labels": {"colours": colours}})
    assert found.codes == ["mapping_unmatched"] and "'#0000ff' in no file" in found.told("mapping_unmatched")[0]


@pytest.mark.parametrize(
    ("text", "written"),
    [("011", '"011"'), ("no", '"no"'), ("2024-01-01", '"2024-01-01"'), ("311", "311"), ("wood", "wood"), ("", '""')],
)
def test_cures_quote_what_yaml_takes_for_something_else(text: str, written: str) -> None:
    assert quoted(text) == written


def test_an_unknown_code_is_quoted_in_its_cure() -> None:
    write_labels(DATA, "a", None, ["011", "041"])
    assert '"011": <class>' in looked().told("unknown_class")[0]


# --- attributes and geometries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [["field", "forest"], [1, 2]])
def test_an_attribute_that_holds_lists_is_told(value: list[Any]) -> None:
    features = [
        {"type": "Feature", "properties": {"kind": value, "a": {"b": 1}}, "geometry": mapping(square("a", 0, 0, 9, 9))}
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    (DATA / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace("a.gpkg", "a.geojson"))
    assert "1 of 1 features hold lists" in looked().told("attribute_holds_lists")[0]


def test_lists_in_another_attribute_harm_nothing() -> None:
    frame = gpd.read_file(DATA / "a.gpkg").assign(tags=[["x"], ["y", "z"]])
    frame.to_file(DATA / "a.geojson", driver="GeoJSON")
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace("a.gpkg", "a.geojson"))
    assert looked().codes == []


@pytest.mark.parametrize("buffer", [0, 30])
def test_lines_and_points_beside_polygons_are_left_out(buffer: float) -> None:
    for scene in "abcd":
        x, y = grid(scene) * (20, 20)
        mixed = GeometryCollection(
            [square(scene, 0, 0, 80, 40), LineString([(x, y), (x + 100, y - 500)]), Point(x, y - 500)]
        )
        nested = GeometryCollection([GeometryCollection([square(scene, 0, 40, 80, 40), Point(x, y)])])
        gpd.GeoDataFrame({"kind": ["field", "forest"]}, geometry=[mixed, nested], crs=CRS).to_file(
            DATA / f"{scene}.geojson", driver="GeoJSON"
        )
    use_labels(".geojson")
    found = looked({"buffer": buffer})
    assert found.facts("a")["a"].labelled_pixels == {"null": 0, "field": 3200, "forest": 3200}
    assert "3 lines or points beside polygons" in found.told("loose_parts")[0]
    assert found.codes == ["loose_parts"]


def test_a_collection_of_lines_alone_still_needs_a_width() -> None:
    x, y = grid("a") * (20, 20)
    lines = GeometryCollection([LineString([(x, y), (x + 100, y)]), Point(x, y)])
    gpd.GeoDataFrame({"kind": ["field"]}, geometry=[lines], crs=CRS).to_file(DATA / "a.geojson", driver="GeoJSON")
    table = DATA / "scenes.csv"
    table.write_text(table.read_text().replace("a.gpkg", "a.geojson"))
    assert "lines_without_width" in looked().codes


# --- a file of labels for many scenes -----------------------------------------------------------------------------


def test_a_common_file_that_reaches_no_scene_is_told_with_its_place_and_crs() -> None:
    far = gpd.GeoDataFrame({"kind": ["field", "forest"]}, geometry=[square("a", 9000, 0, 80, 80)] * 2, crs=CRS)
    far.to_file(DATA / "all.gpkg")
    rows = [f"{scene},{scene}.tif,all.gpkg,{split}" for scene, split in zip("abcd", SPLITS, strict=True)]
    (DATA / "scenes.csv").write_text("\n".join(["scene,image,labels,split", *rows]) + "\n")
    (told,) = looked({"unlabelled": "field"}).told("labels_outside")
    assert "nothing in any of its 4 scenes: bounds" in told and "CRS EPSG:32633" in told


def test_a_common_file_that_reaches_one_scene_is_not_told() -> None:
    near = gpd.GeoDataFrame({"kind": ["field", "forest"]}, geometry=[square("a", 0, 0, 80, 80)] * 2, crs=CRS)
    near.to_file(DATA / "all.gpkg")
    rows = [f"{scene},{scene}.tif,all.gpkg,{split}" for scene, split in zip("abcd", SPLITS, strict=True)]
    (DATA / "scenes.csv").write_text("\n".join(["scene,image,labels,split", *rows]) + "\n")
    assert looked({"unlabelled": "field"}).told("labels_outside") == []


SPLITS = ("train", "train", "validation", "test")


def test_cells_are_counted_whatever_their_class_is_called(tmp_path: Path) -> None:
    """A class named Grassland/Pasture is a folder in a folder."""
    from swath.config.tasks import CLASSIFICATION
    from swath.rv.chip_files import CHIP_FILES

    for name in ("Corn/a-00001.png", "Grassland/Pasture/a-00002.png", "Grassland/Pasture/a-00003.png"):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert CHIP_FILES[CLASSIFICATION].count(tmp_path / "train") == 3
