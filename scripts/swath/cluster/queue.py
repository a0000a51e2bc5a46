"""SLURM jobs of a run that was lost: found, cancelled, waited for.

A Snakemake that is killed leaves its jobs in the queue. Whoever holds the working directory's lock is the only one who
may work in it: all jobs that are there before it has submitted any are another's.
"""

from __future__ import annotations

import getpass
import re
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swath.cluster.slurm import ask
from swath.errors import Problem, UserError

PATIENCE = 120.0
"""Seconds that cancelled jobs get to be gone; training writes a checkpoint before it ends."""
LOOK = 1.0
"""Seconds between two looks at the queue."""


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
    """Cancel the jobs that an earlier run in this working directory has left in the queue; wait until they are gone.

    Raises:
        UserError: If SLURM does not answer, or jobs do not go.
    """
    lost = jobs_of_this_directory()
    if not lost:
        return
    names = "; ".join(f"{job.id} ({job.state.lower()}): {job.task}" for job in lost[:5])
    print(f"An earlier run has left {len(lost)} jobs in the queue, they are cancelled: {names}", file=sys.stderr)
    ids = [job.id for job in lost]
    ask("scancel", *ids)
    end = time.monotonic() + PATIENCE
    while remaining := _states(ids):
        if time.monotonic() > end:
            if set(remaining.values()) == {"COMPLETING"}:
                print("They take their time to end; they may not publish anything any more.", file=sys.stderr)
                return
            found = ", ".join(remaining)
            cure = "wait until they have left the queue (`squeue --me`), then type the same command again"
            raise UserError(Problem("SLURM", "jobs of an earlier run", f"{found} still there", "an empty queue", cure))
        time.sleep(LOOK)


def _states(ids: Sequence[str]) -> dict[str, str]:
    """Ask for the states of those jobs that are still in the queue."""
    lines = ask("squeue", "--noheader", "--jobs", ",".join(ids), "--format", "%A|%T", missing="").splitlines()
    return dict(line.split("|", 1) for line in lines)


def jobs_of_this_directory() -> list[QueuedJob]:
    """List this user's jobs that Snakemake has submitted from this working directory."""
    lines = ask("squeue", "--noheader", "--user", getpass.getuser(), "--format", "%A|%T|%k|%Z").splitlines()
    found = []
    for number, state, comment, folder in (line.split("|", 3) for line in lines if line.count("|") >= 3):
        if comment.startswith(("rule_", "group_")) and _works_here(number, folder):
            found.append(QueuedJob(number, state, comment))
    return found


def _works_here(number: str, folder: str) -> bool:
    """Tell whether a job works in this directory: the one it was submitted from, or its command's ``--directory``."""
    script = ask("scontrol", "write", "batch_script", number, "-", missing="")
    named = re.search(r"--directory[= ]('[^']*'|\S+)", script)
    place = Path(folder) / shlex.split(named.group(1))[0] if named else Path(folder)
    return place.resolve() == Path.cwd().resolve()
