"""Tables of shapes, as they open anywhere: GeoParquet, and GeoPackage with the same rows."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
from pyarrow import parquet
from pyogrio import list_layers, read_dataframe, read_info, set_gdal_config_options

WRITTEN_AT = "1970-01-01T00:00:00.000Z"
"""The date inside every GeoPackage: the same rows are the same bytes, whenever they are written."""
POINTS, WRITTEN = "points", "swath_written"
"""The layer of points, and the key under which it says what was written."""
GEO = b"geo"
"""The key of what GeoParquet says of a file's geometries."""


def write_table(parts: gpd.GeoDataFrame | Iterable[gpd.GeoDataFrame], path: Path) -> None:
    """Write polygons as GeoParquet, and beside it as GeoPackage.

    Args:
        parts: Polygons with their columns, in one table or in several with the same columns and CRS, each of which is
            forgotten before the next is asked for. A table may be empty; there is one at least.
        path: The GeoParquet file; the GeoPackage, whose layer is named as the file is, has the ending ``.gpkg``.
    """
    tables = [parts] if isinstance(parts, gpd.GeoDataFrame) else parts
    writer: parquet.ParquetWriter | None = None
    said: list[dict[str, Any]] = []
    set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN_AT})
    try:
        for part in tables:
            rows = _as_arrow(part)
            metadata = dict(rows.schema.metadata)
            said.append(json.loads(metadata.pop(GEO)))
            writer = writer or parquet.ParquetWriter(path, rows.schema.with_metadata(metadata))
            writer.write_table(rows.replace_schema_metadata(metadata))
            part.to_file(
                path.with_suffix(".gpkg"),
                layer=path.stem,
                driver="GPKG",
                engine="pyogrio",
                geometry_type="Polygon",
                mode="a" if len(said) > 1 else "w",
            )
        if writer is not None:
            writer.add_key_value_metadata({GEO: json.dumps(_of_all(said)).encode()})
    finally:
        set_gdal_config_options({"OGR_CURRENT_DATE": None})
        if writer is not None:
            writer.close()


def write_points(points: gpd.GeoDataFrame, path: Path) -> None:
    """Write points as GeoPackage, which says of itself what it held: :func:`as_written` tells whether it still does.

    Args:
        points: Points with their columns.
        path: The file to write; its layer is `points`.
    """
    said = {WRITTEN: _content_of(points)}
    set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN_AT})
    try:
        points.to_file(path, layer=POINTS, driver="GPKG", engine="pyogrio", geometry_type="Point", layer_metadata=said)
    finally:
        set_gdal_config_options({"OGR_CURRENT_DATE": None})


def as_written(path: Path) -> bool:
    """Tell whether a file of :func:`write_points` holds what was written: no other layer, the same rows.

    Raises:
        Exception: What pyogrio raises, for a file that it cannot read.
    """
    if [str(name) for name, _ in list_layers(path)] != [POINTS]:
        return False
    written = (read_info(path, layer=POINTS)["layer_metadata"] or {}).get(WRITTEN)
    return bool(written == _content_of(read_dataframe(path, layer=POINTS)))


def _content_of(points: gpd.GeoDataFrame) -> str:
    """Return a checksum of columns, rows and places; that nothing is filled in is the same however it is written."""
    rows = points.drop(columns=points.geometry.name).to_csv(index=False)
    places = points.geometry.to_wkb().to_list()
    return hashlib.sha256(rows.encode() + b"".join(place or b"-" for place in places)).hexdigest()


def _as_arrow(part: gpd.GeoDataFrame) -> pa.Table:
    file = io.BytesIO()
    part.to_parquet(file, index=False)
    return parquet.read_table(file)


def _of_all(said: list[dict[str, Any]]) -> dict[str, Any]:
    """Put together what GeoParquet says of the geometries of several tables: their types, and their bounds."""
    whole = said[0]
    for name, column in whole["columns"].items():
        of_parts = [one["columns"][name] for one in said]
        column["geometry_types"] = sorted({kind for one in of_parts for kind in one["geometry_types"]})
        bounds = np.array([one["bbox"] for one in of_parts if "bbox" in one])
        if len(bounds):
            column["bbox"] = [*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist()]
    return whole
