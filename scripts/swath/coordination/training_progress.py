"""How far a training is, for those who watch from elsewhere: a small file beside its checkpoints.

The training writes it at its start, after every epoch and, within long ones, a few times a minute. Whether the training
still lives is no business of this file: the lease beside it says so (:mod:`swath.coordination.lease`).
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from swath.coordination.process_identity import Identity
from swath.files import read_state, temporary_name

FILE = "progress.json"
EVERY = 15.0
"""Seconds between two of a training's reports within an epoch."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is.

    Attributes:
        epochs: Of the whole training.
        finished: Epochs that are done.
        step, steps: Steps done in the epoch after them, and how many it has.
        monitor: The metric that says which epoch is the best.
        best, best_epoch: The best score so far, and its epoch, from 1; None before the first.
        seconds_per_epoch: How long an epoch takes, as measured; None before that is known.
        seconds_left: How long the rest takes; None before that is known.
        hardware: What it runs on, in words.
        ended: Why it has stopped, in words; empty while it goes on.
        process: Which process writes this.
    """

    epochs: int
    finished: int
    step: int
    steps: int
    monitor: str
    best: float | None
    best_epoch: int | None
    seconds_per_epoch: float | None
    seconds_left: float | None
    hardware: str
    ended: str
    process: Identity


def write_progress(folder: Path, progress: TrainingProgress) -> None:
    """Publish how far a training is, in the folder of its checkpoints; it is no result, and in no record of any."""
    values = asdict(progress)
    if progress.best is not None and math.isnan(progress.best):
        values["best"] = None
    replace_unrecorded(folder / FILE, json.dumps(values, indent=2))


def read_progress(folder: Path) -> TrainingProgress | None:
    """Read how far a training is; None where that is not known."""
    names = [field.name for field in fields(TrainingProgress)]
    types = {"epochs": int, "finished": int, "step": int, "steps": int, "monitor": str, "process": dict, "ended": str}
    content = read_state(folder / FILE, *names, **types)
    return TrainingProgress(**{name: content[name] for name in names}) if content else None


def replace_unrecorded(path: Path, text: str) -> None:
    """Put a text in a file's place, whole, but neither flushed to the disk nor recorded: it may get lost."""
    temporary = temporary_name(path)
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
