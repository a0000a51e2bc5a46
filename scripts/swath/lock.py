"""Snakemake's lock after a kill: released by itself when the run that held it is provably dead.

Snakemake locks the working directory while it runs and cannot unlock it when it is killed. It does not note who holds
the lock; Swath does, when a run starts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from swath.files import read_json, write_json
from swath.processes import is_dead, this_process

LOCKS = Path(".snakemake/locks")
OWNER = Path(".snakemake/swath-owner.json")


def claim_lock() -> None:
    """Note that this process holds the lock."""
    write_json(OWNER, this_process())


def release_lock_of_dead_run() -> None:
    """Remove the lock if the run that held it was on this machine and is no longer alive."""
    locks = list(LOCKS.glob("*.lock"))
    if locks and OWNER.is_file() and is_dead(read_json(OWNER)):
        print("The last run was killed: its lock is released, what it left unfinished goes on.", file=sys.stderr)
        for lock in locks:
            lock.unlink(missing_ok=True)
