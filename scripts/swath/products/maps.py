"""Class maps as Cloud Optimized GeoTIFF, written from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from PIL import ImageColor
from rasterio.windows import Window

from swath.config.classes import NULL_CLASS_ID
from swath.files import temporary_name

LabelRaster = NDArray[np.uint8]
BLOCK = 256
"""Pixels of a side of a block in a file."""
NO_SHARE, FULL_SHARE = 255, 254
"""A share's nodata value, and what stands for 1."""


class WriteBlock(Protocol):
    """Writes a part of a raster."""

    def __call__(self, row: int, values: NDArray[Any], column: int = 0) -> None:
        """Write values, rows × columns, after the bands where there are several, from a row and a column on."""


@dataclass(frozen=True)
class Place:
    """Where a raster's pixels lie.

    Attributes:
        crs: Coordinate reference system: WKT, or what rasterio takes for one.
        transform: The six coefficients from pixels to the CRS.
        height, width: Pixels.
    """

    crs: Any
    transform: Sequence[float]
    height: int
    width: int

    def rows(self, first: int, last: int) -> Place:
        """Return where some of its rows lie."""
        moved = rasterio.Affine(*self.transform) @ rasterio.Affine.translation(0, first)
        return Place(self.crs, tuple(moved)[:6], last - first, self.width)


def place_of(image: str | Path) -> Place:
    """Return where an image's pixels lie."""
    with rasterio.open(image) as source:
        return Place(source.crs, tuple(source.transform)[:6], source.height, source.width)


@contextmanager
def label_raster_writer(
    image: str | Place, classes: Sequence[str], colours: Sequence[str], path: Path
) -> Iterator[WriteBlock]:
    """Write class ids as a Cloud Optimized GeoTIFF, part by part; it is there when the context ends.

    Args:
        image: The image they belong to, or where they lie.
        classes: Class names by id; written into the band's tags, and beside the file as category names
            (``.aux.xml``), where GDAL and QGIS look for them.
        colours: Colours by id (#rrggbb), written as colour table.
        path: The file to write.

    Yields:
        What writes parts: class ids, uint8; the null class, 0, is nodata, and what pixels are that nobody writes.
    """
    table = {index: (*ImageColor.getrgb(colour)[:3], 255) for index, colour in enumerate(colours)}
    table[NULL_CLASS_ID] = (0, 0, 0, 0)
    with _cog(image, path, 1, NULL_CLASS_ID, "MODE") as dataset:
        dataset.write_colormap(1, table)
        dataset.set_band_description(1, "class")
        dataset.update_tags(1, **{f"class_{index}": name for index, name in enumerate(classes)})
        yield _writer(dataset)
    categories = "".join(f"<Category>{escape(name)}</Category>" for name in classes)
    sidecar = (
        f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames></PAMRasterBand></PAMDataset>'
    )
    Path(f"{path}.aux.xml").write_text(sidecar + "\n")


@contextmanager
def share_raster_writer(image: str | Place, bands: Sequence[str], path: Path) -> Iterator[WriteBlock]:
    """Write shares, from 0 to 1, as a Cloud Optimized GeoTIFF of 8 bits, as :func:`label_raster_writer` does.

    Args:
        image: The image they belong to, or where they lie.
        bands: Their names.
        path: The file to write. Its header has the scale that makes shares of its values, 0..254; 255 is nodata.

    Yields:
        What writes parts: shares, bands × rows × columns, float32; not-a-number is nodata.
    """
    with _cog(image, path, len(bands), NO_SHARE, "AVERAGE") as dataset:
        _name_shares(dataset, bands)
        write = _writer(dataset)
        yield lambda row, shares, column=0: write(row, as_bytes(shares), column)


def as_bytes(shares: NDArray[Any]) -> NDArray[np.uint8]:
    """Write shares, from 0 to 1, in 8 bits; not-a-number becomes what says that there is none."""
    values: NDArray[np.uint8] = np.nan_to_num(shares * FULL_SHARE, nan=NO_SHARE).round().astype(np.uint8)
    return values


@contextmanager
def copied_shares_writer(place: Place, bands: Sequence[str], path: Path) -> Iterator[WriteBlock]:
    """Write shares that are in 8 bits already, as :func:`share_raster_writer` does."""
    with _cog(place, path, len(bands), NO_SHARE, "AVERAGE") as dataset:
        _name_shares(dataset, bands)
        yield _writer(dataset)


def _name_shares(dataset: Any, bands: Sequence[str]) -> None:
    dataset.descriptions = bands
    dataset.scales = [1 / FULL_SHARE] * len(bands)


@contextmanager
def plain_raster_writer(place: Place, bands: Sequence[str], nodata: int, path: Path) -> Iterator[WriteBlock]:
    """Write a raster of 8 bits that is a part of one to come, part by part.

    Args:
        place: Where it lies.
        bands: Their names.
        nodata: The nodata value, and what pixels are that nobody writes.
        path: The GeoTIFF to write.

    Yields:
        What writes parts: bands × rows × columns, uint8.
    """
    lies = {"crs": place.crs, "transform": place.transform, "height": place.height, "width": place.width}
    options = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "interleave": "band"}
    with rasterio.open(path, "w", **lies, **_profile(len(bands), nodata), **options, sparse_ok=True) as dataset:
        dataset.descriptions = bands
        yield _writer(dataset)


def _profile(bands: int, nodata: int) -> dict[str, Any]:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": bands, "nodata": nodata, "bigtiff": "if_safer"}
    return profile | {"photometric": "minisblack", "alpha": "no"}  # three bands are no colours


@contextmanager
def _cog(image: str | Place, path: Path, bands: int, nodata: int, overviews: str) -> Iterator[Any]:
    """Open a raster of 8 bits on an image's grid; it becomes a Cloud Optimized GeoTIFF."""
    place = image if isinstance(image, Place) else place_of(image)
    lies = {"crs": place.crs, "transform": place.transform, "height": place.height, "width": place.width}
    options: dict[str, Any] = {"compress": "lzw", "interleave": "band", "sparse_ok": True}
    options |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
    temporary = temporary_name(path)
    try:
        with rasterio.open(temporary, "w", **lies, **_profile(bands, nodata), **options) as dataset:
            yield dataset
        options = {"compress": "DEFLATE", "bigtiff": "IF_SAFER", "blocksize": BLOCK, "overview_resampling": overviews}
        rasterio.shutil.copy(temporary, path, driver="COG", **options)
    finally:
        temporary.unlink(missing_ok=True)


def _writer(dataset: Any) -> WriteBlock:
    def write(row: int, values: NDArray[Any], column: int = 0) -> None:
        height, width = values.shape[-2:]
        dataset.write(values if values.ndim > 2 else values[None], window=Window(column, row, width, height))

    return write


def write_label_raster(
    labels: LabelRaster, image: str, classes: Sequence[str], colours: Sequence[str], path: Path
) -> None:
    """Write class ids that are in memory, height × width, as :func:`label_raster_writer` does."""
    with label_raster_writer(image, classes, colours, path) as write:
        write(0, labels)
