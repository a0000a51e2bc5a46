"""Charts of an experiment that answer to the pointer: what settings do, how trainings went, how sure a model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, PlainText, Range1d
from bokeh.models.annotations import Whisker
from bokeh.palettes import Category10
from bokeh.plotting import figure

from swath.plan.finished import FinishedRun
from swath.report.findings import Findings

GREY = "#8a8f98"
"""Readable on light and on dark pages."""
BLUE = "#3b7dd8"
HEIGHT, WIDTH = 260, 380
MOST_CURVES = 300
"""Runs whose curves are drawn; the best ones."""
MOST_POINTS = 9000
"""Of all curves of a chart."""
MOST_BANDS = 6
"""Trials with a band over their repeats; the best ones."""
MOST_TICKS = 8
"""Values of a setting that an axis names, each of them."""


def plain_figure(**options: Any) -> Any:
    """Begin a chart that fits into a light and into a dark page; what stands in names is text, $$ and all."""
    chosen: dict[str, Any] = {"height": HEIGHT, "max_width": WIDTH, "toolbar_location": "above"} | options
    chart = figure(
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        sizing_mode="stretch_width",
        **chosen,
    )
    for axis in (*chart.xaxis, *chart.yaxis):
        axis.axis_label = PlainText(text=axis.axis_label) if axis.axis_label else None
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = GREY
        axis.axis_label_text_color = axis.major_label_text_color = GREY
        axis.axis_label_text_font_style = "normal"
    chart.grid.grid_line_color, chart.grid.grid_line_alpha = GREY, 0.2
    chart.toolbar.logo = None
    title: Any = chart.title
    title.text, title.text_color, title.text_font_size = PlainText(text=title.text), GREY, "13px"
    return chart


def titles_of(charts: Mapping[str, Any]) -> dict[str, str]:
    """Say what charts show, for who does not see them: their titles, by the same names."""
    return {name: str(chart.title.text.text) for name, chart in charts.items()}


def script_beside_charts() -> str:
    """Return the script that isolates a trial by keyboard, for pages with charts of trials."""
    return Path(__file__).with_name("charts.js").read_text(encoding="utf-8")


def _source(columns: Mapping[str, Any]) -> ColumnDataSource:
    return ColumnDataSource(dict(columns))


# --- settings ---------------------------------------------------------------------------------------


def setting_charts(findings: Findings) -> dict[str, Any]:
    """Draw the deciding metric of all runs over each setting that was swept: setting → chart."""
    table, leaderboard = findings.table("trials"), findings.table("leaderboard")
    if table is None or leaderboard is None or findings.metric not in table:
        return {}
    there = [name for name in swept_settings(findings) if name in table and name in leaderboard]
    return {name: _over_setting(findings, table, leaderboard, name) for name in there}


def swept_settings(findings: Findings) -> list[str]:
    """List the settings that differ between trials."""
    names = dict.fromkeys(name for run in findings.runs for name in run.values)
    return [name for name in names if len({str(run.values.get(name)) for run in findings.runs}) > 1]


def _over_setting(findings: Findings, table: pd.DataFrame, leaderboard: pd.DataFrame, name: str) -> Any:
    metric, numbers = findings.metric, pd.to_numeric(table[name], errors="coerce")
    is_number = bool(numbers.notna().all()) and numbers.nunique() > 1
    values: Any = numbers if is_number else _as_text(table[name])
    means = leaderboard[leaderboard["repeats"] > 1]
    ends = means[[end for end in (f"{metric}_low", f"{metric}_high") if end in means]]
    options: dict[str, Any] = {"y_range": _around(table[metric], ends)}
    if is_number and numbers.min() > 0 and numbers.max() / numbers.min() >= 10:
        options["x_axis_type"] = "log"
    elif not is_number:
        options["x_range"] = sorted(values.unique())
    chart = plain_figure(title=name, x_axis_label=name, y_axis_label=f"validation {metric}", **options)
    if is_number and numbers.nunique() <= MOST_TICKS:
        chart.xaxis.ticker = FixedTicker(ticks=sorted(numbers.unique().tolist()))
    source = ColumnDataSource({"x": values, "y": table[metric], "run": table["run"]})
    dots = chart.scatter("x", "y", source=source, size=8, color=BLUE, alpha=0.7)
    chart.add_tools(HoverTool(renderers=[dots], tooltips=[("run", "@run"), (metric, "@y{0.0000}")]))
    if len(means) and len(ends.columns) == 2:
        limits = ColumnDataSource(
            {
                "x": pd.to_numeric(means[name]) if is_number else _as_text(means[name]),
                "low": means[f"{metric}_low"],
                "high": means[f"{metric}_high"],
            }
        )
        chart.add_layout(Whisker(base="x", lower="low", upper="high", source=limits, line_color=GREY, level="underlay"))
    return chart


def _as_text(column: Any) -> Any:
    """Write values as categories; one that a trial does not have, or that is null, is `none`."""
    return column.astype(object).where(column.notna(), "none").astype(str)


def _around(*values: Any) -> Range1d:
    """Return a range that holds values and intervals, with some room."""
    every = np.concatenate([np.asarray(one, float).ravel() for one in values])
    every = every[np.isfinite(every)] if np.isfinite(every).any() else np.array([0.0, 1.0])
    room = 0.06 * max(float(np.ptp(every)), 0.01)
    return Range1d(start=float(every.min()) - room, end=float(every.max()) + room)


def parallel_chart(findings: Findings) -> Any | None:
    """Draw every trial as a line through its settings to its score, from three settings on; None with fewer."""
    leaderboard, score = findings.table("leaderboard"), f"{findings.metric}_mean"
    if leaderboard is None or score not in leaderboard:
        return None
    swept = [name for name in swept_settings(findings) if name in leaderboard]
    if len(swept) < 3:
        return None
    axes = [*swept, score]
    places = np.column_stack([_from_0_to_1(leaderboard[name]) for name in axes])
    chart = plain_figure(
        max_width=WIDTH * 2,
        height=HEIGHT + 60,
        x_range=[*swept, findings.metric],
        tools="tap,save,reset",
        y_range=(-0.1, 1.1),
    )
    shades = [_shade(value) for value in places[:, -1]]
    source = _source(
        {
            "xs": [[*swept, findings.metric]] * len(places),
            "ys": [row.tolist() for row in places],
            "trial": leaderboard["trial"],
            "score": leaderboard[score],
            "colour": shades,
        }
    )
    source.name = "parallel"
    lines = chart.multi_line(
        "xs", "ys", source=source, color="colour", line_width=2, nonselection_line_alpha=0.08, hover_line_width=4
    )
    chart.add_tools(HoverTool(renderers=[lines], tooltips=[("trial", "@trial"), (findings.metric, "@score{0.0000}")]))
    chart.yaxis.visible = False
    ends: dict[str, Any] = {"x": [], "y": [], "text": []}
    for name in axes:
        for place, text in _marks(leaderboard[name]):
            ends["x"].append(findings.metric if name == score else name)
            ends["y"].append(place)
            ends["text"].append(text)
    chart.text(
        "x", "y", "text", source=ColumnDataSource(ends), text_align="center", text_color=GREY, text_font_size="11px"
    )
    return chart


def parallel_trials(findings: Findings) -> list[str]:
    """List the trials that :func:`parallel_chart` draws, the best first."""
    leaderboard = findings.table("leaderboard")
    return [] if leaderboard is None else [str(trial) for trial in leaderboard["trial"]]


def cost_chart(findings: Findings) -> Any | None:
    """Draw every trial's score over what its training took; blue are those of the Pareto set. None with few trials."""
    leaderboard, score = findings.table("leaderboard"), f"{findings.metric}_mean"
    if leaderboard is None or len(leaderboard) < 3 or not {score, "pareto"} <= set(leaderboard):
        return None
    front = leaderboard["pareto"].astype(bool)
    chart = plain_figure(
        title="What a score costs", x_axis_label="seconds of training", y_axis_label=f"validation {findings.metric}"
    )
    line = leaderboard[front].sort_values("seconds")
    chart.line(line["seconds"], line[score], color=BLUE, alpha=0.4)
    columns = {"x": leaderboard["seconds"], "y": leaderboard[score], "trial": leaderboard["trial"]}
    source = _source({**columns, "colour": np.where(front, BLUE, GREY)})
    dots = chart.scatter("x", "y", source=source, size=8, color="colour", alpha=0.8)
    tooltips = [("trial", "@trial"), (findings.metric, "@y{0.0000}"), ("seconds", "@x{0.0}")]
    chart.add_tools(HoverTool(renderers=[dots], tooltips=tooltips))
    return chart


def _marks(column: Any) -> list[tuple[float, str]]:
    """Say what stands where on an axis: the ends of numbers, and each of other values."""
    if pd.api.types.is_numeric_dtype(column):
        return [(-0.08, f"{column.min():.4g}"), (1.02, f"{column.max():.4g}")]
    names = sorted(set(_as_text(column)))
    return [(number / max(len(names) - 1, 1) + 0.02, name) for number, name in enumerate(names)]


def _from_0_to_1(column: Any) -> Any:
    """Place values between the smallest and the largest: by their logarithms where they span a decade."""
    if not pd.api.types.is_numeric_dtype(column):
        codes = pd.Categorical(_as_text(column)).codes.astype(float)
        return codes / max(codes.max(), 1)
    values = column.astype(float)
    if values.min() > 0 and values.max() / values.min() >= 10:
        values = np.log(values)
    return ((values - values.min()) / max(values.max() - values.min(), 1e-12)).fillna(0).to_numpy()


def _shade(value: float) -> str:
    """Return a colour from grey (the worst) to blue (the best)."""
    low, high = np.array([190, 190, 190]), np.array([33, 102, 200])
    red, green, blue = (low + (high - low) * value).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


# --- trainings --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curves:
    """Losses and scores of trainings over epochs.

    Attributes:
        charts: One for each loss or score.
        trials: Of which trainings are drawn, the best first.
        colours: Trial → its colour; empty where there are more trials than colours.
        left_out: How many runs are not drawn.
    """

    charts: Sequence[Any] = ()
    trials: Sequence[str] = ()
    colours: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


def curve_charts(findings: Findings) -> Curves:
    """Draw losses and scores of all trainings over epochs; a click on a line isolates its training in all charts."""
    runs = _best_first(findings)
    shown = runs[:MOST_CURVES]
    histories = [findings.history(run) for run in shown]
    if not histories:
        return Curves()
    wanted = _columns(findings, histories[0])
    trials = list(dict.fromkeys(run.trial for run in shown))
    palette = Category10[10]
    colours = {trial: palette[number % len(palette)] for number, trial in enumerate(trials)}
    columns: dict[str, Any] = {
        "run": [run.name for run in shown],
        "trial": [run.trial for run in shown],
        "colour": [colours[run.trial] for run in shown],
        "x": [_thinned(history["epoch"], len(histories)) for history in histories],
    }
    for number, name in enumerate(wanted):
        columns[f"y{number}"] = [_thinned(history[name], len(histories)) for history in histories]
    source = ColumnDataSource(columns, name="curves")
    last = max(int(history["epoch"].max()) for history in histories)
    epochs = Range1d(start=0.5, end=last + 0.5)
    charts = []
    for number, (name, title) in enumerate(wanted.items()):
        chart = plain_figure(title=title, x_axis_label="epoch", x_range=epochs, tools="tap,pan,wheel_zoom,reset,save")
        for trial, (xs, low, high) in _bands(shown, histories, name, trials[:MOST_BANDS]).items():
            chart.varea(xs, low, high, color=colours[trial], alpha=0.15)
        lines = chart.multi_line(
            "x", f"y{number}", source=source, color="colour", line_width=2, alpha=0.85, nonselection_line_alpha=0.07
        )
        chart.add_tools(HoverTool(renderers=[lines], tooltips=[("run", "@run")]))
        charts.append(chart)
    return Curves(charts, trials, colours if len(trials) <= len(palette) else {}, len(runs) - len(shown))


def _thinned(values: Any, curves: int) -> list[float]:
    """Leave out points of a curve beyond what can be seen, the more the more curves there are; round the others."""
    step = -(-len(values) // max(MOST_POINTS // curves, 20))
    kept = values.loc[values.index.isin(values.index[::step]) | (values.index == values.index[-1])]
    return [float(f"{value:.5g}") for value in kept]


def _best_first(findings: Findings) -> list[FinishedRun]:
    leaderboard = findings.table("leaderboard")
    order = {} if leaderboard is None else {trial: rank for rank, trial in enumerate(leaderboard["trial"])}
    return sorted(findings.finished, key=lambda run: order.get(run.trial, len(order)))


def _columns(findings: Findings, history: pd.DataFrame) -> dict[str, str]:
    """Choose what is drawn: column of metrics.csv → title."""
    known = {"train_loss": "training loss", "val_loss": "validation loss", "macro_f1": "validation macro-F1"}
    known |= {"mAP50": "validation mAP50", "mAP": "validation mAP"}
    known |= {f"{name}_f1": f"validation F1, {name}" for name in findings.classes[1:]}
    return {name: title for name, title in known.items() if name in history}


def _bands(
    runs: Sequence[FinishedRun], histories: Sequence[pd.DataFrame], name: str, trials: Sequence[str]
) -> dict[str, tuple[list[int], list[float], list[float]]]:
    """Return the lowest and the highest value over repeats in each epoch, of trials that have some."""
    bands = {}
    for trial in trials:
        own = [
            history.set_index("epoch")[name] for run, history in zip(runs, histories, strict=True) if run.trial == trial
        ]
        if len(own) > 1:
            together = pd.concat(own, axis=1)
            bands[trial] = (together.index.tolist(), together.min(axis=1).tolist(), together.max(axis=1).tolist())
    return bands


# --- confidence -------------------------------------------------------------------------------------


def reliability_chart(bins: pd.DataFrame) -> Any:
    """Draw how often a model is right over how sure it says it is.

    Args:
        bins: Columns confidence, accuracy, share: of labelled pixels or boxes that are about as sure.
    """
    chart = plain_figure(
        title="confidence against accuracy",
        x_axis_label="confidence",
        y_axis_label="share that is right",
        x_range=(0, 1),
        y_range=(0, 1),
        tools="save",
    )
    chart.line([0, 1], [0, 1], color=GREY, line_dash="dashed")
    source = ColumnDataSource(bins.assign(size=6 + 30 * np.sqrt(bins["share"])))
    dots = chart.scatter("confidence", "accuracy", size="size", source=source, color=BLUE, alpha=0.7)
    chart.line("confidence", "accuracy", source=source, color=BLUE)
    tips = [("confidence", "@confidence{0.00}"), ("right", "@accuracy{0.00}"), ("share of all", "@share{0.0%}")]
    chart.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    return chart


def threshold_chart(by_threshold: Mapping[str, float | None]) -> Any:
    """Draw F1 of boxes over the score that they must have."""
    chart = plain_figure(
        title="F1 over the score threshold", x_axis_label="score threshold", y_axis_label="F1", tools="save"
    )
    known = {float(threshold): value for threshold, value in by_threshold.items() if value is not None}
    source = ColumnDataSource({"threshold": list(known), "f1": list(known.values())})
    dots = chart.scatter("threshold", "f1", source=source, color=BLUE, size=7)
    chart.line("threshold", "f1", source=source, color=BLUE)
    chart.add_tools(HoverTool(renderers=[dots], tooltips=[("threshold", "@threshold{0.00}"), ("F1", "@f1{0.000}")]))
    return chart
