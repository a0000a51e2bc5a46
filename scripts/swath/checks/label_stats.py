"""What the preflight reads of labels and areas of interest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
from pyproj import CRS
from shapely.geometry import box

from swath.checks.pixels import sample_windows
from swath.checks.readings import Area, LabelStats, Sample
from swath.config.classes import NULL_CLASS
from swath.config.labels import Labels
from swath.config.tasks import DETECTION
from swath.errors import UserError
from swath.scenes.facts import ImageHeader, SceneImage, ScenesSpec
from swath.scenes.ground import places_in, turned
from swath.scenes.label_raster import burned
from swath.scenes.manifest import channel_order
from swath.scenes.no_data import no_data
from swath.scenes.paths import paths_of
from swath.scenes.prepare import write_labels
from swath.scenes.scene import Scene
from swath.scenes.vectors import PARQUET, Choice, place_of, read_aoi

GRID = 1024
"""Vector labels are counted on a grid of at most so many cells each way."""


def survey_labels(scene: Scene, spec: ScenesSpec, image: SceneImage, sample: Sample | None) -> LabelStats | None:
    """Read a scene's labels as the stage `scenes` does, vectors on a coarser grid if the image is large, and count.

    Args:
        scene: The scene.
        spec: The spec of the stage `scenes`.
        image: The image, as it can be opened.
        sample: What a sample of its pixels holds.

    Returns:
        What the labels are; None if there are none for this scene, and need not be.

    Raises:
        UserError: As the stage `scenes`.
    """
    rasters = spec.labels.are_rasters  # read whole: single pixels would fall through a coarser grid
    step = 1 if rasters else math.ceil(max(image.width, image.height) / GRID)
    bands = _bands(image, spec)
    exact = step == 1 or spec.task == DETECTION  # boxes are looked at one by one
    with TemporaryDirectory() as folder:
        header = replace(image, **_coarser(image, step)) if not exact else image
        facts = write_labels(scene, spec, header, bands if exact else [], Path(folder))
        polygons = Path(folder) / "labels.geojson"
        vectors, hidden = polygons.exists(), 0
        areas = _pixels_by_area(polygons, image) if step > 1 and vectors else {}
        if areas and not exact and bands and sample and sample.nodata:
            shares = _shares_hidden(polygons, image, bands)
            seen = {name: math.ceil(number * (1 - shares.get(name, 0.0))) for name, number in areas.items()}
            hidden, areas = sum(areas.values()) - sum(seen.values()), seen
        largest = _largest_box(polygons, image) if vectors and spec.task == DETECTION else 0.0
    common = scene.common_labels and not rasters
    if facts is None:
        return None
    scale = 1 if exact else step * step
    pixels = {name: areas.get(name, 0) if areas else count * scale for name, count in facts.labelled_pixels.items()}
    own = vectors and not scene.common_labels  # whether features of a common file lie in this image says nothing
    features, outside = _features(paths_of(scene.labels), spec.labels, image) if own else (0, 0)
    missing = common and not facts.counts.features
    return LabelStats(
        pixels={name: pixels[name] for name in spec.classes[1:]},
        exact=exact,
        features=features,
        outside=outside,
        invalid=facts.repaired,
        largest_box=largest,
        uncovered=facts.outside_labels,
        counts=replace(facts.counts, hidden_pixels=hidden) if hidden else facts.counts,
        place=place_of(paths_of(scene.labels), Choice(spec.labels.layer, spec.labels.where)) if missing else "",
    )


def _bands(image: SceneImage, spec: ScenesSpec) -> list[int]:
    try:
        return channel_order(image, spec.imagery.bands)
    except UserError:
        return []  # told by the check of bands


def _shares_hidden(polygons: Path, image: SceneImage, bands: Sequence[int]) -> dict[str, float]:
    """Estimate by class which share of what is labelled has no data: in a few windows of a large image."""
    labels = gpd.read_file(polygons, engine="pyogrio")
    names = list(labels["class_name"].unique())
    ids_of = burned(labels, image, [names.index(name) + 1 for name in labels["class_name"]], 0)
    labelled, hidden = (np.zeros(len(names) + 1, np.int64) for _ in range(2))
    with no_data(image.image, bands) as empty, rasterio.open(image.image) as dataset:
        for window in sample_windows(image.width, image.height, image.count, dataset.block_shapes[0]) if empty else ():
            assert empty is not None
            ids = ids_of(window)
            labelled += np.bincount(ids.ravel(), minlength=len(labelled))
            hidden += np.bincount(ids[empty(window)], minlength=len(hidden))
    return {name: float(hidden[index] / max(labelled[index], 1)) for index, name in enumerate(names, start=1)}


def _coarser(header: ImageHeader, step: int) -> dict[str, Any]:
    """Return size and transform of the same image with pixels ``step`` times as wide and high."""
    width, height = (math.ceil(side / step) for side in (header.width, header.height))
    transform = rasterio.Affine(*header.transform) @ rasterio.Affine.scale(step)
    return {"width": width, "height": height, "transform": tuple(transform)[:6]}


def _pixels_by_area(polygons: Path, header: ImageHeader) -> dict[str, int]:
    """Estimate each class's pixels by its polygons' area: small ones fall through a coarse grid."""
    labels = gpd.read_file(polygons, engine="pyogrio").to_crs(header.crs)
    a, b, _, d, e, _ = header.transform
    counts = labels.geometry.area.groupby(labels["class_name"]).sum() / abs(a * e - b * d)
    return {str(name): math.ceil(number) for name, number in counts.items() if name != NULL_CLASS}


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
        places = places_in(crs, header) if bounds.shape[1] else []
        places += turned(places) if CRS(crs).is_geographic else []
        if not places:
            continue
        inside = [
            (bounds[0] <= right) & (bounds[2] >= left) & (bounds[1] <= top) & (bounds[3] >= bottom)
            for left, bottom, right, top in places
        ]
        outside += int((~np.any(inside, axis=0)).sum())
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
