"""Swath: Raster Vision experiments as file-tracked Snakemake steps."""

import os
from typing import TYPE_CHECKING

from swath.job.container import drop_host_environment

__version__ = "0.1.0"

# before anything else is imported
drop_host_environment()
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for news

if TYPE_CHECKING:
    from swath.report.results import Results


def results(folder: str) -> "Results":
    """Open an experiment's results, such as ``results/experiments/kampala``, in a notebook: docs/notebooks.md."""
    from swath.report.results import Results  # whoever plans a workflow needs none of what that imports

    return Results(folder)
