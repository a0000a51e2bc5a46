"""An image's windows, of which every row, or every row of a stripe of columns, is read from the file once, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window
from rastervision.core.box import Box
from rastervision.core.data import CastTransformer, NanTransformer, RasterioSource, StatsTransformer

from swath.prediction.grid import Span
from swath.rv.upstream import Raster, raster_of
from swath.rv.windows import read_window
from swath.scenes.no_data import NoData, no_data_in

Pixels = NDArray[Any]
WIDEST = 4096
"""Columns of a stripe: of a wider image, stripes are predicted one after the other. A multiple of all files' blocks."""
ROWS_AT_ONCE = 32
"""Rows that are transformed at once: transformers compute in numbers of 64 bits."""
HEIGHT_IN_SOURCES = 512
"""Rows of blocks in the sources of a mosaic, mostly."""
LEAST_CACHE = 64 * 2**20
PIXEL_BY_PIXEL = (CastTransformer, NanTransformer, StatsTransformer)
"""Transformers that look at no pixel's neighbours, and leave 0 alone."""


@dataclass(frozen=True)
class Layer:
    """An image that is seen, and where it begins.

    Attributes:
        raster: What Raster Vision's source reads.
        hidden: Says where the image has no data; None for one that has data everywhere.
        row, column: Where it begins in the rows that windows see.
    """

    raster: Raster
    hidden: NoData | None
    row: int = 0
    column: int = 0

    @classmethod
    def of(cls, source: RasterioSource, row: int = 0, column: int = 0) -> Layer:
        """Look into Raster Vision's source of an image."""
        raster = raster_of(source)
        return cls(raster, no_data_in(raster.dataset, [int(number) for number in raster.bands]), row, column)


def stripes(columns: Span, widest: int = WIDEST) -> list[Span]:
    """Cut columns into stripes, so that what is in memory does not depend on how many there are."""
    first, last = columns
    return [(start, min(start + widest, last)) for start in range(first, last, widest)]


class Strips:
    """The rows of an image, or of a stripe of its columns, that are in memory.

    Args:
        source: Raster Vision's source of the image.
        outside: Says which pixels lie outside the area of interest; they are taken for pixels without data, but are
            seen by windows that reach over its edge.
        layers: The image with others around it, the image first: where several have data, the first is seen. Its own
            source's transformers are applied to all of them.
        shape: Height and width of what is seen, where it is more than the image.
    """

    def __init__(
        self,
        source: RasterioSource,
        outside: NoData | None = None,
        layers: Sequence[Layer] = (),
        shape: tuple[int, int] | None = None,
    ):
        self._layers = list(layers) or [Layer.of(source)]
        self._raster = self._layers[0].raster
        self._outside = outside
        self._at_once = all(isinstance(one, PIXEL_BY_PIXEL) for one in self._raster.transformers)
        size: tuple[int, int] = shape or (source.extent.height, source.extent.width)
        self.height, self.width = size
        self._has_gaps = outside is not None or len(self._layers) > 1 or self._layers[0].hidden is not None
        self._first = 0
        self._columns = 0, self.width
        self._pixels: Pixels | None = None
        self._empty: NDArray[np.bool_] | None = None

    @property
    def cache(self) -> int:
        """Bytes of cache that GDAL needs to decode every block once: a row of blocks, and some for what is written."""
        dataset = self._raster.dataset
        height, width = (max(shape[axis] for shape in dataset.block_shapes) for axis in (0, 1))
        if dataset.driver == "VRT":  # it has blocks of its own, whatever its sources' are
            height = max(height, HEIGHT_IN_SOURCES)
        row = height * min(dataset.width, max(WIDEST + 2 * width, width)) * dataset.count
        return LEAST_CACHE + int(1.25 * row * np.dtype(dataset.dtypes[0]).itemsize)

    def load(self, rows: Span, columns: Span | None = None) -> None:
        """Have some rows in memory, and none above them.

        Args:
            rows: Start and stop. They lie on the image, and neither of them above those of the call before, unless
                another stripe begins.
            columns: Start and stop; all of the image's when left out.
        """
        start, stop = rows
        wanted = columns or (0, self.width)
        if wanted != self._columns or start < self._first:
            self._columns, self._pixels, self._empty = wanted, None, None
        kept = 0 if self._pixels is None else max(self._first + len(self._pixels) - start, 0)
        if start + kept < stop:
            new = (start + kept, stop)
            pixels, empty = self._read(new)
            self._pixels = _below(self._pixels, kept, self._scaled(pixels))
            if empty is not None:
                self._empty = _below(self._empty, kept, empty)
            self._first = start

    def _read(self, rows: Span) -> tuple[Pixels, NDArray[np.bool_] | None]:
        """Read rows, and where there is nothing to predict; None where there is everywhere."""
        first, last = self._columns
        window = Window(first, rows[0], last - first, rows[1] - rows[0])
        outside = self._outside(window) if self._outside else None
        if len(self._layers) > 1:
            pixels, empty = self._composed(rows)
            return pixels, empty if outside is None else empty | outside
        bands, is_masked = self._raster.bands, self._raster.is_masked
        pixels = read_window(self._raster.dataset, bands, (rows, self._columns), is_masked)
        hidden = self._layers[0].hidden
        missing = [empty for empty in (hidden(window) if hidden else None, outside) if empty is not None]
        return pixels, np.logical_or.reduce(missing) if self._has_gaps else None

    def _composed(self, rows: Span) -> tuple[Pixels, NDArray[np.bool_]]:
        """Lay the images over one another: each shows where none before it has data in any band."""
        first, last = self._columns
        shape = (rows[1] - rows[0], last - first)
        pixels = np.zeros((*shape, len(self._raster.bands)), self._raster.dataset.dtypes[0])
        free = np.ones(shape, bool)
        for layer in self._layers:
            dataset = layer.raster.dataset
            top, bottom = max(rows[0], layer.row), min(rows[1], layer.row + dataset.height)
            left, right = max(first, layer.column), min(last, layer.column + dataset.width)
            area = slice(top - rows[0], bottom - rows[0]), slice(left - first, right - first)
            if top >= bottom or left >= right or not free[area].any():
                continue
            own = (top - layer.row, bottom - layer.row), (left - layer.column, right - layer.column)
            read = read_window(dataset, layer.raster.bands, own, layer.raster.is_masked)
            taken = free[area]
            if layer.hidden:
                taken = taken & ~layer.hidden(Window(own[1][0], own[0][0], right - left, bottom - top))
            pixels[area][taken] = read[taken]
            free[area] &= ~taken
        return pixels, free

    def _scaled(self, pixels: Pixels) -> Pixels:
        if not self._at_once or not self._raster.transformers:
            return pixels
        parts = range(0, len(pixels), ROWS_AT_ONCE)
        return np.concatenate([self._transformed(pixels[row : row + ROWS_AT_ONCE]) for row in parts])

    def _transformed(self, pixels: Pixels) -> Pixels:
        for transformer in self._raster.transformers:
            pixels = transformer.transform(pixels)
        return pixels

    def chip(self, window: Box) -> Pixels:
        """Return a window's pixels, through Raster Vision's transformers.

        Args:
            window: Its rows and columns are in memory, as far as they lie on the image.

        Returns:
            Height × width × bands, with 0 beyond the image. They may be those in memory: not to be written into.
        """
        assert self._pixels is not None
        top, bottom = max(window.ymin, 0), min(window.ymax, self.height)
        left, right = max(window.xmin, 0), min(window.xmax, self.width)
        start = self._columns[0]
        chip = self._pixels[top - self._first : bottom - self._first, left - start : right - start]
        if chip.shape[:2] != (window.height, window.width):
            rows = (top - window.ymin, window.ymax - bottom)
            chip = np.pad(chip, (rows, (left - window.xmin, window.xmax - right), (0, 0)))
        return chip if self._at_once else self._transformed(chip.copy())  # transformers write into what they get

    def __getitem__(self, window: Box) -> tuple[Pixels, None]:
        """Return a window's pixels, and no label: what Raster Vision's data sets ask for."""
        return self.chip(window).copy(), None

    def without_data(self, rows: Span, columns: Span) -> NDArray[np.bool_] | None:
        """Tell which pixels of an area in memory have no data; None where all have."""
        if self._empty is None:
            return None
        start = self._columns[0]
        return self._empty[rows[0] - self._first : rows[1] - self._first, columns[0] - start : columns[1] - start]


def _below(old: NDArray[Any] | None, kept: int, new: NDArray[Any]) -> NDArray[Any]:
    """Put new rows below the last ones of what was there."""
    return new if old is None or not kept else np.concatenate([old[-kept:], new])
