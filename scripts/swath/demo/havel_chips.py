"""Make labels for chip classification of the demo's scenes: cells of a grid that one land-use class covers."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.features import rasterize

from swath.demo import data_sets
from swath.demo.files import publish_set, write_labels

SIDE = 16  # pixels, of a cell: 160 m, so that a cell is larger than most fields' edges
SHARE = 0.6  # of a cell's pixels that carry its class

ATTRIBUTION = """\
# Where the data comes from

`labels/` is made from `../havel/labels/`, and so © OpenStreetMap contributors (https://www.openstreetmap.org/copyright),
extracted by Geofabrik, available under the Open Database License 1.0
(https://opendatacommons.org/licenses/odbl/1-0/). Changed: cells of 160 m × 160 m in place of polygons, each of which
one class covers by at least 60 %; where polygons overlap, the smaller one counts. Cells that no class covers so far,
most of every scene, are left out. The images are those of `../havel`: its ATTRIBUTION.md says where they come from.
"""


def build(havel: str | Path, folder: str | Path) -> None:
    """Write the cells of all scenes of the Havel, their table and their attribution, always the same bytes.

    ``labels/<scene>.geojson``: squares of 16 × 16 pixels in EPSG:4326 with class_name, row by row from the north west.
    ``scenes.csv``: a copy of ``demo.HAVEL_CHIPS.shipped_table``, which names the Havel's images; it appears last.

    Args:
        havel: The folder that ``swath.demo.havel.build`` has written.
        folder: Where to write. Files appear there when all of them are complete.

    Raises:
        OSError: An image or a label file cannot be read, or the folder cannot be written to.
    """
    with publish_set(data_sets.HAVEL_CHIPS, folder, ATTRIBUTION) as made:
        for scene in data_sets.HAVEL_CHIPS.scenes:
            with rasterio.open(Path(havel, "images", f"{scene}.tif")) as image:
                labels = gpd.read_file(Path(havel, "labels", f"{scene}.geojson")).to_crs(image.crs)
                cells = find_cells(labels, image.shape, image.transform)
            write_labels(made / "labels" / f"{scene}.geojson", cells)


def find_cells(labels: gpd.GeoDataFrame, shape: tuple[int, int], transform: rasterio.Affine) -> gpd.GeoDataFrame:
    """Find the cells that one class covers.

    Args:
        labels: Polygons with class_name in the image's CRS; where they overlap, the later one counts.
        shape: Height and width of the image in pixels, multiples of ``SIDE``.
        transform: Of the image, north up.

    Returns:
        Squares with class_name in the image's CRS, row by row from the north west.
    """
    names = sorted(set(labels["class_name"]))
    height, width = (side // SIDE for side in shape)
    shapes = zip(labels.geometry, labels["class_name"].map(names.index), strict=True)
    mask = rasterize(shapes, shape, fill=len(names), transform=transform, dtype="uint8")
    cells = mask.reshape(height, SIDE, width, SIDE)
    shares = np.stack([(cells == index).mean(axis=(1, 3)) for index in range(len(names))])
    rows, columns = np.nonzero(shares.max(axis=0) >= SHARE)
    side = SIDE * transform.a
    west, north = transform.c + columns * side, transform.f - rows * side
    squares = shapely.box(west, north - side, west + side, north)
    classes = [names[index] for index in shares.argmax(axis=0)[rows, columns]]
    return gpd.GeoDataFrame({"class_name": classes}, geometry=squares, crs=labels.crs)
