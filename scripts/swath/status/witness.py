"""Who lives, as far as can be told at once: for words to a person, on which nothing depends.

What decides (:mod:`swath.coordination`) watches for signs of life, which takes a minute and a half. Here the age of the
last sign must do, of which the clocks of two machines may differ in their opinion; a job of SLURM's is asked for.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from swath.cluster.queue import QueuedJob, my_jobs
from swath.coordination import heartbeat
from swath.coordination.fencing import FencingToken
from swath.coordination.process_identity import Identity, is_dead, is_here, read_identity
from swath.coordination.run_registry import are_jobs_submitted, noted_runs


@dataclass(frozen=True)
class Sign:
    """Of somebody who works, or has worked.

    Attributes:
        process: Who.
        age: Seconds since the last sign of life.
        lives: Whether it lives, as far as can be told.
    """

    process: Identity
    age: float
    lives: bool


class Witness:
    """Tells who lives.

    Args:
        asks_slurm: Whether SLURM may be asked, which takes a moment.
        signs: When files were last written, as earlier witnesses have seen it: what has changed since is a sign of
            life, whatever clocks say.
    """

    def __init__(self, asks_slurm: bool = True, signs: dict[Path, float] | None = None):
        self.asks_slurm = asks_slurm
        self._signs = {} if signs is None else signs
        self._before = dict(self._signs)

    @cached_property
    def queue(self) -> dict[str, QueuedJob] | None:
        """This user's jobs in SLURM's queue, by number; None where SLURM does not answer, or is not asked."""
        jobs = my_jobs() if self.asks_slurm else None
        return None if jobs is None else {job.id: job for job in jobs}

    def sign(self, process: Identity, file: Path, beats: bool = True) -> Sign:
        """Judge a process by a file.

        Args:
            process: The process.
            file: What it has written.
            beats: Whether it writes that again and again as long as it lives.
        """
        return Sign(process, age_of(file), self._lives(process, file, beats))

    def _lives(self, process: Identity, file: Path, beats: bool) -> bool:
        if is_here(process):
            return not is_dead(process)
        if (job := process.get("slurm_job")) and self.queue is not None:
            return job in self.queue
        if not beats:
            return bool(self.runs)
        self._signs[file] = written = written_at(file)
        return time.time() - written < heartbeat.SILENCE or self._before.get(file, written) != written

    @cached_property
    def runs(self) -> list[Sign]:
        """List the runs of Snakemake that are at work here."""
        signs = [self.sign(process, file) for file, process in noted_runs().items()]
        return [sign for sign in signs if sign.lives]

    def worker(self, job: Sequence[str]) -> Sign | None:
        """Return who has begun a job last; None where nobody has, or it cannot be told."""
        token = FencingToken(job).path
        process = read_identity(token)
        return self.sign(process, token, beats=False) if process else None

    def queued(self, word: str) -> QueuedJob | None:
        """Find a job that waits in SLURM's queue by a word of its task, such as the key of its results."""
        if not are_jobs_submitted():  # SLURM need not be asked
            return None
        waiting = [job for job in (self.queue or {}).values() if job.state == "PENDING" and word in job.task]
        return waiting[0] if waiting else None


def is_made(job: Sequence[str]) -> bool:
    """Tell whether all that a job makes is there."""
    return all(Path(file).exists() for file in job)


def age_of(file: Path) -> float:
    """Return the seconds since a file was written; infinite for none."""
    return max(0.0, time.time() - written_at(file))


def written_at(file: Path) -> float:
    """Return when a file was written, in seconds since 1970; minus infinity for none.

    Opening it has a network file system ask its server.
    """
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return os.fstat(opened.fileno()).st_mtime
    return -math.inf
