"""Windows read straight from the image, where Raster Vision builds a virtual raster around it for every read."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rastervision.core.data.utils.rasterio import read_window as read_boundless

Window = tuple[tuple[int, int], tuple[int, int]]
"""Rows and columns: ``((start, stop), (start, stop))``."""

PROCESS = os.getpid()
"""The process that imported this module; a forked one has another id."""

ONE_AT_A_TIME = threading.Lock()
"""Threads share a dataset's handle, which must not be used by two at once."""

TYPES = {"uint8", "int8", "uint16", "int16", "float32", "float64"}
"""Types whose values the virtual raster hands through; in longer integers it takes neighbours for the nodata value."""


def read_window(
    dataset: Any,
    bands: Sequence[int] | None = None,
    window: Window | None = None,
    is_masked: bool = False,
    out_shape: tuple[int, ...] | None = None,
    session: Any = None,
) -> np.ndarray:
    """Read a window: the same bytes as Raster Vision's function of this name gives, sooner.

    What is not known to give the same bytes is left to Raster Vision's function.

    Args:
        dataset: A rasterio dataset, opened for reading.
        bands: Numbers of the bands, from 1; all, if None.
        window: Rows and columns, which may reach over the image's edges; the whole image, if None.
        is_masked: Whether masked pixels become 0; RasterioSource always says so.
        out_shape: Height and width to resize to.
        session: Rasterio's session for remote files.

    Returns:
        The pixels, height × width × bands, of the image's dtype; 0 where there is no data.
    """
    if out_shape is None and _is_inside(window, dataset) and _is_plain(dataset) and _is_ours():
        can_be_masked = _can_be_masked(dataset)
        if can_be_masked is False or (can_be_masked and is_masked):
            with ONE_AT_A_TIME, rasterio.Env(session=session) if session else nullcontext():
                return _read(dataset, bands, window, can_be_masked)
    return read_boundless(dataset, bands, window, is_masked, out_shape, session)


def _read(dataset: Any, bands: Sequence[int] | None, window: Window | None, masked: bool) -> np.ndarray:
    numbers = None if bands is None else tuple(bands)
    pixels = dataset.read(indexes=numbers, window=window, masked=masked)
    return np.ma.filled(pixels, 0).transpose(1, 2, 0)


def _is_inside(window: Window | None, dataset: Any) -> bool:
    """Tell whether a window lies in the image; a window that is no pair of pairs of integers is said not to."""
    if not isinstance(window, tuple):
        return False
    edges = zip(window, dataset.shape, strict=True)
    return all(
        isinstance(start, int | np.integer) and isinstance(stop, int | np.integer) and 0 <= start < stop <= size
        for (start, stop), size in edges
    )


def _is_plain(dataset: Any) -> bool:
    """Tell whether the virtual raster would show the image as it is: it knows no rotation and mixes no types."""
    transform = dataset.transform
    return transform.b == 0 and transform.d == 0 and len(set(dataset.dtypes)) == 1 and dataset.dtypes[0] in TYPES


def _is_ours() -> bool:
    """Tell whether the dataset's handle is this process's alone.

    Forked processes share the file's position, so that both could read each other's pixels. The virtual raster opens
    the file anew.
    """
    return os.getpid() == PROCESS


def _can_be_masked(dataset: Any) -> bool | None:
    """Tell whether pixels can be masked; None where the virtual raster would mask others than the image does."""
    flags = dataset.mask_flag_enums
    if any(value is not None for value in dataset.nodatavals):
        return True if _has_one_nodata_value(dataset) and all(band == [MaskFlags.nodata] for band in flags) else None
    if all(band == [MaskFlags.all_valid] for band in flags):
        return False
    by_mask = all(MaskFlags.per_dataset in band and MaskFlags.alpha not in band for band in flags)
    return True if by_mask or _is_masked_by_alpha(dataset, flags) else None


def _has_one_nodata_value(dataset: Any) -> bool:
    """Tell whether all bands have the same nodata value, and one that a pixel can have."""
    value = dataset.nodatavals[0]
    if len(set(map(str, dataset.nodatavals))) > 1:  # as text, because NaN does not equal itself
        return False
    return not np.isinf(value) if dataset.dtypes[0].startswith("float") else value.is_integer()


def _is_masked_by_alpha(dataset: Any, flags: Sequence[list[MaskFlags]]) -> bool:
    return all(
        band == ([MaskFlags.all_valid] if meaning == ColorInterp.alpha else [MaskFlags.per_dataset, MaskFlags.alpha])
        for band, meaning in zip(flags, dataset.colorinterp, strict=True)
    )
