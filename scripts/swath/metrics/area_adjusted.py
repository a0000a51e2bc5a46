"""Accuracy and areas of a map from a stratified sample of reference points.

The estimators are those of Olofsson, P., Foody, G. M., Herold, M., Stehman, S. V., Woodcock, C. E. and Wulder, M. A.
(2014): Good practices for estimating area and assessing accuracy of land change. Remote Sensing of Environment 148,
42-57. https://doi.org/10.1016/j.rse.2014.02.015 (equations 2 to 13).
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
        classes: Names of the classes.
        matrix: Estimated shares of the map's area: rows are the map's classes, columns the reference's.
        overall: Overall accuracy.
        users: User's accuracy by class: of what the map says, the share that is right.
        producers: Producer's accuracy by class: of what there is, the share that the map says.
        areas: Area by class, in the unit of the map's.
    """

    classes: Sequence[str]
    matrix: Numbers
    overall: Estimate
    users: Sequence[Estimate]
    producers: Sequence[Estimate]
    areas: Sequence[Estimate]


def area_adjusted(counts: NDArray[np.int64], mapped: Sequence[float], classes: Sequence[str]) -> AreaAdjusted:
    """Estimate accuracy and areas; strata are the map's classes.

    Args:
        counts: Points by class of the map (rows) and of the reference (columns).
        mapped: Area of each class of the map, in any unit.
        classes: Their names.

    Raises:
        ValueError: If a class that the map has was sampled less than twice: there is no variance of one point.
    """
    drawn, area = counts.sum(axis=1).astype(float), np.asarray(mapped, float)
    if (drawn[area > 0] < 2).any():
        few = [name for name, n, one in zip(classes, drawn, area, strict=True) if one > 0 and n < 2]
        raise ValueError(f"fewer than two points in {', '.join(few)}")
    total = area.sum()
    weights = area / total
    shares = np.divide(counts, drawn[:, None], out=np.zeros(counts.shape), where=drawn[:, None] > 0)
    matrix = weights[:, None] * shares
    free = np.maximum(drawn - 1, 1)
    users = np.where(drawn > 0, np.diag(shares), np.nan)
    of_users = users * (1 - users) / free
    there = matrix.sum(axis=0)
    of_areas = (weights[:, None] ** 2 * shares * (1 - shares) / free[:, None]).sum(axis=0)
    overall = float(np.trace(matrix))
    of_overall = float(np.nansum(weights**2 * of_users))
    producers = np.divide(np.diag(matrix), there, out=np.full(len(there), np.nan), where=there > 0)
    return AreaAdjusted(
        list(classes),
        matrix,
        Estimate(overall, Z * of_overall**0.5),
        _estimates(users, of_users),
        _estimates(producers, _of_producers(shares, area, drawn, users, of_users, producers)),
        _estimates(there * total, of_areas * total**2),
    )


def _of_producers(
    shares: Numbers, area: Numbers, drawn: Numbers, users: Numbers, of_users: Numbers, producers: Numbers
) -> Numbers:
    """Return the variances of producer's accuracies (equation 7)."""
    there = (area[:, None] * shares).sum(axis=0)  # estimated area of each class of the reference
    free = np.maximum(drawn - 1, 1)
    spread = area[:, None] ** 2 * shares * (1 - shares) / free[:, None]
    others = spread.sum(axis=0) - np.diag(spread)
    own = area**2 * (1 - producers) ** 2 * np.nan_to_num(of_users)
    return np.divide(own + producers**2 * others, there**2, out=np.full(len(there), np.nan), where=there > 0)


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


def allocate(number: int, mapped: Sequence[float], least: int = 50) -> list[int]:
    """Share points out to the classes of a map: in proportion to their areas, but none less than some.

    Args:
        number: Points in all.
        mapped: Area of each class; one without area gets none.
        least: Points of a class, where there are as many to share out.
    """
    area = np.asarray(mapped, float)
    there = area > 0
    floor = np.where(there, min(least, number // max(int(there.sum()), 1)), 0)
    rest = number - int(floor.sum())
    shares = rest * area / area.sum()
    given = np.floor(shares).astype(int)
    for index in np.argsort(given - shares, kind="stable")[: rest - int(given.sum())]:
        given[index] += 1
    return [int(count) for count in floor + given]
