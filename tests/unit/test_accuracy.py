"""Accuracy and areas of a map: the estimators by the papers' examples, points that are drawn, points that are read."""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from shapely.geometry import MultiPoint, Point, box

from swath.config.accuracy import Accuracy, Sample
from swath.config.load import load_application, trains
from swath.error_codes import LEVEL_OF
from swath.errors import Problem, UserError
from swath.metrics.area_adjusted import Z, allocate, area_adjusted, in_classes, margin_of, points_needed
from swath.plan.accuracy import check_reference, plan_accuracy
from swath.products.areas import PixelAreas
from swath.products.class_maps import centres, classes_at, draw_pixels, measure_classes, open_maps
from swath.products.maps import Place, label_raster_writer, place_of
from swath.products.style import write_point_style
from swath.report.accuracy import estimate_accuracy
from swath.report.sample import draw_sample, how_many

# --- the estimators ---------------------------------------------------------------------------------

COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = [200_000, 150_000, 3_200_000, 6_450_000]
"""Olofsson et al. (2014), table 8: deforestation, forest gain, stable forest, stable non-forest; pixels of 30 m."""
HECTARES = 0.09 * sum(PIXELS)


def in_hundredths(estimates: Any) -> list[tuple[float, float]]:
    return [(round(one.value, 2), round(one.margin, 2)) for one in estimates]


def test_the_paper_s_worked_example_to_the_printed_digits() -> None:
    result = area_adjusted(in_classes(COUNTS), PIXELS)
    areas = [(round(one.value * HECTARES), round(one.margin * HECTARES)) for one in result.shares]
    assert areas == [(21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_281)]
    assert in_hundredths([result.overall]) == [(0.95, 0.02)]
    assert in_hundredths(result.users) == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    assert in_hundredths(result.producers) == [(0.75, 0.21), (0.85, 0.25), (0.93, 0.03), (0.96, 0.02)]
    assert np.allclose(result.matrix.sum(axis=1), np.array(PIXELS) / sum(PIXELS))


def test_the_paper_s_sample_size_and_allocation() -> None:
    """Section 5.1.1: a standard error of 0.01 needs 641 points; table 7: 75 for each of the rare classes."""
    assert points_needed(PIXELS, [0.70, 0.60, 0.90, 0.95], Z * 0.01) == 641
    assert allocate(641, PIXELS, least=75) == [75, 75, 163, 328]


STRATA = "A" * 10 + "B" * 10 + "C" * 10 + "D" * 10
ON_MAP = "A" * 7 + "BBB" + "A" + "B" * 11 + "C" * 6 + "BB" + "D" * 10
TRUE = "AAAAACBABCABBBBBAABBCCCCCDDBBADDDDDDDCCB"
SIZES = [40_000, 30_000, 20_000, 10_000]
"""Stehman (2014), the numerical example: strata that differ from the map's classes."""


def counted(strata: str, mapped: str, true: str, names: str = "ABCD") -> np.ndarray:
    counts = np.zeros((len(names),) * 3, np.int64)
    np.add.at(counts, tuple([names.index(one) for one in entries] for entries in (strata, mapped, true)), 1)
    return counts


def test_stehman_s_worked_example_with_strata_that_are_no_classes() -> None:
    result = area_adjusted(counted(STRATA, ON_MAP, TRUE), SIZES)
    found = [(round(one.value, 3), round(one.margin / Z, 3)) for one in (result.overall, result.users[1])]
    assert found == [(0.630, 0.085), (0.574, 0.125)]
    assert [round(result.shares[index].value, 2) for index in (0, 2)] == [0.35, 0.20]
    assert [round(result.shares[index].margin / Z, 3) for index in (0, 2)] == [0.082, 0.064]
    assert round(result.producers[1].value, 3) == 0.794
    assert result.matrix[1, 2] == pytest.approx(0.08)


def test_the_interval_of_a_ratio_is_that_of_the_textbook() -> None:
    """Equation 28 of Stehman (2014), written out with variances and a covariance, for the producer's accuracy of B."""
    points = list(zip(STRATA, ON_MAP, TRUE, strict=True))
    part = {h: np.array([float(mapped == true == "B") for s, mapped, true in points if s == h]) for h in "ABCD"}
    of = {h: np.array([float(true == "B") for s, _, true in points if s == h]) for h in "ABCD"}
    size = dict(zip("ABCD", SIZES, strict=True))
    total = sum(size[h] * of[h].mean() for h in "ABCD")
    ratio = sum(size[h] * part[h].mean() for h in "ABCD") / total
    variance = sum(
        size[h] ** 2
        * (part[h].var(ddof=1) + ratio**2 * of[h].var(ddof=1) - 2 * ratio * np.cov(part[h], of[h])[0, 1])
        / 10
        for h in "ABCD"
    )
    found = area_adjusted(counted(STRATA, ON_MAP, TRUE), SIZES).producers[1]
    assert found.margin == pytest.approx(Z * variance**0.5 / total)


def test_strata_whose_points_are_joined_differ_only_in_name() -> None:
    """Two strata with the same classes on the map are what Olofsson's formulas take, cut in two."""
    cut = np.zeros((5, 4, 4), np.int64)
    cut[:4] = in_classes(COUNTS)
    cut[4], cut[3] = cut[3] // 2, cut[3] - cut[3] // 2
    areas = [*PIXELS[:3], PIXELS[3] * cut[3].sum() / 325, PIXELS[3] * cut[4].sum() / 325]
    whole, parts = area_adjusted(in_classes(COUNTS), PIXELS), area_adjusted(cut, areas)
    assert np.allclose(whole.matrix, parts.matrix)
    assert parts.overall.margin == pytest.approx(whole.overall.margin, rel=0.05)


def test_a_class_that_nobody_met_has_no_accuracy_and_one_point_no_interval() -> None:
    result = area_adjusted(in_classes(np.array([[5, 1, 0], [0, 4, 0], [0, 0, 0]])), [10.0, 5.0, 0.0])
    assert np.isnan(result.users[2].value) and np.isnan(result.producers[2].value) and result.shares[2].value == 0
    lonely = in_classes(np.array([[5, 1], [0, 1]]))
    with pytest.raises(ValueError, match="fewer than two points"):
        area_adjusted(lonely, [10.0, 5.0])
    assert area_adjusted(lonely, [10.0, 5.0], whole=[False, True]).users[1].margin == 0
    assert area_adjusted(lonely, [10.0, 5.0], whole=[True, True]).overall.margin == 0


TRULY = np.array([[0.85, 0.10, 0.05], [0.10, 0.80, 0.10], [0.05, 0.15, 0.80]])
"""Share of each class of the map that has each true class."""
WEIGHTS = np.array([0.6, 0.3, 0.1])


def coverage(draw: Callable[[np.random.Generator], tuple[np.ndarray, Any]], runs: int = 2000) -> np.ndarray:
    """How often the intervals of the overall accuracy and of the classes' areas hold the truth."""
    random = np.random.default_rng(14)
    truth = np.array([WEIGHTS @ np.diag(TRULY), *(WEIGHTS @ TRULY)])
    hits = np.zeros(4)
    for _ in range(runs):
        result = area_adjusted(*draw(random))
        found = [result.overall, *result.shares]
        hits += [abs(one.value - true) <= one.margin for one, true in zip(found, truth, strict=True)]
    return hits / runs


def test_95_percent_of_the_intervals_hold_the_truth() -> None:
    held = coverage(lambda random: (in_classes(random.multinomial(150, TRULY)), WEIGHTS))
    assert ((held > 0.93) & (held < 0.97)).all(), held


def test_95_percent_do_with_strata_that_are_no_classes() -> None:
    """Two strata, one with most of the third class; each holds all classes of the map."""
    sizes, of_map = np.array([0.75, 0.25]), np.array([[0.65, 0.30, 0.05], [0.45, 0.30, 0.25]])
    assert np.allclose(sizes @ of_map, WEIGHTS)
    cells = (of_map[:, :, None] * TRULY).reshape(2, 9)
    held = coverage(lambda random: (random.multinomial(250, cells).reshape(2, 3, 3), sizes))
    assert ((held > 0.93) & (held < 0.97)).all(), held


@given(
    st.integers(2, 2000),
    st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=9).filter(any),
    st.integers(2, 100),
)
def test_points_are_shared_out_to_the_last(number: int, areas: list[float], least: int) -> None:
    given_out = allocate(number, areas, least)
    there = [count for count, area in zip(given_out, areas, strict=True) if area > 0]
    assert sum(given_out) == sum(there) == number
    assert min(there) >= min(least, number // len(there))


# --- drawing ------------------------------------------------------------------------------------------

NAMES = ["null", "water", "field", "forest"]
COLOURS = ["#000000", "#2b6cb0", "#e3c567", "#2f6b3a"]
EAST, NORTH, METRES = 450_000.0, 40_000.0, 10.0
UTM, DEGREES = "EPSG:32636", "EPSG:4326"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_map(
    ids: np.ndarray, path: str = "map.tif", crs: str = UTM, size: float = METRES, west: float = EAST, top: float = NORTH
) -> str:
    """A map as Swath writes it."""
    grid = tuple(rasterio.transform.from_origin(west, top, size, size))[:6]
    with label_raster_writer(Place(crs, grid, *ids.shape), NAMES, COLOURS, Path(path)) as write:
        write(0, ids.astype(np.uint8))
    return path


def three_classes(height: int = 600, width: int = 90) -> np.ndarray:
    """A column without data, then water, field and forest side by side: 5, 60 and 24 columns."""
    return np.repeat([0, 1, 2, 3], [1, 5, 60, width - 66])[None].repeat(height, axis=0)


def drawn(path: str = "map.tif", seed: int = 0, **sample: Any) -> gpd.GeoDataFrame:
    Path("out").mkdir(exist_ok=True)
    draw_sample([path], Accuracy(sample=Sample(seed=seed, **sample)), Path("out"), Path("out/sample.csv"))
    return gpd.read_file("out/sample.gpkg", engine="pyogrio")


def test_points_lie_in_the_middle_of_pixels_of_their_class_none_twice() -> None:
    write_map(three_classes())
    points = drawn(points=300, least=40)
    assert Counter(points["stratum"]) == {"water": 40, "field": 186, "forest": 74}
    columns, rows = (points["x"] - EAST) / METRES, (NORTH - points["y"]) / METRES
    assert np.allclose(columns % 1, 0.5) and np.allclose(rows % 1, 0.5)
    assert [NAMES[index] for index in three_classes()[rows.astype(int), columns.astype(int)]] == list(points["stratum"])
    assert not points.duplicated(["x", "y"]).any() and points["class"].isna().all()
    assert list(points["point"]) == list(range(1, 301))
    degrees = points.to_crs(DEGREES)
    assert np.allclose(degrees.geometry.x, points["lon"], atol=1e-7) and points.crs == UTM
    table = pd.read_csv("out/sample.csv").set_index("class")
    assert table["points"].to_dict() == {"water": 40, "field": 186, "forest": 74}
    assert table["hectares"].sum() == pytest.approx(600 * 89 / 100, rel=0.01)
    assert table["share"]["field"] == pytest.approx(60 / 89, rel=1e-3)
    assert table["weight"]["water"] == pytest.approx(table["hectares"]["water"] / 40, rel=1e-6)


def test_the_same_seed_draws_the_same_bytes_and_another_one_other_points() -> None:
    write_map(three_classes())
    first = drawn(points=60)
    content = Path("out/sample.gpkg").read_bytes()
    Path("out/sample.gpkg").unlink()
    drawn(points=60)
    assert Path("out/sample.gpkg").read_bytes() == content
    other = drawn(points=60, seed=1)
    assert len(set(zip(first["x"], first["y"], strict=True)) & set(zip(other["x"], other["y"], strict=True))) < 20


def test_every_beginning_is_a_sample_of_all_classes() -> None:
    write_map(three_classes())
    half = Counter(drawn(points=300, least=40)["stratum"][:150])
    assert all(abs(half[name] - number / 2) <= 1 for name, number in {"water": 40, "field": 186, "forest": 74}.items())


def test_a_bit_of_ground_has_the_same_chance_wherever_it_lies() -> None:
    """In degrees, pixels at 75° north are a quarter of those at the equator: they are drawn a quarter as often."""
    write_map(np.ones((600, 4)), crs=DEGREES, size=0.125, west=0.0, top=75.0)
    maps = open_maps(["map.tif"])
    totals = measure_classes(maps)
    assert totals[0].area == pytest.approx(PixelAreas(place_of("map.tif")).of_rows(0, 600).sum())
    latitudes = np.concatenate(
        [centres(maps, draw_pixels(maps, totals, [200, 0, 0], seed), CRS(DEGREES))[1] for seed in range(40)]
    )
    north = np.sin(np.radians([0, 60, 75]))  # the ground between two latitudes, of a ball
    assert (latitudes > 60).mean() == pytest.approx((north[2] - north[1]) / north[2], abs=0.01)


def test_a_class_with_few_pixels_is_drawn_whole(caplog: pytest.LogCaptureFixture) -> None:
    ids = three_classes()
    ids[:, 1:6] = 2
    ids[7, 3] = ids[500, 1] = ids[501, 1] = 1
    write_map(ids)
    assert Counter(drawn(points=120)["stratum"])["water"] == 3
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("WARNING", "water has 3 pixels: all are drawn, not 40 points") in told


def test_a_map_that_is_drawn_whole_has_no_interval(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "swath.sample")
    write_map(three_classes(2, 70))
    assert len(drawn(points=600)) == 2 * 69
    assert sum(record.levelname == "WARNING" for record in caplog.records) == 3
    assert "± 0.0 %" in caplog.text


def test_points_in_one_pixel_do_not_stand_for_the_whole_class() -> None:
    ids = three_classes()
    ids[:, 1:6] = 2
    ids[7, 3] = ids[500, 1] = ids[501, 1] = 1
    write_map(ids)
    points = labelled(drawn(points=120), ids)
    water = points["stratum"] == "water"
    points.loc[np.flatnonzero(water)[0], "class"] = "field"
    assert estimated(points)["classes"][0]["users_margin"] == 0  # all three were looked at
    (x, y) = points.loc[water, ["x", "y"]].to_numpy()[0]
    moved = points.copy()
    moved.loc[water, "geometry"] = gpd.points_from_xy([x - 3, x, x + 3], [y] * 3)
    assert estimated(moved)["classes"][0]["users_margin"] > 0.5


def test_a_sample_over_several_maps_in_one_crs_or_in_two() -> None:
    write_map(three_classes(), "a.tif")
    write_map(three_classes(), "b.tif", west=EAST + 5000)
    maps = open_maps(["a.tif", "b.tif"])
    totals = measure_classes(maps)
    pixels = draw_pixels(maps, totals, [30, 30, 30], 0)
    assert {pixel.map for pixel in pixels} == {0, 1} and maps.crs == CRS(UTM)
    x, y = centres(maps, pixels, maps.crs)
    assert list(classes_at(maps, x, y, UTM)[0]) == [pixel.id for pixel in pixels]
    write_map(three_classes(), "b.tif", crs="EPSG:32637", west=EAST)
    both = open_maps(["a.tif", "b.tif"])
    assert both.crs == CRS(DEGREES)


def test_the_number_follows_from_the_wanted_interval() -> None:
    """As many as the formula says, and some more where rare classes get more than their share."""
    write_map(three_classes())
    totals = measure_classes(open_maps(["map.tif"]))
    areas = [total.area for total in totals]
    for least, points in ((2, 545), (50, 552)):
        numbers = how_many(Sample(least=least), totals, "map.tif")
        assert margin_of(numbers, areas, [0.85] * 3) <= 0.03
        assert sum(numbers) == pytest.approx(points, abs=3) and min(numbers) >= least
    assert points_needed([1.0], [0.85], 0.03) == 545
    rough = how_many(Sample(margin=0.06), totals, "map.tif")
    assert min(rough) == 50 and margin_of(rough, areas, [0.85] * 3) <= 0.06
    by_class = how_many(Sample(margin=0.03, expected={"field": 0.99}), totals, "map.tif")
    assert sum(by_class) < 545 and min(by_class) >= 50
    assert how_many(Sample(margin=0.2, expected=0.9), totals, "map.tif") == [50, 50, 50]
    assert how_many(Sample(margin=0.2, expected=1.0), totals, "map.tif") == [50, 50, 50]


def test_the_form_of_qgis_offers_the_classes_and_hides_the_strata() -> None:
    write_point_style("class", ["field & <wood>", "water"], ["stratum"], Path("sample.qml"))
    text = Path("sample.qml").read_text()
    assert 'type="ValueMap"' in text and 'value="field &amp; &lt;wood&gt;"' in text
    assert '<column type="field" name="stratum" hidden="1" />' in text and 'editWidget type="Hidden"' in text


# --- from points to areas ------------------------------------------------------------------------------


def labelled(points: gpd.GeoDataFrame, truth: np.ndarray) -> gpd.GeoDataFrame:
    """Fill the classes in, as a perfect interpreter would."""
    columns, rows = ((points["x"] - EAST) / METRES).astype(int), ((NORTH - points["y"]) / METRES).astype(int)
    return points.assign(**{"class": [NAMES[index] for index in truth[rows, columns]]})


@pytest.fixture
def truth() -> np.ndarray:
    """Forest reaches six columns further than the map says, water has one column less; and some pixels differ."""
    ids = three_classes()
    ids[:, 60:66], ids[:, 5] = 3, 2
    wrong = np.random.default_rng(3).random(ids.shape) < 0.05
    ids[wrong & (ids > 0)] = 2
    return ids


@pytest.fixture
def points(truth: np.ndarray) -> gpd.GeoDataFrame:
    """Points that have been drawn from the map and labelled."""
    write_map(three_classes())
    return labelled(drawn(points=400), truth)


def estimated(points: gpd.GeoDataFrame | None = None, **settings: Any) -> dict[str, Any]:
    """What the points say, as the rule writes it."""
    if points is not None:
        points.to_file("reference.gpkg", layer="points", engine="pyogrio", mode="w")
    files = {name: Path(f"{name}.out") for name in ("accuracy", "matrix", "classes", "page")}
    maps = settings.pop("maps", ["map.tif"])
    estimate_accuracy("a <b>", maps, Accuracy(**{"reference": "reference.gpkg", **settings}), files)
    return json.loads(files["accuracy"].read_text())


def notes_of(found: dict[str, Any]) -> dict[str, str]:
    return {note["code"]: note["found"] for note in found["notes"]}


def same_figures(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("overall_accuracy", "classes", "error_matrix"))


def test_areas_are_those_of_the_truth_within_their_intervals(points: gpd.GeoDataFrame, truth: np.ndarray) -> None:
    found = estimated(points)
    assert found["notes"] == [] and found["points"] == 400 and found["strata_are_classes"]
    of_pixel = found["hectares"] / (600 * 89)
    right = (three_classes() == truth)[:, 1:].mean()
    assert abs(found["overall_accuracy"]["value"] - right) <= found["overall_accuracy"]["margin"]
    for index, row in enumerate(found["classes"], start=1):
        assert abs(row["estimated_hectares"] - (truth == index).sum() * of_pixel) <= row["estimated_margin"]
    table = pd.read_csv("classes.out")
    assert table["estimated_hectares"].sum() == pytest.approx(found["hectares"], rel=1e-6)
    assert table["points_on_map"].sum() == table["points_in_reference"].sum() == 400
    matrix = pd.read_csv("matrix.out").set_index(["of", "map"])
    assert matrix.loc["points"].to_numpy().sum() == 400
    assert matrix.loc["share of the area"].to_numpy().sum() == pytest.approx(1, abs=1e-6)


def test_the_page_stands_alone_and_says_how_it_was_done(points: gpd.GeoDataFrame) -> None:
    estimated(points)
    page = Path("page.out").read_text()
    assert "a &lt;b&gt;: accuracy" in page and "<b>:" not in page
    assert "src=" not in page and "href=" not in page and "<script" not in page
    assert page.count("<svg") == 3 and "Olofsson et al. (2014)" in page and "#2f6b3a" in page
    assert "a stratified random sample with the map&#39;s classes as strata (water 50" in page


def test_a_table_says_the_same_as_a_vector_file(points: gpd.GeoDataFrame) -> None:
    """With commas for points and semicolons between them, in degrees or in the CRS that the config names; by id."""
    by_layer = estimated(points)
    plain = pd.DataFrame(points.drop(columns=["geometry", "stratum", "stratum_area"]))
    plain["class"] = [NAMES.index(name) for name in plain["class"]]
    plain.drop(columns=["lon", "lat"]).to_csv("points.csv", sep=";", decimal=",", index=False)
    assert same_figures(estimated(reference="points.csv", crs=UTM), by_layer)
    plain.drop(columns=["x", "y"]).to_csv("points.csv", index=False)
    assert same_figures(estimated(reference="points.csv"), by_layer)


def test_points_in_another_crs_and_as_multi_points_are_the_same(points: gpd.GeoDataFrame) -> None:
    before = estimated(points)
    moved = points.to_crs("EPSG:3857")
    moved = moved.set_geometry([MultiPoint([point]) for point in moved.geometry], crs=moved.crs)
    assert same_figures(estimated(moved), before)
    moved.to_parquet("reference.parquet")
    assert same_figures(estimated(reference="reference.parquet"), before)


def test_a_map_of_somebody_else_has_ids_for_names_or_those_that_are_given(points: gpd.GeoDataFrame) -> None:
    before = estimated(points)
    with rasterio.open("map.tif") as ours:
        profile = ours.profile | {"driver": "GTiff", "dtype": "int16", "nodata": -9}
        values = ours.read().astype(np.int16)
    with rasterio.open("plain.tif", "w", **profile) as other:
        other.write(np.where(values == 0, -9, values))
    points["class"] = [NAMES.index(name) for name in points["class"]]
    points = points.drop(columns=["stratum", "stratum_area"])
    by_id = estimated(points, maps=["plain.tif"])
    assert [row["class"] for row in by_id["classes"]] == ["1", "2", "3"]
    assert by_id["overall_accuracy"] == before["overall_accuracy"]
    named = estimated(maps=["plain.tif"], classes={"1": "water", "2": "field", "3": "forest"})
    assert same_figures(named, before)


def test_points_of_an_older_map_count_in_the_strata_that_they_were_drawn_in(
    points: gpd.GeoDataFrame, truth: np.ndarray
) -> None:
    """A better map is compared with the same points: they know what they were drawn in, and how large that was."""
    better = np.where(np.random.default_rng(5).random(truth.shape) < 0.5, truth, three_classes())
    write_map(better)
    found = estimated(points)
    assert set(notes_of(found)) == {"strata_differ", "map_changed"} and not found["strata_are_classes"]
    assert (
        abs(found["overall_accuracy"]["value"] - (better == truth)[:, 1:].mean())
        <= (found["overall_accuracy"]["margin"])
    )
    of_pixel = found["hectares"] / (600 * 89)
    for index, row in enumerate(found["classes"], start=1):
        assert abs(row["estimated_hectares"] - (truth == index).sum() * of_pixel) <= row["estimated_margin"]
    assert "Stehman (2014)" in Path("page.out").read_text()


def test_strata_of_ones_own(points: gpd.GeoDataFrame) -> None:
    """Upper and lower half: their areas stand in a column, or in the config."""
    points["half"] = np.where(points["y"] > NORTH - 3000, "upper", "lower")
    points["area"] = np.where(points["half"] == "upper", 1.0, 1.0)
    by_column = estimated(points, stratum="half", stratum_area="area")
    by_config = estimated(points, stratum="half", stratum_area={"upper": 267.0, "lower": 267.0})
    assert same_figures(by_column, by_config) and not by_column["strata_are_classes"] and by_column["notes"] == []
    assert [one["share"] for one in by_column["strata"]] == [0.5, 0.5]


def test_strata_that_are_the_map_s_classes_need_no_areas(points: gpd.GeoDataFrame) -> None:
    before = estimated(points)
    points = points.drop(columns="stratum_area")
    assert same_figures(estimated(points, stratum="stratum"), before)
    assert same_figures(estimated(points.drop(columns="stratum")), before)


@pytest.mark.filterwarnings("ignore:Normalized/laundered field name")
def test_a_shapefile_cuts_the_column_s_name(points: gpd.GeoDataFrame, truth: np.ndarray) -> None:
    write_map(np.where(np.random.default_rng(5).random(truth.shape) < 0.5, truth, three_classes()))
    before = estimated(points)
    with pytest.warns(UserWarning, match="Column names longer than 10 characters"):
        points.to_file("reference.shp", engine="pyogrio")
    assert "stratum_ar" in pyogrio.read_info("reference.shp")["fields"]
    found = estimated(reference="reference.shp")
    assert found["strata"] == before["strata"] and set(notes_of(found)) == {"strata_differ", "map_changed"}
    assert found["overall_accuracy"] == before["overall_accuracy"]
    capitals = points.rename(columns={"stratum": "STRATUM", "stratum_area": "STRATUM_AR"})
    assert estimated(capitals)["strata"] == before["strata"]


# --- what is told, and goes on ---------------------------------------------------------------------------


def test_points_without_a_class_are_left_out(points: gpd.GeoDataFrame) -> None:
    points.loc[:9, "class"] = None
    points.loc[10, "class"] = " "
    found = estimated(points)
    assert notes_of(found) == {"reference_unlabelled": "11 of 400 points without a class: left out"}
    assert found["points"] == 389


def test_points_off_the_map_are_left_out(points: gpd.GeoDataFrame) -> None:
    points.loc[0, "geometry"] = Point(EAST - 1000, NORTH)
    points.loc[1, "geometry"] = Point(EAST + METRES / 2, NORTH - 500)  # its first column has no data
    found = estimated(points)
    assert "1 of 400 points outside the map, 1 where it has no data" in notes_of(found)["points_left_out"]
    assert found["points"] == 398


def test_points_at_one_place_count_once(points: gpd.GeoDataFrame) -> None:
    found = estimated(gpd.GeoDataFrame(pd.concat([points, points[:3]], ignore_index=True), crs=points.crs))
    assert "3 points at the place of another one" in notes_of(found)["points_twice"] and found["points"] == 400


def test_a_class_that_no_point_has_is_told(points: gpd.GeoDataFrame) -> None:
    points["class"] = points["class"].replace("water", "field")
    found = estimated(points)
    assert notes_of(found) == {"class_unseen": "no point of 'water'"}
    assert found["classes"][0]["producers_accuracy"] is None


def test_maps_that_overlap_are_told(points: gpd.GeoDataFrame) -> None:
    write_map(three_classes(), "beside.tif", west=EAST + 90 * METRES)
    points = points.drop(columns=["stratum", "stratum_area"])
    assert notes_of(estimated(points, maps=["map.tif", "beside.tif"])) == {}
    write_map(three_classes(), "over.tif", west=EAST + 80 * METRES)
    found = estimated(maps=["map.tif", "over.tif"])
    assert notes_of(found) == {"maps_overlap": "overlaps map.tif"}
    assert "ground of these 2 maps" in Path("page.out").read_text()


# --- what is refused --------------------------------------------------------------------------------------


def refused(code: str, called: Callable[[], Any]) -> Problem:
    """The first message, which is an error."""
    with pytest.raises(UserError) as error:
        called()
    problem = error.value.problems[0]
    assert problem.code == code and LEVEL_OF[code] == "error", str(error.value)
    assert problem.cure, "a message without a cure"
    return problem


def test_a_map_that_is_not_there_or_cannot_be_used(points: gpd.GeoDataFrame) -> None:
    def planned(**settings: Any) -> Any:
        return plan_accuracy("kampala", Accuracy(**settings), "results", [], makes_map=False)

    found = refused("file_missing", planned)
    assert "results/experiments/kampala/map/map.tif" in found.found and "snakemake apply" in found.cure
    assert "mapp.tif" in refused("file_missing", lambda: planned(map="mapp.tif")).found
    assert "maps/*.tif" in refused("file_missing", lambda: planned(map="maps/*.tif")).found
    assert "out/map.tif" in refused("file_missing", lambda: planned(map="out")).cure
    assert refused("not_file_safe", lambda: planned(map="map.tif", reference="{a}.csv")).field == "accuracy.reference"
    assert planned(map=["m*.tif", "map.tif"]).maps == ("map.tif",)
    Path("no.tif").write_text("nonsense")
    refused("image_unreadable", lambda: open_maps(["no.tif"]))
    with rasterio.open("map.tif") as ours:
        profile = ours.profile | {"driver": "GTiff"}
    for name, code, changes in (
        ("float", "unusable_pixel_type", {"dtype": "float32"}),
        ("place", "no_georeference", {"crs": None}),
    ):
        rasterio.open(f"{name}.tif", "w", **profile | changes).close()
        refused(code, lambda name=name: open_maps([f"{name}.tif"]))
    rasterio.open("empty.tif", "w", **profile).close()
    assert "no pixel" in refused("map_empty", lambda: drawn("empty.tif")).found
    refused("map_empty", lambda: estimated(points, maps=["empty.tif"]))
    with rasterio.open("signed.tif", "w", **profile | {"dtype": "int16"}) as dataset:
        dataset.write(np.full((1, *dataset.shape), -5, np.int16))
    assert "-5" in refused("unusable_pixel_type", lambda: measure_classes(open_maps(["signed.tif"]))).found
    for dtype, value in (("int16", -1), ("uint32", 2**32 - 1), ("int64", 2**32 + 2), ("uint64", 2**64 - 1)):
        with rasterio.open("wide.tif", "w", **profile | {"dtype": dtype, "nodata": None}) as dataset:
            dataset.write(np.full((1, *dataset.shape), value, dtype))
        assert str(value) in refused("unusable_pixel_type", lambda: measure_classes(open_maps(["wide.tif"]))).found
    with rasterio.open("filled.tif", "w", **profile | {"dtype": "int16", "nodata": -1}) as dataset:
        dataset.write(np.where(three_classes() == 1, -1, 2).astype(np.int16), 1)
    assert [total.pixels for total in measure_classes(open_maps(["filled.tif"]))] == [600 * 85]
    assert "1: water" in refused("maps_differ", lambda: open_maps(["map.tif", "empty.tif"])).expected


def test_a_sample_that_cannot_be_drawn() -> None:
    write_map(three_classes())
    assert refused("too_few_to_draw", lambda: drawn(points=5)).expected.startswith("6 or more")
    assert "'water'" in refused("unknown_class", lambda: drawn(margin=0.03, expected={"watter": 0.9})).cure


def test_what_has_been_labelled_is_not_drawn_anew(points: gpd.GeoDataFrame) -> None:
    points.to_file("out/sample.gpkg", layer="points", engine="pyogrio", mode="w")
    assert "400 points" in refused("sample_labelled", lambda: drawn(points=500)).found
    assert len(gpd.read_file("out/sample.gpkg")) == 400


def edit_sample(command: str) -> None:
    """Change rows in place, as QGIS does."""
    with contextlib.closing(sqlite3.connect("out/sample.gpkg")) as database, database:
        for name in [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
            database.execute(f'DROP TRIGGER "{name}"')  # they call functions of SpatiaLite
        database.execute(command)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("UPDATE points SET class = 'water' WHERE point = 7", "1 points with a class"),
        ("ALTER TABLE points ADD COLUMN truth TEXT DEFAULT 'water'", "60 points with a class"),
        ("ALTER TABLE points ADD COLUMN truth INTEGER DEFAULT 3", "60 points with a class"),
        ("ALTER TABLE points ADD COLUMN truth REAL", "other rows"),
        ("UPDATE points SET stratum = 'water'", "other rows"),
        ("DELETE FROM points WHERE point = 7", "other rows"),
    ],
)
def test_whatever_somebody_did_to_the_points_is_kept(command: str, told: str) -> None:
    write_map(three_classes())
    drawn(points=60)
    edit_sample("UPDATE points SET class = NULL")
    drawn(points=60)  # nothing was done
    edit_sample(command)
    before = Path("out/sample.gpkg").read_bytes()
    for column in ("class", "kind"):
        settings = Accuracy(**{"class": column, "sample": {"points": 80}})
        drawing = functools.partial(draw_sample, ["map.tif"], settings, Path("out"), Path("out/sample.csv"))
        assert told in refused("sample_labelled", drawing).found
    assert Path("out/sample.gpkg").read_bytes() == before


def test_a_further_layer_and_a_file_that_cannot_be_read_are_kept(points: gpd.GeoDataFrame) -> None:
    points.to_file("out/sample.gpkg", layer="labelled", engine="pyogrio")
    assert refused("sample_labelled", lambda: drawn(points=60)).found == "layers points, labelled"
    Path("out/sample.gpkg").write_text("nonsense")
    assert refused("reference_unreadable", lambda: drawn(points=60)).file == "out/sample.gpkg"
    assert Path("out/sample.gpkg").read_text() == "nonsense"


def test_a_reference_that_is_not_there_or_no_points(points: gpd.GeoDataFrame) -> None:
    assert "snakemake sample" in refused("setting_needed", lambda: check_reference(Accuracy())).cure
    refused("file_missing", lambda: estimated(reference="refrence.gpkg"))
    Path("no.gpkg").write_text("nonsense")
    refused("reference_unreadable", lambda: estimated(reference="no.gpkg"))
    assert "no points" in refused("reference_empty", lambda: estimated(points[:0])).found
    points.to_file("two.gpkg", layer="points", engine="pyogrio")
    points.to_file("two.gpkg", layer="more", engine="pyogrio")
    assert "layer: " in refused("layer_not_named", lambda: estimated(reference="two.gpkg")).cure
    refused("unknown_layer", lambda: estimated(reference="two.gpkg", layer="pionts"))
    assert estimated(reference="two.gpkg", layer="points")["points"] == 400
    pd.DataFrame(points.drop(columns="geometry")).to_parquet("plain.parquet")
    refused("reference_unreadable", lambda: estimated(reference="plain.parquet"))
    pyogrio.write_dataframe(pd.DataFrame(points.drop(columns="geometry")), "plain.gpkg")
    refused("no_geometry", lambda: estimated(reference="plain.gpkg"))


def test_geometries_that_are_no_points(points: gpd.GeoDataFrame) -> None:
    areas = points.set_geometry([box(x, y, x + 5, y + 5) for x, y in zip(points["x"], points["y"], strict=True)])
    assert "400 of 400 are no points: Polygon" in refused("points_needed", lambda: estimated(areas)).found
    many = points.set_geometry([MultiPoint([(0, 0), (1, 1)])] * len(points), crs=points.crs)
    assert "MultiPoint" in refused("points_needed", lambda: estimated(many)).found
    points.loc[4, "geometry"] = None
    assert "1 of 400" in refused("no_coordinates", lambda: estimated(points)).found


def test_a_table_without_places(points: gpd.GeoDataFrame) -> None:
    plain = pd.DataFrame(points.drop(columns="geometry"))

    def table(**settings: Any) -> dict[str, Any]:
        return estimated(reference="points.csv", **settings)

    plain[["point", "class"]].to_csv("points.csv", index=False)
    assert "lon and lat" in refused("column_missing", table).expected
    plain[["x", "y", "class"]].to_csv("points.csv", index=False)
    assert "crs: EPSG" in refused("no_crs", table).cure
    assert "EPSG:nil" in refused("no_crs", lambda: table(crs="EPSG:nil")).found
    plain.assign(x=["", *plain["x"][1:]])[["x", "y", "class"]].to_csv("points.csv", index=False)
    assert refused("no_coordinates", lambda: table(crs=UTM)).file == "points.csv:2"


def test_a_vector_file_without_a_crs(points: gpd.GeoDataFrame) -> None:
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        points.set_crs(None, allow_override=True).to_file("reference.gpkg", engine="pyogrio")
    refused("no_crs", estimated)


def test_columns_that_are_not_there(points: gpd.GeoDataFrame) -> None:
    assert "'class'" in refused("column_missing", lambda: estimated(points, **{"class": "clas"})).cure
    assert "'stratum'" in refused("column_missing", lambda: estimated(stratum="stratums")).cure
    assert "'stratum_area'" in refused("column_missing", lambda: estimated(stratum_area="stratumarea")).cure


def test_classes_that_the_map_does_not_know(points: gpd.GeoDataFrame) -> None:
    points["class"] = points["class"].replace({"forest": "forrest", "water": "lava"})
    with pytest.raises(UserError) as error:
        estimated(points)
    told = {problem.found.split("'")[1]: problem.cure for problem in error.value.problems}
    assert "did you mean 'forest'" in told["forrest"] and "rename it" in told["lava"]


def test_points_of_which_none_is_labelled(points: gpd.GeoDataFrame) -> None:
    points["class"] = None
    assert "none with a class" in refused("reference_empty", lambda: estimated(points)).found


def test_points_that_lie_elsewhere(points: gpd.GeoDataFrame) -> None:
    elsewhere = points.set_geometry(points.geometry.translate(50_000))
    assert "400 of 400" in refused("points_off_map", lambda: estimated(elsewhere)).found


def test_one_place_with_two_classes(points: gpd.GeoDataFrame) -> None:
    again = points[:1].assign(**{"class": "water" if points["class"][0] != "water" else "field"})
    both = gpd.GeoDataFrame(pd.concat([points, again], ignore_index=True), crs=points.crs)
    assert "water" in refused("points_contradict", lambda: estimated(both)).found


def test_a_stratum_with_less_than_two_points(points: gpd.GeoDataFrame) -> None:
    few = points[points["stratum"] != "water"]
    assert refused("too_few_points", lambda: estimated(few)).found == "water: 0"
    few = gpd.GeoDataFrame(pd.concat([few, points[points["stratum"] == "water"][:1]]), crs=points.crs)
    assert refused("too_few_points", lambda: estimated(few)).found == "water: 1"
    points["half"] = "upper"
    halves = {"upper": 1.0, "lower": 1.0}
    assert "lower: 0" in refused("too_few_points", lambda: estimated(points, stratum="half", stratum_area=halves)).found


def test_a_stratum_whose_points_are_all_left_out_does_not_leave_its_ground_to_the_others(
    points: gpd.GeoDataFrame,
) -> None:
    points["half"] = np.where(points["y"] > NORTH - 3000, "upper", "lower")
    points["area"] = np.where(points["half"] == "upper", 1.0, 3.0)
    halves: dict[str, Any] = {"stratum": "half", "stratum_area": "area"}
    unlabelled = points.assign(**{"class": points["class"].where(points["half"] == "upper")})
    assert refused("too_few_points", lambda: estimated(unlabelled, **halves)).found == "lower: 0"
    of_few = points["half"].where(points.index > 20, "third")
    off = points.assign(half=of_few, area=np.where(of_few == "third", 2.0, points["area"]))
    off.loc[:20, "geometry"] = [Point(EAST - 1000, NORTH - 10 * index) for index in range(21)]
    assert refused("too_few_points", lambda: estimated(off, **halves)).found == "third: 0"
    shares = {"upper": 1.0, "lower": 3.0}
    assert "'third'" in refused("stratum_area_unknown", lambda: estimated(stratum="half", stratum_area=shares)).found
    assert estimated(off[21:], **halves)["points"] == 379


def test_a_class_whose_points_are_all_left_out_on_a_changed_map(points: gpd.GeoDataFrame, truth: np.ndarray) -> None:
    write_map(np.where(truth == 1, 2, truth))  # it has no water any more
    points["class"] = points["class"].where(points["stratum"] != "water")
    assert refused("too_few_points", lambda: estimated(points)).found == "water: 0"


def test_a_comma_in_an_area_is_a_decimal_one_or_asked_about(points: gpd.GeoDataFrame) -> None:
    points["half"] = np.where(points["y"] > NORTH - 3000, "upper", "lower")
    halves: dict[str, Any] = {"stratum": "half", "stratum_area": "area"}
    for upper, lower, share in (("0,125", "0,375", 0.25), ("1,5", "4,50", 0.25), ("1460,125", "1460.125", 0.5)):
        found = estimated(points.assign(area=points["half"].map({"upper": upper, "lower": lower})), **halves)
        assert {one["name"]: one["share"] for one in found["strata"]}["upper"] == share
    thousands = points.assign(area=points["half"].map({"upper": "980", "lower": "12,460"}))
    assert refused("stratum_area_unknown", lambda: estimated(thousands, **halves)).cure.startswith(
        "write 12460, or 12.460"
    )


def test_strata_of_which_not_all_is_known(points: gpd.GeoDataFrame) -> None:
    code = "stratum_area_unknown"
    points["half"] = np.where(points["y"] > NORTH - 3000, "upper", "lower")
    own = points.drop(columns=["stratum", "stratum_area"])
    assert "stratum_area" in refused(code, lambda: estimated(own, stratum="half")).cure
    assert "'uper'" in refused(code, lambda: estimated(stratum="half", stratum_area={"uper": 1.0, "lower": 1.0})).cure
    own["area"] = np.arange(len(own))
    refused(code, lambda: estimated(own, stratum="half", stratum_area="area"))
    own["area"] = "large"
    refused(code, lambda: estimated(own, stratum="half", stratum_area="area"))
    own.loc[3, "half"] = None
    assert "1 of 400" in refused("stratum_missing", lambda: estimated(own, stratum="half")).found
    others = points.drop(columns="stratum_area")
    others["stratum"] = others["stratum"].to_numpy()[::-1]
    refused(code, lambda: estimated(others, stratum="stratum"))
    assert "rename the column `stratum`" in refused(code, estimated).cure
    before = estimated(others.drop(columns="stratum"))
    assert same_figures(estimated(others.assign(stratum=None)), before)
    areas = {"stratum_area": {"upper": 1.0, "lower": 1.0}}
    assert "column stratum" in refused("column_missing", lambda: estimated(own.drop(columns="area"), **areas)).expected


# --- the config -------------------------------------------------------------------------------------------


def test_a_config_of_accuracy_alone_trains_nothing() -> None:
    config = {"experiment": "kampala", "accuracy": {"class": "kind", "map": "map.tif", "sample": {"points": 600}}}
    assert not trains(config)
    accuracy = load_application(config).accuracy
    assert accuracy is not None and accuracy.class_ == "kind" and accuracy.map == ["map.tif"]
    said = accuracy.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert said == {"class": "kind", "map": ["map.tif"], "sample": {"points": 600}} and Accuracy(**said) == accuracy


@pytest.mark.parametrize(
    ("section", "code", "told"),
    [
        ({"sample": {"points": 600, "margin": 0.03}}, "settings_conflict", "nothing beside `points`"),
        ({"sample": {"least": 1}}, "out_of_range", "greater than or equal to 2"),
        ({"sample": {"margin": 3}}, "out_of_range", "less than 0.5"),
        ({"classes": {1: "water", 2: "water"}}, "settings_conflict", "another name"),
        ({"clas": "kind"}, "unknown_key", "did you mean 'class'?"),
        ({"class": 3}, "wrong_type", "text"),
        (None, "setting_needed", "a map to make, or one to compare"),
    ],
)
def test_settings_that_are_refused(section: Any, code: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        load_application({"experiment": "kampala", "accuracy": section})
    assert error.value.problems[0].code == code and told in str(error.value)
