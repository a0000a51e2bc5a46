"""Tables of shapes, as they open anywhere: GeoParquet, and GeoPackage with the same rows."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
from pyogrio import set_gdal_config_options

WRITTEN_AT = "1970-01-01T00:00:00.000Z"
"""The date inside every GeoPackage: the same rows are the same bytes, whenever they are written."""


def write_table(table: gpd.GeoDataFrame, path: Path) -> None:
    """Write polygons as GeoParquet, and beside it as GeoPackage.

    Args:
        table: Polygons with their columns; it may be empty.
        path: The GeoParquet file; the GeoPackage, whose layer is named as the file is, has the ending ``.gpkg``.
    """
    table.to_parquet(path)
    set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN_AT})
    try:
        table.to_file(
            path.with_suffix(".gpkg"), layer=path.stem, driver="GPKG", engine="pyogrio", geometry_type="Polygon"
        )
    finally:
        set_gdal_config_options({"OGR_CURRENT_DATE": None})
