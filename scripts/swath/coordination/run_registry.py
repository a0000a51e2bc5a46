"""Snakemake's lock after a kill: released by itself when the runs that could hold it are dead.

Snakemake locks what a run makes and cannot unlock it when it is killed. It does not note who holds the lock; Swath
does: every run that makes something has a file in ``RUNS``, gives signs of life as long as it goes on, and removes the
file in the end. A run on this machine is looked for among its processes. One on another machine, say a second login
node, is dead when it gives no sign of life while somebody watches; no clocks are compared.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from swath.coordination import heartbeat
from swath.coordination.heartbeat import Heartbeat
from swath.coordination.process_identity import Identity, describe, is_dead, is_here, this_process
from swath.files import read_json, write_json

LOCKS = Path(".snakemake/locks")
RUNS = Path(".snakemake/swath-runs")
NAMES_OF_JOBS = Path(".snakemake/swath-jobs")
"""A file for every run that submits jobs, named as they are; it says which process the run is."""
_registered: list[Path] = []
"""The file of the run that this process is."""


def register_run() -> None:
    """Note that this process makes something here, and give signs of life as long as it lives."""
    me = this_process()
    file = RUNS.absolute() / f"{me['host']}-{me['pid']}.json"
    write_json(file, me)
    signs = Heartbeat(partial(_give_sign, file))
    signs.start()
    _registered.append(file)

    def leave() -> None:
        if os.getpid() == me["pid"]:  # not in a child that has inherited this
            signs.stop()  # it would miss the file
            _registered.remove(file)
            file.unlink(missing_ok=True)

    atexit.register(leave)


def end_if_taken_over() -> None:
    """End this process, as its next sign of life would, if another run has taken over: before it acts on anything."""
    for file in _registered:
        with contextlib.suppress(OSError):  # a full disk, a server that hangs
            _give_sign(file)


def live_runs() -> list[Identity]:
    """List the runs that live here besides this one; what dead ones have left is removed."""
    mine = f"{this_process()['host']}-{os.getpid()}.json"
    runs: dict[Path, Identity] = {}
    for file in RUNS.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # a run that ends at this moment
            if file.name != mine:
                runs[file] = read_json(file)
    alive = _alive(runs)
    for file in runs:
        if file not in alive:
            file.unlink(missing_ok=True)
    return list(alive.values())


def release_lock_of_dead_run(is_job: bool) -> None:
    """Remove the lock if all runs that could hold it are dead.

    Args:
        is_job: Whether this process is a job of a run, not a run itself.
    """
    locks = list(LOCKS.glob("*.lock"))
    ends = [file.stat().st_mtime_ns for file in RUNS.glob("*.json")]
    if is_job or not locks or not ends or live_runs():
        return
    # a lock that is younger than every sign of life is that of a run which has just begun
    left = [lock for lock in locks if lock.stat().st_mtime_ns <= max(ends)]
    if left:
        print("The last run was killed: its lock is released, what it left unfinished goes on.", file=sys.stderr)
    for lock in left:
        lock.unlink(missing_ok=True)


def note_name_of_jobs(name: str) -> None:
    """Note what the SLURM jobs of this run are called: a name that no other run's jobs have."""
    write_json(NAMES_OF_JOBS / f"{name}.json", this_process())


def names_of_dead_runs() -> set[str]:
    """Name the SLURM jobs of runs that are at work here no more."""
    alive = {(run["host"], run["pid"]) for run in [*live_runs(), this_process()]}
    runs = {file.stem: read_json(file) for file in NAMES_OF_JOBS.glob("*.json")}
    return {name for name, run in runs.items() if (run["host"], run["pid"]) not in alive}


def forget_names(names: Iterable[str]) -> None:
    """Drop the names of jobs that are gone."""
    for name in names:
        (NAMES_OF_JOBS / f"{name}.json").unlink(missing_ok=True)


def _give_sign(file: Path) -> bool:
    try:
        os.utime(file)
    except FileNotFoundError:
        print("Another run has taken over, since this one gave no sign of life: it ends.", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)  # at once: a signal would have Snakemake wait for its jobs, which are another's by now
    return True


def _alive(runs: dict[Path, Identity]) -> dict[Path, Identity]:
    """Tell which runs live; those on other machines are watched."""
    here = {file: run for file, run in runs.items() if is_here(run)}
    alive = {file: run for file, run in here.items() if not is_dead(run)}
    watched = {file: _last_sign(file) for file in runs if file not in here}
    if watched and not alive:
        names = describe(*(runs[file] for file in watched))
        print(f"In use by {names}: waiting {heartbeat.SILENCE:g} s for a sign of life.", file=sys.stderr)
        end = time.monotonic() + heartbeat.SILENCE
        while not alive and time.monotonic() < end:
            time.sleep(heartbeat.SILENCE / 90)
            alive = {file: runs[file] for file, seen in watched.items() if _last_sign(file) not in (seen, None)}
    elif watched:
        alive |= {file: runs[file] for file in watched}
    return alive


def _last_sign(file: Path) -> int | None:
    """Return a file's time; opening it has a network file system ask its server."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return os.fstat(opened.fileno()).st_mtime_ns
    return None
