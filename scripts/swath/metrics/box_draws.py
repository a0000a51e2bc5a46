"""COCO's average precision of any draw of whole scenes, from how the boxes of every scene were matched once.

A scene that is drawn twice counts twice: its labels, and its boxes, each of which has found the label that it found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0.0, 1.0, 101)
"""At which COCO reads precision."""
THRESHOLDS = 10
"""IoU 0.50 to 0.95."""
MOST_AT_ONCE = 2_000_000
"""Numbers of draws × boxes."""
Numbers = NDArray[np.float64]


def text_of_matches(scores: Sequence[float], hits: NDArray[np.bool_]) -> str:
    """Write boxes, the best score first: each one's score, and at which IoU thresholds it found a label, as bits.

    Args:
        scores: Of the boxes.
        hits: Whether they found a label, thresholds × boxes; the first threshold is the lowest bit.
    """
    bits = (hits.astype(np.int64) << np.arange(len(hits))[:, None]).sum(axis=0)
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    return " ".join(f"{scores[index]:.7g}:{bits[index]:x}" for index in order)


@dataclass(frozen=True)
class MatchedBoxes:
    """The boxes of one class in several scenes, the best score first.

    Attributes:
        scene: Number of each box's scene.
        hits: Whether it found a label, thresholds × boxes.
        actual: Labels by scene.
    """

    scene: NDArray[np.int64]
    hits: NDArray[np.bool_]
    actual: Numbers


def matched_boxes(scenes: Sequence[tuple[str, float]]) -> MatchedBoxes:
    """Put the boxes of a class together.

    Args:
        scenes: Of each scene what :func:`text_of_matches` has written, and how many labels there are.
    """
    words = [text.split() for text, _ in scenes]
    parts = [word.split(":") for of_scene in words for word in of_scene]
    scores, bits = np.array([float(score) for score, _ in parts]), np.array([int(bit, 16) for _, bit in parts], int)
    order = np.argsort(-scores, kind="stable")
    hits = ((bits[order] >> np.arange(THRESHOLDS)[:, None]) & 1).astype(bool)
    found = np.flatnonzero(hits.any(axis=0))
    last = int(found[-1]) + 1 if found.size else 0  # what comes behind changes nothing
    scene = np.repeat(np.arange(len(words)), [len(of_scene) for of_scene in words])[order]
    return MatchedBoxes(scene[:last], hits[:, :last], np.array([actual for _, actual in scenes], float))


def precision_of_draws(metric: str, classes: Mapping[str, MatchedBoxes], times: Numbers) -> Numbers:
    """Return mAP50 or mAP of draws of scenes; not-a-number where no label was drawn.

    Args:
        metric: mAP50, or mAP.
        classes: The boxes by class.
        times: How often each scene is drawn, draws × scenes.
    """
    thresholds = 1 if metric == "mAP50" else THRESHOLDS
    total, number = np.zeros(len(times)), np.zeros(len(times))
    for boxes in classes.values():
        actual = times @ boxes.actual
        total += np.where(actual > 0, _of_class(boxes, times, actual, thresholds), 0.0)
        number += actual > 0
    return np.divide(total, number, out=np.full(len(times), np.nan), where=number > 0)


def _of_class(boxes: MatchedBoxes, times: Numbers, actual: Numbers, thresholds: int) -> Numbers:
    """Return the average precision of a class, the mean over some thresholds."""
    found = np.zeros(len(times))
    if not len(boxes.scene):
        return found
    step = max(1, MOST_AT_ONCE // len(boxes.scene))
    for start in range(0, len(times), step):
        part = slice(start, start + step)
        weights = times[part][:, boxes.scene]
        above = np.cumsum(weights, axis=1)
        for hits in boxes.hits[:thresholds]:
            right = np.cumsum(weights * hits, axis=1)
            precision = np.divide(right, above, out=np.zeros_like(above), where=above > 0)
            best_beyond = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            recall = right / np.maximum(actual[part], 1e-9)[:, None]
            for row in range(len(weights)):
                places = np.searchsorted(recall[row], RECALLS)
                there = places < recall.shape[1]
                found[start + row] += best_beyond[row, places[there]].sum() / len(RECALLS)
    return found / thresholds
