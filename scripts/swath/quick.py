"""Snakemake's processes end as soon as they are done; on a cluster each job has two."""

import gc
import threading

from snakemake.scheduling.job_scheduler import JobScheduler


def end_without_waiting() -> None:
    """Spare this process of Snakemake a second at its end, and half a one of looking for garbage in what is loaded.

    Snakemake (9.27) would wait for the timer that has it look for more jobs.
    """
    JobScheduler._schedule_reevalutation = _schedule_reevaluation
    gc.freeze()


def _schedule_reevaluation(scheduler: JobScheduler, delay: int) -> None:
    timer = threading.Timer(delay, scheduler._open_jobs.release)
    timer.daemon = True
    timer.start()
