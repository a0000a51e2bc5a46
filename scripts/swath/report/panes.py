"""The maps of a report: imagery, labels, prediction and errors side by side, with one pan and zoom."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bokeh.layouts import gridplot
from bokeh.models import ColumnDataSource, CustomJS, PanTool, Range1d, ResetTool, WheelZoomTool
from bokeh.plotting import figure

from swath.config.tasks import CLASSIFICATION, DETECTION
from swath.plan.finished import FinishedRun
from swath.report.charts import GREY
from swath.report.findings import Findings
from swath.report.judged_cells import cells_of_scene
from swath.report.pictures import (
    FALSE,
    HIT,
    MISSED,
    Box,
    MapPictures,
    imagery_picture,
    label_boxes,
    label_picture,
    map_pictures,
)
from swath.scenes.facts import SceneFacts

PANES = ("imagery", "labels", "prediction", "errors")
BUDGET = 11_000_000
"""Bytes of all pictures together, as data URIs."""
SIDES = (1000, 700, 500, 350, 240)
"""Most pixels of a picture's side: the largest with which all pictures fit."""
MOST_SCENES = 60
MOST_TRIALS = 4
"""So many trials' validation maps can be looked at: the best ones."""
PANE = 420
"""Pixels of a pane's side at most; on a narrow screen it is less."""
BOX_COLOURS = {HIT: "#2e9d57", FALSE: "#e0312f", MISSED: "#f2b01e"}

log = logging.getLogger("swath.report")


@dataclass(frozen=True)
class ScenePictures:
    """What a scene looks like.

    Attributes:
        id, split: Of the scene.
        score: The best run's; None where it is undefined.
        width, height: Pixels.
        transform: From pixels to the scene's CRS.
        image: The picture as a data URI; None of an image that cannot be read any more.
        labels: The same of labels; None of boxes, and where there are none.
        boxes: The labels of object detection.
    """

    id: str
    split: str
    score: float | None
    width: int
    height: int
    transform: Sequence[float]
    image: str | None
    labels: str | None
    boxes: Sequence[Box]

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.image or "") + len(self.labels or "") + 60 * len(self.boxes)


@dataclass
class MapData:
    """What the page's script shows.

    Attributes:
        scenes: The scenes, the worst first.
        maps: Scene → run → what its map looks like.
        left_out: Scenes that were left out.
        unreadable: Scenes whose images cannot be read any more.
        side: Most pixels of a picture's side.
    """

    scenes: list[ScenePictures] = field(default_factory=list)
    maps: dict[str, dict[str, MapPictures]] = field(default_factory=dict)
    left_out: int = 0
    unreadable: int = 0
    side: int = 0


def map_data(findings: Findings) -> MapData:
    """Draw the scenes that the best run, and the best of the other trials, were evaluated on, as far as they fit.

    Args:
        findings: The experiment's results.
    """
    if findings.best is None:
        return MapData()
    wanted = scenes_worst_first(findings)
    found = MapData(left_out=max(len(wanted) - MOST_SCENES, 0))
    shown = wanted[:MOST_SCENES]
    if not shown:
        return found
    found.side = _side_that_fits(findings, shown)
    spent = 0
    for number, (name, split, score, run) in enumerate(shown):
        facts = findings.scenes[name]
        scene = _scene(facts, split, score, found.side, findings)
        found.unreadable += scene.image is None
        runs = [run, *(_other_runs(findings, run.fold) if split == "validation" else [])]
        drawn = {run.name: one for run in runs if (one := _drawn(findings, run, split, facts, found.side))}
        size = scene.size + sum(one.size for one in drawn.values())
        if spent + size > BUDGET and number:
            found.left_out += len(shown) - number
            break
        spent += size
        found.scenes.append(scene)
        found.maps[name] = drawn
        log.info("drew %s, scene %d of %d", name, number + 1, len(shown))
    return found


def scenes_worst_first(findings: Findings) -> list[tuple[str, str, float | None, FinishedRun]]:
    """List the scenes that are looked at, test scenes first, by their score, the worst first.

    Returns:
        Id, split, score, and the run whose map it is: with folds, the one that has not seen the scene.
    """
    listed: list[tuple[str, str, float | None, FinishedRun]] = []
    for run, split in findings.looked_at:
        scores = (findings.evaluation(run, split) or {"scenes": {}})["scenes"]
        listed += [
            (name, split, score_of_scene(scores.get(name), findings.metric), run) for name in findings.maps(run, split)
        ]
    return sorted(listed, key=lambda one: (one[1] != "test", one[2] is None, one[2], one[0]))


def score_of_scene(scores: Mapping[str, Any] | None, metric: str) -> float | None:
    """Return a metric, such as f1.water, of a scene; None where it is undefined."""
    kind, _, name = metric.partition(".")
    found = (scores or {}).get(kind)
    return found.get(name) if name and found else found


def _other_runs(findings: Findings, fold: int | None) -> list[FinishedRun]:
    """Choose a run of each of the best trials but the winner's: of its repeats in a fold the first."""
    leaderboard = findings.table("leaderboard")
    best = findings.best
    if leaderboard is None or best is None:
        return []
    trials = [trial for trial in leaderboard["trial"] if trial != best.trial][: MOST_TRIALS - 1]
    first = [next((run for run in findings.runs if run.trial == trial and run.fold == fold), None) for trial in trials]
    return [run for run in first if run]


def _side_that_fits(findings: Findings, shown: Sequence[tuple[str, str, float | None, FinishedRun]]) -> int:
    """Draw a few scenes in every size, the largest first, until all of that size fit."""
    sample = shown[:: max(1, len(shown) // 3)][:3]
    for side in SIDES:
        sizes = []
        for name, split, _, run in sample:
            facts = findings.scenes[name]
            scene = _scene(facts, split, None, side, findings)
            drawn = _drawn(findings, run, split, facts, side)
            models = 1 + (len(_other_runs(findings, run.fold)) if split == "validation" else 0)
            sizes.append(scene.size + models * (drawn.size if drawn else 0))
        if sum(sizes) / len(sizes) * len(shown) <= BUDGET:
            return side
    return SIDES[-1]


def _drawn(findings: Findings, run: FinishedRun, split: str, facts: SceneFacts, side: int) -> MapPictures | None:
    folder = findings.maps(run, split).get(facts.id)
    if folder is None:
        return None
    cells = cells_of_scene(findings, run, split, facts.id) if findings.task == CLASSIFICATION else None
    return map_pictures(facts, folder, side, findings.classes, findings.colours, cells)


def _scene(facts: SceneFacts, split: str, score: float | None, side: int, findings: Findings) -> ScenePictures:
    has_boxes = findings.task == DETECTION
    return ScenePictures(
        id=facts.id,
        split=split,
        score=score,
        width=facts.width,
        height=facts.height,
        transform=facts.transform,
        image=imagery_picture(facts, side),
        labels=None if has_boxes else label_picture(facts, side, findings.colours),
        boxes=label_boxes(facts, findings.classes) if has_boxes else [],
    )


def panes() -> Any:
    """Build the four panes, empty: the page's script fills them."""
    across, down = Range1d(start=0, end=1, name="across"), Range1d(start=0, end=1, name="down")
    image = _picture_source("image")
    charts: list[Any] = []
    for name in PANES:
        wheel = WheelZoomTool(zoom_on_axis=False)
        chart = figure(
            aspect_ratio=1,
            max_width=PANE,
            sizing_mode="scale_width",
            x_range=across,
            y_range=down,
            title=name,
            tools=[PanTool(), wheel, ResetTool()],
            background_fill_color=None,
            border_fill_color=None,
            outline_line_color=GREY,
            min_border=4,
            name=f"pane-{name}",
        )
        chart.axis.visible, chart.grid.visible = False, False
        title: Any = chart.title
        title.text_color, title.text_font_size = GREY, "13px"
        chart.toolbar.active_scroll, chart.toolbar.logo = wheel, None
        chart.image_url("url", "x", "y", "w", "h", source=image, anchor="top_left")
        if name != "imagery":
            overlay = chart.image_url(
                "url", "x", "y", "w", "h", source=_picture_source(name), anchor="top_left", global_alpha="alpha"
            )
            overlay.level = "glyph"
            _add_boxes(chart, name)
        chart.js_on_event("mousemove", CustomJS(code="window.swathPointer(cb_obj.x, cb_obj.y)"))
        chart.js_on_event("reset", CustomJS(code="window.swathFit()"))
        charts.append(chart)
    return gridplot([charts[:2], charts[2:]], merge_tools=True, toolbar_location="above", sizing_mode="scale_width")


def _picture_source(name: str) -> ColumnDataSource:
    columns: dict[str, Any] = {column: [] for column in ("url", "x", "y", "w", "h", "alpha")}
    return ColumnDataSource(columns, name=name)


def _add_boxes(chart: Any, name: str) -> None:
    columns: dict[str, Any] = {key: [] for key in ("left", "right", "top", "bottom", "colour")}
    source = ColumnDataSource(columns, name=f"{name}-boxes")
    chart.quad("left", "right", "top", "bottom", source=source, fill_alpha=0, line_color="colour", line_width=2)
