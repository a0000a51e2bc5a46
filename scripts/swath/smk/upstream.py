"""What Snakemake's scheduler (9.27) lacks: it waits for a timer in the end, and keeps SIGTERM from scripts."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from collections.abc import Iterator
from typing import Any

import psutil
from snakemake.scheduling.job_scheduler import JobScheduler

_exit_gracefully = JobScheduler.exit_gracefully


def patch_scheduler(is_job: bool) -> None:
    """Spare this process of Snakemake a second at its end; have a job's pass SIGTERM on to its script.

    SLURM sends SIGTERM to the one process it has started itself: Snakemake's, which would only wait for the script
    until both are killed. Half of the second is that Python would look for garbage in all that is loaded.

    Args:
        is_job: Whether this process is a job of a run, not a run itself.
    """
    JobScheduler._schedule_reevalutation = _schedule_reevaluation
    if is_job:
        JobScheduler.exit_gracefully = _exit_with_scripts
    gc.freeze()


def scripts_below(process: psutil.Process) -> Iterator[psutil.Process]:
    """Find the first Python on every branch below a process: shells and containers between would die of a signal."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in process.children():
            if child.name().startswith("python"):
                yield child
            else:
                yield from scripts_below(child)


def _schedule_reevaluation(scheduler: JobScheduler, delay: int) -> None:
    timer = threading.Timer(delay, scheduler._open_jobs.release)
    timer.daemon = True
    timer.start()


def _exit_with_scripts(scheduler: JobScheduler, *arguments: Any) -> None:
    for script in scripts_below(psutil.Process()):
        with contextlib.suppress(psutil.NoSuchProcess):
            script.send_signal(signal.SIGTERM)
    _exit_gracefully(scheduler, *arguments)
