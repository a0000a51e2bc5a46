"""How far the runs of an experiment are: each by what its training has left, and by what is made of its model."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swath.coordination import job_messages
from swath.coordination.lease import claim_of
from swath.coordination.process_identity import Identity
from swath.coordination.training_progress import FILE, TrainingProgress, read_progress
from swath.metrics.history import Rows, best_epoch, monitored
from swath.status.watched import WatchedRun
from swath.status.witness import Sign, Witness, age_of, is_made

DONE, TRAINED, WAITING, STOPPED = "done", "trained", "waiting", "stopped"
TRAINING, STARTING, QUEUED, FAILED = "training", "starting", "queued", "failed"
LEFT_OUT = "stopped early"
"""By a decision of the search."""
LAST = re.compile(r"last-(\d+)-(\d+)\.ckpt")
"""The name of a checkpoint: finished epochs, and steps of the next."""


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        run: The run.
        state: A word for it, one of the above or what is done with its model.
        epoch: Finished epochs; None where none is known.
        epochs: Of the whole training; None where only the training itself knows.
        share: How much of the epoch after them is done, 0..1.
        monitor: The metric that says which epoch is the best.
        best, best_epoch: The best score so far, and its epoch.
        seconds_per_epoch: As measured.
        seconds_left: Until its training is done, if it is not stopped before its last epoch.
        worker: Who works on it.
        hardware: What it is trained on, in words.
        remark: Why it has failed or stopped.
    """

    run: WatchedRun
    state: str
    epoch: int | None = None
    epochs: int | None = None
    share: float = 0.0
    monitor: str = ""
    best: float | None = None
    best_epoch: int | None = None
    seconds_per_epoch: float | None = None
    seconds_left: float | None = None
    worker: Identity | None = None
    hardware: str = ""
    remark: str = ""


def states_of(runs: Sequence[WatchedRun], witness: Witness) -> list[RunState]:
    """Tell how far runs are."""
    return [state_of(run, witness) for run in runs]


def state_of(run: WatchedRun, witness: Witness) -> RunState:
    """Tell how far a run is."""
    if run.left_out:
        return _scored(RunState(run, LEFT_OUT, epochs=run.epochs), read_rows(Path(run.left_out)))
    attempt = _last_attempt(Path(run.model), witness)
    if is_made(run.training) and not (attempt and attempt.sign and attempt.sign.lives):
        return _after_training(run, witness)
    known = _of_progress(run, attempt.progress if attempt else None)
    if attempt and attempt.sign and attempt.sign.lives:
        if attempt.is_described:
            return replace(known, state=TRAINING, worker=attempt.sign.process)
        return replace(known, state=STARTING, worker=attempt.sign.process, seconds_left=None)
    worker = witness.worker(run.training)
    message = _message(run, worker)
    if worker and worker.lives and not message and not is_made(run.training):
        return replace(known, state=STARTING, worker=worker.process, seconds_left=None)
    if attempt:
        known = replace(known, epoch=attempt.position[0], share=0.0, seconds_left=None)
    if queued := witness.queued(Path(run.model).name):
        return replace(known, state=QUEUED, remark=f"SLURM job {queued.id} waits in the queue")
    return _given_up(known, attempt, message)


# --- the training ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Attempt:
    """The last attempt at a training, by its checkpoints' folder.

    Attributes:
        sign: Of whoever holds the folder, or has held it last; None where nobody has.
        progress: How far it was.
        position: Finished epochs and steps of the next, as the newest checkpoint has them.
        age: Seconds since the folder has changed.
    """

    sign: Sign | None
    progress: TrainingProgress | None
    position: tuple[int, int]
    age: float

    @property
    def is_described(self) -> bool:
        """Whether what is known of the progress is of whoever holds the folder now."""
        return bool(self.progress and self.sign and _same(self.progress.process, self.sign.process))


def _last_attempt(model: Path, witness: Witness) -> _Attempt | None:
    """Find the last attempt: with other chips or weights, a training has another folder of checkpoints."""
    attempts = []
    for folder in model.glob("checkpoints/*"):
        with contextlib.suppress(OSError):  # they are being removed at this moment
            attempts.append(_attempt(folder, witness))
    return min(attempts, key=lambda attempt: attempt.age, default=None)


def _attempt(folder: Path, witness: Witness) -> _Attempt:
    found = claim_of(folder)
    sign = None
    if found:
        file, claim = found
        sign = witness.sign(claim, file)
        if claim.get("released"):
            sign = replace(sign, lives=False)
    names = (LAST.fullmatch(file.name) for file in folder.glob("last-*.ckpt"))
    position = max(((int(name[1]), int(name[2])) for name in names if name), default=(0, 0))
    age = min(sign.age if sign else float("inf"), age_of(folder / FILE))
    return _Attempt(sign, read_progress(folder), position, age)


def _same(one: Identity, other: Identity) -> bool:
    return (one["host"], one["pid"], one["started"]) == (other["host"], other["pid"], other["started"])


def _of_progress(run: WatchedRun, progress: TrainingProgress | None) -> RunState:
    if progress is None:
        return RunState(run, WAITING, epochs=run.epochs, monitor=run.monitor or "")
    return RunState(
        run,
        WAITING,
        epoch=progress.finished,
        epochs=progress.epochs,
        share=progress.step / max(1, progress.steps),
        monitor=progress.monitor,
        best=progress.best,
        best_epoch=progress.best_epoch,
        seconds_per_epoch=progress.seconds_per_epoch,
        seconds_left=progress.seconds_left,
        hardware=progress.hardware,
    )


def _message(run: WatchedRun, worker: Sign | None) -> str | None:
    """Return why a training has failed or stopped, if it has said so since somebody has begun it last."""
    found = job_messages.read(run.training)
    return found[0] if found and (worker is None or age_of(found[1]) <= worker.age) else None


def _given_up(known: RunState, attempt: _Attempt | None, message: str | None) -> RunState:
    """Tell of a training on which nobody works: it failed, was stopped, was killed, or has yet to begin."""
    ended = attempt.progress.ended if attempt and attempt.progress else ""
    if message and not (ended and ended in message):
        return replace(known, state=FAILED, remark=in_a_line(message))
    if ended:
        return replace(known, state=STOPPED, remark=ended.partition(": ")[2].partition(";")[0])
    return replace(known, state=STOPPED, remark="killed, or lost with its machine") if attempt else known


def in_a_line(message: str) -> str:
    """Shorten what a job has said when it failed: of a mistake its code, and what was found."""
    lines = message.strip().splitlines() or ["it said nothing"]
    found = [line.strip().removeprefix("found:").strip() for line in lines if line.strip().startswith("found:")]
    return ": ".join([lines[0].removeprefix("ERROR "), *found[:1]])


# --- after it -------------------------------------------------------------------------------------


def _after_training(run: WatchedRun, witness: Witness) -> RunState:
    """Tell of a training that is done, and what is made of its model."""
    folder = Path(run.training[0]).parent
    rows, timings = read_rows(folder / "metrics.csv"), read_rows(folder / "timing.csv")
    state = replace(
        _scored(RunState(run, TRAINED, epochs=run.epochs or len(rows)), rows),
        seconds_per_epoch=sum(row["seconds"] for row in timings) / len(timings) if timings else None,
    )
    if all(is_made(job) for jobs in run.later.values() for job in jobs):
        return replace(state, state=DONE)
    for word, sign in _at_work(run, witness):
        return replace(state, state=word, worker=sign.process)
    return state


def _scored(state: RunState, rows: Rows) -> RunState:
    """Add what a history says."""
    monitor = state.run.monitor
    best = best_epoch(rows, monitor) if monitor else None
    score = rows[best - 1][monitored(monitor)] if best and monitor else None
    return replace(state, epoch=len(rows), monitor=monitor or "", best=score, best_epoch=best)


def _at_work(run: WatchedRun, witness: Witness) -> Iterator[tuple[str, Sign]]:
    for word, jobs in run.later.items():
        for job in jobs:
            sign = None if is_made(job) else witness.worker(job)
            if sign and sign.lives:
                yield word, sign


def read_rows(file: Path) -> Rows:
    """Read a history; empty where it cannot be read."""
    try:
        with file.open(newline="") as lines:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]
    except (OSError, ValueError, TypeError):
        return []
