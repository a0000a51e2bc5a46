"""Windows on their way through the network, row by row: what is predicted so does not depend on the image's height."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rastervision.core.box import Box

from swath.config.classes import NULL_CLASS_ID
from swath.job.progress import Progress
from swath.prediction.ahead import ahead
from swath.prediction.grid import Grid, Span
from swath.prediction.model import Batch, Predictor
from swath.prediction.pixels import PixelRows, PixelSums, Smooth, pixel_sums
from swath.prediction.strips import Strips, stripes


@dataclass(frozen=True)
class RowEnd:
    """Says that all windows that begin at some row, or above it, have been read.

    Attributes:
        row: Rows of the image above this one are seen by no further window.
        empty: Which pixels of these rows and the columns asked for have no data, from the row of the mark before; None
            where all have.
        left_out: Windows that begin at the last of these rows and have no data.
    """

    row: int
    empty: NDArray[np.bool_] | None
    left_out: int


def read_windows(
    model: Predictor, strips: Strips, grid: Grid, rows: Span, columns: Span, whole: bool = False
) -> Iterator[Batch | RowEnd]:
    """Read the windows that count for an area of an image, in order, with a mark after each row of windows.

    Batches end with a row of windows, so that they are the same ones however an image is split. Windows without any
    data where they count are left out.

    Args:
        model: Says how windows are read.
        strips: The image.
        grid: The windows' places.
        rows, columns: Of the image.
        whole: Whether windows count as a whole: those that begin in these rows, instead of all that reach into them.
    """
    tops = [top for top in grid.tops if rows[0] <= max(top, 0) < rows[1]] if whole else grid.tops_for(rows)
    if not tops:
        return
    starts, lefts = [grid.rows_kept(top)[0] for top in tops], grid.lefts_for(columns)
    seen = max(lefts[0], 0), min(lefts[-1] + grid.size, grid.width)
    told = max(columns[0], seen[0]), min(columns[1], seen[1])
    for top, start, following in zip(tops, starts, [*starts[1:], rows[1]], strict=True):
        strips.load((max(top, 0), min(top + grid.size, grid.height)), seen)
        windows = [Box(top, left, top + grid.size, left + grid.size) for left in lefts]
        filled = [window for window in windows if _has_data(window, strips, grid)]
        yield from model.batches(strips, filled)
        yield RowEnd(following, strips.without_data((start, following), told), len(windows) - len(filled))


def _has_data(window: Box, strips: Strips, grid: Grid) -> bool:
    empty = strips.without_data(grid.rows_kept(window.ymin), grid.columns_kept(window.xmin))
    return empty is None or not empty.all()


def predict_pixels(
    model: Predictor,
    strips: Strips,
    grid: Grid,
    classes: int,
    smooth: Smooth,
    rows: Span,
    columns: Span,
    progress: Progress,
    with_scores: bool = False,
) -> Iterator[PixelRows]:
    """Predict the classes of an image's pixels; of a wide image, one stripe of columns after the other.

    Args:
        model: Of semantic segmentation.
        strips: The image.
        grid: The windows' places.
        classes: How many, with the null class.
        smooth: Whether scores of overlapping windows are averaged, instead of counting votes.
        rows, columns: Of the image.
        progress: Is told of every window.
        with_scores: Whether scores are wanted, too.

    Yields:
        The rows of each stripe, in order and in parts.
    """
    first = grid.rows_kept(grid.tops_for(rows)[0])[0]
    for stripe in stripes(columns):
        sums = pixel_sums(smooth, classes, grid, first, stripe, with_scores)
        read = ahead(read_windows(model, strips, grid, rows, stripe))
        for part in _added_up(model, read, grid, sums, stripe, progress, with_scores):
            if len(part.labels) and part.row + len(part.labels) > rows[0]:
                yield part.below(rows[0])


def windows_of_pixels(grid: Grid, rows: Span, columns: Span) -> int:
    """Count the windows that :func:`predict_pixels` predicts: at the border of two stripes, some twice."""
    return len(grid.tops_for(rows)) * sum(len(grid.lefts_for(stripe)) for stripe in stripes(columns))


def _added_up(
    model: Predictor,
    read: Iterable[Batch | RowEnd],
    grid: Grid,
    sums: PixelSums,
    columns: Span,
    progress: Progress,
    with_scores: bool,
) -> Iterator[PixelRows]:
    """Predict windows in their order, and add up what they say of some columns; yield the rows that are finished."""
    for item in read:
        if isinstance(item, Batch):
            for window, predicted in zip(item.windows, model.predict(item, sums.uses_scores), strict=True):
                (top, bottom), (left, right) = grid.rows_kept(window.ymin), grid.columns_kept(window.xmin)
                left, right = max(left, columns[0]), min(right, columns[1])
                y, x = window.ymin, window.xmin
                kept = predicted[..., top - y : bottom - y, left - x : right - x]
                sums.add((top, bottom), (left, right), kept, (top - y, left - x))
            progress.add(len(item.windows))
        else:
            finished = sums.finish(item.row, with_scores)
            if item.empty is not None:
                finished.labels[item.empty] = NULL_CLASS_ID
            yield finished
            progress.add(item.left_out)


def predict_windows(model: Predictor, strips: Strips, grid: Grid, rows: Span, progress: Progress) -> Iterator[Any]:
    """Predict windows that are results of their own: boxes, cells.

    Args:
        model: Of object detection or chip classification.
        strips, grid, progress: As in :func:`predict_pixels`.
        rows: The windows that begin in these rows of the image, or above it, are predicted.

    Yields:
        A window, and what :meth:`Predictor.predict` says of it.
    """
    for item in ahead(read_windows(model, strips, grid, rows, (0, grid.width), whole=True)):
        if isinstance(item, Batch):
            yield from zip(item.windows, model.predict(item), strict=True)
        progress.add(len(item.windows) if isinstance(item, Batch) else item.left_out)
