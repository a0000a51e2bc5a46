"""The polygons of a map: those that are wanted, measured, and with fewer corners if that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray

from swath.config.apply import Polygons
from swath.config.classes import NULL_CLASS_ID
from swath.products.areas import GEOD, MapRasters, measure_polygons
from swath.products.maps import Place
from swath.products.polygons import label_polygons

DEGREE = 111_320.0
"""Metres of a degree along a meridian."""


def map_polygons(
    raster: MapRasters, classes: Sequence[str], background: int, wanted: Polygons, scene: str
) -> Iterator[gpd.GeoDataFrame]:
    """Make polygons of a map.

    Args:
        raster: The map.
        classes: Class names by id.
        background: Id of the class that is left out unless it is asked for.
        wanted: Which polygons, and how.
        scene: What they are of.

    Yields:
        Parts of a table: columns scene, class_id, class_name, area (m² on the ground), score, geometry. Polygons that
        are simplified come all at once, since they share their borders.
    """
    asked = {classes.index(name) for name in wanted.classes or ()}
    parts = label_polygons(raster.labels, classes, scene, NULL_CLASS_ID if background in asked else background)
    measured: Iterator[gpd.GeoDataFrame] = (_wanted(part, raster, asked, wanted.min_area) for part in parts)
    if wanted.simplify:
        whole = gpd.GeoDataFrame(pd.concat(list(measured), ignore_index=True))
        measured = iter([simplified(whole, wanted.simplify, raster.place) if len(whole) else whole])
    for part in measured:
        yield part[["scene", "class_id", "class_name", "area", "score", "geometry"]]


def _wanted(found: gpd.GeoDataFrame, raster: MapRasters, asked: set[int], min_area: float) -> gpd.GeoDataFrame:
    """Choose polygons, and measure them.

    Args:
        found: Polygons of a map.
        raster: The map.
        asked: Class ids that are wanted; all when empty.
        min_area: Smaller ones are left out, m².
    """
    if asked:
        found = found[found["class_id"].isin(asked)].reset_index(drop=True)
    found = measure_polygons(found, raster)
    return found[found["area"] >= min_area].reset_index(drop=True) if min_area else found


def simplified(polygons: gpd.GeoDataFrame, metres: float, place: Place) -> gpd.GeoDataFrame:
    """Leave out corners of polygons that cover the ground together: what they share stays shared.

    Args:
        polygons: None of which overlaps another, with the column area.
        metres: Corners are left out that cut off less than about this side's square.
        place: Where the map lies.

    Returns:
        Valid polygons, in the same order; what falls into parts is several. Their areas are their own.
    """
    grid = rasterio.Affine(*place.transform)
    in_pixels = shapely.transform(polygons.geometry.to_numpy(), lambda points: np.column_stack(~grid * points.T))
    noded = shapely.transform(with_all_corners(in_pixels), lambda points: np.column_stack(grid * points.T))
    geometries = shapely.coverage_simplify(noded, metres / metres_per_unit(place))
    changed = polygons.copy()
    changed["geometry"] = shapely.make_valid(geometries)
    changed = changed.explode(ignore_index=True)
    changed = changed[changed.geom_type == "Polygon"].reset_index(drop=True)
    changed["area"] = ground_areas(changed)
    return changed


def with_all_corners(polygons: NDArray[Any]) -> NDArray[Any]:
    """Give polygons a corner wherever one of another polygon lies on their sides: only then they share borders.

    Args:
        polygons: Of pixels: all corners are whole numbers, all sides horizontal or vertical.
    """
    points = np.unique(np.round(shapely.get_coordinates(polygons)).astype(np.int64), axis=0)
    by_row = points[np.lexsort((points[:, 0], points[:, 1]))]
    by_column = points[np.lexsort((points[:, 1], points[:, 0]))]
    factor = int(points.max(initial=0)) + 2
    rows, columns = by_row[:, 1] * factor + by_row[:, 0], by_column[:, 0] * factor + by_column[:, 1]

    def noded(ring: Any) -> NDArray[np.int64]:
        corners = np.round(shapely.get_coordinates(ring)).astype(np.int64)
        parts = []
        for (x, y), (to_x, to_y) in pairwise(corners.tolist()):
            keys, table, start, stop = (
                (rows, by_row, y * factor + x, y * factor + to_x)
                if y == to_y
                else (columns, by_column, x * factor + y, x * factor + to_y)
            )
            first, last = np.searchsorted(keys, sorted((start, stop)))
            between = table[first : last + 1]
            parts.append(between[:-1] if start < stop else between[:0:-1])
        return np.concatenate([*parts, corners[:1]])

    return np.array(
        [shapely.Polygon(noded(one.exterior), [noded(hole) for hole in one.interiors]) for one in polygons], object
    )


def ground_areas(polygons: gpd.GeoDataFrame) -> NDArray[np.float64]:
    """Return the areas of polygons on the ellipsoid, in m²."""
    in_degrees = polygons.geometry.to_crs("EPSG:4326")
    return np.array([abs(GEOD.geometry_area_perimeter(one)[0]) for one in in_degrees])


def metres_per_unit(place: Place) -> float:
    """Return the length of a unit of a map's CRS, in metres."""
    crs = rasterio.CRS.from_user_input(place.crs)
    return DEGREE if crs.is_geographic else float(crs.linear_units_factor[1])
