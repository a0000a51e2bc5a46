"""Areas on the ground: of pixels, classes, polygons. A map's own units are not those of the ground."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj, Transformer
from rasterio.features import rasterize
from rasterio.windows import Window

from swath.products.maps import FULL_SHARE, NO_SHARE, Place

GEOD = Geod(ellps="WGS84")
ROWS = 512
LATTICE = 64
"""Pixels between two places at which the scale of a projection is computed."""


class PixelAreas:
    """The area of each pixel of a raster on the ground, in m².

    In a projection, a pixel's area is that of its square divided by the projection's areal scale there; in degrees, it
    is that of its trapezium on the ellipsoid.

    Args:
        place: Where the raster lies.
    """

    def __init__(self, place: Place):
        self._place = place
        self._crs = CRS.from_user_input(rasterio.CRS.from_user_input(place.crs).to_wkt())
        a, b, _, d, e, _ = place.transform
        self._flat = abs(a * e - b * d)
        if not self._crs.is_geographic:
            self._flat *= float(self._crs.axis_info[0].unit_conversion_factor) ** 2
            self._projection = Proj(self._crs)
            self._geographic = Transformer.from_crs(self._crs, self._crs.geodetic_crs, always_xy=True)

    def of_rows(self, first: int, last: int) -> NDArray[np.float64]:
        """Return the areas of the pixels of some rows, rows × width."""
        if self._crs.is_geographic:
            return np.broadcast_to(self._in_degrees(first, last)[:, None], (last - first, self._place.width))
        rows = np.unique([*np.arange(first, last, LATTICE), max(last - 1, first)])
        columns = np.unique([*np.arange(0, self._place.width, LATTICE), self._place.width - 1])
        scale = self._scale(rows, columns)
        across = np.stack([np.interp(np.arange(self._place.width), columns, line) for line in scale])
        where = np.arange(first, last)
        index = np.clip(np.searchsorted(rows, where, side="right") - 1, 0, max(len(rows) - 2, 0))
        if len(rows) == 1:
            return self._flat / np.repeat(across, last - first, axis=0)
        share = ((where - rows[index]) / (rows[index + 1] - rows[index]))[:, None]
        areas: NDArray[np.float64] = self._flat / (across[index] * (1 - share) + across[index + 1] * share)
        return areas

    def _scale(self, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float64]:
        """Return the projection's areal scale at the middles of pixels; 1 where it has none."""
        grid = rasterio.Affine(*self._place.transform)
        x, y = grid * np.meshgrid(columns + 0.5, rows + 0.5)
        longitude, latitude = self._geographic.transform(x, y)
        factors = self._projection.get_factors(longitude, latitude, errcheck=False)
        scale = np.asarray(factors.areal_scale, float)
        return np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)

    def _in_degrees(self, first: int, last: int) -> NDArray[np.float64]:
        _, _, west, _, _, _ = self._place.transform
        grid = rasterio.Affine(*self._place.transform)
        width = abs(grid.a)
        edges = [(grid * (0, row))[1] for row in range(first, last + 1)]
        areas = []
        for north, south in pairwise(edges):
            area, _ = GEOD.polygon_area_perimeter(
                [west, west + width, west + width, west], np.clip([north, north, south, south], -90, 90)
            )
            areas.append(abs(area))
        return np.array(areas)


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


def blocks(raster: MapRasters) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]]:
    """Go through a map from top to bottom: first row, class ids, scores (0..1, or not-a-number), areas in m²."""
    pixel_areas = PixelAreas(raster.place)
    with rasterio.open(raster.labels) as labels, rasterio.open(raster.scores) as scores:
        for first in range(0, raster.place.height, ROWS):
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
    for first, labels, known, of_pixels in blocks(raster):
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
            mask = rasterize([polygon], out_shape=labels.shape, transform=transform, dtype="uint8") > 0
            totals[name] += np.bincount(labels[mask], of_pixels[mask], len(classes))
    return {name: dict(zip(classes[1:], values[1:], strict=True)) for name, values in totals.items()}


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
