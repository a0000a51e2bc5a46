"""Fetch the demo's scenes: Sentinel-2 imagery of the Havel with OpenStreetMap land use."""

from swath.demo import HAVEL, download
from swath.job import job
from swath.scenes.havel import build

with job(snakemake):
    build(download(HAVEL, HAVEL.folder), HAVEL.folder)
