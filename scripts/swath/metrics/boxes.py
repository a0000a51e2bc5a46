"""Boxes of things, as they are measured: as arrays, and in the columns of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

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
