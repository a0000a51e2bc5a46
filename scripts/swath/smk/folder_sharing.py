"""Several runs in one folder: each claims its files in the registry of runs, and waits for what others make.

Takes the place of Snakemake's own lock; :func:`swath.smk.upstream.lock_with` says why.
"""

from __future__ import annotations

import atexit
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snakemake.jobs import jobfiles

from swath.coordination import run_registry
from swath.coordination.process_identity import describe
from swath.smk.upstream import lock_with

LOOK = 2.0
"""Seconds between two looks at what the other run has made, more or less: two that wait do not look together."""
_made_later: list[Callable[[], Sequence[str]]] = []
_again: list[bool] = []
"""Not empty once this process is to end, and its command to begin anew."""


def share_folder() -> None:
    """Have this process claim what it makes instead of locking the folder."""
    if lock_with(_claim, _note_made):
        atexit.register(_begin_anew)  # the first that is registered is the last that is called


def expect_later(files: Callable[[], Sequence[str]]) -> None:
    """Have files claimed, too, whose jobs are not known before a checkpoint has run."""
    _made_later[:] = [files]


@contextmanager
def _claim(self: Any) -> Iterator[None]:
    jobs = list(self.dag.needrun_jobs())
    makes = {str(file) for file in jobfiles(jobs, "output")}
    if makes:
        if any(job.is_checkpoint for job in jobs):
            makes |= {file for later in _made_later for file in later() if not Path(file).is_file()}
        _wait_until_claimed({str(file) for file in jobfiles(jobs, "input")}, makes)
    yield


def _note_made(job: Any) -> None:
    run_registry.note_made(map(str, job.output))


def _wait_until_claimed(reads: set[str], makes: set[str]) -> None:
    """Return once nobody else makes or reads what this run makes; after a wait, the plan is made anew."""
    others = run_registry.claim_files(reads, makes)
    if not others:
        return
    print(
        f"{describe(*others)} is making here what this run needs, too: waiting until that is there. "
        "This run then goes on by itself; nothing is made twice.",
        file=sys.stderr,
        flush=True,
    )
    try:
        while others:
            time.sleep(LOOK * random.uniform(0.5, 1.5))
            others = run_registry.in_the_way(reads, makes)
    except KeyboardInterrupt:
        print("\nStopped while waiting: nothing was begun.", file=sys.stderr)
        sys.exit(130)
    _again.append(True)
    sys.exit(0)  # what has been made meanwhile is part of another plan: the same command, from its beginning


def _begin_anew() -> None:
    if _again:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-P", "-m", "snakemake", *sys.argv[1:]])
