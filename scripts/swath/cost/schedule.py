"""How long jobs take together on so many cores, or with so many of them at once on a cluster."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_PASSED_OVER = 16
"""Jobs for which there is no room that are looked at before some job has to end."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that is to run.

    Attributes:
        number: Its own.
        rule: Its rule.
        wildcards: What its rule's wildcards are.
        threads: Cores that it has.
        gpus: GPUs that it asks for.
        is_local: Whether it runs where Snakemake does, also with a cluster.
        after: Numbers of the jobs that have to be done before.
    """

    number: int
    rule: str
    wildcards: Mapping[str, str]
    threads: int = 1
    gpus: int = 0
    is_local: bool = False
    after: Sequence[int] = ()


@dataclass(frozen=True)
class Place:
    """Where jobs run.

    Attributes:
        words: What it is called.
        cores: Cores of this machine.
        gpus: How many GPUs can be used at once; None where nobody counts.
        slots: Jobs that a cluster runs at once; None without one.
        has_gpus: Whether jobs that ask for a GPU get one.
        forks: Whether jobs are forked from a process that has imported the libraries.
    """

    words: str
    cores: int
    gpus: int | None = None
    slots: int | None = None
    has_gpus: bool = False
    forks: bool = False


def elapsed(jobs: Sequence[PlannedJob], seconds: Mapping[int, float], place: Place) -> float:
    """Return the seconds until the last job is done, where whatever is ready begins as soon as there is room.

    Args:
        jobs: The jobs.
        seconds: Number of a job → how long it takes.
        place: Where they run.
    """
    waiting = {job.number: sum(number in seconds for number in job.after) for job in jobs}
    then: dict[int, list[PlannedJob]] = {}
    for job in jobs:
        for number in job.after:
            then.setdefault(number, []).append(job)
    room = {"core": float(place.cores), "slot": float(place.slots or math.inf)}
    room["gpu"] = math.inf if place.gpus is None else float(place.gpus)
    ready = [(-seconds[job.number], job.number, job) for job in jobs if not waiting[job.number]]
    heapq.heapify(ready)  # the longest is taken first
    running: list[tuple[float, int, PlannedJob]] = []
    now = 0.0
    while ready or running:
        later: list[tuple[float, int, PlannedJob]] = []
        while ready and len(later) < MOST_PASSED_OVER:
            entry = heapq.heappop(ready)
            needed = _needed(entry[2], place)
            if all(room[name] >= number for name, number in needed.items()):
                _take(room, needed, -1)
                heapq.heappush(running, (now + seconds[entry[1]], entry[1], entry[2]))
            else:
                later.append(entry)
        for entry in later:
            heapq.heappush(ready, entry)
        now, _, done = heapq.heappop(running)
        _take(room, _needed(done, place), 1)
        for job in then.get(done.number, ()):
            waiting[job.number] -= 1
            if not waiting[job.number]:
                heapq.heappush(ready, (-seconds[job.number], job.number, job))
    return now


def _needed(job: PlannedJob, place: Place) -> dict[str, float]:
    """Say what a job holds while it runs, and never more than there is."""
    if place.slots is not None and not job.is_local:
        return {"slot": 1}
    gpus = job.gpus if place.gpus is None else min(job.gpus, place.gpus)
    return {"core": min(job.threads, place.cores), "gpu": gpus}


def _take(room: dict[str, float], needed: Mapping[str, float], sign: int) -> None:
    for name, number in needed.items():
        room[name] += sign * number
