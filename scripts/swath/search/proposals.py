"""The trials of a search's next round, from what the rounds before have found.

Nothing is remembered between rounds: Optuna's sampler is built anew from the table of results, so that the same results
give the same proposals wherever and whenever they are made. No database is needed, and nothing waits.

Bergstra, J. et al. (2011), Algorithms for hyper-parameter optimization, NeurIPS 24 (`tpe`); Sobol', I. M. (1967), USSR
Computational Mathematics 7(4) (`qmc`).
"""

from __future__ import annotations

import csv
import math
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from swath.config.sweep import Distribution, Search
from swath.files import short_hash
from swath.metrics.history import monitored
from swath.plan.trials import draw, readable_number, value_at
from swath.search.rungs import best_so_far

Point = dict[str, JsonValue]
"""Dotted setting → value."""


@dataclass(frozen=True)
class Outcome:
    """What has come of a trial.

    Attributes:
        values: Dotted setting → value.
        metrics: CSV with a row per epoch that it was trained for.
        finished: Whether it was trained to its end, not stopped at a rung.
    """

    values: Point
    metrics: str
    finished: bool


def propose(search: Search, number: int, outcomes: Sequence[Outcome], metric: str) -> list[Point]:
    """Propose the trials of a round.

    Args:
        search: The setting.
        number: Of the round, from 1.
        outcomes: What has come of the trials of all earlier rounds.
        metric: Of the epochs' metrics, the one that decides; of a loss, the smallest value is the best.
    """
    if search.sampler == "random":
        return _random(search, number)
    if search.sampler == "qmc" or number == 1 or not outcomes:
        return _sobol(search, number)
    return _tpe(search, number, outcomes, metric)


def _random(search: Search, number: int) -> list[Point]:
    """Draw a round's points, the same whatever was drawn before."""
    generator = random.Random(short_hash([search.seed, number]))
    return [
        {setting: draw(generator, distribution) for setting, distribution in search.settings.items()}
        for _ in range(search.per_round)
    ]


def _sobol(search: Search, number: int) -> list[Point]:
    """Take a round's stretch of Sobol's sequence."""
    from scipy.stats import qmc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a stretch need not be a power of two
        sequence = qmc.Sobol(len(search.settings), rng=search.seed).random(number * search.per_round)
    return [
        {
            setting: value_at(float(share), distribution)
            for (setting, distribution), share in zip(search.settings.items(), row, strict=True)
        }
        for row in sequence[-search.per_round :]
    ]


def _tpe(search: Search, number: int, outcomes: Sequence[Outcome], metric: str) -> list[Point]:
    """Ask a tree-structured Parzen estimator that knows all outcomes."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = int(short_hash([search.seed, number], 8), 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler, direction="minimize" if metric.endswith("loss") else "maximize")
    spaces = {setting: _space(distribution) for setting, distribution in search.settings.items()}
    known = [(outcome, *_score(outcome, metric)) for outcome in outcomes]
    for outcome, epochs, score in known:
        values = {
            name: _inner(outcome.values[name], search.settings[name]) for name in spaces if name in outcome.values
        }
        if math.isnan(score) or len(values) < len(spaces) or None in values.values():
            continue
        told = {"value": score} if outcome.finished else {"intermediate_values": {epochs: score}}
        state = optuna.trial.TrialState.COMPLETE if outcome.finished else optuna.trial.TrialState.PRUNED
        study.add_trial(optuna.trial.create_trial(params=values, distributions=spaces, state=state, **told))
    asked = [study.ask(spaces).params for _ in range(search.per_round)]
    return [
        {setting: _outer(params[setting], distribution) for setting, distribution in search.settings.items()}
        for params in asked
    ]


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
