"""A GPU of its own for every job of a machine: nobody gives them out there, as SLURM does.

``resources: gpu=4`` has Snakemake start no more than four such jobs at once; which GPU each takes is settled here, also
among several runs.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

WAIT = 5.0
"""Seconds between two looks for a free GPU."""

LOCKS = Path("/tmp")
"""One place for all runs of this machine, whatever folder their profiles name for temporary files."""

log = logging.getLogger("swath")
held: list[str] = []
"""Names of the GPUs that this process has taken, or that SLURM has given it."""
when_taken: list[Callable[[], None]] = []
"""What is called once they are taken: their energy is counted from then on."""
_held: list[int] = []  # open locks; the kernel releases them when the process ends, however it ends


def take_gpus(number: int) -> None:
    """Take some of the GPUs this process can see, for its life, and see no others any more.

    Where there are fewer than asked for, and in a job of SLURM that was given what it asked for, nothing changes.

    Args:
        number: How many.
    """
    visible = visible_gpus()
    if number < 1 or len(visible) < number:
        _note_held(visible if "SLURM_JOB_ID" in os.environ else [])
        return
    while len(locks := _lock_free(visible, number)) < number:
        for handle in locks.values():  # two that each hold half of what they need would wait forever
            os.close(handle)
        log.info("%d GPUs are needed, %d are free: waiting", number, len(locks))
        time.sleep(WAIT * random.uniform(1, 2))
    _held.extend(locks.values())
    _note_held(list(locks))
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(locks)


def _note_held(names: Sequence[str]) -> None:
    held[:] = names
    for call in when_taken:
        call()


def warn_of_unseen_gpus(seen: int) -> None:
    """Warn where this process was given GPUs that torch does not see, so that the CPU computes.

    Args:
        seen: How many torch sees.
    """
    if not seen and (given := os.environ.get("CUDA_VISIBLE_DEVICES")):
        log.warning("CUDA_VISIBLE_DEVICES is %s, but torch sees no GPU: computing on the CPU", given)


def visible_gpus() -> list[str]:
    """Name the GPUs this process can see, as CUDA_VISIBLE_DEVICES does or by their numbers."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []


def _lock_free(names: Sequence[str], number: int) -> dict[str, int]:
    """Take as many GPUs as asked for, or as are free; GPU → open lock."""
    job = f"job-{os.environ['SLURM_JOB_ID']}-" if "SLURM_JOB_ID" in os.environ else ""  # each may count from 0
    locks: dict[str, int] = {}
    for name in names:
        if len(locks) == number:
            break
        path = LOCKS / f"swath-gpu-{os.getuid()}-{job}{name.replace('/', '-')}.lock"  # MIG-GPU-…/1/0, older drivers say
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locks[name] = handle
        except OSError:
            os.close(handle)
    return locks
