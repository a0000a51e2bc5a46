"""Metrics of tasks whose predictions are compared class by class: from Raster Vision's confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.config.classes import NULL_CLASS_ID


def confusion_metrics(result: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Compute accuracy and F1 over what is labelled: pixels, or cells.

    Args:
        result: The content of Raster Vision's eval.json.
        classes: Class names by id, the null class first.

    Returns:
        ``overall`` and, by scene id, ``scenes``; each with `accuracy`, `macro_f1` (mean over the classes that occur
        in the labels), `f1`, `precision`, `recall` by class (None where undefined), `labelled` (number of labelled
        pixels or cells) and `confusion` (rows: labels, columns: predictions; the null class left out of the rows).
    """
    scenes = {name: _scores(_confusion(items), classes) for name, items in sorted(result["per_scene"].items())}
    overall = sum(_confusion(items) for items in result["per_scene"].values())
    return {"classes": list(classes), "overall": _scores(np.asarray(overall), classes), "scenes": scenes}


def _confusion(items: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    return np.array(next(item["conf_mat"] for item in items if item["class_name"] == "average"))


def _scores(confusion: NDArray[Any], classes: Sequence[str]) -> dict[str, Any]:
    labelled = np.delete(confusion, NULL_CLASS_ID, axis=0)
    hits = np.diag(confusion)[1:]
    actual, predicted = labelled.sum(axis=1), labelled.sum(axis=0)[1:]
    total = int(actual.sum())
    return {
        "accuracy": float(hits.sum() / total) if total else None,
        **class_scores(classes[1:], hits, actual, predicted),
        "labelled": total,
        "confusion": labelled.astype(int).tolist(),
    }


def class_scores(
    classes: Sequence[str], hits: NDArray[Any], actual: NDArray[Any], predicted: NDArray[Any]
) -> dict[str, Any]:
    """Compute precision, recall and F1 by class, and macro-F1.

    Args:
        classes: Names of the classes that count.
        hits: True positives by class.
        actual: How many there are in the labels, by class.
        predicted: How many were predicted, by class.

    Returns:
        `macro_f1` (mean over the classes that occur in the labels), `f1`, `precision`, `recall` by class (None where
        undefined; F1 is None for a class that does not occur).
    """
    f1: dict[str, float | None] = {}
    precision: dict[str, float | None] = {}
    recall: dict[str, float | None] = {}
    for name, hit, there, said in zip(classes, hits, actual, predicted, strict=True):
        precision[name] = float(hit / said) if said else None
        recall[name] = float(hit / there) if there else None
        f1[name] = float(2 * hit / (there + said)) if there else None
    occurring = [value for value in f1.values() if value is not None]
    return {
        "macro_f1": float(np.mean(occurring)) if occurring else None,
        "f1": f1,
        "precision": precision,
        "recall": recall,
    }
