"""What of a search stopped early: every trial's way from rung to rung, as a chart and as rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from bokeh.models import ColumnDataSource, HoverTool

from swath.report.charts import BLUE, GREY, plain_figure
from swath.search.rungs import GOES_ON

MOST_ROWS = 100
"""Trials that are listed: those that went furthest, the best first."""


def trials_of_rungs(tables: Sequence[Path]) -> pd.DataFrame | None:
    """Read how far every trial went.

    Args:
        tables: ``rungs/*.csv``, in their order; those that are not there yet are passed over.

    Returns:
        A row per trial and rung: trial, epochs, score, decision, reason; None without rungs.
    """
    there = [pd.read_csv(table) for table in tables if table.is_file()]
    return pd.concat(there, ignore_index=True) if there else None


def rung_chart(trials: pd.DataFrame, metric: str) -> Any:
    """Draw a line per trial through its scores at the rungs; blue for those that went on from their last one."""
    ways = [way.sort_values("epochs") for _, way in trials.groupby("trial")]
    chart = plain_figure(
        title="From rung to rung",
        x_axis_label="epochs",
        y_axis_label=f"validation {metric}, best so far",
        max_width=760,
    )
    source = ColumnDataSource(
        {
            "x": [way["epochs"].tolist() for way in ways],
            "y": [way["score"].tolist() for way in ways],
            "trial": [way["trial"].iloc[0] for way in ways],
            "colour": [BLUE if way["decision"].iloc[-1] == GOES_ON else GREY for way in ways],
        }
    )
    lines = chart.multi_line("x", "y", source=source, line_color="colour", line_width=2, alpha=0.7)
    dots = ColumnDataSource(
        {
            "x": trials["epochs"],
            "y": trials["score"],
            "trial": trials["trial"],
            "decision": trials["decision"],
            "colour": [BLUE if decision == GOES_ON else GREY for decision in trials["decision"]],
        }
    )
    marks = chart.scatter("x", "y", source=dots, size=7, color="colour", alpha=0.8)
    chart.add_tools(HoverTool(renderers=[lines], tooltips=[("trial", "@trial")]))
    tooltips = [("trial", "@trial"), (metric, "@y{0.0000}"), ("decision", "@decision")]
    chart.add_tools(HoverTool(renderers=[marks], tooltips=tooltips))
    return chart


def rung_rows(trials: pd.DataFrame) -> list[dict[Any, Any]]:
    """List every trial at the last rung that it got to, the furthest and best first."""
    last = trials.sort_values("epochs", kind="stable").groupby("trial", sort=False).tail(1)
    ranked = last.sort_values(["epochs", "rank"], ascending=[False, True], kind="stable")
    return ranked.head(MOST_ROWS).to_dict("records")
