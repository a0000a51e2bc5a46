"""Detected things as tables of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from shapely import polygons

from swath.metrics.boxes import EDGES
from swath.scenes.facts import SceneFacts


def box_polygons(boxes: NDArray[Any], transform: Sequence[float]) -> NDArray[Any]:
    """Turn boxes into polygons on the ground.

    Args:
        boxes: (N, 4): top, left, bottom, right edges in pixels, counted from the image's upper left corner.
        transform: The image's six coefficients.

    Returns:
        N polygons in the image's CRS.
    """
    top, left, bottom, right = np.asarray(boxes, float).reshape(-1, 4).T
    columns, rows = np.stack([left, right, right, left, left]), np.stack([top, top, bottom, bottom, top])
    x, y = rasterio.Affine(*transform) * (columns, rows)
    return np.asarray(polygons(np.stack([x, y], axis=-1).transpose(1, 0, 2)))


def box_table(
    boxes: NDArray[Any], class_ids: NDArray[Any], scores: NDArray[Any], facts: SceneFacts, classes: Sequence[str]
) -> gpd.GeoDataFrame:
    """List boxes.

    Args:
        boxes: (N, 4): top, left, bottom, right edges in pixels.
        class_ids, scores: N of each.
        facts: The scene's facts.
        classes: Class names by id.

    Returns:
        Columns scene, class_id, class_name, score, the four edges in pixels, geometry in the scene's CRS.
    """
    edges = np.asarray(boxes, float).reshape(-1, 4)
    ids = np.asarray(class_ids, int)
    return gpd.GeoDataFrame(
        {
            "scene": np.full(len(ids), facts.id, dtype=object),
            "class_id": ids,
            "class_name": np.array([classes[index] for index in ids], dtype=object),
            "score": np.asarray(scores, float),
            **dict(zip(EDGES, edges.T, strict=True)),
        },
        geometry=box_polygons(edges, facts.transform),
        crs=facts.crs,
    )
