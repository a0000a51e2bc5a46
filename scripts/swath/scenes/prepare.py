"""The stage `scenes`: read headers and labels, harmonise the labels, refuse what cannot be right."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from rasterio.features import rasterize
from rasterio.warp import transform_bounds
from shapely.geometry import box

from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import SEGMENTATION
from swath.errors import Problem, UserError, did_you_mean
from swath.files import publish_directory, sha256, write_json

WGS84 = "EPSG:4326"
log = logging.getLogger("swath.scenes")


def prepare_scenes(rows: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], folder: Path, manifest: Path) -> None:
    """Harmonise the labels of some scenes.

    For every scene, ``<folder>/<scene>/`` gets ``labels.geojson`` (polygons in EPSG:4326 with `class_id` and
    `class_name`, the largest first so that small ones win overlaps), ``labelled.geojson`` (where evaluation looks,
    if unlabelled pixels are ignored) and ``aoi.geojson`` (the area of interest, if there is one).

    Args:
        rows: Scenes: id, split, image, labels, aoi.
        spec: The stage's spec: class names by id, label settings.
        folder: Where the scenes' folders are published, all at once.
        manifest: JSON to write: scene id → facts (paths, width and height in pixels, bands, dtype, CRS, nodata,
            labelled pixels by class).

    Raises:
        UserError: For images and labels that cannot be used, all of them at once.
    """
    facts, problems = {}, []
    with publish_directory(folder) as temporary:
        for row in rows:
            try:
                scene_folder = temporary / row["id"]
                scene_folder.mkdir()
                facts[row["id"]] = _prepare_scene(row, spec, scene_folder, folder / row["id"])
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(problems)
    write_json(manifest, {"scenes": facts})


def _prepare_scene(row: Mapping[str, Any], spec: Mapping[str, Any], folder: Path, published: Path) -> dict[str, Any]:
    facts = read_header(row["image"])
    labels = read_labels(row["labels"], spec, facts)
    labels.to_file(folder / "labels.geojson", driver="GeoJSON", engine="pyogrio")
    checksums = {"labels": sha256(folder / "labels.geojson")}
    aoi = None
    if row["aoi"]:
        aoi = _inside_image(_read_vector(row["aoi"], "aoi"), row["aoi"], "aoi", facts)
        aoi[["geometry"]].to_file(folder / "aoi.geojson", driver="GeoJSON", engine="pyogrio")
        checksums["aoi"] = sha256(folder / "aoi.geojson")
    evaluated = aoi
    if spec["task"] == SEGMENTATION and spec["labels"]["unlabelled"] == "ignore":
        labelled = gpd.GeoDataFrame(geometry=[labels.union_all()], crs=WGS84)
        evaluated = labelled if aoi is None else gpd.overlay(labelled, aoi[["geometry"]], how="intersection")
    if evaluated is not None:
        evaluated = evaluated.explode(ignore_index=True)
        evaluated = evaluated[evaluated.geom_type == "Polygon"][["geometry"]]
        evaluated.to_file(folder / "labelled.geojson", driver="GeoJSON", engine="pyogrio")
    return {
        **row,
        **facts,
        "labels": str(published / "labels.geojson"),
        "aoi": str(published / "aoi.geojson") if aoi is not None else None,
        "evaluated": str(published / "labelled.geojson") if evaluated is not None else None,
        "labelled_pixels": _labelled_pixels(labels, facts, spec["classes"]),
        "sha256": checksums,
    }


def read_header(image: str) -> dict[str, Any]:
    """Read what an image's header says.

    Returns:
        width and height in pixels, count and names of bands, dtype, CRS (WKT), transform (six coefficients),
        bounds in EPSG:4326 (west, south, east, north), nodata.

    Raises:
        UserError: If it cannot be read, or has no CRS or no transform.
    """
    try:
        with rasterio.open(image) as dataset:
            if dataset.crs is None or dataset.transform.is_identity:
                raise UserError(
                    Problem(
                        image,
                        "georeference",
                        f"CRS {dataset.crs}, transform {tuple(dataset.transform)[:6]}",
                        "a CRS and a geotransform",
                        "set them, for instance with `rio edit-info --crs --transform`",
                    )
                )
            return {
                "width": dataset.width,
                "height": dataset.height,
                "count": dataset.count,
                "bands": list(dataset.descriptions),
                "dtype": dataset.dtypes[0],
                "crs": dataset.crs.to_wkt(),
                "transform": list(dataset.transform)[:6],
                "bounds": list(transform_bounds(dataset.crs, WGS84, *dataset.bounds)),
                "nodata": None if dataset.nodata is None else float(dataset.nodata),
            }
    except rasterio.errors.RasterioError as error:
        raise UserError(
            Problem(image, "image", str(error), "a raster that GDAL reads", "check the file, copy it again")
        ) from None


def read_labels(path: str, spec: Mapping[str, Any], facts: Mapping[str, Any]) -> gpd.GeoDataFrame:
    """Read and harmonise a scene's labels.

    Args:
        path: Vector file, any format pyogrio reads, any CRS.
        spec: The stage's spec.
        facts: The image's header.

    Returns:
        Polygons in EPSG:4326 that touch the image, with `class_id` and `class_name`, the largest first.

    Raises:
        UserError: For unreadable files, unknown classes, lines or points without a buffer, and labels
            that all lie outside the image.
    """
    options = spec["labels"]
    labels = _read_vector(path, "labels")
    if labels.empty:
        if options["unlabelled"] == "ignore":
            raise UserError(
                Problem(
                    path,
                    "labels",
                    "no features",
                    "at least one label",
                    "leave the scene out, or say what unlabelled means with `labels.unlabelled`",
                )
            )
        return gpd.GeoDataFrame({"class_id": [], "class_name": []}, geometry=[], crs=WGS84)
    labels = labels.assign(class_name=_classes_of(labels, path, options, spec["classes"]))
    labels = labels[labels["class_name"].notna()]
    labels = _as_polygons(labels, path, options["buffer"])
    labels = _inside_image(labels, path, "labels", facts)
    ids = [spec["classes"].index(name) for name in labels["class_name"]]
    areas = labels.to_crs("EPSG:6933").area  # equal-area, so that "largest" means the same everywhere
    order = np.argsort(-areas.to_numpy(), kind="stable")
    return labels.assign(class_id=ids).iloc[order][["class_id", "class_name", "geometry"]].reset_index(drop=True)


def _read_vector(path: str, kind: str) -> gpd.GeoDataFrame:
    try:
        if Path(path).suffix in (".parquet", ".geoparquet"):
            frame = gpd.read_parquet(path)
        else:
            frame = gpd.read_file(path, engine="pyogrio")
    except Exception as error:  # pyogrio, pyarrow and shapely each have their own
        raise UserError(
            Problem(path, kind, " ".join(str(error).split()), "a vector file that GDAL reads", "check the file")
        ) from None
    if not isinstance(frame, gpd.GeoDataFrame):
        raise UserError(Problem(path, kind, "no geometry column", "polygons, lines or points", "check the file"))
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    if frame.crs is None and not frame.empty:
        raise UserError(
            Problem(path, "CRS", "none", "a coordinate reference system", "add it (.prj file, or layer CRS)")
        )
    return frame.to_crs(WGS84) if frame.crs is not None else frame


def _classes_of(
    labels: gpd.GeoDataFrame, path: str, options: Mapping[str, Any], classes: Sequence[str]
) -> pd.Series[Any]:
    """Say each feature's class; None where the feature counts as unlabelled."""
    attribute, default = options["attribute"], options["default_class"]
    if attribute is None:
        return pd.Series(default, index=labels.index, dtype=object)
    if attribute not in labels.columns:
        columns = [column for column in labels.columns if column != "geometry"]
        raise UserError(
            Problem(
                path,
                f"attribute {attribute}",
                "attributes " + (", ".join(columns) or "none"),
                f"the attribute {attribute!r} named by `labels.attribute`",
                did_you_mean(attribute, columns),
            )
        )
    mapping, names = options["mapping"], {}
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
            raise UserError(
                Problem(
                    path,
                    f"attribute {attribute}",
                    f"unknown class {text!r}",
                    "one of " + ", ".join(classes[1:]),
                    f"add it to `classes`, or to `labels.mapping` ({text}: <class>, or {text}: null to ignore it); "
                    + did_you_mean(text, classes[1:]),
                )
            )
    return pd.Series([names.get(value, default) for value in labels[attribute]], index=labels.index, dtype=object)


def _as_polygons(labels: gpd.GeoDataFrame, path: str, buffer: float) -> gpd.GeoDataFrame:
    """Repair geometries, and widen lines and points to polygons by ``buffer`` metres."""
    invalid = ~labels.geometry.is_valid
    if invalid.any():
        log.info("%s: %d invalid geometries repaired", path, int(invalid.sum()))
        labels = labels.set_geometry(labels.geometry.make_valid())
    labels = labels.explode(ignore_index=True)
    thin = ~labels.geom_type.isin(["Polygon"])
    if thin.any() and buffer == 0:
        kinds = ", ".join(sorted(set(labels.geom_type[thin])))
        if len(labels) == int(thin.sum()) or not invalid.any():
            raise UserError(
                Problem(
                    path,
                    "geometry",
                    f"{kinds} features",
                    "polygons",
                    "set `labels.buffer` to half their width in metres",
                )
            )
        labels = labels[~thin]  # what repairing left over: edges and corners
    elif thin.any():
        widened = labels.geometry.to_crs(labels.estimate_utm_crs()).buffer(buffer).to_crs(WGS84)
        labels = labels.set_geometry(labels.geometry.where(~thin, widened))
    return labels


def _inside_image(frame: gpd.GeoDataFrame, path: str, kind: str, facts: Mapping[str, Any]) -> gpd.GeoDataFrame:
    footprint = box(*facts["bounds"])
    inside = frame[frame.intersects(footprint)].copy()
    if inside.empty and not frame.empty:
        found = "bounds " + ", ".join(f"{value:.5f}" for value in frame.total_bounds)
        expected = "some within the image's bounds " + ", ".join(f"{value:.5f}" for value in facts["bounds"])
        raise UserError(
            Problem(
                path, kind, f"all outside the image: {found}", f"{expected} (EPSG:4326)", "check the file and its CRS"
            )
        )
    return inside


def _labelled_pixels(labels: gpd.GeoDataFrame, facts: Mapping[str, Any], classes: Sequence[str]) -> dict[str, int]:
    """Count each class's pixels on the image grid."""
    shape = (facts["height"], facts["width"])
    raster = np.full(shape, NULL_CLASS_ID, np.uint8)
    if not labels.empty:
        projected = labels.to_crs(facts["crs"])
        raster = rasterize(
            zip(projected.geometry, projected["class_id"], strict=True),
            out_shape=shape,
            fill=NULL_CLASS_ID,
            dtype=np.uint8,
            transform=rasterio.Affine(*facts["transform"]),
        )
    counts = np.bincount(raster.ravel(), minlength=len(classes))
    return {name: int(counts[index]) for index, name in enumerate(classes)}
