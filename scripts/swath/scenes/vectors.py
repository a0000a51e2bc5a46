"""Vector labels: any format, layer, CRS and geometry become polygons with classes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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

from swath.config.classes import NULL_CLASS, NULL_CLASS_ID
from swath.config.labels import Labels
from swath.config.tasks import DETECTION
from swath.errors import Problem, UserError, did_you_mean
from swath.scenes.attributes import classes_of, counts_of
from swath.scenes.boxes import boxes_of_features
from swath.scenes.facts import Bounds, ImageHeader, LabelCounts, ScenesSpec
from swath.scenes.ground import WGS84, local_crs, on_image, places_in, turned
from swath.scenes.no_data import NoData
from swath.scenes.polygons import in_wgs84, polygons_of

PARQUET = (".parquet", ".geoparquet")
RASTERS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".vrt", ".img", ".bmp")


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


@dataclass(frozen=True)
class FileLabels:
    """What one file has for an image.

    Attributes:
        frame: Polygons on the image in EPSG:4326, with `class_name` and `area`, and `feature`, the number of each
            polygon's feature; polygons that are to count as unlabelled have the null class.
        state: Why it is empty, if it is: empty, outside, or without a class.
        repaired: How many geometries were invalid.
        counts: Of the features on the image.
    """

    frame: gpd.GeoDataFrame
    state: str
    repaired: int = 0
    counts: LabelCounts = field(default_factory=LabelCounts)


@dataclass(frozen=True)
class VectorLabels:
    """A scene's vector labels.

    Attributes:
        frame: Polygons in EPSG:4326 that touch the image, with `class_id` and `class_name`, the largest first; for
            object detection one rectangle of the image's grid around every feature.
        repaired: How many geometries were invalid.
        counts: What the preflight tells of them.
    """

    frame: gpd.GeoDataFrame
    repaired: int = 0
    counts: LabelCounts = field(default_factory=LabelCounts)

    @property
    def has_classes(self) -> bool:
        """Whether any of them has a class, and not only ground that is to count as unlabelled."""
        return bool((self.frame["class_id"] != NULL_CLASS_ID).any())


def read_labels(
    paths: str | Sequence[str],
    spec: ScenesSpec,
    header: ImageHeader,
    elsewhere: bool = False,
    no_data: NoData | None = None,
) -> VectorLabels:
    """Read and harmonise a scene's labels.

    Args:
        paths: Vector files: any format pyogrio reads, or GeoParquet; any CRS. They may reach far beyond the image.
        spec: The stage's spec.
        header: The image's header.
        elsewhere: Whether all labels may lie outside the image, as those of a file for many scenes can.
        no_data: Says where the image has no data, if anywhere.

    Raises:
        UserError: For unreadable files, unknown classes, lines or points without a buffer, and labels
            that all lie outside the image.
    """
    options = spec.labels
    choice = Choice(options.layer, options.where)
    files = [paths] if isinstance(paths, str) else list(paths)
    found = [_labels_of_file(path, options, choice, spec.classes, header) for path in files]
    with_labels = [file for file in found if not file.frame.empty]
    means_something = spec.task == DETECTION or options.unlabelled != "ignore"
    has_classes = any((file.frame["class_name"] != NULL_CLASS).any() for file in with_labels)
    if not elsewhere and not has_classes and not (with_labels and means_something):
        _check_nothing(files, choice, {file.state for file in found}, header, means_something)
    counts = _sum_of([file.counts for file in found])
    if not with_labels:
        nothing = gpd.GeoDataFrame({"class_id": [], "class_name": []}, geometry=[], crs=WGS84)
        return VectorLabels(nothing, 0, counts)
    joined = pd.concat([file.frame.assign(file=number) for number, file in enumerate(with_labels)], ignore_index=True)
    ids = [spec.classes.index(name) for name in joined["class_name"]]
    order = np.argsort(-joined["area"].to_numpy(), kind="stable")
    labels = joined.assign(class_id=ids).iloc[order]
    columns = ["class_id", "class_name", "geometry"]
    if spec.task == DETECTION:
        labels = labels[labels["class_id"] != NULL_CLASS_ID]
        boxes = boxes_of_features(
            labels[columns], labels.groupby(["file", "feature"]).ngroup().to_numpy(np.int64), header, no_data
        )
        counts = replace(
            counts, duplicates=boxes.duplicates, empty_boxes=boxes.empty, shares_inside=boxes.shares_inside
        )
        return VectorLabels(boxes.frame, sum(file.repaired for file in found), counts)
    return VectorLabels(labels[columns].reset_index(drop=True), sum(file.repaired for file in found), counts)


def _sum_of(counts: Sequence[LabelCounts]) -> LabelCounts:
    defaulted: Counter[str] = Counter()
    for one in counts:
        defaulted.update(one.defaulted)
    return LabelCounts(
        features=sum(one.features for one in counts),
        classless=sum(one.classless for one in counts),
        met=tuple(sorted({entry for one in counts for entry in one.met})),
        defaulted=dict(sorted(defaulted.items())),
        loose_parts=sum(one.loose_parts for one in counts),
    )


def read_aoi(paths: Sequence[str], header: ImageHeader, with_columns: bool = False) -> gpd.GeoDataFrame:
    """Read an area of interest: polygons in EPSG:4326 that touch the image.

    Args:
        paths: Its files.
        header: The image.
        with_columns: Whether the files' columns are wanted, too.

    Raises:
        UserError: For unreadable files, files without features, and areas outside the image.
    """
    frames = [_read_vector(path, "aoi", EVERYTHING, header, 0.0) for path in paths]
    if not any(_has_features(path, EVERYTHING) for path in paths):
        files, cure = "; ".join(paths), "leave the entry empty, or fill it"
        raise UserError(Problem("aoi_empty", files, "aoi", "no features", "at least one polygon", cure))
    polygons = [
        in_wgs84(polygons_of(frame, path, 0.0, header).frame, header) for frame, path in zip(frames, paths, strict=True)
    ]
    inside = [frame[on_image(frame, header)] for frame in polygons]
    if not sum(map(len, inside)):
        raise UserError(_outside(paths, "aoi", EVERYTHING, header))
    kept = [frame if with_columns else frame[["geometry"]] for frame in inside if not frame.empty]
    return pd.concat(kept, ignore_index=True)


def _labels_of_file(
    path: str, options: Labels, choice: Choice, classes: Sequence[str], header: ImageHeader
) -> FileLabels:
    """Read a file's labels."""
    labels = _read_vector(path, "labels", choice, header, options.buffer)
    if labels.empty:
        return FileLabels(labels, "outside" if _has_features(path, choice) else "empty")
    named = classes_of(labels, path, options, classes)
    labels = labels.assign(class_name=named["class_name"], feature=np.arange(len(labels)))
    polygons = polygons_of(labels, path, options.buffer, header)
    # equal-area, so that "largest" means the same everywhere
    areas = polygons.frame.geometry.to_crs(local_crs(header, "laea")).area
    labels = in_wgs84(polygons.frame.assign(area=areas), header)
    labels = labels[on_image(labels, header)]
    counts = counts_of(named.iloc[labels["feature"].unique()], polygons.loose_parts)
    without = not labels.empty and bool((labels["class_name"] == NULL_CLASS).all())
    return FileLabels(labels, "without a class" if without else "outside", polygons.repaired, counts)


def _check_nothing(
    files: Sequence[str],
    choice: Choice,
    states: set[str],
    header: ImageHeader,
    means_something: bool,
) -> None:
    """Refuse files that have no labels for an image, unless that means something."""
    if "outside" in states and "without a class" not in states:
        raise UserError(_outside(files, "labels", choice, header))
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
            frame = _read_with_gdal(path, choice, header, margin)
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


def _read_with_gdal(path: str, choice: Choice, header: ImageHeader, margin: float) -> Any:
    crs = pyogrio.read_info(path, layer=choice.layer)["crs"]
    places = places_in(crs, header, margin) if crs else []
    read = partial(pyogrio.read_dataframe, path, layer=choice.layer, where=choice.where, force_2d=True)
    if not places:
        return read()
    found = _read_places(read, places)
    if found.empty and CRS(crs).is_geographic:
        return _read_places(read, turned(places))
    return found


def _read_places(read: Callable[..., Any], places: Sequence[Bounds]) -> Any:
    if len(places) == 1:
        return read(bbox=places[0])
    frames = [read(bbox=place, fid_as_index=True) for place in places]
    joined = pd.concat([frame for frame in frames if not frame.empty] or frames[:1])
    return joined[~joined.index.duplicated()].sort_index().reset_index(drop=True)


def _read_parquet(path: str, where: str | None, header: ImageHeader, margin: float) -> gpd.GeoDataFrame:
    frame = gpd.read_parquet(path)
    frame = frame.set_geometry(shapely.force_2d(frame.geometry.to_numpy()))
    if frame.crs is not None and not frame.empty:
        places = places_in(frame.crs, header, margin)
        places += turned(places) if CRS(frame.crs).is_geographic else []
        near = [frame.sindex.query(box(*place)) for place in places]
        frame = frame.iloc[np.unique(np.concatenate(near))] if places else frame
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


def place_of(paths: Sequence[str], choice: Choice) -> str:
    """Say where files' features lie, in EPSG:4326, and which CRS they name."""
    said = []
    for path in paths:
        if Path(path).suffix.lower() in PARQUET:
            frame = gpd.read_parquet(path)
            bounds, crs = frame.total_bounds, frame.crs
        else:
            info = pyogrio.read_info(path, layer=choice.layer, force_total_bounds=True)
            bounds, crs = info["total_bounds"], info["crs"]
        try:
            in_wgs84 = transform_bounds(CRS(crs).to_wkt(), WGS84, *bounds) if crs else bounds
        except Exception:  # rasterio's and pyproj's errors for coordinates that the CRS does not have
            in_wgs84 = bounds
        written = ", ".join(f"{value:.5f}" for value in in_wgs84)
        said.append(f"bounds {written}, CRS {name_of(crs)}")
    return "; ".join(said)


def name_of(crs: Any) -> str:
    """Name a CRS shortly: by its code if it has one."""
    if crs is None:
        return "none"
    known = CRS(crs)
    authority = known.to_authority()
    return ":".join(authority) if authority else str(known.name)[:60]


def _outside(paths: Sequence[str], kind: str, choice: Choice, header: ImageHeader) -> Problem:
    expected = "some within the image's bounds " + ", ".join(f"{value:.5f}" for value in header.bounds)
    return Problem(
        "aoi_outside" if kind == "aoi" else "labels_outside",
        "; ".join(paths),
        kind,
        f"all outside the image: {place_of(paths, choice)}",
        f"{expected} (EPSG:4326)",
        "check the file and its CRS",
    )
