"""COCO's average precision of boxes over whole scenes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from swath.metrics.box_draws import text_of_matches
from swath.metrics.boxes import Boxes
from swath.metrics.scores import f1, mean_of_defined

THRESHOLDS = np.arange(0.05, 1.0, 0.05)


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision of boxes; None for what does not occur in the labels.

    Attributes:
        mAP: Mean over IoU 0.50 to 0.95 and the classes that occur.
        mAP50: At IoU 0.50.
        ap50: At IoU 0.50, by class.
        f1_by_threshold: Score threshold, such as 0.30 → mean F1 at IoU 0.50, over the classes that occur, of the boxes
            with at least that score.
    """

    mAP: float | None  # noqa: N815 (its name in the field)
    mAP50: float | None  # noqa: N815
    ap50: dict[str, float | None]
    f1_by_threshold: dict[str, float | None]


def average_precision(scenes: Sequence[Boxes], classes: Sequence[str]) -> AveragePrecision:
    """Compute average precision, as COCO defines it, with a whole scene for an image and no limit on its boxes.

    Args:
        scenes: The boxes of every scene.
        classes: Class names by id, the null class first.
    """
    evaluation = _evaluated(scenes, classes)
    precision = evaluation.eval["precision"][:, :, :, 0, 0]  # IoU × recall × class; -1 for classes without labels
    by_class = {name: _mean(precision[0, :, index]) for index, name in enumerate(classes[1:])}
    return AveragePrecision(_mean(precision), _mean(precision[0]), by_class, _f1_by_threshold(evaluation))


def matches_of_scene(boxes: Boxes, classes: Sequence[str]) -> dict[str, str]:
    """Say of a scene's boxes what they found: class → what :func:`swath.metrics.box_draws.text_of_matches` writes.

    Args:
        boxes: Of the scene.
        classes: Class names by id, the null class first.
    """
    found = dict.fromkeys(classes[1:], "")
    for image in filter(None, _evaluated([boxes], classes).evalImgs):
        name = classes[image["category_id"]]
        found[name] = text_of_matches(image["dtScores"], np.array(image["dtMatches"]) > 0)
    return found


def _evaluated(scenes: Sequence[Boxes], classes: Sequence[str]) -> COCOeval:
    truth = COCO()
    truth.dataset = {
        "images": [{"id": number} for number in range(len(scenes))],
        "categories": [{"id": index} for index in range(1, len(classes))],
        "annotations": _annotations(scenes),
    }
    with redirect_stdout(StringIO()):  # pycocotools talks on the standard output
        truth.createIndex()
        found = truth.loadRes(_detections(scenes)) if any(len(boxes.found) for boxes in scenes) else COCO()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.imgIds = list(range(len(scenes)))
        evaluation.params.catIds = list(range(1, len(classes)))
        most = max([1, *(len(boxes.found) for boxes in scenes)])
        evaluation.params.maxDets = [most]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _f1_by_threshold(evaluation: COCOeval) -> dict[str, float | None]:
    """Count hits at IoU 0.50 above thresholds: boxes are matched from the best score down, whatever the threshold."""
    images = [image for image in evaluation.evalImgs if image]

    def of_class(index: int, threshold: float) -> float | None:
        hits = actual = found = 0
        for image in (one for one in images if one["category_id"] == index):
            above = np.array(image["dtScores"]) >= threshold
            hits += int((above & (np.array(image["dtMatches"])[0] > 0)).sum())
            found += int(above.sum())
            actual += len(image["gtIds"])
        return f1(hits, actual, found)

    return {
        f"{threshold:.2f}": mean_of_defined(of_class(index, threshold) for index in evaluation.params.catIds)
        for threshold in THRESHOLDS
    }


def _mean(precision: NDArray[np.float64]) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


CocoBox = dict[str, float | list[float]]
"""A box as COCO's files have it."""


def _annotations(scenes: Sequence[Boxes]) -> list[CocoBox]:
    found: list[CocoBox] = []
    for number, boxes in enumerate(scenes):
        for box, index in zip(boxes.actual, boxes.actual_classes, strict=True):
            width, height = float(box[3] - box[1]), float(box[2] - box[0])
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": number,
                    "category_id": int(index),
                    "bbox": [float(box[1]), float(box[0]), width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    return found


def _detections(scenes: Sequence[Boxes]) -> list[CocoBox]:
    return [
        {
            "image_id": number,
            "category_id": int(index),
            "bbox": [float(box[1]), float(box[0]), float(box[3] - box[1]), float(box[2] - box[0])],
            "score": float(score),
        }
        for number, boxes in enumerate(scenes)
        for box, index, score in zip(boxes.found, boxes.found_classes, boxes.scores, strict=True)
    ]
