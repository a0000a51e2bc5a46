"""Reference points with their true class, from a table or a vector file in any CRS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import geopandas as gpd
import numpy as np
import pyogrio
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from swath.config.accuracy import Accuracy
from swath.errors import Problem, UserError, did_you_mean
from swath.scenes.rows import Row, read_rows
from swath.scenes.vectors import PARQUET

TABLES = (".csv", ".tsv", ".txt")
DEGREES = (("lon", "lat"), ("longitude", "latitude"), ("long", "lat"))
METRES = (("x", "y"), ("easting", "northing"), ("east", "north"))
"""Names of columns with coordinates, in small letters: in EPSG:4326, and in the CRS that the config names."""
STRATUM = "stratum"
"""The column in which `snakemake sample` writes a point's stratum."""
SHAPEFILE = 10
"""Letters of a column's name that a shapefile keeps."""


@dataclass(frozen=True)
class ReferencePoints:
    """Points as a file has them.

    Attributes:
        file: The file.
        crs: Their CRS.
        x, y: Where they lie: x or longitude, y or latitude.
        classes: What stands for the true class: a name, an id, or nothing.
        strata: The stratum that each was drawn in, None where nothing is said of strata.
        areas: The area of its stratum as it is written, None where no column says it.
    """

    file: str
    crs: CRS
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    classes: Sequence[str]
    strata: Sequence[str] | None
    areas: Sequence[str] | None


def read_reference_points(settings: Accuracy) -> ReferencePoints:
    """Read the points that `accuracy.reference` names.

    Raises:
        UserError: For files that cannot be read, have no points, no coordinates, no CRS, or lack a column.
    """
    path = str(settings.reference)
    if Path(path).suffix.lower() in TABLES:
        columns, crs, x, y = _of_table(path, settings)
    else:
        columns, crs, x, y = _of_vector(path, settings.layer)
    if not len(x):
        expected, cure = "points with their true class", "check the file"
        raise UserError(Problem("reference_empty", path, "accuracy.reference", "no points", expected, cure))
    in_column = settings.stratum_area if isinstance(settings.stratum_area, str) else None
    areas = _as_left(in_column, columns) if in_column else None
    is_said = "stratum_area" in settings.model_fields_set
    if areas is None and in_column and is_said:
        _is_missing(path, "accuracy.stratum_area", in_column, list(columns))
    strata = _as_left(STRATUM, columns)
    if settings.stratum or (is_said and strata is None):  # areas of strata that nobody knows
        strata = _column(path, "accuracy.stratum", settings.stratum or STRATUM, columns)
    elif strata and not any(strata):  # a column of `snakemake sample`, or any of its name: nobody filled it in
        strata = None
    return ReferencePoints(
        path, crs, x, y, _column(path, "accuracy.class", settings.class_, columns), strata, areas if strata else None
    )


Columns = dict[str, Sequence[str]]
Points = tuple[Columns, CRS, NDArray[np.float64], NDArray[np.float64]]


def _column(path: str, field: str, name: str, columns: Columns) -> Sequence[str]:
    if name not in columns:
        _is_missing(path, field, name, list(columns))
    return columns[name]


def _as_left(name: str, columns: Columns) -> Sequence[str] | None:
    """Return a column, also where another program left ten letters of its name, or wrote it in capitals."""
    small = {column.lower(): entries for column, entries in columns.items()}
    return columns.get(name, small.get(name.lower(), small.get(name.lower()[:SHAPEFILE])))


def _is_missing(path: str, field: str, name: str, columns: Sequence[str]) -> NoReturn:
    found, cure = "columns " + ", ".join(columns), did_you_mean(name, columns, f"name the column in `{field}`")
    raise UserError(Problem("column_missing", path, field, found, f"a column {name}", cure))


def _of_table(path: str, settings: Accuracy) -> Points:
    named = [settings.class_, settings.stratum or STRATUM, "stratum_area"]
    known = {name for pair in (*DEGREES, *METRES) for name in pair} | {name.lower() for name in named}
    names, rows = read_rows(Path(path), known)
    small = [name.lower() for name in names]
    pairs = [*METRES, *DEGREES] if settings.crs else [*DEGREES, *METRES]
    pair = next((pair for pair in pairs if set(pair) <= set(small)), None)
    if pair is None:
        cure = "name the columns so, or take a vector file, such as GeoPackage"
        found, expected = "columns " + ", ".join(names), "columns lon and lat, or x and y with `accuracy.crs`"
        raise UserError(Problem("column_missing", path, "coordinates", found, expected, cure))
    if pair in METRES and settings.crs is None:
        cure = "say it, such as `accuracy: {crs: EPSG:32636}`"
        raise UserError(
            Problem("no_crs", path, "accuracy.crs", f"columns {pair[0]} and {pair[1]} alone", "their CRS", cure)
        )
    x, y = (_numbers(path, name, rows) for name in pair)
    columns: Columns = {name: [row.entries[name.lower()] for row in rows] for name in names}
    return columns, _crs_of(settings.crs if pair in METRES else "EPSG:4326"), x, y


def _crs_of(said: str | None) -> CRS:
    try:
        return CRS(said)
    except CRSError:
        expected = "a coordinate reference system, such as EPSG:32636"
        raise UserError(
            Problem("no_crs", "config", "accuracy.crs", repr(said), expected, "change `accuracy.crs`")
        ) from None


def _numbers(path: str, column: str, rows: Sequence[Row]) -> NDArray[np.float64]:
    """Read coordinates, also those with a comma for the point."""
    values = []
    for row in rows:
        text = row.entries[column]
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            place, cure = f"{path}:{row.number}", "fill it in, or remove the row"
            raise UserError(Problem("no_coordinates", place, column, repr(text), "a coordinate", cure))
        values.append(value)
    return np.array(values)


def _of_vector(path: str, layer: str | None) -> Points:
    try:
        frame = gpd.read_parquet(path) if Path(path).suffix.lower() in PARQUET else _read_layer(path, layer)
    except UserError:
        raise
    except Exception as error:  # pyogrio, pyarrow and shapely each have their own
        said, expected = " ".join(str(error).split()), "a vector file that GDAL reads, or a table (.csv)"
        raise UserError(
            Problem("reference_unreadable", path, "accuracy.reference", said, expected, "check the file")
        ) from None
    if not isinstance(frame, gpd.GeoDataFrame):
        cure = "save the points with their geometry, or as CSV with coordinates"
        raise UserError(Problem("no_geometry", path, "accuracy.reference", "a plain table", "points", cure))
    parts = frame.explode(ignore_index=True)
    frame = parts if len(parts) == len(frame) else frame  # multi-points of one point each are points
    _check_points(path, frame)
    names = [name for name in frame.columns if name != frame.geometry.name]
    columns: Columns = {str(name): [_text(value) for value in frame[name]] for name in names}
    x, y = (np.asarray(values, np.float64) for values in (frame.geometry.x, frame.geometry.y))
    return columns, CRS(frame.crs), x, y


def _check_points(path: str, frame: gpd.GeoDataFrame) -> None:
    if not len(frame):
        return
    empty = int((frame.geometry.isna() | frame.geometry.is_empty).sum())
    if empty:
        found, cure = f"{empty} of {len(frame)} without a place", "remove them, or give them one"
        raise UserError(Problem("no_coordinates", path, "geometry", found, "a point in every row", cure))
    others = frame.geom_type[frame.geom_type != "Point"]
    if len(others):
        found = f"{len(others)} of {len(frame)} are no points: {', '.join(sorted(set(others)))}"
        cure = "take points, such as the centres of the polygons"
        raise UserError(Problem("points_needed", path, "geometry", found, "one point in every row", cure))
    if frame.crs is None:
        expected, cure = "a coordinate reference system", "add it (.prj file, or layer CRS)"
        raise UserError(Problem("no_crs", path, "CRS", "none", expected, cure))


def _read_layer(path: str, layer: str | None) -> Any:
    """Read the layer that is named, or the only one with geometries: QGIS keeps styles in others."""
    layers = pyogrio.list_layers(path)
    names = [str(name) for name, kind in layers if kind is not None] or [str(name) for name, _ in layers]
    if layer is None and len(names) > 1:
        cure = f"name it: `accuracy: {{layer: {names[0]}}}`"
        raise UserError(Problem("layer_not_named", path, "layers", ", ".join(names), "to know which one", cure))
    if layer is not None and layer not in names:
        found, expected = "layers " + ", ".join(names), "a layer of that name"
        cure = did_you_mean(layer, names)
        raise UserError(Problem("unknown_layer", path, f"accuracy.layer: {layer}", found, expected, cure))
    return pyogrio.read_dataframe(path, layer=layer or names[0], force_2d=True)


def _text(value: Any) -> str:
    """Write an entry as text: 3.0 is the id 3, and what is not there is nothing."""
    if value is None or value != value or str(value) in ("<NA>", "NaT"):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
