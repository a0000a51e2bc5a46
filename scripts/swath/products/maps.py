"""Predictions as maps: Cloud Optimized GeoTIFF and GeoParquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from PIL import ImageColor
from rasterio.features import shapes
from rasterio.io import MemoryFile
from shapely.geometry import shape

from swath.config.classes import NULL_CLASS_ID

LabelRaster = NDArray[np.uint8]


def write_label_raster(
    labels: LabelRaster, image: str, classes: Sequence[str], colours: Sequence[str], path: Path
) -> None:
    """Write class ids as a Cloud Optimized GeoTIFF.

    Args:
        labels: Class ids, height × width, uint8; the null class, 0, is nodata.
        image: The image they belong to: CRS and transform are taken from it.
        classes: Class names by id; written into the band's tags, and beside the file as category names
            (``.aux.xml``), where GDAL and QGIS look for them.
        colours: Colours by id (#rrggbb), written as colour table.
        path: The file to write.
    """
    with rasterio.open(image) as source:
        profile = {"crs": source.crs, "transform": source.transform}
    profile |= {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "nodata": NULL_CLASS_ID,
        "height": labels.shape[0],
        "width": labels.shape[1],
    }
    table = {index: (*ImageColor.getrgb(colour)[:3], 255) for index, colour in enumerate(colours)}
    table[NULL_CLASS_ID] = (0, 0, 0, 0)
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(labels, 1)
            dataset.write_colormap(1, table)
            dataset.set_band_description(1, "class")
            dataset.update_tags(1, **{f"class_{index}": name for index, name in enumerate(classes)})
        with memory.open() as dataset:
            rasterio.shutil.copy(
                dataset, path, driver="COG", compress="DEFLATE", blocksize=256, overview_resampling="MODE"
            )
    categories = "".join(f"<Category>{escape(name)}</Category>" for name in classes)
    sidecar = (
        f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{categories}</CategoryNames></PAMRasterBand></PAMDataset>'
    )
    Path(f"{path}.aux.xml").write_text(sidecar + "\n")


def label_polygons(
    labels: LabelRaster, image: str, classes: Sequence[str], scene: str, background: int = NULL_CLASS_ID
) -> gpd.GeoDataFrame:
    """Turn class ids into polygons of equal class.

    Args:
        labels: Class ids, height × width, uint8.
        image: The image they belong to.
        classes: Class names by id.
        scene: The scene's id.
        background: Id of the class of everything that is nothing in particular, if there is one.

    Returns:
        Columns scene, class_id, class_name, geometry, in the image's CRS; the null class and background are left out.
    """
    with rasterio.open(image) as source:
        crs, transform = source.crs, source.transform
    found = list(shapes(labels, mask=(labels != NULL_CLASS_ID) & (labels != background), transform=transform))
    ids = [int(value) for _, value in found]
    return gpd.GeoDataFrame(
        {"scene": scene, "class_id": ids, "class_name": [classes[index] for index in ids]},
        geometry=[shape(geometry) for geometry, _ in found],
        crs=crs,
    )
