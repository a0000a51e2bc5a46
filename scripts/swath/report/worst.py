"""Where a model is wrong: the worst windows or cells, and labels that it contradicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window
from shapely.geometry import Polygon

from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import CLASSIFICATION, DETECTION, SEGMENTATION
from swath.plan.finished import FinishedRun
from swath.report.findings import Findings
from swath.report.judged_cells import judged_cells
from swath.report.pictures import (
    BOXES,
    FALSE,
    MISSED,
    RASTER,
    RIGHT,
    WRONG,
    as_webp,
    brightness_among,
    coloured,
    evaluated_labels,
    found_boxes,
    outside_of_evaluation,
    window_of_imagery,
)
from swath.scenes.facts import SceneFacts

MOST_WINDOWS = 24
MOST_PIXELS = 256
"""Of the side of a window's picture."""
MOST_SUSPICIOUS = 500
LEAST_SHARE = 0.05
"""Of a window's pixels that are wrong, before its labels are suspicious."""
EDGE = 2
"""Pixels from another label, within which a pixel lies at the edge of its own."""
MOST_OF, DARK = 0.75, 0.1
"""The share of a window's wrong pixels that have something in common, before it is said; and of an image's pixels."""
SCORES = "scores.tif"
SHARE = 254
"""The value of a score of 1 in scores.tif."""
BINS = 10
RUN = "run"
COLUMNS = ["scene", "split", "label", "predicted", "confidence", "pixels"]
EDGES = ["left", "top", "right", "bottom"]


@dataclass(frozen=True)
class WrongWindow:
    """A window of a scene in which labels and prediction differ; of chip classification, a cell.

    Attributes:
        scene, split, run: Where, and whose prediction.
        row, column, height, width: Of the window, pixels.
        labelled, wrong: Pixels; a cell is wrong as a whole.
        label, predicted: The pair of class ids that is most frequent among the wrong pixels.
        of_pair: Pixels of that pair.
        confidence: Mean score of the predicted class in the pixels of that pair, 0..1; None where it is not known.
    """

    scene: str
    split: str
    run: FinishedRun
    row: int
    column: int
    height: int
    width: int
    labelled: int
    wrong: int
    label: int
    predicted: int
    of_pair: int
    confidence: float | None


def wrong_windows(findings: Findings, size: int) -> list[WrongWindow]:
    """Find the windows in which pixels are wrong, those with the most wrong pixels first.

    Args:
        findings: The experiment's results. Of cells, those that are wrong are found, the most confident first; of
            boxes, nothing.
        size: Of a window of pixels.
    """
    found: list[WrongWindow] = []
    for run, split in findings.looked_at:
        if findings.task == CLASSIFICATION:
            found += _wrong_cells(findings, run, split)
        elif findings.task == SEGMENTATION:
            found += _windows_of_pixels(findings, run, split, size)
    of_cells = findings.task == CLASSIFICATION

    def worst_first(one: WrongWindow) -> tuple[float, str, int, int]:
        return (-(one.confidence or 0.0) if of_cells else -one.wrong, one.scene, one.row, one.column)

    return sorted(found, key=worst_first)


def _windows_of_pixels(findings: Findings, run: FinishedRun, split: str, size: int) -> Iterator[WrongWindow]:
    for name, folder in findings.maps(run, split).items():
        facts = findings.scenes[name]
        if facts.label_raster and (folder / RASTER).exists():
            yield from _in_scene(facts, folder, run, split, size)


def _wrong_cells(findings: Findings, run: FinishedRun, split: str) -> Iterator[WrongWindow]:
    for cells in judged_cells(findings, run, split):
        for place in np.flatnonzero(cells.labels != cells.predictions):
            top, left, bottom, right = cells.edges[place].tolist()
            sure = float(cells.confidence[place])
            pixels = (bottom - top) * (right - left)
            yield WrongWindow(
                scene=cells.facts.id,
                split=split,
                run=run,
                row=top,
                column=left,
                height=bottom - top,
                width=right - left,
                labelled=pixels,
                wrong=pixels,
                label=int(cells.labels[place]),
                predicted=int(cells.predictions[place]),
                of_pair=pixels,
                confidence=None if np.isnan(sure) else sure,
            )


def _in_scene(facts: SceneFacts, folder: Path, run: FinishedRun, split: str, size: int) -> Iterator[WrongWindow]:
    scores, outside = folder / SCORES, outside_of_evaluation(facts)
    with rasterio.open(facts.label_raster) as labels, rasterio.open(folder / RASTER) as predictions:
        for row in range(0, facts.height, size):
            strip = Window(0, row, facts.width, min(size, facts.height - row))
            actual, said = evaluated_labels(labels, strip, outside), predictions.read(1, window=strip)
            wrong = (actual != NULL_CLASS_ID) & (actual != said)
            sure = _confidence(scores, strip, said) if scores.exists() and wrong.any() else None
            for column in range(0, facts.width, size):
                part = np.s_[:, column : column + size]
                if count := int(wrong[part].sum()):
                    pairs = np.bincount(256 * actual[part][wrong[part]].astype(np.intp) + said[part][wrong[part]])
                    label, predicted = divmod(int(pairs.argmax()), 256)
                    of_pair = int(pairs.max())
                    pair = wrong[part] & (actual[part] == label) & (said[part] == predicted)
                    known = sure[part][pair & np.isfinite(sure[part])] if sure is not None else np.empty(0)
                    confidence = float(known.mean()) if known.size else None
                    labelled = int((actual[part] != NULL_CLASS_ID).sum())
                    height, width = actual[part].shape
                    place = facts.id, split, run, row, column, height, width
                    yield WrongWindow(*place, labelled, count, label, predicted, of_pair, confidence)


def _confidence(scores: Path, window: Window, said: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Read the score of each pixel's class, 0..1."""
    with rasterio.open(scores) as dataset:
        shares = dataset.read(window=window)
    of_class = np.take_along_axis(shares, np.maximum(said.astype(np.intp) - 1, 0)[None], 0)[0]
    return np.where((said == NULL_CLASS_ID) | (of_class > SHARE), np.nan, of_class / SHARE)


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
    outline = [(edge - start) // step for edge, start in zip(_edges(one), (top, left, top, left), strict=True)]
    return {"image": window_of_imagery(facts, Window(left, top, right - left, bottom - top), step, outline)}


def _edges(one: WrongWindow) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right."""
    return one.row, one.column, one.row + one.height, one.column + one.width


# --- labels that are contradicted -------------------------------------------------------------------


def suspicious_labels(findings: Findings, windows: Sequence[WrongWindow]) -> gpd.GeoDataFrame:
    """List places whose labels the model contradicts, in WGS 84: the most pixels of the most confidence first.

    Args:
        findings: The experiment's results.
        windows: Where labels and prediction differ; of boxes none are needed.

    Returns:
        Columns scene, split, label, predicted (of windows of pixels, the pair that is most frequent), confidence (empty
        where scores were not kept), pixels (of that pair), run (whose prediction), left, top, right, bottom (pixels of
        the scene), geometry.
    """
    rows = _suspicious_boxes(findings) if findings.task == DETECTION else _suspicious_windows(findings, windows)
    table = pd.DataFrame(rows, columns=[*COLUMNS, RUN, *EDGES])
    table["confidence"] = table["confidence"].astype(float)
    kinds = table["label"] == ""  # boxes without a label, and everything else
    doubt = table["confidence"].fillna(0) * (1 if findings.task == DETECTION else table["pixels"])
    order = table.assign(kind=kinds, doubt=doubt).sort_values(["doubt", "pixels"], ascending=False, kind="stable")
    chosen = order.groupby("kind").head(MOST_SUSPICIOUS).drop(columns=["kind", "doubt"]).reset_index(drop=True)
    places = [
        _on_earth(findings.scenes[scene], *edges)
        for scene, edges in zip(chosen["scene"], chosen[EDGES].to_numpy(float).tolist(), strict=True)
    ]
    return gpd.GeoDataFrame(chosen[[*COLUMNS, RUN, *EDGES]], geometry=gpd.GeoSeries(places, crs="EPSG:4326"))


def _suspicious_windows(findings: Findings, windows: Sequence[WrongWindow]) -> Iterator[list[Any]]:
    for one in windows:
        if one.wrong < max(one.labelled / 2, LEAST_SHARE * one.height * one.width):
            continue
        top, left, bottom, right = _edges(one)
        names = findings.classes[one.label], findings.classes[one.predicted]
        yield [one.scene, one.split, *names, one.confidence, one.of_pair, one.run.name, left, top, right, bottom]


def _suspicious_boxes(findings: Findings) -> Iterator[list[Any]]:
    """List boxes found with the best scores where there is no label, and labels that no box found."""
    for run, split in findings.looked_at:
        for name, folder in findings.maps(run, split).items():
            facts = findings.scenes[name]
            if facts.labels is None or not (folder / BOXES).exists():
                continue
            drawn = found_boxes(facts, folder, findings.classes)
            for box in [*drawn.found, *drawn.missed]:
                left, top, right, bottom, of_class, score, kind = box
                if kind in (FALSE, MISSED):
                    names = ("", of_class) if kind == FALSE else (of_class, "")
                    pixels = round((right - left) * (bottom - top))
                    sure = score if kind == FALSE else None
                    yield [name, split, *names, sure, pixels, run.name, left, top, right, bottom]


def _on_earth(facts: SceneFacts, left: float, top: float, right: float, bottom: float) -> Any:
    """Return a rectangle of a scene's pixels in WGS 84."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    outline = Polygon([rasterio.Affine(*facts.transform) * corner for corner in corners])
    return gpd.GeoSeries([outline], crs=facts.crs).to_crs("EPSG:4326").iloc[0]


# --- how sure, and how right ------------------------------------------------------------------------


def reliability(findings: Findings) -> pd.DataFrame | None:
    """Count how often the best run is right where it is about as sure; None where scores were not kept.

    Returns:
        Columns confidence (mean), accuracy, share of the labelled pixels or cells. Boxes have none.
    """
    best = findings.best
    counts, sums, hits = np.zeros(BINS), np.zeros(BINS), np.zeros(BINS)
    for sure, right in _sure_and_right(findings, best) if best else ():
        bins = np.minimum((sure * BINS).astype(int), BINS - 1)
        counts += np.bincount(bins, minlength=BINS)
        sums += np.bincount(bins, sure, minlength=BINS)
        hits += np.bincount(bins, right, minlength=BINS)
    if not counts.any():
        return None
    there = counts > 0
    return pd.DataFrame(
        {
            "confidence": sums[there] / counts[there],
            "accuracy": hits[there] / counts[there],
            "share": counts[there] / counts.sum(),
        }
    )


def _sure_and_right(findings: Findings, run: FinishedRun) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Go through what a run has predicted where there are labels: how sure it was, where that is known; is it right."""
    if findings.task == CLASSIFICATION:
        for cells in judged_cells(findings, run, findings.shown_split):
            known = np.isfinite(cells.confidence)
            yield cells.confidence[known], (cells.labels == cells.predictions)[known]
    if findings.task != SEGMENTATION:
        return
    for name, folder in findings.maps(run, findings.shown_split).items():
        facts = findings.scenes[name]
        if not facts.label_raster or not (folder / SCORES).exists():
            continue
        outside = outside_of_evaluation(facts)
        with rasterio.open(facts.label_raster) as labels, rasterio.open(folder / RASTER) as predictions:
            for row in range(0, facts.height, 256):
                strip = Window(0, row, facts.width, min(256, facts.height - row))
                actual, said = evaluated_labels(labels, strip, outside), predictions.read(1, window=strip)
                sure = _confidence(folder / SCORES, strip, said)
                known = (actual != NULL_CLASS_ID) & np.isfinite(sure)
                yield sure[known], (actual == said)[known]
