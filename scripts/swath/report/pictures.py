"""Pictures for a page: imagery, labels, predictions and errors of a scene, small enough to travel in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageColor

from swath.config.classes import NULL_CLASS_ID
from swath.metrics.boxes import ious
from swath.report.figure import read_ids, true_colour
from swath.scenes.facts import SceneFacts

RASTER, BOXES = "prediction.tif", "boxes.parquet"
RIGHT, WRONG = "#2e9d57", "#e0312f"
HIT, MISSED, FALSE = "found", "missed", "false"
Box = tuple[float, float, float, float, str, float, str]
"""Left, top, right, bottom (pixels of the scene), class, score (1 of labels), and found, missed or false."""


@dataclass(frozen=True)
class MapPictures:
    """What a run's map of a scene looks like.

    Attributes:
        prediction, errors: Pictures as data URIs, transparent where there is nothing; None of boxes.
        found: The boxes that were found; empty of rasters.
        missed: The labels that no box found.
    """

    prediction: str | None
    errors: str | None
    found: Sequence[Box] = ()
    missed: Sequence[Box] = ()

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(len(uri or "") for uri in (self.prediction, self.errors)) + 60 * (len(self.found) + len(self.missed))


def imagery_picture(facts: SceneFacts, side: int) -> str:
    """Draw a scene's image in red, green and blue, as a data URI; no side has more pixels than that."""
    return as_webp((255 * true_colour(facts, side)).round().astype(np.uint8))


def label_picture(facts: SceneFacts, side: int, colours: Sequence[str]) -> str | None:
    """Draw a scene's labels, transparent where there are none; None of a scene without."""
    if facts.label_raster is None:
        return None
    return as_webp(coloured(read_ids(facts.label_raster, shape_of(facts, side)), colours))


def shape_of(facts: SceneFacts, side: int) -> tuple[int, int]:
    """Return height and width of a picture of a scene."""
    factor = max(1.0, max(facts.height, facts.width) / side)
    return max(1, round(facts.height / factor)), max(1, round(facts.width / factor))


def map_pictures(
    facts: SceneFacts, folder: Path, side: int, classes: Sequence[str], colours: Sequence[str]
) -> MapPictures:
    """Draw a run's map of a scene.

    Args:
        facts: The scene.
        folder: The run's maps of it.
        side: Most pixels of a side.
        classes, colours: By class id.
    """
    if not (folder / RASTER).exists():
        return _boxes(facts, folder, classes)
    shape = shape_of(facts, side)
    predicted = read_ids(folder / RASTER, shape)
    errors = None
    if facts.label_raster:
        labels = read_ids(facts.label_raster, shape)
        known = (labels != NULL_CLASS_ID).astype(np.uint8)
        errors = as_webp(coloured(known * (1 + (labels != predicted)).astype(np.uint8), ["#000000", RIGHT, WRONG]))
    return MapPictures(as_webp(coloured(predicted, colours)), errors)


def coloured(ids: NDArray[np.uint8], colours: Sequence[str]) -> NDArray[np.uint8]:
    """Paint class ids, height × width, as red, green, blue and alpha: the null class is transparent."""
    table = np.array([(*ImageColor.getrgb(colour)[:3], 255) for colour in colours], np.uint8)
    table[NULL_CLASS_ID] = 0
    return table[ids]


def as_webp(pixels: NDArray[np.uint8]) -> str:
    """Encode a picture, height × width × 3 (photographs) or 4 (flat colours, kept exactly), as a data URI."""
    file = io.BytesIO()
    exact = pixels.shape[2] == 4
    Image.fromarray(pixels).save(file, "WEBP", quality=80 if exact else 75, lossless=exact, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _boxes(facts: SceneFacts, folder: Path, classes: Sequence[str]) -> MapPictures:
    """Say which boxes found something, and which labels nobody found: at an IoU of 0.5, the best score first."""
    found = gpd.read_parquet(folder / BOXES).sort_values("score", ascending=False, kind="stable")
    edges, ids, scores = edges_in_pixels(found, facts), _ids(found), found["score"].to_numpy()
    if facts.labels is None:
        return MapPictures(None, None, _as_boxes(edges, ids, scores, [HIT] * len(ids), classes))
    labels = gpd.read_file(facts.labels, engine="pyogrio")
    actual, actual_ids = edges_in_pixels(labels, facts), _ids(labels)
    overlaps = ious(edges, actual)
    overlaps[ids[:, None] != actual_ids[None]] = 0
    free, kinds = np.ones(len(actual), bool), []
    for row in overlaps:
        best = int(np.argmax(row * free)) if len(row) else -1
        is_hit = best >= 0 and free[best] and row[best] >= 0.5
        kinds.append(HIT if is_hit else FALSE)
        if is_hit:
            free[best] = False
    missed = _as_boxes(actual[free], actual_ids[free], np.ones(int(free.sum())), [MISSED] * int(free.sum()), classes)
    return MapPictures(None, None, _as_boxes(edges, ids, scores, kinds, classes), missed)


def label_boxes(facts: SceneFacts, classes: Sequence[str]) -> Sequence[Box]:
    """Return a scene's labels as boxes; empty of one without."""
    if facts.labels is None:
        return []
    labels = gpd.read_file(facts.labels, engine="pyogrio")
    ids = _ids(labels)
    return _as_boxes(edges_in_pixels(labels, facts), ids, np.ones(len(ids)), [HIT] * len(ids), classes)


def edges_in_pixels(table: gpd.GeoDataFrame, facts: SceneFacts) -> NDArray[np.float64]:
    """Return left, top, right and bottom of shapes in pixels of a scene, N × 4."""
    if table.empty:  # such a file has no columns, either
        return np.empty((0, 4))
    bounds = table.to_crs(facts.crs).bounds.to_numpy()
    inverse = ~rasterio.Affine(*facts.transform)
    columns, rows = inverse * (bounds[:, [0, 2]], bounds[:, [1, 3]])
    return np.column_stack([columns.min(axis=1), rows.min(axis=1), columns.max(axis=1), rows.max(axis=1)])


def _ids(table: gpd.GeoDataFrame) -> NDArray[np.int64]:
    return np.array(table["class_id"] if len(table) else [], np.int64)


def _as_boxes(
    edges: NDArray[Any], ids: NDArray[Any], scores: NDArray[Any], kinds: Sequence[str], classes: Sequence[str]
) -> list[Box]:
    return [
        (*(round(float(edge), 1) for edge in box), classes[index], round(float(score), 3), kind)
        for box, index, score, kind in zip(edges, ids, scores, kinds, strict=True)
    ]
