"""How one image's grid lies on another's: plain numbers, without a library that Snakemake's process does not import."""

from __future__ import annotations

from collections.abc import Sequence

from swath.scenes.facts import ImageHeader

ON_GRID = 1e-2
"""Pixels by which a grid may be shifted against another and still count as the same."""


def shift_of(one: Sequence[float], other: Sequence[float], size: int) -> tuple[int, int] | None:
    """Return row and column of a grid's corner on another grid; None where pixels do not lie on pixels.

    Args:
        one, other: Their six coefficients, from pixels to the CRS that they share.
        size: Pixels of the longest side.
    """
    a, b, c, d, e, f = other
    determinant = a * e - b * d
    x, y = one[2] - c, one[5] - f
    column, row = (e * x - b * y) / determinant, (a * y - d * x) / determinant
    steps = ((e * one[0] - b * one[3]), (e * one[1] - b * one[4]), (a * one[3] - d * one[0]), (a * one[4] - d * one[1]))
    turned = [step / determinant for step in steps]
    if max(abs(value - wanted) for value, wanted in zip(turned, (1, 0, 0, 1), strict=True)) * size > ON_GRID:
        return None
    if max(abs(column - round(column)), abs(row - round(row))) > ON_GRID:
        return None
    return round(row), round(column)


def fits(one: ImageHeader, other: ImageHeader) -> bool:
    """Tell whether two images mean the same by the same value: one CRS and type, and the same bands in one order."""
    alike = ("crs", "dtype", "count", "bands", "alpha", "scaling")
    return all(getattr(one, name) == getattr(other, name) for name in alike)


def place_on(one: ImageHeader, other: ImageHeader) -> tuple[int, int] | None:
    """Return row and column of an image's corner on the grid of another; None if they are not read as one."""
    size = max(one.width, one.height, other.width, other.height)
    return shift_of(one.transform, other.transform, size) if fits(one, other) else None
