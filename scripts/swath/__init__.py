"""Swath: Raster Vision experiments as file-tracked Snakemake steps."""

import os
from importlib import import_module
from typing import Any

from swath.job.container import drop_host_environment

__version__ = "0.1.0"

# before anything else is imported
drop_host_environment()
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for news


def results(folder: str) -> Any:
    """Open an experiment's results, such as ``results/experiments/kampala``, in a notebook: docs/notebooks.md.

    Returns:
        A :class:`swath.report.results.Results`, whose libraries are imported here: no stage depends on them.
    """
    return import_module("swath.report.results").Results(folder)
