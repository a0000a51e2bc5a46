"""The stage `scenes`: read images' headers, harmonise the labels, refuse what cannot be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd

from swath.config.tasks import DETECTION, SEGMENTATION
from swath.errors import Problem, UserError
from swath.files import publish_directory, sha256, write_json
from swath.scenes.images import read_image
from swath.scenes.label_raster import burned, evaluated_area, unlabelled_id, write_ids
from swath.scenes.paths import paths_of
from swath.scenes.rasters import write_label_raster
from swath.scenes.scene import folder_of_maps
from swath.scenes.vectors import read_aoi, read_labels


def prepare_scenes(rows: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], folder: Path, manifest: Path) -> None:
    """Read some scenes' headers and harmonise their labels.

    For every scene, ``<folder>/<scene>/`` gets ``labels.tif`` (class ids on the image's grid, uint8),
    ``labels.geojson`` (of vector labels: polygons in EPSG:4326 with `class_id` and `class_name`, the largest first so
    that small ones win overlaps), ``aoi.geojson`` (the area of interest, if there is one), ``labelled.geojson`` (where
    Raster Vision's evaluator looks, if not everywhere) and ``image.vrt`` (if the image is not one plain file).

    Args:
        rows: Scenes: id, split, image, labels, aoi, common_labels.
        spec: The stage's spec: task, class names by id, imagery and label settings.
        folder: Where the scenes' folders are published, all at once.
        manifest: JSON to write: scene id → facts (paths, width and height in pixels, bands, dtype, CRS, nodata,
            labelled pixels by class, the folder of its maps). `labels`, `label_raster` and `labelled_pixels` are None
            where a scene has no labels, `labels` where they are rasters.

    Raises:
        UserError: For images and labels that cannot be used, all of them at once.
    """
    facts, problems = {}, []
    with publish_directory(folder) as temporary:
        for row in rows:
            try:
                scene_folder = temporary / row["id"]
                scene_folder.mkdir()
                facts[row["id"]] = _prepare_scene(row, spec, scene_folder, folder / row["id"])
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(problems)
    write_json(manifest, {"scenes": facts})


def _prepare_scene(row: Mapping[str, Any], spec: Mapping[str, Any], folder: Path, published: Path) -> dict[str, Any]:
    header = read_image(row["image"], spec["imagery"], folder, published)
    labels = write_labels(row, spec, header, folder)
    aoi = read_aoi(paths_of(row["aoi"]), header) if row["aoi"] else None
    if aoi is not None:
        _write_geojson(aoi, folder / "aoi.geojson")
    ignored = spec["task"] == SEGMENTATION and spec["labels"]["unlabelled"] == "ignore"
    by_labels = folder / "labels.tif" if ignored and (folder / "labels.geojson").exists() else None
    if spec["task"] == SEGMENTATION and labels and (by_labels or aoi is not None):
        _write_geojson(evaluated_area(by_labels, aoi, header), folder / "labelled.geojson")
    evaluated = "labelled.geojson" if (folder / "labelled.geojson").exists() else "aoi.geojson"
    places = {"labels": "labels.geojson", "label_raster": "labels.tif", "aoi": "aoi.geojson", "evaluated": evaluated}
    files = {name: str(published / file) if (folder / file).exists() else None for name, file in places.items()}
    checked = ("labels", "label_raster", "aoi")
    checksums = {name: sha256(folder / places[name]) for name in checked if files[name]}
    nothing = {"labelled_pixels": None, "repaired": 0, "outside_labels": 0.0}
    maps = folder_of_maps(row["id"], row["image"])
    return {**row, **header, **nothing, **(labels or {}), **files, "maps": maps, "sha256": checksums}


def write_labels(
    row: Mapping[str, Any], spec: Mapping[str, Any], header: Mapping[str, Any], folder: Path
) -> dict[str, Any] | None:
    """Write a scene's labels, as ``labels.tif`` and ``labels.geojson``; the preflight does so on a coarser grid.

    Returns:
        Labelled pixels by class, and how many geometries were repaired or which share of the image no raster covers;
        None for a scene without labels.

    Raises:
        UserError: For labels that cannot be used.
    """
    paths = paths_of(row["labels"])
    if not paths:
        return None
    options, classes = spec["labels"], spec["classes"]
    if are_rasters(options):
        if spec["task"] != SEGMENTATION:
            raise UserError(_not_for_rasters(row["labels"], spec["task"]))
        return write_label_raster(paths, spec, header, folder / "labels.tif")
    labels = read_labels(paths, spec, header, elsewhere=_may_be_elsewhere(row, spec))
    if labels.empty and options["unlabelled"] == "ignore" and spec["task"] != DETECTION:
        return None
    _write_geojson(labels, folder / "labels.geojson")
    fill = unlabelled_id(classes, options)
    counts = write_ids(
        folder / "labels.tif", header, burned(labels, header, list(labels["class_id"]), fill), len(classes)
    )
    pixels = {name: int(counts[index]) for index, name in enumerate(classes)}
    return {"labelled_pixels": pixels, "repaired": labels.attrs["repaired"]}


def are_rasters(labels: Mapping[str, Any]) -> bool:
    """Tell whether labels are rasters: values or colours mean classes, and no attribute of features does."""
    return labels["attribute"] is None and bool(labels["mapping"] or labels["colours"])


def _may_be_elsewhere(row: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    """Tell whether labels may all lie outside the image: one file for many scenes need not reach all of them."""
    means_something = spec["task"] == DETECTION or spec["labels"]["unlabelled"] != "ignore"
    return bool(row["common_labels"]) and (means_something or row["split"] == "test")


def _write_geojson(frame: gpd.GeoDataFrame, path: Path) -> None:
    frame.to_file(path, driver="GeoJSON", engine="pyogrio")


def _not_for_rasters(labels: str, task: str) -> Problem:
    return Problem(
        "vectors_needed",
        labels,
        "labels",
        "label rasters (`mapping` or `colours` without `attribute`)",
        f"vector labels for {task}",
        "give polygons, and `labels.attribute` or `labels.default_class`",
    )
