"""Fetch the trees: aerial images of NEON with a box around every tree."""

from swath.demo import NEON_TREES, download
from swath.job import job
from swath.scenes.neon_trees import build

with job(snakemake):
    build(download(NEON_TREES, NEON_TREES.folder), NEON_TREES.folder)
