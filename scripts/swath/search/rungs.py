"""Successive halving: the rungs of an experiment, and who goes on from one to the next.

A rung is a number of epochs. Every trial is trained up to the first; the best go on to the next, from their own last
checkpoint, and so forth: the last rung is `train.epochs`, and whoever gets there has been trained as if there were no
rungs. Decisions are files, ``rungs/<number>.csv``, and follow from the trainings' metrics alone (and, where a limit of
GPU hours asks for it, from what trainings took), so that they are the same whenever and wherever they are made. With a
search and repeats, ``rungs/final.csv`` says which trials of all its rounds are repeated. Promotion waits for the whole
rung: deciding one by one, as trainings come in, would use slots better, but who goes on would depend on the order in
which jobs happen to end.

Li, L. et al. (2018), Hyperband, JMLR 18(185); Jamieson, K. and Talwalkar, A. (2016), AISTATS 51.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from swath.config.experiment import Experiment
from swath.config.sweep import Halving
from swath.config.tasks import MONITORS, MONITORS_BY_CLASS
from swath.metrics.history import monitored
from swath.search.limits import nothing_within
from swath.search.room import Room, ended_before, read_limits, written

GOES_ON, STOPPED, OVER = "goes on", "stopped", "over budget"
BY_NAME = "equal to others, its name decided"
"""Reason of trials that have the score of one that was decided on otherwise."""
FINAL = "final"
"""The rung of a search at which the best of all rounds are chosen, to be repeated and compared."""
FIELDS = ("rank", "trial", "epochs", "score", "decision", "reason", "budget")


def rungs_of(halving: Halving | None, epochs: int) -> list[int]:
    """List the epochs after which it is decided who goes on; the last rung, ``epochs``, is not among them.

    Args:
        halving: The setting; without it there are no rungs.
        epochs: Of a training that is not stopped early.
    """
    rungs: list[int] = []
    budget = halving.first if halving else epochs
    while halving and budget * halving.factor <= epochs:
        rungs.append(budget)
        budget *= halving.factor
    return rungs


def number_promoted(trials: int, factor: int) -> int:
    """Return how many of a rung's trials go on: one in ``factor``, rounded up."""
    return math.ceil(trials / factor)


def epochs_spent(trials: int, halving: Halving, epochs: int) -> int:
    """Count the epochs that a search trains, its last rung once included."""
    spent, before = 0, 0
    for rung in (*rungs_of(halving, epochs), epochs):
        spent += trials * (rung - before)
        trials, before = number_promoted(trials, halving.factor), rung
    return spent


def metric_of_rungs(experiment: Experiment) -> str:
    """Return the metric that decides: the one that selects the winner, or else the one that training monitors.

    Only what is measured after every epoch can decide; for boxes, F1 is not.
    """
    metric, task = experiment.sweep.select.metric, experiment.task
    kind, _, name = metric.partition(".")
    known = kind in MONITORS_BY_CLASS[task] if name else metric in MONITORS[task]
    return metric if known else experiment.train.monitor


@dataclass(frozen=True)
class Standing:
    """How a trial stands at a rung.

    Attributes:
        trial: Its name.
        epochs: That it has been trained for.
        score: Best value of the metric in these epochs; NaN where there is none.
    """

    trial: str
    epochs: int
    score: float


def decide(
    histories: Mapping[str, Path],
    metric: str,
    factor: int,
    table: Path,
    room: Room | None = None,
    over: Mapping[str, str] | None = None,
) -> None:
    """Write who goes on from a rung, the best first, and why.

    Args:
        histories: Trial → CSV with a row per epoch, as ``metrics.csv``.
        metric: The metric that decides; of a loss, the smallest value is the best.
        factor: One in so many goes on.
        table: CSV to write: rank, trial, epochs, score, decision, reason; of those that would go on but for the budget,
            the budget.
        room: For how many the budget leaves room; without it, for all.
        over: Trial → the limits that its network is over; none of these goes on.

    Raises:
        UserError: If all trials are over the limits.
    """
    over = over or {}
    standings = sorted(standings_of(histories, metric), key=lambda standing: bool(over.get(standing.trial)))
    within = sum(not over.get(trial) for trial in histories)
    if histories and not within:
        raise nothing_within(f"none of {len(histories)} trials", list(over.values()))
    wanted = min(number_promoted(len(standings), factor), within)
    shared = _score_on_both_sides(standings[:wanted], [one for one in standings[wanted:] if not over.get(one.trial)])
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for rank, standing in enumerate(standings, 1):
            decision, reason, budget = *_decision(rank, standing, wanted, len(standings), metric), ""
            if said := over.get(standing.trial):
                decision, reason = STOPPED, f"over the limits: {said}"
            elif room and room.number < rank <= wanted:
                decision, reason, budget = OVER, room.reason, written(room.limits)
            elif standing.score == shared:
                reason += f"; {BY_NAME}"
            writer.writerow([rank, standing.trial, standing.epochs, repr(standing.score), decision, reason, budget])


def _score_on_both_sides(on: Sequence[Standing], out: Sequence[Standing]) -> float | None:
    """Return the score that the last who goes on has in common with the first who does not; None if they differ."""
    return on[-1].score if on and out and on[-1].score == out[0].score else None


def standings_of(histories: Mapping[str, Path], metric: str) -> list[Standing]:
    """Tell how trials stand at a rung, the best first.

    Args:
        histories, metric: As of :func:`decide`.
    """
    return ranked([_standing(trial, path, metric) for trial, path in histories.items()], metric)


def ranked(standings: Iterable[Standing], metric: str) -> list[Standing]:
    """Sort, the best first; equals by name, and whoever has no score last."""
    sign = 1.0 if metric.endswith("loss") else -1.0

    def place(standing: Standing) -> tuple[bool, float, str]:
        missing = math.isnan(standing.score)
        return missing, 0.0 if missing else sign * standing.score, standing.trial

    return sorted(standings, key=place)


def promoted(table: Path) -> list[str] | None:
    """Read who goes on from a rung, the best first; None where that is not known, or cannot be read."""
    rows = _rows(table)
    if rows is None:
        return None
    on = [row["trial"] for row in rows if row["decision"] == GOES_ON]
    return on if on or any(row["decision"] == OVER for row in rows) else None


def decisions_on(table: Path) -> dict[str, str]:
    """Read what was decided at a rung: trial → `goes on`, `stopped` or `over budget`; nothing where it is not known."""
    return {row["trial"]: row["decision"] for row in _rows(table) or []}


def cut_short(table: Path) -> Room | None:
    """Read whether the budget has kept trials from going on from a rung; None if it has not."""
    rows = _rows(table) or []
    over = [row for row in rows if row["decision"] == OVER]
    if not over:
        return None
    number = sum(row["decision"] == GOES_ON for row in rows)
    return Room(number, over[0]["reason"], read_limits(over[0]["budget"]))


def _rows(table: Path) -> list[dict[str, str]] | None:
    """Read a table; None where it is not there, or damaged."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    return None if not rows or any(set(row) != set(FIELDS) for row in rows) else rows


def who_went_on(tables: Sequence[Path]) -> list[str]:
    """Say how many trials there were at each rung, in a line per round of the search.

    Args:
        tables: What :func:`decide` wrote, a table per rung, in their order; ``<round>-<rung>.csv`` in a search.
    """
    lines = []
    for number, of_round in groupby(tables, key=_round):
        stations, last, by_name = [], 0, 0
        for table in of_round:
            rows = _rows(table) or []
            by_name += sum(row["reason"].endswith(BY_NAME) for row in rows)
            epochs = max((int(row["epochs"]) for row in rows), default=0)
            stations.append(f"{len(rows)} for {epochs} epoch{'s' * (epochs > 1)}")
            last = len(promoted(table) or ())
        which = {FINAL: "In the end", "": "Successive halving"}.get(number, f"Round {number}")
        lines.append(f"{which}: {', '.join(stations)}, {last} {'compared' if number == FINAL else 'to the end'}")
        if by_name:
            lines.append(f"    Names decided on {by_name} trials with equal scores: a longer first rung tells more")
    return [*lines, f"Who went on, and why: {tables[0].parent}/"] if lines else []


def _round(table: Path) -> str:
    return FINAL if table.stem == FINAL else table.stem.rpartition("-")[0]


def how_the_budget_ended_it(tables: Iterable[Path], rounds: Iterable[Path]) -> list[str]:
    """Say where the budget, or limits, have ended a search, in a line each; nothing if they have not.

    Args:
        tables: As of :func:`who_went_on`; those that are not there yet are passed over.
        rounds: ``search/round-<number>.json``, in their order.
    """
    cut = ((table.stem, cut_short(table)) for table in tables)
    lines = [
        f"The budget left room to repeat {room.number} of the best trials ({room.reason})"
        if rung == FINAL
        else f"The budget ended the search: {room.number or 'none'} of those that were to went on from rung {rung} "
        f"({room.reason})"
        for rung, room in cut
        if room
    ]
    ended = ((file.stem.rpartition("-")[2], ended_before(file)) for file in rounds)
    for number, room in ended:
        if room:
            by = "budget" if room.limits else "setting sweep.limits"
            lines.append(f"The {by} ended the search: round {number} was not begun ({room.reason})")
    return lines


def _standing(trial: str, history: Path, metric: str) -> Standing:
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Standing(trial, len(rows), best_so_far([float(row[monitored(metric)]) for row in rows], metric))


def best_so_far(values: Sequence[float], metric: str) -> float:
    """Return the best value of a metric in some epochs; NaN where it is defined in none of them."""
    known = [value for value in values if not math.isnan(value)]
    best = min if metric.endswith("loss") else max
    return best(known) if known else math.nan


def _decision(rank: int, standing: Standing, wanted: int, trials: int, metric: str) -> tuple[str, str]:
    """Say whether a trial goes on, and why. One without a score goes on only where there are not enough others."""
    if rank <= wanted:
        return GOES_ON, f"among the best {wanted} of {trials} by {metric}"
    if math.isnan(standing.score):
        return STOPPED, f"no {metric} in {standing.epochs} epochs"
    return STOPPED, f"not among the best {wanted} of {trials} by {metric}"
