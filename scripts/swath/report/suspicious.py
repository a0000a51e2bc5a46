"""Labels that a model contradicts: where they should be looked at once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import geopandas as gpd
import pandas as pd
import rasterio
from shapely.geometry import Polygon

from swath.config.tasks import DETECTION
from swath.report.findings import Findings
from swath.report.pictures import (
    BOXES,
    FALSE,
    MISSED,
    found_boxes,
)
from swath.report.worst import WrongWindow
from swath.scenes.facts import SceneFacts

MOST_SUSPICIOUS = 500
LEAST_SHARE = 0.05
"""Of a window's pixels that are wrong, before its labels are suspicious."""
RUN = "run"
EDGES = ["left", "top", "right", "bottom"]
COLUMNS = ["scene", "split", "label", "predicted", "confidence", "pixels"]


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
        top, left, bottom, right = one.edges
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
