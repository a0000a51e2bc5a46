"""What Snakemake's executor for SLURM is told when a run starts.

The executor (2.8.0) does not know the experiment's name. It waits forever for a job that was preempted and may not be
requeued, and for one that accounting calls ``CANCELLED by 1000``; it forgets its jobs when the controller does not
answer five times; it looks ever more seldom, every three minutes in the end, which many short stages spend waiting.
It goes on asking for more memory until no node has as much, and sbatch refuses.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from swath.cluster.site import Nodes, most_memory, request_of

PLUGIN = "snakemake_executor_plugin_slurm"
LONGEST_NAME = 50
"""Characters of a job name's first part."""
STEP = 10
"""Seconds by which the executor puts off every further look."""
SLOWEST = 6
"""The longest time between two looks, in times of the first (``slurm-init-seconds-before-status-checks``)."""

Answer = tuple[dict[str, str] | None, float | None]
"""Job → state, and how long the answer took; nothing if there was none."""
Query = Callable[..., Awaitable[Answer]]


def prepare_executor(executor: Any, experiment: str, site: Sequence[Nodes]) -> None:
    """Name jobs after the experiment, and have every job that ended without success count as failed, soon.

    Args:
        executor: Snakemake's executor, before it has submitted anything.
        experiment: Name of the experiment.
        site: What the cluster has; no job asks for more memory.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", experiment)[:LONGEST_NAME]
    executor.run_uuid = f"{name}-{executor.run_uuid}"
    plugin = vars(sys.modules[PLUGIN])
    plugin["query_job_status"] = with_plain_states(executor, plugin["query_job_status"], plugin["get_min_job_age"]())
    plugin["get_submit_command"] = with_memory_that_is_there(plugin["get_submit_command"], site)


def with_memory_that_is_there(submit: Callable[..., str], site: Sequence[Nodes]) -> Callable[..., str]:
    """Wrap what writes a job's sbatch line: memory that grows with every attempt ends at the largest node's.

    Args:
        submit: The executor's own function.
        site: What the cluster has.
    """

    @functools.wraps(submit)
    def within_limits(job: Any, *arguments: Any, **options: Any) -> str:
        most = most_memory(request_of("", job.resources, job.threads), site)
        if most and (job.resources.get("mem_mb") or 0) > most:
            job.resources.mem_mb = most
        return submit(job, *arguments, **options)

    return within_limits


def with_plain_states(executor: Any, query: Query, remembered: float | None = None) -> Query:
    """Wrap a query for jobs' states: one word each, ``FAILED`` for what was preempted, and the next look in time.

    Args:
        executor: The executor.
        query: Its own query.
        remembered: Seconds that SLURM remembers a job after its end (MinJobAge), if it says so.
    """
    slowest = SLOWEST * executor.workflow.executor_settings.init_seconds_before_status_checks
    if remembered:  # a job that has ended must be seen before it is forgotten
        slowest = min(slowest, remembered / 3)

    @functools.wraps(query)
    async def plain(*arguments: Any, **options: Any) -> Answer:
        executor.next_seconds_between_status_checks = min(
            executor.next_seconds_between_status_checks, max(slowest - STEP, 0)
        )
        states, seconds = await query(*arguments, **options)
        if states is None:  # the controller did not answer; the executor would forget its jobs
            return {}, 0.0
        return {number: plain_state(state) for number, state in states.items()}, seconds

    return plain


def plain_state(state: str) -> str:
    """Give a state the executor acts on: a preempted job is submitted anew, as every failed one."""
    word = state.split()[0] if state.split() else state
    return "FAILED" if word == "PREEMPTED" else word
