"""What becomes of a scene's predictions, by task: maps that open anywhere, and what Raster Vision's evaluator reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
from rastervision.core.box import Box
from rastervision.core.data import ClassConfig, Scene
from rastervision.core.data.label import ChipClassificationLabels, Labels, ObjectDetectionLabels

from swath.config.classes import NULL_CLASS_ID
from swath.config.predict import Window
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.metrics.boxes import EDGES
from swath.products.boxes import box_table
from swath.products.maps import label_polygons, write_label_raster
from swath.products.tables import write_table
from swath.rv.stores import BOXES, CANDIDATES, FOR_RASTER_VISION, LINK, LINKS, RASTER
from swath.scenes.boxes import have_data
from swath.scenes.facts import SceneFacts
from swath.scenes.no_data import no_data, without_data

POLYGONS = "polygons.parquet"
GEOJSON = "boxes.geojson"
CELLS = "cells.parquet"


@dataclass(frozen=True)
class Prediction:
    """A predicted scene, about to become files.

    Attributes:
        facts: The scene's facts.
        scene: The scene, as Raster Vision built it; its label store writes to a temporary folder.
        labels: Raster Vision's predicted labels.
        class_config: Names of the classes.
        colours: Colours by class id.
        bands: 0-based indices of the bands the model sees.
        window: The resolved prediction window.
        background: Id of the class that lies outside every label; the null class's if there is none.
    """

    facts: SceneFacts
    scene: Scene
    labels: Labels
    class_config: ClassConfig
    colours: Sequence[str]
    bands: Sequence[int]
    window: Window
    background: int = NULL_CLASS_ID

    @property
    def classes(self) -> list[str]:
        """Class names by id."""
        return list(self.class_config.names)

    def save(self, labels: Labels, folder: Path) -> None:
        """Write labels of boxes or cells as the GeoJSON that Raster Vision reads."""
        path, crs_transformer = str(folder / FOR_RASTER_VISION), self.scene.raster_source.crs_transformer
        labels.save(path, class_config=self.class_config, crs_transformer=crs_transformer)


def write_products(task: Task, prediction: Prediction, folder: Path) -> None:
    """Write a scene's predictions as maps or tables."""
    _WRITERS[task](prediction, folder)


def _write_pixels(prediction: Prediction, folder: Path) -> None:
    """Write prediction.tif (Cloud Optimized GeoTIFF of class ids), and polygons of all classes but the background."""
    facts, classes, store = prediction.facts, prediction.classes, prediction.scene.label_store
    store.save(prediction.labels)
    with rasterio.open(store.label_uri) as dataset:
        labels = dataset.read(1)
    labels[without_data(facts.image, prediction.bands)] = NULL_CLASS_ID
    write_label_raster(labels, facts.image, classes, prediction.colours, folder / RASTER)
    (folder / LINKS).mkdir()
    (folder / LINKS / LINK).symlink_to(Path("..", RASTER))
    write_table(label_polygons(labels, facts.image, classes, facts.id, prediction.background), folder / POLYGONS)


def _write_boxes(prediction: Prediction, folder: Path) -> None:
    """Write boxes as GeoParquet, GeoPackage and GeoJSON in the scene's CRS, and for Raster Vision.

    ``boxes.parquet``, ``boxes.gpkg`` and ``boxes.geojson`` hold those with at least the threshold's score,
    ``candidates.parquet`` all, for average precision.
    """
    facts, classes = prediction.facts, prediction.classes
    labels = over_data(within_scene(prediction.labels, facts), facts, prediction.bands)
    table = box_table(labels.get_npboxes(), labels.get_class_ids(), labels.get_scores(), facts, classes)
    table.to_parquet(folder / CANDIDATES)
    chosen = table[table["score"] >= prediction.window.score_threshold].reset_index(drop=True)
    write_table(chosen, folder / BOXES)
    chosen.to_file(folder / GEOJSON, driver="GeoJSON", engine="pyogrio")
    edges, ids, scores = (chosen[columns].to_numpy() for columns in (EDGES, "class_id", "score"))
    prediction.save(ObjectDetectionLabels(edges, ids, scores), folder)


def within_scene(labels: ObjectDetectionLabels, facts: SceneFacts) -> ObjectDetectionLabels:
    """Cut boxes off at the scene's edge; those beyond it, where windows reach over, are no boxes."""
    limits = np.array([facts.height, facts.width, facts.height, facts.width])
    boxes = np.clip(labels.get_npboxes(), 0, limits)
    real = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1)
    order = np.argsort(-labels.get_scores()[real], kind="stable")
    return ObjectDetectionLabels(
        boxes[real][order], labels.get_class_ids()[real][order].astype(int), labels.get_scores()[real][order]
    )


def over_data(labels: ObjectDetectionLabels, facts: SceneFacts, bands: Sequence[int]) -> ObjectDetectionLabels:
    """Leave out boxes that lie wholly where the image has no data, as among the labels."""
    with no_data(facts.image, bands) as hidden:
        if hidden is None or not len(labels):
            return labels
        top, left, bottom, right = labels.get_npboxes().T
        kept = have_data(np.column_stack([left, top, right, bottom]), facts, hidden)
    return ObjectDetectionLabels(labels.get_npboxes()[kept], labels.get_class_ids()[kept], labels.get_scores()[kept])


def _write_cells(prediction: Prediction, folder: Path) -> None:
    """Write cells (class, and a score per class) as tables, and prediction.tif (raster of class ids).

    Cells in which the image has no data are left out.
    """
    facts, classes, labels = prediction.facts, prediction.classes, prediction.labels
    empty = without_data(facts.image, prediction.bands)
    cells = [cell for cell in labels.get_cells() if not empty[_within(cell, facts)].all()]
    logits = torch.tensor([labels.get_cell_scores(cell) for cell in cells]).reshape(-1, len(classes))
    logits[:, NULL_CLASS_ID] = -torch.inf
    scores = logits.softmax(dim=1).numpy()
    ids = scores.argmax(axis=1)
    table = box_table(np.array([list(cell) for cell in cells]), ids, scores.max(axis=1, initial=0), facts, classes)
    for index, name in enumerate(classes):
        if index != NULL_CLASS_ID:
            table[f"score.{name}"] = scores[:, index]
    write_table(table.drop(columns=EDGES), folder / CELLS)
    raster = np.full((facts.height, facts.width), NULL_CLASS_ID, np.uint8)
    for cell, index in zip(cells, ids, strict=True):
        raster[_within(cell, facts)] = index
    raster[empty] = NULL_CLASS_ID
    write_label_raster(raster, facts.image, classes, prediction.colours, folder / RASTER)
    found = {cell: (int(index), row.tolist()) for cell, index, row in zip(cells, ids, scores, strict=True)}
    prediction.save(ChipClassificationLabels(found), folder)


def _within(cell: Box, facts: SceneFacts) -> tuple[slice, slice]:
    """Return the part of a cell that lies on the image."""
    rows = slice(max(cell.ymin, 0), min(cell.ymax, facts.height))
    return rows, slice(max(cell.xmin, 0), min(cell.xmax, facts.width))


_WRITERS: Mapping[Task, Callable[[Prediction, Path], None]] = {
    SEGMENTATION: _write_pixels,
    DETECTION: _write_boxes,
    CLASSIFICATION: _write_cells,
}
