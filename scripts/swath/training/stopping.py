"""When training has to stop although it is not done: signals, and a time limit that comes near."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

from swath.coordination.lease import Lease

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
LEAST_MARGIN = 60.0  # seconds


def deadline(minutes: float | None) -> float | None:
    """Return when this process will be killed, in seconds since 1970: as SLURM says, else by the start of its job.

    Args:
        minutes: The job's time limit, or None where there is none.
    """
    if minutes is None:
        return None
    known = os.environ.get("SLURM_JOB_END_TIME")
    return float(known) if known else _start_of_job() + 60 * minutes


def _start_of_job() -> float:
    """Return when this process's job has started, but for some seconds: the oldest process below SLURM's own.

    It is that of the job's step; where there is none, this process is the job.
    """
    line = [psutil.Process(), *psutil.Process().parents()]
    ends = [index for index, process in enumerate(line) if process.name() == "slurmstepd"]
    return float(line[max(ends[0] - 1, 0)].create_time() if ends else line[0].create_time())


class StopRequest:
    """Whether and why training is asked to stop.

    Args:
        limit: Seconds since 1970 at which this process will be killed, if it was told.
        ownership: The right to write what training makes; None in processes that only help to compute.
    """

    def __init__(self, limit: float | None = None, ownership: Lease | None = None):
        self.signal: str | None = None
        self._limit, self._ownership = limit, ownership

    def reason(self, needed: float = 0.0) -> str | None:
        """Say why to stop now, or None to go on.

        Args:
            needed: Seconds that pass before the next chance to stop, with the writing of a checkpoint.
        """
        if self._ownership and self._ownership.lost:
            return "another job"
        if self.signal:
            return self.signal
        if self._limit is not None and time.time() > self._limit - max(LEAST_MARGIN, 2 * needed):
            return "time limit"
        return None

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Take signals as requests; a second Ctrl-C ends the process at once."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.signal = signal.Signals(number).name
