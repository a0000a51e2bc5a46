"""Rasters of new images, as one map or a map for each, with polygons and areas."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import rasterio
import shapely

from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import CLASSIFICATION
from swath.files import file_name
from swath.prediction.apply import CONFIDENCE, PREDICTION, SCORES, UNCERTAINTY
from swath.products.areas import MapRasters, area_rows, class_areas, write_areas
from swath.products.map_polygons import map_polygons
from swath.products.maps import (
    NO_SHARE,
    Place,
    copied_shares_writer,
    label_raster_writer,
)
from swath.products.mosaic import ImageMap, Mosaic, common_grid, join_parts, shift_on
from swath.products.style import write_raster_style
from swath.report.assembly import Assembly, areas_of_interest, in_one_crs, outline, place_of_image, write_polygons
from swath.report.map_cells import cells_of_image, paint_cells
from swath.report.map_told import tell
from swath.scenes.facts import SceneFacts
from swath.scenes.vrt import Band, Grid, Source, write_vrt

NODATA = {PREDICTION: NULL_CLASS_ID, CONFIDENCE: NO_SHARE, SCORES: NO_SHARE, UNCERTAINTY: NO_SHARE}
MAPS = "maps"
log = logging.getLogger("swath.assemble")


def assemble_rasters(assembly: Assembly, work: Path) -> None:
    """Write rasters of classes and scores, polygons or cells, and what is told of them."""
    maps = [_map_of_image(assembly, facts, work) for facts in assembly.images]
    if assembly.settings.mosaic:
        grid = common_grid([one.place for one in maps])
        written = {"map": _write_mosaic(assembly, maps, grid, "map")}
    else:
        (assembly.folder / MAPS).mkdir()
        written = {one.name: _write_mosaic(assembly, [one], one.place, f"{MAPS}/{file_name(one.name)}") for one in maps}
        _join_maps(assembly, written)
    if assembly.model.task == CLASSIFICATION:
        cells = in_one_crs(cells_of_image(assembly, facts) for facts in assembly.images)
        write_polygons(assembly, pd.concat(list(cells), ignore_index=True), "cells")
    else:
        write_polygons(assembly, in_one_crs(_polygons(assembly, written)), "polygons")
    rows = _areas_of_rasters(assembly, written)
    write_areas(rows, assembly.folder / "areas.csv")
    tell(assembly, written, None, rows)


def _polygons(assembly: Assembly, written: Mapping[str, MapRasters]) -> Iterator[gpd.GeoDataFrame]:
    """Make polygons of all maps, in parts."""
    background, wanted = assembly.model.background, assembly.settings.polygons
    for name, raster in written.items():
        yield from map_polygons(raster, assembly.classes, background, wanted, name)


def _map_of_image(assembly: Assembly, facts: SceneFacts, work: Path) -> ImageMap:
    """Join the parts of an image."""
    place, folder = place_of_image(facts), work / file_name(facts.id)
    folder.mkdir()
    files = {}
    if assembly.model.task == CLASSIFICATION:
        files = paint_cells(assembly, facts, folder)
    else:
        for kind in _kinds(assembly):
            parts = [(first, last, part / kind) for first, last, part in assembly.parts[facts.id]]
            with rasterio.open(parts[0][2]) as dataset:
                bands = dataset.count
            files[kind] = folder / kind.replace(".tif", ".vrt")
            join_parts(parts, place, bands, NODATA[kind], files[kind])
    return ImageMap(facts.id, place, files)


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


def _areas_of_rasters(assembly: Assembly, written: Mapping[str, MapRasters]) -> list[dict[str, Any]]:
    """Measure the classes in the whole, in every map of an image, and in every area of interest."""
    rows, whole = [], dict.fromkeys(assembly.classes[1:], 0.0)
    inside: dict[str, dict[str, float]] = {}
    for name, raster in written.items():
        found = class_areas(raster, assembly.classes, areas_of_interest(assembly, raster.place))
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
    outlines = [outline(facts, place_of_image(assembly.images[0])) for facts in assembly.images]
    tree = shapely.STRtree(outlines)
    pairs = zip(*tree.query(outlines, predicate="intersects"), strict=True)
    overlap = any(one < other and outlines[one].intersection(outlines[other]).area > 0 for one, other in pairs)
    return ", sum over maps that overlap" if overlap else ""


def _areas_of_images(assembly: Assembly, raster: MapRasters) -> list[dict[str, Any]]:
    """Measure the classes within the outline of every image of a mosaic."""
    outlines = {facts.id: outline(facts, raster.place) for facts in assembly.images}
    found = class_areas(raster, assembly.classes, outlines)
    return [row for name in outlines for row in area_rows("image", name, found[name])]
