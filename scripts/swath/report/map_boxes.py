"""Boxes of new images, as one table: what several windows or images see is one box."""

from __future__ import annotations

from collections.abc import Iterator
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

from swath.config.tasks import DETECTION
from swath.metrics.boxes import EDGES
from swath.prediction.apply import BOXES
from swath.prediction.products import over_data, within_scene
from swath.products.areas import area_rows, write_areas
from swath.products.boxes import box_table
from swath.products.map_polygons import ground_areas
from swath.products.maps import (
    Place,
)
from swath.products.mosaic import common_grid
from swath.report.assembly import Assembly, areas_of_interest, in_one_crs, place_of_image, write_polygons
from swath.report.map_told import tell
from swath.rv.stores import STORES
from swath.scenes.areas import area_on_image
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order
from swath.scenes.neighbours import Surroundings
from swath.scenes.paths import paths_of


def assemble_boxes(assembly: Assembly) -> None:
    """Write the boxes of all images as one table; what several windows or images see is one box."""
    tables = [_boxes_of_image(assembly, facts) for facts in assembly.images]
    table = gpd.GeoDataFrame(pd.concat(list(in_one_crs(tables)), ignore_index=True))
    grid = common_grid([place_of_image(facts) for facts in assembly.images])
    if assembly.settings.mosaic and len(tables) > 1:
        table = _merged(assembly, table, grid)
    wanted = assembly.settings.polygons
    if wanted.classes:
        table = table[table["class_name"].isin(wanted.classes)]
    table = table[table["area"] >= wanted.min_area].reset_index(drop=True)
    write_polygons(assembly, table, "boxes")
    rows = _areas_of_boxes(assembly, table)
    write_areas(rows, assembly.folder / "areas.csv")
    tell(assembly, {}, table, rows)


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
    place = place_of_image(assembly.images[0])
    for name, polygon in areas_of_interest(assembly, place).items():
        rows += rows_of("area of interest", name, table[table.geometry.centroid.within(polygon)])
    return rows
