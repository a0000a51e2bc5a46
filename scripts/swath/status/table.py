"""What there is to say of how far an experiment is: a table for who asks, lines for the log of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from swath.coordination.process_identity import Identity, describe
from swath.job.progress import in_words
from swath.status.trainings import (
    DONE,
    FAILED,
    LEFT_OUT,
    QUEUED,
    STOPPED,
    TRAINED,
    TRAINING,
    WAITING,
    RunState,
    states_of,
)
from swath.status.watched import Job, Watched
from swath.status.witness import Witness, is_made

MOST = 30
"""Rows of runs that are done, and of runs that wait, in a table; the others are counted."""
MOST_LINES = 8
"""Trainings that the log of a run names at once; the others are counted."""
HEADER = ("run", "state", "epoch", "best so far", "time left", "where")


def report(watched: Watched, witness: Witness) -> str:
    """Say all that is known of an experiment."""
    states = states_of(watched.runs, witness)
    parts = [
        f"{watched.name}: {headline(states)}" if states else watched.name,
        "\n".join(table(states)) if states else "",
        "\n".join(_remarks(states)),
        "\n".join(_stages(watched.stages, witness)),
        watched.remark,
        _runs(witness),
    ]
    return "\n\n".join(filter(None, parts))


def headline(states: Sequence[RunState]) -> str:
    """Say how many trainings are where, and how long they take together."""
    trainings = {state.run.model: state for state in states}.values()  # runs can share one
    counts = Counter(state.state for state in trainings)
    said = [f"{sum(map(is_trained, trainings))} of {len(trainings) - counts[LEFT_OUT]} trainings done"]
    said += [f"{counts[LEFT_OUT]} stopped early"] if counts[LEFT_OUT] else []
    said += [f"{counts[kind]} {words}" for kind, words in ((TRAINING, "at work"), (FAILED, "failed")) if counts[kind]]
    seconds = seconds_of_all(states)
    return ", ".join(said) + (f"; about {in_words(seconds)} to go for all of them" if seconds else "")


def is_trained(state: RunState) -> bool:
    """Tell whether a run's training is done."""
    return state.state in (DONE, TRAINED, *state.run.later)


def seconds_of_all(states: Sequence[RunState]) -> float | None:
    """Estimate how long all trainings take, if as many go on at once as do now, and what waits takes as long as others.

    Returns:
        Seconds; None where none is at work, or nothing is known.
    """
    trainings = {
        state.run.model: state for state in states if not (is_trained(state) or state.state == LEFT_OUT)
    }.values()
    at_work = [state for state in trainings if state.state == TRAINING]
    known = [state.seconds_per_epoch for state in states if state.seconds_per_epoch]
    if not at_work or not known:
        return None
    usual = sum(known) / len(known)
    lefts = [
        state.seconds_left
        if state.state == TRAINING and state.seconds_left is not None
        else (state.seconds_per_epoch or usual) * max(0, (state.epochs or 0) - (state.epoch or 0))
        for state in trainings
    ]
    return max(max(lefts), sum(lefts) / len(at_work))


# --- the table ------------------------------------------------------------------------------------


def table(states: Sequence[RunState]) -> list[str]:
    """Draw a row for every run; of many that are done, or wait, some."""
    rows, left_out, shown = [HEADER], Counter[str](), Counter[str]()
    for state in states:
        shown[state.state] += 1
        if state.state in (DONE, TRAINED, WAITING, LEFT_OUT) and shown[state.state] > MOST:
            left_out[state.state] += 1
        else:
            rows.append(_row(state))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, *(f"and {number} more: {kind}" for kind, number in left_out.items())]


def _row(state: RunState) -> tuple[str, str, str, str, str, str]:
    left = state.seconds_left if state.state == TRAINING else None
    return (state.run.name, state.state, _epoch(state), _best(state), in_words(left) if left else "", _where(state))


def _epoch(state: RunState) -> str:
    if state.epochs is None:
        return ""
    finished = state.epoch or 0
    if state.state == TRAINING and finished < state.epochs:  # the one that is being worked on, as the log counts
        return f"{finished + 1}/{state.epochs}, {100 * state.share:.0f} %"
    return f"{finished}/{state.epochs}"


def _best(state: RunState) -> str:
    return f"{state.monitor} {state.best:.4f}, epoch {state.best_epoch}" if state.best is not None else ""


def _where(state: RunState) -> str:
    if state.worker is None:
        took = (state.seconds_per_epoch or 0.0) * (state.epoch or 0)
        return f"took {in_words(took)}" if took and is_trained(state) else ""
    hardware = state.hardware.rpartition(", ")[0] if state.state == TRAINING else ""  # without the kind of floats
    return ", ".join(filter(None, [place_of(state.worker), hardware]))


def place_of(process: Identity) -> str:
    """Say where a process works: the SLURM job and its node, or its number and machine."""
    job = process.get("slurm_job")
    return f"job {job} on {process['host']}" if job else f"{process['host']}, process {process['pid']}"


def _remarks(states: Sequence[RunState]) -> Iterator[str]:
    """Say why runs have failed, have stopped, or wait."""
    for state in states:
        if state.state == FAILED:
            yield f"{state.run.name} has failed: {state.remark}; its log: {state.run.log}"
        elif state.state == STOPPED:
            yield f"{state.run.name}: {state.remark}; the same command goes on {_from(state)}"
        elif state.state == QUEUED:
            yield f"{state.run.name}: {state.remark}"


def _from(state: RunState) -> str:
    return f"after epoch {state.epoch}" if state.epoch else "from its beginning"


# --- what else there is ---------------------------------------------------------------------------


def _stages(stages: Mapping[str, Sequence[Job]], witness: Witness) -> Iterator[str]:
    """Say of each stage how many of its jobs are done, and how many are at work."""
    width = max(map(len, stages), default=0)
    for stage, jobs in stages.items():
        made = [is_made(job) for job in jobs]
        signs = [witness.worker(job) for job, done in zip(jobs, made, strict=True) if not done]
        at_work = [sign for sign in signs if sign and sign.lives]
        places = ", ".join(sorted({sign.process["host"] for sign in at_work})[:3])
        yield f"{stage.ljust(width)}  {sum(made)} of {len(jobs)}" + (
            f", {len(at_work)} at work ({places})" if at_work else ""
        )


def _runs(witness: Witness) -> str:
    if witness.runs:
        return f"A run of Snakemake is at work here: {describe(*(sign.process for sign in witness.runs))}."
    return "No run of Snakemake is at work here: the same command as before goes on with what is not done."


# --- lines for a log ------------------------------------------------------------------------------


def lines_of_run(states: Sequence[RunState]) -> list[str]:
    """Say how far the trainings are that are at work; nothing where none is."""
    at_work = {state.run.model: state for state in states if state.state == TRAINING}
    if not at_work:
        return []
    lines = [_line(state) for state in list(at_work.values())[:MOST_LINES]]
    more = len(at_work) - MOST_LINES
    return [headline(states), *lines, *([f"and {more} more"] if more > 0 else [])]


def _line(state: RunState) -> str:
    said = [f"epoch {_epoch(state)}"]
    if state.best is not None:
        said.append(f"best {state.monitor} {state.best:.4f} (epoch {state.best_epoch})")
    if state.seconds_left:
        said.append(f"about {in_words(state.seconds_left)} to go")
    if state.worker and state.worker.get("slurm_job"):
        said.append(place_of(state.worker))
    return f"{state.run.name}: {', '.join(said)}"
