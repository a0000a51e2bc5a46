"""A picture of a map: classes in their colours, or boxes, with a legend that says what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import matplotlib

matplotlib.use("Agg")
import numpy as np
import rasterio
from matplotlib import pyplot as plt
from matplotlib.patches import Patch
from PIL import ImageColor

from swath.products.maps import Place
from swath.report.figure import SIDE, UNLABELLED, read_ids


def draw_map(
    rasters: Sequence[Path],
    boxes: gpd.GeoDataFrame | None,
    place: Place,
    classes: Sequence[str],
    colours: Sequence[str],
    takes: Mapping[str, str],
    title: str,
    path: Path,
) -> None:
    """Draw a map.

    Args:
        rasters: Rasters of class ids in one CRS.
        boxes: What was detected instead, in the same CRS.
        place: Where all of it lies.
        classes, colours: By class id.
        takes: Class → what stands behind it in the legend.
        title: Stands above.
        path: PNG to write.
    """
    grid = rasterio.Affine(*place.transform)
    left, top = grid @ (0, 0)
    right, bottom = grid @ (place.width, place.height)
    ratio = abs((bottom - top) / (right - left))
    width = 10.0 if ratio <= 1 else max(10.0 / ratio, 4.0)
    figure, axis = plt.subplots(figsize=(width, min(max(width * ratio, 2.0), 14.0) + 1.2), constrained_layout=True)
    table = np.array([(*UNLABELLED, 1), *((*np.array(ImageColor.getrgb(c)[:3]) / 255, 1) for c in colours[1:])])
    for raster in rasters:
        with rasterio.open(raster) as dataset:
            factor = max(1.0, max(dataset.shape) / SIDE)
            shape = tuple(max(1, round(length / factor)) for length in dataset.shape)
            (west, north), (east, south) = dataset.transform @ (0, 0), dataset.transform @ dataset.shape[::-1]
        shown = table.copy()
        shown[0, 3] = 1.0 if len(rasters) == 1 else 0.0
        axis.imshow(shown[read_ids(raster, shape)], extent=(west, east, south, north), interpolation="nearest")
    if boxes is not None and len(boxes):
        boxes.boundary.plot(ax=axis, color=[colours[index] for index in boxes["class_id"]], linewidth=0.8)
    axis.set_xlim(min(left, right), max(left, right))
    axis.set_ylim(min(top, bottom), max(top, bottom))
    axis.set_aspect("equal")
    axis.ticklabel_format(useOffset=False, style="plain")
    axis.tick_params(labelsize=7)
    legend = [
        Patch(color=colour, label=f"{name}: {takes[name]}" if name in takes else name)
        for name, colour in zip(classes[1:], colours[1:], strict=True)
    ]
    figure.legend(handles=legend, loc="outside lower center", ncols=min(len(legend), 4), frameon=False)
    axis.set_title(title)
    figure.savefig(path, dpi=110, metadata={"Software": None}, format="png")
    plt.close(figure)
