"""Raster Vision's eval.json: what it has counted, by class and by scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassCounts:
    """What was counted of a class: pixels, boxes or cells.

    Attributes:
        hits: True positives.
        actual: How many there are in the labels.
        predicted: How many were predicted.
    """

    hits: int
    actual: int
    predicted: int


@dataclass(frozen=True)
class Evaluation:
    """What Raster Vision has counted in a scene, or in all.

    Attributes:
        classes: Class → its counts.
        confusion: Rows: labels, columns: predictions, by class id; None of boxes.
        scenes: Scene id → the same, where it was counted by scene.
    """

    classes: dict[str, ClassCounts]
    confusion: NDArray[np.int64] | None = None
    scenes: dict[str, Evaluation] = field(default_factory=dict)


def evaluation_of(content: Any) -> Evaluation:
    """Read the content of an eval.json, of any task."""
    items = content["overall"] if isinstance(content, dict) else content
    scenes = content.get("per_scene", {}) if isinstance(content, dict) else {}
    by_class = {item["class_name"]: item for item in items}
    confusion = by_class.pop("average", {}).get("conf_mat")
    return Evaluation(
        {name: _counts(item) for name, item in by_class.items()},
        None if confusion is None else np.array(confusion),
        {scene: evaluation_of(items) for scene, items in scenes.items()},
    )


def _counts(item: dict[str, Any]) -> ClassCounts:
    """Read the counts of a class, whose true positives stand in its confusion matrix if it has one."""
    hits = item["conf_mat"][1][1] if "conf_mat" in item else item["true_pos"]
    return ClassCounts(hits, item["gt_count"], item["pred_count"])
