"""A bounded sample of an image's pixels, and where it lies on the ground."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform
from rasterio.windows import Window

from swath.checks.readings import Sample, Spread
from swath.scenes.facts import ImageHeader

WHOLE = 4_000_000
"""Images of up to so many values (pixels × bands) are read whole."""
MOST = 32_000_000
"""Values that are decoded at most, whatever the image's blocks are like, unless four windows need more."""
SIDE = 128
"""Width and height of a sampled window, pixels."""
ENOUGH = 50_000
"""Values whose percentiles and shares stand for a band's."""

SUSPECTS = (-9999.0, -32768.0, -999.0, -99999.0, 32767.0, 65535.0)
"""Values that mean 'no data' by habit."""


def sample_pixels(path: str, alpha: Sequence[int]) -> Sample:
    """Sample an image: all of a small one, a grid of windows of a large one, the last pixels of any.

    Args:
        path: The image.
        alpha: 0-based indices of bands of transparency.

    Raises:
        rasterio.errors.RasterioError: If pixels cannot be read.
    """
    with rasterio.open(path) as dataset:
        windows = sample_windows(dataset.width, dataset.height, dataset.count, dataset.block_shapes[0])
        parts = [(dataset.read(window=window), dataset.read_masks(window=window) > 0) for window in windows]
        declared = dataset.nodata
    values = np.concatenate([part.reshape(part.shape[0], -1) for part, _ in parts], axis=1)
    valid = np.concatenate([mask.reshape(mask.shape[0], -1) for _, mask in parts], axis=1)
    nan = np.isnan(values) if values.dtype.kind == "f" else np.zeros_like(valid)
    valid &= ~nan
    step = max(values.shape[1] // ENOUGH, 1)
    seen = [index for index in range(len(values)) if index not in alpha]
    return Sample(
        nodata=float((~valid[seen]).all(axis=0).mean()),
        nan=float(nan[seen].any(axis=0).mean()),
        zero=float((valid[seen] & (values[seen] == 0)).all(axis=0).mean()),
        bands=tuple(_spread(values[i][valid[i]]) if i in seen else None for i in range(len(values))),
        suspects=_suspects(values[seen][:, ::step], valid[seen][:, ::step], declared),
        shades=_shades(values[list(alpha)]),
        checksum=_checksum(values),
    )


def sample_windows(width: int, height: int, bands: int, block: tuple[int, int]) -> list[Window]:
    """Choose what is read: few values, spread over the image, its last pixels included.

    Args:
        width, height: The image's size, pixels.
        bands: Number of bands.
        block: Height and width of a block, pixels: it is decoded whole, however little of it is wanted.
    """
    if width * height * bands <= WHOLE:
        return [Window(0, 0, width, height)]
    rows, columns = (min(SIDE, height), min(SIDE, width))
    decoded = _up(rows, block[0]) * _up(columns, block[1]) * bands
    number = min(max(int(math.sqrt(MOST / decoded)), 2), 4)
    return [
        Window(round(x * (width - columns) / (number - 1)), round(y * (height - rows) / (number - 1)), columns, rows)
        for y in range(number)
        for x in range(number)
    ]


def _up(length: int, block: int) -> int:
    """Round up to whole blocks."""
    return -(-length // block) * block


def _spread(values: NDArray[Any]) -> Spread | None:
    if not values.size:
        return None
    thinned = values[:: max(values.size // ENOUGH, 1)].astype(np.float64)
    low, median, high = (float(value) for value in np.percentile(thinned, [2, 50, 98]))
    return Spread(float(values.min()), low, median, high, float(values.max()))


def _shades(transparency: NDArray[Any]) -> float:
    if not transparency.size or transparency.dtype.kind == "f":
        return 0.0
    return float((~np.isin(transparency, (0, np.iinfo(transparency.dtype).max))).mean())


def _suspects(values: NDArray[Any], valid: NDArray[np.bool_], declared: float | None) -> dict[str, float]:
    if values.dtype == np.uint8:
        return {}
    shares = {
        f"{value:g}": float(((values == value) & valid).mean(axis=1).max()) for value in SUSPECTS if value != declared
    }
    if values.dtype.kind == "f":
        huge = float(((np.abs(values) > 1e30) & valid).mean(axis=1).max())
        shares[f"{float(np.finfo(np.float32).min):.4g}"] = huge
    return {name: share for name, share in shares.items() if share > 0}


def _checksum(values: NDArray[Any]) -> str | None:
    if values.size == 0 or bool((values == values.flat[0]).all()):
        return None
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def metres_per_pixel(header: ImageHeader) -> float:
    """Return a pixel's side on the ground in metres: the root of its area, at the image's centre."""
    a, b, _, d, e, _ = header.transform
    side = math.sqrt(abs(a * e - b * d))
    crs = rasterio.CRS.from_wkt(header.crs)
    if crs.is_geographic:
        _, south, _, north = header.bounds
        return side * 111_320 * math.sqrt(math.cos(math.radians((south + north) / 2)))
    return float(side * crs.linear_units_factor[1])


def footprint(header: ImageHeader) -> tuple[tuple[float, float], ...]:
    """Return the image's corners in EPSG:4326 (longitude, latitude), all the way round."""
    grid = rasterio.Affine(*header.transform)
    corners = [grid * corner for corner in _corners(header.width, header.height)]
    xs, ys = transform(header.crs, "EPSG:4326", [x for x, _ in corners], [y for _, y in corners])
    return tuple(zip(xs, ys, strict=True))


def _corners(width: int, height: int) -> list[tuple[int, int]]:
    return [(0, 0), (width, 0), (width, height), (0, height)]
