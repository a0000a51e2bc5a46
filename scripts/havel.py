"""Fetch the demo's scenes: Sentinel-2 imagery of the Havel with OpenStreetMap land use."""

from swath.demo.data_sets import HAVEL, download
from swath.demo.havel import build
from swath.job.run_script import job

with job(snakemake):
    build(download(HAVEL, HAVEL.folder), HAVEL.folder)
