"""Swath: Raster Vision experiments as file-tracked Snakemake steps."""

import os

from swath.container import forget_host

__version__ = "0.1.0"

# before anything else is imported
forget_host()
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network for news
