"""What earlier jobs in this folder have taken, of whatever experiment: by kind, and per unit of work."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from swath.cost.prices import BY_NUMBER, TRAININGS, Price, Time, kind_of_prediction, kind_of_training
from swath.job.attempts import ENDING
from swath.job.spent import Attempt, attempts_in

MOST = 20
"""Jobs of a rule that are looked at: the newest ones."""
TIMING = ("seconds", "training_seconds", "samples_per_second")
"""Columns of timing.csv."""
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def measured_prices(results: Path, logs: Path, rules: Sequence[str]) -> dict[str, Price]:
    """Find what jobs of some rules have taken.

    Args:
        results: The folder of results.
        logs: The folder of logs.
        rules: The rules.

    Returns:
        Kind → price, of those kinds of which a job has come to its end.
    """
    found: dict[str, Price] = {}
    for rule in rules:
        if rule in TRAININGS:
            found |= _by_kind(_trainings(results, logs))
        elif rule == "predict":
            found |= _by_kind(_predictions(results, logs))
        else:
            finished = [attempt for file in _newest(logs, rule) if (attempt := _finished(file))]
            if finished:
                found[rule] = price_of(finished) if rule in BY_NUMBER else _as_a_whole(finished)
    return found


def price_of(finished: Sequence[Attempt]) -> Price:
    """Say what a unit of work takes, and what the start of a process."""
    work = sum(attempt.work or 0.0 for attempt in finished)
    if not work:
        return _as_a_whole(finished)
    start = Time(median(one.ready for one in finished), median(one.ready_cpu for one in finished))
    seconds = sum(one.seconds - one.ready for one in finished)
    cpu = sum(one.cpu - one.ready_cpu for one in finished)
    made = sum(one.bytes for one in finished)
    return Price(start, Time(seconds / work, cpu / work), bytes_of_unit=made / work)


def _as_a_whole(finished: Sequence[Attempt]) -> Price:
    start = Time(median(one.seconds for one in finished), median(one.cpu for one in finished))
    return Price(start, bytes=median(one.bytes for one in finished))


def _by_kind(prices: Iterator[tuple[str, Price]]) -> dict[str, Price]:
    """Take the middle of all prices of a kind, by what a unit of work takes."""
    kinds: dict[str, list[Price]] = {}
    for kind, price in prices:
        kinds.setdefault(kind, []).append(price)
    return {kind: middle(found) for kind, found in kinds.items()}


def middle(prices: Sequence[Price]) -> Price:
    """Return the middle one of some prices, by what a unit of work takes."""
    return sorted(prices, key=lambda price: price.unit)[len(prices) // 2]


def _trainings(results: Path, logs: Path) -> Iterator[tuple[str, Price]]:
    """Say what trainings took that are finished: their history is that of all attempts together."""
    for file in _newest(logs, "train"):
        model = results / "models" / file.name.removesuffix(ENDING)
        described, rows, attempts = _model(results, model.name), _rows(model / "timing.csv"), attempts_in(file)
        seconds = sum(row["seconds"] for row in rows)
        if described is None or not seconds or not attempts:
            continue
        taken = Time(sum(one.seconds for one in attempts), sum(one.cpu for one in attempts))
        chips = median(row["training_seconds"] * row["samples_per_second"] for row in rows)
        pixels = len(rows) * chips * described["size"] ** 2
        share = taken.cpu / taken.seconds
        start = max(taken.seconds - seconds, 0.0) / len(attempts)
        price = Price(
            Time(start, start * share),
            Time(seconds / pixels, seconds * share / pixels),
            bytes=attempts[-1].bytes,
        )
        yield kind_of_training(described["task"], described["spec"], described["bands"], attempts[-1].gpus > 0), price


def _predictions(results: Path, logs: Path) -> Iterator[tuple[str, Price]]:
    for file in _newest(logs, "predict"):
        spec, finished = _spec(results / "predictions" / file.parent.name), _finished(file)
        described = _model(results, str(spec["model"])) if spec else None
        if spec and described and finished:
            kind = kind_of_prediction(
                described["task"], described["spec"], spec["predict"], described["bands"], finished.gpus > 0
            )
            yield kind, price_of([finished])


@cache
def _model(results: Path, key: str) -> dict[str, Any] | None:
    """Describe a model by the specs of its stages; None where one is not there any more."""
    spec = _spec(results / "models" / key)
    chips = _spec(results / "chips" / str(spec["chips"])) if spec else None
    scenes = _spec(results / "scenes" / str(chips["scenes"])) if chips else None
    if spec is None or chips is None or scenes is None:
        return None
    bands, size = chips["imagery"]["bands"], chips["chips"]["size"]
    return {"spec": spec, "task": scenes["task"], "bands": bands, "size": size}


@cache
def _spec(folder: Path) -> dict[str, Any] | None:
    try:
        content = yaml.load((folder / "spec.yaml").read_text(), YAML)
    except (OSError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict) else None


def _rows(file: Path) -> list[dict[str, float]]:
    """Read a training's timing; of one that is damaged, or not there, nothing."""
    try:
        with file.open(newline="") as text:
            return [{name: float(row[name]) for name in TIMING} for row in csv.DictReader(text)]
    except (OSError, KeyError, TypeError, ValueError):
        return []


def _finished(file: Path) -> Attempt | None:
    """Return a job's last attempt, if it has come to its end."""
    attempts = attempts_in(file)
    return attempts[-1] if attempts and attempts[-1].ended == "done" else None


def _newest(logs: Path, rule: str) -> list[Path]:
    """List the newest records of a rule's jobs, wherever their logs lie."""
    places = (f"{rule}/*{ENDING}", f"{rule}/*/*{ENDING}", f"experiments/*/{rule}{ENDING}", f"{rule}{ENDING}")
    files = [file for place in places for file in logs.glob(place)]
    return sorted(files, key=os.path.getmtime, reverse=True)[:MOST]
