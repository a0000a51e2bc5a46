"""What lies around an image: images on one grid are read as one, so that no map shows where one of them ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import rasterio

from swath.config.apply import Apply
from swath.files import file_name
from swath.scenes.facts import ImageHeader, SceneFacts
from swath.scenes.images import read_header, with_nodata
from swath.scenes.several_files import mosaic
from swath.scenes.vrt import Band, Grid, Source, write_vrt

ON_GRID = 1e-2
"""Pixels by which an image may be shifted against another's grid and still lie on it."""


@dataclass(frozen=True)
class Surroundings:
    """An image with what lies around it.

    Attributes:
        facts: Of the raster of all of it.
        row, column: Where the image begins in it, pixels.
        anchor: Row and column of the raster at which a window's place is counted from: the same place on the ground
            for all images on one grid.
    """

    facts: SceneFacts
    row: int
    column: int
    anchor: tuple[int, int]


@dataclass(frozen=True)
class _Placed:
    """An image on the grid of another one, with its corner's row and column there."""

    facts: SceneFacts
    row: int
    column: int

    def touches(self, other: _Placed, margin: int) -> bool:
        """Tell whether another image reaches into this one, or nearer to it than a margin."""
        return (
            self.row - margin < other.row + other.facts.height
            and other.row < self.row + self.facts.height + margin
            and self.column - margin < other.column + other.facts.width
            and other.column < self.column + self.facts.width + margin
        )


def write_surroundings(
    images: Sequence[SceneFacts], wanted: Collection[str], settings: Apply, margin: int, folder: Path
) -> dict[str, Surroundings]:
    """Write a virtual raster of every image that has others around it: ``<folder>/<image>.vrt``.

    Where images overlap, the first one that has data is seen.

    Args:
        images: The images, in the order given.
        wanted: Those whose surroundings are written.
        settings: The section `apply`, of which `nodata` counts.
        margin: How far around an image others matter, pixels.
        folder: A folder that is there.

    Returns:
        Image → its surroundings; none for those that lie alone.
    """
    found = {}
    for group in _groups(images):
        for image in (one for one in group if one.facts.id in wanted):
            around = [other for other in group if other is image or image.touches(other, margin)]
            if len(around) > 1:
                found[image.facts.id] = _written(image, around, settings, margin, folder)
    return found


def _groups(images: Sequence[SceneFacts]) -> list[list[_Placed]]:
    """Group images whose pixels lie on one grid, and mean the same."""
    groups: list[list[_Placed]] = []
    for facts in images:
        for group in groups:
            shift = _shift(facts, group[0].facts)
            if shift is not None:
                group.append(_Placed(facts, *shift))
                break
        else:
            groups.append([_Placed(facts, 0, 0)])
    return groups


def _shift(one: ImageHeader, other: ImageHeader) -> tuple[int, int] | None:
    """Return row and column of an image's corner on another's grid; None if they do not fit together."""
    alike = ("crs", "dtype", "count", "bands", "alpha", "scaling")
    if any(getattr(one, name) != getattr(other, name) for name in alike):
        return None
    if any(index < one.count - len(one.alpha) for index in one.alpha):
        return None  # bands would have other numbers without the one between them
    onto = ~rasterio.Affine(*other.transform) @ rasterio.Affine(*one.transform)
    size = max(one.width, one.height, other.width, other.height)
    if max(abs(onto.a - 1), abs(onto.e - 1), abs(onto.b), abs(onto.d)) * size > ON_GRID:
        return None
    column, row = round(onto.c), round(onto.f)
    return None if max(abs(onto.c - column), abs(onto.f - row)) > ON_GRID else (row, column)


def _written(image: _Placed, around: Sequence[_Placed], settings: Apply, margin: int, folder: Path) -> Surroundings:
    """Write the virtual raster of an image and those around it, cut off at the margin."""
    top, left = (min(getattr(one, name) for one in around) for name in ("row", "column"))
    bottom = max(one.row + one.facts.height for one in around)
    right = max(one.column + one.facts.width for one in around)
    top, left = max(top, image.row - margin), max(left, image.column - margin)
    bottom = min(bottom, image.row + image.facts.height + margin)
    right = min(right, image.column + image.facts.width + margin)
    below_first = around[::-1]  # the last one of a virtual raster is on top
    headers = [replace(one.facts, gdal_path=one.facts.image) for one in below_first]
    paths = [one.facts.image for one in below_first]
    _, dtype, stack = mosaic(paths, headers)
    corner = rasterio.Affine(*image.facts.transform) @ rasterio.Affine.translation(left - image.column, top - image.row)
    grid = Grid(right - left, bottom - top, image.facts.crs, tuple(corner)[:6])
    places = {
        path: (one.column - left, one.row - top, one.facts.width, one.facts.height)
        for path, one in zip(paths, below_first, strict=True)
    }
    stack = [
        Band(band.name, [replace(source, place=places[source.file]) for source in band.sources], band.alpha)
        for band in stack
    ]
    stack, nodata = with_nodata(stack, headers, settings.nodata, grid, dtype, image.facts.image)
    name = f"{file_name(image.facts.id)}.vrt"
    write_vrt(folder / name, grid, [_transparent(band, nodata) for band in stack], dtype, nodata, folder)
    header = read_header(str(folder / name))
    inputs = [checksum for one in around for checksum in sorted(one.facts.inputs["image"].values())]
    known = {"palettes": image.facts.palettes, "scaling": header.scaling}
    read = {name: value for name, value in vars(header).items() if name not in known}
    facts = replace(
        image.facts,
        **read,
        image=str(folder / name),
        inputs={"image": {str(number): checksum for number, checksum in enumerate(inputs)}},
    )
    return Surroundings(facts, image.row - top, image.column - left, (-top, -left))


def _transparent(band: Band, nodata: str | None) -> Band:
    """Have what lies below seen through pixels without data."""

    def seen_through(source: Source) -> Source:
        return source if source.nodata is not None or source.masked else replace(source, nodata=nodata)

    return replace(band, sources=[seen_through(source) for source in band.sources])
