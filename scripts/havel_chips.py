"""Make the cells of the demo's scenes that one land-use class covers: labels for chip classification."""

from swath.demo import HAVEL, HAVEL_CHIPS
from swath.job import job
from swath.scenes.havel_chips import build

with job(snakemake):
    build(HAVEL.folder, HAVEL_CHIPS.folder)
