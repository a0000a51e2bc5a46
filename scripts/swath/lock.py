"""Snakemake's lock after a kill: released by itself when the run that held it is dead.

Snakemake locks the working directory while it runs and cannot unlock it when it is killed. It does not note who holds
the lock; Swath does when a run starts, and gives signs of life as long as it goes on. A run on this machine is looked
for among its processes. One on another machine, say a second login node, is dead when it gives no sign of life while
somebody watches; no clocks are compared.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

from swath.files import read_json, write_json
from swath.processes import is_dead, is_here, this_process

LOCKS = Path(".snakemake/locks")
OWNER = Path(".snakemake/swath-owner.json")
HEARTBEAT = 10.0
"""Seconds between two signs of life."""
SILENCE = 60.0
"""Seconds without one after which a run elsewhere counts as dead; longer than file systems cache attributes."""


def claim_lock() -> None:
    """Note that this process holds the lock, and give signs of life as long as it lives."""
    write_json(OWNER, this_process())
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


def release_lock_of_dead_run(is_job: bool) -> None:
    """Remove the lock if the run that held it is no longer alive.

    Args:
        is_job: Whether this process is a job of a run, not a run itself.
    """
    locks = list(LOCKS.glob("*.lock"))
    if is_job or not locks or not OWNER.is_file() or not _owner_is_dead():
        return
    print("The last run was killed: its lock is released, what it left unfinished goes on.", file=sys.stderr)
    for lock in locks:
        lock.unlink(missing_ok=True)


def _beat() -> None:
    while True:
        time.sleep(HEARTBEAT)
        with contextlib.suppress(OSError):  # a full disk or a server that hangs is no reason to stop
            os.utime(OWNER)


def _owner_is_dead() -> bool:
    owner, seen = read_json(OWNER), OWNER.stat().st_mtime_ns
    if is_here(owner):
        return is_dead(owner)
    print(f"In use by a run on {owner['host']}: waiting {SILENCE:g} s for a sign of life.", file=sys.stderr)
    end = time.monotonic() + SILENCE
    while time.monotonic() < end:
        time.sleep(SILENCE / 60)
        if OWNER.stat().st_mtime_ns != seen:
            return False
    return True
