"""Where a window stands while it slides over an image: Raster Vision's own places, as rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rastervision.core.box import Box
from rastervision.core.utils import calculate_required_padding

Span = tuple[int, int]
"""Start and stop, in pixels of the image."""


@dataclass(frozen=True)
class Grid:
    """The places of a sliding window.

    Attributes:
        height, width: Of the image, pixels.
        size: Of the window, pixels of a side.
        stride: Between two windows, pixels.
        crop: Pixels at a window's edge that do not count; None for windows that begin in the upper left corner.
    """

    height: int
    width: int
    size: int
    stride: int
    crop: int | None = None

    @cached_property
    def tops(self) -> Sequence[int]:
        """First rows of the windows, in order; negative for those that reach over the upper edge."""
        return self._covering([window.ymin for window in self._windows(Box(0, 0, self.height, self.size))], self.height)

    @cached_property
    def lefts(self) -> Sequence[int]:
        """First columns of the windows, in order."""
        return self._covering([window.xmin for window in self._windows(Box(0, 0, self.size, self.width))], self.width)

    def _windows(self, extent: Box) -> Sequence[Box]:
        padding = None
        if self.crop is not None:
            size, stride = (self.size, self.size), (self.stride, self.stride)
            padding = calculate_required_padding(extent.size, size, stride, "both", crop_sz=self.crop)
        direction = "end" if self.crop is None else "both"
        windows: Sequence[Box] = extent.get_windows(self.size, self.stride, padding=padding, pad_direction=direction)
        return windows

    def _covering(self, places: Sequence[int], length: int) -> Sequence[int]:
        """Go on beyond the last place while pixels are left that no window counts for; leave out what counts for none.

        Raster Vision leaves pixels out at the lower and right edges when less is cut off than half of what windows
        overlap; when much is cut off, it has windows of which nothing lies on the image.
        """
        covering = sorted(set(places))
        while covering[-1] + self.size - (self.crop or 0) < length:
            covering.append(covering[-1] + self.stride)
        kept = ((place, *self._kept(place, length)) for place in covering)
        return [place for place, start, stop in kept if start < stop]

    def rows_kept(self, top: int) -> Span:
        """Return the rows of the image for which a window that begins at a row counts."""
        return self._kept(top, self.height)

    def columns_kept(self, left: int) -> Span:
        """Return the columns of the image for which a window that begins at a column counts."""
        return self._kept(left, self.width)

    def _kept(self, start: int, limit: int) -> Span:
        crop = self.crop or 0
        return max(start + crop, 0), min(start + self.size - crop, limit)

    def tops_for(self, rows: Span) -> list[int]:
        """Return the first rows of all windows that count for some rows of the image."""
        kept = ((top, *self.rows_kept(top)) for top in self.tops)
        return [top for top, start, stop in kept if start < rows[1] and stop > rows[0]]

    def lefts_for(self, columns: Span) -> list[int]:
        """Return the first columns of all windows that count for some columns of the image."""
        kept = ((left, *self.columns_kept(left)) for left in self.lefts)
        return [left for left, start, stop in kept if start < columns[1] and stop > columns[0]]

    @property
    def most_overlaps(self) -> int:
        """How many windows can see a pixel, at most."""
        return (-(-self.size // self.stride)) ** 2


@dataclass(frozen=True)
class Lattice(Grid):
    """The places of a window that do not depend on where a raster ends: on rasters cut out of one, they are the same.

    Attributes:
        anchor: Row and column of the raster at which what counts of a window begins; others follow in steps.
        rows, columns: Where windows are wanted.
    """

    anchor: tuple[int, int] = (0, 0)
    rows: Span = (0, 0)
    columns: Span = (0, 0)

    @cached_property
    def tops(self) -> Sequence[int]:
        """First rows of the windows that count where windows are wanted."""
        return self._places(self.anchor[0], self.rows, self.height)

    @cached_property
    def lefts(self) -> Sequence[int]:
        """First columns of the windows that count where windows are wanted."""
        return self._places(self.anchor[1], self.columns, self.width)

    def _places(self, anchor: int, wanted: Span, length: int) -> Sequence[int]:
        """List the windows that count for some rows or columns; at the raster's ends no more than it takes."""
        crop = self.crop or 0
        kept = self.size - 2 * crop
        first = (wanted[0] - kept - anchor) // self.stride + 1
        last = (wanted[1] - 1 - anchor) // self.stride
        starts = [anchor + number * self.stride for number in range(first, last + 1)]
        while len(starts) > 1 and starts[1] <= 0:
            del starts[0]
        while len(starts) > 1 and starts[-2] + kept >= length:
            del starts[-1]
        return [start - crop for start in starts]
