"""The stage `scenes`: read images' headers, harmonise the labels, refuse what cannot be right."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import geopandas as gpd

from swath.config.classes import NULL_CLASS
from swath.config.records import to_json
from swath.config.tasks import DETECTION, SEGMENTATION
from swath.errors import Problem, UserError
from swath.files import file_name, publish_directory, sha256, write_json
from swath.job.progress import Progress
from swath.scenes.facts import ImageHeader, LabelFacts, SceneFacts, SceneImage, ScenesSpec
from swath.scenes.images import read_image
from swath.scenes.label_raster import TRUTH, Blanked, burned, evaluated_area, write_ids
from swath.scenes.manifest import channel_order
from swath.scenes.no_data import NoData, no_data
from swath.scenes.paths import paths_of
from swath.scenes.rasters import without_data_under, write_label_raster
from swath.scenes.scene import Scene, folder_of_maps
from swath.scenes.states import Files
from swath.scenes.vectors import read_aoi, read_labels

log = logging.getLogger("swath.scenes")


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
    facts, problems, files = {}, [], Files()
    telling = Progress(log, f"reading {folder.name}", len(scenes), "scenes")
    with (
        publish_directory(folder) as temporary,
        telling as progress,
    ):
        for scene in scenes:
            try:
                name = file_name(scene.id)
                (temporary / name).mkdir()
                facts[scene.id] = to_json(_prepare_scene(scene, spec, files, temporary / name, folder / name))
            except UserError as error:
                problems += error.problems
            progress.add()
        if problems:
            raise UserError(problems)
    files.remember()
    write_json(manifest, {"scenes": facts})


def _prepare_scene(scene: Scene, spec: ScenesSpec, files: Files, folder: Path, published: Path) -> SceneFacts:
    inputs = _checksums(scene, files)  # before anything is read: what changes meanwhile is noticed next time
    image = read_image(scene.image, spec.imagery, folder, published)
    there = replace(image, image=str(folder / Path(image.image).name)) if _is_in(image.image, published) else image
    labels = write_labels(scene, spec, there, channel_order(image, spec.imagery.bands), folder)
    aoi = read_aoi(paths_of(scene.aoi), image) if scene.aoi else None
    if aoi is not None:
        _write_geojson(aoi, folder / "aoi.geojson")
    by_labels = folder / TRUTH if labels and (folder / "labels.geojson").exists() else None
    if labels and not labels.labelled_pixels[NULL_CLASS]:
        by_labels = None
    if spec.task == SEGMENTATION and labels and (by_labels or aoi is not None):
        _write_geojson(evaluated_area(by_labels, aoi, image), folder / "labelled.geojson")
    evaluated = "labelled.geojson" if (folder / "labelled.geojson").exists() else "aoi.geojson"
    made = {"labels": "labels.geojson", "label_raster": TRUTH, "aoi": "aoi.geojson"}
    written = {name: file for name, file in made.items() if (folder / file).exists()}
    places = {name: str(published / file) for name, file in written.items()}
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
        sha256={name: sha256(folder / file) for name, file in written.items()},
        inputs=inputs,
    )


def _checksums(scene: Scene, files: Files) -> dict[str, dict[str, str]]:
    """Return the checksums of a scene's files; no stage reads the overviews of an image."""
    entries = {"image": scene.image, "labels": scene.labels, "aoi": scene.aoi}
    return {name: files.checksums(entry, overviews=name != "image") for name, entry in entries.items() if entry}


def _is_in(path: str, folder: Path) -> bool:
    return Path(path).parent == folder


def write_labels(
    scene: Scene, spec: ScenesSpec, image: SceneImage, bands: Sequence[int], folder: Path
) -> LabelFacts | None:
    """Write a scene's labels, as ``truth.tif`` and ``labels.geojson``; the preflight does so on a coarser grid.

    Where the image has no data in any of the bands the model sees, nothing is labelled.

    Args:
        scene: The scene.
        spec: The stage's spec.
        image: The scene's image, as it can be opened.
        bands: 0-based indices of the bands the model sees; none, if labels are to be taken as they are.
        folder: Where the files go.

    Returns:
        What they hold; None for a scene without labels.

    Raises:
        UserError: For labels that cannot be used.
    """
    paths = paths_of(scene.labels)
    if not paths:
        return None
    with no_data(image.image, bands) if bands else nullcontext() as hidden:
        return _write_labels(scene, spec, image, folder, paths, hidden)


def _write_labels(
    scene: Scene, spec: ScenesSpec, header: ImageHeader, folder: Path, paths: Sequence[str], hidden: NoData | None
) -> LabelFacts | None:
    options, classes = spec.labels, spec.classes
    if options.are_rasters:
        if spec.task != SEGMENTATION:
            raise UserError(_not_for_rasters(str(scene.labels), spec.task))
        return write_label_raster(paths, spec, header, folder / TRUTH, hidden)
    elsewhere = _may_be_elsewhere(scene, spec)
    labels = read_labels(paths, spec, header, elsewhere, hidden)
    needed = options.unlabelled == "ignore" and spec.task != DETECTION
    if needed and not labels.has_classes:
        return None
    ids = burned(labels.frame, header, list(labels.frame["class_id"]), options.unlabelled_id(classes))
    blanked = Blanked(ids, hidden)
    counts = write_ids(folder / TRUTH, header, blanked, len(classes))
    pixels = {name: int(counts[index]) for index, name in enumerate(classes)}
    if needed and blanked.hidden and not counts[1:].any():
        (folder / TRUTH).unlink()
        if elsewhere:
            return None
        raise UserError(without_data_under("; ".join(paths)))
    _write_geojson(labels.frame, folder / "labels.geojson")
    return LabelFacts(pixels, labels.repaired, counts=replace(labels.counts, hidden_pixels=blanked.hidden))


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
