"""How sure a model was, and how right: the scores of pixels and cells against their labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from swath.config.classes import NULL_CLASS_ID
from swath.config.tasks import CLASSIFICATION, SEGMENTATION
from swath.plan.finished import FinishedRun
from swath.report.findings import Findings
from swath.report.judged_cells import judged_cells
from swath.report.pictures import (
    RASTER,
    evaluated_labels,
    outside_of_evaluation,
)

SCORES = "scores.tif"
SHARE = 254
"""The value of a score of 1 in scores.tif."""
BINS = 10


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
                sure = confidence_of(folder / SCORES, strip, said)
                known = (actual != NULL_CLASS_ID) & np.isfinite(sure)
                yield sure[known], (actual == said)[known]


def confidence_of(scores: Path, window: Window, said: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Read the score of each pixel's class in a part of a scene: rows × columns, 0..1; NaN where it is not known."""
    with rasterio.open(scores) as dataset:
        shares = dataset.read(window=window)
    of_class = np.take_along_axis(shares, np.maximum(said.astype(np.intp) - 1, 0)[None], 0)[0]
    return np.where((said == NULL_CLASS_ID) | (of_class > SHARE), np.nan, of_class / SHARE)
