"""What an evaluation measures, by task: from what Raster Vision has counted, and from what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rastervision.core.data import Scene
from rastervision.core.data.label import ObjectDetectionLabels

from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION, Task
from swath.metrics.average_precision import AveragePrecision, average_precision, matches_of_scene
from swath.metrics.boxes import EDGES, Boxes
from swath.metrics.cells import text_of_cells
from swath.metrics.scores import (
    ClassScores,
    ConfusionScores,
    Metrics,
    class_scores,
    confusion_metrics,
    mean_of_defined,
)
from swath.rv.eval_json import Evaluation
from swath.rv.stores import CANDIDATES

Measure = Callable[[Evaluation, Sequence[Scene], Mapping[str, Path], Sequence[str]], Metrics]


@dataclass(frozen=True)
class BoxScores(AveragePrecision, ClassScores):
    """Scores of boxes: average precision over all candidates, the others over those above the threshold.

    Attributes:
        counts: Class → boxes found rightly, in the labels, and found.
        labelled: How many boxes there are in the labels.
        predicted: How many were found.
        count_error: How many too many were found.
    """

    counts: dict[str, list[int]]
    labelled: int
    predicted: int
    count_error: int


@dataclass(frozen=True)
class BoxScoresOfAll(BoxScores):
    """Scores of the boxes of all scenes together.

    Attributes:
        mean_count_error: Mean of the scenes' count errors, without their signs.
    """

    mean_count_error: float | None


@dataclass(frozen=True)
class BoxScoresOfScene(BoxScores):
    """Scores of the boxes of one scene.

    Attributes:
        matches: Class → its candidates, the best score first, and at which IoU thresholds each found a label: see
            :func:`swath.metrics.box_draws.text_of_matches`. Average precision of any draw of scenes follows from it.
    """

    matches: dict[str, str]


@dataclass(frozen=True)
class CellScores(ConfusionScores):
    """Scores of the cells of one scene.

    Attributes:
        cells: The labelled cells, with their labels and predictions: see :func:`swath.metrics.cells.text_of_cells`.
    """

    cells: str


def measure(
    task: Task, result: Evaluation, scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]
) -> Metrics:
    """Compute the metrics that matter.

    Args:
        task: The task.
        result: What Raster Vision has counted.
        scenes: The evaluated scenes, as Raster Vision built them.
        maps: Scene id → folder of its maps.
        classes: Class names by id, the null class first.
    """
    return _MEASURES[task](result, scenes, maps, classes)


def _of_confusions(
    result: Evaluation, scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]
) -> Metrics:
    """Compute accuracy and F1 over the labelled pixels or cells."""
    confusions = {name: scene.confusion for name, scene in result.scenes.items() if scene.confusion is not None}
    return confusion_metrics(confusions, classes)


def _of_cells(result: Evaluation, scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]) -> Metrics:
    """Compute accuracy and F1 over the labelled cells, and keep which of them are right."""
    metrics = _of_confusions(result, scenes, maps, classes)
    built = {scene.id: scene for scene in scenes}
    cells = {name: text_of_cells(_evaluated_cells(built[name])) for name in metrics.scenes}
    by_scene = {name: CellScores(**vars(scores), cells=cells[name]) for name, scores in metrics.scenes.items()}
    return replace(metrics, scenes=by_scene)


def _evaluated_cells(scene: Scene) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Go through the cells that Raster Vision's evaluator has compared, but for those without a label."""
    actual, said = scene.label_source.get_labels(), scene.label_store.get_labels()
    if scene.aoi_polygons:
        actual, said = actual.filter_by_aoi(scene.aoi_polygons), said.filter_by_aoi(scene.aoi_polygons)
    for cell in actual.get_cells():
        label, predicted = actual.get_cell_class_id(cell), said.get_cell_class_id(cell)
        if label not in (None, NULL_CLASS_ID) and predicted is not None:
            yield cell.ymin, cell.xmin, cell.ymax, cell.xmax, label, predicted


def _of_boxes(result: Evaluation, scenes: Sequence[Scene], maps: Mapping[str, Path], classes: Sequence[str]) -> Metrics:
    """Compute average precision over all candidates, and F1 and counts of the boxes above the threshold."""
    found = {scene.id: _boxes(scene, maps[scene.id]) for scene in scenes}
    by_scene = {
        name: BoxScoresOfScene(
            **_scores(result.scenes[name], average_precision([boxes], classes), classes),
            matches=matches_of_scene(boxes, classes),
        )
        for name, boxes in found.items()
    }
    errors = [float(abs(scores.count_error)) for scores in by_scene.values()]
    overall = _scores(result, average_precision(list(found.values()), classes), classes)
    return Metrics(list(classes), BoxScoresOfAll(**overall, mean_count_error=mean_of_defined(errors)), by_scene)


_MEASURES: Mapping[Task, Measure] = {
    SEGMENTATION: _of_confusions,
    DETECTION: _of_boxes,
    CLASSIFICATION: _of_cells,
}


def _scores(result: Evaluation, precision: AveragePrecision, classes: Sequence[str]) -> dict[str, Any]:
    """Give the fields of :class:`BoxScores`."""
    counts = [result.classes[name] for name in classes[1:]]
    hits, actual, predicted = ([getattr(one, kind) for one in counts] for kind in ("hits", "actual", "predicted"))
    return {
        **vars(class_scores(classes[1:], hits, actual, predicted)),
        **vars(precision),
        "counts": {
            name: [int(one.hits), int(one.actual), int(one.predicted)]
            for name, one in zip(classes[1:], counts, strict=True)
        },
        "labelled": sum(actual),
        "predicted": sum(predicted),
        "count_error": sum(predicted) - sum(actual),
    }


def _boxes(scene: Scene, maps: Path) -> Boxes:
    """Read what is there and what was found in a scene, within its area of interest."""
    actual = scene.label_source.get_labels()
    table = pd.read_parquet(maps / CANDIDATES, columns=[*EDGES, "class_id", "score"])
    found = ObjectDetectionLabels(table[EDGES].to_numpy(), table["class_id"].to_numpy(), table["score"].to_numpy())
    if scene.aoi_polygons:
        actual, found = actual.filter_by_aoi(scene.aoi_polygons), found.filter_by_aoi(scene.aoi_polygons)
    return Boxes(
        actual.get_npboxes(), actual.get_class_ids(), found.get_npboxes(), found.get_class_ids(), found.get_scores()
    )
