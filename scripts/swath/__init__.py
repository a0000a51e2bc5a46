"""Swath: Raster Vision experiments as file-tracked Snakemake steps."""

from swath.container import forget_host_packages

__version__ = "0.1.0"

forget_host_packages()  # before anything else is imported
