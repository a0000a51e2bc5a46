"""What the preflight reads of labels and areas of interest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import pyogrio
import rasterio
from shapely.geometry import box

from swath.checks.readings import Area, LabelStats
from swath.config.labels import Labels
from swath.config.tasks import DETECTION
from swath.scenes.facts import ImageHeader, ScenesSpec
from swath.scenes.paths import paths_of
from swath.scenes.prepare import write_labels
from swath.scenes.scene import Scene
from swath.scenes.vectors import PARQUET, bounds_in, read_aoi

GRID = 1024
"""Vector labels are counted on a grid of at most so many cells each way."""


def survey_labels(scene: Scene, spec: ScenesSpec, header: ImageHeader) -> LabelStats | None:
    """Read a scene's labels as the stage `scenes` does, vectors on a coarser grid if the image is large, and count.

    Args:
        scene: The scene.
        spec: The spec of the stage `scenes`.
        header: The image's header.

    Returns:
        What the labels are; None if there are none for this scene, and need not be.

    Raises:
        UserError: As the stage `scenes`.
    """
    rasters = spec.labels.are_rasters  # read whole: single pixels would fall through a coarser grid
    step = 1 if rasters else math.ceil(max(header.width, header.height) / GRID)
    with TemporaryDirectory() as folder:
        facts = write_labels(scene, spec, _coarser(header, step), Path(folder))
        polygons = Path(folder) / "labels.geojson"
        areas = _pixels_by_area(polygons, header) if step > 1 and polygons.exists() else {}
        vectors = polygons.exists()
        largest = _largest_box(polygons, header) if vectors and spec.task == DETECTION else 0.0
    if facts is None:
        return None
    pixels = {
        name: areas.get(name, 0) if areas else number * step * step for name, number in facts.labelled_pixels.items()
    }
    own = vectors and not scene.common_labels  # whether features of a common file lie in this image says nothing
    features, outside = _features(paths_of(scene.labels), spec.labels, header) if own else (0, 0)
    return LabelStats(
        pixels={name: pixels[name] for name in spec.classes[1:]},
        exact=step == 1,
        features=features,
        outside=outside,
        invalid=facts.repaired,
        largest_box=largest,
        uncovered=facts.outside_labels,
    )


def _coarser(header: ImageHeader, step: int) -> ImageHeader:
    """Return the header of the same image with pixels ``step`` times as wide and high."""
    width, height = (math.ceil(side / step) for side in (header.width, header.height))
    transform = rasterio.Affine(*header.transform) @ rasterio.Affine.scale(step)
    return replace(header, width=width, height=height, transform=tuple(transform)[:6])


def _pixels_by_area(polygons: Path, header: ImageHeader) -> dict[str, int]:
    """Estimate each class's pixels by its polygons' area: small ones fall through a coarse grid."""
    labels = gpd.read_file(polygons, engine="pyogrio").to_crs(header.crs)
    a, b, _, d, e, _ = header.transform
    counts = labels.geometry.area.groupby(labels["class_name"]).sum() / abs(a * e - b * d)
    return {str(name): math.ceil(number) for name, number in counts.items()}


def _largest_box(polygons: Path, header: ImageHeader) -> float:
    """Measure the longest side of all boxes, in pixels."""
    to_pixels = ~rasterio.Affine(*header.transform)
    grid = [to_pixels.a, to_pixels.b, to_pixels.d, to_pixels.e, to_pixels.c, to_pixels.f]
    labels = gpd.read_file(polygons, engine="pyogrio").to_crs(header.crs)
    bounds = labels.geometry.affine_transform(grid).bounds.to_numpy()  # minx, miny, maxx, maxy
    return float((bounds[:, 2:] - bounds[:, :2]).max(initial=0.0))


def _features(paths: Sequence[str], labels: Labels, header: ImageHeader) -> tuple[int, int]:
    """Count features, and those whose bounding boxes do not reach the image's."""
    total = outside = 0
    for path in paths:
        if Path(path).suffix.lower() in PARQUET:
            frame = gpd.read_parquet(path)
            bounds, crs = frame.bounds.to_numpy().T, frame.crs
        else:
            crs = pyogrio.read_info(path, layer=labels.layer)["crs"]
            bounds = pyogrio.read_bounds(path, layer=labels.layer, where=labels.where)[1]
        total += bounds.shape[1]
        place = bounds_in(crs, header) if bounds.shape[1] else None
        if place is None:
            continue
        left, bottom, right, top = place
        inside = (bounds[0] <= right) & (bounds[2] >= left) & (bounds[1] <= top) & (bounds[3] >= bottom)
        outside += int((~inside).sum())
    return total, outside


def read_area(entry: str, header: ImageHeader) -> Area:
    """Read a scene's area of interest.

    Raises:
        UserError: If it cannot be read, is empty, or lies outside the image.
    """
    to_pixels = ~rasterio.Affine(*header.transform)
    grid = [to_pixels.a, to_pixels.b, to_pixels.d, to_pixels.e, to_pixels.c, to_pixels.f]
    parts = read_aoi(paths_of(entry), header).to_crs(header.crs).geometry.affine_transform(grid).explode()
    image = box(0, 0, header.width, header.height)
    bounds = parts.make_valid().intersection(image).bounds.to_numpy()  # minx, miny, maxx, maxy
    return Area(tuple((width, height) for width, height in (bounds[:, 2:] - bounds[:, :2]).tolist()))
