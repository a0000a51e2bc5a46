"""Class maps as Cloud Optimized GeoTIFF, written from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
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
WriteRows = Callable[[int, NDArray[Any]], None]
"""Takes a row of the raster, and values from there on: rows × width, after the bands where there are several."""
NO_SHARE, FULL_SHARE = 255, 254
"""A share's nodata value, and what stands for 1."""


@contextmanager
def label_raster_writer(image: str, classes: Sequence[str], colours: Sequence[str], path: Path) -> Iterator[WriteRows]:
    """Write class ids as a Cloud Optimized GeoTIFF, a few rows at a time; it is there when the context ends.

    Args:
        image: The image they belong to: size, CRS and transform are taken from it.
        classes: Class names by id; written into the band's tags, and beside the file as category names
            (``.aux.xml``), where GDAL and QGIS look for them.
        colours: Colours by id (#rrggbb), written as colour table.
        path: The file to write.

    Yields:
        What writes rows: class ids, uint8; the null class, 0, is nodata, and what rows are that nobody writes.
    """
    table = {index: (*ImageColor.getrgb(colour)[:3], 255) for index, colour in enumerate(colours)}
    table[NULL_CLASS_ID] = (0, 0, 0, 0)
    with _cog(image, path, 1, NULL_CLASS_ID, "MODE") as dataset:
        dataset.write_colormap(1, table)
        dataset.set_band_description(1, "class")
        dataset.update_tags(1, **{f"class_{index}": name for index, name in enumerate(classes)})
        yield lambda row, labels: dataset.write(labels, 1, window=_rows(dataset, row, labels))
    categories = "".join(f"<Category>{escape(name)}</Category>" for name in classes)
    sidecar = (
        f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames></PAMRasterBand></PAMDataset>'
    )
    Path(f"{path}.aux.xml").write_text(sidecar + "\n")


@contextmanager
def share_raster_writer(image: str, bands: Sequence[str], path: Path) -> Iterator[WriteRows]:
    """Write shares, from 0 to 1, as a Cloud Optimized GeoTIFF of 8 bits, as :func:`label_raster_writer` does.

    Args:
        image: The image they belong to.
        bands: Their names.
        path: The file to write. Its header has the scale that makes shares of its values, 0..254; 255 is nodata.

    Yields:
        What writes rows: shares, bands × rows × width, float32; not-a-number is nodata.
    """
    with _cog(image, path, len(bands), NO_SHARE, "AVERAGE") as dataset:
        dataset.descriptions = bands
        dataset.scales = [1 / FULL_SHARE] * len(bands)

        def write(row: int, shares: NDArray[Any]) -> None:
            known = np.nan_to_num(shares * FULL_SHARE, nan=NO_SHARE).round().astype(np.uint8)
            dataset.write(known, window=_rows(dataset, row, known))

        yield write


@contextmanager
def _cog(image: str, path: Path, bands: int, nodata: int, overviews: str) -> Iterator[Any]:
    """Open a raster of 8 bits on an image's grid; it becomes a Cloud Optimized GeoTIFF."""
    with rasterio.open(image) as source:
        place = {"crs": source.crs, "transform": source.transform, "height": source.height, "width": source.width}
    profile = {"driver": "GTiff", "dtype": "uint8", "count": bands, "nodata": nodata, "bigtiff": "if_safer"}
    profile |= {"compress": "lzw", "photometric": "minisblack", "alpha": "no"}  # three bands are no colours
    temporary = temporary_name(path)
    try:
        with rasterio.open(temporary, "w", **place, **profile, interleave="band", sparse_ok=True) as dataset:
            yield dataset
        options = {"compress": "DEFLATE", "blocksize": 256, "overview_resampling": overviews}
        rasterio.shutil.copy(temporary, path, driver="COG", **options)
    finally:
        temporary.unlink(missing_ok=True)


def _rows(dataset: Any, row: int, values: NDArray[Any]) -> Window:
    return Window(0, row, dataset.width, values.shape[-2])


def write_label_raster(
    labels: LabelRaster, image: str, classes: Sequence[str], colours: Sequence[str], path: Path
) -> None:
    """Write class ids that are in memory, height × width, as :func:`label_raster_writer` does."""
    with label_raster_writer(image, classes, colours, path) as write:
        write(0, labels)
