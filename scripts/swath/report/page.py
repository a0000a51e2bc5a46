"""The report of an experiment: one HTML page with everything in it, a PDF, figures, and labels to look at again."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.resources import Resources
from markupsafe import Markup
from PIL import Image, ImageColor

from swath.config.tasks import DETECTION, SEGMENTATION
from swath.files import publish_directory
from swath.pages.template import template
from swath.report.charts import (
    cost_chart,
    curve_charts,
    parallel_chart,
    parallel_trials,
    reliability_chart,
    script_beside_charts,
    setting_charts,
    threshold_chart,
    titles_of,
)
from swath.report.comparison import interval_of
from swath.report.costs import costs_by_stage, shared
from swath.report.findings import Findings
from swath.report.leaderboard import OVER
from swath.report.methods import CITATIONS, libraries, paragraph
from swath.report.panes import BOX_COLOURS, MapData, map_data, panes, scenes_worst_first, score_of_scene
from swath.report.pictures import RIGHT, WRONG, as_webp
from swath.report.plots import write_figures, write_pdf
from swath.report.provenance import MOST_FILES, checksums_of_inputs, checksums_of_models
from swath.report.reliability import reliability
from swath.report.results import keep_experiment
from swath.report.rungs import rung_chart, rung_rows, trials_of_rungs
from swath.report.suspicious import EDGES, RUN, suspicious_labels
from swath.report.worst import WrongWindow, wrong_windows
from swath.report.worst_pictures import window_pictures
from swath.search.rungs import how_the_budget_ended_it

TEMPLATE, SCRIPT = Path(__file__).with_name("report.html.jinja"), "report.js"
MOST_ROWS = 100
"""Trials in the leaderboard, and scenes in a table; the rest is in the CSV files."""
MOST_WINDOWS, MOST_SUSPICIOUS = 24, 25
THINGS = {"object_detection": "boxes", "chip_classification": "cells"}

log = logging.getLogger("swath.report")


@dataclass(frozen=True)
class Making:
    """How an experiment was made, as far as results do not say it.

    Attributes:
        folder: The experiment's.
        configs: Config files.
        command: What runs it.
        chip_size: Of the training chips, pixels.
        keys: Stage → the keys of its results.
        logs: Folder of logs, and of what jobs took.
        manifests: Where its scenes are described.
        rungs: Tables of who went on from each, if trials were stopped early.
        rounds: What a search has proposed, by round.
        rung_metric: The metric that decided there.
    """

    folder: str
    configs: Sequence[str]
    command: str
    chip_size: int
    keys: Mapping[str, Sequence[str]]
    logs: str
    manifests: Sequence[str]
    rungs: Sequence[str] = ()
    rounds: Sequence[str] = ()
    rung_metric: str = ""


def write_report(findings: Findings, making: Making, outputs: Mapping[str, Path]) -> None:
    """Write the report, and ``figures/`` beside it.

    Args:
        findings: What there is of the experiment.
        making: How it was made.
        outputs: Files to write: ``page`` (HTML), ``pdf``, ``suspicious`` (GeoPackage), and ``experiment`` (JSON, which
            :class:`swath.report.results.Results` reads).
    """
    log.info("looking for where the model is wrong")
    windows = wrong_windows(findings, making.chip_size)
    suspicious = suspicious_labels(findings, windows)
    headline = headline_of(findings)
    page = _page(findings, making, windows, suspicious, headline)
    outputs["page"].write_text(page, encoding="utf-8")
    suspicious.drop(columns=[RUN, *EDGES]).to_file(
        outputs["suspicious"], driver="GPKG", layer="suspicious", engine="pyogrio", geometry_type="Polygon"
    )
    keep_experiment(findings, making.manifests, outputs["experiment"])
    write_pdf(findings, headline, findings.folder / "prediction.png", outputs["pdf"])
    with publish_directory(findings.folder / "figures") as figures:
        write_figures(findings, figures)
    log.info("%s: a page of %.1f MB", findings.name, outputs["page"].stat().st_size / 1e6)


def _page(
    findings: Findings,
    making: Making,
    windows: Sequence[WrongWindow],
    suspicious: pd.DataFrame,
    headline: Sequence[str],
) -> str:
    charts: dict[str, Any] = {f"setting-{number}": one for number, one in enumerate(setting_charts(findings).values())}
    settings, parallel = list(charts), parallel_chart(findings)
    if parallel is not None:
        charts["parallel"] = parallel
    costs = cost_chart(findings)
    if costs is not None:
        charts["costs"] = costs
    rungs = trials_of_rungs([Path(table) for table in making.rungs])
    if rungs is not None:
        charts["rungs"] = rung_chart(rungs, making.rung_metric)
    curves = curve_charts(findings)
    charts |= {f"curve-{number}": chart for number, chart in enumerate(curves.charts)}
    sure = reliability(findings)
    if sure is not None:
        charts["reliability"] = reliability_chart(sure)
    evaluation = findings.shown
    if evaluation and "f1_by_threshold" in evaluation["overall"]:
        charts["reliability"] = threshold_chart(evaluation["overall"]["f1_by_threshold"])
    maps = map_data(findings)
    if maps.scenes:
        charts["panes"] = panes()
    script, divisions = components(charts) if charts else ("", {})
    page: str = template(TEMPLATE).render(
        name=findings.name,
        headline=headline,
        picture=_headline_picture(findings),
        finished=len(findings.finished),
        wanted=len(findings.runs),
        ended=how_the_budget_ended_it(map(Path, making.rungs), map(Path, making.rounds)),
        board=_leaderboard(findings),
        metric=findings.metric,
        titles=titles_of({name: chart for name, chart in charts.items() if name != "panes"}),
        charts={name: Markup(division) for name, division in divisions.items()},
        settings=settings,
        rungs=rung_rows(rungs) if rungs is not None else [],
        rung_metric=making.rung_metric,
        curves=[f"curve-{number}" for number in range(len(curves.charts))],
        curve_trials=curves.trials,
        parallel_trials=parallel_trials(findings),
        curves_left_out=curves.left_out,
        trial_colours=curves.colours,
        confusion=_confusion(findings, evaluation),
        split=findings.shown_split,
        things=THINGS.get(findings.task, "pixels"),
        scenes=_scene_table(findings),
        maps=maps,
        map_json=Markup(_as_json(findings, maps)),
        windows=_window_rows(findings, windows[:MOST_WINDOWS], maps),
        wrong_windows=len(windows),
        suspicious=_suspicious_rows(suspicious, maps),
        suspicious_count=len(suspicious),
        has_scores=sure is not None,
        folds=len({run.fold for run, split in findings.looked_at if split == "validation"}),
        is_segmentation=findings.task == SEGMENTATION,
        is_detection=findings.task == DETECTION,
        costs=costs_by_stage(Path(making.logs), making.keys).to_dict("records"),
        shared=shared(making.keys),
        inputs=_listed(checksums_of_inputs(findings)),
        models=_listed(checksums_of_models(findings)),
        configs={Path(config).name: without_secrets(Path(config).read_text("utf-8")) for config in making.configs},
        command=without_secrets(making.command),
        versions=libraries(findings),
        methods=paragraph(findings, making.chip_size),
        citations=CITATIONS,
        colours=findings.coloured(),
        kinds=BOX_COLOURS,
        judged=(RIGHT, WRONG),
        bokeh=Markup(Resources(mode="inline", components=["bokeh"]).render_js()) if charts else "",
        chart_script=Markup(script),
        chart_keys=Markup(script_beside_charts()),
        map_script=Markup(_beside_this(SCRIPT)),
    )
    return page


def _listed(checksums: Mapping[str, str]) -> dict[str, Any]:
    """Write checksums as ``sha256sum --check`` takes them, as many as a page has room for."""
    lines = [f"{checksum}  {without_secrets(file)}" for file, checksum in list(checksums.items())[:MOST_FILES]]
    return {"text": "\n".join(lines), "number": len(checksums), "left_out": len(checksums) - len(lines)}


def _beside_this(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _as_json(findings: Findings, maps: MapData) -> str:
    """Write what the page's script shows; no text in it can end the script element that holds it."""
    content = {
        "scenes": [vars(scene) for scene in maps.scenes],
        "maps": {name: {run: vars(one) for run, one in of_scene.items()} for name, of_scene in maps.maps.items()},
        "colours": findings.coloured(),
        "classes": [(name, ImageColor.getrgb(colour)[:3]) for name, colour in findings.coloured().items()],
        "kinds": BOX_COLOURS,
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def without_secrets(text: str) -> str:
    """Leave out of addresses what may be a password or a signature."""
    return re.sub(r"(?<=://)[^/\s@]+@|(?<=[^\s?])\?[^\s\"']+(?==)[^\s\"']*", "…", text)


# --- parts of the page ------------------------------------------------------------------------------


def headline_of(findings: Findings) -> list[str]:
    """Say what won, what to expect of it, and whether it is better than the next."""
    winner, best = findings.winner, findings.best
    if winner is None or best is None:
        return [f"{len(findings.finished)} of {len(findings.runs)} trainings are finished; no winner yet."]
    over = "repeats" if best.fold is None else "folds and repeats"
    spread = "" if winner.std is None else f" ± {winner.std:.3f} over {over}"
    lines = [f"{winner.trial} wins with a validation {winner.metric} of {winner.mean:.3f}{spread}."]
    test = findings.evaluation(best, "test")
    if test:
        score = score_of_scene(test["overall"], findings.metric)
        interval, why = interval_of(test, findings.metric)
        between = f", 95 % interval {interval.low:.3f} to {interval.high:.3f} for other such scenes" if interval else ""
        missing = "" if interval else f" (no interval: {why})"
        value = "undefined" if score is None else f"{score:.3f}"
        lines.append(f"On the test scenes, {findings.metric} is {value}{between}{missing}.")
    comparison = findings.table("comparison")
    if comparison is not None and len(comparison):
        following = comparison.iloc[0]
        verdict = "yes" if following["winner_is"] == "better" else "cannot tell"
        lines.append(f"Better than the next, {following['trial']}: {verdict}; {following['why']}.")
    return lines


def _headline_picture(findings: Findings) -> str | None:
    """Return the summary's picture, where it is drawn already."""
    path = findings.folder / "prediction.png"
    return as_webp(np.asarray(Image.open(path).convert("RGB"))) if path.is_file() else None


def _leaderboard(findings: Findings) -> dict[str, Any] | None:
    """Return the leaderboard's columns and rows, with what can be told apart."""
    table, comparison = findings.table("leaderboard"), findings.table("comparison")
    metric = findings.metric
    if table is None or f"{metric}_mean" not in table:  # the table of another metric, from before
        return None
    others = [
        name.removesuffix("_mean")
        for name in table.columns
        if name.endswith("_mean") and "." not in name and name != f"{metric}_mean"
    ]
    verdicts: dict[str, dict[Any, Any]] = {}
    if comparison is not None:
        verdicts = {row["trial"]: row for row in comparison.to_dict("records")}
    rows = []
    for row in table.head(MOST_ROWS).to_dict("records"):
        verdict = verdicts.get(row["trial"])
        over = f"over the limits: {row[OVER]}" if isinstance(row.get(OVER), str) else ""
        rows.append(
            {
                "rank": row["rank"],
                "trial": row["trial"],
                "repeats": row["repeats"],
                "mean": row[f"{metric}_mean"],
                "std": row[f"{metric}_std"],
                "low": row.get(f"{metric}_low"),
                "high": row.get(f"{metric}_high"),
                "others": [row[f"{name}_mean"] for name in others],
                "epochs": row["epochs"],
                "seconds": row["seconds"],
                "pareto": bool(row.get("pareto")),
                "verdict": "the winner" if row["rank"] == 1 else over or _said(verdict),
                "why": verdict["why"] if verdict else "",
                "together": row["rank"] == 1 or (verdict is not None and verdict["winner_is"] != "better"),
            }
        )
    return {
        "others": others,
        "rows": rows,
        "left_out": max(len(table) - MOST_ROWS, 0),
        "has_repeats": bool(table[f"{metric}_std"].notna().any()),
        "by_seconds": not (table["gpu_hours"] > 0).all(),
    }


def _said(verdict: Mapping[Any, Any] | None) -> str:
    if verdict is None:
        return "not compared"
    return "behind" if verdict["winner_is"] == "better" else "cannot be told apart"


def _confusion(findings: Findings, evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the confusion matrix: counts, shares of the rows, user's and producer's accuracies."""
    if evaluation is None or "confusion" not in evaluation["overall"]:
        return None
    overall, classes = evaluation["overall"], findings.classes[1:]
    whole = np.array(overall["confusion"])
    counts, shares = whole[:, 1:], whole[:, 1:] / np.maximum(whole.sum(axis=1, keepdims=True), 1)
    rows = [
        {
            "name": name,
            "cells": list(zip(counts[index].tolist(), shares[index].tolist(), strict=True)),
            "producer": overall["recall"][name],
        }
        for index, name in enumerate(classes)
    ]
    return {
        "classes": classes,
        "rows": rows,
        "user": [overall["precision"][name] for name in classes],
        "f1": [overall["f1"][name] for name in classes],
        "iou": [overall["iou"][name] for name in classes],
        "summary": {name: overall[name] for name in ("accuracy", "balanced_accuracy", "kappa", "mean_iou", "macro_f1")},
    }


def _scene_table(findings: Findings) -> list[dict[str, Any]]:
    """List the best run's scenes by their score, the worst first."""
    if findings.best is None:
        return []
    listed = scenes_worst_first(findings)[:MOST_ROWS]
    return [{"id": name, "split": split, "score": score} for name, split, score, _ in listed]


def _suspicious_rows(table: pd.DataFrame, maps: MapData) -> list[dict[Any, Any]]:
    rows = []
    for row in table.head(MOST_SUSPICIOUS).to_dict("records"):
        middle = row["geometry"].centroid
        left, top, right, bottom = (float(row[edge]) for edge in EDGES)
        address = _address(maps, row["scene"], (left, top, right - left, bottom - top), row[RUN])
        rows.append({**row, "longitude": f"{middle.x:.5f}", "latitude": f"{middle.y:.5f}", "address": address})
    return rows


def _window_rows(findings: Findings, windows: Sequence[WrongWindow], maps: MapData) -> list[dict[str, Any]]:
    return [
        {**picture, "address": _address(maps, one.scene, (one.column, one.row, one.width, one.height), one.run.name)}
        for one, picture in zip(windows, window_pictures(findings, windows), strict=True)
    ]


def _address(maps: MapData, scene: str, window: Sequence[float], run: str) -> str | None:
    """Return the page's own address of a window (left, top, width, height) on its maps; None where it is not shown."""
    if all(one.id != scene for one in maps.scenes):
        return None
    numbers = ",".join(f"{number:g}" for number in window)
    of_run = f"&run={quote(run, safe='')}" if run in maps.maps.get(scene, {}) else ""
    return f"#scene={quote(scene, safe='')}{of_run}&at={numbers}"
