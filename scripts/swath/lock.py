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
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swath.files import read_json, write_json
from swath.processes import is_dead, is_here, this_process

LOCKS = Path(".snakemake/locks")
RUNS = Path(".snakemake/swath-runs")
HEARTBEAT = 10.0
"""Seconds between two signs of life."""
SILENCE = 90.0
"""Seconds without one after which a run elsewhere counts as dead; longer than file systems cache attributes."""


def claim_lock() -> None:
    """Note that this process makes something here, and give signs of life as long as it lives."""
    me = this_process()
    file = RUNS.absolute() / f"{me['host']}-{me['pid']}.json"
    write_json(file, me)
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=[file, ended], name="heartbeat", daemon=True)
    heart.start()

    def leave() -> None:
        if os.getpid() == me["pid"]:  # not in a child that has inherited this
            ended.set()
            heart.join()  # it would miss the file
            file.unlink(missing_ok=True)

    atexit.register(leave)


def other_runs() -> list[dict[str, Any]]:
    """List the runs that live here besides this one; what dead ones have left is removed."""
    mine = f"{this_process()['host']}-{os.getpid()}.json"
    runs: dict[Path, dict[str, Any]] = {}
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
    if is_job or not locks or not ends or other_runs():
        return
    # a lock that is younger than every sign of life is that of a run which has just begun
    left = [lock for lock in locks if lock.stat().st_mtime_ns <= max(ends)]
    if left:
        print("The last run was killed: its lock is released, what it left unfinished goes on.", file=sys.stderr)
    for lock in left:
        lock.unlink(missing_ok=True)


def describe(runs: Sequence[Mapping[str, Any]]) -> str:
    """Name runs: process and machine."""
    return ", ".join(f"process {run['pid']} on {run['host']}" for run in runs)


def _beat(file: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT):
        try:
            os.utime(file)
        except FileNotFoundError:
            print("Another run has taken over, since this one gave no sign of life: it ends.", file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)  # at once: a signal would have Snakemake wait for its jobs, which are another's by now
        except OSError:  # a full disk or a server that hangs is no reason to stop
            continue


def _alive(runs: dict[Path, dict[str, Any]]) -> dict[Path, dict[str, Any]]:
    """Tell which runs live; those on other machines are watched."""
    here = {file: run for file, run in runs.items() if is_here(run)}
    alive = {file: run for file, run in here.items() if not is_dead(run)}
    watched = {file: _last_sign(file) for file in runs if file not in here}
    if watched and not alive:
        names = describe([runs[file] for file in watched])
        print(f"In use by {names}: waiting {SILENCE:g} s for a sign of life.", file=sys.stderr)
        end = time.monotonic() + SILENCE
        while not alive and time.monotonic() < end:
            time.sleep(SILENCE / 90)
            alive = {file: runs[file] for file, seen in watched.items() if _last_sign(file) not in (seen, None)}
    elif watched:
        alive |= {file: runs[file] for file in watched}
    return alive


def _last_sign(file: Path) -> int | None:
    """Return a file's time; opening it has a network file system ask its server."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return os.fstat(opened.fileno()).st_mtime_ns
    return None
