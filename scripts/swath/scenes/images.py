"""Images: what their headers say, and one virtual raster where an image is more or other than one file."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.warp import transform_bounds
from shapely import union_all
from shapely.geometry import box

from swath.config.imagery import Imagery
from swath.errors import Problem, UserError
from swath.scenes.facts import Bounds, ImageHeader, SceneImage, Transform
from swath.scenes.ground import WGS84
from swath.scenes.paths import is_remote, paths_of
from swath.scenes.vrt import Band, Grid, Rectangle, Source, write_vrt

VRT = "image.vrt"
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Types of pixels that can be read; 64-bit integers and complex numbers cannot be normalised without loss."""

SHIFT = 0.05
"""Pixels by which two files' grids may differ: coordinates are rounded somewhere."""


def read_image(entry: str, imagery: Imagery, folder: Path, published: Path) -> SceneImage:
    """Read what a scene's image is; where one plain file is not enough, write ``image.vrt``.

    Args:
        entry: The image's path or paths.
        imagery: The settings, of which `files` and `nodata` count.
        folder: Where ``image.vrt`` goes: for several files, another nodata value than the file's, bands with
            different nodata values, and files that are not on this machine.
        published: What the folder will be called.

    Raises:
        UserError: For files that cannot be read or do not belong together, and a nodata value no pixel can have.
    """
    paths = paths_of(entry)
    headers = _read_headers(paths, imagery.files == "bands")
    if len(paths) > 1 and imagery.files is None:
        raise UserError(
            Problem(
                "several_images",
                entry,
                "imagery.files",
                f"{len(paths)} files for one scene",
                "`mosaic` (tiles of one image) or `bands` (bands in separate files)",
                "say in the config how they belong together",
            )
        )
    one = headers[0]
    if len(paths) == 1 and imagery.nodata is None and not is_remote(paths[0]) and _has_one_nodata_value(one):
        return SceneImage(**vars(one), image=paths[0], files=tuple(paths))
    bands = len(paths) > 1 and imagery.files == "bands"
    grid, dtype, stack = _stacked(paths, headers) if bands else _mosaic(paths, headers)
    stack, nodata = _with_nodata(stack, headers, imagery.nodata, grid, dtype, entry)
    write_vrt(folder / VRT, grid, stack, dtype, nodata, published)
    return SceneImage(**vars(read_header(str(folder / VRT))), image=str(published / VRT), files=tuple(paths))


def _read_headers(paths: Sequence[str], bands: bool) -> list[ImageHeader]:
    """Read the headers of a scene's files; bands without any georeference lie on a file of their size that has one."""
    headers: dict[str, ImageHeader] = {}
    problems: dict[str, list[Problem]] = {}
    for path in paths:
        try:
            headers[path] = read_header(path)
        except UserError as error:
            problems[path] = error.problems
    placed = list(headers.values())
    for path in list(problems) if bands and placed else []:
        try:
            headers[path] = read_header(path, placed)
            del problems[path]
        except UserError as error:
            problems[path] = error.problems
    if problems:
        raise UserError([problem for told in problems.values() for problem in told])
    return [headers[path] for path in paths]


def read_header(image: str, others: Sequence[ImageHeader] = ()) -> ImageHeader:
    """Read what an image's header says.

    Args:
        image: Its path.
        others: Files of the same scene: a file without CRS and transform lies where one of its size does.

    Raises:
        UserError: If it cannot be read, has no CRS or no transform, or pixels of a type that cannot be used.
    """
    try:
        with rasterio.open(image) as dataset:
            crs, transform, bounds = _place_in_the_world(image, dataset, others)
            _check_types(image, dataset)
            return ImageHeader(
                width=dataset.width,
                height=dataset.height,
                count=dataset.count,
                bands=dataset.descriptions,
                dtype=dataset.dtypes[0],
                crs=crs,
                transform=transform,
                bounds=bounds,
                nodata=None if dataset.nodata is None else float(dataset.nodata),
                nodata_of_bands=tuple(_text(value) for value in dataset.nodatavals),
                alpha=tuple(i for i, meaning in enumerate(dataset.colorinterp) if meaning == ColorInterp.alpha),
                masked=any(MaskFlags.per_dataset in flags for flags in dataset.mask_flag_enums),
                gdal_path=dataset.files[0] if "://" in image and dataset.files else image,
            )
    except rasterio.errors.RasterioError as error:
        raise UserError(
            Problem(
                "image_unreadable",
                image,
                "image",
                str(error),
                "a raster that GDAL reads",
                "check the file, copy it again",
            )
        ) from None


def _place_in_the_world(image: str, dataset: Any, others: Sequence[ImageHeader]) -> tuple[str, Transform, Bounds]:
    """Give CRS, transform and bounds."""
    like = [other for other in others if (other.width, other.height) == (dataset.width, dataset.height)]
    if like and dataset.crs is None and dataset.transform.is_identity:
        return like[0].crs, like[0].transform, like[0].bounds
    if dataset.crs is None or dataset.transform.is_identity:
        raise UserError(
            Problem(
                "no_georeference",
                image,
                "georeference",
                f"CRS {dataset.crs}, transform {tuple(dataset.transform)[:6]}",
                "a CRS and a geotransform",
                "set them, for instance with `rio edit-info --crs --transform`",
            )
        )
    return (
        dataset.crs.to_wkt(),
        tuple(dataset.transform)[:6],
        tuple(transform_bounds(dataset.crs, WGS84, *dataset.bounds)),
    )


def _check_types(image: str, dataset: Any) -> None:
    types = sorted(set(dataset.dtypes))
    if len(types) > 1 or types[0] not in TYPES:
        cure = "convert it, for instance with `rio convert --dtype float32`"
        raise UserError(
            Problem("unusable_pixel_type", image, "pixel type", ", ".join(types), "one of " + ", ".join(TYPES), cure)
        )


def _text(nodata: float | None) -> str | None:
    """Write a nodata value so that it can stand in JSON and XML, NaN included."""
    if nodata is None:
        return None
    return str(int(nodata)) if float(nodata).is_integer() and abs(nodata) < 2**53 else repr(float(nodata))


def _has_one_nodata_value(header: ImageHeader) -> bool:
    return len(set(header.nodata_of_bands)) == 1


# --- what is data -----------------------------------------------------------------------------------


def _with_nodata(
    bands: Sequence[Band],
    headers: Sequence[ImageHeader],
    wanted: float | Literal["nan"] | None,
    grid: Grid,
    dtype: str,
    entry: str,
) -> tuple[list[Band], str | None]:
    """Decide on one nodata value for all bands.

    A value that the config names holds alone. Otherwise the files' own, if it is the same everywhere; else 0, which
    Raster Vision's reader makes of every pixel without data in any case.
    """
    if wanted is not None:
        value = _text(float(wanted))
        if not _fits(float(wanted), dtype):
            raise UserError(
                Problem(
                    "impossible_nodata",
                    entry,
                    f"imagery.nodata: {wanted}",
                    f"{dtype} pixels",
                    "a value that a pixel can have",
                    "correct `imagery.nodata`, or leave it out",
                )
            )
        return [replace(band, sources=[replace(s, nodata=None) for s in band.sources]) for band in bands], value
    own = {source.nodata for band in bands for source in band.sources}
    masked = any(header.masked for header in headers)
    gaps = any(_has_gaps(band, grid) for band in bands)
    if masked or len(own) > 1 or (gaps and own == {None}):
        return [replace(band, sources=[replace(s, masked=masked) for s in band.sources]) for band in bands], "0"
    return list(bands), next(iter(own))


def _fits(value: float, dtype: str) -> bool:
    if np.dtype(dtype).kind == "f":
        return True
    limits = np.iinfo(dtype)
    return value.is_integer() and limits.min <= value <= limits.max


def _has_gaps(band: Band, grid: Grid) -> bool:
    rectangles = [box(x, y, x + width, y + height) for x, y, width, height in (s.place for s in band.sources)]
    whole = box(SHIFT, SHIFT, grid.width - SHIFT, grid.height - SHIFT)
    return not union_all([rectangle.buffer(SHIFT) for rectangle in rectangles]).covers(whole)


# --- several files -----------------------------------------------------------------------------------


def _stacked(paths: Sequence[str], headers: Sequence[ImageHeader]) -> tuple[Grid, str, list[Band]]:
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
            bands.append(Band(header.bands[index] or name + number, [_source(header, index, place)], alpha))
    if problems:
        raise UserError(problems)
    return grid, str(np.result_type(*(np.dtype(header.dtype) for header in headers))), bands


def _mosaic(paths: Sequence[str], headers: Sequence[ImageHeader]) -> tuple[Grid, str, list[Band]]:
    """Put tiles of one image side by side; a single file is a mosaic of one tile."""
    first = headers[0]
    if len(paths) > 1:
        _check_files(paths, headers, ("crs", "dtype", "count", "resolution"))
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
            [_source(header, index, place) for header, place in zip(headers, moved, strict=True)],
        )
        for index in indices
    ]
    return grid, first.dtype, bands


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


def _source(header: ImageHeader, index: int, place: Rectangle) -> Source:
    return Source(
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
