"""One raster of many: maps of images, put on one grid; of those that overlap, the first that has data is seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from swath.products.maps import Place
from swath.scenes.vrt import Band, Grid, Source, write_vrt

ROWS = 512
"""Rows of a mosaic that are put together at once."""
ON_GRID = 1e-3
"""Pixels by which a grid may be shifted against another and still count as the same."""
EXACT = 0.01
"""Pixels that a place may be off when maps are resampled."""


@dataclass(frozen=True)
class ImageMap:
    """The map of one image.

    Attributes:
        name: The image's.
        place: Where it lies.
        files: Kind of raster, such as ``prediction.tif`` → the file.
    """

    name: str
    place: Place
    files: Mapping[str, Path]


def join_parts(parts: Sequence[tuple[int, int, Path]], place: Place, bands: int, nodata: int, path: Path) -> None:
    """Write a virtual raster of an image's parts.

    Args:
        parts: First row, row after the last, and file of each.
        place: Where the image lies.
        bands: How many.
        nodata: Nodata value.
        path: The file to write.
    """
    grid = Grid(place.width, place.height, _wkt(place), place.transform)

    def source(number: int, first: int, last: int, file: Path) -> Source:
        where = (0, first, place.width, last - first)
        return Source(str(file), str(file.absolute()), number, place.width, last - first, "uint8", where)

    stack = [Band(None, [source(number, *part) for part in parts]) for number in range(1, bands + 1)]
    write_vrt(path, grid, stack, "uint8", str(nodata), path.parent)


def _wkt(place: Place) -> str:
    crs = rasterio.CRS.from_user_input(place.crs)
    return str(crs.to_wkt())


def common_grid(places: Sequence[Place]) -> Place:
    """Return the grid of a mosaic: the first image's pixels, as far as all images reach."""
    first = places[0]
    onto = ~rasterio.Affine(*first.transform)
    columns, rows = [0.0, float(first.width)], [0.0, float(first.height)]
    for place in places[1:]:
        for x, y in _outline(place, first):
            column, row = onto @ (x, y)
            columns.append(column)
            rows.append(row)
    left, top = (int(np.floor(min(values) + ON_GRID)) for values in (columns, rows))
    right, bottom = (int(np.ceil(max(values) - ON_GRID)) for values in (columns, rows))
    moved = rasterio.Affine(*first.transform) @ rasterio.Affine.translation(left, top)
    return Place(first.crs, tuple(moved)[:6], bottom - top, right - left)


def _outline(place: Place, first: Place) -> Iterator[tuple[float, float]]:
    """Go through the corners of what an image covers, in the CRS of the first one."""
    grid = rasterio.Affine(*place.transform)
    corners = [grid @ corner for corner in ((0, 0), (place.width, 0), (0, place.height), (place.width, place.height))]
    if same_crs(place, first):
        yield from corners
        return
    xs, ys = zip(*corners, strict=True)
    west, south, east, north = transform_bounds(place.crs, first.crs, min(xs), min(ys), max(xs), max(ys))
    yield from ((west, south), (east, north), (west, north), (east, south))


def same_crs(one: Place, other: Place) -> bool:
    """Tell whether two rasters have one CRS."""
    return bool(rasterio.CRS.from_user_input(one.crs) == rasterio.CRS.from_user_input(other.crs))


def shift_on(place: Place, grid: Place) -> tuple[int, int] | None:
    """Return the row and column of a raster's corner on a grid; None where its pixels are not the grid's."""
    if not same_crs(place, grid):
        return None
    onto = ~rasterio.Affine(*grid.transform) @ rasterio.Affine(*place.transform)
    size = max(place.width, place.height)
    if max(abs(onto.a - 1), abs(onto.e - 1), abs(onto.b), abs(onto.d)) * size > ON_GRID:
        return None
    column, row = round(onto.c), round(onto.f)
    return None if max(abs(onto.c - column), abs(onto.f - row)) > ON_GRID * 10 else (row, column)


class Mosaic(AbstractContextManager["Mosaic"]):
    """Maps of images on one grid.

    Args:
        maps: In order: where several have data, the first is seen.
        kinds: The rasters wanted; the first of them says where there is data: it is not 0.
        grid: The grid.

    Attributes:
        hidden: Pixels at which a map had data and another was seen.
    """

    def __init__(self, maps: Sequence[ImageMap], kinds: Mapping[str, int], grid: Place):
        self._kinds, self._grid, self.hidden = kinds, grid, 0
        self._maps = [(one, shift_on(one.place, grid), _rows_on(one.place, grid)) for one in maps]
        self._open: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._open):
            self._close(name)

    def blocks(self) -> Iterator[tuple[int, dict[str, NDArray[np.uint8]]]]:
        """Go through the mosaic from top to bottom.

        Yields:
            The first row, and of each kind of raster its values: bands × rows × width.
        """
        with rasterio.Env(GDAL_CACHEMAX=256 * 2**20):
            for first in range(0, self._grid.height, ROWS):
                yield first, self._block(first, min(first + ROWS, self._grid.height))

    def _block(self, first: int, last: int) -> dict[str, NDArray[np.uint8]]:
        block: dict[str, NDArray[np.uint8]] = {}
        for image, shift, (top, bottom) in self._maps:
            if bottom <= first:
                self._close(image.name)
            elif top < last:
                self._lay_below(block, image, shift, first, last)
        width = self._grid.width
        for kind, nodata in self._kinds.items():
            block.setdefault(kind, np.full((1, last - first, width), nodata, np.uint8))
        return block

    def _lay_below(
        self, block: dict[str, NDArray[np.uint8]], image: ImageMap, shift: tuple[int, int] | None, first: int, last: int
    ) -> None:
        """Fill with an image's map what no image before it has data for."""
        width = self._grid.width
        labels, *others = self._kinds
        if shift is None:
            rows, columns, window = slice(0, last - first), slice(0, width), Window(0, first, width, last - first)
        else:
            start, stop = max(first, shift[0]), min(last, shift[0] + image.place.height)
            rows, columns = slice(start - first, stop - first), slice(shift[1], shift[1] + image.place.width)
            window = Window(0, start - shift[0], image.place.width, stop - start)
        datasets = self._opened(image, shift is None)
        for kind, nodata in self._kinds.items():
            if kind not in block:
                bands = datasets[kind].count
                block[kind] = np.full((bands, last - first, width), nodata, np.uint8)
        new = datasets[labels].read(window=window)
        seen = block[labels][:, rows, columns]
        free = (seen == 0)[0]
        self.hidden += int(((new[0] != 0) & ~free).sum())
        taken = free & (new[0] != 0)
        seen[:, taken] = new[:, taken]
        for kind in others:
            block[kind][:, rows, columns][:, taken] = datasets[kind].read(window=window)[:, taken]

    def _opened(self, image: ImageMap, resampled: bool) -> dict[str, Any]:
        if image.name not in self._open:
            opened = {kind: rasterio.open(image.files[kind]) for kind in self._kinds}
            if resampled:
                lies = {
                    "crs": rasterio.CRS.from_user_input(self._grid.crs),
                    "transform": rasterio.Affine(*self._grid.transform),
                    "width": self._grid.width,
                    "height": self._grid.height,
                    "resampling": Resampling.nearest,
                    "tolerance": EXACT,
                }
                opened = {kind: WarpedVRT(dataset, **lies) for kind, dataset in opened.items()}
            self._open[image.name] = opened
        return self._open[image.name]

    def _close(self, name: str) -> None:
        for dataset in self._open.pop(name, {}).values():
            dataset.close()


def _rows_on(place: Place, grid: Place) -> tuple[int, int]:
    """Return the rows of a grid that a raster reaches into."""
    onto = ~rasterio.Affine(*grid.transform)
    rows = [(onto @ corner)[1] for corner in _outline(place, grid)]
    return int(np.floor(min(rows))), int(np.ceil(max(rows)))
