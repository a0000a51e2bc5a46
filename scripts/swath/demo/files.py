"""What the makers of the demos' data sets share: files that appear together, images and labels of one form."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import rasterio
from numpy.typing import NDArray

from swath.demo.data_sets import DataSet
from swath.files import unzip


@contextmanager
def publish_set(data: DataSet, folder: str | Path, attribution: str) -> Iterator[Path]:
    """Yield a temporary folder for a data set's files; on success they are renamed into place.

    The folder has the subfolders ``images`` and ``labels``. ``ATTRIBUTION.md`` and ``scenes.csv``, a copy of the
    shipped table, are added; the table appears last: where it is, everything it names is.

    Args:
        data: The data set.
        folder: Where its files appear when all of them are complete.
        attribution: Where the data comes from, in Markdown.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build.", dir=folder) as temporary:
        made = Path(temporary)
        for name in ("images", "labels"):
            Path(made, name).mkdir()
        yield made
        Path(made, "ATTRIBUTION.md").write_text(attribution, encoding="utf-8")
        shutil.copyfile(data.shipped_table, made / "scenes.csv")
        files = [file.relative_to(made) for file in sorted(made.rglob("*")) if file.is_file()]
        for file in sorted(files, key=lambda file: file.name == "scenes.csv"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(made / file, folder / file)


@contextmanager
def unpacked(wheel: str | Path) -> Iterator[Path]:
    """Yield a temporary folder with a wheel's content."""
    with tempfile.TemporaryDirectory() as temporary:
        unzip(wheel, temporary)
        yield Path(temporary)


def write_image(
    path: Path, pixels: NDArray[Any], transform: rasterio.Affine, crs: str | rasterio.CRS, bands: Sequence[str]
) -> None:
    """Write a GeoTIFF, tiled and compressed without loss, always the same bytes.

    Args:
        path: The file.
        pixels: (bands, height, width), of any type that a GeoTIFF can hold.
        transform: From pixels to coordinates.
        crs: Of the coordinates.
        bands: The bands' names, for their descriptions.
    """
    count, height, width = pixels.shape
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": pixels.dtype,
        "count": count,
        "height": height,
        "width": width,
        "crs": crs,
        "transform": transform,
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
        "compress": "deflate",
        "predictor": 2,
        "interleave": "pixel",
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
        dataset.descriptions = tuple(bands)


def write_labels(path: Path, labels: gpd.GeoDataFrame, **options: Any) -> None:
    """Write polygons as RFC 7946 asks: EPSG:4326, seven decimals (a centimetre), exterior rings counterclockwise.

    Args:
        path: The file.
        labels: Polygons in any CRS.
        options: More creation options of GDAL's GeoJSON driver.
    """
    labels.to_file(path, driver="GeoJSON", layer=path.stem, RFC7946="YES", **options)
