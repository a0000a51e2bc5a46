"""Labels as outlines: lines of the classes' colours on a transparent picture, to lie over imagery."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from swath.config.classes import NULL_CLASS_ID
from swath.report.pictures import coloured

THICKNESS = 2
"""Pixels of a line on its own side of a border."""


def outlines_of_areas(ids: NDArray[np.uint8], colours: Sequence[str]) -> NDArray[np.uint8]:
    """Draw the borders of areas, each on its own side; what is unlabelled has none.

    Args:
        ids: Class ids, height × width.
        colours: By class id.

    Returns:
        Red, green, blue and alpha, height × width × 4.
    """
    padded = np.pad(ids, THICKNESS, mode="edge")
    height, width = ids.shape
    border = np.zeros(ids.shape, bool)
    for shift in range(2 * THICKNESS + 1):
        border |= padded[shift : shift + height, THICKNESS : THICKNESS + width] != ids
        border |= padded[THICKNESS : THICKNESS + height, shift : shift + width] != ids
    return coloured(np.where(border, ids, NULL_CLASS_ID).astype(np.uint8), colours)


def outlines_of_boxes(
    edges: NDArray[np.float64], ids: Sequence[int], shape: tuple[int, int], colours: Sequence[str]
) -> NDArray[np.uint8]:
    """Draw boxes.

    Args:
        edges: Left, top, right and bottom of each, in pixels of the picture, N × 4.
        ids: Their class ids.
        shape: Height and width of the picture.
        colours: By class id.

    Returns:
        Red, green, blue and alpha, height × width × 4.
    """
    picture = Image.new("RGBA", shape[::-1])
    pen = ImageDraw.Draw(picture)
    for (left, top, right, bottom), index in zip(edges, ids, strict=True):
        corners = (round(left), round(top), max(round(right) - 1, round(left)), max(round(bottom) - 1, round(top)))
        pen.rectangle(corners, outline=colours[index], width=THICKNESS)
    return np.asarray(picture)
