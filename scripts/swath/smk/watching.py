"""How far everything is: all of it for who asks (`snakemake status`), now and then a line in the log of a run.

A training on this machine speaks for itself, of every epoch; one on a cluster speaks into a log there. The lines of a
run are for both, since of many trainings at once nobody sees how far all of them are.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from snakemake.logging import logger

from swath.coordination.heartbeat import Heartbeat
from swath.errors import Problem, UserError, ending_the_program
from swath.smk.report_lines import now
from swath.status.table import lines_of_run, report
from swath.status.trainings import states_of
from swath.status.watched import Watched
from swath.status.witness import Witness

EVERY = 300.0
"""Seconds between two looks."""
VARIABLE = "SWATH_PROGRESS_SECONDS"
"""Says how many seconds instead."""
STATUS = "status"
"""The rule for who only wants to look."""


def only_looks(arguments: Sequence[str]) -> bool:
    """Tell whether a command asks how far everything is: it may find anything, and changes nothing."""
    return STATUS in arguments


def tell_status(watched: Watched) -> None:
    """Print how far everything is; what Snakemake says of itself goes elsewhere, to stderr."""
    print(report(watched, Witness()), flush=True)


def tell_of_trainings(watched: Callable[[], Watched], say: Callable[[str], None] = logger.info) -> Heartbeat:
    """Say every few minutes, as long as this process lives, how far trainings are.

    Args:
        watched: Tells what is watched: of a module of the user's own it is not known from the beginning.
        say: Takes what there is to say.
    """
    signs: dict[Path, float] = {}

    def look() -> bool:
        if lines := lines_of_run(states_of(watched().runs, Witness(asks_slurm=False, signs=signs))):
            say("\n    ".join([f"{now()} {lines[0]}", *lines[1:]]))
        return True

    looks = Heartbeat(look, _seconds())
    looks.start()
    return looks


def _seconds() -> float:
    said = os.environ.get(VARIABLE, str(EVERY))
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        with ending_the_program():
            raise UserError(Problem("wrong_value", VARIABLE, "", said, "seconds, more than 0", f"{VARIABLE}=60"))
    return seconds
