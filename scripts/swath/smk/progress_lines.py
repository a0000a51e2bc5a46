"""A line every few minutes in the log of a run: how far its trainings are.

A training on this machine speaks for itself, of every epoch; one on a cluster speaks into a log there. These lines are
for both, since of many trainings at once nobody sees how far all of them are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from snakemake.logging import logger

from swath.coordination.heartbeat import Heartbeat
from swath.smk.report_lines import now
from swath.status.table import lines_of_run
from swath.status.trainings import states_of
from swath.status.watched import Watched
from swath.status.witness import Witness

EVERY = 300.0
"""Seconds between two looks."""
VARIABLE = "SWATH_PROGRESS_SECONDS"
"""Says how many seconds instead."""


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

    looks = Heartbeat(look, float(os.environ.get(VARIABLE) or EVERY))
    looks.start()
    return looks
