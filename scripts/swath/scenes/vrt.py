"""Virtual rasters: several files, or a file with another nodata value, read as one image without a copy.

The format is GDAL's: https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from rasterio.dtypes import dtype_rev, typename_fwd

from swath.scenes.paths import is_remote

Rectangle = tuple[float, float, float, float]
"""Column and row of the upper left corner, width and height; pixels."""


@dataclass(frozen=True)
class Source:
    """A band of a file, and where it goes.

    Attributes:
        file: The file as the scene table names it.
        path: The file as GDAL takes it.
        band: Number of the band, from 1.
        width, height: The file's size in pixels.
        dtype: The band's type.
        place: Where the whole file goes in the virtual raster.
        nodata: Value of the file's pixels that are left out.
        masked: Whether what the file's own mask hides is left out.
    """

    file: str
    path: str
    band: int
    width: int
    height: int
    dtype: str
    place: Rectangle
    nodata: str | None = None
    masked: bool = False


@dataclass(frozen=True)
class Band:
    """A band of a virtual raster: its name, what it consists of (the last source on top), if it means transparency."""

    name: str | None
    sources: Sequence[Source]
    alpha: bool = False


@dataclass(frozen=True)
class Grid:
    """Where an image's pixels lie: size in pixels, CRS as WKT, transform's six coefficients."""

    width: int
    height: int
    crs: str
    transform: Sequence[float]


def write_vrt(path: Path, grid: Grid, bands: Sequence[Band], dtype: str, nodata: str | None, published: Path) -> None:
    """Write a virtual raster; values are resampled by nearest neighbour where a source's pixels are larger.

    Args:
        path: The file to write.
        grid: Its pixels' grid.
        bands: Its bands.
        dtype: Type of all bands.
        nodata: Value of pixels without data, in all bands; also where no source is.
        published: The folder it will be renamed into: relative paths start there.
    """
    root = Xml.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    _add(root, "SRS", grid.crs)
    a, b, c, d, e, f = grid.transform
    _add(root, "GeoTransform", ", ".join(repr(float(value)) for value in (c, a, b, f, d, e)))
    for number, band in enumerate(bands, start=1):
        element = Xml.SubElement(root, "VRTRasterBand", dataType=_type_name(dtype), band=str(number))
        if band.name:
            _add(element, "Description", band.name)
        if nodata is not None:
            _add(element, "NoDataValue", nodata)
        if band.alpha:
            _add(element, "ColorInterp", "Alpha")
        for source in band.sources:
            _add_source(element, source, published)
    Xml.indent(root)
    path.write_text(Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def _add(parent: Xml.Element, name: str, text: str, **attributes: str) -> None:
    Xml.SubElement(parent, name, attributes).text = text


def _add_source(parent: Xml.Element, source: Source, published: Path) -> None:
    plain = source.nodata is None and not source.masked
    element = Xml.SubElement(parent, "SimpleSource" if plain else "ComplexSource", resampling="nearest")
    name, relative = _source_name(source.path, published)
    _add(element, "SourceFilename", name, relativeToVRT="1" if relative else "0")
    _add(element, "SourceBand", str(source.band))
    Xml.SubElement(
        element,
        "SourceProperties",
        RasterXSize=str(source.width),
        RasterYSize=str(source.height),
        DataType=_type_name(source.dtype),
    )
    for tag, rectangle in (("SrcRect", (0, 0, source.width, source.height)), ("DstRect", source.place)):
        names = ("xOff", "yOff", "xSize", "ySize")
        Xml.SubElement(element, tag, dict(zip(names, map(str, rectangle), strict=True)))
    if source.nodata is not None:
        _add(element, "NODATA", source.nodata)
    if source.masked:
        _add(element, "UseMaskBand", "true")


def _source_name(path: str, published: Path) -> tuple[str, bool]:
    """Name a source: relative where that leads to the same file even if folders on the way are links."""
    if is_remote(path) or Path(path).is_absolute() or not Path(path).exists():
        return path, False
    relative = os.path.relpath(path, published)
    # the system follows links before it goes up, so that the last existing folder's real place decides
    existing = next(folder for folder in (published, *published.absolute().parents) if folder.exists())
    rest = os.path.relpath(published.absolute(), existing.absolute())
    led = Path(os.path.realpath(existing), rest, relative)
    if os.path.realpath(os.path.normpath(led)) == os.path.realpath(path):
        return relative, True
    return os.path.realpath(path), False


def _type_name(dtype: str) -> str:
    return str(typename_fwd[dtype_rev[dtype]])
