"""The labelled cells of chip classification: what a model said of each, and how sure it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from swath.metrics.cells import cells_of_text
from swath.plan.finished import FinishedRun
from swath.report.findings import Findings
from swath.report.pictures import edges_in_pixels
from swath.scenes.facts import SceneFacts

CELLS = "cells.parquet"


@dataclass(frozen=True)
class JudgedCells:
    """The evaluated cells of a scene, N of them.

    Attributes:
        facts: The scene.
        edges: Top, left, bottom and right, pixels, N × 4.
        labels, predictions: Class ids.
        confidence: Score of the predicted class, 0..1; not-a-number where the image has no data.
    """

    facts: SceneFacts
    edges: NDArray[np.int64]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    confidence: NDArray[np.float64]


def cells_of_scene(findings: Findings, run: FinishedRun, split: str, scene: str) -> NDArray[np.int64]:
    """Return what a run's evaluation keeps of a scene's cells, N × 6; none where they were not evaluated.

    See :func:`swath.metrics.cells.cells_of_text`.
    """
    evaluation = findings.evaluation(run, split) or {"scenes": {}}
    return cells_of_text(evaluation["scenes"].get(scene, {}).get("cells", ""))


def judged_cells(findings: Findings, run: FinishedRun, split: str) -> list[JudgedCells]:
    """Return the evaluated cells of a run's split, by scene."""
    found = []
    for name, folder in findings.maps(run, split).items():
        facts = findings.scenes[name]
        cells = cells_of_scene(findings, run, split, name)
        found.append(JudgedCells(facts, cells[:, :4], cells[:, 4], cells[:, 5], _confidence(cells, facts, folder)))
    return found


def _confidence(cells: NDArray[np.int64], facts: SceneFacts, folder: Path) -> NDArray[np.float64]:
    """Look up how sure a run was of cells."""
    if not (folder / CELLS).is_file():
        return np.full(len(cells), np.nan)
    table = gpd.read_parquet(folder / CELLS)
    left, top, right, bottom = edges_in_pixels(table, facts).round().astype(int).T
    places = zip(top.tolist(), left.tolist(), bottom.tolist(), right.tolist(), strict=True)
    scores = dict(zip(places, table["score"].tolist(), strict=True))
    return np.array([scores.get(tuple(cell), np.nan) for cell in cells[:, :4].tolist()])
