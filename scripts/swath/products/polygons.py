"""Class maps as polygons of equal class, made block by block, and without a trace of the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.transform import Affine
from rasterio.windows import Window
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.geometry import LinearRing, Polygon

from swath.config.classes import NULL_CLASS_ID

ROWS = 512
"""Rows of a block; blocks are as wide as the map."""

ReadRows = Callable[[int, int], NDArray[np.uint8]]
"""Returns class ids from one row up to another, rows × width."""
Region = tuple[int, Polygon]
"""A class id, and where it is: corners in pixels."""
Polygons = NDArray[np.object_]
"""Many of them, with corners in pixels: shapely works on all at once."""
CACHE = 64 * 2**20
"""Bytes of the map that GDAL keeps while it is read, once."""
AT_ONCE = 20_000
"""Polygons of a part of a table, or that are worked on at once."""


def label_polygons(
    raster: Path, classes: Sequence[str], scene: str, background: int = NULL_CLASS_ID, at_once: int = AT_ONCE
) -> Iterator[gpd.GeoDataFrame]:
    """Turn a map of class ids into polygons of equal class.

    Pixels belong together when they share a side.

    Args:
        raster: The map: class ids, uint8.
        classes: Class names by id.
        scene: The scene's id.
        background: Id of the class of everything that is nothing in particular, if there is one.
        at_once: Polygons of a part.

    Yields:
        Parts of a table, the first of which may be empty: columns scene, class_id, class_name, geometry, in the map's
        CRS, in the order of their uppermost pixels; the null class and background are left out.
    """
    with rasterio.Env(GDAL_CACHEMAX=CACHE), rasterio.open(raster) as dataset:

        def read(first: int, last: int) -> NDArray[np.uint8]:
            labels: NDArray[np.uint8] = dataset.read(1, window=Window(0, first, dataset.width, last - first))
            return labels

        found = polygonize(read, dataset.height, (NULL_CLASS_ID, background))
        crs, transform = dataset.crs, dataset.transform
        part = list(islice(found, at_once))  # all of the map has been read then

    def table(part: Sequence[Region]) -> gpd.GeoDataFrame:
        in_pixels = np.array([polygon for _, polygon in part], object)
        ids = np.array([index for index, _ in part], np.int64)
        return gpd.GeoDataFrame(
            {"scene": scene, "class_id": ids, "class_name": [classes[index] for index in ids]},
            geometry=list(shapely.transform(in_pixels, lambda corners: np.column_stack(transform * corners.T))),
            crs=crs,
        )

    yield table(part)
    while part := list(islice(found, at_once)):
        yield table(part)


def polygonize(read: ReadRows, height: int, left_out: Sequence[int], rows: int = ROWS) -> Iterator[Region]:
    """Find regions of equal class, block by block.

    Args:
        read: Reads the map.
        height: Of the map, pixels.
        left_out: Class ids of which no regions are made.
        rows: Of a block.

    Yields:
        Regions whose corners are where the class changes, whatever the blocks, in the order of their uppermost pixels.
    """
    wanted = np.ones(256, bool)
    wanted[list(left_out)] = False
    ids = np.empty(0, int)
    packed: list[bytes] = []  # well-known binary takes a tenth of the memory of a geometry
    joints = [np.empty((0, 2), int)]
    above = np.empty(0, int)
    for first in range(0, height, rows):
        last = min(first + rows, height)
        labels = read(first, last)
        new_ids, pieces = _pieces(labels, wanted[labels], first)
        begun = len(packed)
        ids = np.append(ids, new_ids)
        packed += shapely.to_wkb(pieces).tolist()
        if first:
            joints.append(_joints(above, _along(first, pieces, begun, labels.shape[1]), ids))
        above = _along(last, pieces, begun, labels.shape[1])
    groups = _groups(len(packed), np.vstack(joints))
    places = np.empty((len(groups), 2))
    for start in range(0, len(groups), AT_ONCE):  # each becomes the piece that it begins
        part = groups[start : start + AT_ONCE]
        regions = _unpacked(packed, [numbers[0] for numbers in part])
        for index, numbers in enumerate(part):
            if len(numbers) > 1:
                regions[index] = _joined(_unpacked(packed, numbers), rows)
        regions = shapely.normalize(regions)
        places[start : start + AT_ONCE] = _uppermost(regions)
        for numbers, region in zip(part, shapely.to_wkb(regions), strict=True):
            packed[numbers[0]] = region
    begins = np.array([numbers[0] for numbers in groups], int)[np.lexsort(places.T[::-1])]
    for start in range(0, len(begins), AT_ONCE):
        numbers = begins[start : start + AT_ONCE]
        yield from zip(ids[numbers].tolist(), _unpacked(packed, numbers.tolist()), strict=True)


def _pieces(labels: NDArray[np.uint8], mask: NDArray[np.bool_], first: int) -> tuple[NDArray[np.int_], Polygons]:
    """Find the regions of a block that begins in some row: their class ids, and their polygons."""
    found = list(shapes(labels, mask=mask, transform=Affine.translation(0, first)))
    rings = [ring for geometry, _ in found for ring in geometry["coordinates"]]
    if not rings:
        return np.empty(0, int), np.empty(0, object)
    outlines: Any = shapely.linearrings(
        np.concatenate([np.array(ring) for ring in rings]),
        indices=np.repeat(np.arange(len(rings)), [len(ring) for ring in rings]),
    )
    of_polygon = np.repeat(np.arange(len(found)), [len(geometry["coordinates"]) for geometry, _ in found])
    polygons: Any = shapely.polygons(outlines, indices=of_polygon)
    return np.array([value for _, value in found]).astype(int), polygons


def _unpacked(packed: Sequence[bytes], numbers: Iterable[int]) -> Polygons:
    polygons: Polygons = shapely.from_wkb([packed[number] for number in numbers])
    return polygons


def _along(row: int, pieces: Polygons, first: int, width: int) -> NDArray[np.int_]:
    """Number the pieces that lie along the line above a row, column by column; -1 where there is none.

    Args:
        row: Of the map.
        pieces: Those of a block that begins or ends there.
        first: The number of the first of them.
        width: Of the map.
    """
    numbers = np.full(width, -1)
    bounds = shapely.bounds(pieces).reshape(-1, 4)
    for index in np.flatnonzero((bounds[:, 1] == row) | (bounds[:, 3] == row)).tolist():
        columns, lines = shapely.get_coordinates(pieces[index].exterior).astype(int).T
        for side in np.flatnonzero((lines[:-1] == row) & (lines[1:] == row)):
            numbers[slice(*sorted(columns[side : side + 2]))] = first + index
    return numbers


def _joints(above: NDArray[np.int_], below: NDArray[np.int_], ids: NDArray[np.int_]) -> NDArray[np.int_]:
    """List pairs of pieces of one class that share a part of the line between two blocks."""
    pairs = np.unique(np.column_stack([above, below])[(above >= 0) & (below >= 0)], axis=0)
    of_one_class: NDArray[np.bool_] = ids[pairs[:, 0]] == ids[pairs[:, 1]]
    joints: NDArray[np.int_] = pairs[of_one_class]
    return joints


def _groups(count: int, pairs: NDArray[np.int_]) -> list[NDArray[np.int_]]:
    """Group numbers below ``count`` that are joined, directly or through others."""
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if count else []


def _joined(pieces: Polygons, rows: int) -> Polygon:
    """Make one region of pieces that share sides, with no corner where a side goes straight on.

    Args:
        pieces: Of one class; they meet where blocks do.
        rows: Of a block.
    """
    rings = _outlines([piece.exterior for piece in pieces], rows)
    (outer,) = (ring for ring in rings if ring.is_ccw)
    enclosed = [ring for ring in rings if ring is not outer]  # by several pieces together
    return Polygon(outer, [*enclosed, *(hole for piece in pieces for hole in piece.interiors)])


def _outlines(exteriors: Sequence[LinearRing], rows: int) -> list[LinearRing]:
    """Trace the outlines of pieces put together: a side that two of them share is none.

    Holes of a piece do not reach the edge of its block. In a corner where two pixels of the region meet diagonally,
    an outline turns right, around what is not in the region: it touches another one there, and never itself.

    Args:
        exteriors: Outlines of the pieces, corners in pixels.
        rows: Of a block.

    Returns:
        Outlines with the region on their left: the outer one counterclockwise, those of holes clockwise.
    """
    sides = [_sides(shapely.get_coordinates(ring if ring.is_ccw else ring.reverse()), rows) for ring in exteriors]
    starts, ends = np.concatenate([start for start, _ in sides]), np.concatenate([end for _, end in sides])
    width = int(starts[:, 0].max()) + 1
    start_keys, end_keys = (points[:, 1] * width + points[:, 0] for points in (starts, ends))
    steps = ends - starts
    there, back = ((steps == (sign, 0)).all(axis=1) for sign in (1, -1))
    kept = ~(there & np.isin(start_keys, end_keys[back])) & ~(back & np.isin(end_keys, start_keys[there]))
    starts, ends = starts[kept], ends[kept]
    following = _following(starts, ends, start_keys[kept], end_keys[kept]).tolist()
    rings, left = [], set(range(len(following)))
    while left:
        side = first = left.pop()
        ring = [first]
        while (side := following[side]) != first:
            left.remove(side)
            ring.append(side)
        rings.append(LinearRing(_corners(starts[ring])))
    return rings


def _sides(points: NDArray[np.float64], rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut a ring into its sides, those between two blocks into sides of pixels; return where they start and end."""
    corners = points.astype(np.int64)
    starts, steps = corners[:-1], np.diff(corners, axis=0)
    is_between = (steps[:, 1] == 0) & (starts[:, 1] % rows == 0)
    parts = np.where(is_between, np.abs(steps[:, 0]), 1)
    along = np.repeat(np.where(is_between[:, None], np.sign(steps), steps), parts, axis=0)
    number = np.arange(len(along)) - np.repeat(np.cumsum(parts) - parts, parts)
    begun = np.repeat(starts, parts, axis=0) + along * number[:, None]
    return begun, begun + along


def _following(
    starts: NDArray[np.int64], ends: NDArray[np.int64], start_keys: NDArray[np.int64], end_keys: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number for every side the one that follows it; where there are two, the one to the right.

    Args:
        starts, ends: Of the sides, N × 2.
        start_keys, end_keys: A number for each of these points.
    """
    order = np.argsort(start_keys, kind="stable")
    first = np.searchsorted(start_keys[order], end_keys)
    chosen, other = order[first], order[np.minimum(first + 1, len(order) - 1)]
    come, go = np.sign(ends - starts), np.sign(ends[other] - starts[other])
    is_right = (go[:, 0] == come[:, 1]) & (go[:, 1] == -come[:, 0])
    return np.where((start_keys[other] == end_keys) & is_right, other, chosen)


def _corners(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out points of a ring, each given once, in which it goes straight on."""
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    goes_straight_on: NDArray[np.bool_] = ((before == points) & (points == after)).any(axis=1)
    return points[~goes_straight_on]


def _uppermost(polygons: Polygons) -> NDArray[np.float64]:
    """Return row and column of the upper left corner of each polygon's uppermost pixel, of several the leftmost."""
    points, of_polygon = shapely.get_coordinates(shapely.get_exterior_ring(polygons), return_index=True)
    order = np.lexsort((points[:, 0], points[:, 1], of_polygon))
    _, first = np.unique(of_polygon, return_index=True)  # in order, too, as polygons stay where they are
    corners: NDArray[np.float64] = points[order][first][:, ::-1]
    return corners
