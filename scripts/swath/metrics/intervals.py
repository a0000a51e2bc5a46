"""How much of a difference is chance: intervals over repeats, and over whole scenes.

Repeats say how much a result depends on luck in training: Student's t over runs. Scenes say how much it depends on
which places were looked at: a bootstrap that draws whole scenes, since the pixels of one scene are not independent of
each other (bias-corrected and accelerated: Efron 1987, https://doi.org/10.2307/2289144).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
FEWEST_SCENES = 6
"""With fewer, what draws of scenes say is far from what it should be."""
DRAWS = 2000
"""At least; and so many that twenty of them lie outside an interval."""
FARTHEST = 0.999
"""An interval that is to hold more of the draws than this is not read off them, but follows from their spread."""

Numbers = NDArray[np.float64]
ScoreOf = Callable[[Numbers], Numbers]
"""From counts, draws × …, to a score for each draw; not-a-number where it is undefined."""


@dataclass(frozen=True)
class Interval:
    """An interval that holds what is estimated with some confidence.

    Attributes:
        low, high: Its ends.
    """

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Tell whether a value lies in it."""
        return self.low <= value <= self.high


def of_mean(values: Sequence[float], confidence: float = CONFIDENCE, folds: int = 1) -> Interval | None:
    """Return the interval of a mean over repeats, by Student's t; None of fewer than two, or where all are equal.

    Models of different folds share most of their training scenes, so that their scores differ less than those of
    models that share none: the interval is widened as Nadeau and Bengio (2003,
    https://doi.org/10.1023/A:1024068626366) propose.

    Args:
        values: One per run; those that are not-a-number are left out.
        confidence: How often the interval is to hold the true mean.
        folds: Over how many folds the runs are spread.
    """
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2 or np.ptp(known) <= 1e-12 * max(1.0, float(np.abs(known).max())):
        return None
    shared = len(known) / (folds - 1) if folds > 1 else 0.0
    mean, error = float(known.mean()), float(stats.sem(known)) * math.sqrt(1 + shared)
    half = error * float(stats.t.ppf((1 + confidence) / 2, len(known) - 1))
    return Interval(mean - half, mean + half)


def over_scenes(counts: Numbers, score: ScoreOf, confidence: float = CONFIDENCE, seed: int = 0) -> Interval | None:
    """Return the interval of a score over scenes, by draws of whole scenes; None of fewer than six, or without spread.

    Args:
        counts: What was counted in each scene: scenes × ….
        score: The score of counts that are added up.
        confidence: How often the interval is to hold the score of all such scenes.
        seed: Of the draws.
    """
    if len(counts) < FEWEST_SCENES:
        return None

    flat = counts.reshape(len(counts), -1)

    def of_draws(numbers: NDArray[np.int64], axis: int) -> Numbers:
        drawn = np.atleast_2d(np.moveaxis(numbers, axis, -1))
        times = np.zeros((len(drawn), len(counts)))
        np.add.at(times, (np.arange(len(drawn))[:, None], drawn), 1)
        found = score((times @ flat).reshape(len(drawn), *counts.shape[1:]))
        return found if numbers.ndim > 1 else found[0]

    each = score((flat.sum(axis=0) - flat).reshape(counts.shape))  # without one scene
    if not np.isfinite(each).all() or np.ptp(each) == 0:
        return None  # a scene alone has a class, or all say the same: draws say nothing then
    quantile = stats.t.ppf((1 + confidence) / 2, len(counts) - 1)
    wider = 1 - 2 * float(stats.norm.sf(quantile * math.sqrt(len(counts) / (len(counts) - 1))))
    found = stats.bootstrap(
        (np.arange(len(counts)),),
        of_draws,
        n_resamples=max(DRAWS, math.ceil(20 / (1 - min(wider, FARTHEST)))),
        vectorized=True,
        confidence_level=min(wider, FARTHEST),
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    if wider > FARTHEST:
        middle, half = float(score(flat.sum(axis=0).reshape(1, *counts.shape[1:]))[0]), quantile * found.standard_error
        low, high = middle - half, middle + half
    else:
        low, high = found.confidence_interval
    return Interval(float(low), float(high)) if np.isfinite([low, high]).all() else None


def counts_of(confusion: Sequence[Sequence[int]]) -> Numbers:
    """Return (hits, actual, predicted) × classes of a confusion matrix.

    Args:
        confusion: Rows: labels, without the null class; columns: predictions, with it.
    """
    matrix = np.array(confusion, float)
    return np.stack([np.diagonal(matrix[:, 1:]), matrix.sum(axis=1), matrix[:, 1:].sum(axis=0)])


def score_of(metric: str, classes: Sequence[str]) -> ScoreOf:
    """Return what computes a metric from counts, as :mod:`swath.metrics.scores` defines it.

    Args:
        metric: Such as macro_f1, kappa or f1.water; mAP does not follow from counts, but from boxes: see box_draws.
        classes: Class names by id, the null class first.

    Returns:
        A function of counts, … × (hits, actual, predicted) × classes.
    """
    kind, _, name = metric.partition(".")
    if not name:
        return lambda counts: _OVERALL[kind](*np.moveaxis(counts, -2, 0))
    index = list(classes[1:]).index(name)
    return lambda counts: _BY_CLASS[kind](*np.moveaxis(counts, -2, 0))[..., index]


def _share(part: Numbers, whole: Numbers) -> Numbers:
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def _f1(hits: Numbers, actual: Numbers, predicted: Numbers) -> Numbers:
    return np.where(actual > 0, _share(2 * hits, actual + predicted), np.nan)


def _iou(hits: Numbers, actual: Numbers, predicted: Numbers) -> Numbers:
    return np.where(actual > 0, _share(hits, actual + predicted - hits), np.nan)


def _mean(scores: Numbers) -> Numbers:
    known = np.isfinite(scores)
    return _share(np.where(known, scores, 0).sum(axis=-1), known.sum(axis=-1))


def _kappa(hits: Numbers, actual: Numbers, predicted: Numbers) -> Numbers:
    total = actual.sum(axis=-1)
    agreed = _share(hits.sum(axis=-1), total)
    by_chance = _share((actual * predicted).sum(axis=-1), total**2)
    return _share(agreed - by_chance, np.where(by_chance < 1, 1 - by_chance, 0))


OfCounts = Callable[[Numbers, Numbers, Numbers], Numbers]
"""From hits, actual and predicted, each … × classes."""
_BY_CLASS: Mapping[str, OfCounts] = {
    "f1": _f1,
    "iou": _iou,
    "precision": lambda hits, actual, predicted: _share(hits, predicted),
    "recall": lambda hits, actual, predicted: _share(hits, actual),
}
_OVERALL: Mapping[str, OfCounts] = {
    "macro_f1": lambda *counts: _mean(_f1(*counts)),
    "mean_iou": lambda *counts: _mean(_iou(*counts)),
    "balanced_accuracy": lambda hits, actual, predicted: _mean(_share(hits, actual)),
    "accuracy": lambda hits, actual, predicted: _share(hits.sum(axis=-1), actual.sum(axis=-1)),
    "kappa": _kappa,
}
