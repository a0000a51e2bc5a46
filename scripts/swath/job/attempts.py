"""What every attempt of a job takes, written down while it takes it: nothing that was paid for is forgotten.

Snakemake's benchmark is of a job's last attempt, and only of one that came to its end. Beside a job's log lies
``<log>.attempts.jsonl``, which no rule declares and nothing depends on. Lines are added to it and none is changed:
one when an attempt begins, one now and then while it runs, one when it ends. Who is killed has said what it had taken
by then. :mod:`swath.job.spent` reads them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from swath.coordination.heartbeat import HEARTBEAT, Heartbeat
from swath.job import gpus
from swath.job.energy import joules_of

ENDING = ".attempts.jsonl"
SELDOMEST = 60.0
"""Seconds between two lines of an attempt, at most: so much of one that is killed is not known."""

_current: list[AttemptRecord] = []


def attempts_file(log: str | Path) -> Path:
    """Name the file of a job's attempts, beside its log."""
    return Path(log).with_suffix(ENDING)


def note_work(amount: float) -> None:
    """Say that the work of this job begins, and how much it is: what came before is the start of a process.

    Args:
        amount: In a unit of the rule's: see :mod:`swath.cost.work`.
    """
    for record in _current:
        record.note_work(amount)


class AttemptRecord:
    """The record of one attempt of a job.

    Args:
        path: The file of the job's attempts.
        rule: The job's rule.
        threads: Cores that the job has.
    """

    def __init__(self, path: Path, rule: str, threads: int):
        self.path = path
        self._name = uuid.uuid4().hex[:8]
        self._process = psutil.Process()
        self._started = self._process.create_time()
        self._clock = time.monotonic() - max(time.time() - self._started, 0.0)
        self._memory, self._joules = 0.0, Joules()
        self._with_gpus: float | None = None
        self._first = {"rule": rule, "threads": threads, "host": socket.gethostname(), "started": self._started}
        self._heartbeat = Heartbeat(self._beat)

    def begin(self) -> None:
        """Write down that the attempt has begun, and go on writing in a thread."""
        _current.append(self)
        slurm = os.environ.get("SLURM_JOB_ID")
        self._add(self._first | ({"slurm_job": slurm} if slurm else {}) | self._taken())
        gpus.when_taken.append(self._go_on)
        self._heartbeat.start()

    def note_work(self, amount: float) -> None:
        """Write down that the work begins; see :func:`note_work`."""
        taken = self._taken()
        self._add({**taken, "work": amount, "ready": taken["seconds"], "ready_cpu": taken["cpu"]})

    def end(self, outcome: str, made: Iterable[Path] = ()) -> None:
        """Write down how the attempt has ended.

        Args:
            outcome: done, failed, or continued: stopped in good order.
            made: What it has published.
        """
        self._heartbeat.stop()
        _current.remove(self)
        gpus.when_taken.remove(self._go_on)
        self._add({**self._taken(), "ended": outcome, "bytes": sum(map(_size, dict.fromkeys(made)))})

    def _beat(self) -> bool:
        seconds = time.monotonic() - self._clock
        self._heartbeat.seconds = min(max(HEARTBEAT, seconds / 20), SELDOMEST)
        self._go_on()
        return True

    def _go_on(self) -> None:
        """Write down what has been taken so far."""
        self._add(self._taken())

    def _taken(self) -> dict[str, Any]:
        """Say what has been taken so far, by this process and all below it."""
        cpu, memory = _used_by(self._process)
        self._memory = max(self._memory, memory)
        now = time.monotonic()
        if gpus.held and self._with_gpus is None:  # it may have waited for them
            self._with_gpus = now
        taken = {
            "seconds": round(now - self._clock, 2),
            "cpu": round(cpu, 2),
            "memory": round(self._memory / 2**20),
            "gpus": len(gpus.held),
            "gpu_seconds": round(len(gpus.held) * (now - (self._with_gpus or now)), 2),
        }
        joules = self._joules.so_far(gpus.held)
        return taken if joules is None else {**taken, "joules": round(joules, 1)}

    def _add(self, line: dict[str, Any]) -> None:
        """Add a line; the one before it may be torn, and a disk that is full is no reason for a job to fail."""
        text = json.dumps({"attempt": self._name, **line})
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, f"\n{text}\n".encode() if "rule" in line else f"{text}\n".encode())
            finally:
                os.close(descriptor)


class Joules:
    """What GPUs have used since this process got them."""

    def __init__(self) -> None:
        self._at_first: float | None = None

    def so_far(self, held: list[str]) -> float | None:
        """Return the joules; None where there is no counter.

        Args:
            held: The GPUs' names.
        """
        now = joules_of(held)
        if now is None:
            return None
        if self._at_first is None:
            self._at_first = now
        return now - self._at_first


def _used_by(process: psutil.Process) -> tuple[float, float]:
    """Return the CPU seconds and bytes of memory of this process and all below it, those that have ended included."""
    own = os.times()
    cpu = own.user + own.system + own.children_user + own.children_system
    memory = float(process.memory_info().rss)
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
            memory += child.memory_info().rss
    return cpu, max(memory, _most_memory())


def _most_memory() -> float:
    """Return the most memory that this process has had, in bytes: not what getrusage tells, which outlives an exec."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
            return 1024.0 * int(found[1])
    return 0.0


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all in a folder; nothing of what is gone."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return path.stat().st_size
    return 0
