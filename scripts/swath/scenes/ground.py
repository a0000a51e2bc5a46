"""Where images lie on the ground, also where longitudes end: at 180° one side's east is the other side's west."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from pyproj import CRS
from rasterio.warp import transform_bounds
from shapely.geometry import Polygon

from swath.scenes.facts import Bounds, ImageHeader

WGS84 = "EPSG:4326"
METRES_OF_A_DEGREE = 111_000
"""Of latitude, rounded down."""


def boxes_of(bounds: Bounds) -> list[Bounds]:
    """Give bounds in EPSG:4326 as boxes within ±180°: two, where they reach across the antimeridian."""
    west, south, east, north = bounds
    if -180 <= west <= east <= 180:
        return [bounds]
    width = east - west if east >= west else east - west + 360
    if width >= 360:
        return [(-180, south, 180, north)]
    start = (west + 180) % 360 - 180
    if start + width <= 180:
        return [(start, south, start + width, north)]
    return [(start, south, 180, north), (-180, south, start + width - 360, north)]


def centre_of(bounds: Bounds) -> tuple[float, float]:
    """Give the longitude and latitude in the middle of bounds in EPSG:4326."""
    west, south, east, north = bounds
    middle = (west + east + (360 if east < west else 0)) / 2
    return (middle + 180) % 360 - 180, (south + north) / 2


def outline(header: ImageHeader) -> Polygon:
    """Give an image's outline in its own CRS."""
    grid = rasterio.Affine(*header.transform)
    width, height = header.width, header.height
    return Polygon([grid * corner for corner in ((0, 0), (width, 0), (width, height), (0, height))])


def places_in(crs: Any, header: ImageHeader, margin: float = 0.0) -> list[Bounds]:
    """Give the bounds within which a file has what lies on an image.

    Args:
        crs: The file's CRS.
        header: The image's header.
        margin: Metres by which they are grown.

    Returns:
        Bounds in the file's CRS: two across the antimeridian; none where that CRS does not know the place.
    """
    found = []
    for box in boxes_of(_grown(header.bounds, margin)):
        try:
            bounds = transform_bounds(WGS84, CRS(crs).to_wkt(), *box)
        except Exception:  # rasterio's and pyproj's errors for places a projection does not reach
            return []
        left, bottom, right, top = bounds
        if not (all(map(math.isfinite, bounds)) and left <= right and bottom <= top):
            return []
        found.append(bounds)
    return found


def turned(places: Sequence[Bounds]) -> list[Bounds]:
    """Give places as files have them whose longitudes go on beyond ±180°."""
    return [(west + turn, south, east + turn, north) for west, south, east, north in places for turn in (-360, 360)]


def around(crs: Any, header: ImageHeader) -> list[Bounds]:
    """Give an image's bounds in another CRS as :func:`places_in` does, but in one piece where it has longitudes."""
    if not CRS(crs).is_geographic:
        return places_in(crs, header)
    boxes = boxes_of(header.bounds)
    longitude, _ = centre_of(header.bounds)
    half = sum(east - west for west, _, east, _ in boxes) / 2
    return [(longitude - half, boxes[0][1], longitude + half, boxes[0][3])]


def _grown(bounds: Bounds, metres: float) -> Bounds:
    if not metres:
        return bounds
    west, south, east, north = bounds
    up = metres / METRES_OF_A_DEGREE
    aside = up / max(math.cos(math.radians(min(max(abs(south), abs(north)) + up, 89.9))), 1e-3)
    return west - aside, max(south - up, -90), east + aside, min(north + up, 90)


def on_the_same_turn(frame: gpd.GeoDataFrame, header: ImageHeader) -> gpd.GeoDataFrame:
    """Turn polygons in degrees by whole circles to where the image is: -179.9° and 180.1° are one place.

    Args:
        frame: Polygons of one part, in the file's CRS.
        header: The image's header.
    """
    if frame.empty or not CRS(frame.crs).is_geographic:
        return frame
    longitude, _ = centre_of(header.bounds)
    bounds = frame.bounds
    middles = ((bounds["minx"] + bounds["maxx"]) / 2).to_numpy()
    turns = np.round((longitude - middles) / 360)
    if not turns.any():
        return frame
    parts = [
        shapely.transform(part, partial(_moved, by=360 * turn)) if turn else part
        for part, turn in zip(frame.geometry, turns, strict=True)
    ]
    return frame.set_geometry(gpd.GeoSeries(parts, index=frame.index, crs=frame.crs))


def _moved(coordinates: np.ndarray, by: float) -> np.ndarray:
    return np.asarray(coordinates + np.array([by, 0.0]))


def beside(frame: gpd.GeoDataFrame, header: ImageHeader) -> gpd.GeoDataFrame:
    """Turn longitudes by whole circles, so that they count as an image's do; nothing if its CRS has none.

    Args:
        frame: Geometries in EPSG:4326.
        header: The image's header.
    """
    if frame.empty or not CRS(header.crs).is_geographic:
        return frame
    middle = outline(header).centroid.x
    if np.abs(frame.total_bounds[[0, 2]] - middle).max() <= 180:
        return frame

    def turned(coordinates: np.ndarray) -> np.ndarray:
        coordinates[:, 0] += 360 * np.round((middle - coordinates[:, 0]) / 360)
        return coordinates

    return frame.set_geometry(shapely.transform(frame.geometry.to_numpy(), turned), crs=frame.crs)


def on_image(frame: gpd.GeoDataFrame, header: ImageHeader) -> np.ndarray:
    """Tell which geometries touch an image: compared in its CRS, where no line is cut by a meridian."""
    return np.asarray(frame.geometry.to_crs(header.crs).intersects(outline(header)), bool)


def local_crs(header: ImageHeader, projection: str) -> CRS:
    """Give a projection in metres around an image, wherever that is, also at a pole and at the antimeridian.

    Args:
        header: The image's header.
        projection: Of PROJ: aeqd is true in distances from the image's centre, laea in areas.
    """
    longitude, latitude = centre_of(header.bounds)
    return CRS.from_proj4(f"+proj={projection} +lat_0={latitude} +lon_0={longitude} +datum=WGS84 +units=m")
