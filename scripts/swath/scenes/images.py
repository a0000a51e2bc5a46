"""Images: what their headers say, and one virtual raster where an image is more or other than one file."""

from __future__ import annotations

import math
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
from swath.scenes.several_files import SHIFT, mosaic, stacked
from swath.scenes.vrt import Band, Grid, write_vrt

VRT = "image.vrt"
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Types of pixels that can be read; 64-bit integers and complex numbers cannot be normalised without loss."""


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
        return SceneImage(
            **vars(one), image=paths[0], files=tuple(paths), named_by_files=(), paged=_paged(paths, headers)
        )
    bands = len(paths) > 1 and imagery.files == "bands"
    grid, dtype, stack = stacked(paths, headers) if bands else mosaic(paths, headers)
    stack, nodata = with_nodata(stack, headers, imagery.nodata, grid, dtype, entry)
    write_vrt(folder / VRT, grid, stack, dtype, nodata, published)
    header = read_header(str(folder / VRT))
    of_files = dict(zip(paths, headers, strict=True))
    first = [band.sources[0] for band in stack]
    known = replace(
        header,
        palettes=tuple(i for i, source in enumerate(first) if source.band - 1 in of_files[source.file].palettes),
        scaling=tuple(of_files[source.file].scaling[source.band - 1] for source in first),
    )
    unnamed = [i for i, source in enumerate(first) if not of_files[source.file].bands[source.band - 1]]
    return SceneImage(
        **vars(known),
        image=str(published / VRT),
        files=tuple(paths),
        named_by_files=tuple(unnamed) if bands else (),
        paged=_paged(paths, headers),
    )


def _paged(paths: Sequence[str], headers: Sequence[ImageHeader]) -> tuple[str, ...]:
    return tuple(path for path, header in zip(paths, headers, strict=True) if header.pages)


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
            _check_bands(image, dataset)
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
                palettes=tuple(i for i, one in enumerate(dataset.colorinterp) if one == ColorInterp.palette),
                scaling=tuple(zip(map(float, dataset.scales), map(float, dataset.offsets), strict=True)),
                pages=max(len(dataset.subdatasets) - 1, 0),
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
    try:
        left, bottom, right, top = dataset.bounds  # of a grid that runs south to north, the bottom is above
        edges = (min(left, right), min(bottom, top), max(left, right), max(bottom, top))
        bounds = tuple(transform_bounds(dataset.crs, WGS84, *edges))
    except Exception:  # rasterio's and PROJ's errors for a CRS that leads nowhere
        bounds = (math.nan,)
    if not all(map(math.isfinite, bounds)):
        raise UserError(
            Problem(
                "no_georeference",
                image,
                "georeference",
                f"a CRS that leads to no place on the ground: {_name(dataset.crs)}",
                "a CRS with a place on the ground, in which the image lies",
                "set the right one, for instance with `rio edit-info --crs`",
            )
        )
    return dataset.crs.to_wkt(), tuple(dataset.transform)[:6], bounds


def _name(crs: Any) -> str:
    """Name a CRS by what stands first between quotation marks in its WKT."""
    wkt = str(crs.to_wkt())
    return (wkt.split('"')[1] if '"' in wkt else wkt)[:60]


def _check_bands(image: str, dataset: Any) -> None:
    if dataset.count:
        return
    names = [name.split(":")[-1] for name in dataset.subdatasets]
    found = f"no bands, but {len(names)} images within: {', '.join(names[:5])}" if names else "no bands"
    cure = f"name one of them, such as {dataset.subdatasets[0]}" if names else "check the file, copy it again"
    raise UserError(Problem("image_unreadable", image, "image", found, "a raster with bands", cure))


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


def with_nodata(
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
