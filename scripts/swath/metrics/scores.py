"""Precision, recall, F1, IoU, accuracy and kappa: their one definition, for pixels, cells and boxes alike.

Remote sensing calls precision *user's accuracy* and recall *producer's accuracy*.

All of them follow from counts: `hits` (what was predicted rightly), `actual` (what there is in the labels) and
`predicted` (what was predicted). A score that is undefined is None, never 0: each function says when that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swath.config.classes import NULL_CLASS_ID

Score = float | None
"""A share from 0 to 1; None where it is undefined."""


def precision(hits: float, predicted: float) -> Score:
    """Return the share of what was predicted that is right; None where nothing was predicted."""
    return float(hits / predicted) if predicted else None


def recall(hits: float, actual: float) -> Score:
    """Return the share of what there is that was found; None where there is nothing to find."""
    return float(hits / actual) if actual else None


def f1(hits: float, actual: float, predicted: float) -> Score:
    """Return the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    None where there is nothing to find, so that a class that the labels do not have is no part of a mean; 0 where there
    is something, and nothing was predicted.
    """
    return float(2 * hits / (actual + predicted)) if actual else None


def iou(hits: float, actual: float, predicted: float) -> Score:
    """Return intersection over union, TP / (TP + FP + FN); None and 0 where :func:`f1` is."""
    return float(hits / (actual + predicted - hits)) if actual else None


def accuracy(hits: float, actual: float) -> Score:
    """Return the share of everything labelled, whatever its class, that is right; None where nothing is labelled."""
    return float(hits / actual) if actual else None


def kappa(confusion: NDArray[np.int64]) -> Score:
    """Return Cohen's kappa: agreement beyond what the shares of the classes alone would give, (p - e) / (1 - e).

    None where nothing is labelled, or where there is one class alone, in labels and predictions.

    Args:
        confusion: Rows: labels, columns: predictions, of the same classes.
    """
    total = float(confusion.sum())
    if not total:
        return None
    agreed = float(np.trace(confusion)) / total
    by_chance = float((confusion.sum(axis=0) * confusion.sum(axis=1).astype(float)).sum()) / total**2
    return (agreed - by_chance) / (1 - by_chance) if by_chance < 1 else None


def mean_of_defined(scores: Iterable[Score]) -> Score:
    """Return the mean of the scores that are defined; None where none is."""
    defined = [score for score in scores if score is not None]
    return float(np.mean(defined)) if defined else None


@dataclass(frozen=True)
class ClassScores:
    """Scores by class.

    Attributes:
        macro_f1: Mean F1 of the classes that the labels have.
        f1, precision, recall: By class.
    """

    macro_f1: Score
    f1: dict[str, Score]
    precision: dict[str, Score]
    recall: dict[str, Score]


def class_scores(
    classes: Sequence[str], hits: Sequence[float], actual: Sequence[float], predicted: Sequence[float]
) -> ClassScores:
    """Compute the scores by class.

    Args:
        classes: Names of the classes that count.
        hits, actual, predicted: Counts, in the order of the classes.
    """
    counts = list(zip(classes, hits, actual, predicted, strict=True))
    by_class = {name: f1(hit, there, said) for name, hit, there, said in counts}
    return ClassScores(
        macro_f1=mean_of_defined(by_class.values()),
        f1=by_class,
        precision={name: precision(hit, said) for name, hit, _, said in counts},
        recall={name: recall(hit, there) for name, hit, there, _ in counts},
    )


# --- of confusion matrices ------------------------------------------------------------------------


@dataclass(frozen=True)
class ConfusionScores(ClassScores):
    """Scores of pixels or cells.

    Attributes:
        accuracy: Share of what is labelled that is right.
        balanced_accuracy: Mean recall of the classes that the labels have.
        kappa: Cohen's kappa.
        mean_iou: Mean IoU of the classes that the labels have.
        iou: By class.
        labelled: How many pixels or cells are labelled.
        confusion: Rows: labels, columns: predictions; the null class left out of the rows.
    """

    accuracy: Score
    balanced_accuracy: Score
    kappa: Score
    mean_iou: Score
    iou: dict[str, Score]
    labelled: int
    confusion: list[list[int]]


@dataclass(frozen=True)
class Metrics:
    """What an evaluation measures.

    Attributes:
        classes: Class names by id.
        overall: Over all scenes together: the scores by class, and what is the task's own.
        scenes: The same by scene id.
    """

    classes: list[str]
    overall: ClassScores
    scenes: Mapping[str, ClassScores]


def confusion_metrics(confusions: Mapping[str, NDArray[np.int64]], classes: Sequence[str]) -> Metrics:
    """Compute accuracy and F1 over what is labelled: pixels, or cells.

    Args:
        confusions: Scene id → its confusion matrix (rows: labels, columns: predictions, by class id).
        classes: Class names by id, the null class first.
    """
    scenes = {scene: confusion_scores(matrix, classes) for scene, matrix in sorted(confusions.items())}
    return Metrics(list(classes), confusion_scores(np.sum(list(confusions.values()), axis=0), classes), scenes)


def confusion_scores(confusion: NDArray[np.int64], classes: Sequence[str]) -> ConfusionScores:
    """Compute the scores that follow from a confusion matrix.

    Args:
        confusion: Rows: labels, columns: predictions, by class id.
        classes: Class names by id, the null class first.
    """
    labelled = np.delete(confusion, NULL_CLASS_ID, axis=0)
    hits = np.diag(confusion)[1:]
    actual, predicted = labelled.sum(axis=1), labelled.sum(axis=0)[1:]
    total = int(actual.sum())
    counts = list(zip(classes[1:], hits.tolist(), actual.tolist(), predicted.tolist(), strict=True))
    by_class = class_scores(*zip(*counts, strict=True))
    overlaps = {name: iou(hit, there, said) for name, hit, there, said in counts}
    return ConfusionScores(
        **vars(by_class),
        accuracy=accuracy(int(hits.sum()), total),
        balanced_accuracy=mean_of_defined(by_class.recall.values()),
        kappa=kappa(np.vstack([0 * confusion[:1], labelled])),
        mean_iou=mean_of_defined(overlaps.values()),
        iou=overlaps,
        labelled=total,
        confusion=labelled.astype(int).tolist(),
    )
