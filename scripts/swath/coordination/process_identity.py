"""Which process is meant, and whether it is provably dead."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TypedDict, cast

import psutil

from swath.files import read_state

SAME_START = 2.0  # seconds: a corrected clock moves a process's reported start a little


class Identity(TypedDict):
    """Which process is meant, as it stands in the files that processes agree by.

    Attributes:
        host: Name of its machine.
        pid: Its number there.
        started: When it began, in seconds since 1970, because numbers are used again.
        slurm_job: The SLURM job it belongs to, if any.
    """

    host: str
    pid: int
    started: float
    slurm_job: str | None


def this_process() -> Identity:
    """Identify this process."""
    process = psutil.Process()
    return {
        "host": socket.gethostname(),
        "pid": process.pid,
        "started": process.create_time(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def read_identity(path: Path) -> Identity | None:
    """Read which process a state file names; None if it is not there, or cannot be read."""
    content = read_state(path, host=str, pid=int, started=float)
    return cast(Identity, content) if content else None


def describe(*identities: Identity) -> str:
    """Name processes for a message: number, machine and SLURM job, as far as they are known."""
    return ", ".join(_described(identity) for identity in identities)


def _described(identity: Identity) -> str:
    job = f" (SLURM job {identity['slurm_job']})" if identity.get("slurm_job") else ""
    return f"process {identity['pid']} on {identity['host']}{job}"


def is_here(identity: Identity) -> bool:
    """Tell whether a process is or was on this machine."""
    return identity["host"] == socket.gethostname()


def is_dead(identity: Identity) -> bool:
    """Tell whether a process is provably dead: it was on this machine, and is there no more."""
    if not is_here(identity):
        return False
    try:
        process = psutil.Process(identity["pid"])
        replaced = abs(process.create_time() - identity["started"]) > SAME_START
        return bool(replaced or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
