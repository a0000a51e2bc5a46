"""Several files of one scene: bands in files of their own, or tiles side by side, on one grid."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio

from swath.errors import Problem, UserError
from swath.scenes.facts import ImageHeader
from swath.scenes.manifest import scaling_text
from swath.scenes.vrt import Band, Grid, Rectangle, Source

SHIFT = 0.05
"""Pixels by which two files' grids may differ: coordinates are rounded somewhere."""


def stacked(paths: Sequence[str], headers: Sequence[ImageHeader]) -> tuple[Grid, str, list[Band]]:
    """Stack bands of separate files on the grid of the finest."""
    _check_files(paths, headers, ("crs",))
    finest = min(headers, key=lambda header: abs(header.transform[0] * header.transform[4]))
    grid = _grid(finest)
    problems, bands = [], []
    for path, header, name in zip(paths, headers, _distinguishing(paths), strict=True):
        place = _place(header, grid)
        x, y, width, height = place
        if x >= grid.width or y >= grid.height or x + width <= 0 or y + height <= 0:
            found = "bounds " + ", ".join(f"{value:.5f}" for value in header.bounds)
            expected = "some within " + ", ".join(f"{value:.5f}" for value in finest.bounds)
            problems.append(
                Problem("files_apart", path, "bands of one scene", found, expected + " (EPSG:4326)", "check the files")
            )
        for index in range(header.count):  # transparency too: it can be a band that GDAL mistakes for such
            number = f"_{index + 1}" if header.count > 1 else ""
            alpha = index in header.alpha
            bands.append(Band(header.bands[index] or name + number, [_source(path, header, index, place)], alpha))
    if problems:
        raise UserError(problems)
    return grid, str(np.result_type(*(np.dtype(header.dtype) for header in headers))), bands


def mosaic(paths: Sequence[str], headers: Sequence[ImageHeader]) -> tuple[Grid, str, list[Band]]:
    """Put tiles of one image side by side; a single file is a mosaic of one tile."""
    first = headers[0]
    if len(paths) > 1:
        _check_files(paths, headers, ("crs", "dtype", "count", "resolution"))
    orders = [_order_of(header, path, first, paths[0]) for path, header in zip(paths, headers, strict=True)]
    _check_scaling(paths, headers, orders)
    places = [_place(header, _grid(first)) for header in headers]
    problems = [
        Problem(
            "tiles_off_grid",
            path,
            "tiles of one scene",
            f"shifted by {_off_grid(place):.2f} pixels against the grid of {paths[0]}",
            "tiles on one grid",
            "resample them first, for instance with `rio warp --like`",
        )
        for path, place in zip(paths, places, strict=True)
        if _off_grid(place) > SHIFT
    ]
    if problems:
        raise UserError(problems)
    if len(paths) > 1:
        places = [(round(x), round(y), round(width), round(height)) for x, y, width, height in places]
    left, top = min(place[0] for place in places), min(place[1] for place in places)
    right, bottom = max(x + width for x, _, width, _ in places), max(y + height for _, y, _, height in places)
    transform = rasterio.Affine(*first.transform) @ rasterio.Affine.translation(left, top)
    grid = Grid(int(right - left), int(bottom - top), first.crs, list(transform)[:6])
    moved = [(x - left, y - top, width, height) for x, y, width, height in places]
    indices = [index for index in range(first.count) if index not in first.alpha]
    bands = [
        Band(
            first.bands[index],
            [
                _source(path, header, order[index], place)
                for path, header, order, place in zip(paths, headers, orders, moved, strict=True)
            ],
        )
        for index in indices
    ]
    return grid, first.dtype, bands


def _order_of(header: ImageHeader, path: str, first: ImageHeader, first_path: str) -> list[int]:
    """Say which of a tile's bands belong to those of the first: by name, where all have names of their own.

    Raises:
        UserError: For a tile whose bands have other names.
    """
    names, wanted = header.bands, first.bands
    named = all(names) and all(wanted) and len(set(names)) == len(names) and len(set(wanted)) == len(wanted)
    if not named or names == wanted:
        return list(range(first.count))
    if set(names) != set(wanted):
        found, expected = (", ".join(map(str, bands)) for bands in (names, wanted))
        cure = "give the tiles of a scene the same bands, or take their names out: then they are joined by number"
        raise UserError(Problem("files_differ", path, "band names", found, f"{expected}, as in {first_path}", cure))
    return [names.index(name) for name in wanted]


def _check_scaling(paths: Sequence[str], headers: Sequence[ImageHeader], orders: Sequence[Sequence[int]]) -> None:
    """Check that the tiles of one image mean the same by the same value."""
    wanted = [headers[0].scaling[index] for index in orders[0]]
    problems = []
    for path, header, order in zip(paths, headers, orders, strict=True):
        found = [header.scaling[index] for index in order]
        if found != wanted:
            index = next(i for i, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other)
            said, expected = (scaling_text(values[index]) for values in (found, wanted))
            cure = "bring the tiles of a scene to one scale and offset first"
            problems.append(
                Problem("files_differ", path, f"band {index + 1}", said, f"{expected}, as in {paths[0]}", cure)
            )
    if problems:
        raise UserError(problems)


def _check_files(paths: Sequence[str], headers: Sequence[ImageHeader], equal: Sequence[str]) -> None:
    """Check that files of one scene are north-up, and alike in some respects."""
    problems = []
    for path, header in zip(paths, headers, strict=True):
        _, shear, _, skew, _, _ = header.transform
        if shear or skew:
            cure = "resample it to a grid that points north, for instance with `rio warp`"
            problems.append(
                Problem("rotated_files", path, "geotransform", "a rotated grid", "a grid that points north", cure)
            )
        for name in equal:
            if _differ(name, header, headers[0]):
                found, expected = (_said(name, one) for one in (header, headers[0]))
                cure = f"bring the files of a scene to one {_WORDS[name]} first"
                problems.append(
                    Problem("files_differ", path, _WORDS[name], found, f"{expected}, as in {paths[0]}", cure)
                )
    if problems:
        raise UserError(problems)


_WORDS = {"crs": "CRS", "dtype": "pixel type", "count": "number of bands", "resolution": "resolution"}


def _differ(name: str, one: ImageHeader, other: ImageHeader) -> bool:
    if name == "crs":
        return bool(rasterio.crs.CRS.from_wkt(one.crs) != rasterio.crs.CRS.from_wkt(other.crs))
    if name != "resolution":
        return bool(getattr(one, name) != getattr(other, name))
    size = max(one.width, one.height)
    return any(abs(one.transform[i] / other.transform[i] - 1) * size > SHIFT for i in (0, 4))


def _said(name: str, header: ImageHeader) -> str:
    if name == "crs":
        return str(rasterio.crs.CRS.from_wkt(header.crs).to_string())[:80]
    if name == "resolution":
        return f"{header.transform[0]:g} × {-header.transform[4]:g}"
    return str(getattr(header, name))


def _grid(header: ImageHeader) -> Grid:
    return Grid(header.width, header.height, header.crs, header.transform)


def _place(header: ImageHeader, grid: Grid) -> Rectangle:
    """Say where a file lies on a grid, in the grid's pixels."""
    if header.transform == tuple(grid.transform):
        return 0, 0, header.width, header.height
    own, onto = rasterio.Affine(*header.transform), ~rasterio.Affine(*grid.transform)
    left, top = onto @ (own.c, own.f)
    right, bottom = onto @ (own @ (header.width, header.height))
    left, top, right, bottom = (_snapped(value) for value in (left, top, right, bottom))
    return left, top, right - left, bottom - top


def _snapped(value: float) -> float:
    """Take what is a whole pixel but for rounding for a whole pixel."""
    return round(value) if math.isclose(value, round(value), abs_tol=1e-3) else value


def _off_grid(place: Rectangle) -> float:
    return max(abs(value - round(value)) for value in place[:2])


def _source(path: str, header: ImageHeader, index: int, place: Rectangle) -> Source:
    return Source(
        path,
        header.gdal_path,
        index + 1,
        header.width,
        header.height,
        header.dtype,
        place,
        header.nodata_of_bands[index],
    )


def _distinguishing(paths: Sequence[str]) -> list[str]:
    """Name files by what their names do not have in common: ``T33_2017_B02.jp2``, ``…_B03.jp2`` → B02, B03."""
    stems = [Path(path).stem for path in paths]
    words = [re.split(r"[_\-. ]", stem) for stem in stems]
    shortest = min(len(parts) for parts in words)
    start = next((i for i in range(shortest) if len({parts[i] for parts in words}) > 1), shortest)
    end = next((i for i in range(shortest - start) if len({parts[-1 - i] for parts in words}) > 1), shortest - start)
    names = ["_".join(parts[start : len(parts) - end]) for parts in words]
    return names if len(set(names)) == len(names) and all(names) else stems
