"""What a scene's predictions become, by task: maps that open anywhere, and what Raster Vision's evaluator reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow
from rastervision.core.box import Box
from rastervision.core.data import ClassConfig, Scene
from rastervision.core.data.label import ChipClassificationLabels, Labels, ObjectDetectionLabels

from swath.config.classes import NULL_CLASS_ID
from swath.config.predict import Window
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.job.environment import COMPUTING
from swath.job.progress import Progress
from swath.metrics.boxes import EDGES
from swath.prediction.ahead import ahead
from swath.prediction.engine import predict_pixels, predict_windows, windows_of_pixels
from swath.prediction.grid import Grid, Span
from swath.prediction.model import Model
from swath.prediction.pixels import PixelRows, ScoreRows, uncertainty_of
from swath.prediction.strips import Strips
from swath.products.boxes import box_table
from swath.products.maps import label_raster_writer, share_raster_writer
from swath.products.polygons import label_polygons
from swath.products.tables import write_table
from swath.rv.stores import BOXES, CANDIDATES, FOR_RASTER_VISION, LINK, LINKS, RASTER, STORES
from swath.scenes.boxes import have_data
from swath.scenes.facts import SceneFacts
from swath.scenes.no_data import no_data

POLYGONS = "polygons.parquet"
SCORES, UNCERTAINTY = "scores.tif", "uncertainty.tif"
GEOJSON = "boxes.geojson"
CELLS = "cells.parquet"
CACHE = "GDAL_CACHEMAX"
ROWS = 1024
"""Rows of a map that are written at once."""

log = logging.getLogger("swath.predict")


ShareWriter = AbstractContextManager[Callable[[PixelRows], None]]
"""Opens a raster of shares, and says what to write into it."""


@dataclass(frozen=True)
class Prediction:
    """A scene that is about to be predicted.

    Attributes:
        facts: The scene's facts.
        scene: The scene, as Raster Vision built it.
        model: The model.
        class_config: Names of the classes.
        colours: Colours by class id.
        bands: 0-based indices of the bands the model sees.
        window: The resolved prediction window.
        background: Id of the class that lies outside every label; the null class's if there is none.
        name: What the prediction is called while it is being made.
    """

    facts: SceneFacts
    scene: Scene
    model: Model
    class_config: ClassConfig
    colours: Sequence[str]
    bands: Sequence[int]
    window: Window
    background: int = NULL_CLASS_ID
    name: str = ""

    @property
    def classes(self) -> list[str]:
        """Class names by id."""
        return list(self.class_config.names)

    @property
    def grid(self) -> Grid:
        """The places of the prediction window."""
        facts, window = self.facts, self.window
        return Grid(facts.height, facts.width, window.chip_size, window.stride, window.crop or None)

    @property
    def rows(self) -> Span:
        """All of the scene's rows."""
        return 0, self.facts.height

    @property
    def columns(self) -> Span:
        """All of the scene's columns."""
        return 0, self.facts.width

    @contextmanager
    def begin(self) -> Iterator[tuple[Strips, Progress]]:
        """Open the image, and show how far its prediction is."""
        windows = windows_of_pixels(self.grid, self.rows, self.columns)
        strips = Strips(self.scene.raster_source)
        name = self.name or self.facts.id
        with (
            rasterio.Env(**cache_options(strips.cache)),
            Progress(log, name, windows, "windows") as progress,
        ):
            yield strips, progress

    def windows(self) -> Iterator[tuple[Box, Any]]:
        """Predict windows that are results of their own."""
        with self.begin() as (strips, progress):
            yield from predict_windows(self.model, strips, self.grid, self.rows, progress)

    def save(self, labels: Labels, folder: Path) -> None:
        """Write labels of boxes or cells as the GeoJSON that Raster Vision reads."""
        path, crs_transformer = str(folder / FOR_RASTER_VISION), self.scene.raster_source.crs_transformer
        labels.save(path, class_config=self.class_config, crs_transformer=crs_transformer)


def cache_options(needed: int) -> dict[str, int]:
    """Have GDAL keep so many bytes of rasters in memory, and no more, unless the user has said something else."""
    is_ours = os.environ.get(CACHE, COMPUTING[CACHE]) == COMPUTING[CACHE]
    return {CACHE: needed} if is_ours else {}


def write_products(task: Task, prediction: Prediction, folder: Path) -> None:
    """Predict a scene, and write its maps or tables."""
    _WRITERS[task](prediction, folder)


def _write_pixels(prediction: Prediction, folder: Path) -> None:
    """Write prediction.tif (Cloud Optimized GeoTIFF of class ids), and polygons of all classes but the background.

    Where they are asked for, scores.tif and uncertainty.tif, too.
    """
    facts, classes, window = prediction.facts, prediction.classes, prediction.window
    with ExitStack() as stack:
        strips, progress = stack.enter_context(prediction.begin())
        write_labels = stack.enter_context(
            label_raster_writer(facts.image, classes, prediction.colours, folder / RASTER)
        )
        write_shares = [stack.enter_context(share) for share in _shares(prediction, folder)]
        predicted = predict_pixels(
            prediction.model,
            strips,
            prediction.grid,
            len(classes),
            window.smooth or False,
            prediction.rows,
            prediction.columns,
            progress,
            with_scores=bool(write_shares),
        )
        for rows in ahead(predicted):
            write_labels(rows.row, rows.labels, rows.column)
            for write in write_shares:
                write(rows)
    (folder / LINKS).mkdir()
    (folder / LINKS / LINK).symlink_to(Path("..", RASTER))
    write_table(label_polygons(folder / RASTER, classes, facts.id, prediction.background), folder / POLYGONS)


def _shares(prediction: Prediction, folder: Path) -> Sequence[ShareWriter]:
    """List what writes rasters of shares: scores, uncertainty; those that were asked for."""
    image, window = prediction.facts.image, prediction.window
    writers = []
    if window.scores:
        names = [name for index, name in enumerate(prediction.classes) if index != NULL_CLASS_ID]
        writers.append(_share_writer(image, names, folder / SCORES, lambda scores: np.delete(scores, NULL_CLASS_ID, 0)))
    if window.uncertainty:
        measure = window.uncertainty
        writers.append(
            _share_writer(image, [measure], folder / UNCERTAINTY, lambda scores: uncertainty_of(scores, measure)[None])
        )
    return writers


@contextmanager
def _share_writer(
    image: str, names: Sequence[str], path: Path, shares_of: Callable[[ScoreRows], NDArray[np.float32]]
) -> Iterator[Callable[[PixelRows], None]]:
    """Open a raster of what follows from scores; where there is no data, it has none."""
    with share_raster_writer(image, names, path) as write:

        def write_rows(rows: PixelRows) -> None:
            assert rows.scores is not None
            write(rows.row, np.where(rows.labels == NULL_CLASS_ID, np.nan, shares_of(rows.scores)), rows.column)

        yield write_rows


def _write_boxes(prediction: Prediction, folder: Path) -> None:
    """Write boxes as GeoParquet, GeoPackage and GeoJSON in the scene's CRS, and for Raster Vision.

    ``boxes.parquet``, ``boxes.gpkg`` and ``boxes.geojson`` hold those with at least the threshold's score,
    ``candidates.parquet`` all, for average precision.
    """
    facts, classes = prediction.facts, prediction.classes
    labels = over_data(within_scene(_candidates(prediction), facts), facts, prediction.bands)
    table = box_table(labels.get_npboxes(), labels.get_class_ids(), labels.get_scores(), facts, classes)
    table.to_parquet(folder / CANDIDATES)
    chosen = table[table["score"] >= prediction.window.score_threshold].reset_index(drop=True)
    write_table(chosen, folder / BOXES)
    chosen.to_file(folder / GEOJSON, driver="GeoJSON", engine="pyogrio")
    edges, ids, scores = (chosen[columns].to_numpy() for columns in (EDGES, "class_id", "score"))
    prediction.save(ObjectDetectionLabels(edges, ids, scores), folder)


def _candidates(prediction: Prediction) -> ObjectDetectionLabels:
    """Find boxes, of which windows that overlap see some twice: of those the better one is kept."""
    wanted = STORES[DETECTION].candidates(prediction.window)
    return ObjectDetectionLabels.prune_duplicates(
        boxes_of(prediction.windows()), score_thresh=wanted.score_threshold, merge_thresh=wanted.merge_threshold
    )


def boxes_of(windows: Iterable[tuple[Box, Mapping[str, NDArray[Any]]]]) -> ObjectDetectionLabels:
    """Put what was found in windows together, in pixels of the image.

    Args:
        windows: Window, and what is in it: boxes in pixels of the window, class_ids and scores.
    """
    boxes, ids, scores = [np.empty((0, 4))], [np.empty(0)], [np.empty(0)]
    for window, found in windows:
        boxes.append(ObjectDetectionLabels.local_to_global(found["boxes"], window))
        ids.append(found["class_ids"])
        scores.append(found["scores"])
    return ObjectDetectionLabels(np.concatenate(boxes), np.concatenate(ids), np.concatenate(scores))


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
    facts, classes = prediction.facts, prediction.classes
    found = list(prediction.windows())
    cells = [cell for cell, _ in found]
    logits = torch.tensor(np.array([output for _, output in found])).reshape(-1, len(classes))
    logits[:, NULL_CLASS_ID] = -torch.inf
    scores = logits.softmax(dim=1).numpy()
    ids = scores.argmax(axis=1)
    table = box_table(np.array([list(cell) for cell in cells]), ids, scores.max(axis=1, initial=0), facts, classes)
    for index, name in enumerate(classes):
        if index != NULL_CLASS_ID:
            table[f"score.{name}"] = scores[:, index]
    write_table(table.drop(columns=EDGES), folder / CELLS)
    with label_raster_writer(facts.image, classes, prediction.colours, folder / RASTER) as write:
        for row, block in _cells_as_rows(cells, ids, prediction):
            write(row, block)
    labels = {cell: (int(index), row.tolist()) for cell, index, row in zip(cells, ids, scores, strict=True)}
    prediction.save(ChipClassificationLabels(labels), folder)


def _cells_as_rows(
    cells: Sequence[Box], ids: NDArray[Any], prediction: Prediction
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Paint cells with their classes, some rows at a time; pixels without data have none."""
    facts = prediction.facts
    with no_data(facts.image, prediction.bands) as hidden:
        for row in range(0, facts.height, ROWS):
            block = np.full((min(ROWS, facts.height - row), facts.width), NULL_CLASS_ID, np.uint8)
            for cell, index in zip(cells, ids, strict=True):
                block[max(cell.ymin - row, 0) : max(cell.ymax - row, 0), max(cell.xmin, 0) : cell.xmax] = index
            if hidden:
                block[hidden(RasterWindow(0, row, facts.width, len(block)))] = NULL_CLASS_ID
            yield row, block


_WRITERS: Mapping[Task, Callable[[Prediction, Path], None]] = {
    SEGMENTATION: _write_pixels,
    DETECTION: _write_boxes,
    CLASSIFICATION: _write_cells,
}
