"""Vector labels: any format, layer, CRS and geometry become polygons with classes."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyproj import CRS
from rasterio.warp import transform_bounds
from shapely.geometry import box

from swath.config.labels import Labels
from swath.config.tasks import DETECTION
from swath.errors import Problem, UserError, did_you_mean
from swath.scenes.facts import Bounds, ImageHeader, ScenesSpec
from swath.scenes.images import WGS84

PARQUET = (".parquet", ".geoparquet")
RASTERS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".vrt", ".img", ".bmp")
SEGMENTS = 64
"""Pieces of an edge as long as the image: a straight edge in the labels' CRS is none in the image's."""

log = logging.getLogger("swath.scenes")


@dataclass(frozen=True)
class Choice:
    """Which features of a file count.

    Attributes:
        layer: The layer they are in; the first one, if None.
        where: SQL condition on their attributes; None for all.
    """

    layer: str | None = None
    where: str | None = None


EVERYTHING = Choice()


def read_labels(
    paths: str | Sequence[str], spec: ScenesSpec, header: ImageHeader, elsewhere: bool = False
) -> gpd.GeoDataFrame:
    """Read and harmonise a scene's labels.

    Args:
        paths: Vector files: any format pyogrio reads, or GeoParquet; any CRS. They may reach far beyond the image.
        spec: The stage's spec.
        header: The image's header.
        elsewhere: Whether all labels may lie outside the image, as those of a file for many scenes can.

    Returns:
        Polygons in EPSG:4326 that touch the image, with `class_id` and `class_name`, the largest first; the attribute
        `repaired` counts the features whose geometry was invalid.

    Raises:
        UserError: For unreadable files, unknown classes, lines or points without a buffer, and labels
            that all lie outside the image.
    """
    options = spec.labels
    choice = Choice(options.layer, options.where)
    files = [paths] if isinstance(paths, str) else list(paths)
    found = [_labels_of_file(path, options, choice, spec.classes, header) for path in files]
    with_labels = [frame for frame, _ in found if not frame.empty]
    if not with_labels:
        if not elsewhere:
            means_something = spec.task == DETECTION or options.unlabelled != "ignore"
            _check_nothing(files, choice, {state for _, state in found}, header, means_something)
        nothing = gpd.GeoDataFrame({"class_id": [], "class_name": []}, geometry=[], crs=WGS84)
        nothing.attrs["repaired"] = 0
        return nothing
    labels = pd.concat(with_labels, ignore_index=True)
    order = np.argsort(-labels["area"].to_numpy(), kind="stable")
    ids = [spec.classes.index(name) for name in labels["class_name"]]
    sorted_ = labels.assign(class_id=ids).iloc[order][["class_id", "class_name", "geometry"]].reset_index(drop=True)
    sorted_.attrs["repaired"] = sum(frame.attrs["repaired"] for frame in with_labels)
    return sorted_


def read_aoi(paths: Sequence[str], header: ImageHeader) -> gpd.GeoDataFrame:
    """Read an area of interest: polygons in EPSG:4326 that touch the image.

    Raises:
        UserError: For unreadable files, files without features, and areas outside the image.
    """
    frames = [_read_vector(path, "aoi", EVERYTHING, header, 0.0) for path in paths]
    if not any(_has_features(path, EVERYTHING) for path in paths):
        files, cure = "; ".join(paths), "leave the entry empty, or fill it"
        raise UserError(Problem("aoi_empty", files, "aoi", "no features", "at least one polygon", cure))
    polygons = [
        _in_wgs84(_polygons(frame, path, 0.0, header), header) for frame, path in zip(frames, paths, strict=True)
    ]
    inside = [frame[frame.intersects(box(*header.bounds))] for frame in polygons]
    if not sum(map(len, inside)):
        bounds = _bounds_of_files(paths, EVERYTHING)
        raise UserError(_outside("; ".join(paths), "aoi", bounds, header))
    return pd.concat([frame[["geometry"]] for frame in inside if not frame.empty], ignore_index=True)


def _labels_of_file(
    path: str, options: Labels, choice: Choice, classes: Sequence[str], header: ImageHeader
) -> tuple[gpd.GeoDataFrame, str]:
    """Read a file's labels, with their area; if there are none, say why: empty, outside, or without a class."""
    labels = _read_vector(path, "labels", choice, header, options.buffer)
    if labels.empty:
        return labels, "outside" if _has_features(path, choice) else "empty"
    labels = labels.assign(class_name=_classes_of(labels, path, options, classes))
    labels = labels[labels["class_name"].notna()]
    if labels.empty:
        return labels, "without a class"
    labels = _polygons(labels, path, options.buffer, header)
    repaired = labels.attrs["repaired"]
    # equal-area, so that "largest" means the same everywhere
    labels = _in_wgs84(labels.assign(area=labels.geometry.to_crs("EPSG:6933").area), header)
    labels = labels[labels.intersects(box(*header.bounds))]
    labels.attrs["repaired"] = repaired
    return labels, "outside"


def _check_nothing(
    files: Sequence[str],
    choice: Choice,
    states: set[str],
    header: ImageHeader,
    means_something: bool,
) -> None:
    """Refuse files that have no labels for an image, unless that means something."""
    if "outside" in states and "without a class" not in states:
        raise UserError(_outside("; ".join(files), "labels", _bounds_of_files(files, choice), header))
    if not means_something:
        found = "no features" + (" with a class" if "without a class" in states else "")
        cure = "leave the scene out, or say what unlabelled means with `labels.unlabelled`"
        raise UserError(Problem("labels_empty", "; ".join(files), "labels", found, "at least one label", cure))


# --- reading ---------------------------------------------------------------------------------------


def _read_vector(path: str, kind: str, choice: Choice, header: ImageHeader, margin: float) -> gpd.GeoDataFrame:
    """Read what touches the image's bounding box, grown by ``margin`` metres, in the file's CRS and two dimensions."""
    try:
        if Path(path).suffix.lower() in PARQUET:
            frame = _read_parquet(path, choice.where, header, margin)
        else:
            _check_layer(path, kind, choice.layer)
            crs = pyogrio.read_info(path, layer=choice.layer)["crs"]
            frame = pyogrio.read_dataframe(
                path,
                layer=choice.layer,
                where=choice.where,
                bbox=bounds_in(crs, header, margin) if crs else None,
                force_2d=True,
            )
    except UserError:
        raise
    except Exception as error:  # pyogrio, pyarrow and shapely each have their own
        if choice.where:
            _read_vector(path, kind, replace(choice, where=None), header, margin)  # tells what is wrong without it
            raise UserError(_wrong_condition(path, choice.where, error)) from None
        raise UserError(_unreadable(path, kind, error)) from None
    if not isinstance(frame, gpd.GeoDataFrame):
        raise UserError(
            Problem("no_geometry", path, kind, "no geometry column", "polygons, lines or points", "check the file")
        )
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    if frame.crs is None and not frame.empty:
        raise UserError(
            Problem("no_crs", path, "CRS", "none", "a coordinate reference system", "add it (.prj file, or layer CRS)")
        )
    return frame


def _read_parquet(path: str, where: str | None, header: ImageHeader, margin: float) -> gpd.GeoDataFrame:
    frame = gpd.read_parquet(path)
    frame = frame.set_geometry(shapely.force_2d(frame.geometry.to_numpy()))
    if frame.crs is not None and not frame.empty:
        bounds = bounds_in(frame.crs, header, margin)
        frame = frame.iloc[np.sort(frame.sindex.query(box(*bounds)))] if bounds else frame
    if where and not frame.empty:
        file = io.BytesIO()  # GDAL's condition for GDAL's format: the same SQL for every file
        pyogrio.write_dataframe(frame, file, driver="FlatGeobuf")
        frame = pyogrio.read_dataframe(io.BytesIO(file.getvalue()), where=where)
    return frame


def _check_layer(path: str, kind: str, layer: str | None) -> None:
    layers = pyogrio.list_layers(path)
    names = [str(name) for name, geometry in layers if geometry is not None] or [str(name) for name, _ in layers]
    if layer is None and len(names) > 1 and kind == "labels":
        raise UserError(
            Problem(
                "layer_not_named",
                path,
                "layers",
                ", ".join(names),
                "to know which one",
                f"name it: `labels.layer: {names[0]}`",
            )
        )
    if layer is not None and layer not in names:
        found = "layers " + ", ".join(names)
        raise UserError(
            Problem(
                "unknown_layer",
                path,
                f"labels.layer: {layer}",
                found,
                "a layer of that name",
                did_you_mean(layer, names),
            )
        )


def _wrong_condition(path: str, condition: str, error: Exception) -> Problem:
    said = " ".join(str(error).split())
    cure = "a condition such as `area > 100`, text in single quotes, odd names in double quotes"
    expected = "an SQL condition on the file's attributes"
    return Problem("invalid_condition", path, f"labels.where: {condition}", said, expected, cure)


def _unreadable(path: str, kind: str, error: Exception) -> Problem:
    said = " ".join(str(error).split())
    cure = "check the file"
    if Path(path).suffix.lower() in RASTERS:
        cure = "a label raster needs `labels.mapping` or `labels.colours`, and no `attribute`"
    return Problem(
        "aoi_unreadable" if kind == "aoi" else "labels_unreadable",
        path,
        kind,
        said,
        "a vector file that GDAL reads",
        cure,
    )


def _has_features(path: str, choice: Choice) -> bool:
    if Path(path).suffix.lower() in PARQUET:
        return not gpd.read_parquet(path).empty
    return bool(len(pyogrio.read_bounds(path, layer=choice.layer, where=choice.where, max_features=1)[0]))


def _bounds_of_files(paths: Sequence[str], choice: Choice) -> str:
    """Say where files' features lie, in EPSG:4326."""
    said = []
    for path in paths:
        if Path(path).suffix.lower() in PARQUET:
            frame = gpd.read_parquet(path)
            bounds, crs = frame.total_bounds, frame.crs
        else:
            info = pyogrio.read_info(path, layer=choice.layer, force_total_bounds=True)
            bounds, crs = info["total_bounds"], info["crs"]
        in_wgs84 = transform_bounds(CRS(crs).to_wkt(), WGS84, *bounds) if crs else bounds
        said.append(", ".join(f"{value:.5f}" for value in in_wgs84))
    return "; ".join(said)


def bounds_in(crs: Any, header: ImageHeader, margin: float = 0.0) -> Bounds | None:
    """Give the image's bounds in another CRS, grown by metres; None where that CRS does not know the place."""
    west, south, east, north = header.bounds
    up = margin / 111_000  # metres of a degree of latitude, rounded down
    aside = up / max(math.cos(math.radians(min(max(abs(south), abs(north)) + up, 89.9))), 1e-3)
    grown = (west - aside, max(south - up, -90), east + aside, min(north + up, 90))
    try:
        bounds = transform_bounds(WGS84, CRS(crs).to_wkt(), *grown)
    except Exception:  # rasterio's and pyproj's errors for places a projection does not reach
        return None
    left, bottom, right, top = bounds
    return bounds if all(map(math.isfinite, bounds)) and left <= right and bottom <= top else None


# --- classes ---------------------------------------------------------------------------------------


def _classes_of(labels: gpd.GeoDataFrame, path: str, options: Labels, classes: Sequence[str]) -> pd.Series[Any]:
    """Say each feature's class; None where the feature counts as unlabelled."""
    attribute, default = options.attribute, options.default_class
    if attribute is None:
        return pd.Series(default, index=labels.index, dtype=object)
    if attribute not in labels.columns:
        columns = [column for column in labels.columns if column != labels.geometry.name]
        raise UserError(
            Problem(
                "unknown_attribute",
                path,
                f"attribute {attribute}",
                "attributes " + (", ".join(columns) or "none"),
                f"the attribute {attribute!r} named by `labels.attribute`",
                did_you_mean(attribute, columns),
            )
        )
    mapping, names = options.mapping, {}
    problems = []
    for value in labels[attribute].unique():
        if pd.isna(value):
            names[value] = default
            continue
        text = str(int(value)) if isinstance(value, float | np.floating) and value == int(value) else str(value)
        if text in mapping:
            names[value] = mapping[text]
        elif text in classes:
            names[value] = text
        elif default is not None:
            names[value] = default
        else:
            problems.append(_unknown_class(path, attribute, text, classes))
    if problems:
        raise UserError(problems)
    return pd.Series([names.get(value, default) for value in labels[attribute]], index=labels.index, dtype=object)


def _unknown_class(path: str, attribute: str, text: str, classes: Sequence[str]) -> Problem:
    return Problem(
        "unknown_class",
        path,
        f"attribute {attribute}",
        f"unknown class {text!r}",
        "one of " + ", ".join(classes[1:]),
        f'add it to `classes`, or to `labels.mapping` ("{text}": <class>, or "{text}": null to ignore it); '
        + did_you_mean(text, classes[1:]),
    )


# --- geometry --------------------------------------------------------------------------------------


def _polygons(labels: gpd.GeoDataFrame, path: str, buffer: float, header: ImageHeader) -> gpd.GeoDataFrame:
    """Repair geometries, and widen lines and points to polygons by ``buffer`` metres; the CRS stays the file's."""
    flat = labels.geom_type.isin(["Polygon", "MultiPolygon", "GeometryCollection"])
    invalid = ~labels.geometry.is_valid
    if invalid.any():
        log.info("%s: %d invalid geometries repaired", path, int(invalid.sum()))
        labels = labels.set_geometry(labels.geometry.where(~invalid, labels.geometry.make_valid()))
    pieces = labels.assign(_remains=invalid & flat).explode(ignore_index=True)
    thin = pieces.geom_type != "Polygon"
    pieces, thin = pieces[~(thin & pieces["_remains"])], thin[~(thin & pieces["_remains"])]  # edges and corners
    if thin.any() and buffer == 0:
        kinds = ", ".join(sorted(set(pieces.geom_type[thin])))
        cure = "set `labels.buffer` to half their width in metres"
        raise UserError(Problem("lines_without_width", path, "geometry", f"{kinds} features", "polygons", cure))
    if thin.any():
        metric = pieces.geometry.to_crs(_local_crs(header))
        widened = metric.buffer(thin.to_numpy() * buffer).to_crs(CRS(pieces.crs))
        pieces = pieces.set_geometry(pieces.geometry.where(~thin, widened))
    pieces = pieces.drop(columns="_remains")
    pieces.attrs["repaired"] = int(invalid.sum())
    return pieces


def _local_crs(header: ImageHeader) -> CRS:
    """Give a projection in metres that is true around the image, wherever that is, also at a pole."""
    west, south, east, north = header.bounds
    return CRS.from_proj4(f"+proj=aeqd +lat_0={(south + north) / 2} +lon_0={(west + east) / 2} +datum=WGS84 +units=m")


def _in_wgs84(labels: gpd.GeoDataFrame, header: ImageHeader) -> gpd.GeoDataFrame:
    """Bring polygons to EPSG:4326, near the image with so many corners that their edges stay where they are.

    An edge that is straight in one CRS is bent in another; with corners close together it hardly is. Far from the
    image that would only cost memory, so that what does not matter is cut off first.
    """
    if labels.empty or CRS(labels.crs) == CRS(header.crs):
        return labels.to_crs(WGS84)
    bounds = bounds_in(labels.crs, header)
    if bounds is None:
        return labels.to_crs(WGS84)
    left, bottom, right, top = bounds
    size = max(right - left, top - bottom)
    around = box(left - size, bottom - size, right + size, top + size)
    near = labels.geometry.intersection(around).to_numpy()
    dense = labels.set_geometry(shapely.segmentize(near, size / SEGMENTS)).explode(ignore_index=True)
    return dense[dense.geom_type == "Polygon"].to_crs(WGS84)


def _outside(path: str, kind: str, found: str, header: ImageHeader) -> Problem:
    expected = "some within the image's bounds " + ", ".join(f"{value:.5f}" for value in header.bounds)
    return Problem(
        "aoi_outside" if kind == "aoi" else "labels_outside",
        path,
        kind,
        f"all outside the image: bounds {found}",
        f"{expected} (EPSG:4326)",
        "check the file and its CRS",
    )
