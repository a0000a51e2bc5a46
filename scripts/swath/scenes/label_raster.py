"""Class ids on an image's grid, whatever the labels were: ``truth.tif`` of a scene."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes
from rasterio.windows import Window
from shapely.geometry import box, shape

from swath.config.classes import NULL_CLASS_ID
from swath.scenes.facts import ImageHeader
from swath.scenes.no_data import NoData

TRUTH = "truth.tif"
"""Class ids of a scene's labels."""
WINDOW = 1024  # pixels, of a side; a multiple of the file's blocks
Ids = NDArray[np.uint8]
IdsOfWindow = Callable[[Window], Ids]


def write_ids(path: Path, header: ImageHeader, ids_of: IdsOfWindow, classes: int) -> NDArray[np.int64]:
    """Write class ids window by window.

    No value is declared as nodata: 0, the null class, is an id as the others are.

    Args:
        path: GeoTIFF to write: uint8, tiled, compressed, on the image's grid.
        header: The image's header.
        ids_of: Gives the ids of a window, height × width.
        classes: Number of classes, the null class included.

    Returns:
        Pixels by class id.
    """
    counts = np.zeros(classes, np.int64)
    with rasterio.open(path, "w", **_profile(header)) as dataset:
        for window in windows(header):
            ids = ids_of(window)
            counts += np.bincount(ids.ravel(), minlength=classes)
            dataset.write(ids, 1, window=window)
    return counts


def burned(labels: gpd.GeoDataFrame, header: ImageHeader, values: Sequence[int], fill: int) -> IdsOfWindow:
    """Say how polygons are burned: a pixel has the value of the last polygon that holds its centre.

    Args:
        labels: Polygons.
        header: The image's header.
        values: By polygon.
        fill: Value outside every polygon.
    """
    geometries = labels.geometry.to_crs(header.crs)
    transform = rasterio.Affine(*header.transform)

    def ids_of(window: Window) -> Ids:
        corners = [
            transform @ (window.col_off + i * window.width, window.row_off + j * window.height)
            for i, j in product((0, 1), repeat=2)
        ]
        xs, ys = zip(*corners, strict=True)
        near = np.sort(geometries.sindex.query(box(min(xs), min(ys), max(xs), max(ys))))
        size = (window.height, window.width)
        if not near.size:
            return np.full(size, fill, np.uint8)
        burning = [(geometries.iloc[index], values[index]) for index in near]
        place = transform @ rasterio.Affine.translation(window.col_off, window.row_off)
        return np.asarray(rasterize(burning, out_shape=size, fill=fill, dtype=np.uint8, transform=place))

    return ids_of


class Blanked:
    """Class ids without those at which the image has no data: there, nothing is labelled.

    Attributes:
        hidden: How many labelled pixels were blanked so far.
    """

    def __init__(self, ids_of: IdsOfWindow, no_data: NoData | None):
        self.ids_of, self.no_data = ids_of, no_data
        self.hidden = 0

    def __call__(self, window: Window) -> Ids:
        """Give the ids of a window."""
        ids = self.ids_of(window)
        if self.no_data is not None:
            empty = self.no_data(window)
            self.hidden += int(np.count_nonzero(ids[empty] != NULL_CLASS_ID))
            ids[empty] = NULL_CLASS_ID
        return ids


def evaluated_area(label_raster: Path | None, aoi: gpd.GeoDataFrame | None, header: ImageHeader) -> gpd.GeoDataFrame:
    """Outline the pixels that count in an evaluation, for Raster Vision's evaluator.

    Raster Vision rounds corners down to whole pixels: outlines lie half a pixel further right and down than the
    pixels, and come out as they are.

    Args:
        label_raster: Class ids; where they are the null class, nothing is evaluated. None if all pixels count.
        aoi: The area of interest, EPSG:4326.
        header: The image's header.

    Returns:
        Polygons in EPSG:4326.
    """
    inside = burned(aoi, header, [1] * len(aoi), 0) if aoi is not None else None
    with tempfile.TemporaryDirectory() as temporary:
        mask = Path(temporary, "mask.tif")
        if label_raster is None:
            assert inside is not None
            write_ids(mask, header, inside, 2)
        else:
            with rasterio.open(label_raster) as dataset:
                write_ids(mask, header, _labelled(dataset, inside), 2)
        with rasterio.open(mask) as dataset:
            outlines = [shape(outline) for outline, value in shapes(rasterio.band(dataset, 1)) if value]
    a, b, _, d, e, _ = header.transform
    shifted = gpd.GeoSeries(outlines, crs=header.crs).translate((a + b) / 2, (d + e) / 2)
    # an outline that meets itself in a corner would be mended by Raster Vision, and lose a part
    mended = shifted.make_valid().explode(ignore_index=True)
    return gpd.GeoDataFrame(geometry=mended[mended.geom_type == "Polygon"]).to_crs("EPSG:4326")


def _labelled(dataset: Any, inside: IdsOfWindow | None) -> IdsOfWindow:
    def ids_of(window: Window) -> Ids:
        labelled = dataset.read(1, window=window) != NULL_CLASS_ID
        return np.asarray(labelled & (inside(window) == 1) if inside else labelled, dtype=np.uint8)

    return ids_of


def windows(header: ImageHeader) -> Iterator[Window]:
    """Cover an image with windows."""
    width, height = header.width, header.height
    for row, column in product(range(0, height, WINDOW), range(0, width, WINDOW)):
        yield Window(column, row, min(WINDOW, width - column), min(WINDOW, height - row))


def _profile(header: ImageHeader) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "width": header.width,
        "height": header.height,
        "crs": header.crs,
        "transform": rasterio.Affine(*header.transform),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "bigtiff": "if_safer",
    }
