"""Make scenes for object detection: aerial images of NEON with a hand-drawn box around every tree."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.windows
import shapely
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from rasterio.windows import Window

from swath.demo import data_sets
from swath.demo.files import publish_set, unpacked, write_image, write_labels

PIXEL = 0.1  # metres
BANDS = ("red", "green", "blue")
MOST_OF_A_BOX = 0.5
SMALLEST = 4.0  # pixels, of a box's side: what cutting leaves below is no tree one could recognise
DECIMALS = "9"  # of a degree: a thousandth of these small pixels


@dataclass(frozen=True)
class Crop:
    """An image of the package, with a file of boxes beside it.

    Attributes:
        scene: The scene it becomes, or what its quadrants' names begin with.
        file: Its name in the package.
        quadrants: Whether it is cut into four scenes, so that one source gives training and validation scenes.
        crs: Where the image lies, if its file does not say so.
        west: Coordinate of the left edge in ``crs``, metres.
        north: Coordinate of the upper edge in ``crs``, metres.
    """

    scene: str
    file: str
    quadrants: bool = False
    crs: str | None = None
    west: float = 0.0
    north: float = 0.0


# Where a file does not say where it lies, its name gives a tile of one kilometre. The crop gets the tile's north-west
# corner; where in the tile it was cut is not known. SOAP_061 names not even a tile: any place of that region will do.
CROPS = (
    Crop("yell_528000_4978000", "2019_YELL_2_528000_4978000_image_crop2.png", True, "EPSG:32612", 528_000, 4_979_000),
    Crop("yell_541000_4977000", "2019_YELL_2_541000_4977000_image_crop.png", False, "EPSG:32612", 541_000, 4_978_000),
    Crop("osbs_029", "OSBS_029.tif"),
    Crop("soap_061", "SOAP_061.png", False, "EPSG:32611", 298_000, 4_100_000),
)

ATTRIBUTION = """\
# Where the data comes from

- `images/`: camera imagery of the National Ecological Observatory Network's airborne observation platform (NEON, a
  program sponsored by the U.S. National Science Foundation and operated by Battelle), 0.1 m. NEON's data policy
  (https://www.neonscience.org/data-samples/data-policies-citation) releases its data under CC0 1.0 and asks to be
  cited. Sites: Yellowstone (`yell_…`, 2019), Ordway-Swisher (`osbs_…`), Soaproot Saddle (`soap_…`).
- `labels/`: boxes drawn by hand by the authors of DeepForest (Ben Weinstein and others, University of Florida).
- Both were packaged in the Python package deepforest 2.1.0 (MIT License, Copyright (c) 2019, Ben Weinstein).

Changed: the large Yellowstone image is cut into quadrants (`q00` is the north-west one, `q01` the north-east one). A
box belongs to the quadrant that holds at least half of it, and is cut at the edge; boxes under 4 pixels are left out.
Living and dead trees, told apart at Soaproot Saddle only, are one class. Pixels are those of the source.

## Splits

Three quadrants of the large Yellowstone image and osbs_029 are for training, the fourth quadrant for validation. The
test scenes are new places: yell_541000_4977000, 13 km away in the same kind of forest (279 trees), and soap_061, a
forest with mostly dead trees (37), which is the harder one.

## Where the scenes lie

Sizes and shapes are right everywhere. Places are not; `scenes.csv` says it in its column `georeference`:

- `exact`: osbs_029 has the place that its source file names.
- `approximate`: the Yellowstone scenes lie in the right tile of 1 km, at the wrong place in it. The source names the
  tile only, so that each crop was put into its tile's north-west corner. The quadrants fit together.
- `invented`: soap_061 lies somewhere in the region of its site. Its source names no place.
"""


def build(wheel: str | Path, folder: str | Path) -> None:
    """Write the trees' scenes, their labels, their table and their attribution, always the same bytes.

    ``images/<scene>.tif``: uint8, red, green and blue, pixels of 0.1 m in a UTM zone; 400 to 1,249 pixels a side.
    ``labels/<scene>.geojson``: one rectangle per tree in EPSG:4326 with class_name ``tree``.
    ``scenes.csv``: a copy of ``demo.NEON_TREES.shipped_table``, which decides the splits; it appears last.

    Args:
        wheel: The wheel of deepforest 2.1.0, as from ``demo.download``.
        folder: Where to write. Files appear there when all of them are complete.

    Raises:
        OSError: The wheel lacks an image (rasterio's ``RasterioIOError``) or its boxes, or the folder cannot be
            written to.
    """
    with (
        publish_set(data_sets.NEON_TREES, folder, ATTRIBUTION) as made,
        unpacked(wheel) as source,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # CROPS says where they lie
        for crop in CROPS:
            _write_scenes(crop, source / "deepforest" / "data" / crop.file, made)


def read_boxes(file: Path) -> NDArray[np.float64]:
    """Read boxes of the Pascal VOC format.

    Returns:
        (boxes, 2, 2): upper left and lower right corner, each x and y in pixels from the image's upper left corner.
    """
    sides = ("xmin", "ymin", "xmax", "ymax")
    boxes = ElementTree.parse(file).getroot().iter("bndbox")
    return np.array([[float(box.findtext(side, "nan")) for side in sides] for box in boxes]).reshape(-1, 2, 2)


def cut_boxes(boxes: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """Give the boxes that belong to a window, cut at its edges, in pixels from its upper left corner.

    A box belongs to the window that holds at least half of it. What is under ``SMALLEST`` pixels is dropped.
    """
    upper_left = np.array([window.col_off, window.row_off])
    size = np.array([window.width, window.height])
    cut = np.clip(boxes - upper_left, 0, size)  # a box outside has no width or no height then
    sides = np.ptp(cut, axis=1)
    held = sides.prod(axis=1) >= MOST_OF_A_BOX * np.ptp(boxes, axis=1).prod(axis=1)
    kept: NDArray[np.float64] = cut[held & (sides.min(axis=1) >= SMALLEST)]
    return kept


def _write_scenes(crop: Crop, file: Path, folder: Path) -> None:
    boxes = read_boxes(file.with_suffix(".xml"))
    with rasterio.open(file) as image:
        crs = crop.crs or image.crs
        origin = from_origin(crop.west, crop.north, PIXEL, PIXEL) if crop.crs else image.transform
        for scene, window in _windows(crop, image.width, image.height):
            transform = rasterio.windows.transform(window, origin)
            # OSBS_029 calls 255 nodata, but there it is white; the new file has no nodata value
            write_image(folder / "images" / f"{scene}.tif", image.read(window=window), transform, crs, BANDS)
            labels = _rectangles(cut_boxes(boxes, window), transform, crs)
            write_labels(folder / "labels" / f"{scene}.geojson", labels, COORDINATE_PRECISION=DECIMALS)


def _windows(crop: Crop, width: int, height: int) -> Iterator[tuple[str, Window]]:
    """Give the scenes of an image and their windows: all of it, or quadrants, the upper left ones the larger."""
    if not crop.quadrants:
        yield crop.scene, Window(0, 0, width, height)
        return
    columns, rows = ((0, (side + 1) // 2, side) for side in (width, height))
    for row, column in product(range(2), range(2)):
        window = Window.from_slices(rows[row : row + 2], columns[column : column + 2])
        yield f"{crop.scene}_q{row}{column}", window


def _rectangles(boxes: NDArray[np.float64], transform: rasterio.Affine, crs: Any) -> gpd.GeoDataFrame:
    west, north = transform.c + boxes[:, 0, 0] * transform.a, transform.f + boxes[:, 0, 1] * transform.e
    east, south = transform.c + boxes[:, 1, 0] * transform.a, transform.f + boxes[:, 1, 1] * transform.e
    rectangles = shapely.box(west, south, east, north)
    return gpd.GeoDataFrame({"class_name": "tree"}, geometry=rectangles, crs=crs, index=range(len(boxes)))
