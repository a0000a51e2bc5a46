"""Several experiments in one report: all trials in one table, winners on the same test scenes, curves together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.resources import Resources
from markupsafe import Markup

from swath.errors import Problem, UserError
from swath.metrics.intervals import FEWEST_SCENES
from swath.pages.template import template
from swath.report.charts import curve_charts, script_beside_charts, titles_of
from swath.report.comparison import Drawable, difference_over_scenes, drawable, interval_of
from swath.report.findings import Findings
from swath.report.page import headline_of
from swath.report.panes import score_of_scene
from swath.report.results import open_findings

TEMPLATE = Path(__file__).with_name("several.html.jinja")


@dataclass(frozen=True)
class Together(Findings):
    """Runs of several experiments, for charts.

    Attributes:
        board: A row per trial, the best first.
    """

    board: pd.DataFrame

    def table(self, name: str) -> pd.DataFrame | None:
        """Return the trials of all experiments; the other tables are each experiment's own."""
        return self.board if name == "leaderboard" else None


def write_comparison_of(folders: Sequence[str], path: Path) -> None:
    """Write one page about several experiments.

    Args:
        folders: The experiments' folders.
        path: HTML to write.

    Raises:
        UserError: If the experiments are of different tasks, or were decided by different metrics.
    """
    experiments = [open_findings(folder) for folder in folders]
    first = experiments[0]
    for other in experiments[1:]:
        for name in ("task", "metric"):
            ours, theirs = getattr(first, name), getattr(other, name)
            if ours != theirs:
                cure = "compare experiments of one task that `sweep.select.metric` decides in the same way"
                found = f"{name} {theirs} in {other.name}"
                raise UserError(Problem("settings_conflict", "config", "experiments", found, f"{name} {ours}", cure))
    board = _board(experiments)
    runs = [
        replace(run, name=f"{one.name}: {run.name}", trial=f"{one.name}: {run.trial}")
        for one in experiments
        for run in one.runs
    ]
    together = Together(first.folder, first.task, first.metric, first.classes, first.colours, runs, {}, board)
    curves = curve_charts(together)
    charts = {f"curve-{number}": chart for number, chart in enumerate(curves.charts)}
    script, divisions = components(charts)
    page: str = template(TEMPLATE).render(
        names=[one.name for one in experiments],
        metric=first.metric,
        headlines={one.name: headline_of(one) for one in experiments},
        rows=board.head(100).to_dict("records"),
        left_out=max(len(board) - 100, 0),
        tests=_tests(experiments),
        pairs=[_pair(*pair) for pair in combinations(experiments, 2)],
        charts=[Markup(division) for division in divisions.values()],
        titles=list(titles_of(charts).values()),
        curve_trials=curves.trials,
        chart_keys=Markup(script_beside_charts()),
        trial_colours=curves.colours,
        chart_script=Markup(script),
        bokeh=Markup(Resources(mode="inline", components=["bokeh"]).render_js()),
    )
    path.write_text(page, encoding="utf-8")


def _board(experiments: Sequence[Findings]) -> pd.DataFrame:
    """Put the leaderboards together, the best trial first."""
    metric = experiments[0].metric
    parts = []
    for one in experiments:
        table = one.table("leaderboard")
        assert table is not None
        wanted = {f"{metric}_{part}": part for part in ("mean", "std", "low", "high")}
        part = table[["trial", "repeats", *wanted, "epochs", "seconds"]].rename(columns=wanted)
        parts.append(part.assign(experiment=one.name, name=part["trial"], trial=f"{one.name}: " + part["trial"]))
    return pd.concat(parts, ignore_index=True).sort_values("mean", ascending=False, kind="stable")


def _tests(experiments: Sequence[Findings]) -> list[dict[str, Any]]:
    """Return the test scores of the winners, with intervals for other scenes."""
    rows = []
    for one in experiments:
        evaluation = one.evaluation(one.best, "test") if one.best else None
        if evaluation:
            interval, why = interval_of(evaluation, one.metric)
            rows.append(
                {
                    "experiment": one.name,
                    "scenes": len(evaluation["scenes"]),
                    "score": score_of_scene(evaluation["overall"], one.metric),
                    "low": interval.low if interval else None,
                    "high": interval.high if interval else None,
                    "why": why,
                }
            )
    return rows


def _pair(one: Findings, other: Findings) -> dict[str, str]:
    """Compare two winners on the test scenes that both have met."""
    return {"names": f"{one.name} and {other.name}", "said": _said(one, other)}


def _said(one: Findings, other: Findings) -> str:
    evaluations = [findings.evaluation(findings.best, "test") if findings.best else None for findings in (one, other)]
    if not all(evaluations):
        return "not compared: not both have met test scenes with labels"
    if list(one.classes) != list(other.classes):
        return "not compared: their classes differ"
    ours, theirs = (drawable([[evaluation]], one.metric) for evaluation in evaluations if evaluation)
    if ours is None or theirs is None:
        return "not compared: not both have scenes that were counted one by one"
    shared = sorted(ours.names & theirs.names)
    if not shared:
        return "not compared: they have no test scene in common, and scores on different scenes say nothing"
    return _difference(ours, theirs, shared)


def _difference(ours: Drawable, theirs: Drawable, shared: Sequence[str]) -> str:
    whole = np.ones((1, len(shared)))
    difference = float(ours.of(shared)(whole)[0] - theirs.of(shared)(whole)[0])
    text = f"a difference of {difference:+.3f} on {len(shared)} test scenes in common"
    interval = difference_over_scenes(ours, theirs, shared)
    if interval is None:
        few = "too few of them to say it of others" if len(shared) < FEWEST_SCENES else "it is the same on each"
        return f"{text}; {few}"
    verdict = "cannot be told apart" if interval.holds(0) else "more than the choice of scenes"
    return f"{text}, 95 % interval {interval.low:+.3f} to {interval.high:+.3f}: {verdict}"
