"""Accuracy and areas of a map from a stratified sample of reference points.

Where strata are the map's classes, the estimators are those of Olofsson, P., Foody, G. M., Herold, M., Stehman, S. V.,
Woodcock, C. E. and Wulder, M. A. (2014): Good practices for estimating area and assessing accuracy of land change.
Remote Sensing of Environment 148, 42-57. https://doi.org/10.1016/j.rse.2014.02.015 (equations 2 to 13). They are a
special case of those for any strata, which stand here: Stehman, S. V. (2014): Estimating area and map accuracy for
stratified random sampling when the strata are different from the map classes. International Journal of Remote Sensing
35, 4923-4939. https://doi.org/10.1080/01431161.2014.930207.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""Standard deviations on both sides of a mean that hold 95 % of a normal distribution."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimate.

    Attributes:
        value: The estimate; not-a-number where nothing can be said.
        margin: Half of its 95 % interval.
    """

    value: float
    margin: float


@dataclass(frozen=True)
class AreaAdjusted:
    """What a sample says of a map.

    Attributes:
        matrix: Estimated shares of the map's area: rows are the map's classes, columns the reference's.
        overall: Overall accuracy.
        users: User's accuracy by class: of what the map says, the share that is right.
        producers: Producer's accuracy by class: of what there is, the share that the map says.
        shares: Share of the map's area that each class of the reference takes.
    """

    matrix: Numbers
    overall: Estimate
    users: Sequence[Estimate]
    producers: Sequence[Estimate]
    shares: Sequence[Estimate]


def area_adjusted(
    counts: NDArray[np.int64], areas: Sequence[float], whole: Sequence[bool] | None = None
) -> AreaAdjusted:
    """Estimate accuracy and areas.

    Args:
        counts: Points by stratum, class of the map and class of the reference, strata × classes × classes; of a map
            whose classes are the strata what :func:`in_classes` returns.
        areas: Area of each stratum, in any unit.
        whole: Whether all there is of a stratum was looked at, so that nothing is left to chance.

    Raises:
        ValueError: For a stratum with an area and less than two points, but for one that was looked at as a whole:
            there is no variance of one point.
    """
    area, drawn = np.asarray(areas, float), counts.sum(axis=(1, 2)).astype(float)
    known = np.zeros(len(area), bool) if whole is None else np.asarray(whole, bool)
    if ((area > 0) & (drawn < np.where(known, 1, 2))).any():
        raise ValueError("fewer than two points in a stratum")
    weights = area / area.sum()
    shares = np.divide(counts, drawn[:, None, None], out=np.zeros(counts.shape), where=drawn[:, None, None] > 0)
    spread = np.where(known, 0.0, weights**2 / np.maximum(drawn - 1, 1))
    right = np.diagonal(shares, axis1=1, axis2=2)  # strata × classes
    of_overall = right.sum(axis=1)
    of_reference = shares.sum(axis=1)
    overall, margin = weights @ of_overall, Z * np.sqrt(spread @ (of_overall * (1 - of_overall)))
    return AreaAdjusted(
        np.tensordot(weights, shares, 1),
        Estimate(float(overall), float(margin)),
        _ratios(right, shares.sum(axis=2), weights, spread),
        _ratios(right, of_reference, weights, spread),
        _estimates(weights @ of_reference, spread @ (of_reference * (1 - of_reference))),
    )


def in_classes(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give points by class of the map and of the reference as those of strata that are the map's classes."""
    cube = np.zeros((len(counts), *counts.shape), np.int64)
    cube[np.arange(len(counts)), np.arange(len(counts))] = counts
    return cube


def _ratios(part: Numbers, of: Numbers, weights: Numbers, spread: Numbers) -> list[Estimate]:
    """Estimate ratios of areas, one of which is a part of the other.

    Args:
        part, of: Shares of a stratum's points that lie in both, strata × classes.
        weights: Share of the area that each stratum takes.
        spread: Its square, over the degrees of freedom.
    """
    area = weights @ of
    ratio = np.divide(weights @ part, area, out=np.full(len(area), np.nan), where=area > 0)
    mean = part - ratio * of  # of what a point adds to the numerator beyond its ratio of the denominator
    square = (1 - ratio) ** 2 * part + ratio**2 * (of - part)
    variance = np.divide(spread @ (square - mean**2), area**2, out=np.full(len(area), np.nan), where=area > 0)
    return _estimates(ratio, np.maximum(variance, 0))  # rounding may take it below


def _estimates(values: Numbers, variances: Numbers) -> list[Estimate]:
    return [Estimate(float(value), float(Z * variance**0.5)) for value, variance in zip(values, variances, strict=True)]


def points_needed(mapped: Sequence[float], expected: Sequence[float], margin: float) -> int:
    """Say how many points give the overall accuracy an interval of so much to both sides (equation 13).

    Args:
        mapped: Area of each class of the map.
        expected: The user's accuracy that is expected of each.
        margin: Half of the wanted 95 % interval, such as 0.03.
    """
    weights = np.asarray(mapped, float) / np.sum(mapped)
    spread = (weights * np.sqrt(np.asarray(expected) * (1 - np.asarray(expected)))).sum()
    return int(np.ceil((spread / (margin / Z)) ** 2))


def margin_of(points: Sequence[int], mapped: Sequence[float], expected: Sequence[float]) -> float:
    """Say which interval points give the overall accuracy: half of it, if accuracies are as expected (equation 5).

    Args:
        points: Points of each class of the map.
        mapped: Its area.
        expected: The user's accuracy that is expected of it.
    """
    weights, right = np.asarray(mapped, float) / np.sum(mapped), np.asarray(expected, float)
    return float(Z * (weights**2 * right * (1 - right) / np.maximum(points, 1)).sum() ** 0.5)


def allocate(number: int, mapped: Sequence[float], least: int) -> list[int]:
    """Share points out to the classes of a map: in proportion to their areas, but to none less than some.

    Args:
        number: Points in all.
        mapped: Area of each class; one without area gets none.
        least: Points of the rarest classes, if there are as many to share out.
    """
    weights = np.asarray(mapped, float) / np.sum(mapped)
    there = weights > 0
    floor = min(least, number // max(int(there.sum()), 1))
    rare = np.zeros(len(weights), bool)
    while True:
        common = there & ~rare
        of_common = weights[common].sum() or 1.0
        shares = np.where(common, weights, 0) / of_common * (number - floor * rare.sum())
        if not (common & (shares < floor)).any():
            break
        rare |= common & (shares < floor)
    given = np.where(rare, floor, np.floor(shares)).astype(int)
    left = number - int(given.sum()) if common.any() else 0
    for index in np.argsort(given - shares, kind="stable")[:left]:
        given[index] += 1
    return [int(count) for count in given]
