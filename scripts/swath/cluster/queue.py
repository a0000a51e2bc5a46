"""SLURM jobs of a run that was lost: found, cancelled, waited for.

A Snakemake that is killed leaves its jobs in the queue. All jobs of a run have one name, which no other run's have;
the run notes it before it submits any. So the next run knows which jobs were a dead one's.
"""

from __future__ import annotations

import getpass
import shutil
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass

from swath.cluster.slurm import ask
from swath.coordination.run_registry import forget_names, names_of_dead_runs
from swath.errors import Problem, UserError

PATIENCE = 120.0
"""Seconds that cancelled jobs get to be gone; training writes a checkpoint before it ends."""
LOOK = 1.0
"""Seconds between two looks at the queue."""
LITTLE_PATIENCE = 10
"""Seconds that SLURM gets to answer somebody who only looks."""
SILENT = "silent"


@dataclass(frozen=True)
class QueuedJob:
    """A job in SLURM's queue.

    Attributes:
        id: SLURM's number.
        state: SLURM's word: PENDING, RUNNING, ...
        task: The rule and its wildcards, as the executor names them.
    """

    id: str
    state: str
    task: str


def cancel_lost_jobs() -> None:
    """Cancel the jobs that dead runs in this working directory have left in the queue; wait until they are gone.

    Raises:
        UserError: If SLURM does not answer, or jobs do not go.
    """
    names = names_of_dead_runs()
    if lost := jobs_called(names):
        told = "; ".join(f"{job.id} ({job.state.lower()}): {job.task}" for job in lost[:5])
        print(f"An earlier run has left {len(lost)} jobs in the queue, they are cancelled: {told}", file=sys.stderr)
        ask("scancel", *(job.id for job in lost), missing="")  # fails for jobs that have just ended
        _wait_until_gone(names)
    forget_names(names)


def jobs_called(names: Collection[str]) -> list[QueuedJob]:
    """List this user's jobs in the queue that have one of some names.

    Raises:
        UserError: If SLURM does not answer.
    """
    if not names:
        return []
    return [job for name, job in _jobs(ask(*_squeue())) if name in names]


def my_jobs() -> list[QueuedJob] | None:
    """List this user's jobs in the queue, for somebody who does not want to wait; None where SLURM does not answer."""
    if shutil.which("squeue") is None:
        return None
    told = ask(*_squeue(), missing=SILENT, patience=LITTLE_PATIENCE)
    return None if told == SILENT else [job for _, job in _jobs(told)]


def _squeue() -> tuple[str, ...]:
    return "squeue", "--noheader", "--user", getpass.getuser(), "--format", "%A|%T|%j|%k"


def _jobs(told: str) -> list[tuple[str, QueuedJob]]:
    """Read names and jobs from what squeue has printed."""
    lines = [line.split("|", 3) for line in told.splitlines() if line.count("|") >= 3]
    return [(name, QueuedJob(number, state, task)) for number, state, name, task in lines]


def _wait_until_gone(names: Collection[str]) -> None:
    end = time.monotonic() + PATIENCE
    while remaining := jobs_called(names):
        if time.monotonic() > end:
            if {job.state for job in remaining} == {"COMPLETING"}:
                print("They take their time to end; they are replaced all the same.", file=sys.stderr)
                return
            found = ", ".join(job.id for job in remaining)
            cure = "wait until they have left the queue (`squeue --me`), then type the same command again"
            raise UserError(
                Problem(
                    "jobs_in_queue", "SLURM", "jobs of an earlier run", f"{found} still there", "an empty queue", cure
                )
            )
        time.sleep(LOOK)
