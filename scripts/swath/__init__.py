"""Swath: Raster Vision experiments as file-tracked Snakemake steps."""

import os

from swath.job.container import drop_host_environment

__version__ = "0.1.0"

# before anything else is imported
drop_host_environment()
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for news
