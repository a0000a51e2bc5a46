"""Cells that were evaluated, as a line of text: what an evaluation keeps of each, so that maps show which are wrong."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

BETWEEN = "; "


def text_of_cells(cells: Iterable[tuple[int, int, int, int, int, int]]) -> str:
    """Write cells: top, left, bottom, right edges in pixels, the label's class id and the prediction's."""
    return BETWEEN.join(" ".join(map(str, cell)) for cell in cells)


def cells_of_text(text: str) -> NDArray[np.int64]:
    """Read cells as :func:`text_of_cells` writes them, N × 6."""
    return np.array(text.replace(BETWEEN.strip(), " ").split(), np.int64).reshape(-1, 6)
