"""Where a model is wrong: the windows or cells in which labels and prediction differ, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
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
from swath.report.reliability import SCORES, confidence_of
from swath.scenes.facts import SceneFacts


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

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Top, left, bottom and right."""
        return self.row, self.column, self.row + self.height, self.column + self.width


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
            sure = confidence_of(scores, strip, said) if scores.exists() and wrong.any() else None
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
