"""An experiment's figures for papers and notebooks: curves, confusion, a scene; drawn by matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from swath.report.findings import Findings

matplotlib.rcParams["text.parse_math"] = False  # a $ in a name is a dollar
A4 = (8.27, 11.69)
MOST_ROWS = 12


def draw_curves(axis: Axes, findings: Findings, column: str = "macro_f1") -> Axes:
    """Draw a column of metrics.csv over the epochs of all finished runs, a colour per trial.

    Args:
        axis: Where.
        findings: The experiment's results.
        column: The column.
    """
    colours: dict[str, Any] = {}
    for run in findings.finished:
        history = findings.history(run)
        if column in history:
            label = None if run.trial in colours else run.trial
            colour = colours.setdefault(run.trial, f"C{len(colours) % 10}")
            axis.plot(history["epoch"], history[column], color=colour, label=label, linewidth=1.2)
    axis.set_xlabel("epoch")
    axis.set_ylabel(column)
    if 0 < len(colours) <= MOST_ROWS:
        axis.legend(fontsize="small", frameon=False)
    return axis


def curve_columns(findings: Findings) -> list[str]:
    """Choose the columns whose curves are drawn: a loss and the score that is watched."""
    if not findings.finished:
        return []
    there = findings.history(findings.finished[0]).columns
    return [name for name in ("train_loss", "val_loss", "macro_f1", "mAP50") if name in there]


def draw_confusion(axis: Axes, classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> Axes:
    """Draw a confusion matrix as shares of its rows, with counts.

    Args:
        axis: Where.
        classes: Names of all classes, the null class first.
        confusion: Rows: labels, without the null class; columns: predictions, with it.
    """
    counts = np.array(confusion, float)[:, 1:]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(shares.shape):
        colour = "white" if shares[row, column] > 0.6 else "black"
        text = f"{shares[row, column]:.0%}\n{counts[row, column]:,.0f}"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")
    axis.set_xticks(range(len(classes) - 1), classes[1:], rotation=30, ha="right")
    axis.set_yticks(range(len(classes) - 1), classes[1:])
    axis.set_xlabel("prediction")
    axis.set_ylabel("label")
    return axis


def _curves(findings: Findings, figure: Any) -> bool:
    """Draw curves into a figure, side by side; tell whether there are any."""
    columns = curve_columns(findings)
    if not columns:
        return False
    axes = figure.subplots(1, len(columns))
    for axis, column in zip(np.atleast_1d(axes), columns, strict=True):
        draw_curves(axis, findings, column)
    return True


def _confusion(findings: Findings, figure: Any) -> bool:
    """Draw the best run's confusion matrix into a figure; tell whether there is one."""
    evaluation = findings.shown
    if not evaluation or "confusion" not in evaluation["overall"]:
        return False
    axis = draw_confusion(figure.subplots(), findings.classes, evaluation["overall"]["confusion"])
    axis.set_title(f"{findings.shown_split} scenes", fontsize="medium")
    return True


FIGURES: Mapping[str, tuple[Callable[[Findings, Any], bool], tuple[float, float]]] = {
    "curves": (_curves, (12, 3.4)),
    "confusion": (_confusion, (5.4, 4.6)),
}
"""Name → what draws the figure, and its size in inches."""


def write_figures(findings: Findings, folder: Path) -> None:
    """Write the figures there are as PNG and SVG.

    Args:
        findings: The experiment's results.
        folder: Is there, and empty.
    """
    for name, (draw, size) in FIGURES.items():
        figure = plt.figure(figsize=size, layout="constrained")
        if draw(findings, figure):
            figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
            with matplotlib.rc_context({"svg.hashsalt": name}):
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


def write_pdf(findings: Findings, headline: Sequence[str], picture: Path, path: Path) -> None:
    """Write the report on two pages: what won, with a picture and the leaderboard; curves and confusion.

    Args:
        findings: The experiment's results.
        headline: Sentences.
        picture: A picture of a prediction, which need not be there.
        path: The PDF.
    """
    with PdfPages(path, metadata={"CreationDate": None, "Creator": "Swath", "Producer": None}) as pages:
        page = plt.figure(figsize=A4)
        page.text(0.08, 0.94, findings.name, fontsize=18, weight="bold")
        text = "\n".join(line for sentence in headline for line in textwrap.wrap(sentence, 105))
        page.text(0.08, 0.92, text, fontsize=9.5, va="top")
        if picture.is_file():
            axis = page.add_axes((0.06, 0.52, 0.88, 0.28))
            axis.imshow(plt.imread(picture))
            axis.set_axis_off()
        _table(page, findings)
        pages.savefig(page)
        plt.close(page)
        page = plt.figure(figsize=A4, layout="constrained")
        curves, confusion = page.subfigures(2, 1, height_ratios=(1, 2))
        if any([_curves(findings, curves), _confusion(findings, confusion)]):
            pages.savefig(page)
        plt.close(page)


def _table(page: Figure, findings: Findings) -> None:
    leaderboard = findings.table("leaderboard")
    if leaderboard is None:
        return
    metric = findings.metric
    columns = ["rank", "trial", "repeats", f"{metric}_mean", f"{metric}_low", f"{metric}_high"]
    shown = leaderboard[[column for column in columns if column in leaderboard]].head(MOST_ROWS)
    shown = shown.assign(trial=[textwrap.shorten(str(name), 48, placeholder="…") for name in shown["trial"]])
    cells = [
        [
            f"{value:.4g}" if isinstance(value, float) and np.isfinite(value) else "" if value != value else str(value)
            for value in row
        ]
        for row in shown.to_numpy(object).tolist()
    ]
    axis = page.add_axes((0.08, 0.06, 0.84, 0.42))
    axis.set_axis_off()
    table = axis.table(cells, colLabels=list(shown.columns), loc="upper left", cellLoc="left", edges="horizontal")
    table.auto_set_font_size(value=False)
    table.set_fontsize(8)
    table.auto_set_column_width(list(range(len(shown.columns))))
