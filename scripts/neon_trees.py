"""Fetch the trees: aerial images of NEON with a box around every tree."""

from swath.demo.data_sets import NEON_TREES, download
from swath.demo.neon_trees import build
from swath.job.run_script import job

with job(snakemake):
    build(download(NEON_TREES, NEON_TREES.folder), NEON_TREES.folder)
