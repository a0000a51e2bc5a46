"""Pictures of the worst windows or cells, and what the wrong pixels of a window have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import CLASSIFICATION
from swath.report.findings import Findings
from swath.report.pictures import (
    RASTER,
    RIGHT,
    WRONG,
    as_webp,
    brightness_among,
    coloured,
    evaluated_labels,
    outside_of_evaluation,
    window_of_imagery,
)
from swath.report.worst import WrongWindow

MOST_PIXELS = 256
"""Of the side of a window's picture."""
EDGE = 2
"""Pixels from another label, within which a pixel lies at the edge of its own."""
MOST_OF, DARK = 0.75, 0.1
"""The share of a window's wrong pixels that have something in common, before it is said; and of an image's pixels."""


def window_pictures(findings: Findings, windows: Sequence[WrongWindow]) -> list[dict[str, Any]]:
    """Draw windows: image, labels, prediction and errors, with their place; of cells, the image around each.

    Args:
        findings: The experiment's results.
        windows: Those that are shown.
    """
    return [_window_picture(findings, one) for one in windows]


def _window_picture(findings: Findings, one: WrongWindow) -> dict[str, Any]:
    facts = findings.scenes[one.scene]
    draw = _cell_in_its_surroundings if findings.task == CLASSIFICATION else _four_pictures
    x, y = rasterio.Affine(*facts.transform) * (one.column + one.width / 2, one.row + one.height / 2)
    return {
        "scene": one.scene,
        "split": one.split,
        "place": f"column {one.column}, row {one.row}",
        "x": f"{x:.7g}",
        "y": f"{y:.8g}",
        "wrong": one.wrong,
        "labelled": one.labelled,
        "of_pair": one.of_pair,
        "reasons": [] if findings.task == CLASSIFICATION else reasons(findings, one),
        "label": findings.classes[one.label],
        "predicted": findings.classes[one.predicted],
        "confidence": one.confidence,
        "pictures": draw(findings, one),
    }


def _four_pictures(findings: Findings, one: WrongWindow) -> dict[str, str | None]:
    facts = findings.scenes[one.scene]
    window = Window(one.column, one.row, one.width, one.height)
    folder = findings.maps(one.run, one.split)[one.scene]
    with rasterio.open(facts.label_raster) as labels, rasterio.open(folder / RASTER) as predictions:
        actual = evaluated_labels(labels, window, outside_of_evaluation(facts))
        said = predictions.read(1, window=window)
    errors = ((actual != NULL_CLASS_ID) * (1 + (actual != said))).astype(np.uint8)
    step = -(-max(one.height, one.width) // MOST_PIXELS)
    return {
        "image": window_of_imagery(facts, window, step),
        "labels": as_webp(coloured(actual[::step, ::step], findings.colours)),
        "prediction": as_webp(coloured(said[::step, ::step], findings.colours)),
        "errors": as_webp(coloured(errors[::step, ::step], ["#000000", RIGHT, WRONG])),
    }


def reasons(findings: Findings, one: WrongWindow) -> list[str]:
    """Say what the wrong pixels of a window have in common: edges of labels, shadow or glare, how sure the model is."""
    facts = findings.scenes[one.scene]
    window = Window(one.column, one.row, one.width, one.height)
    folder = findings.maps(one.run, one.split)[one.scene]
    with rasterio.open(facts.label_raster) as labels, rasterio.open(folder / RASTER) as predictions:
        actual = evaluated_labels(labels, window, outside_of_evaluation(facts))
        wrong = (actual != NULL_CLASS_ID) & (actual != predictions.read(1, window=window))
    found = []
    at_edge = near_edges(actual)
    if at_edge[wrong].mean() >= max(MOST_OF, 1.5 * at_edge[actual != NULL_CLASS_ID].mean()):
        found.append("along edges of labels")
    if (place := brightness_among(facts, window, wrong)) is not None and not DARK < place < 1 - DARK:
        found.append(f"in the {'darkest' if place <= DARK else 'brightest'} tenth of the image")
    if one.confidence is not None:
        found.append(f"mean confidence {one.confidence:.2f}")
    return found


def near_edges(ids: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels that have another label within two pixels; unlabelled ground is none."""
    reach = np.pad(ids, EDGE, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(reach, (2 * EDGE + 1, 2 * EDGE + 1))
    other = (around != ids[:, :, None, None]) & (around != NULL_CLASS_ID)
    near: NDArray[np.bool_] = other.any(axis=(2, 3)) & (ids != NULL_CLASS_ID)
    return near


def _cell_in_its_surroundings(findings: Findings, one: WrongWindow) -> dict[str, str | None]:
    """Draw the image of a cell with half as much on every side, as far as there is an image, and the cell's outline."""
    facts = findings.scenes[one.scene]
    top, left = max(0, one.row - one.height // 2), max(0, one.column - one.width // 2)
    bottom = min(facts.height, one.row + one.height + one.height // 2)
    right = min(facts.width, one.column + one.width + one.width // 2)
    step = -(-max(bottom - top, right - left) // MOST_PIXELS)
    outline = [(edge - start) // step for edge, start in zip(one.edges, (top, left, top, left), strict=True)]
    return {"image": window_of_imagery(facts, Window(left, top, right - left, bottom - top), step, outline)}
