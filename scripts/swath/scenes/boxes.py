"""Object detection: one box around every feature, with exact edges in pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from swath.scenes.facts import ImageHeader
from swath.scenes.ground import WGS84, beside
from swath.scenes.no_data import WINDOW, NoData

EQUAL = 3
"""Decimal places of pixels in which equal boxes agree."""
SMALLEST = 1e-6
"""Share of a box that has to lie on the image, so that it is there at all."""


@dataclass(frozen=True)
class FeatureBoxes:
    """Boxes around features.

    Attributes:
        frame: A rectangle of the image's grid for every box, in EPSG:4326, with the features' columns; the largest
            first.
        duplicates: How many equal another one, and were left out.
        empty: How many lie wholly where the image has no data, and were left out.
        shares_inside: Of those that reach over the image's edge, the shares that lie inside.
    """

    frame: gpd.GeoDataFrame
    duplicates: int
    empty: int
    shares_inside: tuple[float, ...]


def boxes_of_features(
    labels: gpd.GeoDataFrame, features: NDArray[Any], header: ImageHeader, no_data: NoData | None
) -> FeatureBoxes:
    """Put a box around every feature.

    Args:
        labels: Polygons in EPSG:4326; a feature of several parts has several.
        features: Number of each polygon's feature.
        header: The image's header.
        no_data: Says where the image has no data, if anywhere.
    """
    edges = _edges(labels, header)
    numbers, first, place = np.unique(features, return_index=True, return_inverse=True)
    whole = np.empty((len(numbers), 4))
    for column, take in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
        whole[:, column] = np.inf if take is np.minimum else -np.inf
        take.at(whole[:, column], place, edges[:, column])
    frame = labels.iloc[first].reset_index(drop=True)
    shares = _shares_inside(whole, header)
    there = shares > SMALLEST
    keys = np.column_stack([whole.round(EQUAL), frame["class_id"].to_numpy(float)])
    unique = np.zeros(len(whole), bool)
    unique[np.unique(keys, axis=0, return_index=True)[1]] = True
    full = have_data(whole, header, no_data) if no_data is not None else np.ones(len(whole), bool)
    kept = there & unique & full
    kept_edges = whole[kept]
    sizes = np.prod(kept_edges[:, 2:] - kept_edges[:, :2], axis=1)
    order = np.argsort(-sizes, kind="stable")
    rectangles = shapely.transform(shapely.box(*kept_edges[order].T), _to_map(header))
    found = frame[kept].iloc[order].reset_index(drop=True)
    placed = gpd.GeoDataFrame(found.drop(columns="geometry"), geometry=rectangles, crs=header.crs).to_crs(WGS84)
    return FeatureBoxes(
        beside(placed, header),
        duplicates=int((there & ~unique).sum()),
        empty=int((there & unique & ~full).sum()),
        shares_inside=tuple(np.sort(shares[kept & (shares < 1 - SMALLEST)]).round(6).tolist()),
    )


def _edges(labels: gpd.GeoDataFrame, header: ImageHeader) -> NDArray[np.float64]:
    """Give polygons' left, top, right and bottom edges in pixels."""
    to_pixels = ~rasterio.Affine(*header.transform)
    grid = [to_pixels.a, to_pixels.b, to_pixels.d, to_pixels.e, to_pixels.c, to_pixels.f]
    return np.asarray(labels.geometry.to_crs(header.crs).affine_transform(grid).bounds, float)


def _to_map(header: ImageHeader) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    grid = rasterio.Affine(*header.transform)

    def placed(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(grid * (coordinates[:, 0], coordinates[:, 1]))

    return placed


def _shares_inside(edges: NDArray[np.float64], header: ImageHeader) -> NDArray[np.float64]:
    limits = np.array([header.width, header.height] * 2, float)
    inside = np.clip(edges, 0, limits)
    areas, parts = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (edges, inside))
    return np.asarray(parts / np.maximum(areas, 1e-12))


def have_data(edges: NDArray[np.float64], header: ImageHeader, no_data: NoData) -> NDArray[np.bool_]:
    """Tell which boxes touch a pixel that has data.

    Args:
        edges: Left, top, right and bottom edges of each box, in pixels.
        header: The image's header.
        no_data: Says where there is none.
    """
    found = np.zeros(len(edges), bool)
    rounding = 10.0**-EQUAL
    left, top = (np.floor(edges[:, index] + rounding).astype(int) for index in (0, 1))
    right, bottom = (np.ceil(edges[:, index] - rounding).astype(int) for index in (2, 3))
    width, height = header.width, header.height
    for row, column in product(range(0, height, WINDOW), range(0, width, WINDOW)):
        window = Window(column, row, min(WINDOW, width - column), min(WINDOW, height - row))
        near = ~found & (left < column + window.width) & (right > column)
        near &= (top < row + window.height) & (bottom > row)
        if not near.any():
            continue
        sums = np.zeros((window.height + 1, window.width + 1), np.int64)
        sums[1:, 1:] = (~no_data(window)).cumsum(axis=0).cumsum(axis=1)
        rows = [np.clip(edge[near] - row, 0, window.height) for edge in (top, bottom)]
        columns = [np.clip(edge[near] - column, 0, window.width) for edge in (left, right)]
        within = sums[rows[1], columns[1]] - sums[rows[0], columns[1]] - sums[rows[1], columns[0]]
        found[near] = within + sums[rows[0], columns[0]] > 0
    return found
