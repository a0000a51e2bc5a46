"""Cells of new images: as a table, and painted as rasters."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio

from swath.config.classes import NULL_CLASS_ID
from swath.metrics.boxes import EDGES
from swath.prediction.apply import CELLS, CONFIDENCE, PREDICTION, outside_for
from swath.products.boxes import box_table
from swath.products.map_polygons import ground_areas
from swath.products.maps import (
    NO_SHARE,
    as_bytes,
    plain_raster_writer,
)
from swath.report.assembly import Assembly, place_of_image
from swath.scenes.facts import SceneFacts
from swath.scenes.manifest import channel_order
from swath.scenes.no_data import either, no_data
from swath.scenes.paths import paths_of

ROWS = 512


def _cell_table(assembly: Assembly, facts: SceneFacts) -> pd.DataFrame:
    """Read an image's cells with their class and its score."""
    cells = pd.concat([pd.read_parquet(part / CELLS) for _, _, part in assembly.parts[facts.id]], ignore_index=True)
    scores = cells[[f"score {index}" for index in range(1, len(assembly.classes))]].to_numpy()
    cells["class_id"] = scores.argmax(axis=1) + 1 if len(cells) else np.empty(0, int)
    cells["score"] = scores.max(axis=1, initial=0)
    return cells


def paint_cells(assembly: Assembly, facts: SceneFacts, folder: Path) -> dict[str, Path]:
    """Paint an image's cells with their classes and scores, but for pixels without data and outside the area."""
    cells = _cell_table(assembly, facts)
    edges = cells[EDGES].to_numpy().round().astype(int)
    ids, scores = cells["class_id"].to_numpy(), as_bytes(cells["score"].to_numpy())
    bands = channel_order(facts, assembly.model.wanted_bands(assembly.settings.bands))
    paths = {PREDICTION: folder / PREDICTION, CONFIDENCE: folder / CONFIDENCE}
    with ExitStack() as stack:
        place = place_of_image(facts)
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


def cells_of_image(assembly: Assembly, facts: SceneFacts) -> gpd.GeoDataFrame:
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
