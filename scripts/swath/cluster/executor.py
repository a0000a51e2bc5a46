"""What Snakemake's executor for SLURM is told when a run starts.

The executor (2.8.0) does not know the experiment's name. It waits forever for a job that was preempted and may not be
requeued, and for one that accounting calls ``CANCELLED by 1000``. It looks ever more seldom, every three minutes in the
end, which a run of many short stages spends waiting.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

PLUGIN = "snakemake_executor_plugin_slurm"
LONGEST_NAME = 50
"""Characters of a job name's first part."""
STEP = 10
"""Seconds by which the executor puts off every further look."""
SLOWEST = 6
"""The longest time between two looks, in times of the first (``slurm-init-seconds-before-status-checks``)."""

Answer = tuple[dict[str, str] | None, float | None]
Query = Callable[..., Awaitable[Answer]]


def prepare_executor(executor: Any, experiment: str) -> None:
    """Name jobs after the experiment, and have every job that ended without success count as failed, soon.

    Args:
        executor: Snakemake's executor, before it has submitted anything.
        experiment: Name of the experiment.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", experiment)[:LONGEST_NAME]
    executor.run_uuid = f"{name}-{executor.run_uuid}"
    plugin = vars(sys.modules[PLUGIN])
    plugin["query_job_status"] = with_plain_states(executor, plugin["query_job_status"])


def with_plain_states(executor: Any, query: Query) -> Query:
    """Wrap a query for jobs' states: one word each, ``FAILED`` for what was preempted, and the next look in time."""
    slowest = SLOWEST * executor.workflow.executor_settings.init_seconds_before_status_checks

    @functools.wraps(query)
    async def plain(*arguments: Any, **options: Any) -> Answer:
        executor.next_seconds_between_status_checks = min(
            executor.next_seconds_between_status_checks, max(slowest - STEP, 0)
        )
        states, seconds = await query(*arguments, **options)
        return states and {number: plain_state(state) for number, state in states.items()}, seconds

    return plain


def plain_state(state: str) -> str:
    """Give a state the executor acts on: a preempted job is submitted anew, as every failed one."""
    word = state.split()[0] if state.split() else state
    return "FAILED" if word == "PREEMPTED" else word
