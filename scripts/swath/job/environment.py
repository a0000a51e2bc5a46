"""What libraries read from the environment when they are loaded: set before, in every process that computes."""

from __future__ import annotations

import ctypes
import os

COMPUTING = {
    "GDAL_CACHEMAX": "512",  # MB; GDAL would take a twentieth of the machine's memory, whatever the job was given
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait sleep: with others at work on the machine, half the time is saved
}

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""Parameters of glibc's mallopt(3)."""


def set_up_computing() -> None:
    """Set what nobody has set: a value of the user's own stays."""
    for name, value in COMPUTING.items():
        os.environ.setdefault(name, value)


def keep_freed_memory() -> None:
    """Have this process use memory again that was freed, and not give it back before it ends.

    A network asks for the same hundreds of megabytes at every step. The C library gives large pieces back to the
    system, which clears each page before it hands it out again: a tenth of a training's time on a CPU, a quarter of a
    forward pass. It changes no result, and nothing where the library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
        mallopt(M_ARENA_MAX, 1)  # what threads allocate for themselves is given back whatever the threshold
