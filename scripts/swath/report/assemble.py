"""What was predicted of new images, put together: one map or a map for each, polygons, areas, a picture, a catalog."""

from __future__ import annotations

import logging
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
import torch
from numpy.typing import NDArray
from rastervision.core.data.label import ObjectDetectionLabels
from torchvision.ops import nms

from swath.config.apply import Apply
from swath.config.classes import NULL_CLASS_ID
from swath.config.predict import Window
from swath.config.tasks import CLASSIFICATION, DETECTION
from swath.files import file_name, publish_directory, read_json, sha256, write_json
from swath.metrics.boxes import EDGES
from swath.prediction.apply import BOXES, CELLS, CONFIDENCE, PREDICTION, SCORES, UNCERTAINTY, margin_of, outside_for
from swath.prediction.products import over_data, within_scene
from swath.products.areas import MapRasters, area_rows, class_areas, write_areas
from swath.products.boxes import box_table
from swath.products.catalog import MapItem, bounds_of, write_catalog
from swath.products.map_polygons import ground_areas, map_polygons
from swath.products.maps import (
    NO_SHARE,
    Place,
    as_bytes,
    copied_shares_writer,
    label_raster_writer,
    plain_raster_writer,
)
from swath.products.mosaic import ImageMap, Mosaic, common_grid, join_parts, same_crs, shift_on
from swath.products.style import write_polygon_style, write_raster_style
from swath.products.tables import write_table
from swath.report.overview import draw_map
from swath.rv.stores import STORES
from swath.scenes.areas import area_on_image, named_areas
from swath.scenes.facts import SceneFacts, Transform
from swath.scenes.manifest import channel_order
from swath.scenes.neighbours import Surroundings, surroundings
from swath.scenes.new_images import describe_images
from swath.scenes.no_data import either, no_data
from swath.scenes.paths import paths_of
from swath.scenes.scene import Scene
from swath.scenes.trained_on import BundledModel, read_bundle, resolved_window
from swath.scenes.vrt import Band, Grid, Source, write_vrt

NODATA = {PREDICTION: NULL_CLASS_ID, CONFIDENCE: NO_SHARE, SCORES: NO_SHARE, UNCERTAINTY: NO_SHARE}
ROWS = 512
MAPS = "maps"
"""Folder of the maps of single images."""

log = logging.getLogger("swath.assemble")


@dataclass(frozen=True)
class Assembly:
    """What is put together.

    Attributes:
        name: The map's name.
        images: The images, in the order given.
        around: Image → the image with what lies around it, of those that do not lie alone.
        parts: Image → its parts: first row, row after the last, folder.
        model: The first model.
        bundles: All of them.
        window: The prediction window.
        settings: The section `apply`.
        folder: The map's folder, not yet published.
        published: What it will be called.
    """

    name: str
    images: Sequence[SceneFacts]
    around: Mapping[str, Surroundings]
    parts: Mapping[str, Sequence[tuple[int, int, Path]]]
    model: BundledModel
    bundles: Sequence[str]
    window: Window
    settings: Apply
    folder: Path
    published: Path

    @property
    def classes(self) -> Sequence[str]:
        """Class names by id."""
        return self.model.classes

    @property
    def colours(self) -> Sequence[str]:
        """Colours by id."""
        return self.model.colours


def assemble(
    name: str,
    images: Sequence[Scene],
    manifests: Sequence[str],
    settings: Apply,
    bundles: Sequence[str],
    parts: Path,
    folder: Path,
    manifest: Path,
) -> None:
    """Put a map together.

    Args:
        name: The map's name.
        images: The images, in the order given.
        manifests: What says which parts there are.
        settings: The section `apply`.
        bundles: The models.
        parts: Folder of the parts.
        folder: The map's folder, published whole.
        manifest: JSON to write: file → SHA-256.
    """
    found: dict[str, list[tuple[int, int, Path]]] = defaultdict(list)
    for path in manifests:
        for part in read_json(path)["parts"]:
            first, last = part["rows"]
            if first < last:
                found[part["image"]].append((first, last, parts / part["folder"]))
    model = read_bundle(bundles[0])
    ordered = {image: sorted(found[image]) for image in found}
    with publish_directory(folder) as unfinished, tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for place in ("images", "maps"):
            (work / place).mkdir()
        window, facts = resolved_window(model, settings.predict), describe_images(images, settings, work / "images")
        around = surroundings(facts, [one.id for one in facts], margin_of(model, settings, window))
        assembly = Assembly(name, facts, around, ordered, model, bundles, window, settings, unfinished, folder)
        if model.task == DETECTION:
            _assemble_boxes(assembly)
        else:
            _assemble_rasters(assembly, work / "maps")
        files = {str(path.relative_to(unfinished)): sha256(path) for path in _files_in(unfinished)}
    write_json(manifest, {"files": files})


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# --- rasters ----------------------------------------------------------------------------------------


def _assemble_rasters(assembly: Assembly, work: Path) -> None:
    """Write rasters of classes and scores, polygons or cells, and what is told of them."""
    maps = [_map_of_image(assembly, facts, work) for facts in assembly.images]
    tables: list[gpd.GeoDataFrame] = []
    if assembly.model.task == CLASSIFICATION:
        tables = [_cells(assembly, facts) for facts in assembly.images]
    if assembly.settings.mosaic:
        grid = common_grid([one.place for one in maps])
        written = {"map": _write_mosaic(assembly, maps, grid, "map")}
    else:
        (assembly.folder / MAPS).mkdir()
        written = {one.name: _write_mosaic(assembly, [one], one.place, f"{MAPS}/{file_name(one.name)}") for one in maps}
        _join_maps(assembly, written)
    polygons = [
        map_polygons(raster, assembly.classes, assembly.model.background, assembly.settings.polygons, name)
        for name, raster in written.items()
        if assembly.model.task != CLASSIFICATION
    ]
    table = _in_one_crs([*polygons, *tables])
    _write_polygons(assembly, table, "cells" if tables else "polygons")
    rows = _areas_of_rasters(assembly, written)
    write_areas(rows, assembly.folder / "areas.csv")
    _tell(assembly, written, None, rows)


def _map_of_image(assembly: Assembly, facts: SceneFacts, work: Path) -> ImageMap:
    """Join the parts of an image."""
    place, folder = _place(facts), work / file_name(facts.id)
    folder.mkdir()
    files = {}
    if assembly.model.task == CLASSIFICATION:
        files = _paint_cells(assembly, facts, folder)
    else:
        for kind in _kinds(assembly):
            parts = [(first, last, part / kind) for first, last, part in assembly.parts[facts.id]]
            with rasterio.open(parts[0][2]) as dataset:
                bands = dataset.count
            files[kind] = folder / kind.replace(".tif", ".vrt")
            join_parts(parts, place, bands, NODATA[kind], files[kind])
    return ImageMap(facts.id, place, files)


def _place(facts: SceneFacts) -> Place:
    return Place(facts.crs, facts.transform, facts.height, facts.width)


def _kinds(assembly: Assembly) -> list[str]:
    """List the kinds of rasters there are, the classes first."""
    asked = {SCORES: assembly.window.scores, UNCERTAINTY: assembly.window.uncertainty}
    return [PREDICTION, CONFIDENCE, *(kind for kind, is_asked in asked.items() if is_asked)]


def _write_mosaic(assembly: Assembly, maps: Sequence[ImageMap], grid: Place, stem: str) -> MapRasters:
    """Write maps as one: classes, scores, and a style; what overlaps is told."""
    kinds = {kind: NODATA[kind] for kind in _kinds(assembly)}
    names = {
        CONFIDENCE: ["score"],
        SCORES: list(assembly.classes[1:]),
        UNCERTAINTY: [str(assembly.window.uncertainty)],
    }
    labels = assembly.folder / f"{stem}.tif"
    paths = {PREDICTION: labels} | {kind: _beside(labels, kind) for kind in kinds if kind != PREDICTION}
    with ExitStack() as stack:
        write = {PREDICTION: stack.enter_context(label_raster_writer(grid, assembly.classes, assembly.colours, labels))}
        for kind in list(kinds)[1:]:
            write[kind] = stack.enter_context(copied_shares_writer(grid, names[kind], paths[kind]))
        mosaic = stack.enter_context(Mosaic(maps, kinds, grid))
        for row, block in mosaic.blocks():
            if (block[PREDICTION] != NULL_CLASS_ID).any():
                write[PREDICTION](row, block[PREDICTION][0])
                for kind in list(kinds)[1:]:
                    write[kind](row, block[kind])
        hidden = mosaic.hidden
    if hidden:
        log.info("%s: %d pixels lie on several images; the one that is named first is seen", stem, hidden)
    write_raster_style(assembly.classes, assembly.colours, labels.with_suffix(".qml"))
    return MapRasters(labels, paths[CONFIDENCE], grid)


def _beside(labels: Path, kind: str) -> Path:
    """Name a raster that belongs to a map: ``map.tif`` → ``map-confidence.tif``."""
    return labels.with_name(f"{labels.stem}-{kind}")


def _join_maps(assembly: Assembly, written: Mapping[str, MapRasters]) -> None:
    """Write a virtual raster of all maps, where they lie on one grid."""
    rasters = list(written.values())
    grid = common_grid([raster.place for raster in rasters])
    shifts = [shift_on(raster.place, grid) for raster in rasters]
    if len(rasters) < 2 or None in shifts:
        return
    sources = [
        Source(
            str(raster.labels),
            str(raster.labels),
            1,
            raster.place.width,
            raster.place.height,
            "uint8",
            (shift[1], shift[0], raster.place.width, raster.place.height),
            nodata=str(NULL_CLASS_ID),
        )
        for raster, shift in reversed(list(zip(rasters, shifts, strict=True)))
        if shift is not None
    ]
    wkt = rasterio.CRS.from_user_input(grid.crs).to_wkt()
    where = Grid(grid.width, grid.height, wkt, grid.transform)
    path = assembly.folder / "maps.vrt"
    write_vrt(path, where, [Band("class", sources)], "uint8", str(NULL_CLASS_ID), assembly.folder)
    write_raster_style(assembly.classes, assembly.colours, path.with_suffix(".qml"))


def _in_one_crs(tables: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Put tables one below the other, in the CRS of the first."""
    first: Any = tables[0].crs
    moved: list[Any] = [table if table.crs == first else table.to_crs(first) for table in tables]
    return gpd.GeoDataFrame(pd.concat(moved, ignore_index=True), geometry="geometry", crs=first)


def _write_polygons(assembly: Assembly, table: gpd.GeoDataFrame, name: str) -> None:
    write_table(table, assembly.folder / f"{name}.parquet")
    write_polygon_style(assembly.classes, assembly.colours, assembly.folder / f"{name}.qml")


def _areas_of_rasters(assembly: Assembly, written: Mapping[str, MapRasters]) -> list[dict[str, Any]]:
    """Measure the classes in the whole, in every map of an image, and in every area of interest."""
    rows, whole = [], dict.fromkeys(assembly.classes[1:], 0.0)
    inside: dict[str, dict[str, float]] = {}
    for name, raster in written.items():
        found = class_areas(raster, assembly.classes, _areas_of_interest(assembly, raster.place))
        for place, areas in found.items():
            total = inside.setdefault(place, dict.fromkeys(assembly.classes[1:], 0.0)) if place else whole
            for one, area in areas.items():
                total[one] += area
        if not assembly.settings.mosaic:
            rows += area_rows("image", name, found[""])
    if assembly.settings.mosaic and len(assembly.images) > 1:
        rows += _areas_of_images(assembly, written["map"])
    sums = _sums(assembly)
    for name, areas in inside.items():
        rows += area_rows(f"area of interest{sums}", name, areas)
    return [*area_rows(f"map{sums}", assembly.name, whole), *rows]


def _sums(assembly: Assembly) -> str:
    """Say that what is added up lies on the same ground, where maps of single images overlap."""
    if assembly.settings.mosaic:
        return ""
    outlines = [_outline(facts, _place(assembly.images[0])) for facts in assembly.images]
    tree = shapely.STRtree(outlines)
    pairs = zip(*tree.query(outlines, predicate="intersects"), strict=True)
    overlap = any(one < other and outlines[one].intersection(outlines[other]).area > 0 for one, other in pairs)
    return ", sum over maps that overlap" if overlap else ""


def _areas_of_images(assembly: Assembly, raster: MapRasters) -> list[dict[str, Any]]:
    """Measure the classes within the outline of every image of a mosaic."""
    outlines = {facts.id: _outline(facts, raster.place) for facts in assembly.images}
    found = class_areas(raster, assembly.classes, outlines)
    return [row for name in outlines for row in area_rows("image", name, found[name])]


def _outline(facts: SceneFacts, grid: Place) -> Any:
    """Return the outline of an image in the CRS of a grid."""
    own = rasterio.Affine(*facts.transform)
    corners = [own @ corner for corner in ((0, 0), (facts.width, 0), (facts.width, facts.height), (0, facts.height))]
    outline = gpd.GeoSeries([shapely.Polygon(corners)], crs=facts.crs)
    return outline.iloc[0] if same_crs(_place(facts), grid) else outline.to_crs(_crs(grid)).iloc[0]


def _crs(place: Place) -> Any:
    return rasterio.CRS.from_user_input(place.crs).to_wkt()


def _areas_of_interest(assembly: Assembly, place: Place) -> dict[str, Any]:
    """Return the polygons of the area of interest by name, in the CRS of a map."""
    paths = paths_of(assembly.settings.aoi)
    grid = replace(
        assembly.images[0],
        crs=_crs(place),
        transform=_six(place.transform),
        height=place.height,
        width=place.width,
        bounds=bounds_of(place),
    )
    return named_areas(paths, grid) if paths else {}


def _six(transform: Sequence[float]) -> Transform:
    a, b, c, d, e, f = transform
    return a, b, c, d, e, f


# --- cells ------------------------------------------------------------------------------------------


def _cell_table(assembly: Assembly, facts: SceneFacts) -> pd.DataFrame:
    """Read an image's cells with their class and its score."""
    cells = pd.concat([pd.read_parquet(part / CELLS) for _, _, part in assembly.parts[facts.id]], ignore_index=True)
    scores = cells[[f"score {index}" for index in range(1, len(assembly.classes))]].to_numpy()
    cells["class_id"] = scores.argmax(axis=1) + 1 if len(cells) else np.empty(0, int)
    cells["score"] = scores.max(axis=1, initial=0)
    return cells


def _paint_cells(assembly: Assembly, facts: SceneFacts, folder: Path) -> dict[str, Path]:
    """Paint an image's cells with their classes and scores, but for pixels without data and outside the area."""
    cells = _cell_table(assembly, facts)
    edges = cells[EDGES].to_numpy().round().astype(int)
    ids, scores = cells["class_id"].to_numpy(), as_bytes(cells["score"].to_numpy())
    bands = channel_order(facts, assembly.model.wanted_bands(assembly.settings.bands))
    paths = {PREDICTION: folder / PREDICTION, CONFIDENCE: folder / CONFIDENCE}
    with ExitStack() as stack:
        place = _place(facts)
        labels = stack.enter_context(plain_raster_writer(place, ["class"], NULL_CLASS_ID, paths[PREDICTION]))
        confidence = stack.enter_context(plain_raster_writer(place, ["score"], NO_SHARE, paths[CONFIDENCE]))
        hidden = either(
            stack.enter_context(no_data(facts.image, bands)), outside_for(paths_of(assembly.settings.aoi), facts, facts)
        )
        for row in range(0, facts.height, ROWS):
            height = min(ROWS, facts.height - row)
            block = np.full((height, facts.width), NULL_CLASS_ID, np.uint8)
            shares = np.full((height, facts.width), NO_SHARE, np.uint8)
            near = np.flatnonzero((edges[:, 0] < row + height) & (edges[:, 2] > row))
            for top, left, bottom, right, index, score in np.column_stack([edges[near], ids[near], scores[near]]):
                where = slice(max(top - row, 0), max(bottom - row, 0)), slice(max(left, 0), right)
                block[where], shares[where] = index, score
            if hidden:
                empty = hidden(rasterio.windows.Window(0, row, facts.width, height))
                block[empty], shares[empty] = NULL_CLASS_ID, NO_SHARE
            labels(row, block[None])
            confidence(row, shares[None])
    return paths


def _cells(assembly: Assembly, facts: SceneFacts) -> gpd.GeoDataFrame:
    """Make the table of an image's cells."""
    cells = _cell_table(assembly, facts)
    ids = cells["class_id"].to_numpy()
    table = box_table(cells[EDGES].to_numpy(), ids, cells["score"].to_numpy(), facts, assembly.classes)
    for index, name in enumerate(assembly.classes):
        if index != NULL_CLASS_ID:
            table[f"score.{name}"] = cells[f"score {index}"].to_numpy()
    table["area"] = ground_areas(table)
    wanted = assembly.settings.polygons
    if wanted.classes:
        table = table[table["class_name"].isin(wanted.classes)]
    return table[table["area"] >= wanted.min_area].drop(columns=EDGES).reset_index(drop=True)


# --- boxes ------------------------------------------------------------------------------------------


def _assemble_boxes(assembly: Assembly) -> None:
    """Write the boxes of all images as one table; what several windows or images see is one box."""
    tables = [_boxes_of_image(assembly, facts) for facts in assembly.images]
    table = _in_one_crs(tables)
    grid = common_grid([_place(facts) for facts in assembly.images])
    if assembly.settings.mosaic and len(tables) > 1:
        table = _merged(assembly, table, grid)
    wanted = assembly.settings.polygons
    if wanted.classes:
        table = table[table["class_name"].isin(wanted.classes)]
    table = table[table["area"] >= wanted.min_area].reset_index(drop=True)
    _write_polygons(assembly, table, "boxes")
    rows = _areas_of_boxes(assembly, table)
    write_areas(rows, assembly.folder / "areas.csv")
    _tell(assembly, {}, table, rows)


def _boxes_of_image(assembly: Assembly, facts: SceneFacts) -> gpd.GeoDataFrame:
    """Put the boxes of an image's parts together, as the stage `predict` does with a scene's."""
    found = pd.concat([pd.read_parquet(part / BOXES) for _, _, part in assembly.parts[facts.id]], ignore_index=True)
    labels = ObjectDetectionLabels(found[EDGES].to_numpy(), found["class_id"].to_numpy(), found["score"].to_numpy())
    wanted = STORES[DETECTION].candidates(assembly.window)
    labels = ObjectDetectionLabels.prune_duplicates(
        labels, score_thresh=wanted.score_threshold, merge_thresh=wanted.merge_threshold
    )
    labels = _on_image(labels, assembly.around.get(facts.id), facts)
    bands = channel_order(facts, assembly.model.wanted_bands(assembly.settings.bands))
    labels = over_data(labels, facts, bands)
    table = box_table(labels.get_npboxes(), labels.get_class_ids(), labels.get_scores(), facts, assembly.classes)
    table = table[table["score"] >= assembly.window.score_threshold]
    if paths := paths_of(assembly.settings.aoi):
        area = area_on_image(paths, facts)
        inside = shapely.union_all(area.geometry.to_numpy()) if area is not None else shapely.Polygon()
        table = table[table.geometry.centroid.within(inside)]
    table["area"] = ground_areas(table)
    return table.reset_index(drop=True)


def _on_image(labels: ObjectDetectionLabels, around: Surroundings | None, facts: SceneFacts) -> ObjectDetectionLabels:
    """Bring boxes to an image's own pixels; those whose middle lies on another image are found there."""
    if around is None:
        return within_scene(labels, facts)
    labels = within_scene(labels, around.frame)
    boxes = labels.get_npboxes() - np.tile([around.row, around.column], 2)
    rows, columns = (boxes[:, [0, 1]] + boxes[:, [2, 3]]).T / 2
    kept = (rows >= 0) & (rows <= facts.height) & (columns >= 0) & (columns <= facts.width)
    return ObjectDetectionLabels(boxes[kept], labels.get_class_ids()[kept], labels.get_scores()[kept])


def _merged(assembly: Assembly, table: gpd.GeoDataFrame, grid: Place) -> gpd.GeoDataFrame:
    """Of boxes that several images see, keep the better one."""
    bounds = table.geometry.bounds.to_numpy()
    onto = ~rasterio.Affine(*grid.transform)
    columns, rows = onto * (bounds[:, [0, 2]], bounds[:, [1, 3]])
    edges = np.column_stack([rows.min(axis=1), columns.min(axis=1), rows.max(axis=1), columns.max(axis=1)])
    numbers = np.arange(len(table))
    kept: list[NDArray[Any]] = []
    for index in np.unique(table["class_id"]):
        of_class = numbers[(table["class_id"] == index).to_numpy()]
        kept.append(
            of_class[_best(edges[of_class], table["score"].to_numpy()[of_class], assembly.window.merge_threshold)]
        )
    order = np.sort(np.concatenate(kept)) if kept else numbers
    return table.iloc[order].reset_index(drop=True)


def _best(edges: NDArray[Any], scores: NDArray[Any], threshold: float | None) -> NDArray[Any]:
    """Choose boxes none of which overlaps a better one by more than a share of their union."""
    chosen: NDArray[Any] = nms(torch.tensor(edges), torch.tensor(scores), threshold or 0.5).numpy()
    return chosen


def _areas_of_boxes(assembly: Assembly, table: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Count boxes and add up their areas: in the whole, and by image."""

    def rows_of(kind: str, name: str, chosen: gpd.GeoDataFrame) -> Iterator[dict[str, Any]]:
        sums = chosen.groupby("class_name")["area"].sum()
        counts = chosen["class_name"].value_counts()
        for row in area_rows(kind, name, {one: float(sums.get(one, 0)) for one in assembly.classes[1:]}):
            yield {**row, "count": int(counts.get(row["class"], 0))}

    rows = list(rows_of("map", assembly.name, table))
    for facts in assembly.images:
        rows += rows_of("image", facts.id, table[table["scene"] == facts.id])
    place = _place(assembly.images[0])
    for name, polygon in _areas_of_interest(assembly, place).items():
        rows += rows_of("area of interest", name, table[table.geometry.centroid.within(polygon)])
    return rows


# --- what is told -----------------------------------------------------------------------------------


def _tell(
    assembly: Assembly,
    written: Mapping[str, MapRasters],
    boxes: gpd.GeoDataFrame | None,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write the picture, the catalog and a text."""
    whole = [row for row in rows if str(row["of"]).startswith("map")]
    takes = {row["class"]: f"{row['count']:,}" if "count" in row else f"{row['hectares']:,.1f} ha" for row in whole}
    places = [raster.place for raster in written.values()] or [_place(facts) for facts in assembly.images]
    grid = common_grid(places)
    shown = [raster.labels for raster in written.values() if same_crs(raster.place, grid)]
    title, picture = assembly.name, assembly.folder / "overview.png"
    draw_map(shown, boxes, grid, assembly.classes, assembly.colours, takes, title, picture)
    (assembly.folder / "summary.txt").write_text(_summary(assembly, whole), encoding="utf-8")
    _write_catalog(assembly, written)


def _summary(assembly: Assembly, whole: Sequence[Mapping[str, Any]]) -> str:
    models = f"{len(assembly.bundles)} models, averaged" if len(assembly.bundles) > 1 else assembly.bundles[0]
    images = f"{len(assembly.images)} images" if len(assembly.images) > 1 else assembly.images[0].image
    lines = [f"{assembly.name}: a map of {images} by {models}", ""]
    if whole and whole[0]["of"] != "map":
        lines.insert(1, "(images overlap, and what lies on several of them is counted as often)")
    for row in whole:
        count = f"{row['count']:>9,} " if "count" in row else ""
        share = "" if np.isnan(row["share"]) else f" {100 * row['share']:5.1f} %"
        lines.append(f"  {row['class']:<24}{count}{row['hectares']:>14,.2f} ha{share}")
    if not any(row["hectares"] for row in whole):
        lines.append("  nothing: the images have no data there, or nothing was found")
    lines += ["", f"Map, polygons, areas, a picture   {assembly.published}/"]
    return "\n".join(lines) + "\n"


def _write_catalog(assembly: Assembly, written: Mapping[str, MapRasters]) -> None:
    description = assembly.model.description
    model = {
        "name": Path(assembly.bundles[0]).name,
        "network": assembly.model.network,
        "task": assembly.model.task,
        "classes": list(assembly.classes),
        "colours": list(assembly.colours),
        "bands": list(description.trained_on.bands) if description else [],
        "channels": assembly.model.channels,
        "window": assembly.window.chip_size,
    }
    there = {str(path.relative_to(assembly.folder)): path for path in _files_in(assembly.folder)}
    items, used = [], set()
    for name, raster in written.items():
        stem = str(raster.labels.relative_to(assembly.folder).with_suffix(""))
        files = {file: sha256(path) for file, path in there.items() if file in _rasters_of(stem)}
        used |= set(files)
        items.append(MapItem(file_name(name), raster.place, files))
    if not items:
        items = [MapItem("boxes", common_grid([_place(facts) for facts in assembly.images]), {})]
    rest = {file: sha256(path) for file, path in there.items() if file not in used and Path(file).suffix in SHOWN}
    write_catalog(assembly.folder, assembly.name, items, rest, model)


SHOWN = (".gpkg", ".parquet", ".csv", ".png", ".vrt")


def _rasters_of(stem: str) -> set[str]:
    return {f"{stem}.tif", *(f"{stem}-{kind}" for kind in (CONFIDENCE, SCORES, UNCERTAINTY))}
