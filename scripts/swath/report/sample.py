"""Points that are to be labelled: drawn at random within each class of a map."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from pyproj import CRS

from swath.config.accuracy import EXPECTED, MARGIN, Accuracy, Sample
from swath.errors import Problem, UserError, did_you_mean
from swath.files import publish
from swath.metrics.area_adjusted import allocate, margin_of, points_needed
from swath.products.class_maps import ClassMaps, ClassTotals, Pixel, centres, draw_pixels, measure_classes, open_maps
from swath.products.style import write_point_style
from swath.products.tables import POINTS, as_written, write_points
from swath.scenes.reference_points import STRATUM

log = logging.getLogger("swath.sample")
HECTARE = 1e4
HIDDEN = (STRATUM, "stratum_area")
"""Columns that whoever labels the points should not see."""
DRAWN = ("point", "x", "y", "lon", "lat", *HIDDEN)
"""Columns that are filled in when points are drawn."""


def draw_sample(paths: Sequence[str], settings: Accuracy, folder: Path, table: Path) -> None:
    """Draw points, and write them as GeoPackage with a style for QGIS.

    Args:
        paths: Files of the map.
        settings: The section `accuracy`.
        folder: Where `sample.gpkg` and `sample.qml` are published.
        table: CSV to write: points, area and share of each class.

    Raises:
        UserError: For maps that cannot be used, too few points, and points there that are not as they were drawn.
    """
    points = folder / "sample.gpkg"
    check_unlabelled(points)
    maps = open_maps(paths, settings.classes)
    totals = measure_classes(maps)
    numbers = how_many(settings.sample, totals, maps.paths[0])
    pixels = draw_pixels(maps, totals, numbers, settings.sample.seed)
    with publish(points) as temporary:
        write_points(_frame(maps, totals, pixels, settings.class_), temporary)
    with publish(points.with_suffix(".qml")) as temporary:
        write_point_style(settings.class_, [total.name for total in totals], HIDDEN, temporary)
    rows = _rows(totals, pixels)
    rows.to_csv(table, index=False)
    said = ", ".join(f"{row['class']} {row['points']}" for _, row in rows.iterrows())
    log.info("%d points to be labelled (%s): %s", len(pixels), said, points)
    is_whole = [0 < total.pixels == count for total, count in zip(totals, rows["points"], strict=True)]
    for total, wanted, whole in zip(totals, numbers, is_whole, strict=True):
        if whole and wanted > total.pixels:
            log.warning("%s has %d pixels: all are drawn, not %d points", total.name, total.pixels, wanted)
    of_each = zip(_expected(settings.sample, totals), is_whole, strict=True)
    expected = [1.0 if whole else share for share, whole in of_each]  # nothing is left to chance there
    margin = margin_of(list(rows["points"]), [total.area for total in totals], expected)
    log.info("overall accuracy is going to have an interval of about ± %.1f %%", 100 * margin)


def check_unlabelled(points: Path) -> None:
    """Make sure that no work is lost: points that are not as they were drawn are not drawn anew.

    Raises:
        UserError: If a point has a class, in whatever column or layer; and for a file that is otherwise not the one
            that was drawn, or cannot be read.
    """
    if not points.exists():
        return
    cure = "move it to another place, name it there in `accuracy.reference`, then type the same command again"
    try:
        if as_written(points):
            return
        layers = [str(name) for name, _ in pyogrio.list_layers(points)]
        rows = pyogrio.read_dataframe(points, layer=POINTS, read_geometry=False) if layers == [POINTS] else None
    except Exception as error:  # pyogrio's errors; what cannot be read may be somebody's work all the same
        said, expected = " ".join(str(error).split()), "points that nobody has labelled, to draw others"
        raise UserError(Problem("reference_unreadable", str(points), "points", said, expected, cure)) from None
    found = "other rows than those that were drawn"
    if rows is None:
        found = "layers " + ", ".join(layers) if layers else "no layer"
    else:
        others = rows.drop(columns=[name for name in DRAWN if name in rows])
        filled = others.notna() & others.astype(str).apply(lambda column: column.str.strip().ne(""))
        labelled = int(filled.any(axis=1).sum())
        found = f"{labelled} points with a class" if labelled else found
    expected = "points as they were drawn, which nobody has labelled, to draw others"
    raise UserError(Problem("sample_labelled", str(points), "points", found, expected, cure))


def how_many(sample: Sample, totals: Sequence[ClassTotals], path: str) -> list[int]:
    """Say how many points each class should get; it may have fewer pixels.

    Args:
        sample: The settings.
        totals: The map's classes.
        path: The map, for messages.

    Raises:
        UserError: For a map without data, classes that it does not have, and fewer points than two of each class.
    """
    areas = [total.area for total in totals]
    there = sum(area > 0 for area in areas)
    if not there:
        raise UserError(Problem("map_empty", path, "accuracy.map", "no pixel with data", "classes", "check the map"))
    if sample.points is None:
        number = _number_for(sample.margin or MARGIN, areas, _expected(sample, totals), sample.least)
    else:
        number = sample.points
        if number < 2 * there:
            expected, cure = f"{2 * there} or more: two of each class", "draw more points"
            raise UserError(Problem("too_few_to_draw", "config", "accuracy.sample.points", str(number), expected, cure))
    return allocate(number, areas, sample.least)


def _expected(sample: Sample, totals: Sequence[ClassTotals]) -> list[float]:
    """Return the user's accuracy that is expected of each class."""
    if not isinstance(sample.expected, dict):
        return [EXPECTED if sample.expected is None else sample.expected] * len(totals)
    names = [total.name for total in totals]
    for name in sample.expected:
        if name not in names:
            expected, cure = "a class of the map: " + ", ".join(names), did_you_mean(name, names)
            found = f"unknown class {name!r}"
            raise UserError(Problem("unknown_class", "config", "accuracy.sample.expected", found, expected, cure))
    return [sample.expected.get(name, EXPECTED) for name in names]


def _number_for(margin: float, areas: Sequence[float], expected: Sequence[float], least: int) -> int:
    """Return how many points it takes: some more than the formula says, where rare classes get more than their share.

    Args:
        margin: Half of the wanted 95 % interval of the overall accuracy.
        areas: Area of each class.
        expected: The user's accuracy that is expected of it.
        least: Points of each class.
    """
    number = max(points_needed(areas, expected, margin), least * sum(area > 0 for area in areas))
    while margin_of(allocate(number, areas, least), areas, expected) > margin:
        number += max(number // 200, 1)
    return number


def _frame(maps: ClassMaps, totals: Sequence[ClassTotals], pixels: Sequence[Pixel], column: str) -> gpd.GeoDataFrame:
    """Make the table of points: where they lie, what they were drawn in, and room for their true class."""
    of_class = {total.id: total for total in totals}
    x, y = centres(maps, pixels, maps.crs)
    longitude, latitude = centres(maps, pixels, CRS("EPSG:4326"))
    frame = {
        "point": np.arange(1, len(pixels) + 1),
        column: pd.Series([None] * len(pixels), dtype="string"),
        "x": x,
        "y": y,
        "lon": longitude.round(8),
        "lat": latitude.round(8),
        STRATUM: [of_class[pixel.id].name for pixel in pixels],
        "stratum_area": [round(of_class[pixel.id].area / HECTARE, 6) for pixel in pixels],
    }
    return gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(x, y), crs=maps.crs)


def _rows(totals: Sequence[ClassTotals], pixels: Sequence[Pixel]) -> pd.DataFrame:
    """Say of each class how many points it has, its area in hectares, its share, and the hectares behind a point."""
    drawn = [sum(pixel.id == total.id for pixel in pixels) for total in totals]
    hectares = np.array([total.area for total in totals]) / HECTARE
    return pd.DataFrame(
        {
            "class": [total.name for total in totals],
            "points": drawn,
            "hectares": hectares.round(6),
            "share": (hectares / hectares.sum()).round(6),
            "weight": [round(area / number, 6) if number else 0 for area, number in zip(hectares, drawn, strict=True)],
        }
    )
