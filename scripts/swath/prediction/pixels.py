"""Semantic segmentation: what windows say of a pixel, added up while they move down the image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from swath.config.classes import NULL_CLASS_ID
from swath.prediction.grid import Grid, Span

LabelRows = NDArray[np.uint8]
ScoreRows = NDArray[np.float32]
Smooth = bool | Literal["tapered"]
"""Whether scores are averaged, and if they count less towards a window's edge."""
UINT8_MAX = 255


@dataclass(frozen=True)
class PixelRows:
    """What has become of some rows of an image, or of a stripe of its columns.

    Attributes:
        row, column: The first of them.
        labels: Class ids, rows × width; the null class's where there is no data.
        scores: Classes × rows × width, from 0 to 1; None where nobody asked for them.
    """

    row: int
    column: int
    labels: LabelRows
    scores: ScoreRows | None

    def below(self, row: int) -> PixelRows:
        """Leave out what lies above a row."""
        skipped = max(row - self.row, 0)
        scores = None if self.scores is None else self.scores[:, skipped:]
        return PixelRows(self.row + skipped, self.column, self.labels[skipped:], scores)


class PixelSums(ABC):
    """Sums over windows, for the rows of an image that windows still count for.

    Windows are added from top to bottom and from left to right, so that sums do not depend on how the work was split.

    Args:
        classes: How many.
        grid: The windows' places.
        first: The image's row that is the first in memory.
        columns: The image's columns that sums are of.
        dtype: Of the sums.
    """

    uses_scores: bool
    """Whether windows come as scores (classes × height × width); as class ids (height × width) otherwise."""

    def __init__(self, classes: int, grid: Grid, first: int, columns: Span, dtype: Any):
        self._sums = np.zeros((classes, grid.size - 2 * (grid.crop or 0), columns[1] - columns[0]), dtype)
        self.first, self._column = first, columns[0]

    @abstractmethod
    def add(self, rows: Span, columns: Span, predicted: NDArray[Any], place: tuple[int, int]) -> None:
        """Add what a window says of an area of the image.

        Args:
            rows, columns: The area.
            predicted: What the window says of it.
            place: Where in the window the area begins: row and column.
        """

    def finish(self, row: int, with_scores: bool = False) -> PixelRows:
        """Return what has become of all rows above one, which no further window counts for, and forget them.

        Args:
            row: Of the image.
            with_scores: Whether scores are wanted.
        """
        done, first = row - self.first, self.first
        labels = self._labels(slice(0, done))
        scores = self._scores(slice(0, done)) if with_scores else None
        for array in self._arrays():
            kept = array.shape[-2] - done
            array[..., :kept, :] = array[..., done:, :].copy()
            array[..., kept:, :] = 0
        self.first = row
        return PixelRows(first, self._column, labels, scores)

    def _arrays(self) -> list[NDArray[Any]]:
        return [self._sums]

    @abstractmethod
    def _labels(self, rows: slice) -> LabelRows:
        """Return class ids; the null class's where no window was added."""

    def _scores(self, rows: slice) -> ScoreRows | None:
        """Return scores, 0 where no window was added; None of sums that keep none."""
        return None

    def _local(self, rows: Span, columns: Span) -> tuple[slice, slice]:
        """Say where an area of the image lies in the sums."""
        return (
            slice(rows[0] - self.first, rows[1] - self.first),
            slice(columns[0] - self._column, columns[1] - self._column),
        )


class Votes(PixelSums):
    """Each window votes for one class; of classes with as many votes the first one wins."""

    uses_scores = False

    def __init__(self, classes: int, grid: Grid, first: int, columns: Span):
        super().__init__(classes, grid, first, columns, np.uint8 if grid.most_overlaps <= UINT8_MAX else np.uint16)

    def add(self, rows: Span, columns: Span, predicted: NDArray[Any], place: tuple[int, int]) -> None:
        """Add a window's votes: class ids, height × width."""
        area = self._sums[:, *self._local(rows, columns)]
        for index, votes in enumerate(area):
            votes += predicted == index

    def _labels(self, rows: slice) -> LabelRows:
        winners: LabelRows = self._sums[:, rows].argmax(axis=0).astype(np.uint8)
        return winners


class VotesWithScores(Votes):
    """Windows vote, and their mean scores are known, too, which decide nothing."""

    uses_scores = True

    def __init__(self, classes: int, grid: Grid, first: int, columns: Span):
        super().__init__(classes, grid, first, columns)
        self._totals = np.zeros(self._sums.shape, np.float32)

    def add(self, rows: Span, columns: Span, predicted: NDArray[Any], place: tuple[int, int]) -> None:
        """Add a window's scores: classes × height × width."""
        super().add(rows, columns, predicted.argmax(axis=0), place)
        self._totals[:, *self._local(rows, columns)] += predicted

    def _arrays(self) -> list[NDArray[Any]]:
        return [self._sums, self._totals]

    def _scores(self, rows: slice) -> ScoreRows:
        windows = self._sums[:, rows].sum(axis=0, dtype=np.float32)
        scores: ScoreRows = self._totals[:, rows] / np.maximum(windows, 1)
        return scores


class MeanScores(PixelSums):
    """The class with the highest mean score wins; in half precision, as Raster Vision adds scores up.

    Where more windows see a pixel than its counters can count, in single precision.
    """

    uses_scores = True

    def __init__(self, classes: int, grid: Grid, first: int, columns: Span):
        scores, hits = (np.float16, np.uint8) if grid.most_overlaps <= UINT8_MAX else (np.float32, np.uint16)
        super().__init__(classes, grid, first, columns, scores)
        self._hits = np.zeros(self._sums.shape[1:], hits)

    def add(self, rows: Span, columns: Span, predicted: NDArray[Any], place: tuple[int, int]) -> None:
        """Add a window's scores: classes × height × width."""
        local = self._local(rows, columns)
        self._sums[:, *local] += predicted.astype(self._sums.dtype)
        self._hits[local] += 1

    def _arrays(self) -> list[NDArray[Any]]:
        return [self._sums, self._hits]

    def _labels(self, rows: slice) -> LabelRows:
        return np.where(self._hits[rows], self._means(rows).argmax(axis=0), NULL_CLASS_ID).astype(np.uint8)

    def _scores(self, rows: slice) -> ScoreRows:
        return self._means(rows).astype(np.float32)

    def _means(self, rows: slice) -> NDArray[Any]:
        hits = self._hits[rows]
        means: NDArray[Any] = self._sums[:, rows] / np.where(hits, hits, np.ones((), hits.dtype))
        return means


class TaperedScores(MeanScores):
    """Scores count less towards a window's edge: Hann's window over what is not cut off, in single precision."""

    def __init__(self, classes: int, grid: Grid, first: int, columns: Span):
        PixelSums.__init__(self, classes, grid, first, columns, np.float32)
        self._hits = np.zeros(self._sums.shape[1:], np.float32)
        self._weights = taper(self._sums.shape[1])
        self._crop = grid.crop or 0

    def add(self, rows: Span, columns: Span, predicted: NDArray[Any], place: tuple[int, int]) -> None:
        """Add a window's weighted scores: classes × height × width."""
        local, (height, width) = self._local(rows, columns), predicted.shape[-2:]
        top, left = place[0] - self._crop, place[1] - self._crop
        weights = self._weights[top : top + height, left : left + width]
        self._sums[:, *local] += weights * predicted
        self._hits[local] += weights


def taper(size: int) -> NDArray[np.float32]:
    """Return a window's weights, size × size: 1 in its middle, close to 0 at its edge, and never 0."""
    along = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    return np.outer(along, along).astype(np.float32)


def pixel_sums(
    smooth: Smooth, classes: int, grid: Grid, first: int, columns: Span, with_scores: bool = False
) -> PixelSums:
    """Begin to add up what windows say, from a row of the image on; with scores where they are going to be wanted."""
    kinds: Mapping[Smooth, Callable[[int, Grid, int, Span], PixelSums]] = {
        False: VotesWithScores if with_scores else Votes,
        True: MeanScores,
        "tapered": TaperedScores,
    }
    return kinds[smooth](classes, grid, first, columns)


def uncertainty_of(scores: ScoreRows, measure: Literal["entropy", "margin"]) -> NDArray[np.float32]:
    """Measure how uncertain scores are.

    Args:
        scores: Classes × rows × width; the null class's do not count.
        measure: entropy, in units of the largest one there can be; margin: 1 minus the difference of the two largest.

    Returns:
        Rows × width, from 0 (certain) to 1.
    """
    shares = np.delete(scores, NULL_CLASS_ID, axis=0)
    if len(shares) == 1:
        return np.zeros(shares.shape[1:], np.float32)
    shares = shares / np.maximum(shares.sum(axis=0), np.finfo(np.float32).tiny)
    if measure == "margin":
        second, first = np.sort(shares, axis=0)[-2:]
        margin: NDArray[np.float32] = first - second
        return 1 - margin
    logarithms = np.log(np.maximum(shares, np.finfo(np.float32).tiny))
    entropy: NDArray[np.float32] = -(shares * logarithms).sum(axis=0) / np.log(np.float32(len(shares)))
    return entropy.clip(0, 1)
