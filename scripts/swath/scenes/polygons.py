"""Geometries of vector labels, repaired, widened and brought to EPSG:4326."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS
from shapely import union_all
from shapely.geometry import box

from swath.errors import Problem, UserError
from swath.scenes.facts import ImageHeader
from swath.scenes.ground import WGS84, around, beside, local_crs, on_the_same_turn

SEGMENTS = 64
"""Pieces of an edge as long as the image: a straight edge in the labels' CRS is none in the image's."""

log = logging.getLogger("swath.scenes")


@dataclass(frozen=True)
class Polygons:
    """Polygons of features, a row for each part.

    Attributes:
        frame: In the file's CRS.
        repaired: How many geometries were invalid.
        loose_parts: Lines and points beside polygons in one feature, which were left out.
    """

    frame: gpd.GeoDataFrame
    repaired: int
    loose_parts: int


def polygons_of(labels: gpd.GeoDataFrame, path: str, buffer: float, header: ImageHeader) -> Polygons:
    """Repair geometries, and widen lines and points to polygons by ``buffer`` metres; the CRS stays the file's.

    Of a feature that has polygons, lines and points are left out: they are edges and corners that a repair or a clip
    has left, or marks.
    """
    flat = labels.geom_type.isin(["Polygon", "MultiPolygon", "GeometryCollection"])
    invalid = ~labels.geometry.is_valid
    if invalid.any():
        log.info("%s: %d invalid geometries repaired", path, int(invalid.sum()))
        labels = labels.set_geometry(labels.geometry.where(~invalid, labels.geometry.make_valid()))
    numbered = labels.assign(_row=np.arange(len(labels)), _remains=invalid & flat).explode(ignore_index=True)
    pieces = numbered.explode(ignore_index=True)  # collections within collections
    thin = pieces.geom_type != "Polygon"
    beside_polygons = thin & pieces["_row"].isin(pieces["_row"][~thin])
    loose = int((beside_polygons & ~pieces["_remains"]).sum())
    left_out = beside_polygons | (thin & pieces["_remains"])
    pieces, thin = pieces[~left_out], thin[~left_out]
    if thin.any() and buffer == 0:
        kinds = ", ".join(sorted(set(pieces.geom_type[thin])))
        cure = "set `labels.buffer` to half their width in metres"
        raise UserError(Problem("lines_without_width", path, "geometry", f"{kinds} features", "polygons", cure))
    if thin.any():
        metric = pieces.geometry.to_crs(local_crs(header, "aeqd"))
        widened = metric.buffer(thin.to_numpy() * buffer).to_crs(CRS(pieces.crs))
        pieces = pieces.set_geometry(pieces.geometry.where(~thin, widened))
    return Polygons(pieces.drop(columns=["_row", "_remains"]), int(invalid.sum()), loose)


def in_wgs84(labels: gpd.GeoDataFrame, header: ImageHeader) -> gpd.GeoDataFrame:
    """Bring polygons to EPSG:4326, near the image with so many corners that their edges stay where they are.

    An edge that is straight in one CRS is bent in another; with corners close together it hardly is. Far from the
    image that would only cost memory, so that what does not matter is cut off first.
    """
    if labels.empty or CRS(labels.crs) == CRS(header.crs):
        return beside(labels.to_crs(WGS84), header)
    labels = on_the_same_turn(labels, header)
    places = around(labels.crs, header)
    if not places:
        return beside(labels.to_crs(WGS84), header)
    size = max(max(right - left, top - bottom) for left, bottom, right, top in places)
    near_image = union_all(
        [box(left - size, bottom - size, right + size, top + size) for left, bottom, right, top in places]
    )
    near = labels.geometry.intersection(near_image).to_numpy()
    dense = labels.set_geometry(shapely.segmentize(near, size / SEGMENTS)).explode(ignore_index=True)
    return beside(dense[dense.geom_type == "Polygon"].to_crs(WGS84), header)
