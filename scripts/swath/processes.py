"""Which process is meant, and whether it is provably dead."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import psutil

SAME_START = 2.0  # seconds: a corrected clock moves a process's reported start a little


def this_process() -> dict[str, Any]:
    """Identify this process: host, pid, and start (seconds since 1970), because pids are used again."""
    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()}


def is_here(identity: Mapping[str, Any]) -> bool:
    """Tell whether a process is or was on this machine."""
    return bool(identity.get("host") == socket.gethostname())


def is_dead(identity: Mapping[str, Any]) -> bool:
    """Tell whether a process is provably dead: it was on this machine, and is there no more."""
    if not is_here(identity):
        return False
    try:
        process = psutil.Process(identity["pid"])
        replaced = abs(process.create_time() - identity["started"]) > SAME_START
        return bool(replaced or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
