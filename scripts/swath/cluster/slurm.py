"""SLURM's programs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from swath.errors import Problem, UserError

PATIENCE = 60
"""Seconds that a program of SLURM's gets: a busy controller answers late."""
PAUSE = 5.0
"""Seconds between two looks for a controller that does not answer."""


def ask(*command: str, missing: str | None = None, patience: float = PATIENCE) -> str:
    """Run a program of SLURM's; what it prints.

    Args:
        command: The program and its arguments.
        missing: What to return when it fails; without it, that is an error.
        patience: Seconds that it gets.

    Raises:
        UserError: If SLURM does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=patience, env=_environment())
        return done.stdout
    except (OSError, subprocess.SubprocessError) as error:
        if missing is not None:
            return missing
        said = " ".join(str(getattr(error, "stderr", "") or error).split())
        cure = "wait until SLURM answers (`sinfo`), then type the same command again"
        raise UserError(Problem("slurm_silent", "SLURM", command[0], said, "an answer", cure)) from None


def wait_for_controller(given_up: threading.Event) -> bool:
    """Wait until SLURM's controller answers: what is submitted meanwhile would count as failed.

    Args:
        given_up: Set when there is nothing to wait for any more.

    Returns:
        Whether it answers and something is waiting for it.
    """
    told = False
    while not given_up.is_set() and "is UP" not in ask("scontrol", "ping", missing=""):
        if not told:
            print("SLURM's controller does not answer: jobs wait to be submitted until it does.", file=sys.stderr)
            told = True
        given_up.wait(PAUSE)
    return not given_up.is_set()


def _environment() -> dict[str, str]:
    """Have SLURM tell of hidden partitions, too."""
    return {**os.environ, "SINFO_ALL": "1", "SQUEUE_ALL": "1"}
