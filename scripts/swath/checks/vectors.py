"""What the preflight reads of labels and areas of interest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.features import rasterize
from shapely.geometry import box

from swath.config.classes import NULL_CLASS_ID
from swath.errors import Problem, UserError
from swath.scenes.prepare import _read_vector, read_labels

GRID = 1024
"""Labels are counted on a grid of at most so many cells each way."""


def survey_labels(path: str, spec: Mapping[str, Any], header: Mapping[str, Any], shared: bool) -> dict[str, Any]:
    """Read a scene's labels as the stage `scenes` does, and count.

    Args:
        path: File of labels.
        spec: The spec of the stage `scenes`.
        header: The image's header.
        shared: The file holds other scenes' labels, too: what lies outside this one is no wonder.

    Returns:
        features: number in the file; outside, invalid: how many of them; classes: class → features and pixels (an
        estimate for large images); exact: whether pixels are counted on the image's own grid; values: what stands in
        the class attribute.

    Raises:
        UserError: As :func:`swath.scenes.prepare.read_labels`.
    """
    labels = read_labels(path, spec, header)
    raw = _read_vector(path, "labels")
    attribute = spec["labels"]["attribute"]
    pixels, exact = _pixels(labels, header, spec["classes"])
    counts = labels["class_name"].value_counts()
    return {
        "features": len(raw),
        "outside": 0 if shared else int((~raw.intersects(box(*header["bounds"]))).sum()),
        "invalid": int((~raw.geometry.is_valid).sum()),
        "classes": {
            name: {"features": int(counts.get(name, 0)), "pixels": pixels[name]} for name in spec["classes"][1:]
        },
        "exact": exact,
        "values": sorted({str(value) for value in raw[attribute].unique()}) if attribute in raw.columns else [],
    }


def _pixels(labels: gpd.GeoDataFrame, header: Mapping[str, Any], classes: Sequence[str]) -> tuple[dict[str, int], bool]:
    """Count each class's pixels, on a coarser grid if the image is large."""
    step = math.ceil(max(header["width"], header["height"]) / GRID)
    shape = (math.ceil(header["height"] / step), math.ceil(header["width"] / step))
    raster = np.full(shape, NULL_CLASS_ID, np.uint8)
    if not labels.empty:
        projected = labels.to_crs(header["crs"])
        raster = rasterize(
            zip(projected.geometry, projected["class_id"], strict=True),
            out_shape=shape,
            fill=NULL_CLASS_ID,
            dtype=np.uint8,
            transform=rasterio.Affine(*header["transform"]) * rasterio.Affine.scale(step),
        )
    counts = np.bincount(raster.ravel(), minlength=len(classes))
    return {name: int(counts[index]) * step * step for index, name in enumerate(classes)}, step == 1


def read_area(path: str, header: Mapping[str, Any]) -> dict[str, Any]:
    """Read a scene's area of interest.

    Returns:
        sides: width and height of the bounding box of each of its parts within the image, pixels.

    Raises:
        UserError: If it cannot be read, is empty, or lies outside the image.
    """
    frame = _read_vector(path, "aoi")
    if frame.empty:
        raise UserError(Problem(path, "aoi", "no features", "at least one polygon", "leave the cell empty, or fill it"))
    inside = frame[frame.intersects(box(*header["bounds"]))]
    if inside.empty:
        found = ", ".join(f"{value:.5f}" for value in frame.total_bounds)
        expected = ", ".join(f"{value:.5f}" for value in header["bounds"])
        raise UserError(
            Problem(
                path,
                "aoi",
                f"all outside the image: bounds {found}",
                f"some within the image's bounds {expected} (EPSG:4326)",
                "check the file and its CRS",
            )
        )
    to_pixels = ~rasterio.Affine(*header["transform"])
    grid = [to_pixels.a, to_pixels.b, to_pixels.d, to_pixels.e, to_pixels.c, to_pixels.f]
    parts = inside.to_crs(header["crs"]).geometry.affine_transform(grid).explode()
    image = box(0, 0, header["width"], header["height"])
    bounds = parts.make_valid().intersection(image).bounds.to_numpy()  # minx, miny, maxx, maxy
    return {"sides": (bounds[:, 2:] - bounds[:, :2]).tolist()}
