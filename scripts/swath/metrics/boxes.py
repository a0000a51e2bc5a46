"""Boxes of things, as they are measured: as arrays, and in the columns of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

EDGES = ["row_min", "column_min", "row_max", "column_max"]
"""Columns of a table of boxes: top, left, bottom, right edges in pixels."""


@dataclass(frozen=True)
class Boxes:
    """What is in a scene, and what was found.

    Attributes:
        actual: (N, 4): top, left, bottom, right edges in pixels.
        actual_classes: N class ids.
        found: (M, 4), the same for what was found.
        found_classes: M class ids.
        scores: M scores.
    """

    actual: NDArray[Any]
    actual_classes: NDArray[Any]
    found: NDArray[Any]
    found_classes: NDArray[Any]
    scores: NDArray[Any]


def ious(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Return intersection over union of every box with every other one, N × M.

    Args:
        boxes, others: (N, 4) and (M, 4): left, top, right, bottom edges.
    """
    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    # pycocotools reads memory row by row, whatever the order in which an array is kept
    sides = [np.column_stack([part[:, :2], part[:, 2:] - part[:, :2]]).astype(float, "C") for part in (boxes, others)]
    overlaps: NDArray[np.float64] = mask.iou(*sides, np.zeros(len(others), np.uint8))
    return overlaps
