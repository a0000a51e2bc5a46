"""What is watched of an experiment, as its plan says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Job = Sequence[str]
"""A job, by the files that it makes."""


@dataclass(frozen=True)
class WatchedRun:
    """What is watched of a run.

    Attributes:
        name: Its readable name.
        model: The model's folder; its checkpoints lie in there.
        log: What its training has to say.
        training: The training.
        later: Words for what becomes of the model → its jobs.
        epochs: Of the training; None where only the training itself knows.
        monitor: The metric that says which epoch is the best; None where only the training itself knows.
        left_out: File with the metrics of a training that a search has stopped early; empty of others.
    """

    name: str
    model: str
    log: str
    training: Job
    later: Mapping[str, Sequence[Job]]
    epochs: int | None = None
    monitor: str | None = None
    left_out: str = ""


@dataclass(frozen=True)
class Watched:
    """What is watched of an experiment, or of a map.

    Attributes:
        name: What it is called.
        runs: Its runs, in their order.
        stages: A word for a stage → its jobs, in the order of the work.
        remark: What there is to say of what is not watched.
    """

    name: str
    runs: Sequence[WatchedRun] = ()
    stages: Mapping[str, Sequence[Job]] = field(default_factory=dict)
    remark: str = ""
