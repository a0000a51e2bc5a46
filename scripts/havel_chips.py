"""Make the cells of the demo's scenes that one land-use class covers: labels for chip classification."""

from swath.demo.data_sets import HAVEL, HAVEL_CHIPS
from swath.demo.havel_chips import build
from swath.job.run_script import job

with job(snakemake):
    build(HAVEL.folder, HAVEL_CHIPS.folder)
