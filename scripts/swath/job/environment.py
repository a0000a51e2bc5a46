"""What libraries read from the environment when they are loaded: set before, in every process that computes."""

from __future__ import annotations

import os

COMPUTING = {
    "GDAL_CACHEMAX": "512",  # MB; GDAL would take a twentieth of the machine's memory, whatever the job was given
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait sleep: with others at work on the machine, half the time is saved
}


def set_up_computing() -> None:
    """Set what nobody has set: a value of the user's own stays."""
    for name, value in COMPUTING.items():
        os.environ.setdefault(name, value)
