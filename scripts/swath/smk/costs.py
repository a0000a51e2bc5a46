"""Costs of a run: its jobs as Snakemake has planned them, the estimate, the budget, and the table afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swath.checks.context import CheckRequest
from swath.config.budget import Budget
from swath.config.load import where
from swath.config.records import to_json
from swath.config.train import available_cores
from swath.cost.outlook import Outlook
from swath.cost.prices import TRAININGS
from swath.cost.schedule import Place, PlannedJob
from swath.errors import Problem, UserError
from swath.job.gpus import visible_gpus
from swath.job.spent import Spent, attempts_in, files_below, spent
from swath.search.room import LIMITS
from swath.smk.command_line import executor_named
from swath.smk.fork_server import forks_scripts
from swath.smk.run import runs_in_container

if TYPE_CHECKING:
    from pydantic import JsonValue

    from swath.cost.estimate import Estimate
    from swath.cost.limit import Job

PROBES = "SWATH_ESTIMATE"
"""Set for the dry run that `snakemake estimate` is: what is not known is tried out, and everything is told."""
DRY = ("dryrun", "touch")
NO_WORK = {"all", "estimate"}


@dataclass(frozen=True)
class Costs:
    """What has to be known of an experiment to say what it takes.

    Attributes:
        outlook: The experiment.
        keys: Tells run → rule → the keys of its results, of the runs that are known by now.
        folders: Folders of the logs of jobs that are for all runs together.
        budget: What it may take.
        configs: Config files.
        table: The file `cost.csv`.
        threads: Tells the cores of a training, by its wildcards.
        is_begun: Tells whether a search has decided anything yet.
    """

    outlook: Outlook
    keys: Callable[[], Mapping[str, Mapping[str, Sequence[str]]]]
    folders: Sequence[Path]
    budget: Budget
    configs: Sequence[str | Path]
    table: Path
    threads: Callable[[Any], int]
    is_begun: Callable[[], bool] = bool

    def spent(self) -> Spent:
        """Add up what the experiment has taken so far: the total of `cost.csv`."""
        keys: dict[str, list[str]] = {}
        for of_run in self.keys().values():
            for rule, held in of_run.items():
                keys.setdefault(rule, []).extend(held)
        total = spent(self.outlook.logs, keys)
        for file in (file for folder in self.folders for file in files_below(folder)):
            total.add_job(attempts_in(file))
        return total

    def write(self) -> None:
        """Write what every run has taken so far; a folder that cannot be written to is no reason to fail."""
        from swath.cost.table import (  # not while parsing, nor those below: jobs need none of them
            cost_rows,
            write_costs,
        )

        rows = cost_rows(self.outlook.logs, self.keys(), self.folders, self.budget.co2_g_per_kwh)
        if rows:
            try:
                write_costs(rows, self.table)
            except OSError as error:
                print(f"{self.table}: not written ({error.strerror}).", file=sys.stderr)


def told_in_dry_run(workflow: Any, costs: Costs | None) -> str:
    """Say what the planned jobs will take: in a line, or everything, where `snakemake estimate` asks."""
    if costs is None:
        return ""
    from swath.cost.words import short, table_of

    found = expected(workflow, costs, probes=is_estimate())
    return table_of(found) if is_estimate() else short(found)


def is_estimate() -> bool:
    """Tell whether this is the dry run that `snakemake estimate` is."""
    return os.environ.get(PROBES) == "1"


def expected(workflow: Any, costs: Costs, probes: bool) -> Estimate:
    """Estimate what the planned jobs will take."""
    return expected_at_most(workflow, costs, probes)[0]


def expected_at_most(workflow: Any, costs: Costs, probes: bool) -> tuple[Estimate, Estimate]:
    """Estimate what the planned jobs will take with all that a search can bring, and with the least."""
    from swath.cost.estimate import estimates

    return estimates(planned_jobs(workflow, costs), costs.outlook, place_of(workflow), probes)


def planned_jobs(workflow: Any, costs: Costs) -> list[PlannedJob]:
    """List the jobs that Snakemake is about to run, without those that do nothing."""
    jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name not in NO_WORK]
    numbers = {job: number for number, job in enumerate(jobs)}
    threads: dict[str, int] = {}
    planned = []
    for job, number in numbers.items():
        rule = job.rule.name
        if rule not in (*TRAININGS, *threads):
            threads[rule] = job.threads  # which asks for all resources: once will do
        planned.append(
            PlannedJob(
                number,
                rule,
                dict(job.wildcards_dict),
                costs.threads(job.wildcards) if rule in TRAININGS else threads[rule],
                _gpus(costs, rule, job.wildcards_dict),
                job.is_local,
                [numbers[other] for other in workflow.dag.dependencies[job] if other in numbers],
            )
        )
    return planned


def _gpus(costs: Costs, rule: str, wildcards: Mapping[str, str]) -> int:
    return 1 if rule == "apply_part" else costs.outlook.gpus(rule, wildcards)


def place_of(workflow: Any) -> Place:
    """Say where jobs run: on this machine, or on a cluster, so many at once as the profile says."""
    executor, slots = _executor(workflow), workflow.resource_settings.nodes
    if executor != "local":
        return Place(f"with {slots} jobs at once on {executor}", available_cores(), slots=slots, has_gpus=True)
    cores, gpus = available_cores(), len(visible_gpus())
    at_once = workflow.global_resources.get("gpu") if gpus else None
    words = f"on the {cores} cores of this machine" if cores > 1 else "on the one core of this machine"
    at_once = at_once if isinstance(at_once, int) else (gpus or None)
    return Place(words, cores, gpus=at_once, has_gpus=gpus > 0, forks=forks_here(workflow))


def forks_here(workflow: Any) -> bool:
    """Tell whether jobs are forked from a process that has imported the libraries."""
    return forks_scripts(_executor(workflow)) and not runs_in_container(workflow)


def _executor(workflow: Any) -> str:
    """Name what runs jobs; in a dry run, what would."""
    name = str(workflow.executor_plugin.name)
    return executor_named(sys.argv[1:]) if name in DRY else name


def room_left(
    costs: Costs, forks: bool, certain: Sequence[Job], jobs_of: Callable[[int], Sequence[Job]], most: int
) -> dict[str, JsonValue] | None:
    """Say for how many trials the budget leaves room, as JSON values of a :class:`swath.search.room.Room`.

    Args:
        costs: What has to be known of the experiment.
        forks: Whether jobs are forked.
        certain, jobs_of, most: As of :func:`swath.cost.limit.room_for`.

    Returns:
        None without a budget.
    """
    if costs.budget.gpu_hours is None and costs.budget.cpu_hours is None:
        return None
    from swath.cost.limit import Prices, room_for  # not while parsing

    return to_json(room_for(costs.budget, costs.spent(), Prices(costs.outlook, forks), certain, jobs_of, most))


def check_budget(workflow: Any, costs: Costs) -> None:
    """Refuse a run that is expected to take more than the experiment may; what is not known is tried out.

    A search is refused if even the least takes more; otherwise it may end before its last trial. What it has decided
    was decided by the budget, and is brought to an end.

    Raises:
        UserError: If it is.
    """
    limits = {name: limit for name in LIMITS if (limit := getattr(costs.budget, name)) is not None}
    if not limits:
        return
    found, least = expected_at_most(workflow, costs, probes=True)
    before = costs.spent()
    problems = []
    for name, limit in limits.items():
        if found.unknown or (name == "gpu_hours" and found.gpu_unknown):
            reason = "; ".join(found.notes) or f"nothing is known of {', '.join(found.unknown)}"
            print(f"Not compared with budget.{name}: {reason}.", file=sys.stderr)
            continue
        spent_before, to_come, at_least = (getattr(one, name) for one in (before, found, least))
        words = f"{spent_before:.3g} spent, about {at_least:.3g} to come"
        if at_least > 0 and spent_before + at_least > limit and costs.is_begun():
            print(
                f"What the search has begun takes more than budget.{name} allows ({limit:g}): {words}. It is brought "
                "to an end; no round and no trial is added.",
                file=sys.stderr,
            )
        elif at_least > 0 and spent_before + at_least > limit:
            what = f"{spent_before + at_least:.3g} {LIMITS[name]}: {words}"
            problems.append(
                Problem(
                    "over_budget",
                    where(costs.configs, ("budget", name)),
                    f"budget.{name}",
                    what if at_least == to_come else f"{what} for the least that a search can be",
                    f"at most {limit:g}",
                    "try fewer trials, repeats or epochs, or raise it; `snakemake estimate` says what takes how long",
                )
            )
        elif spent_before + to_come > limit:
            print(
                f"The search is expected to end before its last trial: with all of them it would take "
                f"{spent_before + to_come:.3g} {LIMITS[name]}, and budget.{name} is {limit:g}.",
                file=sys.stderr,
            )
    if problems:
        raise UserError(problems)


def estimate_or_exit(request: Callable[[], CheckRequest] | None) -> None:
    """Plan everything without doing it, and say what it will take: a dry run of its own.

    Args:
        request: Tells what the preflight reads; how large images are is part of it.
    """
    if request and find_spec("rasterio"):
        from swath.checks.preflight import look_at  # not while parsing: it takes its time

        look_at(request())
    arguments = [word for word in sys.argv[1:] if word != "estimate"]
    command = [sys.executable, "-P", "-m", "snakemake", *arguments, "--dry-run", "--cores", "all"]
    done = subprocess.run(command, check=False, env={**os.environ, PROBES: "1"})
    if done.returncode:
        sys.exit(done.returncode)
