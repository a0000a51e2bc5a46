"""Areas of interest of new images: where on an image there is anything to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.windows import Window
from shapely.geometry import box

from swath.errors import UserError
from swath.scenes.facts import ImageHeader
from swath.scenes.no_data import NoData
from swath.scenes.vectors import read_aoi

OUTSIDE = "aoi_outside"
"""The code of an area that does not touch an image."""


def area_on_image(paths: Sequence[str], header: ImageHeader) -> gpd.GeoDataFrame | None:
    """Read the polygons of an area of interest that touch an image.

    Returns:
        Polygons in the image's CRS; None where none touches it.

    Raises:
        UserError: For files that cannot be read.
    """
    try:
        return read_aoi(paths, header).to_crs(header.crs)
    except UserError as error:
        if {problem.code for problem in error.problems} == {OUTSIDE}:
            return None
        raise


def outside_of(area: gpd.GeoDataFrame | None, header: ImageHeader) -> NoData:
    """Say of an image's pixels whether their middle lies outside an area.

    Args:
        area: Polygons in the image's CRS; None for an area that lies elsewhere.
        header: The image's.
    """
    grid = rasterio.Affine(*header.transform)

    def outside(window: Window) -> NDArray[np.bool_]:
        shape = (int(window.height), int(window.width))
        if area is None:
            return np.ones(shape, bool)
        place = grid @ rasterio.Affine.translation(window.col_off, window.row_off)
        corners = [place @ corner for corner in ((0, 0), (shape[1], 0), (0, shape[0]), (shape[1], shape[0]))]
        xs, ys = zip(*corners, strict=True)
        near = area.geometry.iloc[area.sindex.query(box(min(xs), min(ys), max(xs), max(ys)))]
        if near.empty:
            return np.ones(shape, bool)
        mask: NDArray[np.bool_] = geometry_mask(near, shape, place)
        return mask

    return outside


def named_areas(paths: Sequence[str], header: ImageHeader) -> dict[str, Any]:
    """Return the polygons of an area of interest that touch a map by name, a feature's parts together.

    The name is the first column of text; where there is none, polygons are numbered. Features of one name are one.

    Args:
        paths: Files of the area.
        header: Where the map lies.

    Returns:
        Name → geometry in the map's CRS.
    """
    found: dict[str, Any] = {}
    for path in paths:
        try:
            frame = read_aoi([path], header, with_columns=True).to_crs(header.crs)
        except UserError as error:
            if {problem.code for problem in error.problems} == {OUTSIDE}:
                continue
            raise
        texts = [name for name in frame.columns if name != "geometry" and _is_text(frame[name])]
        names = frame[texts[0]] if texts else (frame.index + 1 + len(found)).astype(str)
        for name, parts in frame.geometry.groupby(np.asarray(names, object)):
            found[str(name)] = shapely.union_all([*parts, *([found[str(name)]] if str(name) in found else [])])
    return found


def _is_text(column: Any) -> bool:
    return len(column) > 0 and all(isinstance(value, str) for value in column)
