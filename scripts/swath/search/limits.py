"""What a trial may need: which of `sweep.limits` it is over."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from swath.config.sweep import Limits
from swath.config.tasks import Task
from swath.errors import Problem, UserError

WORDS = {"parameters": "{:,} parameters", "model_mb": "{:.4g} MB", "gpu_hours": "{:.3g} GPU hours"}
"""Limit → how a value is written."""


@dataclass(frozen=True)
class Network:
    """What the size of a trial's network follows from.

    Attributes:
        task: The task.
        model: The `model` settings.
        bands: The setting `imagery.bands`; None for all that the images have.
        chip_size: Of the chips, pixels.
        classes: Number of classes, the null class included.
    """

    task: Task
    model: dict[str, Any]
    bands: list[Any] | None
    chip_size: int
    classes: int

    def of(self, values: Mapping[str, JsonValue]) -> Network:
        """Return the network of a trial: dotted setting → value, beside what the config says."""
        model = {name.removeprefix("model."): value for name, value in values.items() if name.startswith("model.")}
        changed: dict[str, Any] = {"model": {**self.model, **model}}
        changed |= {"bands": values["imagery.bands"]} if "imagery.bands" in values else {}
        changed |= {"chip_size": values["chips.size"]} if "chips.size" in values else {}
        return replace(self, **changed)


def gpu_hours(timing: Sequence[Mapping[Any, Any]], gpus: int) -> float:
    """Add up the hours × GPUs of a training; none of one without a GPU.

    Args:
        timing: Rows of ``timing.csv``.
        gpus: How many it was trained on, if there was one.
    """
    on_gpu = any(float(row.get("peak_gpu_memory_mb") or 0) > 0 for row in timing)
    return sum(float(row["seconds"]) for row in timing) * gpus / 3600 if on_gpu else 0.0


def needed_by(metrics: Path, gpus: int) -> dict[str, float]:
    """Say what a training has taken that came to its end, where that is known: limit → value.

    Args:
        metrics: Its ``metrics.csv``, which has ``timing.csv`` beside it.
        gpus: How many it was trained on, if there was one.
    """
    timing = metrics.with_name("timing.csv")
    if not timing.is_file():
        return {}
    with timing.open(newline="", encoding="utf-8") as file:
        return {"gpu_hours": gpu_hours(list(csv.DictReader(file)), gpus)}


def over_limits(limits: Limits, needed: Mapping[str, float]) -> str:
    """Say which limits a trial is over: `23,508,032 parameters, 5,000,000 allowed`; nothing if none.

    Args:
        limits: The setting.
        needed: What it needs, as far as that is known: limit → value.
    """
    found = []
    for name, value in needed.items():
        limit = getattr(limits, name)
        if limit is not None and value > limit:
            found.append(f"{WORDS[name].format(value)}, {WORDS[name].format(limit).split()[0]} allowed")
    return "; ".join(found)


def nothing_within(what: str, over: Sequence[str]) -> UserError:
    """Make what ends a step where no trial keeps to the limits: see :func:`without_a_trial`."""
    return UserError(without_a_trial(what, over))


def without_a_trial(what: str, over: Sequence[str], place: str = "config") -> Problem:
    """Say that no trial keeps to the limits.

    Args:
        what: Who does not: `none of 24 trials`.
        over: Which limits trials are over, of some of them.
        place: Where the limits stand: file and line.
    """
    found = f"{what} keeps to the limits; such as: {over[0]}" if over else f"{what} keeps to the limits"
    expected = "limits that a trial can keep to"
    cure = "raise the limit, or sweep smaller networks or shorter trainings"
    return Problem("limits_too_small", place, "sweep.limits", found, expected, cure)
