"""What jobs have taken so far, of what their attempts have written down: finished, failed, cancelled and killed ones.

Standard library only: read by the run itself, by jobs, and by whoever ends a search in time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swath.job.attempts import ENDING

KeysByRule = Mapping[str, Iterable[str]]
"""Rule → keys of its results, each of which can stand there more than once."""


@dataclass(frozen=True)
class Attempt:
    """One attempt of a job.

    Attributes:
        rule: The job's rule.
        host: The machine.
        started: Seconds since 1970.
        threads: Cores that the job had.
        seconds: From the start of its process to its end, or to the last line of one that was killed.
        cpu: CPU seconds, of all processes below it, too.
        gpus: GPUs that it held.
        gpu_seconds: How long it held them, times how many they are.
        memory: Most memory, MB.
        joules: Energy of its GPUs; None where there is no counter.
        ended: done, failed or continued; "" of one that was killed, or runs.
        work: How much work it was, in a unit of the rule's; None where that is not said.
        ready, ready_cpu: Seconds and CPU seconds until the work began.
        bytes: Size of what it has published.
    """

    rule: str
    host: str
    started: float
    threads: int
    seconds: float = 0.0
    cpu: float = 0.0
    gpus: int = 0
    gpu_seconds: float = 0.0
    memory: float = 0.0
    joules: float | None = None
    ended: str = ""
    work: float | None = None
    ready: float = 0.0
    ready_cpu: float = 0.0
    bytes: int = 0


@dataclass
class Spent:
    """What some jobs have taken together.

    Attributes:
        jobs: Jobs of which there is a record.
        attempts: How often they were begun.
        seconds: Added up.
        cpu_hours, gpu_hours: GPU hours are hours × GPUs.
        memory: The most that one attempt had, MB.
        joules: Energy of GPUs; None where it is not known of all attempts that had one.
        bytes: Size of what the last attempts have published.
    """

    jobs: int = 0
    attempts: int = 0
    seconds: float = 0.0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0
    memory: float = 0.0
    joules: float | None = field(default=None)
    bytes: int = 0
    _unknown: bool = False

    def add_job(self, attempts: Iterable[Attempt]) -> None:
        """Add all attempts of a job."""
        made = 0
        self.jobs += 1
        for attempt in attempts:
            self.attempts += 1
            self.seconds += attempt.seconds
            self.cpu_hours += attempt.cpu / 3600
            self.gpu_hours += attempt.gpu_seconds / 3600
            self.memory = max(self.memory, attempt.memory)
            self._unknown |= bool(attempt.gpus) and attempt.joules is None
            self.joules = None if self._unknown else _sum(self.joules, attempt.joules)
            made = attempt.bytes or made
        self.bytes += made


def spent(logs: str | Path, keys: KeysByRule) -> Spent:
    """Add up what some results have taken so far, whoever made them.

    Args:
        logs: The folder of logs.
        keys: The results.
    """
    total = Spent()
    for rule, of_rule in keys.items():
        for key in dict.fromkeys(of_rule):
            for file in files_of(logs, rule, key):
                total.add_job(attempts_in(file))
    return total


def files_of(logs: str | Path, rule: str, key: str) -> list[Path]:
    """Find the records of the jobs that make the results of a key: one, one per split, or one per shard."""
    folder = Path(logs) / rule
    whole = folder / f"{key}{ENDING}"
    if whole.is_file():
        return [whole]
    return sorted([*folder.glob(f"{key}/*{ENDING}"), *folder.glob(f"{key}-*{ENDING}")])


def files_below(folder: str | Path) -> list[Path]:
    """Find the records of all jobs whose logs lie in a folder."""
    return sorted(Path(folder).glob(f"*{ENDING}"))


def attempts_in(file: Path) -> list[Attempt]:
    """Read a job's attempts, in their order; torn lines are passed over."""
    found: dict[str, dict[str, Any]] = {}
    for line in _lines(file):
        known = found.setdefault(line.pop("attempt"), {})
        known.update(line)
    attempts = []
    for values in found.values():
        if {"rule", "host", "started", "threads"} <= set(values):  # of others the beginning is torn
            given = {name: value for name, value in values.items() if name in Attempt.__dataclass_fields__}
            attempts.append(Attempt(**given))
    return attempts


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            content = json.loads(line) if line else None
        except ValueError:
            continue
        if isinstance(content, dict) and isinstance(content.get("attempt"), str):
            yield content


def _sum(known: float | None, more: float | None) -> float | None:
    return known if more is None else (known or 0.0) + more
