"""What Snakemake's executor for SLURM is told when a run starts.

The executor (2.8.0) knows neither the experiment's name nor two of SLURM's answers: it waits forever for a job that was
preempted and may not be requeued, and for one that accounting calls ``CANCELLED by 1000``.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

PLUGIN = "snakemake_executor_plugin_slurm"
LONGEST = 50
"""Characters of a job name's first part."""

Answer = tuple[dict[str, str] | None, float | None]
Query = Callable[..., Awaitable[Answer]]


def prepare_executor(executor: Any, experiment: str) -> None:
    """Name jobs after the experiment, and have every job that ended without success count as failed.

    Args:
        executor: Snakemake's executor, before it has submitted anything.
        experiment: Name of the experiment.
    """
    plugin = sys.modules[PLUGIN]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", experiment)[:LONGEST]
    executor.run_uuid = f"{name}-{executor.run_uuid}"
    vars(plugin)["query_job_status"] = with_plain_states(vars(plugin)["query_job_status"])


def with_plain_states(query: Query) -> Query:
    """Wrap a query for jobs' states: one word each, and ``FAILED`` for what was preempted."""

    @functools.wraps(query)
    async def plain(*arguments: Any, **options: Any) -> Answer:
        states, seconds = await query(*arguments, **options)
        return states and {number: plain_state(state) for number, state in states.items()}, seconds

    return plain


def plain_state(state: str) -> str:
    """Give a state the executor acts on: a preempted job is submitted anew, as every failed one."""
    word = state.split()[0] if state.split() else state
    return "FAILED" if word == "PREEMPTED" else word
