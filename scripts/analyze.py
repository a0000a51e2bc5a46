"""Compute the band statistics of the training scenes."""

from swath.job.attempts import note_work
from swath.job.run_script import job

with job(snakemake) as (inputs, output, params):
    from swath.config.imagery import Imagery
    from swath.cost.work import pixels_of
    from swath.scenes.analyze import analyze
    from swath.scenes.manifest import read_manifests

    scenes = read_manifests(inputs.scenes, params.ids)
    note_work(pixels_of(scenes))
    analyze(scenes, Imagery(**params.spec["imagery"]), output.stats)
