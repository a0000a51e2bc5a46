"""Areas on the ground: of pixels, classes, polygons. A map's own units are not those of the ground."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from rasterio.features import rasterize
from rasterio.windows import Window

from swath.products.maps import FULL_SHARE, NO_SHARE, Place

GEOD = Geod(ellps="WGS84")
ROWS = 512
LATTICE = 32
"""Pixels between two whose area is computed, in a projection."""

Degrees = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Longitudes and latitudes."""


class PixelAreas:
    """The area of each pixel of a raster on the ground, in m².

    A pixel's two sides, in degrees, span a parallelogram on the ellipsoid. It is computed for some pixels, and
    interpolated between them.

    Args:
        place: Where the raster lies.
    """

    def __init__(self, place: Place):
        self._place = place
        crs = CRS.from_user_input(rasterio.CRS.from_user_input(place.crs).to_wkt())
        self._to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        self._step = 1 if crs.is_geographic else LATTICE  # there, rows differ and columns do not

    def of_rows(self, first: int, last: int) -> NDArray[np.float64]:
        """Return the areas of the pixels of some rows, rows × width."""
        width = self._place.width
        rows = np.unique([*range(first, last, self._step), last - 1])
        columns = np.unique([*range(0, width, LATTICE), width - 1] if self._step > 1 else [0])
        known = self._areas(rows, columns)
        across = np.stack([np.interp(np.arange(width), columns, line) for line in known])
        wanted = np.arange(first, last)
        index = np.clip(np.searchsorted(rows, wanted, side="right") - 1, 0, max(len(rows) - 2, 0))
        below = np.minimum(index + 1, len(rows) - 1)
        share = (wanted - rows[index]) / np.maximum(rows[below] - rows[index], 1)
        areas: NDArray[np.float64] = across[index] * (1 - share[:, None]) + across[below] * share[:, None]
        return areas

    def _areas(self, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float64]:
        column, row = np.meshgrid(columns, rows)
        across = _side(self._degrees(column, row + 0.5), self._degrees(column + 1, row + 0.5))
        along = _side(self._degrees(column + 0.5, row), self._degrees(column + 0.5, row + 1))
        latitude = np.radians(self._degrees(column + 0.5, row + 0.5)[1])
        curvature = 1 - GEOD.es * np.sin(latitude) ** 2
        metres = GEOD.a**2 * (1 - GEOD.es) * np.cos(latitude) / curvature**2  # of a radian by a radian
        return np.abs(across[0] * along[1] - across[1] * along[0]) * metres

    def _degrees(self, columns: NDArray[Any], rows: NDArray[Any]) -> Degrees:
        x, y = rasterio.Affine(*self._place.transform) * (columns, rows)
        longitude, latitude = self._to_degrees.transform(x, y)
        return longitude, latitude


def _side(start: Degrees, end: Degrees) -> Degrees:
    """Return by how many radians longitude and latitude change, the shorter way round."""
    return np.radians((end[0] - start[0] + 180) % 360 - 180), np.radians(end[1] - start[1])


@dataclass(frozen=True)
class MapRasters:
    """A map.

    Attributes:
        labels: Raster of class ids.
        scores: Raster of the score of each pixel's class.
        place: Where they lie.
    """

    labels: Path
    scores: Path
    place: Place


def blocks(
    raster: MapRasters, rows: tuple[int, int] | None = None
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]]:
    """Go through a map from top to bottom: first row, class ids, scores (0..1, or not-a-number), areas in m².

    Args:
        raster: The map.
        rows: Start and stop, of those that are wanted; all of them when left out.
    """
    pixel_areas = PixelAreas(raster.place)
    start, stop = rows or (0, raster.place.height)
    with rasterio.open(raster.labels) as labels, rasterio.open(raster.scores) as scores:
        for first in range(start - start % ROWS, stop, ROWS):
            last = min(first + ROWS, raster.place.height)
            window = Window(0, first, raster.place.width, last - first)
            values = scores.read(1, window=window)
            known = np.where(values == NO_SHARE, np.nan, values / FULL_SHARE)
            yield first, labels.read(1, window=window), known, pixel_areas.of_rows(first, last)


def measure_polygons(polygons: gpd.GeoDataFrame, raster: MapRasters) -> gpd.GeoDataFrame:
    """Add the columns area (m² on the ground) and score (mean over pixels) to the polygons of a map.

    Args:
        polygons: Made of the map's pixels, in its CRS.
        raster: The map.
    """
    areas, scores = np.zeros(len(polygons)), np.zeros(len(polygons))
    to_pixels = ~rasterio.Affine(*raster.place.transform)
    in_pixels = shapely.transform(
        polygons.geometry.to_numpy(), lambda points: np.column_stack(to_pixels * (points[:, 0], points[:, 1]))
    )
    bounds = shapely.bounds(in_pixels).reshape(-1, 4)
    tops, bottoms = np.round(bounds[:, 1]).astype(int), np.round(bounds[:, 3]).astype(int)
    for first, labels, known, of_pixels in blocks(
        raster, (tops.min(initial=raster.place.height), bottoms.max(initial=0))
    ):
        near = np.flatnonzero((tops < first + len(labels)) & (bottoms > first))
        if not len(near):
            continue
        numbers = rasterize(
            ((in_pixels[index], index + 1) for index in near),
            out_shape=labels.shape,
            transform=rasterio.Affine.translation(0, first),
            dtype="int32",
        ).ravel()
        size = len(polygons) + 1
        areas += np.bincount(numbers, of_pixels.ravel(), size)[1:]
        scores += np.bincount(numbers, np.nan_to_num(known * of_pixels).ravel(), size)[1:]
    measured = polygons.copy()
    measured["area"] = areas
    measured["score"] = np.divide(scores, areas, out=np.full(len(areas), np.nan), where=areas > 0)
    return measured


def class_areas(
    raster: MapRasters, classes: Sequence[str], inside: Mapping[str, Any] | None = None
) -> dict[str, dict[str, float]]:
    """Add up the ground that each class takes.

    Args:
        raster: The map.
        classes: Class names by id.
        inside: Name of an area → its polygon in the map's CRS, if areas are wanted by polygons.

    Returns:
        Name of the area, ``""`` for the whole map → class → m².
    """
    totals = {name: np.zeros(len(classes)) for name in ("", *(inside or ()))}
    for first, labels, _, of_pixels in blocks(raster):
        totals[""] += np.bincount(labels.ravel(), of_pixels.ravel(), len(classes))
        transform = rasterio.Affine(*raster.place.rows(first, first + len(labels)).transform)
        for name, polygon in (inside or {}).items():
            columns = _columns_of(polygon, transform, labels.shape)
            if columns is None:
                continue
            part, place = labels[:, columns], transform @ rasterio.Affine.translation(columns.start, 0)
            mask = rasterize([polygon], out_shape=part.shape, transform=place, dtype="uint8") > 0
            totals[name] += np.bincount(part[mask], of_pixels[:, columns][mask], len(classes))
    return {name: dict(zip(classes[1:], values[1:], strict=True)) for name, values in totals.items()}


def _columns_of(polygon: Any, transform: rasterio.Affine, shape: tuple[int, ...]) -> slice | None:
    """Return the columns of some rows that a polygon reaches into; None if it reaches into none."""
    west, south, east, north = polygon.bounds
    columns, rows = ~transform * (np.array([west, east, west, east]), np.array([south, south, north, north]))
    if rows.max() < 0 or rows.min() > shape[0] or columns.max() < 0 or columns.min() > shape[1]:
        return None
    return slice(max(int(columns.min()), 0), min(int(columns.max()) + 2, shape[1]))


def area_rows(kind: str, name: str, areas: Mapping[str, float]) -> list[dict[str, Any]]:
    """Write what classes take as rows of a table: of what, its name, class, hectares and share."""
    total = sum(areas.values())
    return [
        {"of": kind, "name": name, "class": one, "hectares": area / 1e4, "share": area / total if total else np.nan}
        for one, area in areas.items()
    ]


def write_areas(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a table of areas as CSV."""
    columns = ["of", "name", "class", "hectares", "share"]
    table = pd.DataFrame(list(rows), columns=[*columns, *(["count"] if rows and "count" in rows[0] else [])])
    table["hectares"], table["share"] = table["hectares"].round(6), table["share"].round(6)
    table.to_csv(path, index=False)
