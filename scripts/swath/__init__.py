"""Swath: Raster Vision experiments as file-tracked Snakemake steps."""

__version__ = "0.1.0"
