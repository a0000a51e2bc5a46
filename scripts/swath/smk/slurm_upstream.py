"""Patches of Snakemake's plugin for SLURM, written for 2.8.0; tests/unit/test_slurm_executor.py says when each can go.

The plugin's executor asks SLURM through functions of its module, which no method of a subclass reaches. All else that
it lacks is in :class:`swath.smk.executor.SlurmExecutor`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import snakemake_executor_plugin_slurm as plugin

from swath.patches import replace, takes

Correction = Callable[[str, dict[str, str] | None], dict[str, str]]
"""What takes the command that asked, and job → state or None where SLURM did not answer; it gives job → state."""


def correct_states(correct: Correction) -> None:
    """Have what SLURM says of the jobs' states corrected before the executor acts on it.

    The executor knows one word for each state, while accounting says ``CANCELLED by 1000``: it waits forever for such
    a job. So it does for one that was preempted, which it leaves to SLURM even where SLURM may not requeue it, and for
    one that SLURM has forgotten. When the controller does not answer five times it forgets its jobs.
    """
    query: Any = getattr(plugin, "query_job_status", None)
    if not takes(query, "command", "logger"):
        return

    async def query_job_status(command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await query(command, logger)
        return correct(command, states), seconds or 0.0

    replace(plugin, "query_job_status", query_job_status)


def ask_once_how_long_jobs_are_remembered() -> int | None:
    """Have the executor ask SLURM once how long it remembers a job after its end (MinJobAge).

    The executor asks before every look at the queue. When the controller does not answer in time it turns to
    accounting, which comes late and which it misreads where there are arrays.

    Returns:
        Seconds; None if SLURM does not say.
    """
    ask: Callable[[], int | None] | None = getattr(plugin, "get_min_job_age", None)
    if ask is None or not takes(ask):
        return None
    remembered = ask()

    def get_min_job_age() -> int | None:
        return remembered

    replace(plugin, "get_min_job_age", get_min_job_age)
    return remembered
