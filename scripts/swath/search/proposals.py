"""The trials of a search's next round, from what the rounds before have found.

Nothing is remembered between rounds: Optuna's sampler is built anew from the table of results, so that the same results
give the same proposals wherever and whenever they are made. No database is needed, and nothing waits.

Bergstra, J. et al. (2011), Algorithms for hyper-parameter optimization, NeurIPS 24 (`tpe`); Sobol', I. M. (1967), USSR
Computational Mathematics 7(4) (`qmc`).
"""

from __future__ import annotations

import csv
import logging
import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from swath.config.conditions import assembled, range_in_use, ranges_of
from swath.config.ranges import Distribution, Settings
from swath.config.sweep import Limits, Search
from swath.files import short_hash
from swath.metrics.history import monitored
from swath.plan.trials import drawn, readable_number, value_at
from swath.search.limits import needed_by, nothing_within, over_limits
from swath.search.rungs import best_so_far

log = logging.getLogger("swath.search")
LIMITS = "limits"
"""What the constraint is called to Optuna: above 0 for a trial that is over them."""

Point = dict[str, JsonValue]
"""Dotted setting → value."""


@dataclass(frozen=True)
class Outcome:
    """What has come of a trial.

    Attributes:
        values: Dotted setting → value.
        metrics: CSV with a row per epoch that it was trained for.
        finished: Whether it was trained to its end, not stopped at a rung.
        gpus: How many it was trained on.
    """

    values: Point
    metrics: str
    finished: bool
    gpus: int = 1


MOST_TRIES = 50
"""Points that are looked at for one that keeps to the limits, on average."""
Judge = Callable[[Point], str]
"""Says which limits a trial's network is over; nothing of one that keeps to them."""


def propose(
    search: Search,
    number: int,
    outcomes: Sequence[Outcome],
    metric: str,
    limits: Limits | None = None,
    judge: Judge = lambda point: "",
) -> list[Point]:
    """Propose the trials of a round, fewer where not as many are found that keep to the limits.

    Args:
        search: The setting.
        number: Of the round, from 1.
        outcomes: What has come of the trials of all earlier rounds.
        metric: Of the epochs' metrics, the one that decides; of a loss, the smallest value is the best.
        limits: What a trial may need.
        judge: Says which of the limits a network is over, which is known before it is trained.

    Raises:
        UserError: If no point is found that keeps to the limits, in the first round. In later ones there is none then.
    """
    limits = limits or Limits()
    before = 0  # points that earlier rounds have taken
    if search.sampler == "random":
        points = _random(search, number)
    elif search.sampler == "qmc" or number == 1 or not outcomes:
        points, before = _sobol(search), (number - 1) * search.per_round
    else:
        points = _tpe(search, number, outcomes, metric, limits, judge)
    wanted = before + search.per_round
    found, over = _within(points, wanted, wanted * MOST_TRIES, judge)
    if number == 1 and not found:
        raise nothing_within(f"none of {len(over)} proposals", over)
    return found[before:]


def _within(points: Iterator[Point], wanted: int, tries: int, judge: Judge) -> tuple[list[Point], list[str]]:
    """Take the first points that keep to the limits, and say which limits others are over."""
    found: list[Point] = []
    over: list[str] = []
    for point in islice(points, tries):
        if said := judge(point):
            over.append(said)
        else:
            found.append(point)
        if len(found) == wanted:
            return found, over
    log.warning("%d of %d points that were looked at keep to the limits, %d are wanted", len(found), tries, wanted)
    return found, over


def _random(search: Search, number: int) -> Iterator[Point]:
    """Draw a round's points, the same whatever was drawn before."""
    generator = random.Random(short_hash([search.seed, number]))
    while True:
        yield drawn(generator, search.settings)


def _sobol(search: Search) -> Iterator[Point]:
    """Go through Sobol's sequence, in which every setting has a dimension, whichever range holds."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(len(search.settings), rng=search.seed)
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a stretch need not be a power of two
            (row,) = sequence.random(1)
        shares = dict(zip(search.settings, map(float, row), strict=True))
        yield assembled(search.settings, partial(_at, shares))


def _at(shares: Mapping[str, float], setting: str, number: int, distribution: Distribution) -> JsonValue:
    return value_at(shares[setting], distribution)


def _tpe(
    search: Search, number: int, outcomes: Sequence[Outcome], metric: str, limits: Limits, judge: Judge
) -> Iterator[Point]:
    """Ask a tree-structured Parzen estimator that knows all outcomes.

    Every range of a setting is a parameter of its own, which a trial has if the range holds: with conditions, those
    parameters are looked at together that trials have together.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = int(short_hash([search.seed, number], 8), 16)
    settings = search.settings
    has_conditions = any(isinstance(ranges, list) or ranges.when for ranges in settings.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=0, multivariate=True, group=has_conditions, constant_liar=True
        )
    study = optuna.create_study(sampler=sampler, direction="minimize" if metric.endswith("loss") else "maximize")
    for outcome in outcomes:
        epochs, score = _score(outcome, metric)
        known = _parameters(settings, outcome.values)
        if math.isnan(score) or not known:
            continue
        told: dict[str, Any] = {"value": score} if outcome.finished else {"intermediate_values": {epochs: score}}
        if limits.are_set:
            needed = needed_by(Path(outcome.metrics), outcome.gpus) if outcome.finished else {}
            over = judge(outcome.values) or over_limits(limits, needed)
            told["constraints"] = {LIMITS: 1.0 if over else 0.0}
        state = optuna.trial.TrialState.COMPLETE if outcome.finished else optuna.trial.TrialState.PRUNED
        params, spaces = ({name: pair[part] for name, pair in known.items()} for part in (0, 1))
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, state=state, **told))

    while True:
        trial = study.ask()
        point = assembled(settings, partial(_suggested, trial))
        if judge(point):
            trial.set_constraint(LIMITS, 1.0)
            study.tell(trial, 0.0)  # it is known to be over, whatever its score would be
        yield point


def _score(outcome: Outcome, metric: str) -> tuple[int, float]:
    with Path(outcome.metrics).open(newline="", encoding="utf-8") as file:
        values = [float(row[monitored(metric)]) for row in csv.DictReader(file)]
    return len(values), best_so_far(values, metric)


# --- settings as Optuna knows them ----------------------------------------------------------------


def _space(distribution: Distribution) -> Any:
    """Describe where a setting's values are looked for; choices by their number, since they can be anything."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if distribution.choices is not None:
        return CategoricalDistribution(range(len(distribution.choices)))
    assert distribution.min is not None and distribution.max is not None
    if distribution.integer:
        return IntDistribution(round(distribution.min), round(distribution.max), log=distribution.log)
    return FloatDistribution(distribution.min, distribution.max, log=distribution.log)


def _parameters(settings: Settings, values: Point) -> dict[str, tuple[Any, Any]] | None:
    """Say what a trial is to Optuna: parameter → value and where it can lie; None for one that lies outside."""
    found: dict[str, tuple[Any, Any]] = {}
    for setting in settings:
        number = range_in_use(settings, setting, values)
        if number is None:
            continue
        distribution = ranges_of(settings, setting)[number]
        value = _inner(values[setting], distribution) if setting in values else None
        if value is None:
            return None
        found[_parameter(setting, number)] = value, _space(distribution)
    return found


def _parameter(setting: str, number: int) -> str:
    return f"{setting} {number}" if number else setting


def _suggested(trial: Any, setting: str, number: int, distribution: Distribution) -> JsonValue:
    """Ask Optuna for a value."""
    name = _parameter(setting, number)
    if distribution.choices is not None:
        return _outer(trial.suggest_categorical(name, range(len(distribution.choices))), distribution)
    assert distribution.min is not None and distribution.max is not None
    if distribution.integer:
        low, high = round(distribution.min), round(distribution.max)
        return _outer(trial.suggest_int(name, low, high, log=distribution.log), distribution)
    return _outer(trial.suggest_float(name, distribution.min, distribution.max, log=distribution.log), distribution)


def _inner(value: JsonValue, distribution: Distribution) -> Any:
    """Return a value as Optuna knows it; None for one that lies outside, as the config's own can."""
    if distribution.choices is not None:
        return distribution.choices.index(value) if value in distribution.choices else None
    assert distribution.min is not None and distribution.max is not None
    inside = isinstance(value, int | float) and distribution.min <= value <= distribution.max
    return value if inside else None


def _outer(value: Any, distribution: Distribution) -> JsonValue:
    if distribution.choices is not None:
        choice: JsonValue = distribution.choices[value]
        return choice
    return readable_number(value, distribution)


def described(outcomes: Sequence[Outcome], metric: str) -> list[Mapping[str, JsonValue]]:
    """Say what proposals were made from: values, epochs and score of every trial."""
    rows: list[Mapping[str, JsonValue]] = []
    for outcome in outcomes:
        epochs, score = _score(outcome, metric)
        rows.append({**outcome.values, "epochs": epochs, "score": None if math.isnan(score) else score})
    return rows
