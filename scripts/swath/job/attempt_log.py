"""One log for all attempts of a training: Snakemake empties a job's log when its job starts again.

What attempts say is also added to a file that Snakemake does not know; the next attempt's log begins with it. The name
of the file is in the environment, for the processes that train together.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path

from swath.job.terminal import LOG_ALONE

VARIABLE = "SWATH_ATTEMPT_LOG"
FORMAT = logging.Formatter("%(asctime)s %(name)s: %(message)s")


def continue_attempt_log(path: Path) -> None:
    """Let this process's log begin with what earlier attempts said, and keep what Swath says from now on.

    Args:
        path: Where attempts add what they say.
    """
    if path.exists():
        print(path.read_text(errors="replace"), file=sys.stderr, end="", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.environ[VARIABLE] = str(path.absolute())
    go_on()
    where = (socket.gethostname(), os.getpid())
    logging.getLogger("swath.train").info("attempt on %s, process %d", *where, extra={LOG_ALONE: True})


def go_on() -> None:
    """Keep what Swath says in this process, if it belongs to a training that has a history."""
    if path := os.environ.get(VARIABLE):
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(FORMAT)
        logging.getLogger("swath").addHandler(handler)


def add(text: object) -> None:
    """Add why an attempt has ended."""
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a", encoding="utf-8") as file:
            print(text, file=file)
