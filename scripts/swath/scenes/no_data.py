"""Where an image has no data: in none of the bands the model sees. Labels, maps and scores ask here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window

WINDOW = 1024  # pixels, of a side
NoData = Callable[[Window], NDArray[np.bool_]]
"""Says of a window's pixels, height × width, whether they are without data."""


@contextmanager
def no_data(image: str, bands: Sequence[int]) -> Iterator[NoData | None]:
    """Open an image to ask where it has no data.

    A pixel has none where every band is masked (by the nodata value, a mask or transparency) or not a number.

    Args:
        image: The image.
        bands: 0-based indices of the bands the model sees.

    Yields:
        What says so window by window; None for an image whose header rules it out.
    """
    with rasterio.open(image) as dataset:
        yield no_data_in(dataset, [band + 1 for band in bands])


def no_data_in(dataset: Any, numbers: Sequence[int]) -> NoData | None:
    """Say where an image that is open has no data, as :func:`no_data` does.

    Args:
        dataset: Rasterio's.
        numbers: Of the bands the model sees, from 1.
    """
    if all(_is_always_there(dataset, number) for number in numbers):
        return None

    def hidden(window: Window) -> NDArray[np.bool_]:
        empty = np.ones((window.height, window.width), bool)
        for number in numbers:
            masked = dataset.read_masks(number, window=window) == 0
            if np.dtype(dataset.dtypes[number - 1]).kind == "f":
                masked |= np.isnan(dataset.read(number, window=window))
            empty &= masked
            if not empty.any():
                break
        return empty

    return hidden


def either(one: NoData | None, other: NoData | None) -> NoData | None:
    """Join what says of pixels that they do not count; None where neither does."""
    if one is None or other is None:
        return one or other
    return lambda window: one(window) | other(window)


def _is_always_there(dataset: Any, number: int) -> bool:
    flags = dataset.mask_flag_enums[number - 1]
    return bool(flags == [MaskFlags.all_valid] and np.dtype(dataset.dtypes[number - 1]).kind != "f")


def without_data(image: str, bands: Sequence[int]) -> NDArray[np.bool_]:
    """Find the pixels where no band has data.

    Args:
        image: The image.
        bands: 0-based indices of the bands the model sees.

    Returns:
        Height × width; all False when the image declares no nodata value and no mask, and has no such values.
    """
    with rasterio.open(image) as dataset:
        height, width = dataset.shape
    found = np.zeros((height, width), bool)
    with no_data(image, bands) as hidden:
        for row, column in product(range(0, height, WINDOW), range(0, width, WINDOW)) if hidden else ():
            assert hidden is not None
            window = Window(column, row, min(WINDOW, width - column), min(WINDOW, height - row))
            found[row : row + WINDOW, column : column + WINDOW] = hidden(window)
    return found


def is_mostly_hidden(hidden: NoData, window: Window) -> bool:
    """Tell whether more than half of a window's pixels are without data.

    Args:
        hidden: Says where there is no data.
        window: Lies on the image.
    """
    return bool(hidden(window).mean() > 0.5)
