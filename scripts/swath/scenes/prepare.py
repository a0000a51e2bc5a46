"""The stage `scenes`: read images' headers, harmonise the labels, refuse what cannot be right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd

from swath.config.records import to_json
from swath.config.tasks import DETECTION, SEGMENTATION
from swath.errors import Problem, UserError
from swath.files import publish_directory, sha256, write_json
from swath.scenes.facts import ImageHeader, LabelFacts, SceneFacts, ScenesSpec
from swath.scenes.images import read_image
from swath.scenes.label_raster import TRUTH, burned, evaluated_area, write_ids
from swath.scenes.paths import paths_of
from swath.scenes.rasters import write_label_raster
from swath.scenes.scene import Scene, folder_of_maps
from swath.scenes.vectors import read_aoi, read_labels


def prepare_scenes(scenes: Sequence[Scene], spec: ScenesSpec, folder: Path, manifest: Path) -> None:
    """Read some scenes' headers and harmonise their labels.

    For every scene, ``<folder>/<scene>/`` gets ``truth.tif`` (class ids on the image's grid, uint8),
    ``labels.geojson`` (of vector labels: polygons in EPSG:4326 with `class_id` and `class_name`, the largest first so
    that small ones win overlaps), ``aoi.geojson`` (the area of interest, if there is one), ``labelled.geojson`` (where
    Raster Vision's evaluator looks, if not everywhere) and ``image.vrt`` (if the image is not one plain file).

    Args:
        scenes: The scenes.
        spec: The stage's spec.
        folder: Where the scenes' folders are published, all at once.
        manifest: JSON to write: scene id → facts.

    Raises:
        UserError: For images and labels that cannot be used, all of them at once.
    """
    facts, problems = {}, []
    with publish_directory(folder) as temporary:
        for scene in scenes:
            try:
                scene_folder = temporary / scene.id
                scene_folder.mkdir()
                facts[scene.id] = to_json(_prepare_scene(scene, spec, scene_folder, folder / scene.id))
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(problems)
    write_json(manifest, {"scenes": facts})


def _prepare_scene(scene: Scene, spec: ScenesSpec, folder: Path, published: Path) -> SceneFacts:
    image = read_image(scene.image, spec.imagery, folder, published)
    labels = write_labels(scene, spec, image, folder)
    aoi = read_aoi(paths_of(scene.aoi), image) if scene.aoi else None
    if aoi is not None:
        _write_geojson(aoi, folder / "aoi.geojson")
    ignored = spec.task == SEGMENTATION and spec.labels.unlabelled == "ignore"
    by_labels = folder / TRUTH if ignored and (folder / "labels.geojson").exists() else None
    if spec.task == SEGMENTATION and labels and (by_labels or aoi is not None):
        _write_geojson(evaluated_area(by_labels, aoi, image), folder / "labelled.geojson")
    evaluated = "labelled.geojson" if (folder / "labelled.geojson").exists() else "aoi.geojson"
    files = {"labels": "labels.geojson", "label_raster": TRUTH, "aoi": "aoi.geojson"}
    there = {name: file for name, file in files.items() if (folder / file).exists()}
    places = {name: str(published / file) for name, file in there.items()}
    return SceneFacts(
        **vars(image),
        id=scene.id,
        split=scene.split,
        common_labels=scene.common_labels,
        labels=places.get("labels"),
        label_raster=places.get("label_raster"),
        aoi=places.get("aoi"),
        evaluated=str(published / evaluated) if (folder / evaluated).exists() else None,
        labelled_pixels=labels.labelled_pixels if labels else None,
        repaired=labels.repaired if labels else 0,
        outside_labels=labels.outside_labels if labels else 0.0,
        maps=folder_of_maps(scene.id, scene.image),
        sha256={name: sha256(folder / file) for name, file in there.items()},
    )


def write_labels(scene: Scene, spec: ScenesSpec, header: ImageHeader, folder: Path) -> LabelFacts | None:
    """Write a scene's labels, as ``truth.tif`` and ``labels.geojson``; the preflight does so on a coarser grid.

    Returns:
        What they hold; None for a scene without labels.

    Raises:
        UserError: For labels that cannot be used.
    """
    paths = paths_of(scene.labels)
    if not paths:
        return None
    options, classes = spec.labels, spec.classes
    if options.are_rasters:
        if spec.task != SEGMENTATION:
            raise UserError(_not_for_rasters(str(scene.labels), spec.task))
        return write_label_raster(paths, spec, header, folder / TRUTH)
    labels = read_labels(paths, spec, header, elsewhere=_may_be_elsewhere(scene, spec))
    if labels.empty and options.unlabelled == "ignore" and spec.task != DETECTION:
        return None
    _write_geojson(labels, folder / "labels.geojson")
    ids = burned(labels, header, list(labels["class_id"]), options.unlabelled_id(classes))
    counts = write_ids(folder / TRUTH, header, ids, len(classes))
    pixels = {name: int(counts[index]) for index, name in enumerate(classes)}
    return LabelFacts(pixels, repaired=labels.attrs["repaired"])


def _may_be_elsewhere(scene: Scene, spec: ScenesSpec) -> bool:
    """Tell whether labels may all lie outside the image: one file for many scenes need not reach all of them."""
    means_something = spec.task == DETECTION or spec.labels.unlabelled != "ignore"
    return scene.common_labels and (means_something or scene.split == "test")


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
