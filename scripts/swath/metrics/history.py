"""The history of a training, a row for every epoch as in metrics.csv: which epoch was the best. Without torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

Rows = Sequence[Mapping[str, float]]


def monitored(monitor: str) -> str:
    """Return the column of metrics.csv that a monitor means."""
    kind, _, name = monitor.partition(".")
    return f"{name}_{kind}" if name else monitor


def best_epoch(rows: Rows, monitor: str) -> int | None:
    """Return the best epoch, counted from 1, by the monitored metric; the first of equals. None without epochs."""
    column = monitored(monitor)
    sign = -1.0 if column.endswith("loss") else 1.0
    scores = [-math.inf if math.isnan(row[column]) else sign * row[column] for row in rows]
    return scores.index(max(scores)) + 1 if scores else None


def csv_of(rows: Sequence[Mapping[str, float | str]]) -> str:
    """Write a history as CSV, a row per epoch; lines end as everywhere in CSV, with a carriage return."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[-1]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
