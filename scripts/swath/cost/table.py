"""`cost.csv`: what every run of an experiment has taken, stage by stage, so that its columns add up to the whole."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swath.files import publish
from swath.job.spent import Spent, attempts_in, files_below, spent

COLUMNS = (
    *("run", "stage", "shared_by", "jobs", "attempts", "seconds", "cpu_seconds", "gpu_hours", "peak_memory_mb"),
    *("gpu_joules", "co2_g"),
)
FOR_ALL = "all"
"""Stands for the run where a job is for all of them together."""
JOULES_PER_KWH = 3.6e6

Row = dict[str, Any]


def cost_rows(
    logs: Path, keys: Mapping[str, Mapping[str, Sequence[str]]], folders: Iterable[Path], co2_g_per_kwh: float | None
) -> list[Row]:
    """List what every run has taken by stage.

    A result that several runs share is there once in each of their rows, divided by how many they are: ``seconds``,
    ``cpu_seconds``, ``gpu_hours``, ``gpu_joules`` and ``co2_g`` add up to what the experiment's results have taken,
    whichever experiment made them. ``jobs``, ``attempts`` and ``peak_memory_mb`` are those of the whole.

    Args:
        logs: The folder of logs.
        keys: Run → rule → the keys of its results.
        folders: Folders of the logs of jobs that are for all runs together.
        co2_g_per_kwh: Grams of CO2 for a kilowatt-hour, if somebody said so.
    """
    users = Counter((rule, key) for of_run in keys.values() for rule, held in of_run.items() for key in set(held))
    known: dict[tuple[str, tuple[str, ...]], Spent] = {}
    rows = []
    for run, of_run in keys.items():
        for rule, held in of_run.items():
            for shared_by in sorted({users[rule, key] for key in held}):
                place = rule, tuple(key for key in held if users[rule, key] == shared_by)
                if place not in known:
                    known[place] = spent(logs, {rule: place[1]})
                if known[place].jobs:
                    rows.append(_row(run, rule, known[place], shared_by, co2_g_per_kwh))
    of_all: dict[str, Spent] = {}
    for file in (file for folder in folders for file in files_below(folder)):
        if attempts := attempts_in(file):
            of_all.setdefault(attempts[0].rule, Spent()).add_job(attempts)
    return rows + [_row(FOR_ALL, rule, total, len(keys), co2_g_per_kwh) for rule, total in of_all.items()]


def write_costs(rows: Sequence[Row], path: Path) -> None:
    """Write a table, whole; what is not known is left empty."""
    with publish(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _row(run: str, rule: str, total: Spent, shared_by: int, co2_g_per_kwh: float | None) -> Row:
    parts = 1 if run == FOR_ALL else shared_by
    joules = None if total.joules is None else total.joules / parts
    emitted = None if joules is None or co2_g_per_kwh is None else joules / JOULES_PER_KWH * co2_g_per_kwh
    return {
        "run": run,
        "stage": rule,
        "shared_by": shared_by,
        "jobs": total.jobs,
        "attempts": total.attempts,
        "seconds": round(total.seconds / parts, 2),
        "cpu_seconds": round(3600 * total.cpu_hours / parts, 2),
        "gpu_hours": round(total.gpu_hours / parts, 5),
        "peak_memory_mb": round(total.memory),
        "gpu_joules": _rounded(joules),
        "co2_g": _rounded(emitted),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
