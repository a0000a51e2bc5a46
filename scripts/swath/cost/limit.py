"""What a budget leaves room for while a search runs: from what its own jobs have taken so far, and others here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from swath.config.budget import Budget
from swath.cost.measured import measured_prices, middle
from swath.cost.outlook import Outlook
from swath.cost.prices import IMPORTS, TRAININGS, TYPICAL, Price, Time
from swath.cost.probing import remembered
from swath.cost.schedule import PlannedJob
from swath.job.spent import Attempt, Spent, attempts_in, files_of
from swath.plan.keys import Run
from swath.search.room import LIMITS, Room

STAGES = ("train_rung", "train", "predict", "eval", "bundle")
"""Rules of what a decision brings."""
Job = tuple[str, dict[str, str]]
"""Rule and wildcards of a job that is to come."""


class Hours(NamedTuple):
    """What some jobs take.

    Attributes:
        gpu_hours: Hours × GPUs.
        cpu_hours: Hours × cores that compute.
    """

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0

    def plus(self, other: Hours) -> Hours:
        """Return both together."""
        return Hours(self.gpu_hours + other.gpu_hours, self.cpu_hours + other.cpu_hours)


def room_for(
    budget: Budget,
    spent: Spent,
    prices: Prices,
    certain: Sequence[Job],
    jobs_of: Callable[[int], Sequence[Job]],
    most: int,
) -> Room:
    """Say how many of some trials may go on.

    Args:
        budget: What the experiment may take.
        spent: What it has taken.
        prices: What jobs take.
        certain: Jobs that are to be done in any case.
        jobs_of: Tells the jobs that so many trials bring; what is there already is none.
        most: How many were to go on.
    """
    before = Hours(spent.gpu_hours, spent.cpu_hours).plus(prices.hours_of(certain))
    limits = {name: limit for name in LIMITS if (limit := getattr(budget, name)) is not None}

    def in_the_way(number: int) -> tuple[dict[str, float], Hours]:
        more = prices.hours_of(jobs_of(number))
        found = {
            name: limit
            for name, limit in limits.items()
            if getattr(more, name) and getattr(before, name) + getattr(more, name) > limit
        }
        return found, more

    fits, too_many, why = 0, most + 1, (dict[str, float](), Hours())
    while too_many - fits > 1 and limits:
        number = most if too_many > most else (fits + too_many) // 2
        found = in_the_way(number)
        if found[0]:
            too_many, why = number, found
        else:
            fits = number
    if not why[0]:
        return Room(most)
    name, limit = next(iter(why[0].items()))
    to_come = getattr(prices.hours_of(certain), name) + getattr(why[1], name)
    reason = f"{getattr(spent, name):.3g} {LIMITS[name]} spent, about {to_come:.3g} to come, {limit:g} allowed"
    return Room(fits, reason, why[0])


class Prices:
    """What the jobs of a search take, as far as anything tells.

    Args:
        outlook: The experiment.
        forks: Whether jobs are forked from a process that has imported the libraries.
    """

    def __init__(self, outlook: Outlook, forks: bool = False):
        outlook.look()
        self._outlook = outlook
        self._of_trainings = {run.models: _attempts(outlook, run) for run in outlook.plan.runs}
        self._on_gpus = any(attempt.gpus for held in self._of_trainings.values() for attempt in held)
        measured = measured_prices(outlook.results, outlook.logs, STAGES)
        begun = {kind: price for kind, price in self._begun().items() if kind not in measured}
        elsewhere = {**TYPICAL, **remembered()}
        if forks:
            elsewhere = {kind: price.forked() for kind, price in elsewhere.items()}
        self._prices: Mapping[str, Price] = {**elsewhere, **begun, **measured}
        self._others = {stage: self._mean(kinds) for stage, kinds in self._kinds().items()}

    def hours_of(self, jobs: Iterable[Job]) -> Hours:
        """Add up what jobs take; those of which nothing is known count as nothing."""
        total = Hours()
        for rule, wildcards in jobs:
            job = PlannedJob(0, rule, wildcards)
            price = self._prices.get(self._outlook.kind(job, self._on_gpus)) or self._others.get(rule)
            if price is None:
                continue
            taken = price.time_of(self._outlook.work(job))
            gpus = self._outlook.gpus(rule, wildcards) if self._on_gpus else 0
            total = total.plus(Hours(gpus * taken.seconds / 3600, taken.cpu / 3600))
        return total

    def _begun(self) -> dict[str, Price]:
        """Say what trainings take that have been stopped at a rung: by the epochs that they have behind them."""
        found: dict[str, list[Price]] = {}
        for run in self._outlook.plan.runs:
            attempts, epochs = self._of_trainings[run.models], self._outlook.epochs_done(run)
            pixels = self._outlook.training_work(run).amount
            if not attempts or not epochs or not pixels:
                continue
            taken = Time(sum(one.seconds for one in attempts), sum(one.cpu for one in attempts))
            start = Time(*(min(usual, 0.8 * one / len(attempts)) for usual, one in zip(IMPORTS, taken, strict=True)))
            learning = taken.plus(start.times(-len(attempts)))
            price = Price(start, learning.times(1 / (epochs * pixels)))
            found.setdefault(self._outlook.kind_of_run(run, self._on_gpus), []).append(price)
        return {kind: middle(prices) for kind, prices in found.items()}

    def _kinds(self) -> dict[str, set[str]]:
        runs, gpus = self._outlook.plan.runs, self._on_gpus
        trainings = {self._outlook.kind_of_run(run, gpus) for run in runs}
        predictions = {self._outlook.kind_of_prediction(run, gpus) for run in runs}
        return {**dict.fromkeys(TRAININGS, trainings), "predict": predictions}

    def _mean(self, kinds: Iterable[str]) -> Price | None:
        """Stand for a kind of which nothing is known, such as of another network: the middle of the others."""
        known = [self._prices[kind] for kind in sorted(kinds) if kind in self._prices]
        return middle(known) if known else None


def _attempts(outlook: Outlook, run: Run) -> list[Attempt]:
    files = (file for rule in TRAININGS for file in files_of(outlook.logs, rule, run.models))
    return [attempt for file in files for attempt in attempts_in(file)]
